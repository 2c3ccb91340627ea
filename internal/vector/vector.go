// Package vector is what moves between the steps of an export: columns of values
// and chunks of equally long columns. It does no input or output.
//
// The one thing to know: a vector's value i stands at index i, also when others are
// null; strings are either codes into a dictionary or bytes with offsets.
package vector

import (
	"math/bits"
	"slices"

	"github.com/lakeward/lakeward"
)

// MaxRows is the largest number of rows in a chunk.
const MaxRows = 4096

// Kind is the way a vector keeps its values.
type Kind uint8

// The kinds. Dates are days since 1970-01-01, times milliseconds since then, in UTC.
const (
	String Kind = iota + 1
	Int
	Float
	Bool
	Date
	Time
	Decimal // whole numbers of units of 10 to the power of -Scale
	List    // of values of one shape
	Map     // of values of one shape by text
	Struct  // of named values
)

// KindOf returns the kind that holds values of a field type.
func KindOf(t lakeward.FieldType) Kind {
	switch t {
	case lakeward.TypeString:
		return String
	case lakeward.TypeInteger, lakeward.TypeLong:
		return Int
	case lakeward.TypeDouble:
		return Float
	case lakeward.TypeBoolean:
		return Bool
	case lakeward.TypeDate:
		return Date
	case lakeward.TypeDateTime:
		return Time
	case lakeward.TypeDecimal:
		return Decimal
	case lakeward.TypeArray:
		return List
	case lakeward.TypeMap:
		return Map
	}
	return Struct
}

// Bits is a bitmap over the rows of a chunk, row 0 in the lowest bit of word 0.
type Bits []uint64

// NewBits returns n bits, all clear.
func NewBits(n int) Bits { return make(Bits, (n+63)/64) }

// Get reports bit i.
func (b Bits) Get(i int) bool { return b[i>>6]>>(i&63)&1 != 0 }

// Set sets bit i.
func (b Bits) Set(i int) { b[i>>6] |= 1 << (i & 63) }

// Clear clears bit i.
func (b Bits) Clear(i int) { b[i>>6] &^= 1 << (i & 63) }

// Fill sets bits 0 to n-1 and clears the rest.
func (b Bits) Fill(n int) {
	for i := range b {
		b[i] = ^uint64(0)
	}
	if n&63 != 0 {
		b[len(b)-1] = 1<<(n&63) - 1
	}
}

// Count is the number of set bits.
func (b Bits) Count() int {
	n := 0
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	return n
}

// Ones is the number of set bits from a bit to before another one.
func (b Bits) Ones(from, to int) int {
	if from >= to {
		return 0
	}
	first, last := from>>6, (to-1)>>6
	head, tail := ^uint64(0)<<(from&63), ^uint64(0)>>(63-(to-1)&63)
	if first == last {
		return bits.OnesCount64(b[first] & head & tail)
	}
	n := bits.OnesCount64(b[first]&head) + bits.OnesCount64(b[last]&tail)
	for _, w := range b[first+1 : last] {
		n += bits.OnesCount64(w)
	}
	return n
}

// Dictionary holds the distinct values of a string column: entry k is Bytes[Offsets[k]:Offsets[k+1]].
// It is never changed once made, so its address identifies its content.
type Dictionary struct {
	Offsets []uint32
	Bytes   []byte
}

// Len is the number of entries.
func (d *Dictionary) Len() int { return max(0, len(d.Offsets)-1) }

// Value returns entry k. The caller must not change it.
func (d *Dictionary) Value(k int32) []byte { return d.Bytes[d.Offsets[k]:d.Offsets[k+1]] }

// Vector is a column of values of one kind: at most MaxRows in a chunk, any number below a list or a map.
type Vector struct {
	Kind  Kind
	Len   int
	Valid Bits // bit i is set when value i is present, or lies behind the bits; nil when all are

	Ints   []int64   // Int, Date, Time, Decimal
	Floats []float64 // Float
	Bools  Bits      // Bool
	Scale  uint8     // Decimal: digits behind the point

	Dict    *Dictionary // String by code: Codes index it
	Codes   []int32
	Offsets []uint32 // String otherwise: value i is Bytes[Offsets[i]:Offsets[i+1]]; List, Map: so are the items
	Bytes   []byte

	// Fields are the items of a List; the keys, then the values, of a Map; the columns of a Struct, named by Names.
	Fields []Vector
	Names  []string
}

// Shape is what values look like: their kind and, for nested ones, what is inside, as in Vector.Fields.
type Shape struct {
	Kind   Kind
	Scale  uint8
	Names  []string
	Fields []Shape
}

