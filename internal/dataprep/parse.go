package dataprep

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// syntax is a node of a parsed field, before names and types are looked at.
type syntax struct {
	op   string // "string", "int", "double", "bool", "null", "name", "member", "index", "call", "lambda", "array", or an operator by its sign
	args []*syntax
	text string // of a literal, a name, a member or a function; the variable of a lambda
	pos  int
}

type parser struct {
	tokens []token
	at     int
	depth  int
	nodes  int
	calls  int
}

// parse turns a field into syntax; the error is the first one.
func parse(src string) (*syntax, *problem) {
	switch {
	case len(src) > maxSource:
		return nil, problemAt("EXPR-1010", 0, "the expression is longer than %d bytes", maxSource)
	case strings.TrimSpace(src) == "":
		return nil, problemAt("EXPR-1001", 0, "the expression is empty")
	case !utf8.ValidString(src):
		return nil, problemAt("EXPR-1001", 0, "the expression is not UTF-8")
	}
	tokens, err := lex(src)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens}
	n, err := p.expression()
	if err == nil && p.peek().kind != endToken {
		err = p.unexpected("an operator or the end")
	}
	if err != nil {
		return nil, err
	}
	return n, nil
}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) take() token {
	t := p.tokens[p.at]
	if t.kind != endToken {
		p.at++
	}
	return t
}

func (p *parser) accept(words ...string) (token, bool) {
	if p.peek().is(words...) {
		return p.take(), true
	}
	return token{}, false
}

func (p *parser) expect(word string) *problem {
	if _, ok := p.accept(word); !ok {
		return p.unexpected(word)
	}
	return nil
}

func (p *parser) unexpected(want string) *problem {
	t := p.peek()
	found := "the end"
	if t.kind != endToken {
		found = strconv.Quote(t.text)
	}
	return problemAt("EXPR-1001", t.pos, "expected %s, found %s", want, found)
}

// node counts the nodes.
func (p *parser) node(n *syntax) (*syntax, *problem) {
	if p.nodes++; p.nodes > maxNodes {
		return nil, problemAt("EXPR-1010", n.pos, "the expression has more than %d parts", maxNodes)
	}
	return n, nil
}

// nested parses one level deeper.
func (p *parser) nested(parse func() (*syntax, *problem)) (*syntax, *problem) {
	if p.depth++; p.depth > maxDepth {
		return nil, problemAt("EXPR-1010", p.peek().pos, "nested deeper than %d", maxDepth)
	}
	defer func() { p.depth-- }()
	return parse()
}

func (p *parser) expression() (*syntax, *problem) { return p.left(p.and, "||", "or") }
func (p *parser) and() (*syntax, *problem)        { return p.left(p.not, "&&", "and") }
func (p *parser) add() (*syntax, *problem)        { return p.left(p.mul, "+", "-") }
func (p *parser) mul() (*syntax, *problem)        { return p.left(p.unary, "*", "/", "%", "div", "mod") }

