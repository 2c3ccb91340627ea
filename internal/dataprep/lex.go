// Package dataprep parses and checks calculated fields into expression trees.
//
// It does not evaluate anything but constants. The one thing to know: the language is total. There is no assignment and no
// recursion, lambdas stand in array functions only, and every text has its limits, so a field costs what it looks like.
package dataprep

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/expr"
)

// Limits of a calculated field (C14).
const (
	maxSource = 4096 // bytes
	maxNodes  = 500
	maxDepth  = 32
	maxCalls  = 64
	maxIndex  = 9999
)

type tokenKind uint8

const (
	endToken tokenKind = iota
	nameToken
	quotedName // ${First Name}
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

// is reports whether the token is a symbol or one of the words that stand for one.
func (t token) is(words ...string) bool {
	return (t.kind == symbolToken || t.kind == nameToken) && slices.Contains(words, t.text)
}

// problem is an error at a byte offset; nil is none.
type problem = expr.Problem

func problemAt(code string, pos int, format string, args ...any) *problem {
	return expr.ProblemAt(code, pos, format, args...)
}

// reserved words are no names of fields, unless they are written ${so}.
func reserved() []string {
	return strings.Fields("new mod or break var lt for false while eq gt div not null continue else and ne true le if ge return")
}

// lex splits a field into words; the last is the end.
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
	case c == '"' || c == '\'':
		return lexString(src, pos)
	case c >= '0' && c <= '9':
		return lexNumber(rest, pos)
	case strings.HasPrefix(rest, "${"):
		end := strings.IndexByte(rest, '}')
		if end < 3 {
			return token{}, 0, problemAt("EXPR-1001", pos, "a name in ${ } is not closed or is empty")
		}
		return token{quotedName, rest[2:end], pos}, end + 1, nil
	case nameStart(c):
		n := strings.IndexFunc(rest, func(r rune) bool { return !nameStart(r) && !unicode.IsDigit(r) })
		if n < 0 {
			n = len(rest)
		}
		return token{nameToken, rest[:n], pos}, n, nil
	}
	for _, s := range []string{"->", "<=", ">=", "!=", "==", "&&", "||"} {
		if strings.HasPrefix(rest, s) {
			return token{symbolToken, s, pos}, len(s), nil
		}
	}
	if strings.ContainsRune("<>!+-*/%()[],.", c) {
		return token{symbolToken, string(c), pos}, 1, nil
	}
	msg := fmt.Sprintf("unexpected character %s", lakeward.Quote(string(c)))
	switch c {
	case '=':
		msg = "equality is written =="
	case '“', '”', '‘', '’':
		msg = `text stands in straight quotes, "so" or 'so'`
	case '{', '}':
		msg = "an object is made with to_object, a map with to_map"
	case '#':
		msg = "a calculated field has no comments"
	}
	return token{}, 0, problemAt("EXPR-1001", pos, "%s", msg)
}

func nameStart(r rune) bool { return r == '_' || r == '$' || unicode.IsLetter(r) }

func lexString(src string, pos int) (token, int, *problem) {
	var b strings.Builder
	quote := src[pos]
	for i := pos + 1; i < len(src); i++ {
		switch src[i] {
		case quote:
			if strings.Contains(b.String(), "\x00") {
				return token{}, 0, problemAt("EXPR-1001", pos, "a text holds no character U+0000")
			}
			return token{stringToken, b.String(), pos}, i + 1 - pos, nil
		case '\\':
			i += expr.Unescape(src[i:], `"'`, &b)
		default:
			b.WriteByte(src[i])
		}
	}
	return token{}, 0, problemAt("EXPR-1001", pos, "the text that starts here has no closing quote")
}

func lexNumber(rest string, pos int) (token, int, *problem) {
	n, double := expr.NumberLength(rest)
	if double {
		return token{doubleToken, rest[:n], pos}, n, nil
	}
	return token{intToken, rest[:n], pos}, n, nil
}
