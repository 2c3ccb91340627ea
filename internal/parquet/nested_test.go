package parquet_test

import (
	"bytes"
	"fmt"
	"testing"

	lib "github.com/parquet-go/parquet-go"
	"pgregory.net/rapid"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/parquet"
	"github.com/lakeward/lakeward/internal/vector"
)

// drawField draws the type of a value, at most depth levels deep.
func drawField(t *rapid.T, name string, depth int) lakeward.Field {
	types := []lakeward.FieldType{lakeward.TypeString, lakeward.TypeLong, lakeward.TypeInteger, lakeward.TypeDouble, lakeward.TypeBoolean, lakeward.TypeDecimal, lakeward.TypeDate}
	if depth > 0 {
		types = append(types, lakeward.TypeArray, lakeward.TypeMap, lakeward.TypeArray, lakeward.TypeObject)
	}
	f := lakeward.Field{Name: name, Type: rapid.SampledFrom(types).Draw(t, "type"), Scale: 0}
	switch f.Type {
	case lakeward.TypeArray, lakeward.TypeMap:
		item := drawField(t, "", depth-1)
		f.Item = &item
	case lakeward.TypeObject:
		for i := range rapid.IntRange(1, 3).Draw(t, "fields") {
			f.Fields = append(f.Fields, drawField(t, fmt.Sprintf("f%d", i), depth-1))
		}
	}
	return f
}

// drawValue appends a value of the vector's shape.
func drawValue(t *rapid.T, v *vector.Vector, null bool) {
	if null && rapid.IntRange(0, 3).Draw(t, "null") == 0 {
		v.AppendNull()
		return
	}
	switch v.Kind {
	case vector.String:
		v.AppendString([]byte(rapid.SampledFrom([]string{"", "a", "b", "ü", "long text"}).Draw(t, "text")))
	case vector.Float:
		v.AppendFloat(float64(rapid.IntRange(-9, 9).Draw(t, "double")) / 4)
	case vector.Bool:
		v.AppendBool(rapid.Bool().Draw(t, "bool"))
	case vector.List, vector.Map:
		for range rapid.IntRange(0, 4).Draw(t, "items") {
			for f := range v.Fields {
				drawValue(t, &v.Fields[f], v.Kind == vector.List || f == 1)
			}
		}
		v.AppendItems()
	case vector.Struct:
		for f := range v.Fields {
			drawValue(t, &v.Fields[f], true)
		}
		v.AppendItems()
	default:
		v.AppendInt(int64(rapid.IntRange(-1000, 1000).Draw(t, "int")))
	}
}

// same compares values of one shape.
func same(a, b *vector.Vector, i, k int) bool {
	if a.IsNull(i) || b.IsNull(k) {
		return a.IsNull(i) && b.IsNull(k)
	}
	switch a.Kind {
	case vector.Struct:
		for f := range a.Fields {
			if !same(&a.Fields[f], &b.Fields[f], i, k) {
				return false
			}
		}
		return true
	case vector.List, vector.Map:
		from, to := a.Items(i)
		start, end := b.Items(k)
		if to-from != end-start {
			return false
		}
		for n := range to - from {
			for f := range a.Fields {
				if !same(&a.Fields[f], &b.Fields[f], from+n, start+n) {
					return false
				}
			}
		}
		return true
	}
	return equal(a, b, i, k)
}

// Lists, maps and objects of any depth come back as they were written, all rows and chosen ones; the library agrees
// that the file has these rows.
func TestNestedRowsComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		leaf := lakeward.Leaf{Path: "a.b"}
		f := drawField(t, "", 3)
		item := f
		leaf.Type, leaf.Item = rapid.SampledFrom([]lakeward.FieldType{lakeward.TypeArray, lakeward.TypeMap}).Draw(t, "top"), &item
		leaves := []lakeward.Leaf{{Path: "a.n", Type: lakeward.TypeLong}, leaf}
		rows := rapid.SampledFrom([]int{0, 1, 7, 300, 9000}).Draw(t, "rows")
		if rows > 300 {
			rows = 8192 + rapid.IntRange(0, 40).Draw(t, "more")
		}
		few := make([]vector.Vector, 2) // the values are drawn from a few, so that long files are cheap
		for i, l := range leaves {
			few[i].ResetTo(vector.ShapeOf(l))
			for range 12 {
				drawValue(t, &few[i], true)
			}
		}
		var b bytes.Buffer
		w := parquet.NewWriter(&b, parquet.ColumnsOf(leaves))
		for done := 0; done < rows; {
			c := &vector.Chunk{Columns: make([]vector.Vector, 2)}
			for i, l := range leaves {
				c.Columns[i].ResetTo(vector.ShapeOf(l))
			}
			for ; c.Len < vector.MaxRows && done < rows; done++ {
				for i := range leaves {
					c.Columns[i].AppendFrom(&few[i], pick(done))
				}
				c.Len++
			}
			if err := w.Write(c); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		file, err := parquet.Open(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			t.Fatal(err)
		}
		step := rapid.SampledFrom([]int{1, 1, 3, 5000}).Draw(t, "step")
		r, err := file.ReaderOf(parquet.ColumnsOf(leaves))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		out := make([]vector.Vector, 2)
		for from := 0; from < rows; from += 100 * step {
			var want []int64
			for row := from; row < rows && len(want) < 100; row += step {
				want = append(want, int64(row))
			}
			if err := r.Gather(want, out); err != nil {
				t.Fatal(err)
			}
			for i := range out {
				for k, row := range want {
					if !same(&out[i], &few[i], k, pick(int(row))) {
						t.Fatalf("row %d of column %d came back otherwise", row, i)
					}
				}
			}
		}
		pf, err := lib.OpenFile(bytes.NewReader(b.Bytes()), int64(b.Len()))
		if err != nil {
			t.Fatal(err)
		}
		read := 0
		for _, g := range pf.RowGroups() {
			lr := g.Rows()
			buf := make([]lib.Row, 64)
			for n, err := lr.ReadRows(buf); ; n, err = lr.ReadRows(buf) {
				read += n
				if err != nil || n == 0 {
					break
				}
			}
			_ = lr.Close()
		}
		if read != rows {
			t.Fatalf("the library reads %d rows, want %d", read, rows)
		}
	})
}

func pick(row int) int { return (row * 7) % 12 }
