package decode

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
)

func jsonLeaves() []lakeward.Leaf {
	return []lakeward.Leaf{{Path: "id", Type: lakeward.TypeString, Identity: &lakeward.FieldIdentity{Namespace: "CRM", Primary: true}}, {Path: "home.city", Type: lakeward.TypeString},
		{Path: "age", Type: lakeward.TypeInteger}, {Path: "score", Type: lakeward.TypeDouble}, {Path: "vip", Type: lakeward.TypeBoolean}, {Path: "born", Type: lakeward.TypeDate}}
}

// readAll returns the rows as texts, null as -, and the reports of those that were rejected.
func readAll(t *testing.T, r Rows) (rows, rejects []string) {
	t.Helper()
	for {
		c, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range c.Len {
			var cells []string
			for k := range c.Columns {
				cells = append(cells, shown(&c.Columns[k], i))
			}
			rows = append(rows, strings.Join(cells, "|"))
		}
	}
	_, list := r.Rejected()
	for _, x := range list {
		rejects = append(rejects, strings.TrimSpace(x.Field+" "+x.Reason))
	}
	return rows, rejects
}

func shown(v *vector.Vector, i int) string {
	if v.IsNull(i) {
		return "-"
	}
	var x any
	switch v.Kind {
	case vector.List, vector.Map, vector.Struct:
		return nestedShown(v, i)
	case vector.String:
		return string(v.Str(i))
	case vector.Float:
		x = v.Floats[i]
	case vector.Bool:
		x = v.Bools.Get(i)
	default:
		x = v.Ints[i]
	}
	b, _ := json.Marshal(x)
	return string(b)
}

// One object a line: groups, escapes, nulls and numbers as JSON has them; what is wrong is told by line and field.
func TestNDJSON(t *testing.T) {
	for _, test := range []struct{ name, line, want, reject string }{
		{"all fields", `{"id":"1","home":{"city":"Bern"},"age":34,"score":7.5,"vip":true,"born":"1991-11-26"}`, "1|Bern|34|7.5|true|7999", ""},
		{"any order and blanks", " { \"age\" : 34 , \"id\" : \"1\" } ", "1|-|34|-|-|-", ""},
		{"nulls and empty objects", `{"id":"1","home":{},"age":null}`, "1|-|-|-|-|-", ""},
		{"escapes", `{"id":"1","home":{"city":"a\"\\\/\b\f\n\r\t\u00fc\ud83d\ude00"}}`, "1|a\"\\/\b\f\n\r\tü😀|-|-|-|-", ""},
		{"an empty text is no null", `{"id":"1","home":{"city":""}}`, "1||-|-|-|-", ""},
		{"numbers", `{"id":"1","age":-0,"score":-1.5e3}`, "1|-|0|-1500|-|-", ""},
		{"a path as key", `{"id":"1","home.city":"Bern"}`, "1|Bern|-|-|-|-", ""},
		{"no identity", `{"age":1}`, "", "id the value is missing"},
		{"null identity", `{"id":null}`, "", "id the value is missing"},
		{"unknown field", `{"id":"1","aeg":1}`, "", `"aeg" it is no field of the schema (did you mean age?)`},
		{"twice", `{"id":"1","age":1,"age":2}`, "", "age the field stands twice"},
		{"a list", `{"id":"1","home":{"city":["x"]}}`, "", `"home.city" the value is a list, the field none`},
		{"an object for a value", `{"id":"1","age":{"x":1}}`, "", `"age.x" it is no field of the schema (did you mean age?)`},
		{"a number in quotes", `{"id":"1","age":"34"}`, "", "age the value stands in quotes; a number or a boolean does not"},
		{"a number for text", `{"id":1}`, "", "id the value is not text in quotes"},
		{"a fraction for an integer", `{"id":"1","age":1.5}`, "", "age the value is not a whole number"},
		{"a number for a boolean", `{"id":"1","vip":1}`, "", "vip the value is neither true nor false"},
		{"a boolean for a number", `{"id":"1","age":true}`, "", "age the value is not a number"},
		{"no day", `{"id":"1","born":"1991-02-30"}`, "", "born the value is not a day as YYYY-MM-DD"},
		{"two objects", `{"id":"1"} {"id":"2"}`, "", "something follows the object; each line holds one object"},
		{"NUL between objects", "{\"id\":\"1\"}\x00{\"id\":\"2\"}", "", "something follows the object; each line holds one object"},
		{"an empty key", `{"":{"id":"1"}}`, "", `".id" it is no field of the schema (did you mean id?)`},
		{"no object", `["id"]`, "", "the line is no JSON object"},
		{"cut", `{"id":"1"`, "", "it is no JSON: expected , or } at character 10"},
		{"open text", `{"id":"1`, "", "it is no JSON: a text has no closing quote at character 9"},
		{"leading zero", `{"id":"1","age":01}`, "", "it is no JSON: a number is not complete at character 19"},
		{"bare point", `{"id":"1","score":1.}`, "", "it is no JSON: a number is not complete at character 21"},
		{"half a character", `{"id":"\ud83d"}`, "", "it is no JSON: half a character is escaped at character 14"},
		{"NUL", `{"id":"a\u0000"}`, "", "id the value holds a NUL character"},
		{"deep", strings.Repeat(`{"a":`, 65) + "1" + strings.Repeat("}", 65), "", "objects are nested deeper than 64"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := Open(strings.NewReader("{\"id\":\"first\"}\n"+test.line+"\n\n{\"id\":\"last\"}"), jsonLeaves(), nil)
			if err != nil {
				t.Fatal(err)
			}
			rows, rejects := readAll(t, r)
			want := "first|-|-|-|-|-\n"
			if test.want != "" {
				want += test.want + "\n"
			}
			if got := strings.Join(rows, "\n"); got != want+"last|-|-|-|-|-" {
				t.Errorf("rows:\n%s", got)
			}
			if got := strings.Join(rejects, "; "); got != test.reject || (test.reject != "") != (r.Rows() == 3 && len(rows) == 2) {
				t.Errorf("rejected: %s", got)
			}
		})
	}
}

