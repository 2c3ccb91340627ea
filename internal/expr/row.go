package expr

import (
	"bytes"
	"cmp"
	"math"
	"slices"

	"github.com/lakeward/lakeward/internal/vector"
)

// datum is one value on its own; kind 0 is null.
type datum struct {
	kind  vector.Kind
	whole int64
	real  float64
	text  string
	truth bool
	items []datum  // of a List; the values of a Map; the fields of a Struct
	names []string // the keys of a Map, the names of a Struct
}

func (d datum) null() bool { return d.kind == 0 }

// datumOf takes value i out of a vector.
func datumOf(v *vector.Vector, i int) datum {
	if v.IsNull(i) {
		return datum{}
	}
	d := datum{kind: v.Kind, names: v.Names}
	switch v.Kind {
	case vector.String:
		d.text = string(v.Str(i))
	case vector.Float:
		if d.real = v.Floats[i]; math.IsNaN(d.real) {
			return datum{}
		}
	case vector.Decimal:
		d.kind, d.real = vector.Float, decimal(v.Ints[i], v.Scale)
	case vector.Bool:
		d.truth = v.Bools.Get(i)
	case vector.Struct:
		for f := range v.Fields {
			d.items = append(d.items, datumOf(&v.Fields[f], i))
		}
	case vector.List, vector.Map:
		from, to := v.Items(i)
		for k := from; k < to; k++ {
			d.items = append(d.items, datumOf(&v.Fields[len(v.Fields)-1], k))
			if v.Kind == vector.Map {
				d.names = append(d.names, string(v.Fields[0].Str(k)))
			}
		}
	default:
		d.whole = v.Ints[i]
	}
	return d
}

// place is where a single value is worked out: a row of a chunk, or an item of an array.
type place struct {
	chunk *vector.Chunk
	row   int
	item  datum
	up    *place
}

// MatchRow decides one row on its own, value by value: slow, and written without regard to Match, so that each
// proves the other. It also says why a row is in or out.
func (f *Filter) MatchRow(c *vector.Chunk, i int) bool {
	return f.holds(f.root, &place{chunk: c, row: i})
}

// holds is a condition; null counts as false (S1).
func (f *Filter) holds(n *Node, p *place) bool {
	d := f.rowValue(n, p)
	return d.kind == vector.Bool && d.truth
}

func truth(b bool) datum { return datum{kind: vector.Bool, truth: b} }

func number64(n int64) datum { return datum{kind: vector.Int, whole: n} }

func real64(x float64) datum {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return datum{}
	}
	return datum{kind: vector.Float, real: x}
}

// rowValue is the value of an expression at a place.
func (f *Filter) rowValue(n *Node, p *place) datum {
	switch n.Op {
	case Literal:
		return literalDatum(n)
	case Field:
		return datumOf(&p.chunk.Columns[f.columns[n.Path]], p.row)
	case Item:
		return p.item
	case Outer:
		for range n.Up {
			p = p.up
		}
		return f.rowValue(n.Args[0], p)
	case And:
		return truth(f.holds(n.Args[0], p) && f.holds(n.Args[1], p))
	case Or:
		return truth(f.holds(n.Args[0], p) || f.holds(n.Args[1], p))
	case Not:
		return truth(!f.holds(n.Args[0], p))
	case IsNull:
		return truth(f.rowValue(n.Args[0], p).null())
	case If:
		if f.holds(n.Args[0], p) {
			return widen(n.Type, f.rowValue(n.Args[1], p))
		}
		return widen(n.Type, f.rowValue(n.Args[2], p))
	case InSegment:
		return truth(f.Members(n.Value.Str).Get(p.row))
	case Clock:
		return datumOf(f.clock(n, 1), 0)
	case Compare, In, NotIn, Text, Matches, Occurs, Arithmetic, Group, Part:
		return f.rowScalar(n, p)
	}
	if n.Op >= Call {
		return f.rowCalculated(n, p)
	}
	return f.rowArray(n, p)
}

func literalDatum(n *Node) datum {
	if n.Type == Array {
		d := datum{kind: vector.List}
		for _, item := range n.Items {
			d.items = append(d.items, literalDatum(&Node{Op: Literal, Type: n.Shape.Item.Type, Value: item}))
		}
		return d
	}
	d := datum{kind: n.Type.kind(), whole: n.Value.Int, text: n.Value.Str, truth: n.Value.Bool}
	if n.Type == Double {
		d.real = n.Value.Float
	}
	return d
}

// widen makes whole numbers doubles and dates times where the type of the expression is wider.
func widen(t Type, d datum) datum {
	switch {
	case t == Double && d.kind == vector.Int:
		return datum{kind: vector.Float, real: float64(d.whole)}
	case t == DateTime && d.kind == vector.Date:
		return datum{kind: vector.Time, whole: d.whole * dayMillis}
	}
	return d
}

