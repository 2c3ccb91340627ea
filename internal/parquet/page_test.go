package parquet_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	lib "github.com/parquet-go/parquet-go"

	"github.com/lakeward/lakeward/internal/parquet"
	"github.com/lakeward/lakeward/internal/vector"
)

// Pages have the usual size however large the rows of a chunk are, and however long the texts are that the codes of a
// dictionary stood for which ends in the middle of a page.
func TestPagesOfLongTexts(t *testing.T) {
	last := bytes.Repeat([]byte("y"), 2<<20) // no dictionary takes it
	t.Run("long texts", func(t *testing.T) {
		long := bytes.Repeat([]byte("x"), 16<<10)
		checkPages(t, parquet.Column{Path: "a", Kind: vector.String}, 127, func(v *vector.Vector) {
			for range 64 {
				v.AppendString(long)
			}
		}, func(v *vector.Vector) { v.AppendString(last) })
	})
	t.Run("one chunk", func(t *testing.T) {
		checkPages(t, parquet.Column{Path: "a", Kind: vector.String}, 1, func(v *vector.Vector) {
			for range vector.MaxRows {
				v.AppendString(last[:16<<10])
			}
		}, func(v *vector.Vector) { v.AppendString(last) })
	})
	t.Run("many items", func(t *testing.T) {
		items := parquet.Column{Path: "a", Kind: vector.List, Fields: []parquet.Column{{Kind: vector.String}}}
		text := bytes.Repeat([]byte("x"), 1<<10)
		checkPages(t, items, 120, func(v *vector.Vector) {
			for range 1000 {
				v.Fields[0].AppendString(text)
			}
			v.AppendItems()
		}, func(v *vector.Vector) {
			v.Fields[0].AppendString(last)
			v.AppendItems()
		})
	})
}

// checkPages writes a chunk some times, then another one, and looks at the pages.
func checkPages(t *testing.T, c parquet.Column, times int, fill, end func(*vector.Vector)) {
	var out bytes.Buffer
	w := parquet.NewWriter(&out, []parquet.Column{c})
	add := func(fill func(*vector.Vector)) {
		chunk := &vector.Chunk{Columns: make([]vector.Vector, 1)}
		chunk.Columns[0].ResetTo(c.Shape())
		fill(&chunk.Columns[0])
		chunk.Len = chunk.Columns[0].Len
		if err := w.Write(chunk); err != nil {
			t.Fatal(err)
		}
	}
	for range times {
		add(fill)
	}
	add(end)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := lib.OpenFile(bytes.NewReader(out.Bytes()), int64(out.Len()))
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range f.RowGroups() {
		pages := group.ColumnChunks()[0].Pages()
		for {
			page, err := pages.ReadPage()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if page.Size() > 48<<20 {
				t.Errorf("a page of %d rows takes %d bytes", page.NumRows(), page.Size())
			}
			lib.Release(page)
		}
		_ = pages.Close()
	}
}
