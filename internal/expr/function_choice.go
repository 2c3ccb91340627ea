package expr

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/lakeward/lakeward/internal/vector"
)

// choiceFunctions decide between values, and compare them.
func choiceFunctions() []Function {
	return []Function{
		{Name: "iif", Args: "bxx", build: buildChoose},
		{Name: "coalesce", Args: "x*", build: buildCoalesce},
		{Name: "decode", Args: "xxx*", build: buildDecode},
		{Name: "min", Args: "x*", nulls: true, gives: extreme("min"), eval: func(c *cells) { most(c, -1) }},
		{Name: "max", Args: "x*", nulls: true, gives: extreme("max"), eval: func(c *cells) { most(c, 1) }},
		{Name: "nullify", Args: "", build: func([]*Node) (*Node, error) { return &Node{Op: Null}, nil }},
	}
}

func buildChoose(args []*Node) (*Node, error) {
	s, err := unifyAll("iif", args, 1)
	if err != nil {
		return nil, err
	}
	n := &Node{Op: Choose, Args: args}
	n.setShape(s)
	return n, nil
}

func buildCoalesce(args []*Node) (*Node, error) {
	s, err := unifyAll("coalesce", args, 0)
	if err != nil {
		return nil, err
	}
	if s.Type == 0 {
		return &Node{Op: Null}, nil
	}
	n := &Node{Op: Coalesce, Args: args}
	n.setShape(s)
	return n, nil
}

// buildDecode takes a value, pairs of a key and what it stands for, and, at the end, a default.
func buildDecode(args []*Node) (*Node, error) {
	keys, values := []*Node{args[0]}, []*Node{}
	var at []int // of the values
	for i := 1; i < len(args); i++ {
		if i%2 == 1 && i < len(args)-1 {
			keys = append(keys, args[i])
			continue
		}
		values, at = append(values, args[i]), append(at, i)
	}
	for i, k := range keys {
		if !k.Type.scalar() && k.Op != Null {
			return nil, badArgument(max(0, 2*i-1), "decode compares single values; this is %s", k.Type)
		}
		if _, ok := Unify(args[0].ShapeOf(), k.ShapeOf()); !ok {
			return nil, badArgument(2*i-1, "this key is %s, the value that it is compared with is %s", k.Type, args[0].Type)
		}
	}
	s, err := unifyAll("decode", values, 0)
	if bad, ok := err.(*ArgumentError); ok { //nolint:errorlint // unifyAll made it
		bad.Arg = at[bad.Arg]
		return nil, bad
	}
	for i, v := range values {
		args[at[i]] = v
	}
	n := &Node{Op: Decode, Args: args}
	n.setShape(s)
	return n, nil
}

// extreme is the shape of the least or greatest of single values, or of the items of one array.
func extreme(name string) func(args []*Node) (*Shape, error) {
	return func(args []*Node) (*Shape, error) {
		if len(args) == 1 && args[0].Type == Array {
			if item := args[0].Shape.Item; item.Type.scalar() && item.Type != Boolean {
				return item, nil
			}
			return nil, badArgument(0, "%s needs numbers, texts or times", name)
		}
		s, err := unifyAll(name, args, 0)
		if err == nil && (s.Type == Boolean || s.Type >= Array) {
			err = badArgument(0, "%s needs numbers, texts or times, not %s", name, s.Type)
		}
		return s, err
	}
}

// most is the greatest value for sign 1, the least for -1, nulls left out.
func most(c *cells, sign int) {
	best, at := (*vector.Vector)(nil), 0
	take := func(v *vector.Vector, i int) {
		if !v.IsNull(i) && (best == nil || sign*order(v, i, best, at) > 0) {
			best, at = v, i
		}
	}
	for k := range c.args {
		if c.args[k].Kind != vector.List {
			take(c.args[k], c.at[k])
			continue
		}
		if c.has(k) {
			from, to := c.items(k)
			for i := from; i < to; i++ {
				take(c.list(k), i)
			}
		}
	}
	if best == nil {
		c.null()
		return
	}
	c.out.AppendFrom(best, at)
}

// order compares two values of one kind.
func order(a *vector.Vector, i int, b *vector.Vector, k int) int {
	switch a.Kind {
	case vector.String:
		return bytes.Compare(a.Str(i), b.Str(k))
	case vector.Float:
		return cmp.Compare(a.Floats[i], b.Floats[k])
	}
	return cmp.Compare(a.Ints[i], b.Ints[k])
}

// Names are the names of the functions, sorted.
func Names(functions map[string]*Function) []string {
	var out []string
	for name := range functions {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}
