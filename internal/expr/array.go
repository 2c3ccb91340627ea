package expr

import (
	"bytes"
	"cmp"
	"math"
	"slices"

	"github.com/lakeward/lakeward/internal/vector"
)

// items is an array and, if it was filtered, the items that are kept.
func (f *Filter) items(n *Node, c *frame) (*vector.Vector, vector.Bits) {
	if n.Op != Where {
		return f.value(n, c), nil
	}
	v, keep := f.items(n.Args[0], c)
	holds := f.bits(n.Args[1], itemsOf(v, c))
	if keep != nil {
		holds = slices.Clone(holds)
		for i := range keep {
			holds[i] &= keep[i]
		}
	}
	return v, holds
}

// each calls fn with the kept items of row i, in their order, until it returns false.
func each(v *vector.Vector, keep vector.Bits, i int, fn func(k int) bool) {
	from, to := v.Items(i)
	for k := from; k < to; k++ {
		if (keep == nil || keep.Get(k)) && !fn(k) {
			return
		}
	}
}

// arrayCondition evaluates the conditions over arrays. A null array acts as empty (S5).
func (f *Filter) arrayCondition(n *Node, c *frame, out vector.Bits) {
	switch n.Op {
	case Exists:
		v, keep := f.items(n.Args[0], c)
		if keep != nil {
			in := itemsOf(v, c)
			in.eachKept(keep, func(k int) { out.Set(int(in.parent[k])) })
			return
		}
		for i := range c.rows {
			if from, to := v.Items(i); to > from {
				out.Set(i)
			}
		}
	case All:
		v, keep := f.items(n.Args[0], c)
		holds := f.bits(n.Args[1], itemsOf(v, c))
		out.Fill(c.rows)
		for i := range c.rows {
			each(v, keep, i, func(k int) bool {
				if !holds.Get(k) {
					out.Clear(i)
				}
				return holds.Get(k)
			})
		}
	case Includes:
		v, keep := f.items(n.Args[0], c)
		want := f.value(n.Args[1], c)
		var key, item []byte
		for i := range c.rows {
			if want.IsNull(i) {
				continue
			}
			key = appendKey(key[:0], want, i)
			each(v, keep, i, func(k int) bool {
				item = appendKey(item[:0], &v.Fields[0], k)
				if bytes.Equal(key, item) {
					out.Set(i)
				}
				return !bytes.Equal(key, item)
			})
		}
	default:
		f.pairCondition(n, c, out)
	}
}

// pairCondition compares two arrays, or two objects or maps.
func (f *Filter) pairCondition(n *Node, c *frame, out vector.Bits) {
	a, b := f.value(n.Args[0], c), f.value(n.Args[1], c)
	for i := range c.rows {
		if n.Op != Intersects && (a.IsNull(i) || b.IsNull(i)) {
			continue
		}
		holds := false
		switch n.Op {
		case Intersects:
			holds = shares(itemKeys(a, i), itemKeys(b, i))
		case Subset:
			holds = covers(itemKeys(b, i), itemKeys(a, i))
		case Same:
			holds = bytes.Equal(appendKey(nil, a, i), appendKey(nil, b, i)) == (n.Cmp == EQ)
		}
		if holds {
			out.Set(i)
		}
	}
}

func shares(a, b map[string]int) bool {
	for k := range a {
		if _, ok := b[k]; ok {
			return true
		}
	}
	return false
}

func covers(all, some map[string]int) bool {
	for k := range some {
		if _, ok := all[k]; !ok {
			return false
		}
	}
	return true
}

// nested evaluates the operations that give values of arrays, maps and objects; nil for others.
func (f *Filter) nested(n *Node, c *frame) *vector.Vector {
	switch n.Op {
	case Member:
		return f.member(f.value(n.Args[0], c), n.Path)
	case Where:
		return f.pick(n, c, nil)
	case Count:
		return f.count(n, c)
	case Aggregate:
		return f.aggregate(n, c)
	case Each:
		return f.forEach(n, c)
	case Top:
		return f.top(n, c)
	case Head:
		return f.head(n, c)
	case Distinct:
		return f.pick(n.Args[0], c, func(_ int, seen map[string]int, key string) bool { return seen[key] == 1 })
	case Intersection:
		return f.intersection(n, c)
	case Get:
		return f.get(n, c)
	case Keys, Values:
		return f.sorted(n, c)
	case Single:
		return single(f.value(n.Args[0], c))
	}
	return nil
}

// pick is the array of the kept items that take accepts: it gets the row, how often each key was met in it, and the item's key.
func (f *Filter) pick(n *Node, c *frame, take func(row int, seen map[string]int, key string) bool) *vector.Vector {
	v, keep := f.items(n, c)
	out := &vector.Vector{}
	out.ResetTo(v.Shape())
	for i := range c.rows {
		seen := map[string]int{}
		each(v, keep, i, func(k int) bool {
			if take != nil {
				if v.Fields[0].IsNull(k) {
					return true
				}
				key := string(appendKey(nil, &v.Fields[0], k))
				seen[key]++
				if !take(i, seen, key) {
					return true
				}
			}
			out.Fields[0].AppendFrom(&v.Fields[0], k)
			return true
		})
		out.AppendItems()
	}
	return out
}

