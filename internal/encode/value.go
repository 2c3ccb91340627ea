package encode

import (
	"math"
	"unicode/utf8"

	"github.com/lakeward/lakeward/internal/vector"
)

// AppendJSON writes value i as JSON, nested ones with their structure: a null field of an object is left out,
// a null item of a list or a map is null, and so is a double that JSON has no number for (FMT-13, FMT-15).
func AppendJSON(b []byte, v *vector.Vector, i int) []byte { return omitNulls.append(b, v, i) }

// nullFields says what becomes of null fields of objects (FMT-15).
type nullFields bool

const (
	omitNulls nullFields = false
	keepNulls nullFields = true
)

func (n nullFields) append(b []byte, v *vector.Vector, i int) []byte {
	if v.IsNull(i) {
		return append(b, "null"...)
	}
	switch v.Kind {
	case vector.String:
		return appendQuoted(b, v.Str(i))
	case vector.Float:
		if f := v.Floats[i]; math.IsNaN(f) || math.IsInf(f, 0) {
			return append(b, "null"...)
		}
	case vector.Date, vector.Time:
		return append(v.AppendText(append(b, '"'), i), '"')
	case vector.List:
		return n.appendList(b, v, i)
	case vector.Map:
		return n.appendMap(b, v, i)
	case vector.Struct:
		return n.appendStruct(b, v, i)
	}
	return v.AppendText(b, i)
}

func (n nullFields) appendList(b []byte, v *vector.Vector, i int) []byte {
	from, to := v.Items(i)
	b = append(b, '[')
	for k := from; k < to; k++ {
		if k > from {
			b = append(b, ',')
		}
		b = n.append(b, &v.Fields[0], k)
	}
	return append(b, ']')
}

func (n nullFields) appendMap(b []byte, v *vector.Vector, i int) []byte {
	from, to := v.Items(i)
	b = append(b, '{')
	for k := from; k < to; k++ {
		if k > from {
			b = append(b, ',')
		}
		b = append(appendQuoted(b, v.Fields[0].Str(k)), ':')
		b = n.append(b, &v.Fields[1], k)
	}
	return append(b, '}')
}

func (n nullFields) appendStruct(b []byte, v *vector.Vector, i int) []byte {
	b = append(b, '{')
	first := true
	for f := range v.Fields {
		if n == omitNulls && v.Fields[f].IsNull(i) {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(appendQuoted(b, []byte(v.Names[f])), ':')
		b = n.append(b, &v.Fields[f], i)
	}
	return append(b, '}')
}

const hexDigits = "0123456789abcdef"

// appendQuoted writes text as a JSON string: only what must be escaped is, and what is no UTF-8 becomes U+FFFD.
func appendQuoted(b, s []byte) []byte {
	b = append(b, '"')
	done := 0
	for i := plainWords(s); i < len(s); {
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		n := 1
		if c >= utf8.RuneSelf {
			var r rune
			if r, n = utf8.DecodeRune(s[i:]); r != utf8.RuneError || n > 1 {
				i += n
				continue
			}
		}
		b = append(b, s[done:i]...)
		b = appendEscape(b, c)
		i += n
		done = i
	}
	return append(append(b, s[done:]...), '"')
}

func appendEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\n':
		return append(b, `\n`...)
	case '\r':
		return append(b, `\r`...)
	case '\t':
		return append(b, `\t`...)
	}
	if c >= utf8.RuneSelf {
		return append(b, "\ufffd"...)
	}
	return append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}
