package pql

import (
	"strings"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/expr"
)

// eventsPath is the field of the events of a profile.
const eventsPath = "xEvent"

// level is an array around an expression: its current item, or a variable for its items.
type level struct {
	item   bool
	name   string // of the variable
	shape  *expr.Shape
	origin string
}

func (c *checker) enter(l level) { c.levels = append(c.levels, l) }
func (c *checker) leave()        { c.levels = c.levels[:len(c.levels)-1] }

// wrap makes a value of so many arrays further out one of here.
func wrap(n *expr.Node, up int) *expr.Node { return expr.Above(n, up) }

// inside is the shape of a value that has something inside, nil for others.
func inside(s *expr.Shape) *expr.Shape {
	if s.Type < expr.Array {
		return nil
	}
	return s
}

// itemAt is the item of a level.
func (c *checker) itemAt(i, pos int) *expr.Node {
	l := c.levels[i]
	n := &expr.Node{Op: expr.Item, Type: l.shape.Type, Shape: inside(l.shape), Origin: l.origin, Pos: pos}
	return wrap(n, len(c.levels)-1-i)
}

// current is the level whose item is the current one, so many arrays further out; -1 for the profile, below that there is none.
func (c *checker) current(ups int) int {
	for i := len(c.levels) - 1; i >= 0; i-- {
		if !c.levels[i].item {
			continue
		}
		if ups == 0 {
			return i
		}
		ups--
	}
	return -1 - ups
}

// path finds what a path names: a variable, the events, a field of the current item, or one of the profile.
func (c *checker) path(s *syntax) *expr.Node {
	first, rest, nested := strings.Cut(s.text, ".")
	if !s.rooted && s.ups == 0 {
		if n, found := c.named(first, s.pos); found {
			return c.members(n, first, rest, nested, s.pos)
		}
		if first == c.profile && c.profile != "" && nested {
			return c.profilePath(rest, s.pos)
		}
	}
	if first == eventsPath && s.ups == 0 {
		return c.members(wrap(c.events(s.pos), len(c.levels)), first, rest, nested, s.pos)
	}
	if s.rooted {
		return c.profilePath(s.text, s.pos)
	}
	at := c.current(s.ups)
	switch {
	case at < -1:
		return c.fail("RULE-1002", s.pos, "%s is more than the arrays around it", strings.Repeat("^", s.ups))
	case at < 0:
		return c.profilePath(s.text, s.pos)
	}
	item := c.itemAt(at, s.pos)
	if item.Type != expr.Object && item.Type != expr.Map {
		return c.fail("RULE-1002", s.pos, "no field %q: an item of the array is %s; write this for it, $1.%s for the profile's", s.text, item.Type, s.text)
	}
	return c.members(item, "", s.text, true, s.pos)
}

// named finds the variable of that name, the innermost first.
func (c *checker) named(name string, pos int) (n *expr.Node, found bool) {
	depth := -1
	for i, v := range c.variables {
		if v.name == name {
			depth, n = v.depth, c.variables[i].value
		}
	}
	for i := len(c.levels) - 1; i >= 0 && i >= depth; i-- {
		if c.levels[i].name == name {
			return c.itemAt(i, pos), true
		}
	}
	if depth < 0 {
		return nil, false
	}
	if n.Op == expr.Literal { // each place converts its own (S6)
		own := *n
		return &own, true
	}
	return wrap(n, len(c.levels)-depth), true
}

func (c *checker) events(pos int) *expr.Node {
	if len(c.scope.Events) == 0 {
		return c.fail("RULE-1002", pos, "there are no events; they come with a profile schema of class event")
	}
	item := expr.ObjectOf(c.scope.Events)
	return &expr.Node{Op: expr.Field, Type: expr.Array, Path: eventsPath, Shape: &expr.Shape{Type: expr.Array, Item: item}, Origin: eventsPath, Pos: pos}
}

// profilePath finds a field of the profile, and what stands in it.
func (c *checker) profilePath(path string, pos int) *expr.Node {
	var names []string
	for _, l := range c.scope.Union {
		rest, below := strings.CutPrefix(path, l.Path+".")
		if l.Path == path || below && !l.Type.Scalar() {
			n := &expr.Node{Op: expr.Field, Type: expr.TypeOf(l.Type), Path: l.Path, Pos: pos}
			if !l.Type.Scalar() {
				n.Shape, n.Origin = expr.ShapeOf(lakeward.Field{Type: l.Type, Item: l.Item}), l.Path
			}
			return c.members(wrap(n, len(c.levels)), l.Path, rest, below, pos)
		}
		if below {
			return c.fail("RULE-1003", pos, "%s is %s and has no fields", l.Path, expr.TypeOf(l.Type))
		}
		if strings.HasPrefix(l.Path, path+".") {
			return c.fail("RULE-1003", pos, "%q is an object; name a field in it, such as %s", path, l.Path)
		}
		names = append(names, l.Path)
	}
	for _, l := range c.scope.Events {
		if l.Path == path || strings.HasPrefix(path, l.Path+".") {
			return c.fail("RULE-1002", pos, "%q is a field of events; write xEvent[%s = ...]", path, path)
		}
	}
	return c.noField(path, names, pos)
}

func (c *checker) noField(name string, names []string, pos int) *expr.Node {
	if near := lakeward.Nearest(name, names); near != "" {
		return c.fail("RULE-1002", pos, "no field %q; did you mean %q?", name, near)
	}
	return c.fail("RULE-1002", pos, "no field %q", name)
}

// members goes down a path; text names what n is, for messages.
func (c *checker) members(n *expr.Node, text, rest string, nested bool, pos int) *expr.Node {
	for nested && n != nil {
		var name string
		name, rest, nested = strings.Cut(rest, ".")
		n = c.member(n, text, name, pos)
		text = strings.TrimPrefix(text+"."+name, ".")
	}
	return n
}

// member is a field of an object, the values of a field of all objects of an array (S8), or the value of a map for a key.
func (c *checker) member(n *expr.Node, text, name string, pos int) *expr.Node {
	object := n.Shape
	if n.Type == expr.Array {
		object = n.Shape.Item
	}
	switch {
	case n.Type == expr.Map:
		key := &expr.Node{Op: expr.Literal, Type: expr.String, Value: expr.Value{Str: name}, Pos: pos}
		return &expr.Node{Op: expr.Get, Type: n.Shape.Item.Type, Shape: inside(n.Shape.Item), Args: []*expr.Node{n, key}, Pos: pos}
	case object == nil || object.Type != expr.Object:
		return c.fail("RULE-1003", pos, "%s is %s and has no fields", text, n.Type)
	}
	field := object.Field(name)
	if field == nil {
		return c.noField(name, object.Names, pos)
	}
	m := &expr.Node{Op: expr.Member, Type: field.Type, Shape: inside(field), Path: name, Args: []*expr.Node{n}, Pos: pos}
	if n.Origin != "" {
		m.Origin = n.Origin + "." + name
	}
	if n.Type == expr.Array {
		if field.Type == expr.Array {
			field = field.Item
		}
		m.Type, m.Shape = expr.Array, &expr.Shape{Type: expr.Array, Item: field}
	}
	return m
}