// ShapeOf is the shape of a field's values.
func ShapeOf(l lakeward.Leaf) Shape {
	return ShapeOfField(lakeward.Field{Type: l.Type, Item: l.Item, Scale: l.Scale})
}

// ShapeOfField is ShapeOf for a field of any type.
func ShapeOfField(f lakeward.Field) Shape {
	s := Shape{Kind: KindOf(f.Type), Scale: f.Scale}
	switch s.Kind {
	case List:
		s.Fields = []Shape{ShapeOfField(*f.Item)}
	case Map:
		s.Fields = []Shape{{Kind: String}, ShapeOfField(*f.Item)}
	case Struct:
		for _, below := range f.Fields {
			s.Names, s.Fields = append(s.Names, below.Name), append(s.Fields, ShapeOfField(below))
		}
	}
	return s
}

// Shape is the shape of the vector's values.
func (v *Vector) Shape() Shape {
	s := Shape{Kind: v.Kind, Scale: v.Scale, Names: v.Names}
	for i := range v.Fields {
		s.Fields = append(s.Fields, v.Fields[i].Shape())
	}
	return s
}

// ResetTo empties the vector for values of a shape; its memory is kept.
func (v *Vector) ResetTo(s Shape) {
	v.Reset(s.Kind)
	v.Scale, v.Names = s.Scale, s.Names
	if len(v.Fields) != len(s.Fields) {
		v.Fields = make([]Vector, len(s.Fields))
	}
	for i := range s.Fields {
		v.Fields[i].ResetTo(s.Fields[i])
	}
}

// Items is the range of the items of list or map i in its Fields; empty if it is null.
func (v *Vector) Items(i int) (from, to int) { return int(v.Offsets[i]), int(v.Offsets[i+1]) }

// Field is the column of a Struct with that name, nil if there is none.
func (v *Vector) Field(name string) *Vector {
	for i, n := range v.Names {
		if n == name {
			return &v.Fields[i]
		}
	}
	return nil
}

// IsNull reports whether value i is absent.
func (v *Vector) IsNull(i int) bool {
	return v.Valid != nil && i>>6 < len(v.Valid) && !v.Valid.Get(i)
}

// AnyNull reports whether one of the values from lo to before hi is absent.
func (v *Vector) AnyNull(lo, hi int) bool {
	for i := lo; i < hi && i>>6 < len(v.Valid); i += 64 {
		n := min(64, hi-i)
		if v.Valid.word(i, n, ^uint64(0)) != ^uint64(0)>>(64-n) {
			return true
		}
	}
	return false
}

// Str returns string i, empty if it is null. The caller must not change it or keep it past the chunk.
func (v *Vector) Str(i int) []byte {
	if v.Dict != nil {
		if v.IsNull(i) {
			return nil
		}
		return v.Dict.Value(v.Codes[i])
	}
	return v.Bytes[v.Offsets[i]:v.Offsets[i+1]]
}

// Reset empties the vector for values of a scalar kind; its memory is kept.
func (v *Vector) Reset(k Kind) {
	*v = Vector{Kind: k, Valid: nil, Ints: v.Ints[:0], Floats: v.Floats[:0], Bools: v.Bools[:0],
		Codes: v.Codes[:0], Offsets: append(v.Offsets[:0], 0), Bytes: v.Bytes[:0], Fields: v.Fields}
}

// AppendNull adds an absent value.
func (v *Vector) AppendNull() {
	switch v.Kind {
	case List, Map:
		v.Offsets = append(v.Offsets, v.Offsets[v.Len])
	case Struct:
		for i := range v.Fields {
			v.Fields[i].AppendNull()
		}
	case Float:
		v.Floats = append(v.Floats, 0)
	case Bool:
		v.appendBool(false)
	case String:
		if v.Dict != nil {
			v.Codes = append(v.Codes, 0)
		} else {
			v.Offsets = append(v.Offsets, uint32(len(v.Bytes)))
		}
	default:
		v.Ints = append(v.Ints, 0)
	}
	v.SetNull(v.Len)
	v.Len++
}

// AppendString adds a string; the bytes are copied.
func (v *Vector) AppendString(s []byte) {
	v.Bytes = append(v.Bytes, s...)
	v.Offsets = append(v.Offsets, uint32(len(v.Bytes)))
	v.Len++
}

// AppendCode adds entry k of the vector's dictionary.
func (v *Vector) AppendCode(k int32) {
	v.Codes = append(v.Codes, k)
	v.Len++
}

// AppendItems ends a list or a map whose items were appended to its Fields, or a struct whose fields were.
func (v *Vector) AppendItems() {
	if v.Kind != Struct {
		v.Offsets = append(v.Offsets, uint32(v.Fields[len(v.Fields)-1].Len))
	}
	v.Len++
}

