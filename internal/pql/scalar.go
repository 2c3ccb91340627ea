package pql

import (
	"regexp"
	"strconv"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/expr"
)

const maxPattern = 512 // bytes (C14)

// clocks are the words and functions that tell the time of the evaluation, with their types.
func clocks() map[string]expr.Type {
	return map[string]expr.Type{"now": expr.DateTime, "today": expr.Date, "yesterday": expr.Date, "tomorrow": expr.Date,
		"currentYear": expr.Integer, "currentMonth": expr.Integer, "currentDayOfMonth": expr.Integer}
}

// function checks a function that stands in front of its values.
func (c *checker) function(s *syntax) *expr.Node {
	switch s.text {
	case "if":
		return c.choice(s)
	case "inSegment":
		return c.segment(s)
	}
	if len(s.args) != 0 {
		return c.fail("RULE-1003", s.pos, "%s takes no values", s.text)
	}
	return &expr.Node{Op: expr.Clock, Fn: s.text, Type: clocks()[s.text], Pos: s.pos}
}

// choice checks if(condition, a, b): the two values have one type (S9).
func (c *checker) choice(s *syntax) *expr.Node {
	if len(s.args) != 3 {
		return c.fail("RULE-1003", s.pos, "if takes a condition and two values, not %d values", len(s.args))
	}
	cond, a, b := c.condition(s.args[0]), c.expression(s.args[1]), c.expression(s.args[2])
	if cond == nil || a == nil || b == nil {
		return nil
	}
	c.convert(a, b.Type)
	c.convert(b, a.Type)
	if !comparable(a.Type, b.Type) {
		return c.fail("RULE-1003", s.pos, "the two values of if are %s and %s; they need one type", a.Type, b.Type)
	}
	return &expr.Node{Op: expr.If, Type: max(a.Type, b.Type), Args: []*expr.Node{cond, a, b}, Pos: s.pos}
}

// segment checks inSegment("id") (S11, K8).
func (c *checker) segment(s *syntax) *expr.Node {
	c.conditions++
	if len(s.args) != 1 || s.args[0].op != "string" {
		return c.fail("RULE-1003", s.pos, "inSegment takes the id of an audience in double quotes")
	}
	id := s.args[0].text
	for _, a := range c.scope.Audiences {
		if string(a.ID) == id {
			return wrap(&expr.Node{Op: expr.InSegment, Type: expr.Boolean, Value: expr.Value{Str: id}, Pos: s.pos}, len(c.levels))
		}
	}
	for _, a := range c.scope.Audiences {
		if a.Name == id {
			return c.fail("RULE-1002", s.args[0].pos, "no audience %s; did you mean its id %s?", lakeward.Quote(id), a.ID)
		}
	}
	return c.fail("RULE-1002", s.args[0].pos, "no audience %s", lakeward.Quote(id))
}

// pattern checks matches(regex) and regexGroup(regex [, n]).
func (c *checker) pattern(s *syntax) *expr.Node {
	a := c.expression(s.args[0])
	args := s.args[1:]
	group := 1
	if s.text == "regexGroup" && len(args) == 2 {
		n, err := strconv.Atoi(args[1].text)
		if args[1].op != "int" || err != nil {
			return c.fail("RULE-1003", args[1].pos, "the number of a group is a whole number")
		}
		group, args = n, args[:1]
	}
	switch {
	case a == nil:
		return nil
	case a.Type != expr.String:
		return c.fail("RULE-1003", s.pos, "%s needs text; %s is %s", s.text, describe(s.args[0]), a.Type)
	case len(args) != 1 || args[0].op != "string":
		return c.fail("RULE-1003", s.pos, "%s takes a pattern in double quotes", s.text)
	case len(args[0].text) > maxPattern:
		return c.fail("RULE-1005", args[0].pos, "the pattern has %d bytes; at most %d", len(args[0].text), maxPattern)
	}
	re, err := regexp.Compile(args[0].text)
	if err != nil {
		return c.fail("EXPR-1020", args[0].pos, "the pattern is not supported: %s; patterns are RE2, without look-around and back references", patternProblem(err))
	}
	if s.text == "matches" {
		return &expr.Node{Op: expr.Matches, Type: expr.Boolean, Args: []*expr.Node{a}, Pattern: re, Pos: s.pos}
	}
	if group < 0 || group > re.NumSubexp() {
		return c.fail("RULE-1003", s.pos, "the pattern has %d groups, not %d", re.NumSubexp(), group)
	}
	return &expr.Node{Op: expr.Group, Type: expr.String, Args: []*expr.Node{a}, Pattern: re, Group: group, Pos: s.pos}
}

func patternProblem(err error) string {
	return lakeward.Quote(err.Error())
}

// part checks getYear, getMonth and getDayOfMonth.
func (c *checker) part(s *syntax) *expr.Node {
	a := c.expression(s.args[0])
	switch {
	case a == nil:
		return nil
	case len(s.args) != 1:
		return c.fail("RULE-1003", s.pos, "%s takes no values", s.text)
	case !a.Type.Temporal():
		return c.fail("RULE-1003", s.pos, "%s is %s; %s needs a date or a date-time", describe(s.args[0]), a.Type, s.text)
	}
	return &expr.Node{Op: expr.Part, Fn: s.text, Type: expr.Integer, Args: []*expr.Node{a}, Pos: s.pos}
}

// let checks a name for a value; the value stands wherever the name does.
func (c *checker) let(s *syntax) *expr.Node {
	v := c.expression(s.args[0])
	if v == nil {
		return nil
	}
	c.variables = append(c.variables, variable{s.text, v, len(c.levels)})
	defer func() { c.variables = c.variables[:len(c.variables)-1] }()
	return c.expression(s.args[1])
}

// variable is a name of let: a value, worked out so many arrays deep.
type variable struct {
	name  string
	value *expr.Node
	depth int
}
