package pql

import (
	"slices"
	"strconv"

	"github.com/lakeward/lakeward/internal/expr"
)

// binding is a variable of select, exists, forall or over: its array and its condition, nil for none.
type binding struct {
	name  token
	array *syntax
	where *syntax
}

// quantifies reports whether a quantifier begins here. The names of the sums are names elsewhere: it is one
// where a value follows without an operator.
func (p *parser) quantifies() bool {
	t := p.peek()
	if t.is("select") || t.is("exists") || t.is("forall") {
		return true
	}
	if !isSum(t) || p.at+1 >= len(p.tokens) {
		return false
	}
	next := p.tokens[p.at+1]
	operators := []string{"and", "or", "in", "notIn", "like", "occurs", "not", "over", "where", "from"}
	return next.is("$1") || next.is("^") || next.kind == nameToken && !slices.ContainsFunc(operators, next.is)
}

func isSum(t token) bool {
	return slices.ContainsFunc([]string{"sum", "average", "min", "max"}, t.is)
}

// quantifier parses ( select | exists | forall ) bindings, or ( sum | average | min | max ) add over bindings.
func (p *parser) quantifier() (*syntax, *problem) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	t := p.take()
	n := &syntax{op: "quant", pos: t.pos}
	for _, word := range []string{"select", "exists", "forall", "sum", "average", "min", "max"} {
		if t.is(word) {
			n.text = word
		}
	}
	if isSum(t) {
		number, err := p.add()
		if err == nil {
			err = p.expect("over")
		}
		if err != nil {
			return nil, err
		}
		n.args = []*syntax{number}
	}
	for {
		b, err := p.binding()
		if err != nil {
			return nil, err
		}
		n.binds = append(n.binds, b)
		if !p.peek().is(",") || p.at+2 >= len(p.tokens) || p.tokens[p.at+1].kind != nameToken || !p.tokens[p.at+2].is("from") {
			return n, nil
		}
		p.take()
	}
}

// binding parses NAME from postfix [ ( where | : ) or ].
func (p *parser) binding() (b binding, err *problem) {
	b.name = p.take()
	if b.name.kind != nameToken {
		p.at--
		return b, p.unexpected("a name")
	}
	if err = p.expect("from"); err != nil {
		return b, err
	}
	if b.array, err = p.postfix(); err != nil {
		return b, err
	}
	if p.peek().is("where") || p.peek().is(":") {
		p.take()
		b.where, err = p.or()
	}
	return b, err
}

// quantifier checks the bindings from the outermost on. Several variables are the combinations of their items.
func (c *checker) quantifier(s *syntax) *expr.Node {
	c.conditions++
	if s.text == "forall" {
		return c.forall(s, s.binds, nil)
	}
	return c.combinations(s, s.binds)
}

// bound checks a binding's array and calls inside with its variable in scope; the result is for the array's items.
func (c *checker) bound(b binding, inside func() *expr.Node) (array, below *expr.Node) {
	array = c.arrayOf(b.array, "from")
	if array == nil {
		return nil, nil
	}
	c.enter(level{name: b.name.text, shape: array.Shape.Item, origin: array.Origin})
	defer c.leave()
	if b.where != nil {
		c.conditions++
		cond := c.condition(b.where)
		if cond == nil {
			return nil, nil
		}
		array = &expr.Node{Op: expr.Where, Type: expr.Array, Shape: array.Shape, Origin: array.Origin, Args: []*expr.Node{array, cond}, Pos: b.name.pos}
	}
	if inside == nil {
		return array, nil
	}
	return array, inside()
}

// combinations checks select, exists and the sums: for one variable its items, for several a number or a condition over
// those of the first for which there are combinations of the others.
func (c *checker) combinations(s *syntax, binds []binding) *expr.Node {
	last := len(binds) == 1
	var inside func() *expr.Node
	switch {
	case !last:
		inside = func() *expr.Node { return c.combinations(s, binds[1:]) }
	case len(s.args) == 1:
		inside = func() *expr.Node { return c.number(s.args[0]) }
	}
	array, below := c.bound(binds[0], inside)
	if array == nil || inside != nil && below == nil {
		return nil
	}
	switch {
	case len(s.args) == 1 && (last || s.text == "sum"):
		return aggregate(s.text, array, below, s.pos)
	case len(s.args) == 1:
		return c.fail("RULE-1003", s.pos, "%s takes one variable; nest it, or write sum", s.text)
	case last && s.text == "select":
		return array
	case last:
		return &expr.Node{Op: expr.Exists, Type: expr.Boolean, Args: []*expr.Node{array}, Pos: s.pos}
	case s.text == "exists":
		return exists(&expr.Node{Op: expr.Where, Type: expr.Array, Shape: array.Shape, Origin: array.Origin, Args: []*expr.Node{array, below}, Pos: s.pos})
	case below.Type == expr.Array:
		below = &expr.Node{Op: expr.Count, Type: expr.Integer, Args: []*expr.Node{below}, Pos: s.pos}
	}
	return aggregate("sum", array, below, s.pos) // the number of combinations
}

