package decode_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/decode"
	"github.com/lakeward/lakeward/internal/vector"
)

func leaves() []lakeward.Leaf {
	return []lakeward.Leaf{
		{Path: "id", Type: lakeward.TypeString, Identity: &lakeward.FieldIdentity{Namespace: "CRM", Primary: true}},
		{Path: "name", Type: lakeward.TypeString}, {Path: "age", Type: lakeward.TypeInteger}, {Path: "score", Type: lakeward.TypeDouble},
		{Path: "vip", Type: lakeward.TypeBoolean}, {Path: "born", Type: lakeward.TypeDate}, {Path: "seen", Type: lakeward.TypeDateTime},
	}
}

const header = "id,name,age,score,vip,born,seen\n"

func read(t *testing.T, text string) (rows []string, rejected []lakeward.RejectedRow) {
	t.Helper()
	c, err := decode.OpenCSV(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Bind(leaves(), nil); err != nil {
		t.Fatal(err)
	}
	for {
		chunk, err := c.Next()
		if errors.Is(err, io.EOF) {
			_, rejected = c.Rejected()
			return rows, rejected
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range chunk.Len {
			var cells []string
			for k := range chunk.Columns {
				cells = append(cells, cell(&chunk.Columns[k], i))
			}
			rows = append(rows, strings.Join(cells, " "))
		}
	}
}

func cell(v *vector.Vector, i int) string {
	switch {
	case v.IsNull(i):
		return "-"
	case v.Kind == vector.String:
		return string(v.Str(i))
	case v.Kind == vector.Float:
		return fmt.Sprint(v.Floats[i])
	case v.Kind == vector.Bool:
		return fmt.Sprint(v.Bools.Get(i))
	}
	return fmt.Sprint(v.Ints[i])
}

func TestRowsAreTypedAndCheckedStrictly(t *testing.T) {
	for _, test := range []struct{ name, text, want, reason string }{
		{"all types", "007,Ann,34,1.5,true,1970-01-02,1970-01-01T00:00:01.5Z", "007 Ann 34 1.5 true 1 1500", ""},
		{"empty fields are null", "1,,,,,,", "1 - - - - - -", ""},
		{"quotes, commas and line breaks", "\"1\",\"a \"\"b\"\",\nc\",,,,,", "1 a \"b\",\nc - - - - -", ""},
		{"not Latin", "1,Zoë 日本,,,,,", "1 Zoë 日本 - - - - -", ""},
		{"before 1970", "1,,,,,1969-12-31,", "1 - - - - -1 -", ""},
		{"time zone", "1,,,,,,1970-01-01T01:00:00+01:00", "1 - - - - - 0", ""},
		{"missing primary identity", ",x,,,,,", "", "the value is missing"},
		{"Z07 too few fields", "1,x", "", "it has 2 fields, the header has 7"},
		{"Z17 comma as decimal sign", `1,,,"1,5",,,`, "", "the value is not a number"},
		{"Z17 hexadecimal", "1,,,0x1F,,,", "", "the value is not a number"},
		{"Z17 infinite", "1,,,1e999,,,", "", "the value is not a number"},
		{"Z17 name of infinity", "1,,,Inf,,,", "", "the value is not a number"},
		{"Z17 blanks", "1,, 1 ,,,,", "", "the value is not a whole number"},
		{"32 bits", "1,,2147483648,,,,", "", "the value does not fit 32 bits"},
		{"M13 boolean", "1,,,,yes,,", "", "the value is neither true nor false"},
		{"H05 no such day", "1,,,,,2026-02-30,", "", "the value is not a day as YYYY-MM-DD"},
		{"Z04 not UTF-8", "1,\xff,,,,,", "", "the value is not UTF-8"},
		{"bare quote", "1,a\"b,,,,,", "", "a quote stands in the middle of a value that is not in quotes"},
		{"text behind a quote", "1,\"a\"b,,,,,", "", "text stands behind a closing quote"},
		{"Z05 CR LF inside quotes stays", "1,\"a\r\nb\",,,,,", "1 a\r\nb - - - - -", ""},
		{"Z05 row ended by CR LF", "1,a,,,,,\r", "1 a - - - - -", ""},
		{"Z05 quoted cell at the end of a CR LF row", "1,a,,,,,\"1970-01-01T00:00:00Z\"\r", "1 a - - - - 0", ""},
		{"quotes with nothing in them are an empty text", "1,\"\",\"\",,,,", "1  - - - - -", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			rows, rejected := read(t, header+"0,before,1,1.0,true,2000-01-01,\n"+test.text+"\n9,after,2,2.0,false,,\n")
			middle := rows[1 : len(rows)-1]
			if test.reason == "" {
				if len(rejected) > 0 || len(middle) != 1 || middle[0] != test.want {
					t.Fatalf("rows %q, rejected %v, want %q", middle, rejected, test.want)
				}
				return
			}
			if len(middle) != 0 || len(rejected) != 1 || rejected[0].Reason != test.reason || rejected[0].Line != 3 {
				t.Fatalf("rows %q, rejected %+v, want line 3: %s", middle, rejected, test.reason)
			}
			if rows[len(rows)-1] != "9 after 2 2 false - -" {
				t.Errorf("the row behind the rejected one is %q", rows[len(rows)-1])
			}
		})
	}
}

func TestUnusableFiles(t *testing.T) {
	for _, test := range []struct{ name, text, code string }{
		{"Z01 empty", "", "UPL-1001"},
		{"Z01 only a byte order mark", "\xef\xbb\xbf", "UPL-1001"},
		{"Z02 PNG", "\x89PNG\r\n\x1a\n\x00\x00", "UPL-1002"},
		{"Z02 gzip", "\x1f\x8b\x08", "UPL-1002"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := decode.OpenCSV(strings.NewReader(test.text)); lakeward.CodeOf(err) != test.code {
				t.Errorf("OpenCSV: %v, want %s", err, test.code)
			}
		})
	}
	if rows, _ := read(t, "\xef\xbb\xbf"+header); len(rows) != 0 {
		t.Errorf("a file with a header alone has %d rows", len(rows))
	}
}

