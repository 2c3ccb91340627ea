package expr

import (
	"math"
	"time"

	"github.com/lakeward/lakeward/internal/vector"
)

// program is what a filter knows of calculated fields.
type program struct {
	calculates  bool
	exact       bool // values stay as they are stored, decimals too
	run         string
	narrow      bool // the chunk was too large to be worked out at once
	entries     map[*Node]*entryAnswers
	known       map[nodeAt]vector.Bits // what failed, while Values looks for it
	rowFailed   bool
	lambdaItems map[*Node]int
}

// nodeAt is a node in a frame.
type nodeAt struct {
	node  *Node
	frame *frame
}

// Run is what calculated fields see of the run that they are worked out for: retries see the same.
type Run struct {
	ID string
	At time.Time // what now() gives
}

// Program is a calculated field bound to the columns of a scan. It keeps scratch memory, so one goroutine uses it at a time.
type Program struct{ filter *Filter }

// Program binds a checked expression to columns, as Filter does a condition. What it has in common with the others of
// the memo is worked out once.
func (m *Memo) Program(root *Node, columns []string, run Run) *Program {
	f := m.Filter(root, columns, run.At)
	f.calculates, f.run = true, run.ID
	return &Program{f}
}

// NewPath binds the path of an element, such as orders[0].sku: its values stay exactly as they are stored.
func NewPath(root *Node, columns []string) *Program {
	f := NewFilter(root, columns, time.Time{})
	f.calculates, f.exact = true, true
	return &Program{f}
}

// Values works a field out for the rows of a chunk. Where it fails the value is null and the row is among failed,
// which is nil if it nowhere does (CAL-09). The caller must not change the values.
func (p *Program) Values(c *vector.Chunk) (v *vector.Vector, failed vector.Bits) {
	f := p.filter
	f.narrow = false
	top := f.memo.top(c)
	v = f.value(f.root, top)
	if f.narrow {
		if f.memo != nil && f.memo.last == c {
			f.memo.Begin(c) // what was cut short must not serve others
		}
		return p.halves(c)
	}
	if top.failed {
		f.known = map[nodeAt]vector.Bits{}
		failed = f.failed(f.root, top)
	}
	return nullWhere(finite(v, f.exact, &failed), failed), failed
}

// halves works the two halves of a chunk out one after the other; a single row that is too large fails.
func (p *Program) halves(c *vector.Chunk) (*vector.Vector, vector.Bits) {
	failed := vector.NewBits(c.Len)
	shape := p.filter.root.ShapeOf().vector()
	if c.Len <= 1 {
		failed.Fill(c.Len)
		return nullVector(shape, c.Len), failed
	}
	out := &vector.Vector{}
	out.ResetTo(shape)
	for _, from := range []int{0, c.Len / 2} {
		to := c.Len
		if from == 0 {
			to = c.Len / 2
		}
		v, bad := p.Values(rowsOf(c, from, to))
		for i := range v.Len {
			out.AppendFrom(v, i)
			if bad != nil && bad.Get(i) {
				failed.Set(from + i)
			}
		}
	}
	return out, failed
}

// rowsOf copies a range of rows.
func rowsOf(c *vector.Chunk, from, to int) *vector.Chunk {
	out := &vector.Chunk{Len: to - from, Columns: make([]vector.Vector, len(c.Columns))}
	if c.Numbers != nil {
		out.Numbers = c.Numbers[from:to]
	}
	for k := range c.Columns {
		out.Columns[k].ResetTo(c.Columns[k].Shape())
		for i := from; i < to; i++ {
			out.Columns[k].AppendFrom(&c.Columns[k], i)
		}
	}
	return out
}

// nullWhere makes values null.
func nullWhere(v *vector.Vector, where vector.Bits) *vector.Vector {
	if where == nil || where.Count() == 0 {
		return v
	}
	out := *v
	out.Valid = vector.NewBits(v.Len)
	for i := range v.Len {
		if !where.Get(i) && !v.IsNull(i) {
			out.Valid.Set(i)
		}
	}
	return &out
}

// finite notes results that are no numbers as failed; those that are stored are not made by the expression.
func finite(v *vector.Vector, exact bool, failed *vector.Bits) *vector.Vector {
	if v.Kind != vector.Float || exact {
		return v
	}
	for i, x := range v.Floats {
		if math.IsInf(x, 0) && !v.IsNull(i) {
			if *failed == nil {
				*failed = vector.NewBits(v.Len)
			}
			(*failed).Set(i)
		}
	}
	return v
}

// failed are the rows for which working out a node failed: by itself, or by something that its value came from. nil is none.
func (f *Filter) failed(n *Node, c *frame) vector.Bits {
	at := nodeAt{n, c}
	if b, ok := f.known[at]; ok {
		return b
	}
	b := f.findFailed(n, c)
	f.known[at] = b
	return b
}

