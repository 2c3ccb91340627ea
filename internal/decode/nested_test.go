package decode

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
)

func nestedLeaves() []lakeward.Leaf {
	text := lakeward.Field{Type: lakeward.TypeString}
	line := lakeward.Field{Type: lakeward.TypeObject, Fields: []lakeward.Field{
		{Name: "sku", Type: lakeward.TypeString, Required: true}, {Name: "n", Type: lakeward.TypeInteger}}}
	order := lakeward.Field{Type: lakeward.TypeObject, Fields: []lakeward.Field{
		{Name: "price", Type: lakeward.TypeDecimal, Scale: 2}, {Name: "lines", Type: lakeward.TypeArray, Item: &line}}}
	return []lakeward.Leaf{
		{Path: "id", Type: lakeward.TypeString, Identity: &lakeward.FieldIdentity{Namespace: "ECID", Primary: true}},
		{Path: "tags", Type: lakeward.TypeArray, Item: &text},
		{Path: "prefs", Type: lakeward.TypeMap, Item: &text},
		{Path: "shop.orders", Type: lakeward.TypeArray, Item: &order},
	}
}

// nestedShown writes a value as JSON.
func nestedShown(v *vector.Vector, i int) string {
	switch {
	case v.IsNull(i):
		return "null"
	case v.Kind == vector.String:
		b, _ := json.Marshal(string(v.Str(i)))
		return string(b)
	case v.Kind == vector.Decimal:
		return fmt.Sprintf("%.2f", float64(v.Ints[i])/100)
	case v.Kind == vector.Struct:
		var parts []string
		for f, name := range v.Names {
			if !v.Fields[f].IsNull(i) {
				parts = append(parts, fmt.Sprintf("%q:%s", name, nestedShown(&v.Fields[f], i)))
			}
		}
		return "{" + strings.Join(parts, ",") + "}"
	case v.Kind == vector.List || v.Kind == vector.Map:
		var parts []string
		from, to := v.Items(i)
		for k := from; k < to; k++ {
			part := nestedShown(&v.Fields[len(v.Fields)-1], k)
			if v.Kind == vector.Map {
				part = nestedShown(&v.Fields[0], k) + ":" + part
			}
			parts = append(parts, part)
		}
		if v.Kind == vector.Map {
			return "{" + strings.Join(parts, ",") + "}"
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	return fmt.Sprint(v.Ints[i])
}

// DAT-01: arrays, maps and objects in them are read as the schema says; what is wrong inside is told by its place, and a row
// that is refused leaves nothing behind.
func TestNDJSONNested(t *testing.T) {
	for _, test := range []struct{ name, line, want, reject string }{
		{"list of texts", `{"id":"1","tags":["a","","b"]}`, `1|["a","","b"]|-|-`, ""},
		{"empty list is no null", `{"id":"1","tags":[],"prefs":{}}`, `1|[]|{}|-`, ""},
		{"null items", `{"id":"1","tags":[null],"prefs":{"k":null}}`, `1|[null]|{"k":null}|-`, ""},
		{"null list", `{"id":"1","tags":null}`, `1|-|-|-`, ""},
		{"objects in lists", `{"id":"1","shop":{"orders":[{"price":1.5,"lines":[{"sku":"x","n":2},{"n":1,"sku":"y"}]},{},null]}}`,
			`1|-|-|[{"price":1.50,"lines":[{"sku":"x","n":2},{"sku":"y","n":1}]},{},null]`, ""},
		{"escapes in keys and items", `{"id":"1","tags":["a\"\u00fc"],"prefs":{"\u00e9":"\n"}}`, `1|["a\"ü"]|{"é":"\n"}|-`, ""},
		{"a value for a list", `{"id":"1","tags":"a"}`, "", "tags the value is no array"},
		{"an object for a list", `{"id":"1","tags":{"a":1}}`, "", "tags the value is not of type array"},
		{"a list for a text", `{"id":"1","tags":["a",["b"]]}`, "", "tags[1] the value is not of type string"},
		{"a number among texts", `{"id":"1","tags":["a",1]}`, "", "tags[1] the value is not text in quotes"},
		{"a required field is missing", `{"id":"1","shop":{"orders":[{"lines":[{"n":1}]}]}}`, "", "shop.orders[0].lines[0].sku the value is missing"},
		{"an unknown field inside", `{"id":"1","shop":{"orders":[{"prize":1}]}}`, "", `shop.orders[0]."prize" it is no field of the schema`},
		{"a field twice inside", `{"id":"1","shop":{"orders":[{"price":1,"price":2}]}}`, "", "shop.orders[0].price the field stands twice"},
		{"a key twice", `{"id":"1","prefs":{"a":"1","a":"2"}}`, "", "prefs a key stands twice"},
		{"the list twice", `{"id":"1","tags":["a"],"tags":["b"]}`, "", "tags the field stands twice"},
		{"too many digits", `{"id":"1","shop":{"orders":[{"price":1.005}]}}`, "", "shop.orders[0].price the value has more than 2 digits behind the point"},
		{"a decimal in digits", `{"id":"1","shop":{"orders":[{"price":1e3}]}}`, "", "shop.orders[0].price the value is not a decimal number"},
		{"cut in a list", `{"id":"1","tags":["a"`, "", "it is no JSON: expected , or ] at character 22"},
		{"a comma too many", `{"id":"1","tags":["a",]}`, "", "it is no JSON: expected a value at character 23"},
		{"broken behind a list", `{"id":"1","tags":["a","b"],"prefs":{"k":"v"},"id2":1}`, "", `"id2" it is no field of the schema (did you mean id?)`},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, err := Open(strings.NewReader("{\"id\":\"first\",\"tags\":[\"t\"]}\n"+test.line+"\n{\"id\":\"last\",\"prefs\":{\"p\":\"q\"}}"), nestedLeaves(), nil)
			if err != nil {
				t.Fatal(err)
			}
			rows, rejects := readAll(t, r)
			want := []string{`first|["t"]|-|-`}
			if test.want != "" {
				want = append(want, test.want)
			}
			want = append(want, `last|-|{"p":"q"}|-`)
			if got := strings.Join(rows, "\n"); got != strings.Join(want, "\n") {
				t.Errorf("rows:\n%s\nwant\n%s", got, strings.Join(want, "\n"))
			}
			if got := strings.Join(rejects, "; "); got != test.reject {
				t.Errorf("rejected: %s, want %s", got, test.reject)
			}
		})
	}
}

