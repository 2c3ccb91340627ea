package encode

import (
	"bytes"
	"io"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
)

// CSV writes chunks as CSV, byte for byte as FMT-10a says. The header is the first line.
type CSV struct {
	lines
	opt       lakeward.CSVOptions
	ambiguous int64
	end       string  // of a record
	special   byteSet // what makes a value need quotes
}

// byteOrderMark is that of UTF-8.
const byteOrderMark = "\ufeff"

// NewCSV starts a file and writes its header, if it has one.
func NewCSV(out io.Writer, headers []string, opt lakeward.CSVOptions) (*CSV, error) {
	c := &CSV{lines: newLines(out, len(headers)), opt: opt}
	c.special = newByteSet(opt.Delimiter + opt.Quote + "\r\n")
	if c.end = "\n"; opt.CRLF {
		c.end = "\r\n"
	}
	if opt.BOM {
		c.buf = append(c.buf, byteOrderMark...)
	}
	if opt.HeaderOff {
		return c, c.flush()
	}
	for i, h := range headers {
		if i > 0 {
			c.buf = append(c.buf, opt.Delimiter...)
		}
		c.buf = c.appendText(c.buf, []byte(h))
	}
	c.buf = append(c.buf, c.end...)
	return c, c.flush()
}

// Write adds the rows of a chunk; its columns stand in the order of the headers.
func (c *CSV) Write(chunk *vector.Chunk) error {
	return c.write(chunk, c.render, func(b []byte, row int) []byte { return appendRow(b, c.columns, row) })
}

// Ambiguous is the number of values that hold the delimiter or a line break without a quote character
// to protect them (FMT-12).
func (c *CSV) Ambiguous() int64 { return c.ambiguous }

// render makes the text of the cells of column i and what stands behind them.
func (c *CSV) render(i int, v *vector.Vector, lo, hi int) {
	col, behind := &c.columns[i], c.opt.Delimiter
	if i == len(c.columns)-1 {
		behind = c.end
	}
	if v.Dict != nil {
		col.around(nil, "")
		c.renderDict(col, v, behind, lo, hi)
		return
	}
	col.around(nil, behind)
	full := !v.AnyNull(lo, hi)
	switch {
	case full && v.Kind == vector.String && c.plainTexts(v, lo, hi):
		col.asTheyAre(v, lo, hi)
	case v.Kind == vector.Bool && !c.opt.QuoteAll:
		col.renderBools(v, lo, hi, c.opt.Null, "false", "true")
	case full && c.bare(v.Kind):
		col.render(lo, hi, v.AppendText)
	default:
		col.render(lo, hi, func(b []byte, i int) []byte {
			if v.IsNull(i) {
				return append(b, c.opt.Null...)
			}
			return c.appendValue(b, v, i)
		})
	}
}

// plainTexts reports whether texts stand in the file as they are.
func (c *CSV) plainTexts(v *vector.Vector, lo, hi int) bool {
	if c.opt.QuoteAll {
		return false
	}
	from := v.Offsets[lo]
	for _, to := range v.Offsets[lo+1 : hi+1] {
		if from == to || v.Bytes[from] <= ' ' || v.Bytes[to-1] <= ' ' { // empty or to be trimmed
			return false
		}
		from = to
	}
	return !c.special.in(v.Bytes[v.Offsets[lo]:from])
}

// renderDict counts an entry that is ambiguous once for each row that has it, however often it is rendered.
func (c *CSV) renderDict(col *cells, v *vector.Vector, behind string, lo, hi int) {
	if col.dict != v.Dict {
		col.doubts = nil
	}
	null := func(b []byte) []byte { return append(append(b, c.opt.Null...), behind...) }
	col.renderDict(v, lo, hi, null, func(b, s []byte) []byte {
		before := c.ambiguous
		b = append(c.appendText(b, s), behind...)
		if c.ambiguous > before {
			if c.ambiguous = before; col.doubts == nil {
				col.doubts = map[int32]bool{}
			}
			col.doubts[int32(len(col.dictAt)-2)] = true
		}
		return b
	})
	if col.doubts == nil {
		return
	}
	for i := lo; i < hi; i++ {
		if col.doubts[v.Codes[i]] && !v.IsNull(i) {
			c.ambiguous++
		}
	}
}

// bare reports whether values of a kind stand in the file without quotes, whatever they are: a time holds a colon, which
// may be the delimiter.
func (c *CSV) bare(k vector.Kind) bool {
	return k != vector.String && !c.opt.QuoteAll && (k != vector.Time || c.opt.Delimiter != ":")
}

func (c *CSV) appendValue(b []byte, v *vector.Vector, i int) []byte {
	switch {
	case v.Kind == vector.String:
		return c.appendText(b, v.Str(i))
	case c.bare(v.Kind):
		return v.AppendText(b, i)
	case c.opt.QuoteAll: // no number, date or time holds a quote or an escape
		b = append(b, c.opt.Quote...)
		return append(v.AppendText(b, i), c.opt.Quote...)
	}
	start := len(b)
	b = v.AppendText(b, i)
	return c.appendText(b[:start], bytes.Clone(b[start:]))
}

// appendText writes a string: trimmed, empty as the option says, quoted only where needed (FMT-10a, D06).
func (c *CSV) appendText(b, s []byte) []byte {
	for len(s) > 0 && s[0] <= ' ' {
		s = s[1:]
	}
	for len(s) > 0 && s[len(s)-1] <= ' ' {
		s = s[:len(s)-1]
	}
	if len(s) == 0 {
		return append(b, c.opt.Empty...)
	}
	if !c.opt.QuoteAll && !c.special.in(s) {
		return append(b, s...)
	}
	if c.opt.Quote == "" {
		c.ambiguous++
		return append(b, s...)
	}
	quote, escape := c.opt.Quote[0], c.opt.Escape[0]
	b = append(b, quote)
	for _, ch := range s {
		switch {
		case ch == quote:
			b = append(b, escape)
		case ch == escape: // a back slash is doubled, a single quote gets a back slash
			b = append(b, '\\')
		}
		b = append(b, ch)
	}
	return append(b, quote)
}
