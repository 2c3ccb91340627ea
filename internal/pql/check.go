package pql

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/expr"
)

// Scope is what the names in a rule may mean.
type Scope struct {
	Union     []lakeward.Leaf     // fields of the profile
	Events    []lakeward.Leaf     // fields of its events
	Audiences []lakeward.Audience // of the sandbox
}

// Parse checks a rule against its scope and returns its condition. The error is a
// lakeward.Error of kind Invalid whose message gives line and column; the first syntax error, or all others at once.
func Parse(src string, scope Scope) (*expr.Node, error) {
	s, err := parse(src)
	if err != nil {
		return nil, expr.SourceError(src, []problem{*err})
	}
	c := &checker{scope: scope}
	n := c.condition(s)
	if c.conditions > maxConditions {
		c.fail("RULE-1005", s.pos, "%d conditions; at most %d", c.conditions, maxConditions)
	}
	if len(c.errs) == 0 && n.Cost() > maxCost {
		c.fail("EXPR-2001", s.pos, "the rule takes more than %d steps for each profile; what a name of let stands for is worked out wherever the name stands", maxCost)
	}
	if len(c.errs) > 0 {
		return nil, expr.SourceError(src, c.errs)
	}
	return n, nil
}

type checker struct {
	scope      Scope
	profile    string // the rule's name for the profile
	variables  []variable
	levels     []level // arrays around the current place, the innermost last
	errs       []problem
	conditions int
}

func (c *checker) fail(code string, pos int, format string, args ...any) *expr.Node {
	if len(c.errs) < 50 {
		c.errs = append(c.errs, *problemAt(code, pos, format, args...))
	}
	return nil
}

// textMethods are the string conditions with the most values each takes, the case flag apart.
func textMethods() map[string]int {
	return map[string]int{"startsWith": 1, "endsWith": 1, "contains": 1, "doesNotStartWith": 1, "doesNotEndWith": 1,
		"doesNotContain": 1, "equals": maxItems, "notEqualTo": maxItems}
}

func isMethod(name string) bool {
	_, text := textMethods()[name]
	_, array := arrayMethods()[name]
	return text || array || name == "isNull" || name == "isNotNull" || slices.Contains(valueMethods(), name)
}

// valueMethods are the methods over one text or time.
func valueMethods() []string {
	return []string{"matches", "regexGroup", "getYear", "getMonth", "getDayOfMonth"}
}

// laterFunctions are what the language has and this version does not evaluate yet (K9).
func laterFunctions() []string {
	return []string{"groupBy", "mapEntry"}
}

// condition checks an expression that must be a condition.
func (c *checker) condition(s *syntax) *expr.Node {
	if s.op == "quant" && s.text == "select" && len(s.binds) > 1 { // as a condition: there is a combination
		s = &syntax{op: s.op, text: "exists", binds: s.binds, pos: s.pos}
	}
	n := c.expression(s)
	if n != nil && n.Type == expr.Array { // true if it has an item (section 3)
		return exists(n)
	}
	if n != nil && n.Type != expr.Boolean {
		return c.fail("RULE-1003", s.pos, "the rule gives %s; compare it, as in >= 1", n.Type)
	}
	return n
}

func (c *checker) expression(s *syntax) *expr.Node {
	switch s.op {
	case "and", "or":
		a, b := c.condition(s.args[0]), c.condition(s.args[1])
		if a == nil || b == nil {
			return nil
		}
		op := expr.And
		if s.op == "or" {
			op = expr.Or
		}
		return &expr.Node{Op: op, Type: expr.Boolean, Args: []*expr.Node{a, b}, Pos: s.pos}
	case "not":
		a := c.condition(s.args[0])
		if a == nil {
			return nil
		}
		return &expr.Node{Op: expr.Not, Type: expr.Boolean, Args: []*expr.Node{a}, Pos: s.pos}
	case "=", "!=", "<", "<=", ">", ">=":
		c.conditions++
		return c.comparison(s)
	case "in", "notIn":
		c.conditions++
		return c.in(s)
	case "like":
		c.conditions++
		return c.text(s, "like", s.args[1:])
	case "+", "-", "*", "/", "%", "neg":
		return c.arithmetic(s)
	case "path":
		return c.path(s)
	case "this":
		if at := c.current(0); at >= 0 {
			return c.itemAt(at, s.pos)
		}
		return c.fail("RULE-1002", s.pos, "this is the item of an array; there is none around it")
	case "member":
		n := c.expression(s.args[0])
		if n == nil {
			return nil
		}
		return c.member(n, describe(s.args[0]), s.text, s.pos)
	case "index":
		return c.index(s)
	case "quant":
		return c.quantifier(s)
	case "chain":
		return c.chain(s)
	case "profile":
		c.profile = s.text
		return c.expression(s.args[0])
	case "let":
		return c.let(s)
	case "occurs":
		c.conditions++
		return c.occurs(s)
	case "func":
		return c.function(s)
	case "call":
		c.conditions++
		return c.call(s)
	case "array":
		return c.list(s, 0)
	}
	return c.literal(s)
}

