package dataprep

import (
	"strings"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/expr"
)

// path finds what a name with members names: the item of an array around it, or a field of the profile.
func (c *checker) path(s *syntax) *expr.Node {
	names, base := chain(s)
	if base != nil {
		n := c.expression(base)
		for i := 0; n != nil && i < len(names); i++ {
			n = c.member(n, describe(base), names[i])
		}
		return n
	}
	for i := len(c.levels) - 1; i >= 0; i-- {
		if c.levels[i].name != names[0].text {
			continue
		}
		l := c.levels[i]
		n := &expr.Node{Op: expr.Item, Type: l.shape.Type, Shape: inside(l.shape), Pos: s.pos}
		n = expr.Above(n, len(c.levels)-1-i)
		for k := 1; n != nil && k < len(names); k++ {
			n = c.member(n, l.name, names[k])
		}
		return n
	}
	return c.field(names)
}

// chain takes a path apart: its names, and the expression in front of them, nil if there is none.
func chain(s *syntax) (names []*syntax, base *syntax) {
	switch s.op {
	case "name":
		return []*syntax{s}, nil
	case "member":
		names, base = chain(s.args[0])
		return append(names, s), base
	}
	return nil, s
}

// inside is the shape of a value that has something inside, nil for others.
func inside(s *expr.Shape) *expr.Shape {
	if s.Type < expr.Array {
		return nil
	}
	return s
}

// field finds the field of the profile that the first names name, and what stands in it.
func (c *checker) field(names []*syntax) *expr.Node {
	path := joined(names)
	pos := names[0].pos
	for _, l := range c.scope.Union {
		deep := strings.Count(l.Path, ".") + 1
		if deep > len(names) || joined(names[:deep]) != l.Path {
			continue
		}
		n := &expr.Node{Op: expr.Field, Type: expr.TypeOf(l.Type), Path: l.Path, Pos: pos}
		if !l.Type.Scalar() {
			n.Shape, n.Origin = expr.ShapeOf(lakeward.Field{Type: l.Type, Item: l.Item}), l.Path
		}
		n = expr.Above(n, len(c.levels))
		for k := deep; n != nil && k < len(names); k++ {
			n = c.member(n, joined(names[:k]), names[k])
		}
		return n
	}
	if n := object(c.scope.Union, path, pos); n != nil {
		return expr.Above(n, len(c.levels))
	}
	return c.noField(path, pos)
}

func joined(names []*syntax) string {
	var b strings.Builder
	for i, n := range names {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteString(n.text)
	}
	return b.String()
}

// object is the object of all fields below a path, nil if there are none.
func object(union []lakeward.Leaf, path string, pos int) *expr.Node {
	n := &expr.Node{Op: expr.Build, Type: expr.Object, Shape: &expr.Shape{Type: expr.Object}, Pos: pos}
	for _, l := range union {
		rest, below := strings.CutPrefix(l.Path, path+".")
		if !below {
			continue
		}
		name, _, nested := strings.Cut(rest, ".")
		if n.Shape.Field(name) != nil {
			continue
		}
		var value *expr.Node
		if nested {
			value = object(union, path+"."+name, pos)
		} else {
			value = &expr.Node{Op: expr.Field, Type: expr.TypeOf(l.Type), Path: l.Path, Pos: pos}
			if !l.Type.Scalar() {
				value.Shape = expr.ShapeOf(lakeward.Field{Type: l.Type, Item: l.Item})
			}
		}
		n.Shape.Names, n.Shape.Fields = append(n.Shape.Names, name), append(n.Shape.Fields, value.ShapeOf())
		n.Args = append(n.Args, value)
	}
	if len(n.Args) == 0 {
		return nil
	}
	return n
}

func (c *checker) noField(path string, pos int) *expr.Node {
	first, _, _ := strings.Cut(path, ".")
	switch {
	case path == c.scope.Column:
		return c.fail("EXPR-1004", pos, "%s is the column itself, which cannot be its own source", lakeward.Quote(path))
	case first == "identityMap":
		return c.fail("EXPR-1004", pos, "identities are mapped as a column of their own, such as identityMap.Email")
	case first == "segmentMembership":
		return c.fail("EXPR-1004", pos, "the membership is mapped as a column of its own")
	}
	for _, l := range c.scope.Events {
		if l.Path == path || strings.HasPrefix(l.Path, path+".") {
			return c.fail("EXPR-1004", pos, "%s is a field of events; only fields of records are exported", lakeward.Quote(path))
		}
	}
	var names []string
	for _, l := range c.scope.Union {
		names = append(names, l.Path)
	}
	if near := lakeward.Nearest(path, names); near != "" {
		return c.fail("EXPR-1004", pos, "no profile field %s; did you mean %s?", lakeward.Quote(path), near)
	}
	return c.fail("EXPR-1004", pos, "there is no profile field %s", lakeward.Quote(path))
}

// member is a field of an object, the values of a field of all objects of an array, or the value of a map for a key.
func (c *checker) member(n *expr.Node, text string, name *syntax) *expr.Node {
	object := n.Shape
	if n.Type == expr.Array {
		object = n.Shape.Item
	}
	switch {
	case n.Type == expr.Map:
		key := &expr.Node{Op: expr.Literal, Type: expr.String, Value: expr.Value{Str: name.text}, Pos: name.pos}
		return get(n, key, name.pos)
	case object == nil || object.Type != expr.Object:
		return c.fail("EXPR-1004", name.pos, "%s is %s and has no fields", text, kindOf(n))
	}
	field := object.Field(name.text)
	if field == nil {
		if near := lakeward.Nearest(name.text, object.Names); near != "" {
			return c.fail("EXPR-1004", name.pos, "no field %s in %s; did you mean %s?", lakeward.Quote(name.text), text, near)
		}
		return c.fail("EXPR-1004", name.pos, "no field %s in %s", lakeward.Quote(name.text), text)
	}
	m := &expr.Node{Op: expr.Member, Type: field.Type, Shape: inside(field), Path: name.text, Args: []*expr.Node{n}, Pos: name.pos}
	if n.Type == expr.Array {
		if field.Type == expr.Array {
			field = field.Item
		}
		m.Type, m.Shape = expr.Array, &expr.Shape{Type: expr.Array, Item: field}
	}
	return m
}

