package encode_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/encode"
	"github.com/lakeward/lakeward/internal/vector"
)

func one(t *testing.T, opt lakeward.CSVOptions, v vector.Vector) string {
	t.Helper()
	var b bytes.Buffer
	w, err := encode.NewCSV(&b, []string{"h"}, opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(&vector.Chunk{Len: v.Len, Columns: []vector.Vector{v}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(b.String(), "h\n")
}

func text(values ...string) vector.Vector {
	var v vector.Vector
	v.Reset(vector.String)
	for _, s := range values {
		v.AppendString([]byte(s))
	}
	return v
}

// dict is the same as codes into a dictionary.
func dict(values ...string) vector.Vector {
	v := vector.Vector{}
	v.Reset(vector.String)
	v.Dict = &vector.Dictionary{Offsets: []uint32{0}}
	for i, s := range values {
		v.Dict.Bytes = append(v.Dict.Bytes, s...)
		v.Dict.Offsets = append(v.Dict.Offsets, uint32(len(v.Dict.Bytes)))
		v.AppendCode(int32(i))
	}
	return v
}

// FMT-08, FMT-10a, E-11: trimming, quoting and escaping, for text and for dictionaries.
func TestText(t *testing.T) {
	back := lakeward.DefaultCSV()
	single := back
	single.Escape = "'"
	none := back
	none.Quote = ""
	for _, test := range []struct {
		name        string
		opt         lakeward.CSVOptions
		value, want string
	}{
		{"plain", back, "Anna", "Anna"},
		{"E-11 back slash", back, `Anna,"Doe,John"`, `"Anna,\"Doe,John\""`},
		{"FMT-08 back slash", back, `Test,"John",LastName`, `"Test,\"John\",LastName"`},
		{"FMT-08 single quote", single, `Test,"John",LastName`, `"Test,'"John'",LastName"`},
		{"FMT-07 no quote", none, `Anna,"Doe,John"`, `Anna,"Doe,John"`},
		{"back slash alone needs no quotes", back, `end\`, `end\`},
		{"back slash doubled inside quotes", back, `a\b,c`, `"a\\b,c"`},
		{"single quote inside quotes", single, `it's,so\`, `"it\'s,so\"`},
		{"line feed", back, "a\nb", "\"a\nb\""},
		{"carriage return", back, "a\rb", "\"a\rb\""},
		{"trimmed", back, " \t\r\na b\n ", "a b"},
		{"blanks only are empty", back, "  ", ""},
		{"no-break space stays", back, "\u00a0a\u2028", "\u00a0a\u2028"},
		{"the text null", back, "null", "null"},
		{"hash and single quote", back, "#'x", "#'x"},
		{"not Latin", back, "日本,語", `"日本,語"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := one(t, test.opt, text(test.value)); got != test.want+"\n" {
				t.Errorf("text %q is written %q, want %q", test.value, got, test.want+"\n")
			}
			if got := one(t, test.opt, dict(test.value)); got != test.want+"\n" {
				t.Errorf("entry %q is written %q, want %q", test.value, got, test.want+"\n")
			}
		})
	}
}

// C10, decision 13: what goes beyond the reference changes nothing else.
func TestCSVExtensions(t *testing.T) {
	on := func(change func(*lakeward.CSVOptions)) lakeward.CSVOptions {
		opt := lakeward.DefaultCSV()
		change(&opt)
		return opt
	}
	for _, test := range []struct {
		name string
		opt  lakeward.CSVOptions
		want string
	}{
		{"none", lakeward.DefaultCSV(), "a,n\n\"x\ny\",1\nnull,null\n,2\n"},
		{"header off", on(func(o *lakeward.CSVOptions) { o.HeaderOff = true }), "\"x\ny\",1\nnull,null\n,2\n"},
		{"byte order mark", on(func(o *lakeward.CSVOptions) { o.BOM = true }), "\ufeffa,n\n\"x\ny\",1\nnull,null\n,2\n"},
		{"CR LF", on(func(o *lakeward.CSVOptions) { o.CRLF = true }), "a,n\r\n\"x\ny\",1\r\nnull,null\r\n,2\r\n"},
		{"quote all, but null and empty", on(func(o *lakeward.CSVOptions) { o.QuoteAll = true }), "\"a\",\"n\"\n\"x\ny\",\"1\"\nnull,null\n,\"2\"\n"},
	} {
		a := text("x\ny")
		a.AppendNull()
		a.AppendString(nil)
		var n vector.Vector
		n.Reset(vector.Int)
		n.AppendInt(1)
		n.AppendNull()
		n.AppendInt(2)
		var b bytes.Buffer
		w, err := encode.NewCSV(&b, []string{"a", "n"}, test.opt)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.Write(&vector.Chunk{Len: 3, Columns: []vector.Vector{a, n}}), w.Close()); err != nil {
			t.Fatal(err)
		}
		if b.String() != test.want {
			t.Errorf("%s: %q, want %q", test.name, b.String(), test.want)
		}
	}
}

// FMT-09, FMT-12: null and empty follow their own option; what cannot be told apart is counted.
func TestNullAndEmpty(t *testing.T) {
	opt := lakeward.CSVOptions{Delimiter: "|", Quote: "", Escape: `\`, Empty: `""`, Null: "null"}
	v := text("", "x")
	v.AppendNull()
	if got, want := one(t, opt, v), "\"\"\nx\nnull\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	var n vector.Vector
	n.Reset(vector.Int)
	n.AppendInt(-7)
	n.AppendNull()
	if got, want := one(t, opt, n), "-7\nnull\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	var b bytes.Buffer
	w, err := encode.NewCSV(&b, []string{"h"}, opt)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(&vector.Chunk{Len: 3, Columns: []vector.Vector{text("a|b", "c", "d\ne")}}); err != nil {
		t.Fatal(err)
	}
	if w.Ambiguous() != 2 || w.Rows() != 3 {
		t.Errorf("%d ambiguous values in %d rows, want 2 in 3", w.Ambiguous(), w.Rows())
	}
}

// FMT-10a: doubles in Java's layout, dates, times and booleans.
func TestTypedValues(t *testing.T) {
	opt := lakeward.DefaultCSV()
	for value, want := range map[float64]string{1: "1.0", 0.001: "0.001", 1e7: "1.0E7", 1e-7: "1.0E-7", 1e21: "1.0E21", math.Copysign(0, -1): "-0.0", 0: "0.0", 9999999: "9999999.0",
		0.00099: "9.9E-4", 123456789.125: "1.23456789125E8", 1.5: "1.5", 100: "100.0", -2.5e-10: "-2.5E-10", math.MaxFloat64: "1.7976931348623157E308", 5e-324: "4.9E-324",
		math.Inf(1): "Infinity", math.Inf(-1): "-Infinity", 1e100: "1.0E100"} {
		var v vector.Vector
		v.Reset(vector.Float)
		v.AppendFloat(value)
		if got := one(t, opt, v); got != want+"\n" {
			t.Errorf("double %v is written %q, want %q", value, got, want)
		}
	}
	for _, test := range []struct {
		name string
		kind vector.Kind
		n    int64
		want string
	}{
		{"date", vector.Date, 0, "1970-01-01"}, {"date before 1970", vector.Date, -1, "1969-12-31"},
		{"time", vector.Time, 1704153599000, "2024-01-01T23:59:59.000Z"}, {"time with milliseconds", vector.Time, -1, "1969-12-31T23:59:59.999Z"},
	} {
		var v vector.Vector
		v.Reset(test.kind)
		v.AppendInt(test.n)
		if got := one(t, opt, v); got != test.want+"\n" {
			t.Errorf("%s is written %q, want %q", test.name, got, test.want)
		}
	}
	var v vector.Vector
	v.Reset(vector.Bool)
	v.AppendBool(true)
	v.AppendBool(false)
	if got := one(t, opt, v); got != "true\nfalse\n" {
		t.Errorf("booleans are written %q", got)
	}
	colon := opt
	colon.Delimiter = ":"
	var at vector.Vector
	at.Reset(vector.Time)
	at.AppendInt(0)
	if got := one(t, colon, at); got != "\"1970-01-01T00:00:00.000Z\"\n" {
		t.Errorf("a time that holds the delimiter is written %q", got)
	}
}

// FMT-04: the sample file of the connector, with the line feed after the last row that FMT-10a adds.
func TestSampleFile(t *testing.T) {
	var b bytes.Buffer
	w, err := encode.NewCSV(&b, []string{"person_name_firstName", "person_name_lastName", "person_gender", "person_birthYear", "personalEmail_address"}, lakeward.DefaultCSV())
	if err != nil {
		t.Fatal(err)
	}
	var years vector.Vector
	years.Reset(vector.Int)
	for _, y := range []int64{1922, 1926, 1903} {
		years.AppendInt(y)
	}
	chunk := &vector.Chunk{Len: 3, Columns: []vector.Vector{text("Kurt", "Harper", "George"), text("Vonnegut", "Lee", "Orwell"), dict("male", "female", "male"), years,
		text("kurt@vonnegut.com", "harper@lee.com", "george@orwell.com")}}
	if err := w.Write(chunk); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	want := "person_name_firstName,person_name_lastName,person_gender,person_birthYear,personalEmail_address\n" +
		"Kurt,Vonnegut,male,1922,kurt@vonnegut.com\nHarper,Lee,female,1926,harper@lee.com\nGeorge,Orwell,male,1903,george@orwell.com\n"
	if b.String() != want {
		t.Errorf("got %q", b.String())
	}
}

// FMT-12: what cannot be told apart is counted once for each row, whether its text came as an entry of a dictionary, and
// with which chunk that came, or not; entries of no row count nothing. Times hold a colon.
func TestCSVCountsAmbiguousValuesByRow(t *testing.T) {
	coded := dict("a,b", "c", "a,b", "a,b")
	coded.AppendNull()
	other := coded
	other.Codes, other.Len, other.Valid = []int32{1, 0}, 2, nil
	unused := coded
	unused.Codes, unused.Len, unused.Valid = []int32{1}, 1, nil
	long := dict("a,b", "c") // the first entry only behind the first rows that are rendered together
	long.Codes = append(slices.Repeat([]int32{1}, 1000), 0)
	long.Len, long.Valid = len(long.Codes), nil
	var at vector.Vector
	at.Reset(vector.Time)
	at.AppendInt(0)
	at.AppendNull()
	for _, test := range []struct {
		name      string
		delimiter string
		columns   []vector.Vector // one for each chunk
		want      int64
	}{
		{"texts", ",", []vector.Vector{text("a,b", "c", "a,b", "x\ny")}, 3},
		{"entries", ",", []vector.Vector{coded}, 3},
		{"an entry far behind", ",", []vector.Vector{long}, 1},
		{"entries in two chunks", ",", []vector.Vector{coded, other}, 4},
		{"entries behind another dictionary", ",", []vector.Vector{dict("c", "d"), coded, dict("c", "d", "e")}, 3},
		{"an entry of no row", ",", []vector.Vector{unused}, 0},
		{"times", ":", []vector.Vector{at}, 1},
		{"times, and another delimiter", ",", []vector.Vector{at}, 0},
	} {
		opt := lakeward.DefaultCSV()
		opt.Quote, opt.Delimiter = "", test.delimiter
		w, err := encode.NewCSV(io.Discard, []string{"h"}, opt)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range test.columns {
			if err := w.Write(&vector.Chunk{Len: v.Len, Columns: []vector.Vector{v}}); err != nil {
				t.Fatal(err)
			}
		}
		if got := w.Ambiguous(); got != test.want {
			t.Errorf("%s: %d are ambiguous, want %d", test.name, got, test.want)
		}
	}
}
