package lakeward_test

import (
	"strings"
	"testing"

	"github.com/lakeward/lakeward"
)

// B02, S09: schemas, custom fields too, and what is refused.
func TestSchema(t *testing.T) {
	const good = `{"type":"object","required":["ppid"],"properties":{"ppid":{"type":"string","identity":{"namespace":"ECID","primary":true}},
		"b":{"type":"object","properties":{"z":{"type":"number"},"a":{"type":"string","format":"date"}}},"n":{"type":"integer","xdmType":"int"},"m":{"type":"integer"}}}`
	for _, test := range []struct{ name, text, class, code string }{
		{"good", good, "record", ""},
		{"not JSON", "{", "record", "JSON-1002"},
		{"two values", good + "{}", "record", "JSON-1003"},
		{"array without items", `{"properties":{"a":{"type":"array"}}}`, "record", "SCHEMA-1003"},
		{"map of anything", `{"properties":{"a":{"type":"object","additionalProperties":true}}}`, "record", "SCHEMA-1003"},
		{"identity in a list", `{"properties":{"i":{"type":"string","identity":{"namespace":"ECID","primary":true}},"a":{"type":"array","items":{"type":"string","identity":{"namespace":"ECID"}}}}}`, "record", "SCHEMA-1004"},
		{"bad name in a list", `{"properties":{"i":{"type":"string","identity":{"namespace":"ECID","primary":true}},"a":{"type":"array","items":{"type":"object","properties":{"x-y":{"type":"string"}}}}}}`, "record", "SCHEMA-1002"},
		{"no type", `{"properties":{"a":{}}}`, "record", "SCHEMA-1003"},
		{"property twice", `{"properties":{"a":{"type":"string"},"a":{"type":"string"}}}`, "record", "JSON-1002"},
		{"no primary identity", `{"properties":{"a":{"type":"string"}}}`, "record", "SCHEMA-1005"},
		{"identity as a number", `{"properties":{"a":{"type":"integer","identity":{"namespace":"ECID","primary":true}}}}`, "record", "SCHEMA-1004"},
		{"unknown namespace", `{"properties":{"a":{"type":"string","identity":{"namespace":"X","primary":true}}}}`, "record", "SCHEMA-1004"},
		{"event without timestamp", good, "event", "SCHEMA-1006"},
		{"bad name", strings.Replace(good, `"n"`, `"n-1"`, 1), "record", "SCHEMA-1002"},
		{"unknown class", good, "thing", "SCHEMA-1001"},
	} {
		t.Run(test.name, func(t *testing.T) {
			fields, err := lakeward.ParseSchema([]byte(test.text), "")
			s := lakeward.Schema{Name: "s", Class: lakeward.SchemaClass(test.class), Profile: true, Fields: fields}
			if err == nil {
				err = s.Validate(lakeward.StandardNamespaces())
			}
			if lakeward.CodeOf(err) != test.code {
				t.Fatalf("%v, want code %q", err, test.code)
			}
			if err != nil {
				return
			}
			var paths []string
			for _, l := range s.Leaves() {
				paths = append(paths, l.Path+":"+string(l.Type))
			}
			if got, want := strings.Join(paths, " "), "ppid:string b.z:double b.a:date n:integer m:long"; got != want {
				t.Errorf("leaves %q, want %q: the order of the file", got, want)
			}
		})
	}
}

// PRF-01: the union keeps a path's first type; a clash is refused.
func TestUnion(t *testing.T) {
	field := func(name string, typ lakeward.FieldType) lakeward.Schema {
		return lakeward.Schema{Name: name, Class: lakeward.RecordClass, Profile: true, Fields: []lakeward.Field{{Name: name, Type: typ}}}
	}
	union := lakeward.UnionSchema([]lakeward.Schema{field("a", lakeward.TypeString), field("a", lakeward.TypeString), field("b", lakeward.TypeLong),
		{Name: "events", Class: lakeward.EventClass, Profile: true, Fields: []lakeward.Field{{Name: "e", Type: lakeward.TypeString}}}})
	if len(union) != 2 || union[0].Path != "a" || union[1].Path != "b" {
		t.Errorf("union %+v, want a and b", union)
	}
	if err := field("a", lakeward.TypeLong).CheckUnion(union); lakeward.CodeOf(err) != "SCHEMA-1007" {
		t.Errorf("another type: %v", err)
	}
	object := lakeward.Schema{Name: "o", Class: lakeward.RecordClass, Profile: true, Fields: []lakeward.Field{{Name: "a", Type: lakeward.TypeObject, Fields: []lakeward.Field{{Name: "x", Type: lakeward.TypeString}}}}}
	if err := object.CheckUnion(union); lakeward.CodeOf(err) != "SCHEMA-1007" {
		t.Errorf("an object where a scalar is: %v", err)
	}
}

