package encode

import (
	"io"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/parquet"
	"github.com/lakeward/lakeward/internal/vector"
)

// Parquet writes chunks as one Parquet file: typed, optional columns in their order, lists, maps and structs as such
// (FMT-16, FMT-17).
type Parquet struct {
	out  *parquet.Writer
	rows int64
}

// NewParquet starts a file whose columns hold fields, under their names. The pages are compressed, the file is not.
func NewParquet(out io.Writer, fields []lakeward.Field, packed lakeward.Compression) (*Parquet, error) {
	columns := make([]parquet.Column, len(fields))
	for i, f := range fields {
		columns[i] = parquet.ColumnOfField(f)
	}
	w, err := parquet.NewDelivery(out, columns, packed)
	return &Parquet{out: w}, err
}

// Write adds the rows of a chunk; its columns stand in the order of the fields.
func (p *Parquet) Write(chunk *vector.Chunk) error {
	if err := p.checkRows(chunk); err != nil {
		return err
	}
	p.rows += int64(chunk.Len)
	return p.out.Write(chunk)
}

// checkRows looks for a row that is too long, if all of them together are long enough to hold one.
func (p *Parquet) checkRows(chunk *vector.Chunk) error {
	most := 0
	for i := range chunk.Columns {
		most += chunk.Columns[i].Size()
		if d := chunk.Columns[i].Dict; d != nil {
			most += len(d.Bytes)
		}
	}
	if most <= maxRowBytes {
		return nil
	}
	for row := range chunk.Len {
		size := 0
		for i := range chunk.Columns {
			size += valueSize(&chunk.Columns[i], row)
		}
		if size > maxRowBytes {
			return tooLong(p.rows + int64(row) + 1)
		}
	}
	return nil
}

// valueSize is about the number of bytes of value i.
func valueSize(v *vector.Vector, i int) (n int) {
	switch {
	case v.IsNull(i):
		return 0
	case v.Kind == vector.String:
		return len(v.Str(i))
	case v.Kind == vector.Struct:
		for f := range v.Fields {
			n += valueSize(&v.Fields[f], i)
		}
		return n
	case v.Kind == vector.List, v.Kind == vector.Map:
		from, to := v.Items(i)
		for f := range v.Fields {
			for k := from; k < to; k++ {
				n += valueSize(&v.Fields[f], k)
			}
		}
		return n
	}
	return 8
}

// Close ends the file. It does not close the writer below.
func (p *Parquet) Close() error { return p.out.Close() }

// Rows is the number of rows written.
func (p *Parquet) Rows() int64 { return p.rows }
