package expr

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/lakeward/lakeward/internal/vector"
)

// appendKey adds bytes that are equal for equal values: whole numbers and doubles by value, dates as their midnight,
// arrays in any order, objects and maps field by field (S6, S8).
func appendKey(b []byte, v *vector.Vector, i int) []byte {
	if v.IsNull(i) {
		return append(b, 0)
	}
	switch v.Kind {
	case vector.Decimal:
		return appendNumberKey(b, decimal(v.Ints[i], v.Scale))
	case vector.String:
		s := v.Str(i)
		return append(binary.AppendUvarint(append(b, 's'), uint64(len(s))), s...)
	case vector.Bool:
		if v.Bools.Get(i) {
			return append(b, 't')
		}
		return append(b, 'f')
	case vector.Float:
		return appendNumberKey(b, v.Floats[i])
	case vector.Date, vector.Time:
		return binary.BigEndian.AppendUint64(append(b, 'm'), uint64(instant(v, i)))
	case vector.List:
		var keys []string
		each(v, nil, i, func(k int) bool { keys = append(keys, string(appendKey(nil, &v.Fields[0], k))); return true })
		slices.Sort(keys)
		b = binary.AppendUvarint(append(b, 'l'), uint64(len(keys)))
		for _, k := range keys {
			b = append(b, k...)
		}
		return b
	case vector.Map:
		order := keyOrder(v, i)
		b = binary.AppendUvarint(append(b, 'o'), uint64(len(order)))
		for _, k := range order {
			b = appendKey(appendKey(b, &v.Fields[0], k), &v.Fields[1], k)
		}
		return b
	case vector.Struct:
		b = append(b, 'o')
		for f := range v.Fields {
			b = appendKey(b, &v.Fields[f], i)
		}
		return b
	}
	return binary.BigEndian.AppendUint64(append(b, 'i'), uint64(v.Ints[i]))
}

func appendNumberKey(b []byte, f float64) []byte {
	if f == math.Trunc(f) && f >= math.MinInt64 && f < math.MaxInt64 {
		return binary.BigEndian.AppendUint64(append(b, 'i'), uint64(int64(f)))
	}
	return binary.BigEndian.AppendUint64(append(b, 'd'), math.Float64bits(f))
}

// itemKeys is the set of the keys of the items of row i that are not null.
func itemKeys(v *vector.Vector, i int) map[string]int {
	out := map[string]int{}
	each(v, nil, i, func(k int) bool {
		if !v.Fields[0].IsNull(k) {
			out[string(appendKey(nil, &v.Fields[0], k))] = k
		}
		return true
	})
	return out
}
