package expr

import (
	"bytes"

	"github.com/lakeward/lakeward/internal/vector"
)

// choice tells for each row which argument of Choose, Coalesce or Decode its value is; -1 for null.
func (f *Filter) choice(n *Node, c *frame) []int {
	out := make([]int, c.rows)
	switch n.Op {
	case Choose:
		holds := f.bits(n.Args[0], c)
		for i := range out {
			if out[i] = 2; holds.Get(i) {
				out[i] = 1
			}
		}
	case Coalesce:
		for i := range out {
			out[i] = -1
		}
		for k := range n.Args {
			v := f.value(n.Args[k], c)
			for i := range out {
				if out[i] < 0 && !v.IsNull(i) {
					out[i] = k
				}
			}
		}
	case Decode:
		f.decode(n, c, out)
	}
	return out
}

// decode finds, for each row, the value behind the first key that equals Args[0]; the default is the last argument.
func (f *Filter) decode(n *Node, c *frame, out []int) {
	last := len(n.Args) - 1
	other := -1
	if last%2 == 1 {
		other = last
	}
	for i := range out {
		out[i] = -2
	}
	want := f.value(n.Args[0], c)
	var a, b []byte
	for k := 1; k+1 <= last; k += 2 {
		key := f.value(n.Args[k], c)
		for i := range out {
			if out[i] != -2 || want.IsNull(i) || key.IsNull(i) {
				continue
			}
			a, b = appendKey(a[:0], want, i), appendKey(b[:0], key, i)
			if bytes.Equal(a, b) {
				out[i] = k + 1
			}
		}
	}
	for i := range out {
		if out[i] == -2 {
			out[i] = other
		}
	}
}

// chosen evaluates Choose, Coalesce and Decode.
func (f *Filter) chosen(n *Node, c *frame) *vector.Vector {
	choice := f.choice(n, c)
	values := make([]*vector.Vector, len(n.Args))
	out := &vector.Vector{}
	out.ResetTo(n.ShapeOf().vector())
	for i, k := range choice {
		if k < 0 {
			out.AppendNull()
			continue
		}
		if values[k] == nil {
			values[k] = f.value(n.Args[k], c)
		}
		out.AppendFrom(values[k], i)
	}
	return out
}

// object evaluates Build: an object of the arguments, named by the shape; null if all are.
func (f *Filter) object(n *Node, c *frame) *vector.Vector {
	out := &vector.Vector{}
	fields := make([]*vector.Vector, len(n.Args))
	shape := vector.Shape{Kind: vector.Struct, Names: n.Shape.Names}
	for k, a := range n.Args {
		fields[k] = f.value(a, c)
		shape.Fields = append(shape.Fields, fields[k].Shape())
	}
	out.ResetTo(shape)
	for i := range c.rows {
		some := false
		for _, v := range fields {
			some = some || !v.IsNull(i)
		}
		if !some {
			out.AppendNull()
			continue
		}
		for k, v := range fields {
			out.Fields[k].AppendFrom(v, i)
		}
		out.AppendItems()
	}
	return out
}

// perItem evaluates Transform, a value for each item with nulls kept, and Keep, the items for which a condition holds.
func (f *Filter) perItem(n *Node, c *frame) *vector.Vector {
	list, in := f.within(n, c)
	out := &vector.Vector{}
	out.ResetTo(n.ShapeOf().vector())
	var values *vector.Vector
	var holds vector.Bits
	if n.Op == Transform {
		values = f.value(n.Args[1], in)
	} else {
		holds = f.bits(n.Args[1], in)
	}
	for i := range c.rows {
		if list.IsNull(i) {
			out.AppendNull()
			continue
		}
		from, to := list.Items(i)
		for k := from; k < to; k++ {
			switch {
			case n.Op == Transform:
				out.Fields[0].AppendFrom(values, k)
			case holds.Get(k):
				out.Fields[0].AppendFrom(&list.Fields[0], k)
			}
		}
		out.AppendItems()
	}
	if f.tooLarge(out) {
		return nullVector(n.ShapeOf().vector(), c.rows)
	}
	return out
}

// within is the array of Transform or Keep and the frame of its items. A row whose items would take too many steps
// fails and counts as empty.
func (f *Filter) within(n *Node, c *frame) (*vector.Vector, *frame) {
	list := f.value(n.Args[0], c)
	if over := c.over(list, n.limit); over != nil {
		rest := &vector.Vector{}
		rest.ResetTo(list.Shape())
		for i := range list.Len {
			if over.Get(i) {
				c.fail(n, i)
				rest.AppendNull()
			} else {
				rest.AppendFrom(list, i)
			}
		}
		list = rest
	}
	if c.root().rows > 1 && list.Fields[0].Len > maxSteps {
		f.narrow = true
		list = nullVector(list.Shape(), list.Len)
	}
	in := itemsOf(list, c)
	if c.lambdas == nil {
		c.lambdas = map[*Node]*frame{}
	}
	c.lambdas[n] = in
	return list, in
}

// over are the rows whose row of the chunk has more items in all than the limit; nil if there are none.
func (c *frame) over(list *vector.Vector, limit int) vector.Bits {
	if list.Fields[0].Len <= limit {
		return nil
	}
	tops := c.tops()
	count := map[int32]int{}
	for i := range list.Len {
		from, to := list.Items(i)
		count[tops(i)] += to - from
	}
	var over vector.Bits
	for i := range list.Len {
		if count[tops(i)] > limit {
			if over == nil {
				over = vector.NewBits(list.Len)
			}
			over.Set(i)
		}
	}
	return over
}

// tops tells the row of the chunk that a row of the frame belongs to.
func (c *frame) tops() func(i int) int32 {
	return func(i int) int32 {
		row := int32(i)
		for at := c; at.up != nil; at = at.up {
			row = at.parent[row]
		}
		return row
	}
}

func (c *frame) root() *frame {
	for c.up != nil {
		c = c.up
	}
	return c
}

// fail notes that a node failed for a row.
func (c *frame) fail(n *Node, i int) {
	if c.failures == nil {
		c.failures = map[*Node]vector.Bits{}
	}
	b := c.failures[n]
	if b == nil {
		b = vector.NewBits(c.rows)
		c.failures[n] = b
	}
	b.Set(i)
	c.root().failed = true
}