// Schemas only grow: what was stored under the old form fits the new one.
func TestSchemaEvolution(t *testing.T) {
	const old = `"id":{"type":"string","identity":{"namespace":"ECID","primary":true}},"n":{"type":"integer"},"tags":{"type":"array","items":{"type":"object","properties":{"a":{"type":"string"}}}},"price":{"type":"number","xdmType":"decimal","scale":2}`
	parse := func(properties, required string) lakeward.Schema {
		fields, err := lakeward.ParseSchema([]byte(`{"properties":{`+properties+`},"required":[`+required+`]}`), "")
		if err != nil {
			t.Fatal(err)
		}
		return lakeward.Schema{Name: "s", Class: lakeward.RecordClass, Profile: true, Fields: fields}
	}
	for _, test := range []struct{ name, next, required, code string }{
		{"the same", old, "", ""},
		{"a field more", old + `,"m":{"type":"string","title":"M"}`, "", ""},
		{"a field more in a list", strings.Replace(old, `"a":{"type":"string"}`, `"a":{"type":"string"},"b":{"type":"number"}`, 1), "", ""},
		{"another name for display", strings.Replace(old, `"n":{"type":"integer"`, `"n":{"type":"integer","title":"Number"`, 1), "", ""},
		{"another order", `"n":{"type":"integer"},` + strings.Replace(old, `,"n":{"type":"integer"}`, "", 1), "", ""},
		{"a field less", strings.Replace(old, `,"n":{"type":"integer"}`, "", 1), "", "SCHEMA-1008"},
		{"another type", strings.Replace(old, `"n":{"type":"integer"`, `"n":{"type":"string"`, 1), "", "SCHEMA-1008"},
		{"another type in a list", strings.Replace(old, `"a":{"type":"string"`, `"a":{"type":"number"`, 1), "", "SCHEMA-1008"},
		{"a list becomes a map", strings.Replace(old, `"type":"array","items"`, `"type":"object","additionalProperties"`, 1), "", "SCHEMA-1008"},
		{"another scale", strings.Replace(old, `"scale":2`, `"scale":3`, 1), "", "SCHEMA-1008"},
		{"an identity more", old + `,"m":{"type":"string","identity":{"namespace":"Email"}}`, "", ""},
		{"an old field becomes an identity", strings.Replace(old, `"primary":true`, `"primary":false`, 1), "", "SCHEMA-1008"},
		{"an old field becomes required", old, `"n"`, "SCHEMA-1008"},
		{"a new field is required", old + `,"m":{"type":"string"}`, `"m"`, "SCHEMA-1008"},
	} {
		if err := parse(old, "").CheckEvolution(parse(test.next, test.required)); lakeward.CodeOf(err) != test.code {
			t.Errorf("%s: %v, want code %q", test.name, err, test.code)
		}
	}
}

// PRF-01: two schemas that know parts of one list are refused where they clash and joined where they do not.
func TestUnionOfLists(t *testing.T) {
	list := func(fields ...lakeward.Field) lakeward.Schema {
		return lakeward.Schema{Class: lakeward.RecordClass, Profile: true, Fields: []lakeward.Field{{Name: "a", Type: lakeward.TypeArray, Item: &lakeward.Field{Type: lakeward.TypeObject, Fields: fields}}}}
	}
	x, y := lakeward.Field{Name: "x", Type: lakeward.TypeString}, lakeward.Field{Name: "y", Type: lakeward.TypeLong}
	union := lakeward.UnionSchema([]lakeward.Schema{list(x), list(y, x)})
	if len(union) != 1 || len(union[0].Item.Fields) != 2 {
		t.Errorf("union %+v", union)
	}
	if err := list(lakeward.Field{Name: "x", Type: lakeward.TypeLong}).CheckUnion(union); lakeward.CodeOf(err) != "SCHEMA-1007" {
		t.Errorf("another type in a list: %v", err)
	}
	if err := list(y).CheckUnion(union); err != nil {
		t.Error(err)
	}
}

// S15, S29, S31, S32, FMT-05, BI-C: the fields of a destination.
func TestDestination(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*lakeward.Destination)
		code   string
	}{
		{"safe defaults", func(*lakeward.Destination) {}, ""},
		{"every delimiter", func(d *lakeward.Destination) { d.CSV.Delimiter = "\t" }, ""},
		{"BI-C01 delimiter", func(d *lakeward.Destination) { d.CSV.Delimiter = "ab" }, "CSV-1001"},
		{"BI-C04 quote", func(d *lakeward.Destination) { d.CSV.Quote = "'" }, "CSV-1003"},
		{"BI-C04 escape", func(d *lakeward.Destination) { d.CSV.Escape = `"` }, "CSV-1003"},
		{"BI-C08 null value", func(d *lakeward.Destination) { d.CSV.Null = "NULL" }, "CSV-1012"},
		{"BI-C11 compression", func(d *lakeward.Destination) { d.Compression = "gzip " }, "CSV-1011"},
		{"file type", func(d *lakeward.Destination) { d.FileType = "XML" }, "CSV-1010"},
		{"folder", func(d *lakeward.Destination) { d.Folder = "a/../b" }, "PATH-1001"},
		{"rows per file", func(d *lakeward.Destination) { d.RowsPerFile = 5_000_001 }, "SPL-1001"},
	} {
		d := lakeward.Destination{Name: "d", FileType: lakeward.CSV, Compression: lakeward.Gzip, CSV: lakeward.DefaultCSV()}
		test.change(&d)
		if err := d.Validate(); lakeward.CodeOf(err) != test.code {
			t.Errorf("%s: %v, want code %q", test.name, err, test.code)
		}
	}
	if lakeward.DefaultCSV().Quote != `"` {
		t.Error("D30: own surfaces preselect double quotes")
	}
}
