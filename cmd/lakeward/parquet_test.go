package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const parquetSchema = `{"properties": {"id": {"type": "string", "identity": {"namespace": "CRM", "primary": true}}, "home": {"type": "object", "properties": {"city": {"type": "string"}}},
"n": {"type": "integer", "xdmType": "int"}, "big": {"type": "integer"}, "score": {"type": "number"}, "price": {"type": "number", "xdmType": "decimal", "scale": 2}, "vip": {"type": "boolean"},
"born": {"type": "string", "format": "date"}, "seen": {"type": "string", "format": "date-time"}, "tags": {"type": "array", "items": {"type": "string"}},
"prefs": {"type": "object", "additionalProperties": {"type": "string"}}, "orders": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"},
"lines": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "integer"}}}}}}}}}`

// B03: Parquet files of pyarrow, DuckDB and Polars, with all codecs, page versions, encodings and forms of lists, are read right
// or refused with the reason.
func TestParquetOfCommonWriters(t *testing.T) {
	needs(t, "duckdb", "python3", "-c", "import duckdb")
	needs(t, "pyarrow", "python3", "-c", "import pyarrow, polars")
	work := t.TempDir()
	if out, err := exec.Command("python3", "testdata/parquet_files.py", work).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var want [][]any
	readJSON(t, filepath.Join(work, "rows.json"), &want)
	data, schema := filepath.Join(work, "data"), filepath.Join(work, "schema.json")
	run := func(args ...string) string { return ok(t, "", append(args, "--data", data)...) }
	writeFile(t, schema, parquetSchema)
	run("namespace", "create", "CRM")
	run("schema", "create", "people", "--file", schema, "--profile=false")
	refused := map[string]string{"booleans": "has booleans encoded as RLE", "time-of-day": "column big has the type", "text-for-number": "column n holds text, the field whole numbers",
		"unknown-column": `column "other" is no field of the schema`, "list-for-text": "column home.city holds a list or a map, the field text", "cut": "damaged or cut", "wide-deltas": "column n has 32-bit numbers in DELTA_BINARY_PACKED", "lz4": "compressed with LZ4_RAW"}
	files, err := filepath.Glob(filepath.Join(work, "*.parquet"))
	if err != nil || len(files) < 25 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".parquet")
		t.Run(name, func(t *testing.T) {
			run("dataset", "create", name, "--schema", "people")
			if why, bad := strings.CutPrefix(name, "refused-"); bad {
				r := call(t, "", "dataset", "upload", name, file, "--data", data)
				for key, message := range refused {
					if strings.HasSuffix(why, key) && r.code == exitInvalid && strings.Contains(r.err, message) {
						return
					}
				}
				t.Fatalf("exit %d: %s", r.code, r.err)
			}
			run("dataset", "upload", name, file)
			var shown struct {
				Fields []string
				Rows   [][]string
			}
			if err := json.Unmarshal([]byte(run("dataset", "preview", name, "--limit", "10000", "--json")), &shown); err != nil {
				t.Fatal(err)
			}
			comparePreview(t, name, shown.Fields, shown.Rows, want)
		})
	}
}

// comparePreview compares rows of texts with the values that were written; columns that a file lacks are null.
func comparePreview(t *testing.T, name string, fields []string, rows [][]string, want [][]any) {
	t.Helper()
	if len(rows) != len(want) {
		t.Fatalf("%d rows, want %d", len(rows), len(want))
	}
	absent := func(field string) bool {
		return field == "vip" && (strings.Contains(name, "no-booleans") || name == "polars") || field == "prefs" && name == "polars" || field == "n" && strings.Contains(name, "no-n")
	}
	for i, row := range rows {
		for k, field := range fields {
			var got any = row[k]
			w := want[i][k]
			switch {
			case absent(field):
				w = ""
			case w == "":
			case field == "score" && strings.Contains(name, "float32"):
				w = "0.5"
			case field == "score":
				f, err := strconv.ParseFloat(row[k], 64)
				if err != nil {
					t.Fatalf("row %d: %s is %q", i, field, row[k])
				}
				got = f
			case slices.Contains([]string{"tags", "prefs", "orders"}, field):
				if err := json.Unmarshal([]byte(row[k]), &got); err != nil {
					t.Fatalf("row %d: %s is %q", i, field, row[k])
				}
			}
			if !reflect.DeepEqual(got, w) {
				t.Fatalf("row %d: %s is %v, want %v", i, field, got, w)
			}
		}
	}
}

func readJSON(t *testing.T, file string, out any) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, out)
	}
	if err != nil {
		t.Fatal(err)
	}
}
