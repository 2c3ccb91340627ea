package pql

import (
	"strconv"

	"github.com/lakeward/lakeward/internal/expr"
)

// arrayMethods are the methods over an array or a map.
func arrayMethods() map[string]func(*checker, *syntax) *expr.Node {
	sum := (*checker).sum
	pair := (*checker).pair
	top := (*checker).top
	return map[string]func(*checker, *syntax) *expr.Node{
		"filter": (*checker).filter, "exists": (*checker).filter, "map": (*checker).mapped, "topN": top, "bottomN": top, "head": (*checker).head,
		"count": (*checker).count, "sum": sum, "average": sum, "min": sum, "max": sum, "intersects": pair, "intersection": pair,
		"subsetOf": pair, "supersetOf": pair, "includes": (*checker).includes, "distinct": (*checker).distinct,
		"get": (*checker).get, "keys": (*checker).entries, "values": (*checker).entries,
	}
}

// arrayOf checks a value that must be an array; an object counts as an array of one.
func (c *checker) arrayOf(s *syntax, fn string) *expr.Node {
	n := c.expression(s)
	switch {
	case n == nil:
		return nil
	case n.Type == expr.Object:
		return &expr.Node{Op: expr.Single, Type: expr.Array, Shape: &expr.Shape{Type: expr.Array, Item: n.Shape}, Origin: n.Origin, Args: []*expr.Node{n}, Pos: n.Pos}
	case n.Type != expr.Array:
		return c.fail("RULE-1003", s.pos, "%s needs an array; %s is %s", fn, describe(s), n.Type)
	}
	return n
}

// takes checks the number of values of a method.
func (c *checker) takes(s *syntax, n int) bool {
	if len(s.args)-1 == n {
		return true
	}
	want := map[int]string{0: "no values", 1: "1 value", 2: "2 values"}[n]
	c.fail("RULE-1003", s.pos, "%s takes %s, not %d", s.text, want, len(s.args)-1)
	return false
}

// perItem checks a value that is worked out for each item of an array.
func (c *checker) perItem(array *expr.Node, check func() *expr.Node) *expr.Node {
	c.enter(level{item: true, shape: array.Shape.Item, origin: array.Origin})
	defer c.leave()
	return check()
}

func exists(array *expr.Node) *expr.Node {
	return &expr.Node{Op: expr.Exists, Type: expr.Boolean, Args: []*expr.Node{array}, Pos: array.Pos}
}

// filter checks a.filter(cond), a[cond] and a.exists(cond).
func (c *checker) filter(s *syntax) *expr.Node {
	array := c.arrayOf(s.args[0], s.text)
	if array == nil || !c.takes(s, 1) {
		return nil
	}
	cond := c.perItem(array, func() *expr.Node { return c.condition(s.args[1]) })
	if cond == nil {
		return nil
	}
	out := &expr.Node{Op: expr.Where, Type: expr.Array, Shape: array.Shape, Origin: array.Origin, Args: []*expr.Node{array, cond}, Pos: s.pos}
	if s.text == "exists" {
		return exists(out)
	}
	return out
}

// index checks m["key"] and a[cond].
func (c *checker) index(s *syntax) *expr.Node {
	if key := s.args[1]; key.op == "string" {
		base := s.args[0]
		if base.op == "path" && base.text == "" && base.rooted {
			return c.profilePath(key.text, s.pos)
		}
		n := c.expression(base)
		if n == nil {
			return nil
		}
		return c.member(n, describe(base), key.text, s.pos)
	}
	c.conditions++
	return c.filter(&syntax{op: "call", text: "filter", args: s.args, pos: s.pos})
}

func (c *checker) mapped(s *syntax) *expr.Node {
	array := c.arrayOf(s.args[0], s.text)
	if array == nil || !c.takes(s, 1) {
		return nil
	}
	value := c.perItem(array, func() *expr.Node { return c.expression(s.args[1]) })
	if value == nil {
		return nil
	}
	return &expr.Node{Op: expr.Each, Type: expr.Array, Shape: &expr.Shape{Type: expr.Array, Item: shapeOf(value)}, Origin: value.Origin, Args: []*expr.Node{array, value}, Pos: s.pos}
}

// shapeOf is the shape of a value.
func shapeOf(n *expr.Node) *expr.Shape {
	if n.Shape != nil {
		return n.Shape
	}
	return &expr.Shape{Type: n.Type}
}

// number checks a value that must be a number.
func (c *checker) number(s *syntax) *expr.Node {
	n := c.expression(s)
	if n != nil && !n.Type.Numeric() {
		return c.fail("RULE-1003", s.pos, "%s is %s, not a number", describe(s), n.Type)
	}
	return n
}

