package decode

import (
	"errors"
	"io"
	"strings"
)

// rowReader cuts a CSV file into rows of cells: comma, double quotes doubled inside quotes, rows ended by
// LF or CR LF (RFC 4180). What stands inside quotes is kept byte for byte.
type rowReader struct {
	in   io.Reader
	buf  []byte
	pos  int
	size int
	err  error // of in, once everything before it was handed out

	line  int64 // of the next byte, from 1
	start int64 // line at which the row starts
	data  []byte
	cells []span // in data
	whole bool   // data is the line as it stands in the file
	own   []byte // room for data
	read  int    // bytes of the row

	plain    [256]bool // what a cell without quotes is made of
	inQuotes [256]bool // what one in quotes is made of, but for line breaks
}

func newRowReader(in io.Reader) *rowReader {
	return &rowReader{in: in, buf: make([]byte, 256<<10), line: 1, plain: bytesBut(",\n\""), inQuotes: bytesBut("\n\"")}
}

// errRow is what is wrong with a row, which has so many lines; the reader stands behind them.
type errRow struct {
	why   string
	lines int64
}

func (e *errRow) Error() string { return e.why }

// peek returns the next byte without taking it; ok is false at the end.
func (r *rowReader) peek() (c byte, ok bool) {
	for r.pos == r.size {
		if r.err != nil {
			return 0, false
		}
		r.pos = 0
		r.size, r.err = r.in.Read(r.buf)
	}
	return r.buf[r.pos], true
}

// take returns the next byte; ok is false at the end.
func (r *rowReader) take() (c byte, ok bool) {
	c, ok = r.peek()
	if ok {
		r.pos++
		r.read++
		if c == '\n' {
			r.line++
		}
	}
	return c, ok
}

// span is where a cell lies in the data of its row.
type span struct {
	from, to int
	quoted   bool
}

// cell returns cell i of the row.
func (r *rowReader) cell(i int) []byte { return r.data[r.cells[i].from:r.cells[i].to] }

func (r *rowReader) endCell(quoted bool) {
	from := 0
	if n := len(r.cells); n > 0 {
		from = r.cells[n-1].to
	}
	r.cells = append(r.cells, span{from, len(r.data), quoted})
}

// next reads a row. The error is io.EOF at the end, an *errRow for a row that is not CSV, or what the
// file gave.
func (r *rowReader) next() error {
	r.cells, r.read, r.start = r.cells[:0], 0, r.line
	if _, ok := r.peek(); !ok {
		return r.fail()
	}
	if r.whole = r.wholeLine(); r.whole {
		return nil
	}
	r.data, r.cells = r.own[:0], r.cells[:0]
	defer func() { r.own = r.data }()
	for {
		more, err := r.field()
		if err != nil {
			return err
		}
		if !more {
			return nil
		}
		if r.read > maxRow {
			return upload("UPL-1007", "a row is longer than 16 MiB; is a closing quote missing?")
		}
	}
}

// fail is the error at the end of the file: that of the file, if it has one.
func (r *rowReader) fail() error {
	if errors.Is(r.err, io.EOF) {
		return io.EOF
	}
	return r.err
}

// field reads a cell and what ends it; more is false when the row ends with it.
func (r *rowReader) field() (more bool, err error) {
	if c, ok := r.peek(); ok && c == '"' {
		r.take()
		return r.quotedField()
	}
	from := len(r.data)
	for {
		r.takeWhile(&r.plain)
		if r.read > maxRow {
			return false, upload("UPL-1007", "a row is longer than 16 MiB; is it CSV?")
		}
		c, ok := r.take()
		switch {
		case !ok && errors.Is(r.err, io.EOF):
			r.endCell(false)
			return false, nil
		case !ok:
			return false, r.err
		case c == ',':
			r.endCell(false)
			return true, nil
		case c == '\n':
			if n := len(r.data); n > from && r.data[n-1] == '\r' {
				r.data = r.data[:n-1]
			}
			r.endCell(false)
			return false, nil
		default:
			return false, r.skip("a quote stands in the middle of a value that is not in quotes")
		}
	}
}

// takeWhile takes the bytes of a set into the cell, as far as they are read; a line break is not among them.
func (r *rowReader) takeWhile(set *[256]bool) {
	for {
		if _, ok := r.peek(); !ok {
			return
		}
		span := r.buf[r.pos:r.size]
		n := 0
		for n < len(span) && set[span[n]] {
			n++
		}
		r.data = append(r.data, span[:n]...)
		r.pos, r.read = r.pos+n, r.read+n
		if n < len(span) || r.read > maxRow {
			return
		}
	}
}

// bytesBut is the set of all bytes but some.
func bytesBut(ends string) (set [256]bool) {
	for i := range set {
		set[i] = strings.IndexByte(ends, byte(i)) < 0
	}
	return set
}

// quotedField reads the rest of a cell in quotes.
func (r *rowReader) quotedField() (more bool, err error) {
	for {
		r.takeWhile(&r.inQuotes)
		if r.read > maxRow {
			return false, upload("UPL-1007", "a row is longer than 16 MiB; is a closing quote missing?")
		}
		c, ok := r.take()
		if !ok {
			if errors.Is(r.err, io.EOF) {
				lines := r.line - r.start + 1
				if n := len(r.data); n > 0 && r.data[n-1] == '\n' {
					lines--
				}
				return false, &errRow{"the closing quote is missing", lines}
			}
			return false, r.err
		}
		if c != '"' {
			r.data = append(r.data, c) // a line break
			continue
		}
		c, ok = r.take()
		switch {
		case ok && c == '"':
			r.data = append(r.data, c)
			continue
		case ok && c == '\r':
			if c, ok = r.take(); ok && c != '\n' {
				return false, r.skip("text stands behind a closing quote")
			}
		}
		r.endCell(true)
		switch {
		case !ok && !errors.Is(r.err, io.EOF):
			return false, r.err
		case !ok || c == '\n':
			return false, nil
		case c == ',':
			return true, nil
		}
		return false, r.skip("text stands behind a closing quote")
	}
}

// skip takes the rest of the line and says what is wrong with the row.
func (r *rowReader) skip(why string) error {
	for {
		if c, ok := r.take(); !ok || c == '\n' {
			lines := r.line - r.start
			if !ok {
				lines++
			}
			return &errRow{why, lines}
		}
	}
}