func (f *Filter) intersection(n *Node, c *frame) *vector.Vector {
	b := f.value(n.Args[1], c)
	at, keys := -1, map[string]int(nil)
	return f.pick(n.Args[0], c, func(row int, seen map[string]int, key string) bool {
		if row != at {
			at, keys = row, itemKeys(b, row)
		}
		_, both := keys[key]
		return both && seen[key] == 1
	})
}

// member is a field of objects; of arrays of objects, the arrays of its values, nulls left out and arrays laid flat (S8).
func (f *Filter) member(v *vector.Vector, name string) *vector.Vector {
	if v.Kind == vector.Struct {
		if inside := v.Field(name); inside != nil {
			if f.exact {
				return inside
			}
			return plainNumbers(inside)
		}
		return nullVector(vector.Shape{Kind: vector.Int}, v.Len)
	}
	values := f.member(&v.Fields[0], name)
	flat := values.Kind == vector.List
	item := values.Shape()
	if flat {
		item = item.Fields[0]
	}
	out := &vector.Vector{}
	out.ResetTo(vector.Shape{Kind: vector.List, Fields: []vector.Shape{item}})
	for i := range v.Len {
		if v.IsNull(i) {
			out.AppendNull()
			continue
		}
		from, to := v.Items(i)
		for k := from; k < to; k++ {
			switch {
			case values.IsNull(k):
			case flat:
				start, end := values.Items(k)
				for x := start; x < end; x++ {
					if !values.Fields[0].IsNull(x) {
						out.Fields[0].AppendFrom(&values.Fields[0], x)
					}
				}
			default:
				out.Fields[0].AppendFrom(values, k)
			}
		}
		out.AppendItems()
	}
	return out
}

func nullVector(s vector.Shape, n int) *vector.Vector {
	out := &vector.Vector{}
	out.ResetTo(s)
	for range n {
		out.AppendNull()
	}
	return out
}

func (f *Filter) count(n *Node, c *frame) *vector.Vector {
	v, keep := f.items(n.Args[0], c)
	out := &vector.Vector{Kind: vector.Int, Len: c.rows, Ints: make([]int64, c.rows)}
	if keep != nil {
		in := itemsOf(v, c)
		in.eachKept(keep, func(k int) { out.Ints[in.parent[k]]++ })
		return out
	}
	for i := range out.Ints {
		from, to := v.Items(i)
		out.Ints[i] = int64(to - from)
	}
	return out
}

// forEach is an array of a value for each item, nulls left out (S5).
func (f *Filter) forEach(n *Node, c *frame) *vector.Vector {
	v, keep := f.items(n.Args[0], c)
	values := f.value(n.Args[1], itemsOf(v, c))
	out := &vector.Vector{}
	out.ResetTo(vector.Shape{Kind: vector.List, Fields: []vector.Shape{values.Shape()}})
	for i := range c.rows {
		each(v, keep, i, func(k int) bool {
			if !values.IsNull(k) {
				out.Fields[0].AppendFrom(values, k)
			}
			return true
		})
		out.AppendItems()
	}
	return out
}

// top is the items with the greatest or least numbers, in their order; ties stand as in the array, items without a number are left out.
func (f *Filter) top(n *Node, c *frame) *vector.Vector {
	v, keep := f.items(n.Args[0], c)
	by := f.value(n.Args[1], itemsOf(v, c))
	out := &vector.Vector{}
	out.ResetTo(v.Shape())
	for i := range c.rows {
		var order []int
		each(v, keep, i, func(k int) bool {
			if !by.IsNull(k) {
				order = append(order, k)
			}
			return true
		})
		slices.SortStableFunc(order, func(x, y int) int {
			if n.Fn == "topN" {
				x, y = y, x
			}
			return compareValues(by, x, y)
		})
		for _, k := range order[:min(len(order), int(max(0, n.Value.Int)))] {
			out.Fields[0].AppendFrom(&v.Fields[0], k)
		}
		out.AppendItems()
	}
	return out
}

func compareValues(v *vector.Vector, i, k int) int {
	if v.Kind == vector.Float {
		return cmp.Compare(v.Floats[i], v.Floats[k])
	}
	return cmp.Compare(v.Ints[i], v.Ints[k])
}

func (f *Filter) head(n *Node, c *frame) *vector.Vector {
	v, keep := f.items(n.Args[0], c)
	out := &vector.Vector{}
	out.ResetTo(v.Fields[0].Shape())
	for i := range c.rows {
		before := out.Len
		each(v, keep, i, func(k int) bool {
			out.AppendFrom(&v.Fields[0], k)
			return false
		})
		if out.Len == before {
			out.AppendNull()
		}
	}
	return out
}

