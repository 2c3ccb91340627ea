// Package pql parses and checks audience rules (PQL text) into expression trees.
//
// It does not evaluate anything. The one thing to know: what the language knows but this
// version does not evaluate yet is refused by name and position, never ignored.
package pql

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/expr"
)

// Limits of a rule (C14).
const (
	maxRule       = 1 << 20
	maxOutside    = 64 << 10 // of it outside of lists
	maxDepth      = 64
	maxConditions = 1000
	maxCost       = 1_000_000 // operations for each profile (C14)
	maxItems      = 100_000
)

type tokenKind uint8

const (
	endToken tokenKind = iota
	nameToken
	stringToken
	intToken
	doubleToken
	symbolToken
)

type token struct {
	kind tokenKind
	text string // of a string: its value
	pos  int    // byte offset
}

// is reports whether the token is a symbol or, in any case, a keyword (L2).
func (t token) is(word string) bool {
	if t.kind == symbolToken {
		return t.text == word
	}
	return t.kind == nameToken && strings.EqualFold(t.text, word)
}

// ruleError is an error at a byte offset of the rule.
type ruleError struct {
	code string
	pos  int
	msg  string
}

func (e *ruleError) Error() string { return e.msg }

// userError makes the message of section 6.
func userError(src string, errs []*ruleError) error {
	var problems []expr.Problem
	for _, e := range errs {
		problems = append(problems, expr.Problem{Code: e.code, Pos: e.pos, Msg: e.msg})
	}
	return expr.SourceError(src, problems)
}

// lex splits a rule into words; the last is the end.
func lex(src string) ([]token, *ruleError) {
	var out []token
	for pos := 0; ; {
		for pos < len(src) && strings.IndexByte(" \t\r\n", src[pos]) >= 0 {
			pos++
		}
		if pos == len(src) {
			return append(out, token{kind: endToken, pos: pos}), nil
		}
		t, n, err := next(src, pos)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
		pos += n
	}
}

func next(src string, pos int) (token, int, *ruleError) {
	rest := src[pos:]
	c, _ := utf8.DecodeRuneInString(rest)
	switch {
	case c == '"':
		return lexString(src, pos)
	case c >= '0' && c <= '9':
		return lexNumber(rest, pos)
	case c == '_' || unicode.IsLetter(c):
		n := strings.IndexFunc(rest, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
		if n < 0 {
			n = len(rest)
		}
		return token{nameToken, rest[:n], pos}, n, nil
	}
	for _, s := range []string{"<=", ">=", "!=", "=>", "$1"} {
		if strings.HasPrefix(rest, s) {
			return token{symbolToken, s, pos}, len(s), nil
		}
	}
	if strings.ContainsRune("=<>!+-*/%()[]{},.:^", c) {
		return token{symbolToken, string(c), pos}, 1, nil
	}
	msg := fmt.Sprintf("unexpected character %s", lakeward.Quote(string(c)))
	switch c {
	case '\'', '“', '”', '‘', '’':
		msg = "text stands in double quotes"
	case '&':
		msg = `expected and, or or the end, found "&&"; write and`
	case '|':
		msg = `expected and, or or the end, found "||"; write or`
	}
	return token{}, 0, &ruleError{"RULE-1001", pos, msg}
}

func lexString(src string, pos int) (token, int, *ruleError) {
	var b strings.Builder
	for i := pos + 1; i < len(src); i++ {
		switch src[i] {
		case '"':
			return token{stringToken, b.String(), pos}, i + 1 - pos, nil
		case '\\':
			i += escape(src[i:], &b)
		default:
			b.WriteByte(src[i])
		}
	}
	return token{}, 0, &ruleError{"RULE-1001", pos, "the text that starts here has no closing quote"}
}

// escape decodes the escape at the start of s and returns how many bytes follow its first (L5).
func escape(s string, b *strings.Builder) int {
	if len(s) < 2 {
		b.WriteByte('\\')
		return 0
	}
	if i := strings.IndexByte(`"\nrt`, s[1]); i >= 0 {
		b.WriteByte("\"\\\n\r\t"[i])
		return 1
	}
	if s[1] == 'u' && len(s) >= 6 {
		if r, err := strconv.ParseUint(s[2:6], 16, 32); err == nil {
			b.WriteRune(rune(r))
			return 5
		}
	}
	b.WriteByte('\\') // any other backslash stands for itself
	return 0
}

func lexNumber(rest string, pos int) (token, int, *ruleError) {
	n, kind := digits(rest), intToken
	if n+1 < len(rest) && rest[n] == '.' && digits(rest[n+1:]) > 0 {
		kind = doubleToken
		n += 1 + digits(rest[n+1:])
	}
	if n < len(rest) && (rest[n] == 'e' || rest[n] == 'E') {
		m := n + 1
		if m < len(rest) && (rest[m] == '+' || rest[m] == '-') {
			m++
		}
		if d := digits(rest[min(m, len(rest)):]); d > 0 {
			kind, n = doubleToken, m+d
		}
	}
	return token{kind, rest[:n], pos}, n, nil
}

func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}
