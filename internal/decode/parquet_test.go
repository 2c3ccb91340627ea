package decode

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	lib "github.com/parquet-go/parquet-go"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/parquet"
	"github.com/lakeward/lakeward/internal/vector"
)

// parquetFile writes rows of NDJSON as a Parquet file of the given fields.
func parquetFile(t testing.TB, leaves []lakeward.Leaf, text string) []byte {
	t.Helper()
	rows, err := Open(strings.NewReader(text), leaves, nil)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	w := parquet.NewWriter(&b, parquet.ColumnsOf(leaves))
	for {
		c, err := rows.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = w.Write(c)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if n, examples := rows.Rejected(); n > 0 {
		t.Fatal(examples)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// loose are the fields without what makes a value needed, as other writers know them.
func loose(leaves []lakeward.Leaf) []lakeward.Leaf {
	out := slices.Clone(leaves)
	for i := range out {
		out[i].Identity, out[i].Required = nil, false
	}
	return out
}

// Rows that the schema cannot take are left out by row and field; the others come as they are.
func TestParquetRowsAreChecked(t *testing.T) {
	text := `{"id":"1","tags":["a"]}
{"tags":["b"]}
{"id":"","tags":["c"]}
{"id":"` + strings.Repeat("x", 1025) + `"}
{"id":"5","prefs":{"k":"v"},"shop":{"orders":[{"price":1,"lines":[{"sku":"s"}]}]}}
`
	data := parquetFile(t, loose(nestedLeaves()), text)
	r, err := OpenParquet(bytes.NewReader(data), int64(len(data)), nestedLeaves(), nil)
	if err != nil {
		t.Fatal(err)
	}
	rows, rejects := readAll(t, r)
	if want := []string{`1|["a"]|-|-`, `5|-|{"k":"v"}|[{"price":1.00,"lines":[{"sku":"s"}]}]`}; !slices.Equal(rows, want) {
		t.Errorf("rows %q, want %q", rows, want)
	}
	if want := []string{"id the value is missing", "id the value is missing", "id the identity is longer than 1,024 bytes"}; !slices.Equal(rejects, want) {
		t.Errorf("rejected %q, want %q", rejects, want)
	}
	if n, examples := r.Rejected(); n != 3 || examples[0].Line != 2 || r.Rows() != 5 {
		t.Errorf("%d rejected of %d, the first in row %d", n, r.Rows(), examples[0].Line)
	}
}

// Columns have other names by --column; what is no field, or is missing and needed, is told.
func TestParquetColumns(t *testing.T) {
	written := loose([]lakeward.Leaf{{Path: "customer.no", Type: lakeward.TypeString}, {Path: "tags", Type: lakeward.TypeArray, Item: &lakeward.Field{Type: lakeward.TypeString}}})
	data := parquetFile(t, written, `{"customer":{"no":"7"},"tags":["a"]}`)
	open := func(columns map[string]string) (Rows, error) {
		return OpenParquet(bytes.NewReader(data), int64(len(data)), nestedLeaves(), columns)
	}
	r, err := open(map[string]string{"customer.no": "id"})
	if err != nil {
		t.Fatal(err)
	}
	if rows, _ := readAll(t, r); len(rows) != 1 || rows[0] != `7|["a"]|-|-` {
		t.Errorf("rows %q", rows)
	}
	for name, test := range map[string]struct {
		columns map[string]string
		text    string
	}{
		"unknown column":   {nil, `column "customer.no" is no field of the schema`},
		"needed field":     {nil, "the required field id has no column"},
		"unknown field":    {map[string]string{"customer.no": "nobody"}, `"nobody" is no field of the schema`},
		"no such column":   {map[string]string{"customer.nr": "id"}, `the file has no column "customer.nr"`},
		"a list as a text": {map[string]string{"tags": "id", "customer.no": "shop.orders"}, "column tags holds a list or a map, the field text"},
	} {
		if _, err := open(test.columns); err == nil || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: %v, want %q", name, err, test.text)
		}
	}
}

// A value wider than its field is refused with its row.
func TestParquetValuesThatDoNotFit(t *testing.T) {
	wide := []lakeward.Leaf{{Path: "n", Type: lakeward.TypeLong}, {Path: "s", Type: lakeward.TypeString}}
	data := parquetFile(t, wide, "{\"n\":2147483647}\n{\"n\":2147483648}\n{\"n\":-2147483649}\n")
	narrow := []lakeward.Leaf{{Path: "n", Type: lakeward.TypeInteger}, {Path: "s", Type: lakeward.TypeString}}
	r, err := OpenParquet(bytes.NewReader(data), int64(len(data)), narrow, nil)
	if err != nil {
		t.Fatal(err)
	}
	if rows, rejects := readAll(t, r); len(rows) != 1 || len(rejects) != 2 || rejects[0] != "n the value does not fit 32 bits" {
		t.Errorf("rows %q, rejected %q", rows, rejects)
	}
}

// A damaged file is refused or read; it never stops the program.
func FuzzParquet(f *testing.F) {
	data := parquetFile(f, loose(nestedLeaves()), `{"id":"1","tags":["a","b"],"prefs":{"k":"v"},"shop":{"orders":[{"price":1,"lines":[{"sku":"s","n":1}]}]}}
{"id":"2"}
{"id":"3","tags":[]}
`)
	f.Add(uint16(0), byte(0), data)
	f.Add(uint16(len(data)/2), byte(0xff), data)
	f.Add(uint16(10), byte(1), []byte("PAR1PAR1"))
	f.Fuzz(func(t *testing.T, at uint16, x byte, data []byte) {
		if len(data) > 1<<16 {
			return
		}
		data = bytes.Clone(data)
		if len(data) > 0 {
			data[int(at)%len(data)] ^= x
		}
		r, err := OpenParquet(bytes.NewReader(data), int64(len(data)), nestedLeaves(), nil)
		for err == nil {
			var c *vector.Chunk
			if c, err = r.Next(); err == nil {
				for i := range c.Columns {
					if c.Columns[i].Len != c.Len {
						t.Fatalf("column %d has %d values in a chunk of %d rows", i, c.Columns[i].Len, c.Len)
					}
				}
			}
		}
		if !errors.Is(err, io.EOF) && lakeward.KindOf(err) != lakeward.Invalid {
			t.Errorf("%v is not an error of the user", err)
		}
	})
}

// Rows whose long texts stand in a dictionary come in chunks of the usual size, as all that follows counts on.
func TestParquetTextsOfADictionaryAreCounted(t *testing.T) {
	leaves := []lakeward.Leaf{{Path: "tags", Type: lakeward.TypeArray, Item: &lakeward.Field{Type: lakeward.TypeString}}, {Path: "s", Type: lakeward.TypeString}}
	type row struct {
		Tags []string `parquet:"tags,list"`
		S    *string  `parquet:"s,optional,dict"`
	}
	long := strings.Repeat("x", 100_000)
	written := make([]row, 1000)
	for i := range written {
		if written[i].Tags = []string{strconv.Itoa(i)}; i%10 > 0 {
			written[i].S = &long
		}
	}
	var b bytes.Buffer
	w := lib.NewGenericWriter[row](&b)
	if _, err := w.Write(written); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := OpenParquet(bytes.NewReader(b.Bytes()), int64(b.Len()), leaves, nil)
	if err != nil {
		t.Fatal(err)
	}
	rows := 0
	for {
		c, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		size := 0
		for i := range c.Len {
			tags, s := &c.Columns[0], &c.Columns[1]
			from, to := tags.Items(i)
			if to != from+1 || string(tags.Fields[0].Str(from)) != strconv.Itoa(rows) || s.IsNull(i) != (rows%10 == 0) {
				t.Fatalf("row %d is another one", rows)
			}
			if size += len(s.Str(i)); !s.IsNull(i) && string(s.Str(i)) != long {
				t.Fatalf("row %d has another text", rows)
			}
			rows++
		}
		if size > maxChunkBytes+maxCell || c.Columns[1].Size() < size {
			t.Errorf("a chunk of %d rows has texts of %d bytes, and says %d", c.Len, size, c.Columns[1].Size())
		}
	}
	if rows != len(written) || r.Rows() != int64(rows) {
		t.Errorf("%d rows of %d", rows, r.Rows())
	}
}