func get(n, key *expr.Node, pos int) *expr.Node {
	return &expr.Node{Op: expr.Get, Type: n.Shape.Item.Type, Shape: inside(n.Shape.Item), Args: []*expr.Node{n, key}, Pos: pos}
}

// index checks array[0] and map["key"]; a text in quotes behind an object is the name of a field.
func (c *checker) index(s *syntax) *expr.Node {
	args := c.all(s.args)
	if args == nil {
		return nil
	}
	n, key := args[0], args[1]
	switch {
	case n.Type == expr.Map && key.Type == expr.String:
		return get(n, key, s.pos)
	case n.Type == expr.Object && s.args[1].op == "string":
		return c.member(n, describe(s.args[0]), s.args[1])
	case n.Type == expr.Array && key.Type == expr.Integer:
		if key.Op == expr.Literal && (key.Value.Int < 0 || key.Value.Int > maxIndex) {
			return c.fail("EXPR-1002", s.args[1].pos, "the position of an item is from 0 to %d", maxIndex)
		}
		at, err := c.functions["at"].Apply(args, s.pos)
		return c.applied(s, at, err, 0)
	case n.Type == expr.Array:
		return c.fail("EXPR-1002", start(s.args[1]), "an item of an array is named by its position, a whole number from 0, not %s", kindOf(key))
	case n.Type == expr.Map:
		return c.fail("EXPR-1002", start(s.args[1]), "an entry of a map is named by a text, not %s", kindOf(key))
	}
	return c.fail("EXPR-1002", s.pos, "%s is %s and has no items", describe(s.args[0]), kindOf(n))
}

// quotedPath checks contains_key("path"): the field has a value.
func (c *checker) quotedPath(s *syntax) *expr.Node {
	inner, err := parse(s.args[0].text)
	if err != nil || !isPath(inner) {
		return c.fail("EXPR-1004", s.args[0].pos, "%s is no path of a field", lakeward.Quote(s.args[0].text))
	}
	move(inner, s.args[0].pos)
	n := c.expression(inner)
	if n == nil {
		return nil
	}
	out, aerr := c.functions[s.text].Apply([]*expr.Node{n}, s.pos)
	return c.applied(s, out, aerr, 0)
}

// move puts all of an expression at one place of the source.
func move(s *syntax, pos int) {
	s.pos = pos
	for _, a := range s.args {
		move(a, pos)
	}
}

// isPath reports whether an expression is names, positions and keys only.
func isPath(s *syntax) bool {
	switch s.op {
	case "name":
		return true
	case "member":
		return isPath(s.args[0])
	case "index":
		return isPath(s.args[0]) && (s.args[1].op == "int" || s.args[1].op == "string")
	}
	return false
}

// Path is a source that is no calculated field: a field, an object, an array or a map, or what stands in one, such as
// orders[0].sku or prefs["lang"] (MAP-10).
type Path struct {
	Node  *expr.Node
	Field lakeward.Field // the type of the values, exactly
}

// ParsePath finds what the path of a source names.
func ParsePath(src string, scope Scope) (Path, error) {
	s, err := parse(src)
	if err == nil && !isPath(s) {
		err = problemAt("EXPR-1001", start(s), "a source is a path such as person.name, orders[0].sku or prefs[\"lang\"]; anything else is a calculated field")
	}
	if err != nil {
		return Path{}, expr.SourceError(src, []problem{*err})
	}
	c := &checker{scope: scope, functions: expr.Functions()}
	n := c.expression(s)
	var field lakeward.Field
	if n != nil {
		var ok bool
		if field, ok = c.typed(s); !ok {
			c.fail("EXPR-1002", s.pos, "%s goes through an array; name an item, as in orders[0].sku", describe(s))
		}
	}
	if len(c.errs) > 0 {
		return Path{}, expr.SourceError(src, c.errs)
	}
	return Path{n, field}, nil
}

// typed is the field that a path, which is known to be right, names; ok is false for the values of a field of all objects of an array.
func (c *checker) typed(s *syntax) (f lakeward.Field, ok bool) {
	if names, base := chain(s); base == nil {
		for deep := len(names); deep > 0; deep-- {
			if f, ok = lakeward.FieldAt(c.scope.Union, joined(names[:deep])); ok {
				return inner(f, names[deep:])
			}
		}
		return f, false
	}
	f, ok = c.typed(s.args[0])
	switch {
	case !ok:
		return f, false
	case s.op == "member":
		return inner(f, []*syntax{s})
	case f.Type == lakeward.TypeObject:
		return inner(f, []*syntax{s.args[1]})
	}
	return *f.Item, true
}

// inner goes down from a field by names.
func inner(f lakeward.Field, names []*syntax) (lakeward.Field, bool) {
	for _, n := range names {
		switch f.Type {
		case lakeward.TypeMap:
			f = *f.Item
		case lakeward.TypeObject:
			for _, below := range f.Fields {
				if below.Name == n.text {
					f = below
					break
				}
			}
		default:
			return f, false
		}
	}
	return f, true
}

// Text is the source of a constant column as an expression.
func Text(value string) *expr.Node {
	return &expr.Node{Op: expr.Literal, Type: expr.String, Value: expr.Value{Str: value}}
}
