package pql

import (
	"strings"

	"github.com/lakeward/lakeward/internal/expr"
)

// Reprint parses a rule and prints what was understood, with parentheses around everything that has operators.
// ok is false for what is no rule.
func Reprint(rule string) (printed string, ok bool) {
	s, err := parse(rule)
	if err != nil {
		return "", false
	}
	return s.print(), true
}

func (s *syntax) print() string {
	switch s.op {
	case "string":
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s.text) + `"`
	case "int", "double", "bool":
		return s.text
	case "this":
		return "this"
	case "path":
		return s.printPath()
	case "neg":
		return "(-" + s.args[0].print() + ")"
	case "not":
		return "(not " + s.args[0].print() + ")"
	case "member":
		return s.args[0].print() + "." + s.text
	case "index":
		return s.args[0].print() + "[" + s.args[1].print() + "]"
	case "call":
		return s.args[0].print() + "." + s.text + printList("(", s.args[1:], ")")
	case "func":
		if len(s.args) == 0 && (s.text == "now" || s.text == "today" || s.text == "yesterday" || s.text == "tomorrow") {
			return s.text
		}
		return s.text + printList("(", s.args, ")")
	case "date":
		return "date" + printList("(", s.args, ")")
	case "array":
		return printList("[", s.args, "]")
	case "let":
		return "(let " + s.text + " = " + s.args[0].print() + " in " + s.args[1].print() + ")"
	case "profile":
		return "(" + s.text + ") => " + s.args[0].print()
	case "quant":
		return s.printQuantifier()
	case "occurs":
		return "(" + s.args[0].print() + " occurs " + s.when.print() + ")"
	case "chain":
		return s.printChain()
	}
	return "(" + s.args[0].print() + " " + s.op + " " + s.args[1].print() + ")"
}

func printList(open string, list []*syntax, end string) string {
	texts := make([]string, len(list))
	for i, a := range list {
		texts[i] = a.print()
	}
	return open + strings.Join(texts, ", ") + end
}

func (s *syntax) printPath() string {
	switch {
	case s.rooted && s.text == "":
		return "$1"
	case s.rooted:
		return "$1." + s.text
	}
	return strings.Repeat("^", s.ups) + s.text
}

func (s *syntax) printQuantifier() string {
	b := "(" + s.text + " "
	if len(s.args) == 1 {
		b += s.args[0].print() + " over "
	}
	for i, v := range s.binds {
		if i > 0 {
			b += ", "
		}
		b += v.name.text + " from " + v.array.print()
		if v.where != nil {
			b += " where " + v.where.print()
		}
	}
	return b + ")"
}

func (s *syntax) printChain() string {
	b := "chain(" + s.args[0].print() + ", " + s.args[1].text + ", [A:"
	for _, part := range s.args[2:] {
		if part.op == "occurs" && part.args[0] == s.args[1] {
			b += " when(" + part.when.print() + ")"
			continue
		}
		b += " what(" + part.print() + ")"
	}
	if s.when != nil {
		b += " count(" + comparisonSign(s.when.cmp) + " " + s.when.n + ")"
	}
	return b + "])"
}

func comparisonSign(c expr.Cmp) string { return []string{"=", "!=", "<", "<=", ">", ">="}[c] }

func (w *when) print() string {
	direction := []string{"on", "before", "after", "from", "between"}[w.direction]
	switch {
	case w.distance:
		return comparisonSign(w.cmp) + " " + w.n + " " + units()[w.unit] + " " + direction + " " + w.time.print()
	case w.direction == expr.Between:
		return direction + " " + w.time.print() + " and " + w.end.print()
	}
	return direction + " " + w.time.print()
}

func (m moment) print() string {
	if m.period {
		return []string{"last", "this", "next"}[m.which+1] + " " + units()[m.unit]
	}
	return m.value.print()
}

// SameSyntax reports whether a rule and its print are understood alike, or the print goes beyond a limit of rules: its
// parentheses are nested deeper.
func SameSyntax(rule, printed string) bool {
	x, err := parse(rule)
	y, perr := parse(printed)
	return err == nil && (perr != nil && perr.Code == "RULE-1005" || perr == nil && x.same(y))
}

func (s *syntax) same(o *syntax) bool {
	if s == nil || o == nil {
		return s == o
	}
	if s.op != o.op || s.text != o.text || s.rooted != o.rooted || s.ups != o.ups || len(s.args) != len(o.args) || len(s.binds) != len(o.binds) || !s.when.same(o.when) {
		return false
	}
	for i := range s.args {
		if !s.args[i].same(o.args[i]) {
			return false
		}
	}
	for i, b := range s.binds {
		if c := o.binds[i]; b.name.text != c.name.text || !b.array.same(c.array) || !b.where.same(c.where) {
			return false
		}
	}
	return true
}

func (w *when) same(o *when) bool {
	if w == nil || o == nil {
		return w == o
	}
	return w.direction == o.direction && w.distance == o.distance && w.cmp == o.cmp && w.n == o.n && w.unit == o.unit && w.time.same(o.time) && w.end.same(o.end)
}

func (m moment) same(o moment) bool {
	return m.period == o.period && m.which == o.which && m.unit == o.unit && m.value.same(o.value)
}
