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
	rest := len(values) &^ 63
	for base := 0; base < rest; base += 64 {
		chunk := values[base : base+64]
		var word uint64
		for i := 0; i < 64; i += 8 {
			eight := (*[8]T)(chunk[i : i+8])
			switch op {
			case EQ, NE:
				word |= equalEight(eight, want) << i
			case LT, GE:
				word |= lessEight(eight, want) << i
			default:
				word |= greaterEight(eight, want) << i
			}
		}
		out[base>>6] = word
	}
	for i, x := range values[rest:] {
		if op.positive(cmp.Compare(x, want)) {
			out[rest>>6] |= 1 << i
		}
	}
	if op == NE || op == GE || op == LE {
		for i := range (len(values) + 63) / 64 {
			out[i] = ^out[i]
		}
		if n := len(values) & 63; n > 0 {
			out[len(values)>>6] &= 1<<n - 1
		}
	}
}

// positive is what compareAll looks for: it turns the answers of NE, GE and LE around.
func (op Cmp) positive(c int) bool {
	switch op {
	case EQ, NE:
		return c == 0
	case LT, GE:
		return c < 0
	}
	return c > 0
}

// The loops over eight values have no branch that depends on a value: whether a rule holds is hard to predict.

func equalEight[T cmp.Ordered](v *[8]T, want T) uint64 {
	return bit(v[0] == want) | bit(v[1] == want)<<1 | bit(v[2] == want)<<2 | bit(v[3] == want)<<3 |
		bit(v[4] == want)<<4 | bit(v[5] == want)<<5 | bit(v[6] == want)<<6 | bit(v[7] == want)<<7
}

func lessEight[T cmp.Ordered](v *[8]T, want T) uint64 {
	return bit(v[0] < want) | bit(v[1] < want)<<1 | bit(v[2] < want)<<2 | bit(v[3] < want)<<3 |
		bit(v[4] < want)<<4 | bit(v[5] < want)<<5 | bit(v[6] < want)<<6 | bit(v[7] < want)<<7
}

func greaterEight[T cmp.Ordered](v *[8]T, want T) uint64 {
	return bit(v[0] > want) | bit(v[1] > want)<<1 | bit(v[2] > want)<<2 | bit(v[3] > want)<<3 |
		bit(v[4] > want)<<4 | bit(v[5] > want)<<5 | bit(v[6] > want)<<6 | bit(v[7] > want)<<7
}

// bit is 1 for true.
func bit(holds bool) uint64 {
	if holds {
		return 1
	}
	return 0
}
