package expr

import (
	"math/bits"

	"github.com/lakeward/lakeward/internal/vector"
)

// frame is what an expression is evaluated over: the rows of a chunk, or the items of an array of the frame above.
type frame struct {
	rows    int
	columns []vector.Vector // of the chunk; nil for items
	item    *vector.Vector
	up      *frame
	parent  []int32 // row of the frame above, for each item

	// What expressions that stand several times gave here, and the frames of arrays.
	bits   map[*Node]vector.Bits
	values map[*Node]*vector.Vector
	inside map[*vector.Vector]*frame

	// Of calculated fields: the numbers of the profiles, what failed where, the frames of lambdas, and, of the chunk,
	// whether anything failed at all.
	numbers  []uint32
	failures map[*Node]vector.Bits
	lambdas  map[*Node]*frame
	failed   bool
}

func (c *frame) keepBits(n *Node, b vector.Bits) {
	if c.bits == nil {
		c.bits = map[*Node]vector.Bits{}
	}
	c.bits[n] = b
}

func (c *frame) keepValue(n *Node, v *vector.Vector) {
	if c.values == nil {
		c.values = map[*Node]*vector.Vector{}
	}
	c.values[n] = v
}

// itemsOf is the frame of the items of an array, one list for each row of c.
func itemsOf(list *vector.Vector, c *frame) *frame {
	if in := c.inside[list]; in != nil {
		return in
	}
	items := &list.Fields[len(list.Fields)-1]
	in := &frame{rows: items.Len, item: plainNumbers(items), up: c, parent: make([]int32, items.Len)}
	for i := range list.Len {
		from, to := list.Items(i)
		for k := from; k < to; k++ {
			in.parent[k] = int32(i)
		}
	}
	if c.inside == nil {
		c.inside = map[*vector.Vector]*frame{}
	}
	c.inside[list] = in
	return in
}

// eachKept calls fn with the items that are kept, all for nil, in their order.
func (c *frame) eachKept(keep vector.Bits, fn func(k int)) {
	if keep == nil {
		for k := range c.rows {
			fn(k)
		}
		return
	}
	for i, w := range keep {
		for ; w != 0; w &= w - 1 {
			fn(i<<6 + bits.TrailingZeros64(w))
		}
	}
}

// above is the frame so many arrays further out.
func (c *frame) above(up int) *frame {
	for range up {
		c = c.up
	}
	return c
}

// rowsAbove tells for each row the row of the frame so many arrays further out.
func (c *frame) rowsAbove(up int) []int32 {
	rows := c.parent
	for at := c.up; up > 1; up-- {
		next := make([]int32, len(rows))
		for i, r := range rows {
			next[i] = at.parent[r]
		}
		rows, at = next, at.up
	}
	return rows
}

// gather is the vector of the values at rows.
func gather(v *vector.Vector, rows []int32) *vector.Vector {
	out := &vector.Vector{}
	out.ResetTo(v.Shape())
	if v.Dict != nil && v.Valid == nil {
		out.Dict, out.Len, out.Codes = v.Dict, len(rows), make([]int32, len(rows))
		for i, r := range rows {
			out.Codes[i] = v.Codes[r]
		}
		return out
	}
	for _, r := range rows {
		out.AppendFrom(v, int(r))
	}
	return out
}
