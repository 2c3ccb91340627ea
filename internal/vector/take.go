package vector

import "math/bits"

// Select appends those of the numbers of the rows whose bit is set.
func (b Bits) Select(numbers, out []uint32) []uint32 {
	for i, w := range b {
		for ; w != 0; w &= w - 1 {
			out = append(out, numbers[i<<6+bits.TrailingZeros64(w)])
		}
	}
	return out
}

// AppendRows adds the values of src at some rows, as AppendFrom adds one.
func (v *Vector) AppendRows(src *Vector, rows []int32) {
	switch v.Kind {
	case Float:
		for _, i := range rows {
			v.Floats = append(v.Floats, src.Floats[i])
		}
	case Int, Date, Time, Decimal:
		for _, i := range rows {
			v.Ints = append(v.Ints, src.Ints[i])
		}
	case String:
		if v.Len == 0 && src.Dict != nil {
			v.Dict = src.Dict
		}
		if src.Dict == nil || v.Dict != src.Dict {
			v.appendEach(src, rows)
			return
		}
		for _, i := range rows {
			v.Codes = append(v.Codes, src.Codes[i])
		}
	default:
		v.appendEach(src, rows)
		return
	}
	if src.Valid != nil {
		for k, i := range rows {
			if src.IsNull(int(i)) {
				v.SetNull(v.Len + k)
			}
		}
	}
	v.Len += len(rows)
}

func (v *Vector) appendEach(src *Vector, rows []int32) {
	for _, i := range rows {
		v.AppendFrom(src, int(i))
	}
}
