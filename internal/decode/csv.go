// Package decode turns uploads into chunks of typed columns, row by row, with a report of the rows
// that cannot be taken.
//
// It does not store anything. The one thing to know: rows are checked strictly and nothing is
// guessed; a cell with nothing in it is null.
package decode

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
)

// Limits of uploads (C15).
const (
	maxColumns  = 1000
	maxCell     = 1 << 20
	maxRow      = 16 << 20
	maxExamples = 100
	// maxChunkBytes ends a chunk early, so that memory does not grow with the size of the cells.
	maxChunkBytes = 16 << 20
)

// CSV reads a CSV file with a header, comma and double quotes (RFC 4180).
type CSV struct {
	builder
	rows   *rowReader
	header []string
	source []int // column of the file for each leaf, -1 for none
}

// OpenCSV reads the header of a CSV file.
func OpenCSV(r io.Reader) (*CSV, error) {
	c := &CSV{}
	b := bufio.NewReaderSize(r, 64<<10)
	if start, _ := b.Peek(3); bytes.Equal(start, []byte("\xef\xbb\xbf")) {
		_, _ = b.Discard(3)
	}
	start, err := b.Peek(512)
	if len(start) == 0 && (err == nil || errors.Is(err, io.EOF)) {
		return nil, upload("UPL-1001", "the file is empty; a header line is needed")
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read upload: %w", err)
	}
	if !isText(start) {
		return nil, upload("UPL-1002", "the file is not text; it takes CSV and NDJSON files, plain, gzip or zstd, and Parquet files")
	}
	c.rows = newRowReader(b)
	if err := c.rows.next(); err != nil {
		if _, ok := errors.AsType[*errRow](err); ok {
			return nil, upload("UPL-1005", "the header line cannot be read: %v", err)
		}
		return nil, err
	}
	for i := range c.rows.cells {
		h := string(c.rows.cell(i))
		if !utf8.ValidString(h) {
			return nil, upload("UPL-1005", "the header line is not UTF-8")
		}
		c.header = append(c.header, h)
	}
	if len(c.header) > maxColumns {
		return nil, upload("UPL-1005", "the file has %d columns; at most %d", len(c.header), maxColumns)
	}
	return c, nil
}

func upload(code, format string, args ...any) error {
	return &lakeward.Error{Kind: lakeward.Invalid, Code: code, Msg: fmt.Sprintf(format, args...)}
}

// Header is the names of the file's columns.
func (c *CSV) Header() []string { return c.header }

// Bind says which fields the columns hold: by name, or by columns[name of the column] = path of the
// field. A column that is no field, a name that stands twice and a required field without a column are errors.
func (c *CSV) Bind(leaves []lakeward.Leaf, columns map[string]string) error {
	c.source = make([]int, len(leaves))
	for i := range c.source {
		c.source[i] = -1
	}
	names := make([]string, len(leaves))
	for i, l := range leaves {
		names[i] = l.Path
	}
	e := &lakeward.Error{Kind: lakeward.Invalid, Code: "UPL-1005", Msg: "the columns of the file do not fit the schema; nothing was stored"}
	wrong := func(pointer, hint, format string, args ...any) {
		e.Fields = append(e.Fields, lakeward.FieldError{Pointer: pointer, Code: "UPL-1005", Msg: fmt.Sprintf(format, args...), Hint: hint})
	}
	used := map[string]bool{}
	for k, h := range c.header {
		path, mapped := columns[h]
		if !mapped {
			path = h
		}
		used[h] = true
		i := index(names, path)
		switch {
		case i < 0:
			wrong("/header", lakeward.Suggestion(path, names), "column %s is no field of the schema", lakeward.Quote(h))
		case c.source[i] >= 0:
			wrong("/header", "", "field %s has two columns", path)
		case !leaves[i].Type.Scalar():
			wrong("/header", "upload NDJSON or Parquet", "field %s is of type %s, which a CSV column cannot hold", path, leaves[i].Type)
		default:
			c.source[i] = k
		}
	}
	for h := range columns {
		if !used[h] {
			wrong("/columns", lakeward.Suggestion(h, c.header), "the file has no column %s", lakeward.Quote(h))
		}
	}
	for i, l := range leaves {
		if c.source[i] < 0 && needed(&l) {
			wrong("/header", "", "the required field %s has no column", l.Path)
		}
	}
	if len(e.Fields) > 0 {
		return e
	}
	c.begin(leaves)
	return nil
}

func needed(l *lakeward.Leaf) bool { return l.Required || l.Identity != nil && l.Identity.Primary }

func index(list []string, s string) int {
	for i, v := range list {
		if v == s {
			return i
		}
	}
	return -1
}

// Next returns the next rows that can be taken, at most vector.MaxRows; io.EOF at the end. The chunk is
// valid until the next call but one.
func (c *CSV) Next() (*vector.Chunk, error) {
	return c.fill(func() error {
		err := c.rows.next()
		if errors.Is(err, io.EOF) {
			return io.EOF
		}
		return c.take(err)
	})
}

// take adds the row that was read to the chunk or to the rejected rows.
func (c *CSV) take(err error) error {
	if bad, ok := errors.AsType[*errRow](err); ok {
		if bad.lines > 1 { // a quote too many swallows good rows, which must not count as one
			return upload("UPL-1007", "the row at line %d: %s; with its quotes it goes on to line %d, so that more than one row may be lost; correct it, nothing was stored", c.rows.start, bad.why, c.rows.start+bad.lines-1)
		}
		c.total++
		c.reject(c.rows.start, "", "%s", bad.why)
		return nil
	}
	if err != nil {
		return fmt.Errorf("read upload: %w", err)
	}
	cells := len(c.rows.cells)
	if cells == 1 && len(c.rows.data) == 0 && !c.rows.cells[0].quoted && (len(c.header) > 1 || len(c.leaves) == 1 && needed(&c.leaves[0])) {
		return nil // a line of nothing is no row, unless it may be the null of the only column
	}
	c.total++
	c.bytes += len(c.rows.data)
	c.proven = c.rows.whole && isPlain(c.rows.data)
	if cells != len(c.header) {
		c.reject(c.rows.start, "", "it has %d fields, the header has %d", cells, len(c.header))
		return nil
	}
	for i := range c.leaves {
		l := &c.leaves[i]
		if reason := c.append(i, l); reason != "" {
			c.undo()
			c.reject(c.rows.start, l.Path, "%s", reason)
			return nil
		}
	}
	c.chunk.Len++
	return nil
}

// append adds the value of a field; a reason says why it cannot be taken. A cell with nothing in it is
// null; one of quotes with nothing in them is an empty text.
func (c *CSV) append(i int, l *lakeward.Leaf) (reason string) {
	var s []byte
	quoted := false
	if k := c.source[i]; k >= 0 {
		s, quoted = c.rows.cell(k), c.rows.cells[k].quoted
	}
	if len(s) == 0 && !(quoted && l.Type == lakeward.TypeString && l.Identity == nil && !needed(l)) {
		return c.null(i, l)
	}
	return c.text(i, l, s)
}
