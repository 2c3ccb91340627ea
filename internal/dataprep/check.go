package dataprep

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/expr"
)

// Scope is what the names in a field may mean.
type Scope struct {
	Union  []lakeward.Leaf // fields of the profile
	Events []lakeward.Leaf // fields of its events, which are not exported (MAP-12)
	Column string          // the header of the field
}

// Parse checks a calculated field against its scope and returns its expression. The error is a lakeward.Error of kind Invalid
// whose message gives line and column; the first syntax error, or all others at once.
func Parse(src string, scope Scope) (*expr.Node, error) {
	s, err := parse(src)
	if err != nil {
		return nil, expr.SourceError(src, []problem{*err})
	}
	c := &checker{scope: scope, functions: expr.Functions()}
	n := c.expression(s)
	if len(c.errs) == 0 {
		n.Lambdas()
		if n.Cost() > maxCost {
			c.fail("EXPR-2001", s.pos, "the expression takes more than %d steps for each profile", maxCost)
		}
	}
	if len(c.errs) > 0 {
		return nil, expr.SourceError(src, c.errs)
	}
	return n, nil
}

const maxCost = 1_000_000 // steps for each profile (C14)

type checker struct {
	scope     Scope
	functions map[string]*expr.Function
	levels    []level // arrays around the current place, the innermost last
	errs      []problem
	uuids     int64
}

// level is an array around an expression: the name of its item.
type level struct {
	name  string
	shape *expr.Shape
}

func (c *checker) fail(code string, pos int, format string, args ...any) *expr.Node {
	if len(c.errs) < 50 {
		c.errs = append(c.errs, *problemAt(code, pos, format, args...))
	}
	return nil
}

func (c *checker) expression(s *syntax) *expr.Node {
	switch s.op {
	case "string", "int", "double", "bool", "null":
		return c.literal(s)
	case "name", "member":
		return c.path(s)
	case "index":
		return c.index(s)
	case "array":
		items := c.all(s.args)
		if items == nil && len(s.args) > 0 {
			return nil
		}
		n, err := expr.NewArray(items, s.pos)
		return c.applied(s, n, err, -1)
	case "call":
		return c.call(s)
	case "lambda":
		return c.fail("EXPR-1001", s.pos, "x -> ... stands in filterArray and transformArray only")
	case "&&", "||", "!":
		return c.logic(s)
	case "==", "!=", "<", "<=", ">", ">=":
		return c.comparison(s)
	}
	return c.arithmetic(s)
}

// all checks several expressions; nil if one of them is wrong.
func (c *checker) all(list []*syntax) []*expr.Node {
	var out []*expr.Node
	wrong := false
	for _, s := range list {
		n := c.expression(s)
		wrong = wrong || n == nil
		out = append(out, n)
	}
	if wrong {
		return nil
	}
	return out
}

func (c *checker) literal(s *syntax) *expr.Node {
	n := &expr.Node{Op: expr.Literal, Pos: s.pos}
	var err error
	switch s.op {
	case "null":
		n.Op = expr.Null
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
		mantissa, _, _ := strings.Cut(strings.ToLower(s.text), "e")
		if n.Value.Float == 0 && strings.ContainsAny(mantissa, "123456789") {
			err = strconv.ErrRange
		}
	}
	if err != nil {
		return c.fail("EXPR-1002", s.pos, "the number is out of range")
	}
	return n
}

// call checks a function and its arguments.
func (c *checker) call(s *syntax) *expr.Node {
	switch s.text {
	case "filterArray", "transformArray":
		return c.lambda(s)
	case "contains_key", "is_set":
		if len(s.args) == 1 && s.args[0].op == "string" { // a path in quotes
			return c.quotedPath(s)
		}
	}
	fn, ok := c.functions[s.text]
	if !ok || !isName(s.text) || s.text == "at" || s.text == "same" {
		return c.noFunction(s)
	}
	args := c.all(s.args)
	if args == nil && len(s.args) > 0 {
		return nil
	}
	if fn.Name == "uuid" || fn.Name == "guid" {
		return c.uuid(s, fn)
	}
	n, err := fn.Apply(args, s.pos)
	return c.applied(s, n, err, 0)
}