// sign is the one spelling of an operator.
func sign(text string) string {
	words := map[string]string{"or": "||", "and": "&&", "not": "!", "div": "/", "mod": "%", "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
	if s, ok := words[text]; ok {
		return s
	}
	return text
}

// left parses operands that operators join from left to right.
func (p *parser) left(operand func() (*syntax, *problem), ops ...string) (*syntax, *problem) {
	n, err := operand()
	for err == nil {
		t, ok := p.accept(ops...)
		if !ok {
			return n, nil
		}
		var right *syntax
		if right, err = operand(); err == nil {
			n, err = p.node(&syntax{op: sign(t.text), args: []*syntax{n, right}, pos: t.pos})
		}
	}
	return nil, err
}

func (p *parser) not() (*syntax, *problem) {
	t, ok := p.accept("!", "not")
	if !ok {
		return p.compare()
	}
	n, err := p.nested(p.not)
	if err != nil {
		return nil, err
	}
	return p.node(&syntax{op: "!", args: []*syntax{n}, pos: t.pos})
}

func (p *parser) compare() (*syntax, *problem) {
	n, err := p.add()
	if err != nil {
		return nil, err
	}
	signs := []string{"==", "!=", "<", "<=", ">", ">=", "eq", "ne", "lt", "le", "gt", "ge"}
	t, ok := p.accept(signs...)
	if !ok {
		return n, nil
	}
	right, err := p.add()
	if err != nil {
		return nil, err
	}
	if next := p.peek(); next.is(signs...) {
		return nil, problemAt("EXPR-1001", next.pos, "comparisons cannot be chained; join them with &&")
	}
	return p.node(&syntax{op: sign(t.text), args: []*syntax{n, right}, pos: t.pos})
}

func (p *parser) unary() (*syntax, *problem) {
	t, ok := p.accept("-")
	if !ok {
		return p.postfix()
	}
	n, err := p.nested(p.unary)
	if err != nil {
		return nil, err
	}
	return p.node(&syntax{op: "neg", args: []*syntax{n}, pos: t.pos})
}

// postfix parses a value with what stands behind it: .name, .method(...), [index].
func (p *parser) postfix() (*syntax, *problem) {
	n, err := p.primary()
	for err == nil {
		if open, ok := p.accept("["); ok {
			var key *syntax
			if key, err = p.nested(p.expression); err == nil {
				err = p.expect("]")
			}
			if err == nil {
				n, err = p.node(&syntax{op: "index", args: []*syntax{n, key}, pos: open.pos})
			}
			continue
		}
		if _, ok := p.accept("."); !ok {
			return n, nil
		}
		name, bad := p.name()
		if bad != nil {
			return nil, bad
		}
		if p.peek().is("(") && name.kind == nameToken {
			n, err = p.call(name, n)
			continue
		}
		n, err = p.node(&syntax{op: "member", text: name.text, args: []*syntax{n}, pos: name.pos})
	}
	return nil, err
}

// name takes the name of a field or a function.
func (p *parser) name() (token, *problem) {
	t := p.peek()
	if t.kind != nameToken && t.kind != quotedName {
		return t, p.unexpected("a name")
	}
	if t.kind == nameToken && slices.Contains(reserved(), t.text) {
		return t, problemAt("EXPR-1001", t.pos, "%s is a word of the language; a field of that name is written ${%s}", t.text, t.text)
	}
	return p.take(), nil
}

// call parses the arguments of a function; receiver is the value that it is written behind, nil for none.
func (p *parser) call(name token, receiver *syntax) (*syntax, *problem) {
	if p.calls++; p.calls > maxCalls {
		return nil, problemAt("EXPR-1010", name.pos, "the expression calls more than %d functions", maxCalls)
	}
	n := &syntax{op: "call", text: name.text, pos: name.pos}
	if receiver != nil {
		n.args = append(n.args, receiver)
	}
	args, err := p.list("(", ")")
	if err != nil {
		return nil, err
	}
	n.args = append(n.args, args...)
	return p.node(n)
}

// list parses values with commas between brackets.
func (p *parser) list(open, shut string) ([]*syntax, *problem) {
	if err := p.expect(open); err != nil {
		return nil, err
	}
	if _, ok := p.accept(shut); ok {
		return nil, nil
	}
	var out []*syntax
	for {
		n, err := p.nested(p.argument)
		if err != nil {
			return nil, err
		}
		out = append(out, n)
		if _, ok := p.accept(","); ok {
			continue
		}
		if !p.peek().is(shut) {
			return nil, p.unexpected(", or " + shut)
		}
		p.take()
		return out, nil
	}
}

// argument parses a lambda, NAME -> expression, or a value.
func (p *parser) argument() (*syntax, *problem) {
	t := p.peek()
	if t.kind != nameToken || p.at+1 >= len(p.tokens) || !p.tokens[p.at+1].is("->") {
		return p.expression()
	}
	if _, err := p.name(); err != nil {
		return nil, err
	}
	p.take()
	body, err := p.expression()
	if err != nil {
		return nil, err
	}
	return p.node(&syntax{op: "lambda", text: t.text, args: []*syntax{body}, pos: t.pos})
}

func (p *parser) primary() (*syntax, *problem) {
	t := p.peek()
	switch {
	case t.kind == stringToken:
		p.take()
		return p.node(&syntax{op: "string", text: t.text, pos: t.pos})
	case t.kind == intToken:
		p.take()
		return p.node(&syntax{op: "int", text: t.text, pos: t.pos})
	case t.kind == doubleToken:
		p.take()
		return p.node(&syntax{op: "double", text: t.text, pos: t.pos})
	case t.is("true", "false"):
		p.take()
		return p.node(&syntax{op: "bool", text: t.text, pos: t.pos})
	case t.is("null"):
		p.take()
		return p.node(&syntax{op: "null", pos: t.pos})
	case t.is("("):
		p.take()
		n, err := p.nested(p.expression)
		if err != nil {
			return nil, err
		}
		return n, p.expect(")")
	case t.is("["):
		items, err := p.list("[", "]")
		if err != nil {
			return nil, err
		}
		return p.node(&syntax{op: "array", args: items, pos: t.pos})
	case t.kind == nameToken || t.kind == quotedName:
		if _, err := p.name(); err != nil {
			return nil, err
		}
		if t.kind == nameToken && p.peek().is("(") {
			return p.call(t, nil)
		}
		return p.node(&syntax{op: "name", text: t.text, pos: t.pos})
	}
	return nil, p.unexpected("a value")
}