// Truncate takes back all values from n on, and what was appended inside a nested one that is not ended.
func (v *Vector) Truncate(n int) {
	if n > v.Len || n == v.Len && len(v.Fields) == 0 {
		return
	}
	if v.Valid != nil {
		for i := n; i < v.Len && i>>6 < len(v.Valid); i++ {
			v.Valid.Set(i)
		}
	}
	switch v.Kind {
	case String, List, Map:
		v.truncateItems(n)
	case Struct:
		for i := range v.Fields {
			v.Fields[i].Truncate(n)
		}
	case Float:
		v.Floats = v.Floats[:n]
	case Bool:
		v.Bools = v.Bools[:(n+63)/64]
		if n&63 != 0 {
			v.Bools[len(v.Bools)-1] &= 1<<(n&63) - 1
		}
	default:
		v.Ints = v.Ints[:n]
	}
	v.Len = n
}

// truncateItems is Truncate for texts, lists and maps.
func (v *Vector) truncateItems(n int) {
	switch {
	case v.Dict != nil:
		v.Codes = v.Codes[:n]
		return
	case v.Kind == String:
		v.Bytes = v.Bytes[:v.Offsets[n]]
	}
	for i := range v.Fields {
		v.Fields[i].Truncate(int(v.Offsets[n]))
	}
	v.Offsets = v.Offsets[:n+1]
}

// Size is about the number of bytes that the values take.
func (v *Vector) Size() int {
	n := len(v.Bytes) + 8*len(v.Ints) + 8*len(v.Floats) + 4*len(v.Codes) + 4*len(v.Offsets)
	for i := range v.Fields {
		n += v.Fields[i].Size()
	}
	return n
}

// AppendInt adds an integer, a date or a time.
func (v *Vector) AppendInt(n int64) {
	v.Ints = append(v.Ints, n)
	v.Len++
}

// AppendFloat adds a double.
func (v *Vector) AppendFloat(f float64) {
	v.Floats = append(v.Floats, f)
	v.Len++
}

// AppendBool adds a boolean.
func (v *Vector) AppendBool(b bool) {
	v.appendBool(b)
	v.Len++
}

func (v *Vector) appendBool(b bool) {
	if v.Len&63 == 0 {
		v.Bools = append(v.Bools, 0)
	}
	if b {
		v.Bools.Set(v.Len)
	}
}

// Plain turns codes into bytes with offsets; a vector of another kind stays as it is.
func (v *Vector) Plain() {
	if v.Dict == nil {
		return
	}
	v.Offsets, v.Bytes = append(v.Offsets[:0], 0), v.Bytes[:0]
	for i := range v.Len {
		v.Bytes = append(v.Bytes, v.Str(i)...)
		v.Offsets = append(v.Offsets, uint32(len(v.Bytes)))
	}
	v.Dict, v.Codes = nil, v.Codes[:0]
}

// AppendFrom adds value i of src, which has the same shape. Codes stay codes only while both share a dictionary.
func (v *Vector) AppendFrom(src *Vector, i int) {
	if src.IsNull(i) {
		v.AppendNull()
		return
	}
	switch v.Kind {
	case List, Map:
		from, to := src.Items(i)
		for f := range v.Fields {
			for k := from; k < to; k++ {
				v.Fields[f].AppendFrom(&src.Fields[f], k)
			}
		}
		v.AppendItems()
	case Struct:
		v.appendStruct(src, i)
	case String:
		if v.Len == 0 && src.Dict != nil {
			v.Dict = src.Dict
		}
		if v.Dict != nil && v.Dict == src.Dict {
			v.AppendCode(src.Codes[i])
			return
		}
		v.Plain()
		v.AppendString(src.Str(i))
	case Float:
		v.AppendFloat(src.Floats[i])
	case Bool:
		v.AppendBool(src.Bools.Get(i))
	default:
		v.AppendInt(src.Ints[i])
	}
}

// appendStruct copies an object field by field: by name where the two do not know the same fields.
func (v *Vector) appendStruct(src *Vector, i int) {
	same := slices.Equal(v.Names, src.Names)
	for f := range v.Fields {
		switch {
		case same:
			v.Fields[f].AppendFrom(&src.Fields[f], i)
		case src.Field(v.Names[f]) != nil:
			v.Fields[f].AppendFrom(src.Field(v.Names[f]), i)
		default:
			v.Fields[f].AppendNull()
		}
	}
	v.AppendItems()
}

// Chunk is a set of equally long columns. Numbers, where used, are the profile numbers of the rows.
type Chunk struct {
	Len     int
	Numbers []uint32
	Columns []Vector
}