func (c *checker) literal(s *syntax) *expr.Node {
	n := &expr.Node{Op: expr.Literal, Pos: s.pos}
	var err error
	switch s.op {
	case "string":
		n.Type, n.Value.Str = expr.String, s.text
	case "bool":
		n.Type, n.Value.Bool = expr.Boolean, s.text == "true"
	case "int":
		n.Type = expr.Integer
		n.Value.Int, err = strconv.ParseInt(s.text, 10, 64)
		n.Value.Float = float64(n.Value.Int)
	case "double":
		n.Type = expr.Double
		n.Value.Float, err = strconv.ParseFloat(s.text, 64)
	case "date":
		return c.date(s)
	}
	if err != nil {
		return c.fail("RULE-1003", s.pos, "the number is out of range")
	}
	return n
}

// date checks date(year, month, day) with integer literals (L7).
func (c *checker) date(s *syntax) *expr.Node {
	var part [3]int
	if len(s.args) != 3 {
		return c.fail("RULE-1003", s.pos, "date takes year, month and day, not %d values", len(s.args))
	}
	for i, a := range s.args {
		v, err := strconv.Atoi(a.text)
		if a.op != "int" || err != nil {
			return c.fail("RULE-1003", a.pos, "date takes whole numbers")
		}
		part[i] = v
	}
	t := time.Date(part[0], time.Month(part[1]), part[2], 0, 0, 0, 0, time.UTC)
	if part[0] < 1 || part[0] > 9999 || int(t.Month()) != part[1] || t.Day() != part[2] {
		return c.fail("RULE-1003", s.pos, "there is no such day")
	}
	return &expr.Node{Op: expr.Literal, Type: expr.Date, Value: expr.Value{Int: floorDays(t)}, Pos: s.pos}
}

func floorDays(t time.Time) int64 {
	sec := t.Unix()
	if sec < 0 {
		return (sec - 86399) / 86400
	}
	return sec / 86400
}

func (c *checker) call(s *syntax) *expr.Node {
	switch {
	case s.text == "isNull" || s.text == "isNotNull":
		a := c.expression(s.args[0])
		if a == nil || !c.takes(s, 0) {
			return nil
		}
		n := &expr.Node{Op: expr.IsNull, Type: expr.Boolean, Args: []*expr.Node{a}, Pos: s.pos}
		if s.text == "isNotNull" {
			n = &expr.Node{Op: expr.Not, Type: expr.Boolean, Args: []*expr.Node{n}, Pos: s.pos}
		}
		return n
	case s.text == "matches" || s.text == "regexGroup":
		return c.pattern(s)
	case slices.Contains(valueMethods(), s.text):
		return c.part(s)
	}
	if check, ok := arrayMethods()[s.text]; ok {
		return check(c, s)
	}
	if _, ok := textMethods()[s.text]; !ok {
		var names []string
		for m := range textMethods() {
			names = append(names, m)
		}
		slices.Sort(names)
		if near := lakeward.Nearest(s.text, slices.Concat(names, []string{"isNull", "isNotNull"}, valueMethods(), slices.Sorted(maps.Keys(arrayMethods())))); near != "" {
			return c.fail("RULE-1001", s.pos, "no function %q; did you mean %s?", s.text, near)
		}
		return c.fail("RULE-1001", s.pos, "no function %q", s.text)
	}
	return c.text(s, s.text, s.args[1:])
}

// text checks a string condition: literals of text and, at the end, the case flag.
func (c *checker) text(s *syntax, fn string, args []*syntax) *expr.Node {
	a := c.expression(s.args[0])
	if a == nil {
		return nil
	}
	if a.Type != expr.String {
		return c.fail("RULE-1003", s.pos, "%s needs text; %s is %s", fn, describe(s.args[0]), a.Type)
	}
	n := &expr.Node{Op: expr.Text, Type: expr.Boolean, Fn: fn, Args: []*expr.Node{a}, Pos: s.pos}
	if last := len(args) - 1; fn != "like" && last >= 1 && args[last].op == "bool" {
		n.Fold = args[last].text == "false"
		args = args[:last]
	}
	most := max(1, textMethods()[fn])
	if len(args) < 1 || len(args) > most {
		return c.fail("RULE-1003", s.pos, "%s takes 1 or 2 values, not %d", fn, len(args))
	}
	for _, arg := range args {
		if arg.op != "string" {
			return c.fail("RULE-1003", arg.pos, "%s takes text in double quotes", fn)
		}
		n.Items = append(n.Items, expr.Value{Str: arg.text})
	}
	return n
}

func (c *checker) arithmetic(s *syntax) *expr.Node {
	n := &expr.Node{Op: expr.Arithmetic, Fn: s.op, Type: expr.Integer, Pos: s.pos}
	for _, arg := range s.args {
		a := c.expression(arg)
		if a == nil {
			return nil
		}
		if !a.Type.Numeric() {
			return c.fail("RULE-1003", arg.pos, "%s is %s, not a number", describe(arg), a.Type)
		}
		if a.Type == expr.Double || s.op == "/" {
			n.Type = expr.Double
		}
		n.Args = append(n.Args, a)
	}
	return n
}
