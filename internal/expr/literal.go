package expr

import (
	"cmp"

	"github.com/lakeward/lakeward/internal/vector"
)

// compareLiteral compares a column of numbers or times with a constant; false for what it does not know.
func compareLiteral(op Cmp, v *vector.Vector, lit *Node, out vector.Bits) bool {
	switch {
	case v.Kind == vector.Int && lit.Type == Integer, v.Kind == vector.Date && lit.Type == Date, v.Kind == vector.Time && lit.Type == DateTime:
		compareAll(op, v.Ints, lit.Value.Int, out)
	case v.Kind == vector.Time && lit.Type == Date:
		compareAll(op, v.Ints, lit.Value.Int*dayMillis, out)
	case v.Kind == vector.Float && lit.Type == Double:
		compareAll(op, v.Floats, lit.Value.Float, out)
	case v.Kind == vector.Float && lit.Type == Integer && lit.Value.Int == int64(float64(lit.Value.Int)):
		compareAll(op, v.Floats, float64(lit.Value.Int), out)
	default:
		return false
	}
	dropNulls(v, out)
	return true
}

// compareAll sets the bits of the values for which the comparison holds.
func compareAll[T cmp.Ordered](op Cmp, values []T, want T, out vector.Bits) {
	for base := 0; base < len(values); base += 64 {
		chunk := values[base:min(base+64, len(values))]
		var word uint64
		switch op {
		case EQ, NE:
			for i, x := range chunk {
				if x == want {
					word |= 1 << i
				}
			}
		case LT, GE:
			for i, x := range chunk {
				if x < want {
					word |= 1 << i
				}
			}
		default:
			for i, x := range chunk {
				if x > want {
					word |= 1 << i
				}
			}
		}
		if op == NE || op == GE || op == LE {
			word = ^word
			if n := len(chunk); n < 64 {
				word &= 1<<n - 1
			}
		}
		out[base>>6] = word
	}
}
