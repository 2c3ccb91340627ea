package expr

import (
	"strconv"
	"strings"
	"time"

	"github.com/lakeward/lakeward/internal/vector"
)

// appendScalar writes a single value as text, as files have it (FMT-10a); nothing for null.
func appendScalar(b []byte, v *vector.Vector, i int) []byte {
	if v.IsNull(i) {
		return b
	}
	switch v.Kind {
	case vector.String:
		return append(b, v.Str(i)...)
	case vector.Float:
		return appendReal(b, v.Floats[i])
	case vector.Bool:
		return strconv.AppendBool(b, v.Bools.Get(i))
	case vector.Date:
		return time.Unix(v.Ints[i]*86400, 0).UTC().AppendFormat(b, "2006-01-02")
	case vector.Time:
		return time.UnixMilli(v.Ints[i]).UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	}
	return strconv.AppendInt(b, v.Ints[i], 10)
}

// appendReal writes a finite double with the fewest digits that read back, laid out as files have it.
func appendReal(b []byte, x float64) []byte {
	abs := max(x, -x)
	if abs != 0 && (abs < 1e-3 || abs >= 1e7) {
		s := strconv.FormatFloat(x, 'E', -1, 64)
		mantissa, exponent, _ := strings.Cut(s, "E")
		if !strings.Contains(mantissa, ".") {
			mantissa += ".0"
		}
		n, _ := strconv.Atoi(exponent) // FormatFloat wrote it
		return strconv.AppendInt(append(append(b, mantissa...), 'E'), int64(n), 10)
	}
	start := len(b)
	b = strconv.AppendFloat(b, x, 'f', -1, 64)
	if !strings.Contains(string(b[start:]), ".") {
		b = append(b, ".0"...)
	}
	return b
}

// asText is a node that writes single values as text.
func asText(n *Node) *Node {
	fn := &Function{Name: "text", Args: "s", eval: func(c *cells) { c.setText(appendScalar(nil, c.args[0], c.at[0])) }}
	return &Node{Op: Call, Type: String, Func: fn, Args: []*Node{n}, Pos: n.Pos}
}

// appendElement writes a value as array_to_string does: objects, maps and arrays like JSON with single quotes, times
// inside of them in milliseconds (CAL-07).
func appendElement(b []byte, v *vector.Vector, i int) []byte {
	if v.IsNull(i) {
		return append(b, "null"...)
	}
	switch v.Kind {
	case vector.String:
		return appendSingleQuoted(b, v.Str(i))
	case vector.Date, vector.Time:
		return strconv.AppendInt(b, instant(v, i), 10)
	case vector.List:
		b = append(b, '[')
		from, to := v.Items(i)
		for k := from; k < to; k++ {
			if k > from {
				b = append(b, ',')
			}
			b = appendElement(b, &v.Fields[0], k)
		}
		return append(b, ']')
	case vector.Map:
		b = append(b, '{')
		from, to := v.Items(i)
		for k := from; k < to; k++ {
			if k > from {
				b = append(b, ',')
			}
			b = append(appendSingleQuoted(b, v.Fields[0].Str(k)), ':')
			b = appendElement(b, &v.Fields[1], k)
		}
		return append(b, '}')
	case vector.Struct:
		return appendObject(b, v, i)
	}
	return appendScalar(b, v, i)
}

// appendObject leaves fields without a value out.
func appendObject(b []byte, v *vector.Vector, i int) []byte {
	b = append(b, '{')
	first := true
	for f := range v.Fields {
		if v.Fields[f].IsNull(i) {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(appendSingleQuoted(b, []byte(v.Names[f])), ':')
		b = appendElement(b, &v.Fields[f], i)
	}
	return append(b, '}')
}

func appendSingleQuoted(b, s []byte) []byte {
	b = append(b, '\'')
	for _, c := range s {
		switch c {
		case '\'', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		default:
			b = append(b, c)
		}
	}
	return append(b, '\'')
}
