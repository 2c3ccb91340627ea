// Package pql parses and checks audience rules (PQL text) into expression trees.
//
// It does not evaluate anything. The one thing to know: what the language knows but this
// version does not evaluate yet is refused by name and position, never ignored.
package pql

import (
	"fmt"
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

// problem is an error at a byte offset of the rule; nil is none.
type problem = expr.Problem

func problemAt(code string, pos int, format string, args ...any) *problem {
	return expr.ProblemAt(code, pos, format, args...)
}

// lex splits a rule into words; the last is the end.
func lex(src string) ([]token, *problem) {
	out, end, err := expr.Words(src, next)
	if err != nil {
		return nil, err
	}
	return append(out, token{kind: endToken, pos: end}), nil
}

func next(src string, pos int) (token, int, *problem) {
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
	return token{}, 0, problemAt("RULE-1001", pos, "%s", msg)
}

func lexString(src string, pos int) (token, int, *problem) {
	var b strings.Builder
	for i := pos + 1; i < len(src); i++ {
		switch src[i] {
		case '"':
			return token{stringToken, b.String(), pos}, i + 1 - pos, nil
		case '\\':
			i += expr.Unescape(src[i:], `"`, &b) // L5
		default:
			b.WriteByte(src[i])
		}
	}
	return token{}, 0, problemAt("RULE-1001", pos, "the text that starts here has no closing quote")
}

func lexNumber(rest string, pos int) (token, int, *problem) {
	n, double := expr.NumberLength(rest)
	if double {
		return token{doubleToken, rest[:n], pos}, n, nil
	}
	return token{intToken, rest[:n], pos}, n, nil
}
