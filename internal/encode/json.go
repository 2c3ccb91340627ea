package encode

import (
	"io"
	"slices"
	"unicode/utf8"

	"github.com/lakeward/lakeward/internal/vector"
)

// JSON writes chunks as lines of JSON, one object a row: keys are the names in their order (FMT-13).
type JSON struct {
	lines
	nulls  nullFields
	keys   [][]byte // `"name":`
	quotes [][]byte // `"name":"`
}

// NewJSON starts a file, which begins with its first row. Null values, also those inside objects, are
// there as null, as files of audiences have them, or left out, as files of datasets do (FMT-15).
func NewJSON(out io.Writer, names []string, nulls bool) *JSON {
	j := &JSON{lines: newLines(out, len(names)), nulls: nullFields(nulls)}
	for _, name := range names {
		key := append(appendQuoted(nil, []byte(name)), ':')
		j.keys, j.quotes = append(j.keys, key), append(j.quotes, append(slices.Clone(key), '"'))
	}
	return j
}

// Write adds the rows of a chunk; its columns stand in the order of the names.
func (j *JSON) Write(chunk *vector.Chunk) error { return j.write(chunk, j.render, j.appendRow) }

// appendRow joins the members of a row: each is rendered with a comma behind it, the last one is taken back.
func (j *JSON) appendRow(b []byte, row int) []byte {
	b = append(b, '{')
	start := len(b)
	b = appendRow(b, j.columns, row)
	if len(b) > start {
		b = b[:len(b)-1]
	}
	return append(b, '}', '\n')
}

// render makes the members of a column: key, value and a comma.
func (j *JSON) render(i int, v *vector.Vector, lo, hi int) {
	c, full := &j.columns[i], !v.AnyNull(lo, hi)
	switch {
	case v.Dict != nil:
		c.around(nil, "")
		c.renderDict(v, lo, hi, func(b []byte) []byte { return j.appendNull(b, i) },
			func(b, s []byte) []byte { return append(appendQuoted(append(b, j.keys[i]...), s), ',') })
	case !full && j.nulls == omitNulls:
		c.around(nil, "")
		c.render(lo, hi, func(b []byte, row int) []byte {
			if v.IsNull(row) {
				return b
			}
			return append(j.nulls.append(append(b, j.keys[i]...), v, row), ',')
		})
	case full && v.Kind == vector.String && plainTexts(v, lo, hi):
		c.around(j.quotes[i], `",`)
		c.asTheyAre(v, lo, hi)
	case full && (v.Kind == vector.Date || v.Kind == vector.Time):
		c.around(j.quotes[i], `",`)
		c.render(lo, hi, v.AppendText)
	case v.Kind == vector.Bool:
		c.around(j.keys[i], ",")
		c.renderBools(v, lo, hi, "null", "false", "true")
	case full && v.Kind == vector.Int:
		c.around(j.keys[i], ",")
		c.render(lo, hi, v.AppendText)
	default:
		c.around(j.keys[i], ",")
		c.render(lo, hi, func(b []byte, row int) []byte { return j.nulls.append(b, v, row) })
	}
}

// appendNull writes the member of a value that is absent.
func (j *JSON) appendNull(b []byte, i int) []byte {
	if j.nulls == omitNulls {
		return b
	}
	return append(append(b, j.keys[i]...), "null,"...)
}

// plainTexts reports whether texts stand in JSON as they are.
func plainTexts(v *vector.Vector, lo, hi int) bool {
	texts := v.Bytes[v.Offsets[lo]:v.Offsets[hi]]
	ascii := true
	for i := plainWords(texts); i < len(texts); {
		switch c := texts[i]; {
		case c < ' ' || c == '"' || c == '\\':
			return false
		case c < utf8.RuneSelf:
			i++
		default:
			ascii = false
			r, n := utf8.DecodeRune(texts[i:])
			if r == utf8.RuneError && n == 1 {
				return false
			}
			i += n
			i += plainWords(texts[i:])
		}
	}
	for _, start := range v.Offsets[lo:hi] {
		if !ascii && int(start) < len(v.Bytes) && !utf8.RuneStart(v.Bytes[start]) { // a character of two texts is none
			return false
		}
	}
	return true
}
