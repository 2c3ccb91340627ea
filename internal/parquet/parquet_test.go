package parquet_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	lib "github.com/parquet-go/parquet-go"

	"github.com/lakeward/lakeward/internal/parquet"
	"github.com/lakeward/lakeward/internal/vector"
)

func columns() []parquet.Column {
	return []parquet.Column{
		{Path: "number", Kind: vector.Int, Int32: true, Required: true},
		{Path: "person.name.first", Kind: vector.String},
		{Path: "person.name.last", Kind: vector.String},
		{Path: "person.born", Kind: vector.Date},
		{Path: "seen", Kind: vector.Time},
		{Path: "score", Kind: vector.Float},
		{Path: "points", Kind: vector.Int},
		{Path: "vip", Kind: vector.Bool},
	}
}

// fill makes row r of every column; about a fifth of the values are null, in some stretches of rows none or all.
func fill(c *vector.Chunk, r int) {
	null := func(rnd *rand.Rand) bool { return rnd.IntN(5) == 0 }
	switch r / 9000 % 4 {
	case 1:
		null = func(*rand.Rand) bool { return false }
	case 3:
		null = func(*rand.Rand) bool { return true }
	}
	rnd := rand.New(rand.NewPCG(7, uint64(r)))
	c.Columns[0].AppendInt(int64(r))
	for i := 1; i < len(c.Columns); i++ {
		v := &c.Columns[i]
		if null(rnd) {
			v.AppendNull()
			continue
		}
		switch {
		case i == 1:
			v.AppendString(fmt.Appendf(nil, "name-%d", rnd.IntN(50)))
		case i == 2:
			v.AppendString(fmt.Appendf(nil, "last-%d", rnd.IntN(1e9)))
		case v.Kind == vector.Float:
			v.AppendFloat(rnd.NormFloat64())
		case v.Kind == vector.Bool:
			v.AppendBool(rnd.IntN(2) == 0)
		case v.Kind == vector.Date:
			v.AppendInt(int64(rnd.IntN(40000) - 20000))
		default:
			v.AppendInt(rnd.Int64())
		}
	}
	c.Len++
}

func newChunk() *vector.Chunk {
	c := &vector.Chunk{Columns: make([]vector.Vector, len(columns()))}
	for i, col := range columns() {
		c.Columns[i].Reset(col.Kind)
	}
	return c
}