// top checks a.topN(number, n) and a.bottomN(number, n).
func (c *checker) top(s *syntax) *expr.Node {
	array := c.arrayOf(s.args[0], s.text)
	if array == nil || !c.takes(s, 2) {
		return nil
	}
	by := c.perItem(array, func() *expr.Node { return c.expression(s.args[1]) })
	if by == nil {
		return nil
	}
	if !by.Type.Numeric() && !by.Type.Temporal() {
		return c.fail("RULE-1003", s.args[1].pos, "%s is %s, not a number", describe(s.args[1]), by.Type)
	}
	n, err := strconv.ParseInt(s.args[2].text, 10, 64)
	if s.args[2].op != "int" || err != nil {
		return c.fail("RULE-1003", s.args[2].pos, "%s takes a whole number of items", s.text)
	}
	return &expr.Node{Op: expr.Top, Fn: s.text, Type: expr.Array, Shape: array.Shape, Origin: array.Origin, Value: expr.Value{Int: n}, Args: []*expr.Node{array, by}, Pos: s.pos}
}

func (c *checker) head(s *syntax) *expr.Node {
	array := c.arrayOf(s.args[0], s.text)
	if array == nil || !c.takes(s, 0) {
		return nil
	}
	item := array.Shape.Item
	return &expr.Node{Op: expr.Head, Type: item.Type, Shape: inside(item), Origin: array.Origin, Args: []*expr.Node{array}, Pos: s.pos}
}

func (c *checker) count(s *syntax) *expr.Node {
	if quant := s.args[0]; quant.op == "quant" && quant.text == "select" && len(quant.binds) > 1 && c.takes(s, 0) {
		return c.expression(quant) // the number of combinations
	}
	array := c.arrayOf(s.args[0], s.text)
	if array == nil || !c.takes(s, 0) {
		return nil
	}
	return &expr.Node{Op: expr.Count, Type: expr.Integer, Args: []*expr.Node{array}, Pos: s.pos}
}

func (c *checker) distinct(s *syntax) *expr.Node {
	array := c.arrayOf(s.args[0], s.text)
	if array == nil || !c.takes(s, 0) {
		return nil
	}
	return &expr.Node{Op: expr.Distinct, Type: expr.Array, Shape: array.Shape, Origin: array.Origin, Args: []*expr.Node{array}, Pos: s.pos}
}

// sum checks sum, average, min and max of the items, or of a number for each.
func (c *checker) sum(s *syntax) *expr.Node {
	array := c.arrayOf(s.args[0], s.text)
	if array == nil || len(s.args) == 1 && !c.summable(s, array.Shape.Item.Type) {
		return nil
	}
	if len(s.args) == 1 {
		return aggregate(s.text, array, nil, s.pos)
	}
	if !c.takes(s, 1) {
		return nil
	}
	value := c.perItem(array, func() *expr.Node { return c.expression(s.args[1]) })
	if value == nil || !c.summable(s, value.Type) {
		return nil
	}
	return aggregate(s.text, array, value, s.pos)
}

func (c *checker) summable(s *syntax, t expr.Type) bool {
	if t == 0 || t.Numeric() || t.Temporal() && (s.text == "min" || s.text == "max") {
		return true
	}
	c.fail("RULE-1003", s.pos, "%s needs numbers, not %s", s.text, t)
	return false
}

// aggregate is fn over the items of an array, or over value for each.
func aggregate(fn string, array, value *expr.Node, pos int) *expr.Node {
	n := &expr.Node{Op: expr.Aggregate, Fn: fn, Type: array.Shape.Item.Type, Args: []*expr.Node{array}, Pos: pos}
	if value != nil {
		n.Type, n.Args = value.Type, append(n.Args, value)
	}
	if n.Type == 0 { // of an empty list
		n.Type = expr.Integer
	}
	if fn == "average" {
		n.Type = expr.Double
	}
	return n
}

// pair checks the methods over two arrays.
func (c *checker) pair(s *syntax) *expr.Node {
	if !c.takes(s, 1) {
		return nil
	}
	a, b := c.twoArrays(s.args[0], s.args[1], s.text)
	if a == nil || b == nil {
		return nil
	}
	n := &expr.Node{Type: expr.Boolean, Args: []*expr.Node{a, b}, Pos: s.pos}
	switch s.text {
	case "intersects":
		n.Op = expr.Intersects
	case "intersection":
		n.Op, n.Type, n.Shape, n.Origin = expr.Intersection, expr.Array, a.Shape, a.Origin
	case "subsetOf":
		n.Op = expr.Subset
	case "supersetOf":
		n.Op, n.Args = expr.Subset, []*expr.Node{b, a}
	}
	return n
}

// twoArrays checks two arrays of one type; a list of literals takes the type of the other.
func (c *checker) twoArrays(x, y *syntax, fn string) (a, b *expr.Node) {
	switch {
	case x.op == "array" && y.op != "array":
		if b = c.arrayOf(y, fn); b != nil {
			a = c.list(x, b.Shape.Item.Type)
		}
	case y.op == "array":
		if a = c.arrayOf(x, fn); a != nil {
			b = c.list(y, a.Shape.Item.Type)
		}
	default:
		a, b = c.arrayOf(x, fn), c.arrayOf(y, fn)
	}
	if a != nil && b != nil && !alike(a.Shape.Item, b.Shape.Item) {
		return c.fail("RULE-1003", y.pos, "%s compares items that are %s with items that are %s", fn, a.Shape.Item.Type, b.Shape.Item.Type), nil
	}
	return a, b
}