func (d datum) number() float64 {
	if d.kind == vector.Float {
		return d.real
	}
	return float64(d.whole)
}

func (d datum) millis() int64 {
	if d.kind == vector.Date {
		return d.whole * dayMillis
	}
	return d.whole
}

// rowScalar evaluates what works on values with nothing inside; null if an operand is, for conditions false (S3, S4).
func (f *Filter) rowScalar(n *Node, p *place) datum {
	a := f.rowValue(n.Args[0], p)
	b := a
	if len(n.Args) == 2 {
		b = f.rowValue(n.Args[1], p)
	}
	if a.null() || b.null() {
		if n.Type == Boolean {
			return truth(false)
		}
		return datum{}
	}
	switch n.Op {
	case Compare:
		if a.kind == vector.Bool {
			return truth((a.truth == b.truth) == (n.Cmp == EQ))
		}
		return truth(ordered(n.Cmp, compareDatums(a, b)))
	case In, NotIn:
		found := slices.ContainsFunc(n.Items, func(item Value) bool {
			return equalDatums(a, literalDatum(&Node{Op: Literal, Type: n.Args[0].Type, Value: item}))
		})
		return truth(found == (n.Op == In))
	case Text, Matches:
		return truth(n.holdsText([]byte(a.text)))
	case Occurs:
		return truth(f.rowOccurs(n, a.millis(), p))
	case Part:
		return number64(partOf(n.Fn, a.millis()))
	case Group:
		m := n.Pattern.FindStringSubmatchIndex(a.text)
		if m == nil || m[2*n.Group] < 0 {
			return datum{}
		}
		return datum{kind: vector.String, text: a.text[m[2*n.Group]:m[2*n.Group+1]]}
	}
	if n.Type != Integer {
		return real64(doubles(n, a.number(), b.number()))
	}
	if r, ok := integers(n, a.whole, b.whole); ok {
		return number64(r)
	}
	return datum{}
}

func (f *Filter) rowOccurs(n *Node, t int64, p *place) bool {
	first, ok := f.rowMoment(n.When.Time, p)
	last := first
	if ok && n.When.Direction == Between {
		last, ok = f.rowMoment(n.When.End, p)
	}
	return ok && n.When.holds(t, first, last)
}

func (f *Filter) rowMoment(m Moment, p *place) (span, bool) {
	if m.Period {
		s, e, ok := m.Unit.Period(f.now, m.Which)
		return span{s, e, true}, ok
	}
	d := f.rowValue(m.Value, p)
	if d.null() {
		return span{}, false
	}
	if d.kind == vector.Date {
		return span{d.millis(), d.millis() + dayMillis, true}, true
	}
	return span{d.whole, d.whole, false}, true
}

// compareDatums orders numbers, texts and times.
func compareDatums(a, b datum) int {
	switch {
	case a.kind == vector.String:
		return cmp.Compare(a.text, b.text)
	case a.kind == vector.Float && b.kind == vector.Float:
		return cmp.Compare(a.real, b.real)
	case a.kind == vector.Float:
		return -compareMixed(b.whole, a.real)
	case b.kind == vector.Float:
		return compareMixed(a.whole, b.real)
	}
	return cmp.Compare(a.millis(), b.millis())
}

// equalDatums compares values: arrays in any order, maps by key, objects field by field.
func equalDatums(a, b datum) bool {
	if a.null() || b.null() || a.kind == vector.Bool || b.kind == vector.Bool {
		return a.kind == b.kind && a.truth == b.truth
	}
	switch a.kind {
	case vector.List:
		return sameItems(a.items, b.items)
	case vector.Map:
		return len(a.items) == len(b.items) && !slices.ContainsFunc(a.names, func(k string) bool { return !equalDatums(a.entry(k), b.entry(k)) || b.entryAt(k) < 0 })
	case vector.Struct:
		return slices.EqualFunc(a.items, b.items, equalDatums)
	}
	return compareDatums(a, b) == 0
}

// sameItems pairs equal items off.
func sameItems(a, b []datum) bool {
	rest := slices.Clone(b)
	for _, x := range a {
		i := slices.IndexFunc(rest, func(y datum) bool { return equalDatums(x, y) })
		if i < 0 {
			return false
		}
		rest = slices.Delete(rest, i, i+1)
	}
	return len(rest) == 0
}

func (d datum) entryAt(key string) int { return slices.Index(d.names, key) }

// entry is the value of a map for a key, or the field of an object.
func (d datum) entry(key string) datum {
	if i := d.entryAt(key); i >= 0 {
		return d.items[i]
	}
	return datum{}
}

// sortedEntries is the positions of a map's entries in the order of their keys.
func (d datum) sortedEntries() []int {
	order := make([]int, len(d.names))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(x, y int) int { return bytes.Compare([]byte(d.names[x]), []byte(d.names[y])) })
	return order
}
