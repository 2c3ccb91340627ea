package vector_test

import (
	"reflect"
	"testing"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
)

// TestAppendRowsEqualsAppendFrom adds rows of every kind of vector, with nulls and without, to an empty one and to one
// that holds something.
func TestAppendRowsEqualsAppendFrom(t *testing.T) {
	for _, typ := range []lakeward.FieldType{lakeward.TypeString, lakeward.TypeLong, lakeward.TypeDouble, lakeward.TypeBoolean, lakeward.TypeDate, lakeward.TypeDateTime, lakeward.TypeArray} {
		for _, nulls := range []bool{false, true} {
			for _, coded := range []bool{false, typ == lakeward.TypeString} {
				src := sample(typ, nulls, coded)
				for _, filled := range []bool{false, true} {
					var got, want vector.Vector
					got.ResetTo(src.Shape())
					want.ResetTo(src.Shape())
					if filled {
						other := sample(typ, nulls, false)
						for i := range other.Len {
							got.AppendFrom(&other, i)
							want.AppendFrom(&other, i)
						}
					}
					rows := []int32{70, 3, 3, 0, 64, 5}
					got.AppendRows(&src, rows)
					for _, i := range rows {
						want.AppendFrom(&src, int(i))
					}
					if g, w := plain(&got), plain(&want); !reflect.DeepEqual(g, w) {
						t.Errorf("%s, nulls %v, codes %v, filled %v: %v, not %v", typ, nulls, coded, filled, g, w)
					}
				}
			}
		}
	}
}

// sample is a vector of 71 values.
func sample(typ lakeward.FieldType, nulls, coded bool) (v vector.Vector) {
	v.ResetTo(vector.ShapeOfField(lakeward.Field{Type: typ, Item: &lakeward.Field{Type: lakeward.TypeLong}}))
	if coded {
		v.Dict = &vector.Dictionary{Offsets: []uint32{0, 1, 3}, Bytes: []byte("abb")}
	}
	for i := range 71 {
		switch {
		case nulls && i%3 == 0:
			v.AppendNull()
		case coded:
			v.AppendCode(int32(i % 2))
		case v.Kind == vector.String:
			v.AppendString([]byte{byte('a' + i%20)})
		case v.Kind == vector.Float:
			v.AppendFloat(float64(i) / 2)
		case v.Kind == vector.Bool:
			v.AppendBool(i%2 == 0)
		case v.Kind == vector.List:
			v.Fields[0].AppendInt(int64(i))
			v.AppendItems()
		default:
			v.AppendInt(int64(i))
		}
	}
	return v
}

// plain is what the values are, whatever the vector keeps them in.
func plain(v *vector.Vector) (out []string) {
	for i := range v.Len {
		switch {
		case v.IsNull(i):
			out = append(out, "null")
		case v.Kind == vector.List:
			from, to := v.Items(i)
			text := ""
			for k := from; k < to; k++ {
				text += string(v.Fields[0].AppendText(nil, k)) + " "
			}
			out = append(out, text)
		default:
			out = append(out, string(v.AppendText(nil, i)))
		}
	}
	return out
}