// forall checks that every combination meets every condition: all conditions stand innermost, where all variables are known.
func (c *checker) forall(s *syntax, binds []binding, conds []*expr.Node) *expr.Node {
	array := c.arrayOf(binds[0].array, "from")
	if array == nil {
		return nil
	}
	c.enter(level{name: binds[0].name.text, shape: array.Shape.Item, origin: array.Origin})
	defer c.leave()
	for i := range conds {
		conds[i] = wrap(conds[i], 1)
	}
	if binds[0].where != nil {
		c.conditions++
		cond := c.condition(binds[0].where)
		if cond == nil {
			return nil
		}
		conds = append(conds, cond)
	}
	var all *expr.Node
	if len(binds) > 1 {
		all = c.forall(s, binds[1:], conds)
	} else {
		all = &expr.Node{Op: expr.Literal, Type: expr.Boolean, Value: expr.Value{Bool: true}, Pos: s.pos}
		for _, cond := range conds {
			all = &expr.Node{Op: expr.And, Type: expr.Boolean, Args: []*expr.Node{all, cond}, Pos: s.pos}
		}
	}
	if all == nil {
		return nil
	}
	return &expr.Node{Op: expr.All, Type: expr.Boolean, Args: []*expr.Node{array, all}, Pos: s.pos}
}

// chain parses one step of chain(xEvent, timestamp, [NAME: what(...) when(...) count(...)]).
func (p *parser) chain(at token) (*syntax, *problem) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	p.take()
	array, err := p.postfix()
	if err != nil {
		return nil, err
	}
	n := &syntax{op: "chain", args: []*syntax{array}, pos: at.pos}
	if err := p.expect(","); err != nil {
		return nil, err
	}
	stamp := p.take()
	n.args = append(n.args, &syntax{op: "path", text: stamp.text, pos: stamp.pos})
	for _, word := range []string{",", "["} {
		if err := p.expect(word); err != nil {
			return nil, err
		}
	}
	if t := p.take(); t.kind != nameToken {
		p.at--
		return nil, p.unexpected("a name for the step")
	}
	if err := p.expect(":"); err != nil {
		return nil, err
	}
	if err := p.step(n); err != nil {
		return nil, err
	}
	if t := p.peek(); t.is(",") {
		return nil, problemAt("RULE-1001", at.pos, "CHAIN with several steps is not supported yet")
	}
	if err := p.expect("]"); err != nil {
		return nil, err
	}
	return n, p.expect(")")
}

// step parses the parts of a step: conditions become further arguments of the chain, its count a text such as ">= 2".
func (p *parser) step(n *syntax) *problem {
	for {
		t := p.peek()
		if !t.is("what") && !t.is("where") && !t.is("when") && !t.is("count") {
			return nil
		}
		p.take()
		if err := p.expect("("); err != nil {
			return err
		}
		var err *problem
		switch {
		case t.is("when"):
			var w *syntax
			if w, err = p.occurs(n.args[1], t); err == nil {
				n.args = append(n.args, w)
			}
		case t.is("count"):
			err = p.stepCount(n)
		default:
			var cond *syntax
			if cond, err = p.inside(p.expression); err == nil {
				n.args = append(n.args, cond)
			}
		}
		if err != nil {
			return err
		}
		if err := p.expect(")"); err != nil {
			return err
		}
	}
}

func (p *parser) stepCount(n *syntax) *problem {
	n.when = &when{cmp: expr.GE}
	if slices.ContainsFunc(comparisons(), p.peek().is) {
		n.when.cmp = comparisonOf(p.take().text)
	}
	if p.peek().kind != intToken {
		return p.unexpected("a whole number")
	}
	t := p.take()
	n.when.n, n.when.nPos = t.text, t.pos
	return nil
}

// chain checks one step: a count of the items that meet its conditions.
func (c *checker) chain(s *syntax) *expr.Node {
	c.conditions++
	array := c.arrayOf(s.args[0], "chain")
	if array == nil {
		return nil
	}
	c.enter(level{item: true, shape: array.Shape.Item, origin: array.Origin})
	defer c.leave()
	out := array
	for _, part := range s.args[2:] {
		cond := c.condition(part)
		if cond == nil {
			return nil
		}
		out = &expr.Node{Op: expr.Where, Type: expr.Array, Shape: array.Shape, Origin: array.Origin, Args: []*expr.Node{out, cond}, Pos: s.pos}
	}
	if s.when == nil {
		return exists(out)
	}
	n, err := strconv.ParseInt(s.when.n, 10, 64)
	if err != nil {
		return c.fail("RULE-1003", s.when.nPos, "the number is out of range")
	}
	count := &expr.Node{Op: expr.Count, Type: expr.Integer, Args: []*expr.Node{out}, Pos: s.pos}
	limit := &expr.Node{Op: expr.Literal, Type: expr.Integer, Value: expr.Value{Int: n, Float: float64(n)}, Pos: s.pos}
	return &expr.Node{Op: expr.Compare, Type: expr.Boolean, Cmp: s.when.cmp, Args: []*expr.Node{count, limit}, Pos: s.pos}
}
