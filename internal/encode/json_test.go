package encode_test

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/encode"
	"github.com/lakeward/lakeward/internal/vector"
)

// lines writes one chunk as JSON.
func lines(t *testing.T, nulls bool, names []string, columns ...vector.Vector) string {
	t.Helper()
	var b bytes.Buffer
	w := encode.NewJSON(&b, names, nulls)
	if err := w.Write(&vector.Chunk{Len: columns[0].Len, Columns: columns}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if w.Rows() != int64(columns[0].Len) {
		t.Errorf("Rows() = %d, want %d", w.Rows(), columns[0].Len)
	}
	return b.String()
}

// nested is a list of texts, a map of numbers and an object with a null field.
func nested() []vector.Vector {
	text := lakeward.Field{Type: lakeward.TypeString}
	list, numbers := lakeward.Field{Type: lakeward.TypeArray, Item: &text}, lakeward.Field{Type: lakeward.TypeMap, Item: &lakeward.Field{Type: lakeward.TypeLong}}
	object := lakeward.Field{Type: lakeward.TypeObject, Fields: []lakeward.Field{{Name: "first", Type: lakeward.TypeString}, {Name: "born", Type: lakeward.TypeDate}}}
	out := make([]vector.Vector, 3)
	for i, f := range []lakeward.Field{list, numbers, object} {
		out[i].ResetTo(vector.ShapeOfField(f))
	}
	out[0].Fields[0].AppendString([]byte("home address 12"))
	out[0].Fields[0].AppendNull()
	out[1].Fields[0].AppendString([]byte("a\"b"))
	out[1].Fields[1].AppendInt(-7)
	out[2].Fields[0].AppendString([]byte("Ann"))
	out[2].Fields[1].AppendNull()
	for i := range out {
		out[i].AppendItems()
		out[i].AppendNull()
	}
	return out
}

// FMT-13, FMT-15: one object a line, keys in the order of the mapping, structure kept; null is there, or left out in
// files of datasets.
func TestJSONRows(t *testing.T) {
	var n, f, b vector.Vector
	n.Reset(vector.Int)
	f.Reset(vector.Float)
	b.Reset(vector.Bool)
	n.AppendInt(-7)
	n.AppendNull()
	f.AppendFloat(1e7)
	f.AppendFloat(math.NaN())
	b.AppendBool(true)
	b.AppendNull()
	for _, test := range []struct {
		name  string
		nulls bool
		names []string
		cols  []vector.Vector
		want  string
	}{
		{"order of the mapping, types unquoted", true, []string{"z", "a", "m", "b\"q"}, []vector.Vector{n, f, b, text("x", "")},
			`{"z":-7,"a":1.0E7,"m":true,"b\"q":"x"}` + "\n" + `{"z":null,"a":null,"m":null,"b\"q":""}` + "\n"},
		{"codes", true, []string{"k"}, []vector.Vector{dict("a\nb", " blanks stay ")}, `{"k":"a\nb"}` + "\n" + `{"k":" blanks stay "}` + "\n"},
		{"nested, nulls are there", true, []string{"l", "m", "o"}, nested(),
			`{"l":["home address 12",null],"m":{"a\"b":-7},"o":{"first":"Ann","born":null}}` + "\n" + `{"l":null,"m":null,"o":null}` + "\n"},
		{"nested, nulls are left out", false, []string{"l", "m", "o"}, nested(), `{"l":["home address 12",null],"m":{"a\"b":-7},"o":{"first":"Ann"}}` + "\n{}\n"},
		{"a member in the middle is left out", false, []string{"s", "n", "t"}, []vector.Vector{text("a", "b"), n, text("c", "d")}, `{"s":"a","n":-7,"t":"c"}` + "\n" + `{"s":"b","t":"d"}` + "\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := lines(t, test.nulls, test.names, test.cols...)
			if got != test.want {
				t.Errorf("got\n%swant\n%s", got, test.want)
			}
			for l := range strings.Lines(got) {
				if !json.Valid([]byte(l)) {
					t.Errorf("%q is no JSON", l)
				}
			}
		})
	}
}

// D12: nobody is an empty file; DLV-44: a row over 16 MiB fails.
func TestJSONLimits(t *testing.T) {
	var empty vector.Vector
	empty.Reset(vector.String)
	if got := lines(t, true, []string{"a"}, empty); got != "" {
		t.Errorf("no rows gave %q", got)
	}
	huge := text(strings.Repeat("x", 16<<20))
	err := encode.NewJSON(&bytes.Buffer{}, []string{"a"}, true).Write(&vector.Chunk{Len: 1, Columns: []vector.Vector{huge}})
	if lakeward.CodeOf(err) != lakeward.FailRow {
		t.Errorf("a row of 16 MiB: %v", err)
	}
}

// Codes that repeat over chunks, nulls among them, say what plain texts say.
func TestJSONDictionaries(t *testing.T) {
	d := dict("a", "b")
	d.AppendNull()
	d.AppendCode(1)
	plain := text("a", "b")
	plain.AppendNull()
	plain.AppendString([]byte("b"))
	for _, nulls := range []bool{true, false} {
		if got, want := lines(t, nulls, []string{"k"}, d), lines(t, nulls, []string{"k"}, plain); got != want {
			t.Errorf("codes give\n%s, texts\n%s", got, want)
		}
	}
}