func isName(s string) bool { return nameStart([]rune(s)[0]) }

// applied turns the error of a call into one at its place, and works constants out. shift is the distance from the arguments of
// the call to the syntax.
func (c *checker) applied(s *syntax, n *expr.Node, err error, shift int) *expr.Node {
	if bad, ok := errors.AsType[*expr.ArgumentError](err); ok {
		pos := s.pos
		if i := bad.Arg + shift; bad.Arg >= 0 && i >= 0 && i < len(s.args) {
			pos = start(s.args[i])
		}
		return c.fail(bad.Code, pos, "%s", bad.Msg)
	}
	if err != nil {
		return c.fail("EXPR-1002", s.pos, "%s", err)
	}
	value, failed, ok := n.Constant()
	switch {
	case failed:
		return c.fail("EXPR-1002", s.pos, "%s has no value for these constants", describe(s))
	case ok:
		return value
	}
	return n
}

// start is where an expression begins.
func start(s *syntax) int {
	at := s.pos
	for _, a := range s.args {
		at = min(at, start(a))
	}
	return at
}

// uuid numbers the calls, so that each gives another id.
func (c *checker) uuid(s *syntax, fn *expr.Function) *expr.Node {
	if len(c.levels) > 0 {
		return c.fail("EXPR-1002", s.pos, "%s stands outside of filterArray and transformArray", s.text)
	}
	n, err := fn.Apply(nil, s.pos)
	if err != nil || len(s.args) > 0 {
		return c.fail("EXPR-1002", s.pos, "%s takes no values", s.text)
	}
	n.Value = expr.Value{Str: c.scope.Column, Int: c.uuids}
	c.uuids++
	return n
}

// noFunction says what is wrong with the name of a function.
func (c *checker) noFunction(s *syntax) *expr.Node {
	elsewhere := map[string]string{"upsert_array_append": "only at ingest", "upsert_array_replace": "only at ingest", "fpid_to_ecid": "only at collection", "random": "nowhere: an export can be repeated"}
	if where, ok := elsewhere[s.text]; ok || strings.HasPrefix(s.text, "aa_") {
		if !ok {
			where = "only at streaming ingest"
		}
		return c.fail("EXPR-1003", s.pos, "%s is available %s", s.text, where)
	}
	names := append(c.names(), "filterArray", "transformArray")
	for _, n := range names {
		if strings.EqualFold(n, s.text) {
			return c.fail("EXPR-1003", s.pos, "no function %q; did you mean %s?", s.text, n)
		}
	}
	if near := lakeward.Nearest(s.text, names); near != "" {
		return c.fail("EXPR-1003", s.pos, "no function %q; did you mean %s?", s.text, near)
	}
	return c.fail("EXPR-1003", s.pos, "no function %s", lakeward.Quote(s.text))
}

func (c *checker) names() []string {
	return slices.DeleteFunc(expr.Names(c.functions), func(n string) bool { return !isName(n) || n == "at" || n == "same" })
}

// lambda checks filterArray(array, x -> condition) and transformArray(array, x -> value).
func (c *checker) lambda(s *syntax) *expr.Node {
	if len(s.args) != 2 || s.args[1].op != "lambda" {
		return c.fail("EXPR-1002", s.pos, "%s takes an array and x -> ... for its items", s.text)
	}
	array := c.expression(s.args[0])
	switch {
	case array == nil:
		return nil
	case array.Type != expr.Array:
		return c.fail("EXPR-1002", start(s.args[0]), "%s needs an array; %s is %s", s.text, describe(s.args[0]), kindOf(array))
	}
	item := s.args[1]
	c.levels = append(c.levels, level{item.text, array.Shape.Item})
	body := c.expression(item.args[0])
	c.levels = c.levels[:len(c.levels)-1]
	switch {
	case body == nil:
		return nil
	case s.text == "transformArray":
		return expr.NewLambda(expr.Transform, array, body, s.pos)
	case body.Type != expr.Boolean:
		return c.fail("EXPR-1002", start(item.args[0]), "filterArray needs a condition; this is %s", kindOf(body))
	}
	return expr.NewLambda(expr.Keep, array, body, s.pos)
}

