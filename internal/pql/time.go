package pql

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lakeward/lakeward/internal/expr"
)

// when is the right side of occurs, before names and types are looked at.
type when struct {
	direction expr.Direction
	distance  bool
	cmp       expr.Cmp
	n         string
	unit      expr.Unit
	nPos      int
	time, end moment
}

// moment is a period around now, or a value.
type moment struct {
	period bool
	which  int64
	unit   expr.Unit
	value  *syntax
}

// units are the words for the units of time; a plural s may follow.
func units() []string {
	return []string{"millisecond", "second", "minute", "hour", "day", "week", "month", "year", "decade", "century", "millennium"}
}

func unitOf(word string) (expr.Unit, bool) {
	w := strings.ToLower(word)
	switch w {
	case "centuries":
		return expr.Century, true
	case "millennia":
		return expr.Millennium, true
	}
	i := slices.Index(units(), w)
	if i < 0 {
		i = slices.Index(units(), strings.TrimSuffix(w, "s"))
	}
	return expr.Unit(max(i, 0)), i >= 0
}

// unit takes a unit of time.
func (p *parser) unit() (expr.Unit, *problem) {
	t := p.peek()
	u, ok := unitOf(t.text)
	if t.kind != nameToken || !ok {
		return 0, p.unexpected("a unit such as days")
	}
	p.take()
	return u, nil
}

// occurs parses what stands behind the word (pql.md 2, when).
func (p *parser) occurs(left *syntax, at token) (*syntax, *problem) {
	w := &when{}
	var err *problem
	switch {
	case slices.ContainsFunc(comparisons(), p.peek().is):
		err = p.distance(w)
	case p.peek().is("between"):
		p.take()
		w.direction = expr.Between
		if w.time, err = p.moment(); err == nil {
			if err = p.expect("and"); err == nil {
				w.end, err = p.moment()
			}
		}
	default:
		w.direction = p.direction(expr.On)
		if w.direction == expr.On {
			p.accept("on")
		}
		w.time, err = p.moment()
	}
	return &syntax{op: "occurs", args: []*syntax{left}, when: w, pos: at.pos}, err
}

func comparisons() []string { return []string{"=", "!=", "<=", ">=", "<", ">"} }

// direction takes before, after or from.
func (p *parser) direction(otherwise expr.Direction) expr.Direction {
	for i, word := range []string{"before", "after", "from"} {
		if _, ok := p.accept(word); ok {
			return expr.Before + expr.Direction(i)
		}
	}
	return otherwise
}

// distance parses CMP INT UNIT ( before | after | from ) time.
func (p *parser) distance(w *when) *problem {
	w.distance, w.cmp = true, comparisonOf(p.take().text)
	n := p.peek()
	w.nPos = n.pos
	if n.is("-") {
		return problemAt("RULE-1005", n.pos, "a number from 0 is needed; before and after say on which side")
	}
	if n.kind != intToken {
		return p.unexpected("a whole number")
	}
	w.n = p.take().text
	var err *problem
	if w.unit, err = p.unit(); err != nil {
		return err
	}
	if w.direction = p.direction(expr.On); w.direction == expr.On {
		return p.unexpected("before, after or from")
	}
	w.time, err = p.moment()
	return err
}

func comparisonOf(sign string) expr.Cmp {
	return expr.Cmp(slices.Index([]string{"=", "!=", "<", "<=", ">", ">="}, sign))
}

// moment parses ( this | last | next ) UNIT, or a value.
func (p *parser) moment() (moment, *problem) {
	for i, word := range []string{"last", "this", "next"} {
		if !p.peek().is(word) || p.at+1 >= len(p.tokens) {
			continue
		}
		if u, ok := unitOf(p.tokens[p.at+1].text); ok && p.tokens[p.at+1].kind == nameToken {
			p.at += 2
			return moment{period: true, which: int64(i - 1), unit: u}, nil
		}
	}
	v, err := p.postfix()
	return moment{value: v}, err
}

// occurs checks the condition: a time on the left, or an array of times any of which occurs (S8), times on the right.
func (c *checker) occurs(s *syntax) *expr.Node {
	a := c.expression(s.args[0])
	switch {
	case a == nil:
		return nil
	case a.Type == expr.Array:
		return c.anyItem(a, func(item *expr.Node) *expr.Node { return c.occursAt(s, item) })
	}
	return c.occursAt(s, a)
}

func (c *checker) occursAt(s *syntax, a *expr.Node) *expr.Node {
	if !a.Type.Temporal() {
		return c.fail("RULE-1003", s.pos, "%s is %s; occurs needs a date or a date-time", describe(s.args[0]), a.Type)
	}
	w := s.when
	out := &expr.When{Direction: w.direction, Distance: w.distance, Cmp: w.cmp, Unit: w.unit}
	if w.distance {
		n, err := strconv.ParseInt(w.n, 10, 64)
		if _, ok := w.unit.Shift(0, n); err != nil || !ok && w.unit < expr.Month || n > 9998*12 && w.unit >= expr.Month {
			return c.fail("RULE-1005", w.nPos, "that is before the year 1 or behind the year 9999")
		}
		out.N = n
	}
	var ok bool
	if out.Time, ok = c.moment(w.time); !ok {
		return nil
	}
	if w.distance && !reaches(out) {
		return c.fail("RULE-1005", w.nPos, "that is before the year 1 or behind the year 9999")
	}
	if w.direction == expr.Between {
		if out.End, ok = c.moment(w.end); !ok {
			return nil
		}
	}
	return &expr.Node{Op: expr.Occurs, Type: expr.Boolean, Args: []*expr.Node{a}, When: out, Pos: s.pos}
}

// reaches reports whether a distance stays within the years 1 to 9999, as far as that is known before there are
// rows (K6). Beyond them it would give nobody, silently.
func reaches(w *expr.When) bool {
	base := time.Now().UnixMilli() // clocks and periods move, by far less than their distances
	if v := w.Time.Value; v != nil {
		switch {
		case v.Op == expr.Literal && v.Type == expr.Date:
			base = v.Value.Int * (24 * time.Hour).Milliseconds()
		case v.Op == expr.Literal:
			base = v.Value.Int
		case v.Op != expr.Clock:
			return true
		}
	}
	_, back := w.Unit.Shift(base, -w.N)
	_, ahead := w.Unit.Shift(base, w.N)
	return (back || w.Direction == expr.After) && (ahead || w.Direction == expr.Before)
}

func (c *checker) moment(m moment) (expr.Moment, bool) {
	if m.period {
		return expr.Moment{Period: true, Which: m.which, Unit: m.unit}, true
	}
	v := c.expression(m.value)
	if v == nil {
		return expr.Moment{}, false
	}
	c.convert(v, expr.DateTime)
	if !v.Type.Temporal() {
		c.fail("RULE-1003", m.value.pos, "%s is %s, not a time", describe(m.value), v.Type)
		return expr.Moment{}, false
	}
	return expr.Moment{Value: v}, true
}
