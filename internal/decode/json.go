package decode

import (
	"bytes"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/lakeward/lakeward"
)

// jsonError is what is wrong with a line.
type jsonError struct{ field, why string }

func (e *jsonError) Error() string { return e.why }

// objectReader reads one JSON object (RFC 8259) and hands each value that is no object to take, with its path.
// Where an object or a list begins, nested may read it instead.
type objectReader struct {
	take   func(path []byte, v jsonValue) error
	nested func(path []byte) (taken bool, err error)

	in    []byte
	at    int
	buf   []byte // texts without their escapes, and numbers
	path  []byte
	depth int
}

func (o *objectReader) read(in []byte) error {
	o.in, o.at, o.buf, o.path, o.depth = in, 0, o.buf[:0], o.path[:0], 0
	if !utf8.Valid(in) {
		return &jsonError{"", "the line is not UTF-8"}
	}
	if o.space() != '{' {
		return &jsonError{"", "the line is no JSON object"}
	}
	if err := o.members(); err != nil {
		return err
	}
	if o.space(); o.at != len(o.in) {
		return &jsonError{"", "something follows the object; each line holds one object"}
	}
	return nil
}

// space skips blanks and returns the next byte, 0 at the end.
func (o *objectReader) space() byte {
	for o.at < len(o.in) && (o.in[o.at] == ' ' || o.in[o.at] == '\t' || o.in[o.at] == '\n' || o.in[o.at] == '\r') {
		o.at++
	}
	if o.at == len(o.in) {
		return 0
	}
	return o.in[o.at]
}

func (o *objectReader) broken(what string) error {
	return &jsonError{"", fmt.Sprintf("it is no JSON: %s at character %d", what, utf8.RuneCount(o.in[:o.at])+1)}
}

// members reads an object from its brace on.
func (o *objectReader) members() error {
	if o.depth++; o.depth > maxJSONDepth {
		return &jsonError{"", "objects are nested deeper than 64"}
	}
	defer func() { o.depth-- }()
	o.at++
	if o.space() == '}' {
		o.at++
		return nil
	}
	outer := len(o.path)
	for {
		if o.space() != '"' {
			return o.broken("expected a key in double quotes")
		}
		key, err := o.text()
		if err != nil {
			return err
		}
		if o.depth > 1 {
			o.path = append(o.path, '.')
		}
		o.path = append(o.path, o.buf[key.start:key.end]...)
		if o.space() != ':' {
			return o.broken("expected :")
		}
		o.at++
		if err := o.value(); err != nil {
			return err
		}
		o.path = o.path[:outer]
		switch o.space() {
		case ',':
			o.at++
		case '}':
			o.at++
			return nil
		default:
			return o.broken("expected , or }")
		}
	}
}

func (o *objectReader) value() error {
	if c := o.space(); c == '{' || c == '[' {
		if o.nested != nil {
			if taken, err := o.nested(o.path); taken || err != nil {
				return err
			}
		}
		if c == '{' {
			return o.members()
		}
		return &jsonError{lakeward.Quote(string(o.path)), "the value is a list, the field none"}
	}
	v, err := o.scalar()
	if err != nil {
		return err
	}
	return o.take(o.path, v)
}

// scalar reads a text, a number, a boolean or null.
func (o *objectReader) scalar() (jsonValue, error) {
	switch c := o.space(); {
	case c == '"':
		return o.text()
	case c == '-' || c >= '0' && c <= '9':
		return o.number()
	}
	for word, kind := range map[string]byte{"true": 't', "false": 'f', "null": '0'} {
		if bytes.HasPrefix(o.in[o.at:], []byte(word)) {
			o.at += len(word)
			return o.keep(kind, []byte(word)), nil
		}
	}
	return jsonValue{}, o.broken("expected a value")
}

func (o *objectReader) keep(kind byte, text []byte) jsonValue {
	start := len(o.buf)
	o.buf = append(o.buf, text...)
	return jsonValue{kind, start, len(o.buf)}
}

// number reads a number; leading zeros and bare points are no JSON.
func (o *objectReader) number() (jsonValue, error) {
	from := o.at
	digits := func() int {
		n := o.at
		for o.at < len(o.in) && o.in[o.at] >= '0' && o.in[o.at] <= '9' {
			o.at++
		}
		return o.at - n
	}
	skip := func(set string) bool {
		if o.at < len(o.in) && bytes.IndexByte([]byte(set), o.in[o.at]) >= 0 {
			o.at++
			return true
		}
		return false
	}
	skip("-")
	whole := o.at
	ok := digits() > 0 && (o.in[whole] != '0' || o.at == whole+1)
	if ok && skip(".") {
		ok = digits() > 0
	}
	if ok && skip("eE") {
		skip("+-")
		ok = digits() > 0
	}
	if !ok {
		return jsonValue{}, o.broken("a number is not complete")
	}
	return o.keep('n', o.in[from:o.at]), nil
}

// text reads a string from its quote on, without its escapes.
func (o *objectReader) text() (jsonValue, error) {
	v := jsonValue{kind: 's', start: len(o.buf)}
	for o.at++; o.at < len(o.in); o.at++ {
		switch c := o.in[o.at]; {
		case c == '"':
			o.at++
			v.end = len(o.buf)
			return v, nil
		case c < 0x20:
			return v, o.broken("a control character stands in a text")
		case c == '\\':
			if err := o.escape(); err != nil {
				return v, err
			}
		default:
			o.buf = append(o.buf, c)
		}
	}
	return v, o.broken("a text has no closing quote")
}

// escape decodes what stands behind a back slash; the reader is left on its last byte.
func (o *objectReader) escape() error {
	o.at++
	if o.at == len(o.in) {
		return o.broken("a text has no closing quote")
	}
	if i := bytes.IndexByte([]byte(`"\/bfnrt`), o.in[o.at]); i >= 0 {
		o.buf = append(o.buf, "\"\\/\b\f\n\r\t"[i])
		return nil
	}
	r, ok := o.unit()
	if !ok {
		return o.broken("an escape is unknown")
	}
	if utf16.IsSurrogate(r) {
		o.at++
		low, ok := rune(0), false
		if o.at+1 < len(o.in) && o.in[o.at] == '\\' {
			o.at++
			low, ok = o.unit()
		}
		if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
			return o.broken("half a character is escaped")
		}
	}
	o.buf = utf8.AppendRune(o.buf, r)
	return nil
}

// unit reads u and four digits, and stays on the last one.
func (o *objectReader) unit() (rune, bool) {
	if o.at+4 >= len(o.in) || o.in[o.at] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(o.in[o.at+1:o.at+5]), 16, 16)
	o.at += 4
	return rune(n), err == nil
}
