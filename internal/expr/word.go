package expr

import (
	"fmt"
	"strconv"
	"strings"
)

// ProblemAt is a problem with a message made of a format.
func ProblemAt(code string, pos int, format string, args ...any) *Problem {
	return &Problem{Code: code, Pos: pos, Msg: fmt.Sprintf(format, args...)}
}

// Words splits a text at blanks and by next, which returns the word at a position and its length; pos is that of the end.
func Words[T any](src string, next func(src string, pos int) (T, int, *Problem)) (words []T, pos int, p *Problem) {
	for {
		for pos < len(src) && strings.IndexByte(" \t\r\n", src[pos]) >= 0 {
			pos++
		}
		if pos == len(src) {
			return words, pos, nil
		}
		w, n, p := next(src, pos)
		if p != nil {
			return nil, pos, p
		}
		words = append(words, w)
		pos += n
	}
}

// NumberLength is the length of the number without a sign at the start of s, and whether it has a point or an exponent.
func NumberLength(s string) (n int, double bool) {
	n = digits(s)
	if n+1 < len(s) && s[n] == '.' && digits(s[n+1:]) > 0 {
		double = true
		n += 1 + digits(s[n+1:])
	}
	if n < len(s) && (s[n] == 'e' || s[n] == 'E') {
		m := n + 1
		if m < len(s) && (s[m] == '+' || s[m] == '-') {
			m++
		}
		if d := digits(s[min(m, len(s)):]); d > 0 {
			return m + d, true
		}
	}
	return n, double
}

func digits(s string) int {
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n
}

// Unescape decodes the escape at the start of s, a back slash, and returns how many bytes follow its first. quotes are those
// that it may stand before. A back slash before any other character stands for itself, so that patterns need no second one.
func Unescape(s, quotes string, b *strings.Builder) int {
	if len(s) < 2 {
		b.WriteByte('\\')
		return 0
	}
	switch c := s[1]; {
	case c == '\\' || strings.IndexByte(quotes, c) >= 0:
		b.WriteByte(c)
		return 1
	case c == 'n':
		b.WriteByte('\n')
		return 1
	case c == 'r':
		b.WriteByte('\r')
		return 1
	case c == 't':
		b.WriteByte('\t')
		return 1
	case c == 'u' && len(s) >= 6:
		if r, err := strconv.ParseUint(s[2:6], 16, 32); err == nil {
			b.WriteRune(rune(r))
			return 5
		}
	}
	b.WriteByte('\\')
	return 0
}