func TestNDJSONColumns(t *testing.T) {
	r, err := Open(strings.NewReader(`{"customer":{"no":"7"},"age":3}`), jsonLeaves(), map[string]string{"customer.no": "id"})
	if err != nil {
		t.Fatal(err)
	}
	if rows, rejects := readAll(t, r); len(rows) != 1 || rows[0] != "7|-|3|-|-|-" {
		t.Errorf("rows %v, rejected %v", rows, rejects)
	}
	for range 20 { // two fields change their names, in whatever order
		if r, err = Open(strings.NewReader(`{"id":"Bern","home.city":"1"}`), jsonLeaves(), map[string]string{"id": "home.city", "home.city": "id"}); err != nil {
			t.Fatal(err)
		}
		if rows, _ := readAll(t, r); len(rows) != 1 || rows[0] != "1|Bern|-|-|-|-" {
			t.Fatalf("rows %v", rows)
		}
	}
	for _, columns := range []map[string]string{{"x": "nowhere"}, {"age": "id"}, {"x": "id", "y": "id"}} {
		if _, err := Open(strings.NewReader(`{"id":"1"}`), jsonLeaves(), columns); lakeward.CodeOf(err) != "UPL-1005" {
			t.Errorf("columns %v: %v", columns, err)
		}
	}
}

