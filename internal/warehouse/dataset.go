package warehouse

import (
	"context"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

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
	all := roaring.New()
	all.AddRange(0, uint64(f.Rows))
	return w.ReadRows(ctx, f, all, fields)
}

// ReadRows yields the chosen rows of a dataset file as chunks of the fields; a field that the file does not have is null.
// A chunk is valid until the next one.
func (w *Warehouse) ReadRows(ctx context.Context, f lakeward.DataFile, chosen *roaring.Bitmap, fields []lakeward.Leaf) iter.Seq2[*vector.Chunk, error] {
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
		numbers, window, rows := chosen.ManyIterator(), make([]uint32, vector.MaxRows), make([]int64, 0, vector.MaxRows)
		for n := numbers.NextMany(window); n > 0; n = numbers.NextMany(window) {
			rows = rows[:0]
			for _, row := range window[:n] {
				rows = append(rows, int64(row))
			}
			err := ctx.Err()
			if err == nil {
				if err = r.Gather(rows, chunk.Columns); err != nil {
					err = sourceError(f, err)
				}
			}
			chunk.Len, chunk.Numbers = n, window[:n]
			if !yield(chunk, err) || err != nil {
				return
			}
		}
	}
}

// SameFields reports whether a dataset file has exactly these fields, in this order: it is not of before the last change of
// its schema.
func (w *Warehouse) SameFields(f lakeward.DataFile, fields []lakeward.Leaf) (bool, error) {
	t, err := w.open(f)
	if err != nil {
		return false, err
	}
	defer t.Close()
	var want []string
	for _, l := range fields {
		want = append(want, l.Path)
	}
	return slices.Equal(t.Paths(), want), nil
}

// CopyFile writes a dataset file as it is at rest: Parquet with pages packed by Snappy.
func (w *Warehouse) CopyFile(f lakeward.DataFile, out io.Writer) error {
	t, err := w.open(f)
	if err != nil {
		return err
	}
	defer t.Close()
	if _, err := io.Copy(out, io.NewSectionReader(t.file, 0, f.Bytes)); err != nil {
		return fmt.Errorf("copy %s: %w", f.Path, err)
	}
	return nil
}