// alike reports whether values of two shapes can be equal.
func alike(a, b *expr.Shape) bool {
	if a.Type == 0 || b.Type == 0 { // of an empty list
		return true
	}
	if a.Item != nil && b.Item != nil {
		return a.Type == b.Type && alike(a.Item, b.Item)
	}
	if len(a.Fields) != len(b.Fields) {
		return false
	}
	for i := range a.Fields {
		if a.Names[i] != b.Names[i] || !alike(a.Fields[i], b.Fields[i]) {
			return false
		}
	}
	return comparable(a.Type, b.Type)
}

// list checks an array of literals; want is the type of what it is compared with, 0 if that is not known.
func (c *checker) list(s *syntax, want expr.Type) *expr.Node {
	n := &expr.Node{Op: expr.Literal, Type: expr.Array, Shape: &expr.Shape{Type: expr.Array, Item: &expr.Shape{Type: want}}, Pos: s.pos}
	for _, item := range s.args {
		if n.Shape.Item.Type == 0 {
			first := c.expression(item)
			if first == nil {
				return nil
			}
			n.Shape.Item.Type = first.Type
		}
		v, ok := c.item(item, n.Shape.Item.Type)
		if !ok && want == 0 && n.Shape.Item.Type == expr.Integer && (item.op == "double" || item.op == "neg") {
			return c.list(s, expr.Double)
		}
		if !ok {
			return c.fail("RULE-1003", item.pos, "%s stands among values that are %s; a list has values of one type", describe(item), n.Shape.Item.Type)
		}
		n.Items = append(n.Items, v)
	}
	return n
}

// includes checks a.includes(v).
func (c *checker) includes(s *syntax) *expr.Node {
	array := c.arrayOf(s.args[0], s.text)
	if array == nil || !c.takes(s, 1) {
		return nil
	}
	v := c.expression(s.args[1])
	if v == nil {
		return nil
	}
	c.convert(v, array.Shape.Item.Type)
	if !alike(array.Shape.Item, shapeOf(v)) {
		return c.fail("RULE-1003", s.args[1].pos, "the items are %s, %s is %s", array.Shape.Item.Type, describe(s.args[1]), v.Type)
	}
	return &expr.Node{Op: expr.Includes, Type: expr.Boolean, Args: []*expr.Node{array, v}, Pos: s.pos}
}

// mapOf checks a value that must be a map.
func (c *checker) mapOf(s *syntax) *expr.Node {
	m := c.expression(s.args[0])
	if m != nil && m.Type != expr.Map {
		return c.fail("RULE-1003", s.pos, "%s needs a map; %s is %s", s.text, describe(s.args[0]), m.Type)
	}
	return m
}

func (c *checker) get(s *syntax) *expr.Node {
	m := c.mapOf(s)
	if m == nil || !c.takes(s, 1) {
		return nil
	}
	key := c.expression(s.args[1])
	if key == nil {
		return nil
	}
	if key.Type != expr.String {
		return c.fail("RULE-1003", s.args[1].pos, "the key is %s, not text", key.Type)
	}
	return &expr.Node{Op: expr.Get, Type: m.Shape.Item.Type, Shape: inside(m.Shape.Item), Args: []*expr.Node{m, key}, Pos: s.pos}
}

// entries checks m.keys() and m.values().
func (c *checker) entries(s *syntax) *expr.Node {
	m := c.mapOf(s)
	if m == nil || !c.takes(s, 0) {
		return nil
	}
	if s.text == "keys" {
		return &expr.Node{Op: expr.Keys, Type: expr.Array, Shape: &expr.Shape{Type: expr.Array, Item: &expr.Shape{Type: expr.String}}, Args: []*expr.Node{m}, Pos: s.pos}
	}
	return &expr.Node{Op: expr.Values, Type: expr.Array, Shape: &expr.Shape{Type: expr.Array, Item: m.Shape.Item}, Args: []*expr.Node{m}, Pos: s.pos}
}

// anyItem is the condition that some item of an array meets one; check gets the item (S8).
func (c *checker) anyItem(array *expr.Node, check func(item *expr.Node) *expr.Node) *expr.Node {
	c.enter(level{shape: array.Shape.Item, origin: array.Origin})
	defer c.leave()
	cond := check(c.itemAt(len(c.levels)-1, array.Pos))
	if cond == nil {
		return nil
	}
	return exists(&expr.Node{Op: expr.Where, Type: expr.Array, Shape: array.Shape, Origin: array.Origin, Args: []*expr.Node{array, cond}, Pos: array.Pos})
}
