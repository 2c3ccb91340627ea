package expr

import (
	"slices"

	"github.com/lakeward/lakeward/internal/vector"
)

// rowArray evaluates what looks into arrays, maps and objects, one place at a time.
func (f *Filter) rowArray(n *Node, p *place) datum {
	a := f.rowValue(n.Args[0], p)
	switch n.Op {
	case Member:
		return memberOf(a, n.Path)
	case Single:
		if a.null() {
			return datum{kind: vector.List}
		}
		return datum{kind: vector.List, items: []datum{a}}
	case Exists:
		return truth(len(a.items) > 0)
	case Count:
		return number64(int64(len(a.items)))
	case Head:
		if len(a.items) == 0 {
			return datum{}
		}
		return a.items[0]
	case Keys, Values:
		return entriesOf(a, n.Op == Keys)
	case Distinct:
		return datum{kind: vector.List, items: distinct(a.items)}
	case Where, All, Each, Top:
		return f.rowItems(n, a, p)
	case Aggregate:
		return f.rowAggregate(n, a, p)
	}
	return rowPair(n, a, f.rowValue(n.Args[1], p))
}

// rowPair evaluates what compares an array or a map with another value.
func rowPair(n *Node, a, b datum) datum {
	within := func(list []datum) func(datum) bool {
		return func(x datum) bool {
			return !x.null() && slices.ContainsFunc(list, func(y datum) bool { return equalDatums(x, y) })
		}
	}
	switch n.Op {
	case Get:
		if b.null() {
			return datum{}
		}
		return a.entry(b.text)
	case Includes:
		return truth(within(a.items)(b))
	case Intersects:
		return truth(slices.ContainsFunc(a.items, within(b.items)))
	case Intersection:
		return datum{kind: vector.List, items: distinct(slices.DeleteFunc(slices.Clone(a.items), func(x datum) bool { return !within(b.items)(x) }))}
	case Subset:
		return truth(!a.null() && !b.null() && !slices.ContainsFunc(a.items, func(x datum) bool { return !x.null() && !within(b.items)(x) }))
	}
	return truth(!a.null() && !b.null() && equalDatums(a, b) == (n.Cmp == EQ)) // Same
}

// memberOf is a field of an object; of an array, the values of the field of all items, nulls left out and arrays laid flat.
func memberOf(a datum, name string) datum {
	if a.kind != vector.List {
		return a.entry(name)
	}
	out := datum{kind: vector.List}
	for _, item := range a.items {
		switch v := memberOf(item, name); {
		case v.null():
		case v.kind == vector.List:
			out.items = append(out.items, slices.DeleteFunc(slices.Clone(v.items), datum.null)...)
		default:
			out.items = append(out.items, v)
		}
	}
	return out
}

func entriesOf(m datum, keys bool) datum {
	if m.null() {
		return datum{}
	}
	out := datum{kind: vector.List}
	for _, i := range m.sortedEntries() {
		if keys {
			out.items = append(out.items, datum{kind: vector.String, text: m.names[i]})
		} else {
			out.items = append(out.items, m.items[i])
		}
	}
	return out
}

func distinct(items []datum) (out []datum) {
	for _, x := range items {
		if !x.null() && !slices.ContainsFunc(out, func(y datum) bool { return equalDatums(x, y) }) {
			out = append(out, x)
		}
	}
	return out
}

// rowItems evaluates what works something out for each item.
func (f *Filter) rowItems(n *Node, a datum, p *place) datum {
	out := datum{kind: vector.List}
	var by []datum
	for _, item := range a.items {
		in := &place{chunk: p.chunk, row: p.row, item: item, up: p}
		switch n.Op {
		case All:
			if !f.holds(n.Args[1], in) {
				return truth(false)
			}
		case Where:
			if f.holds(n.Args[1], in) {
				out.items = append(out.items, item)
			}
		case Each:
			if v := f.rowValue(n.Args[1], in); !v.null() {
				out.items = append(out.items, v)
			}
		case Top:
			if v := f.rowValue(n.Args[1], in); !v.null() {
				out.items, by = append(out.items, item), append(by, v)
			}
		}
	}
	switch n.Op {
	case All:
		return truth(true)
	case Top:
		return topOf(n, out.items, by)
	}
	return out
}

// topOf takes the greatest or least item again and again, the first of equal ones.
func topOf(n *Node, items, by []datum) datum {
	out := datum{kind: vector.List}
	want := LT
	if n.Fn == "topN" {
		want = GT
	}
	for len(items) > 0 && int64(len(out.items)) < n.Value.Int {
		best := 0
		for i := range by {
			if ordered(want, compareDatums(by[i], by[best])) {
				best = i
			}
		}
		out.items = append(out.items, items[best])
		items, by = slices.Delete(slices.Clone(items), best, best+1), slices.Delete(slices.Clone(by), best, best+1)
	}
	return out
}

func (f *Filter) rowAggregate(n *Node, a datum, p *place) datum {
	var values []datum
	for _, v := range a.items {
		if len(n.Args) == 2 {
			v = f.rowValue(n.Args[1], &place{chunk: p.chunk, row: p.row, item: v, up: p})
		}
		if !v.null() {
			values = append(values, v)
		}
	}
	switch {
	case n.Fn == "sum":
		return sumOf(n, values)
	case len(values) == 0:
		return datum{}
	case n.Fn == "min":
		return slices.MinFunc(values, compareDatums)
	case n.Fn == "max":
		return slices.MaxFunc(values, compareDatums)
	}
	total := 0.0
	for _, v := range values {
		total += v.number()
	}
	return real64(total / float64(len(values)))
}

func sumOf(n *Node, values []datum) datum {
	if n.Type == Double {
		total := 0.0
		for _, v := range values {
			total += v.number()
		}
		return real64(total)
	}
	total, plus := int64(0), &Node{Fn: "+", Args: []*Node{nil, nil}}
	for _, v := range values {
		if v.whole == 0 {
			continue
		}
		var ok bool
		if total, ok = integers(plus, total, v.whole); !ok {
			return datum{}
		}
	}
	return number64(total)
}
