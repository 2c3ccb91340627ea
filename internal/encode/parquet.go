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
	p.rows += int64(chunk.Len)
	return p.out.Write(chunk)
}

// Close ends the file. It does not close the writer below.
func (p *Parquet) Close() error { return p.out.Close() }

// Rows is the number of rows written.
func (p *Parquet) Rows() int64 { return p.rows }
