package expr

import (
	"math"

	"github.com/lakeward/lakeward/internal/vector"
)

// arithmetic evaluates + - * / % and the unary minus. A null operand, a division by zero and an
// overflow of 64 bits give null (S4); / gives a double, % has the sign of the left side (S9).
func (f *Filter) arithmetic(n *Node, c *frame) *vector.Vector {
	a := f.value(n.Args[0], c)
	b := a
	if len(n.Args) == 2 {
		b = f.value(n.Args[1], c)
	}
	out := &vector.Vector{}
	out.Reset(n.Type.kind())
	for i := range c.rows {
		if a.IsNull(i) || b.IsNull(i) {
			out.AppendNull()
			continue
		}
		if n.Type == Integer {
			if r, ok := integers(n, a.Ints[i], b.Ints[i]); ok {
				out.AppendInt(r)
				continue
			}
		} else if r := doubles(n, number(a, i), number(b, i)); !math.IsNaN(r) && !math.IsInf(r, 0) {
			out.AppendFloat(r)
			continue
		}
		out.AppendNull()
	}
	return out
}

func number(v *vector.Vector, i int) float64 {
	if v.Kind == vector.Float {
		return v.Floats[i]
	}
	return float64(v.Ints[i])
}

func integers(n *Node, a, b int64) (int64, bool) {
	if len(n.Args) == 1 {
		return -a, a != math.MinInt64
	}
	switch n.Fn {
	case "+":
		r := a + b
		return r, (r > a) == (b > 0)
	case "-":
		r := a - b
		return r, (r < a) == (b > 0)
	case "*":
		if a == 0 || b == 0 {
			return 0, true
		}
		r := a * b
		return r, r/b == a && !(a == -1 && b == math.MinInt64) && !(b == -1 && a == math.MinInt64)
	}
	if b == 0 {
		return 0, false
	}
	if b == -1 { // MinInt64 % -1 has a result, 0, but the processor refuses it
		return 0, true
	}
	return a % b, true
}

func doubles(n *Node, a, b float64) float64 {
	if len(n.Args) == 1 {
		return -a
	}
	switch n.Fn {
	case "+":
		return a + b
	case "-":
		return a - b
	case "*":
		return a * b
	case "/":
		if b == 0 {
			return math.NaN()
		}
		return a / b
	}
	if b == 0 {
		return math.NaN()
	}
	return math.Mod(a, b)
}
