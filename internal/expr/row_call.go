package expr

import (
	"slices"

	"github.com/lakeward/lakeward/internal/vector"
)

// ValueRow works a field out for one row on its own, value by value: slow, and without regard to Values, so that each
// proves the other. The vector has one value.
func (p *Program) ValueRow(c *vector.Chunk, i int) (v *vector.Vector, failed bool) {
	f := p.filter
	f.rowFailed, f.lambdaItems = false, map[*Node]int{}
	d := f.rowValue(f.root, &place{chunk: c, row: i})
	out := &vector.Vector{}
	out.ResetTo(f.root.ShapeOf().vector())
	if f.rowFailed {
		d = datum{}
	}
	appendDatum(out, d)
	return out, f.rowFailed
}

// appendDatum adds a value whose shape is that of the vector.
func appendDatum(v *vector.Vector, d datum) {
	if d.null() {
		v.AppendNull()
		return
	}
	switch v.Kind {
	case vector.String:
		v.AppendString([]byte(d.text))
	case vector.Float:
		v.AppendFloat(d.number())
	case vector.Bool:
		v.AppendBool(d.truth)
	case vector.Time:
		v.AppendInt(d.millis())
	case vector.List, vector.Map:
		for k, item := range d.items {
			if v.Kind == vector.Map {
				v.Fields[0].AppendString([]byte(d.names[k]))
			}
			appendDatum(&v.Fields[len(v.Fields)-1], item)
		}
		v.AppendItems()
	case vector.Struct:
		for k := range v.Fields {
			appendDatum(&v.Fields[k], d.items[k])
		}
		v.AppendItems()
	default:
		v.AppendInt(d.whole)
	}
}

// rowCalculated evaluates the operations of calculated fields at a place.
func (f *Filter) rowCalculated(n *Node, p *place) datum {
	switch n.Op {
	case Call:
		return f.rowCall(n, p)
	case Choose:
		if f.holds(n.Args[0], p) {
			return f.rowValue(n.Args[1], p)
		}
		return f.rowValue(n.Args[2], p)
	case Coalesce:
		for _, a := range n.Args {
			if d := f.rowValue(a, p); !d.null() {
				return d
			}
		}
	case Decode:
		return f.rowDecode(n, p)
	case Build:
		d := datum{kind: vector.Struct, names: n.Shape.Names}
		for _, a := range n.Args {
			d.items = append(d.items, f.rowValue(a, p))
		}
		if slices.ContainsFunc(d.items, func(d datum) bool { return !d.null() }) {
			return d
		}
	case Transform, Keep:
		return f.rowLambda(n, p)
	}
	return datum{}
}

func (f *Filter) rowDecode(n *Node, p *place) datum {
	want := f.rowValue(n.Args[0], p)
	found := -1
	last := len(n.Args) - 1
	for k := 1; k+1 <= last; k += 2 {
		key := f.rowValue(n.Args[k], p)
		if found < 0 && !want.null() && !key.null() && equalDatums(want, key) {
			found = k + 1
		}
	}
	if found < 0 && last%2 == 1 {
		found = last
	}
	if found < 0 {
		return datum{}
	}
	return f.rowValue(n.Args[found], p)
}

func (f *Filter) rowLambda(n *Node, p *place) datum {
	list := f.rowValue(n.Args[0], p)
	if list.null() {
		return list
	}
	if f.lambdaItems[n] += len(list.items); f.lambdaItems[n] > n.limit {
		f.rowFailed = true
		return datum{}
	}
	out := datum{kind: vector.List}
	for _, item := range list.items {
		in := &place{chunk: p.chunk, row: p.row, item: item, up: p}
		if n.Op == Transform {
			out.items = append(out.items, f.rowValue(n.Args[1], in))
		} else if f.holds(n.Args[1], in) {
			out.items = append(out.items, item)
		}
	}
	return out
}

// rowCall calls a function with arguments of its own.
func (f *Filter) rowCall(n *Node, p *place) datum {
	c := cells{f: f, n: n, at: make([]int, len(n.Args)), out: &vector.Vector{}}
	for _, a := range n.Args {
		v := &vector.Vector{}
		v.ResetTo(a.ShapeOf().vector())
		appendDatum(v, f.rowValue(a, p))
		c.args = append(c.args, v)
	}
	if p.chunk.Numbers != nil {
		c.number = p.chunk.Numbers[p.row]
	}
	c.out.ResetTo(n.ShapeOf().vector())
	c.one()
	f.rowFailed = f.rowFailed || c.failed
	return datumOf(c.out, 0)
}