func TestCSVHasNoLists(t *testing.T) {
	_, err := Open(strings.NewReader("id,tags\n1,a\n"), nestedLeaves(), nil)
	if lakeward.CodeOf(err) != "UPL-1005" || !strings.Contains(err.Error(), "field tags is of type array, which a CSV column cannot hold") {
		t.Errorf("%v", err)
	}
	r, err := Open(strings.NewReader("id\n1\n"), nestedLeaves(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if rows, _ := readAll(t, r); len(rows) != 1 || rows[0] != "1|-|-|-" {
		t.Errorf("rows %v", rows)
	}
}

// Decimals are read exactly or refused.
func TestDecimal(t *testing.T) {
	for _, test := range []struct {
		text   string
		scale  uint8
		want   int64
		reject bool
	}{
		{"0", 2, 0, false}, {"-0", 2, 0, false}, {"1.5", 2, 150, false}, {"-1.50", 2, -150, false}, {"1.500", 2, 150, false}, {".5", 2, 0, true}, {"5.", 2, 0, true},
		{"0.005", 2, 0, true}, {"1e2", 2, 0, true}, {"+1", 2, 0, true}, {"", 2, 0, true}, {"-", 2, 0, true}, {"--1", 2, 0, true}, {"1,5", 2, 0, true},
		{"9999999999999999.99", 2, 999999999999999999, false}, {"10000000000000000.00", 2, 0, true}, {"000000000000000000000001", 0, 1, false},
	} {
		got, reason := parseDecimal(test.text, test.scale)
		if (reason != "") != test.reject || !test.reject && got != test.want {
			t.Errorf("parseDecimal(%q, %d) = %d, %q; want %d, refused %v", test.text, test.scale, got, reason, test.want, test.reject)
		}
	}
}
