package expr

import (
	"strconv"

	"github.com/lakeward/lakeward/internal/vector"
)

// asText is a node that writes single values as text.
func asText(n *Node) *Node {
	fn := &Function{Name: "text", Args: "s", eval: func(c *cells) { c.setText(c.args[0].AppendText(nil, c.at[0])) }}
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
	return v.AppendText(b, i)
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
