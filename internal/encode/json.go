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
	j := &JSON{out: out, nulls: nullFields(nulls), columns: make([]cells, len(names))}
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
		j.buf = j.appendRow(j.buf, chunk, row)
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
func (j *JSON) appendRow(b []byte, chunk *vector.Chunk, row int) []byte {
	b = append(b, '{')
	start := len(b)
	for i := range j.columns {
		b = j.columns[i].appendCell(b, &chunk.Columns[i], row)
	}
	if len(b) > start {
		b = b[:len(b)-1]
	}
	return append(b, '}', '\n')
}

// Close writes what is left. It does not close the writer below.
func (j *JSON) Close() error { return j.flush() }

// Rows is the number of rows written.
func (j *JSON) Rows() int64 { return j.rows }

func (j *JSON) flush() error {
	if len(j.buf) == 0 {
		return nil
	}
	_, err := j.out.Write(j.buf)
	j.buf = j.buf[:0]
	return err
}

// render makes the members of a column: key, value and a comma.
func (j *JSON) render(i int, v *vector.Vector) {
	col := &j.columns[i]
	if v.Dict != nil {
		if col.dict == v.Dict {
			return
		}
		col.dict = v.Dict
		col.dictText = j.appendNull(col.dictText[:0], i)
		col.dictAt = append(col.dictAt[:0], 0, uint32(len(col.dictText)))
		for k := range v.Dict.Len() {
			col.dictText = append(appendQuoted(append(col.dictText, j.keys[i]...), v.Dict.Value(int32(k))), ',')
			col.dictAt = append(col.dictAt, uint32(len(col.dictText)))
		}
		return
	}
	col.text, col.at = col.text[:0], append(col.at[:0], 0)
	for row := range v.Len {
		if v.IsNull(row) {
			col.text = j.appendNull(col.text, i)
		} else {
			col.text = append(j.nulls.append(append(col.text, j.keys[i]...), v, row), ',')
		}
		col.at = append(col.at, uint32(len(col.text)))
	}
}

// appendNull writes the member of a value that is absent.
func (j *JSON) appendNull(b []byte, i int) []byte {
	if j.nulls == omitNulls {
		return b
	}
	return append(append(b, j.keys[i]...), "null,"...)
}