func (f *Filter) findFailed(n *Node, c *frame) vector.Bits {
	out := c.failures[n]
	switch n.Op {
	case And, Or:
		left, right := f.failed(n.Args[0], c), f.failed(n.Args[1], c)
		if right != nil {
			holds := f.bits(n.Args[0], c)
			right = where(right, func(i int) bool { return holds.Get(i) == (n.Op == And) })
		}
		return union(union(out, left), right)
	case Choose, Coalesce, Decode:
		return union(out, f.failedChoice(n, c))
	case Outer:
		above := f.failed(n.Args[0], c.above(n.Up))
		if above == nil {
			return out
		}
		here := vector.NewBits(c.rows)
		for i, row := range c.rowsAbove(n.Up) {
			if above.Get(int(row)) {
				here.Set(i)
			}
		}
		return union(out, here)
	case Transform, Keep:
		out = union(out, f.failed(n.Args[0], c))
		in := c.lambdas[n]
		if in == nil {
			return out
		}
		items := f.failed(n.Args[1], in)
		if items == nil {
			return out
		}
		here := vector.NewBits(c.rows)
		for k, row := range in.parent {
			if items.Get(k) {
				here.Set(int(row))
			}
		}
		return union(out, here)
	}
	for _, a := range n.Args {
		out = union(out, f.failed(a, c))
	}
	return out
}

// failedChoice counts what decides, and of the values only the one that is taken.
func (f *Filter) failedChoice(n *Node, c *frame) vector.Bits {
	var out vector.Bits
	var choice []int
	for k, a := range n.Args {
		bad := f.failed(a, c)
		if bad == nil {
			continue
		}
		if choice == nil {
			choice = f.choice(n, c)
		}
		value := n.Op == Choose && k > 0 || n.Op == Decode && k > 0 && (k%2 == 0 || k == len(n.Args)-1)
		out = union(out, where(bad, func(i int) bool {
			switch {
			case n.Op == Coalesce:
				return choice[i] < 0 || k <= choice[i]
			case value:
				return choice[i] == k
			}
			return true
		}))
	}
	return out
}

func where(b vector.Bits, holds func(i int) bool) vector.Bits {
	out := make(vector.Bits, len(b))
	for i := range 64 * len(b) {
		if b.Get(i) && holds(i) {
			out.Set(i)
		}
	}
	return out
}

func union(a, b vector.Bits) vector.Bits {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	out := make(vector.Bits, len(a))
	for i := range a {
		out[i] = a[i] | b[i]
	}
	return out
}

// calculated evaluates the operations of calculated fields; nil for others.
func (f *Filter) calculated(n *Node, c *frame) *vector.Vector {
	switch n.Op {
	case Call:
		return f.call(n, c)
	case Null:
		return nullVector(n.ShapeOf().vector(), c.rows)
	case Choose, Coalesce, Decode:
		return f.chosen(n, c)
	case Build:
		return f.object(n, c)
	case Transform, Keep:
		return f.perItem(n, c)
	}
	return nil
}

// plainInside is plainNumbers for what is inside of arrays, maps and objects.
func plainInside(v *vector.Vector) *vector.Vector {
	if len(v.Fields) == 0 {
		return plainNumbers(v)
	}
	var out *vector.Vector
	for i := range v.Fields {
		plain := plainInside(&v.Fields[i])
		if plain == &v.Fields[i] {
			continue
		}
		if out == nil {
			own := *v
			own.Fields = append([]vector.Vector(nil), v.Fields...)
			out = &own
		}
		out.Fields[i] = *plain
	}
	if out == nil {
		return v
	}
	return out
}

// Constant is the value of a node that reads no field and knows no run; failed says that it has none. ok is false for
// what is not constant, or is no single value.
func (n *Node) Constant() (value *Node, failed, ok bool) {
	constant := true
	n.walk(func(n *Node) {
		switch {
		case n.Op == Field, n.Op == Item, n.Op == Clock, n.Op == Outer, n.Op == Call && n.Func.Args == "":
			constant = false
		}
	})
	if !constant || n.Op == Literal || n.Op == Null {
		return nil, false, false
	}
	v, bad := NewMemo().Program(n, nil, Run{}).Values(&vector.Chunk{Len: 1})
	if bad != nil && bad.Get(0) {
		return nil, true, true
	}
	if !n.Type.scalar() {
		return nil, false, false
	}
	out := &Node{Op: Literal, Type: n.Type, Pos: n.Pos}
	switch {
	case v.IsNull(0):
		out.Op = Null
	case n.Type == String:
		out.Value.Str = string(v.Str(0))
	case n.Type == Double:
		out.Value.Float = v.Floats[0]
	case n.Type == Boolean:
		out.Value.Bool = v.Bools.Get(0)
	default:
		out.Value.Int = v.Ints[0]
		out.Value.Float = float64(out.Value.Int)
	}
	return out, false, true
}

// Lambdas gives the functions over the items of arrays their share of the steps that a row may take.
func (n *Node) Lambdas() {
	count := 0
	n.walk(func(n *Node) {
		if n.Op == Transform || n.Op == Keep {
			count++
		}
	})
	n.walk(func(n *Node) {
		if n.Op == Transform || n.Op == Keep {
			n.limit = maxSteps / count / n.Args[1].Cost()
		}
	})
}
