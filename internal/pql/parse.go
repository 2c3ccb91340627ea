package pql

import (
	"slices"
	"strconv"
	"strings"
)

// syntax is a node of a parsed rule, before names and types are looked at.
type syntax struct {
	op   string // "literal" forms: string int double bool array date; "path"; "call"; "index"; "quant"; operators by their sign
	args []*syntax
	text string // of a literal, a path or a method
	when *when  // of occurs
	pos  int

	rooted bool // a path behind $1: of the profile, whatever else has its name
	ups    int  // of a path behind ^: arrays further out
	binds  []binding
}

type parser struct {
	src    string
	tokens []token
	at     int
	depth  int
	bareIn bool // the next bare in ends the value of a let
	listed int  // bytes of the lists
}

// parse turns a rule into syntax; the error is the first one.
func parse(src string) (*syntax, *problem) {
	if len(src) > maxRule {
		return nil, problemAt("RULE-1005", 0, "the rule is longer than 1 MiB")
	}
	if strings.TrimSpace(src) == "" {
		return nil, problemAt("RULE-1004", 0, "the rule is empty")
	}
	tokens, err := lex(src)
	if err != nil {
		return nil, err
	}
	p := &parser{src: src, tokens: tokens}
	profile := p.profile()
	n, err := p.expression()
	if err != nil {
		return nil, err
	}
	if profile != "" {
		n = &syntax{op: "profile", text: profile, args: []*syntax{n}}
	}
	if t := p.peek(); t.kind != endToken {
		return nil, p.unexpected("and, or or the end")
	}
	if len(src)-p.listed > maxOutside {
		return nil, problemAt("RULE-1005", 0, "the rule is longer than 64 KiB without its lists")
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

func (p *parser) accept(word string) (token, bool) {
	if t := p.peek(); t.is(word) {
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
	return problemAt("RULE-1001", t.pos, "expected %s, found %s", want, found)
}

// later refuses what the language has and this version does not evaluate (K9).
func later(t token) *problem {
	return problemAt("RULE-1001", t.pos, "%s", t.text+" is not supported yet")
}

func (p *parser) enter() *problem {
	if p.depth++; p.depth > maxDepth {
		return problemAt("RULE-1005", p.peek().pos, "nested deeper than %d", maxDepth)
	}
	return nil
}

// profile takes "(" NAME ")" "=>", a name for the profile.
func (p *parser) profile() string {
	t := p.tokens
	if len(t) < 5 || !t[0].is("(") || t[1].kind != nameToken || !t[2].is(")") || !t[3].is("=>") {
		return ""
	}
	p.at = 4
	return t[1].text
}

// expression parses "let" NAME "=" or "in" expr, or a condition.
func (p *parser) expression() (*syntax, *problem) {
	t := p.peek()
	if !t.is("let") {
		return p.or()
	}
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	p.take()
	name := p.take()
	if name.kind != nameToken {
		p.at--
		return nil, p.unexpected("a name")
	}
	if err := p.expect("="); err != nil {
		return nil, err
	}
	before := p.bareIn
	p.bareIn = true
	value, err := p.or()
	p.bareIn = before
	if err == nil {
		err = p.expect("in")
	}
	if err != nil {
		return nil, err
	}
	body, err := p.expression()
	return &syntax{op: "let", text: name.text, args: []*syntax{value, body}, pos: t.pos}, err
}

// inside parses between brackets, where a bare in is the operator again.
func (p *parser) inside(parse func() (*syntax, *problem)) (*syntax, *problem) {
	before := p.bareIn
	p.bareIn = false
	n, err := parse()
	p.bareIn = before
	return n, err
}

func (p *parser) or() (*syntax, *problem)  { return p.left(p.and, "or") }
func (p *parser) and() (*syntax, *problem) { return p.left(p.not, "and") }
func (p *parser) add() (*syntax, *problem) { return p.left(p.mul, "+", "-") }
func (p *parser) mul() (*syntax, *problem) { return p.left(p.unary, "*", "/", "%") }

// left parses operands that operators join from left to right.
func (p *parser) left(operand func() (*syntax, *problem), ops ...string) (*syntax, *problem) {
	n, err := operand()
	for err == nil {
		i := slices.IndexFunc(ops, p.peek().is)
		if i < 0 {
			return n, nil
		}
		t := p.take()
		var right *syntax
		if right, err = operand(); err == nil {
			n = &syntax{op: ops[i], args: []*syntax{n, right}, pos: t.pos}
		}
	}
	return nil, err
}

func (p *parser) not() (*syntax, *problem) {
	t := p.peek()
	if p.quantifies() {
		return p.quantifier()
	}
	if !t.is("not") && !t.is("!") {
		return p.compare()
	}
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	p.take()
	n, err := p.not()
	return &syntax{op: "not", args: []*syntax{n}, pos: t.pos}, err
}

func (p *parser) compare() (*syntax, *problem) {
	n, err := p.add()
	if err != nil {
		return nil, err
	}
	t := p.peek()
	if t.is("occurs") {
		p.take()
		return p.occurs(n, t)
	}
	if p.bareIn && t.is("in") {
		return n, nil
	}
	ops := slices.Concat(comparisons(), []string{"in", "notIn", "like"})
	i := slices.IndexFunc(ops, t.is)
	if i < 0 {
		return n, nil
	}
	p.take()
	right, err := p.add()
	if err != nil {
		return nil, err
	}
	if j := slices.IndexFunc(ops[:6], p.peek().is); j >= 0 {
		return nil, problemAt("RULE-1001", p.peek().pos, "comparisons cannot be chained; join them with and")
	}
	return &syntax{op: ops[i], args: []*syntax{n, right}, pos: t.pos}, nil
}

func (p *parser) unary() (*syntax, *problem) {
	t := p.peek()
	if !t.is("-") {
		return p.postfix()
	}
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	p.take()
	n, err := p.unary()
	return &syntax{op: "neg", args: []*syntax{n}, pos: t.pos}, err
}

func (p *parser) postfix() (*syntax, *problem) {
	n, err := p.primary()
	for err == nil {
		if p.peek().is("[") {
			n, err = p.index(n)
			continue
		}
		if _, ok := p.accept("."); !ok {
			return n, nil
		}
		name := p.take()
		if name.kind != nameToken {
			p.at--
			return nil, p.unexpected("a name")
		}
		if p.peek().is("(") {
			args, aerr := p.arguments()
			n, err = &syntax{op: "call", text: name.text, args: append([]*syntax{n}, args...), pos: name.pos}, aerr
			continue
		}
		if n.op == "path" {
			n = &syntax{op: "path", text: strings.TrimPrefix(n.text+"."+name.text, "."), pos: n.pos, rooted: n.rooted, ups: n.ups}
			continue
		}
		n = &syntax{op: "member", text: name.text, args: []*syntax{n}, pos: name.pos}
	}
	return nil, err
}

// index parses "[" STRING "]", a key, or "[" expr "]", a filter.
func (p *parser) index(n *syntax) (*syntax, *problem) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	open := p.take()
	inside, err := p.inside(p.expression)
	if err != nil {
		return nil, err
	}
	return &syntax{op: "index", args: []*syntax{n, inside}, pos: open.pos}, p.expect("]")
}

// arguments parses "(" [ expr { "," expr } ] ")".
func (p *parser) arguments() ([]*syntax, *problem) {
	if err := p.enter(); err != nil {
		return nil, err
	}
	defer func() { p.depth-- }()
	p.take()
	var args []*syntax
	if _, ok := p.accept(")"); ok {
		return nil, nil
	}
	for {
		a, err := p.inside(p.expression)
		if err != nil {
			return nil, err
		}
		args = append(args, a)
		if _, ok := p.accept(","); !ok {
			return args, p.expect(")")
		}
	}
}

func (p *parser) primary() (*syntax, *problem) {
	t := p.take()
	switch {
	case t.kind == stringToken:
		return &syntax{op: "string", text: t.text, pos: t.pos}, nil
	case t.kind == intToken:
		return &syntax{op: "int", text: t.text, pos: t.pos}, nil
	case t.kind == doubleToken:
		return &syntax{op: "double", text: t.text, pos: t.pos}, nil
	case t.is("true"), t.is("false"):
		return &syntax{op: "bool", text: strings.ToLower(t.text), pos: t.pos}, nil
	case t.is("("):
		if err := p.enter(); err != nil {
			return nil, err
		}
		defer func() { p.depth-- }()
		if c := p.peek(); c.is(")") {
			return nil, problemAt("RULE-1004", c.pos, "the parentheses are empty")
		}
		n, err := p.inside(p.expression)
		if err != nil {
			return nil, err
		}
		return n, p.expect(")")
	case t.is("["):
		return p.array(t)
	case t.is("$1"):
		return &syntax{op: "path", pos: t.pos, rooted: true}, nil
	case t.is("^"):
		return p.outer(t)
	case t.is("{"):
		return nil, later(t)
	case t.kind == nameToken:
		return p.name(t)
	}
	p.at = max(0, p.at-1)
	if t.kind == endToken {
		p.at = len(p.tokens) - 1
	}
	return nil, p.unexpected("a value")
}

// name parses a field path or one of the functions.
func (p *parser) name(t token) (*syntax, *problem) {
	switch {
	case t.is("this"):
		return &syntax{op: "this", pos: t.pos}, nil
	case t.is("xEvent"):
		return &syntax{op: "path", text: eventsPath, pos: t.pos}, nil
	case t.is("chain") && p.peek().is("("):
		return p.chain(t)
	case t.is("select"), t.is("exists"), t.is("forall"), t.is("let"):
		return nil, problemAt("RULE-1001", t.pos, "%s", "put "+t.text+" into parentheses here")
	}
	for _, word := range []string{"now", "today", "yesterday", "tomorrow"} {
		if t.is(word) {
			return &syntax{op: "func", text: word, pos: t.pos}, nil
		}
	}
	if !p.peek().is("(") {
		return &syntax{op: "path", text: t.text, pos: t.pos}, nil
	}
	args, err := p.arguments()
	if err != nil {
		return nil, err
	}
	if _, clock := clocks()[t.text]; clock || t.text == "if" || t.text == "inSegment" {
		return &syntax{op: "func", text: t.text, args: args, pos: t.pos}, nil
	}
	if !t.is("date") {
		if isMethod(t.text) {
			return nil, problemAt("RULE-1001", t.pos, "%s", "write it behind its value, as in x."+t.text+"()")
		}
		if slices.Contains(laterFunctions(), t.text) {
			return nil, later(t)
		}
		return nil, problemAt("RULE-1001", t.pos, "%s", "no function "+strconv.Quote(t.text))
	}
	return &syntax{op: "date", args: args, pos: t.pos}, nil
}

// outer parses "^" { "^" } [ "." ] NAME.
func (p *parser) outer(at token) (*syntax, *problem) {
	n := &syntax{op: "path", pos: at.pos, ups: 1}
	for p.peek().is("^") {
		p.take()
		n.ups++
	}
	p.accept(".")
	name := p.take()
	if name.kind != nameToken {
		p.at--
		return nil, p.unexpected("a name")
	}
	n.text = name.text
	return n, nil
}

func (p *parser) array(open token) (*syntax, *problem) {
	n := &syntax{op: "array", pos: open.pos}
	if _, ok := p.accept("]"); ok {
		return n, nil
	}
	for {
		item, err := p.unary()
		if err != nil {
			return nil, err
		}
		n.args = append(n.args, item)
		if len(n.args) > maxItems {
			return nil, problemAt("RULE-1005", open.pos, "more than 100,000 values in a list")
		}
		if _, ok := p.accept(","); !ok {
			p.listed += p.peek().pos - open.pos
			return n, p.expect("]")
		}
	}
}
