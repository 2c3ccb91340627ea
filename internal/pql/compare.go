package pql

import (
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/expr"
)

func (c *checker) comparison(s *syntax) *expr.Node {
	if s.args[0].op == "array" || s.args[1].op == "array" {
		return c.same(s)
	}
	a, b := c.expression(s.args[0]), c.expression(s.args[1])
	if a == nil || b == nil {
		return nil
	}
	if a.Shape != nil || b.Shape != nil {
		return c.nestedComparison(s, a, b)
	}
	return c.scalars(s, a, b)
}

// scalars checks the comparison of two values without anything inside.
func (c *checker) scalars(s *syntax, a, b *expr.Node) *expr.Node {
	c.convert(b, a.Type)
	c.convert(a, b.Type)
	if !comparable(a.Type, b.Type) {
		return c.fail("RULE-1003", s.pos, "%s is %s, %s is %s", describe(s.args[0]), a.Type, describe(s.args[1]), b.Type)
	}
	op := expr.Cmp(slices.Index([]string{"=", "!=", "<", "<=", ">", ">="}, s.op))
	if a.Type == expr.Boolean && op > expr.NE {
		return c.fail("RULE-1003", s.pos, "booleans can only be equal or not")
	}
	return &expr.Node{Op: expr.Compare, Type: expr.Boolean, Cmp: op, Args: []*expr.Node{a, b}, Pos: s.pos}
}

// nestedComparison checks a comparison with arrays, objects or maps: of an array with a value it means any item (S8).
func (c *checker) nestedComparison(s *syntax, a, b *expr.Node) *expr.Node {
	switch {
	case a.Type == expr.Array && b.Shape == nil:
		return c.anyItem(a, func(item *expr.Node) *expr.Node {
			if item.Type >= expr.Array {
				return c.fail("RULE-1003", s.pos, "the items of %s are %s, %s is %s", describe(s.args[0]), item.Type, describe(s.args[1]), b.Type)
			}
			return c.scalars(s, item, wrap(b, 1))
		})
	case b.Type == expr.Array && a.Shape == nil:
		return c.anyItem(b, func(item *expr.Node) *expr.Node {
			if item.Type >= expr.Array {
				return c.fail("RULE-1003", s.pos, "the items of %s are %s, %s is %s", describe(s.args[1]), item.Type, describe(s.args[0]), a.Type)
			}
			return c.scalars(s, wrap(a, 1), item)
		})
	}
	return c.sameNodes(s, a, b)
}

// same checks the comparison of two arrays one of which is a list of literals.
func (c *checker) same(s *syntax) *expr.Node {
	a, b := c.twoArrays(s.args[0], s.args[1], s.op)
	if a == nil || b == nil {
		return nil
	}
	return c.sameNodes(s, a, b)
}

func (c *checker) sameNodes(s *syntax, a, b *expr.Node) *expr.Node {
	if a.Type != b.Type || !alike(shapeOf(a), shapeOf(b)) {
		return c.fail("RULE-1003", s.pos, "%s is %s, %s is %s", describe(s.args[0]), a.Type, describe(s.args[1]), b.Type)
	}
	if s.op != "=" && s.op != "!=" {
		return c.fail("RULE-1003", s.pos, "%s can only be equal or not", map[expr.Type]string{expr.Array: "arrays", expr.Map: "maps", expr.Object: "objects"}[a.Type])
	}
	return &expr.Node{Op: expr.Same, Type: expr.Boolean, Cmp: comparisonOf(s.op), Args: []*expr.Node{a, b}, Pos: s.pos}
}

func describe(s *syntax) string {
	switch s.op {
	case "path":
		return s.text
	case "string":
		return lakeward.Quote(s.text)
	case "int", "double", "bool":
		return s.text
	}
	return "the value"
}

func comparable(a, b expr.Type) bool {
	return a == b || a.Numeric() && b.Numeric() || a.Temporal() && b.Temporal()
}

// convert turns a text literal into the other side's type if it reads as one (S6).
func (c *checker) convert(n *expr.Node, to expr.Type) {
	if n.Op != expr.Literal || n.Type != expr.String || to == expr.String {
		return
	}
	text := n.Value.Str
	switch to {
	case expr.Boolean:
		if text == "true" || text == "false" {
			n.Type, n.Value.Bool = to, text == "true"
		}
	case expr.Integer, expr.Double:
		if i, err := strconv.ParseInt(text, 10, 64); err == nil {
			n.Type, n.Value.Int, n.Value.Float = expr.Integer, i, float64(i)
		} else if f, err := strconv.ParseFloat(text, 64); err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) {
			n.Type, n.Value.Float = expr.Double, f
		}
	case expr.Date, expr.DateTime:
		if d, err := time.Parse(time.DateOnly, text); err == nil {
			n.Type, n.Value.Int = expr.Date, floorDays(d)
		} else if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
			n.Type, n.Value.Int = expr.DateTime, t.UnixMilli()
		}
	}
}

