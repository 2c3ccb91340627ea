package vector

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// drawn is a vector of random values, with and without nulls, as the steps make them.
func drawn(t *rapid.T, s Shape, dicts []*Dictionary) *Vector {
	v := &Vector{}
	v.ResetTo(s)
	n := rapid.IntRange(0, 200).Draw(t, "values")
	if d := rapid.SampledFrom(dicts).Draw(t, "dictionary"); s.Kind == String && n > 0 {
		v.Dict = d
	}
	nulls := rapid.Bool().Draw(t, "nulls")
	for i := range n {
		if nulls && rapid.IntRange(0, 9).Draw(t, "null") == 0 {
			v.AppendNull()
			continue
		}
		x := rapid.IntRange(0, 1000).Draw(t, "value")
		switch s.Kind {
		case String:
			if v.Dict != nil {
				v.AppendCode(int32(x % v.Dict.Len()))
				continue
			}
			v.AppendString(bytes.Repeat([]byte{'a' + byte(i%26)}, x%7))
		case Float:
			v.AppendFloat(float64(x) / 4)
		case Bool:
			v.AppendBool(x%2 == 0)
		case List:
			for range x % 3 {
				v.Fields[0].AppendInt(int64(x))
			}
			v.AppendItems()
		case Struct:
			v.Fields[0].AppendInt(int64(x))
			v.Fields[1].AppendString([]byte("b"))
			v.AppendItems()
		default:
			v.AppendInt(int64(x))
		}
	}
	return v
}

// A range is added as its values are one by one.
func TestAppendRange(t *testing.T) {
	dicts := []*Dictionary{nil, {Offsets: []uint32{0, 1, 3}, Bytes: []byte("xyz")}, {Offsets: []uint32{0, 2, 3, 3}, Bytes: []byte("uvw")}}
	shapes := []Shape{{Kind: String}, {Kind: Int}, {Kind: Float}, {Kind: Bool}, {Kind: Date}, {Kind: Decimal, Scale: 2}, {Kind: List, Fields: []Shape{{Kind: Int}}},
		{Kind: Struct, Names: []string{"a", "b"}, Fields: []Shape{{Kind: Int}, {Kind: String}}}}
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.SampledFrom(shapes).Draw(t, "shape")
		var got, want Vector
		got.ResetTo(s)
		want.ResetTo(s)
		for range rapid.IntRange(1, 4).Draw(t, "ranges") {
			src := drawn(t, s, dicts)
			lo := rapid.IntRange(0, src.Len).Draw(t, "lo")
			hi := rapid.IntRange(lo, src.Len).Draw(t, "hi")
			got.AppendRange(src, lo, hi)
			for i := lo; i < hi; i++ {
				want.AppendFrom(src, i)
			}
			if rapid.Bool().Draw(t, "truncate") {
				n := rapid.IntRange(0, got.Len).Draw(t, "keep")
				got.Truncate(n)
				want.Truncate(n)
			}
		}
		equalVectors(t, &got, &want)
	})
}

func equalVectors(t *rapid.T, got, want *Vector) {
	if got.Len != want.Len {
		t.Fatalf("%d values, want %d", got.Len, want.Len)
	}
	for i := range want.Len {
		if got.IsNull(i) != want.IsNull(i) {
			t.Fatalf("value %d is null: %v, want %v", i, got.IsNull(i), want.IsNull(i))
		}
		if g, w := text(got, i), text(want, i); g != w {
			t.Fatalf("value %d is %s, want %s", i, g, w)
		}
	}
}

func text(v *Vector, i int) string {
	switch v.Kind {
	case List:
		from, to := v.Items(i)
		return fmt.Sprint(v.Fields[0].Ints[from:to])
	case Struct:
		return text(&v.Fields[0], i) + text(&v.Fields[1], i)
	}
	return string(v.AppendText(nil, i))
}