// aggregate evaluates sum, average, min and max, nulls left out: the sum of nothing is 0, the others of nothing are null (S5).
func (f *Filter) aggregate(n *Node, c *frame) *vector.Vector {
	v, keep := f.items(n.Args[0], c)
	values := plainNumbers(&v.Fields[0])
	if len(n.Args) == 2 {
		values = f.value(n.Args[1], itemsOf(v, c))
	}
	out := &vector.Vector{}
	out.Reset(n.Type.kind())
	in, a := itemsOf(v, c), accumulator{fn: n.Fn}
	in.eachKept(keep, func(k int) {
		for out.Len < int(in.parent[k]) {
			a.appendTo(out)
			a = accumulator{fn: n.Fn}
		}
		if !values.IsNull(k) {
			a.add(values, k)
		}
	})
	for out.Len < c.rows {
		a.appendTo(out)
		a = accumulator{fn: n.Fn}
	}
	return out
}

// accumulator is one aggregate of one row.
type accumulator struct {
	fn       string
	count    int64
	whole    int64
	real     float64
	overflow bool
}

func (a *accumulator) add(v *vector.Vector, k int) {
	first := a.count == 0
	a.count++
	if v.Kind == vector.Float {
		switch x := v.Floats[k]; {
		case a.fn == "sum" || a.fn == "average":
			a.real += x
		case first || a.fn == "min" && x < a.real || a.fn == "max" && x > a.real:
			a.real = x
		}
		return
	}
	switch x := v.Ints[k]; {
	case a.fn == "average":
		a.real += float64(x)
	case a.fn == "sum":
		sum := a.whole + x
		a.overflow = a.overflow || (sum > a.whole) != (x > 0)
		a.whole = sum
	case first || a.fn == "min" && x < a.whole || a.fn == "max" && x > a.whole:
		a.whole = x
	}
}

func (a *accumulator) appendTo(out *vector.Vector) {
	switch {
	case a.count == 0 && a.fn != "sum", a.overflow:
		out.AppendNull()
	case out.Kind != vector.Float:
		out.AppendInt(a.whole)
	case a.fn == "average":
		appendFinite(out, a.real/float64(a.count))
	default:
		appendFinite(out, a.real)
	}
}

func appendFinite(out *vector.Vector, x float64) {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		out.AppendNull()
		return
	}
	out.AppendFloat(x)
}

// get is the value of a map for a key.
func (f *Filter) get(n *Node, c *frame) *vector.Vector {
	m, key := f.value(n.Args[0], c), f.value(n.Args[1], c)
	out := &vector.Vector{}
	out.ResetTo(m.Fields[1].Shape())
	for i := range c.rows {
		before := out.Len
		if !key.IsNull(i) {
			each(m, nil, i, func(k int) bool {
				if !bytes.Equal(m.Fields[0].Str(k), key.Str(i)) {
					return true
				}
				out.AppendFrom(&m.Fields[1], k)
				return false
			})
		}
		if out.Len == before {
			out.AppendNull()
		}
	}
	return out
}

// sorted is the keys, or the values, of maps, sorted by key; nulls among the values are kept.
func (f *Filter) sorted(n *Node, c *frame) *vector.Vector {
	m := f.value(n.Args[0], c)
	from := &m.Fields[0]
	if n.Op == Values {
		from = &m.Fields[1]
	}
	out := &vector.Vector{}
	out.ResetTo(vector.Shape{Kind: vector.List, Fields: []vector.Shape{from.Shape()}})
	for i := range c.rows {
		if m.IsNull(i) {
			out.AppendNull()
			continue
		}
		for _, k := range keyOrder(m, i) {
			out.Fields[0].AppendFrom(from, k)
		}
		out.AppendItems()
	}
	return out
}

// keyOrder is the entries of a map in the order of their keys.
func keyOrder(m *vector.Vector, i int) []int {
	var order []int
	each(m, nil, i, func(k int) bool { order = append(order, k); return true })
	slices.SortFunc(order, func(x, y int) int { return bytes.Compare(m.Fields[0].Str(x), m.Fields[0].Str(y)) })
	return order
}

// single makes each object an array of one, each null an empty one.
func single(v *vector.Vector) *vector.Vector {
	out := &vector.Vector{}
	out.ResetTo(vector.Shape{Kind: vector.List, Fields: []vector.Shape{v.Shape()}})
	for i := range v.Len {
		if !v.IsNull(i) {
			out.Fields[0].AppendFrom(v, i)
		}
		out.AppendItems()
	}
	return out
}

// constantArray repeats a literal array.
func constantArray(n *Node, rows int) *vector.Vector {
	out := &vector.Vector{}
	out.ResetTo(vector.Shape{Kind: vector.List, Fields: []vector.Shape{{Kind: n.Shape.Item.Type.kind()}}})
	for range rows {
		for _, item := range n.Items {
			switch n.Shape.Item.Type {
			case String:
				out.Fields[0].AppendString([]byte(item.Str))
			case Double:
				out.Fields[0].AppendFloat(item.Float)
			case Boolean:
				out.Fields[0].AppendBool(item.Bool)
			default:
				out.Fields[0].AppendInt(item.Int)
			}
		}
		out.AppendItems()
	}
	return out
}