func (c *checker) in(s *syntax) *expr.Node {
	list := s.args[1]
	if list.op == "array" && len(list.args) == 0 {
		return c.fail("RULE-1004", list.pos, "a list needs at least one value")
	}
	if s.args[0].op == "array" || list.op != "array" {
		return c.inArray(s)
	}
	a := c.expression(s.args[0])
	switch {
	case a == nil:
		return nil
	case a.Type == expr.Array && s.op == "notIn": // not empty and none (S8)
		any := c.anyItem(a, func(item *expr.Node) *expr.Node { return c.inList(s, item, expr.In) })
		return and(exists(a), not(any), s.pos)
	case a.Type == expr.Array:
		return c.anyItem(a, func(item *expr.Node) *expr.Node { return c.inList(s, item, expr.In) })
	case s.op == "notIn":
		return c.inList(s, a, expr.NotIn)
	}
	return c.inList(s, a, expr.In)
}

func and(a, b *expr.Node, pos int) *expr.Node {
	if a == nil || b == nil {
		return nil
	}
	return &expr.Node{Op: expr.And, Type: expr.Boolean, Args: []*expr.Node{a, b}, Pos: pos}
}

func not(n *expr.Node) *expr.Node {
	if n == nil {
		return nil
	}
	return &expr.Node{Op: expr.Not, Type: expr.Boolean, Args: []*expr.Node{n}, Pos: n.Pos}
}

func isNull(n *expr.Node) *expr.Node {
	return &expr.Node{Op: expr.IsNull, Type: expr.Boolean, Args: []*expr.Node{n}, Pos: n.Pos}
}

// inArray checks in and notIn with an array that is no list of literals: false if an operand is null (S3).
func (c *checker) inArray(s *syntax) *expr.Node {
	if s.args[0].op == "array" || s.args[1].op == "array" {
		a, b := c.twoArrays(s.args[0], s.args[1], s.op)
		return c.membership(s, a, b)
	}
	a, b := c.expression(s.args[0]), c.expression(s.args[1])
	if a == nil || b == nil {
		return nil
	}
	if b.Type != expr.Array {
		return c.fail("RULE-1003", s.args[1].pos, "behind %s stands a list, as in [1, 2], or an array", s.op)
	}
	return c.membership(s, a, b)
}

func (c *checker) membership(s *syntax, a, b *expr.Node) *expr.Node {
	if a == nil || b == nil {
		return nil
	}
	is := &expr.Node{Op: expr.Includes, Type: expr.Boolean, Args: []*expr.Node{b, a}, Pos: s.pos}
	var item *expr.Shape
	if a.Type == expr.Array {
		is.Op, item = expr.Intersects, a.Shape.Item
	} else {
		c.convert(a, b.Shape.Item.Type)
		item = shapeOf(a)
	}
	if !alike(b.Shape.Item, item) {
		return c.fail("RULE-1003", s.pos, "%s is %s, the items of %s are %s", describe(s.args[0]), item.Type, describe(s.args[1]), b.Shape.Item.Type)
	}
	if s.op == "in" {
		return is
	}
	known := not(isNull(a))
	if a.Type == expr.Array {
		known = exists(a)
	}
	return and(and(known, not(isNull(b)), s.pos), not(is), s.pos)
}

// inList checks that a value is, or is not, one of a list of literals.
func (c *checker) inList(s *syntax, a *expr.Node, op expr.Op) *expr.Node {
	list := s.args[1]
	n := &expr.Node{Op: op, Type: expr.Boolean, Args: []*expr.Node{a}, Pos: s.pos}
	for _, item := range list.args {
		v, ok := c.item(item, a.Type)
		if !ok && a.Type == expr.Integer && fraction(item) {
			continue // no whole number equals it (S6)
		}
		if !ok {
			return c.fail("RULE-1003", item.pos, "%s is %s; the values of the list must be of that type", describe(s.args[0]), a.Type)
		}
		n.Items = append(n.Items, v)
	}
	return n
}

// fraction reports whether a literal is a number that is not whole.
func fraction(s *syntax) bool {
	if s.op == "neg" {
		s = s.args[0]
	}
	return s.op == "double"
}

// item checks one literal of a list against the type of what it is compared with.
func (c *checker) item(s *syntax, want expr.Type) (expr.Value, bool) {
	negative := s.op == "neg"
	if negative {
		s = s.args[0]
		if s.op != "int" && s.op != "double" {
			return expr.Value{}, false
		}
	}
	n := c.literal(s)
	if n == nil || s.op == "path" || s.op == "call" || s.op == "array" {
		return expr.Value{}, false
	}
	c.convert(n, want)
	if negative {
		n.Value.Int, n.Value.Float = -n.Value.Int, -n.Value.Float
	}
	switch {
	case want == expr.Integer && n.Type == expr.Double:
		n.Value.Int = int64(n.Value.Float)
		return n.Value, float64(n.Value.Int) == n.Value.Float
	case want == expr.DateTime && n.Type == expr.Date:
		n.Value.Int *= 86_400_000
		return n.Value, true
	case want == expr.Date && n.Type == expr.DateTime:
		return n.Value, false
	}
	return n.Value, comparable(n.Type, want)
}
