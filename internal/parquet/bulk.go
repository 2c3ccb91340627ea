package parquet

import (
	"slices"

	"github.com/parquet-go/parquet-go"

	"github.com/lakeward/lakeward/internal/vector"
)

// take adds rows of the open page, which lie behind those of the last call: side by side at once where their values
// need nothing but to be copied, else one by one.
func (c *cursor) take(rows []int64, out *vector.Vector) (done int, err error) {
	from, n := int(rows[0]-c.first), len(rows)
	if rows[n-1]-rows[0] == int64(n-1) && c.copies() {
		c.appendRows(from, n, out)
		return n, nil
	}
	for i, row := range rows {
		if err := c.appendRow(int(row-c.first), out); err != nil {
			return i, err
		}
	}
	return n, nil
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

// appendRows adds the entries from to from+n-1 of a page of a flat column.
func (c *cursor) appendRows(from, n int, out *vector.Vector) {
	first, levels := from, []byte(nil)
	if c.def != nil {
		c.countTo(from)
		first, levels = c.dense, c.def[from:from+n]
		c.countTo(from + n)
		n = c.dense - first
		if n == len(levels) {
			levels = nil
		}
	}
	switch {
	case c.leaf.kind == vector.String && c.dict != nil:
		c.appendCodes(first, n, levels, out)
	case c.leaf.kind == vector.String:
		c.appendTexts(first, n, levels, out)
	case c.leaf.physical == parquet.Boolean:
		c.appendBools(first, n, levels, out)
	case c.leaf.physical == parquet.Double:
		out.Floats = spread(out.Floats, c.floats[first:first+n], levels, c.leaf.max.def)
		out.Appended(max(n, len(levels)))
	case c.leaf.physical == parquet.Int32:
		c.wide = c.wide[:0]
		for _, v := range c.ints32[first : first+n] {
			c.wide = append(c.wide, int64(v))
		}
		out.Ints = spread(out.Ints, c.wide, levels, c.leaf.max.def)
		out.Appended(max(n, len(levels)))
	default:
		out.Ints = spread(out.Ints, c.ints[first:first+n], levels, c.leaf.max.def)
		out.Appended(max(n, len(levels)))
	}
	for i, d := range levels {
		if d != c.leaf.max.def {
			out.SetNull(out.Len - len(levels) + i)
		}
	}
}

// countTo counts the values before entry i of the page.
func (c *cursor) countTo(i int) {
	for ; c.pos < i; c.pos++ {
		if c.def[c.pos] == c.leaf.max.def {
			c.dense++
		}
	}
}

// spread appends values, with a zero where a level says that there is none; without levels all are there.
func spread[T any](out, values []T, levels []byte, present byte) []T {
	if levels == nil {
		return append(out, values...)
	}
	var zero T
	out = slices.Grow(out, len(levels))
	for _, d := range levels {
		if d != present {
			out = append(out, zero)
			continue
		}
		out, values = append(out, values[0]), values[1:]
	}
	return out
}

// appendCodes adds n values of a dictionary; they stay codes while all of the vector are.
func (c *cursor) appendCodes(first, n int, levels []byte, out *vector.Vector) {
	c.adopt(out)
	if out.Dict == c.dict {
		out.Codes = spread(out.Codes, c.codes[first:first+n], levels, c.leaf.max.def)
		out.Appended(max(n, len(levels)))
		return
	}
	out.Plain()
	each(n, levels, c.leaf.max.def, func(k int) { out.AppendString(c.dict.Value(c.codes[first+k])) }, out)
}

func (c *cursor) appendTexts(first, n int, levels []byte, out *vector.Vector) {
	out.Plain()
	if levels != nil {
		each(n, levels, c.leaf.max.def, func(k int) { out.AppendString(c.bytes[c.offs[first+k]:c.offs[first+k+1]]) }, out)
		return
	}
	base := uint32(len(out.Bytes)) - c.offs[first]
	out.Bytes = append(out.Bytes, c.bytes[c.offs[first]:c.offs[first+n]]...)
	for _, end := range c.offs[first+1 : first+n+1] {
		out.Offsets = append(out.Offsets, base+end)
	}
	out.Appended(n)
}

func (c *cursor) appendBools(first, n int, levels []byte, out *vector.Vector) {
	each(n, levels, c.leaf.max.def, func(k int) { k += first; out.AppendBool(c.bools[k/8]>>(k%8)&1 != 0) }, out)
}

// each calls add with 0 to n-1, and adds an empty value, which is marked later, where a level says that there is none.
func each(n int, levels []byte, present byte, add func(k int), out *vector.Vector) {
	if levels == nil {
		for k := range n {
			add(k)
		}
		return
	}
	k := 0
	for _, d := range levels {
		if d != present {
			out.AppendNull()
			continue
		}
		add(k)
		k++
	}
}
