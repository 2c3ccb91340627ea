package engine

import (
	"context"
	"errors"
	"io"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/encode"
	"github.com/lakeward/lakeward/internal/vector"
)

// encoder turns chunks into the bytes of a file. Close writes what is left and does not close the writer below.
type encoder interface {
	Write(chunk *vector.Chunk) error
	Rows() int64
	Close() error
}

// newEncoder starts a file of the destination's type. Parquet has its compression inside, so the bytes around it stay plain.
func newEncoder(out io.Writer, d lakeward.Destination, columns []lakeward.Column) (encoder, error) {
	headers, fields := make([]string, len(columns)), make([]lakeward.Field, len(columns))
	for i, c := range columns {
		headers[i], fields[i] = c.Target, c.Field()
	}
	switch d.FileType {
	case lakeward.JSON:
		return encode.NewJSON(out, headers, true), nil
	case lakeward.Parquet:
		return encode.NewParquet(out, fields, d.Compression)
	}
	return encode.NewCSV(out, headers, d.CSV)
}

// partWriter is the stack of writers of one part: scan and map, encode, compress and encrypt go on side by side.
type partWriter struct {
	name      string // of the file
	e         *Engine
	s         *selection
	plan      *lakeward.Plan
	ambiguous int64
	limit     int64 // of the rows; 0 means all
	failed    int64 // calculated values
}

// write puts the rows of a part into out and returns their number.
func (w *partWriter) write(ctx context.Context, out io.Writer, p part) (rows int64, err error) {
	around, err := newEnvelope(out, w.plan, w.name)
	if err != nil {
		return 0, err
	}
	defer around.Close() // after an error
	file, err := newEncoder(around, w.plan.Destination, w.s.columns)
	if err != nil {
		return 0, err
	}
	encoded := newHandover(file)
	defer encoded.stop() // before what is around the file
	projected, err := w.e.newProjector(w.s)
	if err != nil {
		return 0, err
	}
	defer projected.close()
	for chunk, err := range w.e.warehouse.Scan(ctx, w.s.snap, p.numbers, w.s.fields, w.s.namespace) {
		if err != nil {
			return 0, err
		}
		if err := projected.each(chunk, func(c *vector.Chunk) error { return encoded.Write(w.within(c, encoded.Rows())) }); err != nil {
			return 0, err
		}
		if w.limit > 0 && encoded.Rows() >= w.limit {
			break
		}
	}
	err = errors.Join(encoded.Close(), around.Close()) // in this order: the last bytes go from one into the other
	if csv, ok := file.(*encode.CSV); ok {
		w.ambiguous = csv.Ambiguous()
	}
	w.failed = projected.sources.failed
	return encoded.Rows(), err
}

// within is a chunk without the rows that are too many behind those that were written.
func (w *partWriter) within(c *vector.Chunk, written int64) *vector.Chunk {
	if w.limit <= 0 || written+int64(c.Len) <= w.limit {
		return c
	}
	head := *c
	head.Len = int(w.limit - written)
	return &head
}