// kindOf is the word for the type of a value.
func kindOf(n *expr.Node) string {
	if n.Op == expr.Null || n.Type == 0 {
		return "null"
	}
	return n.Type.String()
}

func (c *checker) logic(s *syntax) *expr.Node {
	args := c.all(s.args)
	if args == nil {
		return nil
	}
	for i, a := range args {
		if a.Type != expr.Boolean {
			return c.fail("EXPR-1002", start(s.args[i]), "%s joins conditions; %s is %s", s.op, describe(s.args[i]), kindOf(a))
		}
	}
	op := map[string]expr.Op{"&&": expr.And, "||": expr.Or, "!": expr.Not}[s.op]
	return &expr.Node{Op: op, Type: expr.Boolean, Args: args, Pos: s.pos}
}

// comparison checks == != < <= > >=; with null, == and != ask whether there is a value.
func (c *checker) comparison(s *syntax) *expr.Node {
	args := c.all(s.args)
	if args == nil {
		return nil
	}
	a, b := args[0], args[1]
	equality := s.op == "==" || s.op == "!="
	if equality && (a.Op == expr.Null || b.Op == expr.Null) {
		if a.Op == expr.Null {
			a = b
		}
		return negated(&expr.Node{Op: expr.IsNull, Type: expr.Boolean, Args: []*expr.Node{a}, Pos: s.pos}, s.op == "!=")
	}
	if _, ok := expr.Unify(a.ShapeOf(), b.ShapeOf()); !ok {
		msg := "%s compares %s with %s"
		if a.Type.Temporal() && b.Type == expr.String || b.Type.Temporal() && a.Type == expr.String {
			msg += `; make a date-time of the text with date("...")`
		}
		return c.fail("EXPR-1002", s.pos, msg, s.op, kindOf(a), kindOf(b))
	}
	if equality && (a.Type >= expr.Array || b.Type >= expr.Array) {
		n, err := c.functions["same"].Apply(args, s.pos)
		return negated(c.applied(s, n, err, 0), s.op == "!=")
	}
	if !equality && (a.Type == expr.Boolean || a.Type >= expr.Array || a.Type == 0) {
		return c.fail("EXPR-1002", s.pos, "%s needs numbers, texts or times, not %s", s.op, kindOf(a))
	}
	cmp := map[string]expr.Cmp{"==": expr.EQ, "!=": expr.NE, "<": expr.LT, "<=": expr.LE, ">": expr.GT, ">=": expr.GE}[s.op]
	return &expr.Node{Op: expr.Compare, Cmp: cmp, Type: expr.Boolean, Args: args, Pos: s.pos}
}

func negated(n *expr.Node, not bool) *expr.Node {
	if n == nil || !not {
		return n
	}
	return &expr.Node{Op: expr.Not, Type: expr.Boolean, Args: []*expr.Node{n}, Pos: n.Pos}
}

func (c *checker) arithmetic(s *syntax) *expr.Node {
	args := c.all(s.args)
	if args == nil {
		return nil
	}
	name := s.op
	if name == "neg" {
		name = "-"
	}
	for i, a := range args {
		if !a.Type.Numeric() && a.Op != expr.Null {
			hint := ""
			if a.Type == expr.String && name == "+" {
				hint = "; texts are joined with concat"
			}
			return c.fail("EXPR-1002", start(s.args[i]), "%s is %s, not a number%s", describe(s.args[i]), kindOf(a), hint)
		}
	}
	n, err := c.functions[name].Apply(args, s.pos)
	return c.applied(s, n, err, 0)
}

// describe names an expression in a message.
func describe(s *syntax) string {
	switch s.op {
	case "name":
		return s.text
	case "member":
		return describe(s.args[0]) + "." + s.text
	case "index":
		return describe(s.args[0]) + "[...]"
	case "call":
		return s.text + "(...)"
	case "string":
		return lakeward.Quote(s.text)
	case "int", "double", "bool":
		return s.text
	case "array":
		return "[...]"
	}
	return fmt.Sprintf("the value of %s", strings.Replace(s.op, "neg", "-", 1))
}

// Names are the functions of the language, sorted.
func Names() []string {
	c := &checker{functions: expr.Functions()}
	return slices.Sorted(slices.Values(append(c.names(), "filterArray", "transformArray")))
}
