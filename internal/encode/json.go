package encode

import (
	"fmt"
	"io"

	"github.com/lakeward/lakeward/internal/vector"
)

// JSON writes chunks as lines of JSON, one object a row: keys are the names in their order (FMT-13).
type JSON struct {
	out     io.Writer
	nulls   nullFields
	keys    [][]byte // `"name":`
	columns []cells
	buf     []byte
	rows    int64
}

// NewJSON starts a file, which begins with its first row. Null values, also those inside objects, are
// there as null, as files of audiences have them, or left out, as files of datasets do (FMT-15).
func NewJSON(out io.Writer, names []string, nulls bool) *JSON {
	j := &JSON{out: out, nulls: nullFields(nulls), columns: make([]cells, len(names)), buf: make([]byte, 0, flushRoom)}
	for _, name := range names {
		j.keys = append(j.keys, append(appendQuoted(nil, []byte(name)), ':'))
	}
	return j
}

// Write adds the rows of a chunk; its columns stand in the order of the names.
func (j *JSON) Write(chunk *vector.Chunk) error {
	if len(chunk.Columns) != len(j.columns) {
		return fmt.Errorf("json: %d columns, want %d", len(chunk.Columns), len(j.columns))
	}
	for i := range j.columns {
		j.render(i, &chunk.Columns[i])
	}
	for row := range chunk.Len {
		start := len(j.buf)
		j.buf = j.appendRow(j.buf, row)
		if len(j.buf)-start > maxRowBytes {
			return tooLong(j.rows + 1)
		}
		j.rows++
		if len(j.buf) >= flushAt {
			if err := j.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

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

// Close writes what is left. It does not close the writer below.
func (j *JSON) Close() error { return j.flush() }

// Rows is the number of rows written.
func (j *JSON) Rows() int64 { return j.rows }

func (j *JSON) flush() (err error) {
	j.buf, err = flush(j.out, j.buf)
	return err
}

// render makes the members of a column: key, value and a comma.
func (j *JSON) render(i int, v *vector.Vector) {
	null := func(b []byte) []byte { return j.appendNull(b, i) }
	if v.Dict != nil {
		j.columns[i].renderDict(v, null, func(b, s []byte) []byte { return append(appendQuoted(append(b, j.keys[i]...), s), ',') })
		return
	}
	j.columns[i].render(v.Len, func(b []byte, row int) []byte {
		if v.IsNull(row) {
			return null(b)
		}
		return append(j.nulls.append(append(b, j.keys[i]...), v, row), ',')
	})
}

// appendNull writes the member of a value that is absent.
func (j *JSON) appendNull(b []byte, i int) []byte {
	if j.nulls == omitNulls {
		return b
	}
	return append(append(b, j.keys[i]...), "null,"...)
}