func write(t *testing.T, rows, chunk int) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewWriter(&b, columns())
	for r := 0; r < rows; {
		c := newChunk()
		for ; c.Len < chunk && r < rows; r++ {
			fill(c, r)
		}
		if err := w.Write(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func equal(a, b *vector.Vector, i, j int) bool {
	if a.IsNull(i) || b.IsNull(j) {
		return a.IsNull(i) && b.IsNull(j)
	}
	switch a.Kind {
	case vector.String:
		return bytes.Equal(a.Str(i), b.Str(j))
	case vector.Float:
		return math.Float64bits(a.Floats[i]) == math.Float64bits(b.Floats[j])
	case vector.Bool:
		return a.Bools.Get(i) == b.Bools.Get(j)
	}
	return a.Ints[i] == b.Ints[j]
}

func TestWrittenRowsComeBack(t *testing.T) {
	for _, test := range []struct {
		name        string
		rows, chunk int
		step        int // every step-th row is read
		gap         int // of so many rows every third is left out, if not 0
	}{
		{name: "empty file", rows: 0, chunk: 1, step: 1},
		{name: "one row", rows: 1, chunk: 1, step: 1},
		{name: "page border", rows: 8193, chunk: 4096, step: 1},
		{name: "odd chunks", rows: 20000, chunk: 777, step: 1},
		{name: "two row groups", rows: 140000, chunk: 4096, step: 1},
		{name: "runs of rows", rows: 60000, chunk: 4096, step: 1, gap: 37},
		{name: "long runs of rows", rows: 140000, chunk: 4096, step: 1, gap: 10_007},
		{name: "scattered rows skip pages", rows: 140000, chunk: 4096, step: 9001},
	} {
		t.Run(test.name, func(t *testing.T) {
			data := write(t, test.rows, test.chunk)
			f, err := parquet.Open(bytes.NewReader(data), int64(len(data)))
			if err != nil {
				t.Fatal(err)
			}
			if f.Rows() != int64(test.rows) {
				t.Fatalf("Rows() = %d, want %d", f.Rows(), test.rows)
			}
			var paths []string
			var kinds []vector.Kind
			for _, c := range columns() {
				paths, kinds = append(paths, c.Path), append(kinds, c.Kind)
			}
			r, err := f.Reader(append(paths, "not.there"), append(kinds, vector.String))
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			out := make([]vector.Vector, len(paths)+1)
			var rows []int64
			for row := 0; row < test.rows; row += test.step {
				if test.gap == 0 || row/test.gap%3 != 1 {
					rows = append(rows, int64(row))
				}
				if len(rows) < 4096 && row+test.step < test.rows {
					continue
				}
				if err := r.Gather(rows, out); err != nil {
					t.Fatal(err)
				}
				for i, got := range rows {
					want := newChunk()
					fill(want, int(got))
					for c := range want.Columns {
						if !equal(&out[c], &want.Columns[c], i, 0) {
							t.Fatalf("row %d, column %s differs", got, paths[c])
						}
					}
					if !out[len(paths)].IsNull(i) {
						t.Fatalf("row %d: a column that the file lacks is not null", got)
					}
				}
				rows = rows[:0]
			}
		})
	}
}

func TestEqualRowsGiveEqualBytes(t *testing.T) {
	if !bytes.Equal(write(t, 30000, 4096), write(t, 30000, 100)) {
		t.Error("the size of the chunks changes the bytes of the file")
	}
}

// The library's own row reader must see what we wrote.
func TestLibraryReadsOurFiles(t *testing.T) {
	data := write(t, 10000, 4096)
	type row struct {
		Number int32 `parquet:"number"`
		Person struct {
			Name struct {
				First *string `parquet:"first,optional"`
			} `parquet:"name"`
		} `parquet:"person"`
		VIP *bool `parquet:"vip,optional"`
	}
	rows, err := lib.Read[row](bytes.NewReader(data), int64(len(data)))
	if err != nil || len(rows) != 10000 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for i, r := range rows {
		want := newChunk()
		fill(want, i)
		if got := r.Person.Name.First; (got == nil) != want.Columns[1].IsNull(0) || got != nil && *got != string(want.Columns[1].Str(0)) {
			t.Fatalf("row %d: first name differs", i)
		}
		if got := r.VIP; (got == nil) != want.Columns[7].IsNull(0) || got != nil && *got != want.Columns[7].Bools.Get(0) {
			t.Fatalf("row %d: vip differs", i)
		}
	}
}

func TestRLEBooleansAreRefused(t *testing.T) {
	var b bytes.Buffer
	schema := lib.NewSchema("s", lib.Group{"b": lib.Encoded(lib.Leaf(lib.BooleanType), &lib.RLE)})
	w := lib.NewWriter(&b, schema, lib.DataPageVersion(2))
	if _, err := w.WriteRows([]lib.Row{{lib.BooleanValue(true).Level(0, 0, 0)}, {lib.BooleanValue(false).Level(0, 0, 0)}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := parquet.Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Reader([]string{"b"}, []vector.Kind{vector.Bool}); err == nil {
		t.Error("a column of RLE booleans was read; the library misreads it")
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte("PAR1PAR1"))
	f.Fuzz(func(t *testing.T, data []byte) {
		pf, err := parquet.Open(bytes.NewReader(data), int64(len(data)))
		if err == nil && pf.Rows() < 0 {
			t.Error("a negative number of rows")
		}
	})
}