// C15: packed files of one member are read; bombs, cut and doubled ones are refused.
func TestPackedUploads(t *testing.T) {
	pack := func(text string, zst bool) string {
		var b bytes.Buffer
		var w io.WriteCloser = gzip.NewWriter(&b)
		if zst {
			z, err := zstd.NewWriter(&b)
			if err != nil {
				t.Fatal(err)
			}
			w = z
		}
		if _, err := io.WriteString(w, text); err != nil || w.Close() != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	read := func(file string) (int, error) {
		r, err := Open(strings.NewReader(file), jsonLeaves(), nil)
		for err == nil {
			_, err = r.Next()
		}
		if errors.Is(err, io.EOF) {
			return int(r.Rows()), nil
		}
		return 0, err
	}
	lines := strings.Repeat("{\"id\":\"1\",\"age\":3}\n", 1000)
	var distinct []string
	for i := range 60_000 {
		distinct = append(distinct, fmt.Sprintf("{\"id\":\"%d\",\"age\":%d}\n", i*7919, i))
	}
	for name, test := range map[string]struct {
		file string
		rows int
		code string
	}{
		"gzip of NDJSON":                   {pack(lines, false), 1000, ""},
		"zstd of NDJSON":                   {pack(lines, true), 1000, ""},
		"gzip of CSV":                      {pack("id,age\n1,2\n", false), 1, ""},
		"zstd of CSV":                      {pack("id,age\n1,2\n", true), 1, ""},
		"gzip in gzip":                     {pack(pack(lines, false), false), 0, "UPL-1002"},
		"a cut file":                       {pack(lines, false)[:60], 0, "UPL-1002"},
		"a cut zstd file":                  {pack(lines, true)[:30], 0, "UPL-1002"},
		"two members":                      {pack(lines, false) + pack(lines, false), 0, "UPL-1002"},
		"two zstd frames":                  {pack(lines, true) + pack(lines, true), 0, "UPL-1002"},
		"bytes behind a zstd frame":        {pack(lines, true) + "x", 0, "UPL-1002"},
		"many zstd blocks":                 {pack(strings.Join(distinct, ""), true), len(distinct), ""},
		"a zstd file without its checksum": {pack(lines, true)[:len(pack(lines, true))-4], 0, "UPL-1002"},
		"zstd that only begins so":         {"\x28\xb5\x2f\xfd\xffxxxxxxxxxxxxxx", 0, "UPL-1002"},
		"nothing, packed as zstd":          {pack("", true), 0, "UPL-1001"},
		"a bomb":                           {pack(strings.Repeat("{\"id\":\"1\",\"age\":3}\n", 1_000_000), false), 0, "UPL-1010"},
		"Parquet":                          {"PAR1\x15\x04", 0, "UPL-1002"},
		"nothing":                          {"", 0, "UPL-1001"},
		"nothing, packed":                  {pack("", false), 0, "UPL-1001"},
		"gzip that only begins so":         {"\x1f\x8bxxxxxxxxxxxxxx", 0, "UPL-1002"},
	} {
		t.Run(name, func(t *testing.T) {
			if rows, err := read(test.file); rows != test.rows || lakeward.CodeOf(err) != test.code {
				t.Errorf("%d rows, %v, want %d and code %q", rows, err, test.rows, test.code)
			}
		})
	}
}

// What the standard library takes for an object of these fields is read to the same values, and nothing else is.
func FuzzNDJSON(f *testing.F) {
	for _, s := range []string{`{"id":"1","age":-3,"home":{"city":"ü"}}`, `{"id":"\ud83d\ude00"}`, `{"id":"1","score":1e5,"vip":false}`, `{`, `{"a":01}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		if bytes.ContainsAny(line, "\n") {
			return
		}
		got := map[string]string{}
		o := &objectReader{}
		o.take = func(path []byte, v jsonValue) error {
			got[string(path)] = string(o.buf[v.start:v.end])
			return nil
		}
		err := o.read(line)
		var want map[string]any
		valid := json.Unmarshal(line, &want) == nil && want != nil
		if err == nil && !valid {
			t.Errorf("%q is taken and is no object", line)
		}
		if s, ok := want["id"].(string); err == nil && ok && !strings.Contains(string(line), `\u`) && got["id"] != s && bytes.Count(line, []byte("id")) == 1 {
			t.Errorf("%q gives id %q, want %q", line, got["id"], s)
		}
	})
}
