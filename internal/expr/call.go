package expr

import (
	"math"

	"github.com/lakeward/lakeward/internal/vector"
)

// cells are the arguments of one call for one row, and where its value goes. A function appends one value to out, by
// one of the set methods, null or fail.
type cells struct {
	f      *Filter
	n      *Node
	args   []*vector.Vector
	at     []int // row of each argument: 0 for constants
	out    *vector.Vector
	number uint32 // of the profile
	made   int    // bytes of nested values so far
	failed bool
}

func (c *cells) has(k int) bool         { return k < len(c.args) && !c.args[k].IsNull(c.at[k]) }
func (c *cells) text(k int) []byte      { return c.args[k].Str(c.at[k]) }
func (c *cells) whole(k int) int64      { return c.args[k].Ints[c.at[k]] }
func (c *cells) real(k int) float64     { return number(c.args[k], c.at[k]) }
func (c *cells) millis(k int) int64     { return instant(c.args[k], c.at[k]) }
func (c *cells) truth(k int) bool       { return c.args[k].Bools.Get(c.at[k]) }
func (c *cells) items(k int) (int, int) { return c.args[k].Items(c.at[k]) }
func (c *cells) list(k int) *vector.Vector {
	return &c.args[k].Fields[len(c.args[k].Fields)-1]
}

// literal is the text of a literal argument, other if it was left out.
func (c *cells) literal(k int, other string) string { return literalAt(c.n, k, other) }

func literalAt(n *Node, k int, other string) string {
	if k < len(n.Args) {
		return n.Args[k].Value.Str
	}
	return other
}

func (c *cells) null() { c.out.AppendNull() }

// fail makes the value null and counts it (CAL-09).
func (c *cells) fail() {
	c.failed = true
	c.out.AppendNull()
}

func (c *cells) setText(s []byte) {
	if len(s) > MaxText {
		c.fail()
		return
	}
	c.out.AppendString(s)
}

func (c *cells) setInt(n int64) { c.out.AppendInt(n) }

func (c *cells) setBool(b bool) { c.out.AppendBool(b) }

func (c *cells) setReal(x float64) {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		c.fail()
		return
	}
	c.out.AppendFloat(x)
}

// setTexts adds a list of texts.
func (c *cells) setTexts(list [][]byte) {
	size := 0
	for _, s := range list {
		size += len(s) + 8
	}
	if size > MaxText {
		c.fail()
		return
	}
	for _, s := range list {
		c.out.Fields[0].AppendString(s)
	}
	c.out.AppendItems()
}

// call evaluates a function for every row.
func (f *Filter) call(n *Node, c *frame) *vector.Vector {
	args := make([]*vector.Vector, len(n.Args))
	fixed := make([]bool, len(n.Args))
	for k, a := range n.Args {
		if fixed[k] = a.Op == Literal && a.Type != Array; fixed[k] {
			args[k] = constant(a, 1)
		} else {
			args[k] = f.value(a, c)
		}
	}
	if v := f.callEntries(n, c, args, fixed); v != nil {
		return v
	}
	out := &vector.Vector{}
	out.ResetTo(n.ShapeOf().vector())
	if f.exact { // an item as it is stored
		out.ResetTo(args[0].Fields[0].Shape())
	}
	at := cells{f: f, n: n, args: args, at: make([]int, len(args)), out: out}
	for i := range c.rows {
		for k := range at.at {
			if !fixed[k] {
				at.at[k] = i
			}
		}
		if c.numbers != nil {
			at.number = c.numbers[i]
		}
		if at.one(); at.failed {
			c.fail(n, i)
		}
		if at.made+len(out.Bytes) > maxTogether {
			f.narrow = true
			return nullVector(n.ShapeOf().vector(), c.rows)
		}
	}
	return out
}

// one appends one value; a null argument gives null unless the function knows nulls.
func (c *cells) one() {
	c.failed = false
	if !c.n.Func.nulls {
		for k := range c.args {
			if !c.has(k) {
				c.null()
				return
			}
		}
	}
	before := c.out.Len
	nested := len(c.out.Fields) > 0
	size := 0
	if nested {
		size = c.out.Size()
	}
	c.n.Func.eval(c)
	if !nested {
		return
	}
	grown := c.out.Size() - size
	if grown > MaxText+1024 {
		c.out.Truncate(before)
		c.fail()
		return
	}
	c.made += grown
}

// callEntries evaluates a function of one text column once for each entry of its dictionary; nil where that does not pay.
func (f *Filter) callEntries(n *Node, c *frame, args []*vector.Vector, fixed []bool) *vector.Vector {
	k := -1
	for i := range args {
		if fixed[i] {
			continue
		}
		if k >= 0 || args[i].Dict == nil || args[i].Dict.Len() > c.rows {
			return nil
		}
		k = i
	}
	if k < 0 || n.Func.nulls || n.Type != String {
		return nil
	}
	a := f.answers(n, k, args)
	if a == nil {
		return nil
	}
	v := args[k]
	out := &vector.Vector{Kind: vector.String, Len: v.Len, Dict: a.out, Codes: v.Codes, Valid: v.Valid}
	if a.none == nil {
		return out
	}
	out.Valid = vector.NewBits(v.Len)
	out.Valid.Fill(v.Len)
	for i, code := range v.Codes {
		switch {
		case v.IsNull(i), a.none.Get(int(code)):
			out.Valid.Clear(i)
			if !v.IsNull(i) && a.failed.Get(int(code)) {
				c.fail(n, i)
			}
		}
	}
	return out
}

// entryAnswers are what a function gives for each entry of a dictionary.
type entryAnswers struct {
	dict, out    *vector.Dictionary
	none, failed vector.Bits // entries that give null, and those that fail; nil if there are none
}

func (f *Filter) answers(n *Node, k int, args []*vector.Vector) *entryAnswers {
	if a := f.entries[n]; a != nil && a.dict == args[k].Dict {
		return a
	}
	dict := args[k].Dict
	a := &entryAnswers{dict: dict, none: vector.NewBits(dict.Len()), failed: vector.NewBits(dict.Len())}
	out := &vector.Vector{}
	out.Reset(vector.String)
	of := append([]*vector.Vector(nil), args...)
	of[k] = &vector.Vector{Kind: vector.String, Len: dict.Len(), Offsets: dict.Offsets, Bytes: dict.Bytes}
	at := cells{f: f, n: n, args: of, at: make([]int, len(args)), out: out}
	for i := range dict.Len() {
		at.at[k] = i
		at.one()
		if at.failed {
			a.failed.Set(i)
		}
		if out.IsNull(i) {
			a.none.Set(i)
		}
		if len(out.Bytes) > maxTogether { // row by row it may fit
			return nil
		}
	}
	a.out = &vector.Dictionary{Offsets: out.Offsets, Bytes: out.Bytes}
	if a.none.Count() == 0 {
		a.none = nil
	}
	if f.entries == nil {
		f.entries = map[*Node]*entryAnswers{}
	}
	f.entries[n] = a
	return a
}

// tooLarge reports whether a column outgrows what is worked out at a time: the chunk is then taken in smaller pieces, and a
// single row fails.
func (f *Filter) tooLarge(out *vector.Vector) bool {
	if out.Size() <= maxTogether {
		return false
	}
	f.narrow = true
	return true
}
