package parquet

import (
	"slices"

	"github.com/parquet-go/parquet-go"

	"github.com/lakeward/lakeward/internal/vector"
)

// take adds rows of the open page, which lie behind those of the last call: at once where their values need nothing but
// to be copied, else one by one. It returns the number of those that were added.
func (c *cursor) take(rows []int64, out *vector.Vector) (done int, err error) {
	if c.copies() {
		c.appendRows(rows, out)
		return len(rows), nil
	}
	for i, row := range rows {
		if err := c.appendRow(int(row-c.first), out); err != nil {
			return i, err
		}
	}
	return len(rows), nil
}

// copies reports whether the values of the page are those that are wanted.
func (c *cursor) copies() bool {
	l := c.leaf
	if l.kind == vector.String {
		return true
	}
	if c.codes != nil || l.unsigned || l.divisor != 1 || l.factor != 1 {
		return false
	}
	switch l.physical {
	case parquet.Double, parquet.Boolean:
		return true
	case parquet.Int64, parquet.Int32:
		return l.want != vector.Float
	}
	return false
}

// places are where the values of rows lie in a page: n of them from first on, or at each its own, -1 for none.
type places struct {
	first, n int
	each     []int32
}

// find returns the places of rows in the page of a flat column.
func (c *cursor) find(rows []int64) places {
	n := len(rows)
	from, together := int(rows[0]-c.first), rows[n-1]-rows[0] == int64(n-1)
	if c.def == nil && together {
		return places{first: from, n: n}
	}
	if c.def != nil && together {
		c.countTo(from)
		before := c.dense
		if !slices.ContainsFunc(c.def[from:from+n], func(d byte) bool { return d != c.leaf.max.def }) {
			return places{first: before, n: n}
		}
	}
	c.each = c.each[:0]
	for _, row := range rows {
		at := int32(row - c.first)
		if c.def != nil {
			c.countTo(int(at))
			if c.def[at] != c.leaf.max.def {
				c.each = append(c.each, -1)
				continue
			}
			at = int32(c.dense)
		}
		c.each = append(c.each, at)
	}
	return places{n: n, each: c.each}
}

// appendRows adds rows of a page of a flat column whose values are copied.
func (c *cursor) appendRows(rows []int64, out *vector.Vector) {
	p := c.find(rows)
	switch {
	case c.leaf.kind == vector.String:
		c.appendStrings(p, out)
		return
	case c.leaf.physical == parquet.Boolean:
		p.all(func(k int) { out.AppendBool(c.bools[k/8]>>(k%8)&1 != 0) }, out.AppendNull)
		return
	case c.leaf.physical == parquet.Double:
		out.Floats = pick(out.Floats, c.floats, p)
	case c.leaf.physical == parquet.Int32:
		out.Ints = slices.Grow(out.Ints, p.n)
		p.all(func(k int) { out.Ints = append(out.Ints, int64(c.ints32[k])) }, func() { out.Ints = append(out.Ints, 0) })
	default:
		out.Ints = pick(out.Ints, c.ints, p)
	}
	p.added(out)
}

// countTo counts the values before entry i of the page.
func (c *cursor) countTo(i int) {
	for ; c.pos < i; c.pos++ {
		if c.def[c.pos] == c.leaf.max.def {
			c.dense++
		}
	}
}

// pick appends the values at places, a zero where there is none.
func pick[T any](out, values []T, p places) []T {
	if p.each == nil {
		return append(out, values[p.first:p.first+p.n]...)
	}
	var zero T
	out = slices.Grow(out, p.n)
	for _, k := range p.each {
		if k < 0 {
			out = append(out, zero)
			continue
		}
		out = append(out, values[k])
	}
	return out
}

// all calls some with the place of each value and none where there is none.
func (p places) all(some func(k int), none func()) {
	if p.each == nil {
		for k := range p.n {
			some(p.first + k)
		}
		return
	}
	for _, k := range p.each {
		if k < 0 {
			none()
			continue
		}
		some(int(k))
	}
}

// added notes what was appended to the values of a vector, and which of it is null.
func (p places) added(out *vector.Vector) {
	start := out.Len
	out.Appended(p.n)
	for i, k := range p.each {
		if k < 0 {
			out.SetNull(start + i)
		}
	}
}

// appendStrings adds texts; codes of a dictionary stay codes while all of the vector are.
func (c *cursor) appendStrings(p places, out *vector.Vector) {
	if c.dict != nil {
		if c.adopt(out); out.Dict == c.dict {
			out.Codes = pick(out.Codes, c.codes, p)
			p.added(out)
			return
		}
		out.Plain()
		p.all(func(k int) { out.AppendString(c.dict.Value(c.codes[k])) }, out.AppendNull)
		return
	}
	if p.each != nil {
		out.Plain()
		p.all(func(k int) { out.AppendString(c.bytes[c.offs[k]:c.offs[k+1]]) }, out.AppendNull)
		return
	}
	out.AppendTexts(c.bytes, c.offs[p.first:p.first+p.n+1])
}