// A quote too many takes the rows behind it with it: they are not left out as one row, whatever the limit is.
func TestQuoteOverRowsFailsTheFile(t *testing.T) {
	for _, test := range []struct {
		name, rows string
		fails      bool
	}{
		{"closed three rows on", "1,\"31\n2,32\n3,33\n4,\"34\"\n5,35\n", true},
		{"never closed", "1,\"31\n2,32", true},
		{"never closed, line feed", "1,\"31\n2,32\n", true},
		{"text behind a quote after a line break", "1,\"3\n1\"x\n2,32\n", true},
		{"one line", "1,\"31\"x\n2,32\n", false},
		{"the last line", "2,32\n1,\"31", false},
		{"the last line with a line feed", "2,32\n1,\"31\n", false},
		{"the last line, text behind a quote", "2,32\n1,\"31\"x", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := decode.OpenCSV(strings.NewReader("id,name\n" + test.rows))
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Bind(leaves(), nil); err != nil {
				t.Fatal(err)
			}
			_, err = c.Next()
			if n, _ := c.Rejected(); (lakeward.CodeOf(err) == "UPL-1007") != test.fails || !test.fails && (n != 1 || err != nil) {
				t.Errorf("%d rejected: %v", n, err)
			}
		})
	}
}

func TestBind(t *testing.T) {
	for _, test := range []struct {
		name, header string
		columns      map[string]string
		want         []string
	}{
		{"Z26 other order", "age,id", nil, nil},
		{"mapped column", "kunde,age", map[string]string{"kunde": "id"}, nil},
		{"Z26 unknown column", "id,agee", nil, []string{`column "agee" is no field of the schema`}},
		{"missing identity", "name", nil, []string{"the required field id has no column"}},
		{"two columns for a field", "id,id", nil, []string{"field id has two columns"}},
		{"mapping of a column that is not there", "id", map[string]string{"x": "age"}, []string{`the file has no column "x"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, err := decode.OpenCSV(strings.NewReader(test.header + "\n"))
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			if e, ok := errors.AsType[*lakeward.Error](c.Bind(leaves(), test.columns)); ok {
				for _, f := range e.Fields {
					got = append(got, f.Msg)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("Bind (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRowsBeyondOneChunk(t *testing.T) {
	var b strings.Builder
	b.WriteString(header)
	for i := range 10000 {
		fmt.Fprintf(&b, "%d,n,%d,,,,\n", i, i)
	}
	rows, rejected := read(t, b.String())
	if len(rows) != 10000 || len(rejected) != 0 || rows[9999] != "9999 n 9999 - - - -" {
		t.Errorf("%d rows, %v", len(rows), rejected)
	}
}

func TestEndlessRowIsRefused(t *testing.T) {
	c, err := decode.OpenCSV(io.MultiReader(strings.NewReader(header+`1,"`), &endless{}))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Bind(leaves(), nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Next(); lakeward.CodeOf(err) != "UPL-1007" {
		t.Errorf("Next: %v, want UPL-1007", err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func FuzzCSV(f *testing.F) {
	f.Add(header + "1,a,1,1.5,true,2020-01-01,2020-01-01T00:00:00Z\n")
	f.Add("id\n\"")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := decode.OpenCSV(strings.NewReader(text))
		if err != nil || c.Bind(leaves(), nil) != nil {
			return
		}
		for {
			chunk, err := c.Next()
			if err != nil {
				return
			}
			for i := range chunk.Columns {
				if chunk.Columns[i].Len != chunk.Len {
					t.Fatalf("column %d has %d values in a chunk of %d rows", i, chunk.Columns[i].Len, chunk.Len)
				}
			}
		}
	})
}
