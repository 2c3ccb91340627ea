package warehouse

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"testing"
	"testing/synctest"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward/internal/parquet"
	"github.com/lakeward/lakeward/internal/vector"
)

func testTable(t *testing.T, columns []parquet.Column) (*Warehouse, *tableWriter) {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	w := &Warehouse{root: root, proven: map[string]*proof{}}
	out, err := w.create("profiles/x.parquet", columns)
	if err != nil {
		t.Fatal(err)
	}
	return w, out
}

// An error of what is written beside the caller reaches him, at a row or at the end, and nothing goes on behind his back.
func TestErrorOfAWriterBeside(t *testing.T) {
	for _, rows := range []int{1, 3 * vector.MaxRows, 1 << 18} {
		t.Run(fmt.Sprint(rows), func(t *testing.T) {
			w, out := testTable(t, identityColumns())
			if err := out.file.Close(); err != nil { // every write fails from here on
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) { // fails if a goroutine is left
				c := newTableChunk(out, identityColumns())
				var err error
				added := 0
				for ; added < rows && err == nil; added++ {
					err = c.addIdentity(uint32(added), "N", []byte("v"), true, "d")
				}
				if err != nil && added > 1<<17+3*vector.MaxRows {
					t.Errorf("%d rows were taken before the error", added)
				}
				if err == nil {
					err = c.end()
				}
				if err == nil { // so few rows are written at the end of the file
					_, err = w.finish(out)
				}
				c.stop()
				if !errors.Is(err, fs.ErrClosed) {
					t.Errorf("the error is %v", err)
				}
			})
		})
	}
}

// Texts that stand in many rows are what they were, whether they are kept as codes or are too many.
func TestNames(t *testing.T) {
	columns := identityColumns()
	w, out := testTable(t, columns)
	c := newTableChunk(out, columns)
	const rows = 3 * vector.MaxRows
	namespace := func(i int) string { return fmt.Sprint("N", i*i/rows) }
	source := func(i int) string { return fmt.Sprint("S", i/100%3*(i/vector.MaxRows)) }
	for i := range rows {
		if err := c.addIdentity(uint32(i), namespace(i), []byte("v"), i%2 == 0, source(i)); err != nil {
			t.Fatal(err)
		}
	}
	err := c.end()
	if err != nil {
		t.Fatal(err)
	}
	if len(c.names[1].codes) != maxNames {
		t.Errorf("%d names have codes", len(c.names[1].codes))
	}
	data, err := w.finish(out)
	if err != nil {
		t.Fatal(err)
	}
	table, err := w.open(data)
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	r, err := table.ReaderOf(columns)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cols := make([]vector.Vector, len(columns))
	for i := range rows {
		if err := r.Gather([]int64{int64(i)}, cols); err != nil {
			t.Fatal(err)
		}
		if ns, s := string(cols[1].Str(0)), string(cols[4].Str(0)); ns != namespace(i) || s != source(i) {
			t.Fatalf("row %d: %s %s, want %s %s", i, ns, s, namespace(i), source(i))
		}
	}
}

// Files that cannot be ended beside the next records fail whatever needs them, and are gone.
func TestErrorOfFilesThatEndBeside(t *testing.T) {
	for name, need := range map[string]func(*profileWriter) error{
		"more profiles": func(p *profileWriter) error { return p.write(t.Context(), &merger{p: p}) },
		"the commit":    func(p *profileWriter) error { _, err := p.change(); return err },
		"a comparison":  func(p *profileWriter) error { return p.compare() },
	} {
		t.Run(name, func(t *testing.T) {
			w, out := testTable(t, identityColumns())
			if err := out.file.Close(); err != nil {
				t.Fatal(err)
			}
			p := newProfileWriter(w, &Snapshot{}, testIndex(t, t.TempDir()), Policy{})
			synctest.Test(t, func(t *testing.T) {
				p.ending.Start(func() error { return p.end([]*tableWriter{out}, roaring.BitmapOf(1), roaring.New()) })
				if err := need(p); !errors.Is(err, fs.ErrClosed) {
					t.Errorf("the error is %v", err)
				}
				p.discard()
			})
			if _, err := w.root.Stat(out.data.Path); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the file is still there: %v", err)
			}
			if len(p.written)+len(p.snap.Profiles) > 0 {
				t.Errorf("the writer says that it wrote %v", p.written)
			}
		})
	}
}
