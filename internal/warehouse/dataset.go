package warehouse

import (
	"context"
	"iter"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/parquet"
	"github.com/lakeward/lakeward/internal/vector"
)

// ReadFiles yields the rows of dataset files, file by file, as chunks of the fields; a field that a file does
// not have is null. A chunk is valid until the next one.
func (w *Warehouse) ReadFiles(ctx context.Context, files []lakeward.DataFile, fields []lakeward.Leaf) iter.Seq2[*vector.Chunk, error] {
	return func(yield func(*vector.Chunk, error) bool) {
		for _, f := range files {
			for c, err := range w.readFile(ctx, f, fields) {
				if !yield(c, err) || err != nil {
					return
				}
			}
		}
	}
}

func (w *Warehouse) readFile(ctx context.Context, f lakeward.DataFile, fields []lakeward.Leaf) iter.Seq2[*vector.Chunk, error] {
	return func(yield func(*vector.Chunk, error) bool) {
		t, err := w.open(f)
		if err != nil {
			yield(nil, err)
			return
		}
		defer t.Close()
		r, err := t.ReaderOf(parquet.ColumnsOf(fields))
		if err != nil {
			yield(nil, sourceError(f, err))
			return
		}
		defer r.Close()
		chunk := &vector.Chunk{Columns: make([]vector.Vector, len(fields))}
		var rows []int64
		for at := int64(0); at < f.Rows; at += int64(len(rows)) {
			rows = rows[:0]
			for row := at; row < f.Rows && len(rows) < vector.MaxRows; row++ {
				rows = append(rows, row)
			}
			err := ctx.Err()
			if err == nil {
				if err = r.Gather(rows, chunk.Columns); err != nil {
					err = sourceError(f, err)
				}
			}
			chunk.Len = len(rows)
			if !yield(chunk, err) || err != nil {
				return
			}
		}
	}
}
