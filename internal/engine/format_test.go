package engine_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/engine"
	"github.com/lakeward/lakeward/internal/lake/emulator"
	"github.com/lakeward/lakeward/internal/lake/emulator/emulatortest"
	"github.com/lakeward/lakeward/internal/parquet"
	"github.com/lakeward/lakeward/internal/vector"
)

const nestedSchema = `{"properties": {
  "id": {"type": "string", "identity": {"namespace": "ECID", "primary": true}},
  "mail": {"type": "string", "identity": {"namespace": "Email"}},
  "mail2": {"type": "string", "identity": {"namespace": "Email"}},
  "person": {"type": "object", "properties": {"name": {"type": "object", "properties": {"first": {"type": "string"}, "last": {"type": "string"}}}, "born": {"type": "string", "format": "date"}}},
  "tags": {"type": "array", "items": {"type": "string"}},
  "points": {"type": "object", "additionalProperties": {"type": "integer"}},
  "orders": {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}, "qty": {"type": "integer", "xdmType": "int"}}}},
  "score": {"type": "number"}, "seen": {"type": "string", "format": "date-time"}, "vip": {"type": "boolean"}}}`

// nestedPeople uploads three profiles: a full one, one with empty collections, one with nothing.
func (w *world) nestedPeople() {
	w.t.Helper()
	ctx := w.t.Context()
	w.profileDataset("people", nestedSchema)
	text := `{"id":"1","mail":"a@x","mail2":"b@x","person":{"name":{"first":"Ann","last":null},"born":"1999-12-31"},"tags":["x","y \"q\""],"points":{"shop":3},"orders":[{"sku":"k1","qty":2},{"sku":null,"qty":null}],"score":1.5,"seen":"2024-01-01T00:00:00Z","vip":true}
{"id":"2","mail":"c@x","person":{"name":{"first":null}},"tags":[],"points":{},"orders":[]}
{"id":"3","mail":"d@x"}
`
	must[lakeward.Batch](w.t)(w.UploadDataset(ctx, engine.Upload{Sandbox: sandbox, Dataset: "people", Name: "people.ndjson"}, strings.NewReader(text)))
	w.audience("all", `id != "0"`)
}

func nestedMapping() []lakeward.Mapping {
	return []lakeward.Mapping{named("tags", "z_tags"), named("identityMap.Email", "mail"), named("person", "a_person"), named("points", "points"), named("orders", "orders"),
		named("score", "score"), named("seen", "seen"), named("vip", "vip"), named("person.name.first", "first")}
}

// content is the one delivered file of a run.
func (w *world) content(r lakeward.Run) []byte {
	w.t.Helper()
	succeeded(w.t, r)
	if v := must[lakeward.Verification](w.t)(w.VerifyRun(w.t.Context(), sandbox, string(r.ID))); !v.OK() || len(v.Files) != len(r.Files) || !v.Files[0].Encrypted && v.Files[0].Rows != r.Files[0].Rows {
		w.t.Errorf("verify: %+v", v)
	}
	return must[[]byte](w.t)(os.ReadFile(filepath.Join(w.lake.Dir(), "local", "exports", filepath.FromSlash(r.Files[0].Path))))
}

// S15, S31, FMT-13, FMT-15, CAL-03: audience JSON keeps structure, key order and nulls.
func TestJSONExport(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.nestedPeople()
	flow := w.flow(lakeward.Destination{FileType: lakeward.JSON, Nested: true, Manifest: true}, "all", daily(), nestedMapping()...)
	r := w.export(flow)
	first := func(mail string) string {
		return `{"z_tags":["x","y \"q\""],"mail":"` + mail + `","a_person":{"name":{"first":"Ann","last":null},"born":"1999-12-31"},"points":{"shop":3},"orders":[{"sku":"k1","qty":2},{"sku":null,"qty":null}],` +
			`"score":1.5,"seen":"2024-01-01T00:00:00.000Z","vip":true,"first":"Ann"}` + "\n"
	}
	want := first("a@x") + first("b@x") +
		`{"z_tags":[],"mail":"c@x","a_person":null,"points":{},"orders":[],"score":null,"seen":null,"vip":null,"first":null}` + "\n" +
		`{"z_tags":null,"mail":"d@x","a_person":null,"points":null,"orders":null,"score":null,"seen":null,"vip":null,"first":null}` + "\n"
	if diff := cmp.Diff(want, string(w.content(r))); diff != "" {
		t.Errorf("file (-want +got):\n%s", diff)
	}
	if !strings.HasSuffix(r.Files[0].Path, ".json") {
		t.Errorf("file is named %s", r.Files[0].Path)
	}
}

// S15, FMT-16, FMT-17: a Parquet file has the columns of the mapping in their order, typed and nested.
func TestParquetExport(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.nestedPeople()
	r := w.export(w.flow(lakeward.Destination{FileType: lakeward.Parquet, Compression: lakeward.Gzip, Nested: true}, "all", daily(), nestedMapping()...))
	data := w.content(r)
	if !strings.HasSuffix(r.Files[0].Path, ".gz.parquet") {
		t.Errorf("file is named %s", r.Files[0].Path)
	}
	f := must[*parquet.File](t)(parquet.Open(bytes.NewReader(data), int64(len(data))))
	if diff := cmp.Diff([]string{"z_tags", "mail", "a_person.name.first", "a_person.name.last", "a_person.born", "points", "orders", "score", "seen", "vip", "first"}, f.Paths()); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
	got := must[*parquet.Reader](t)(f.ReaderOf([]parquet.Column{{Path: "mail", Kind: vector.String}, {Path: "a_person.name.first", Kind: vector.String}, {Path: "a_person.born", Kind: vector.Date}, {Path: "score", Kind: vector.Float}, {Path: "vip", Kind: vector.Bool}}))
	defer got.Close()
	cols := make([]vector.Vector, 5)
	if err := got.Gather([]int64{0, 1, 2, 3}, cols); err != nil {
		t.Fatal(err)
	}
	for i, mail := range []string{"a@x", "b@x", "c@x", "d@x"} {
		ann := i < 2
		if string(cols[0].Str(i)) != mail || cols[1].IsNull(i) == ann || cols[2].IsNull(i) == ann || cols[3].IsNull(i) == ann || cols[4].IsNull(i) == ann {
			t.Errorf("row %d is not that of %s", i, mail)
		}
	}
	if string(cols[1].Str(0)) != "Ann" || cols[2].Ints[0] != 10956 || cols[3].Floats[0] != 1.5 || !cols[4].Bools.Get(0) {
		t.Error("the values of the first row differ")
	}
}

// CAL-04, CAL-05, M07: what cannot be written is refused when the dataflow is made, with the way out.
func TestNestedColumnsAreRefused(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.nestedPeople()
	for _, test := range []struct {
		name    string
		dest    lakeward.Destination
		mapping lakeward.Mapping
		code    string
		text    string
	}{
		{"list into CSV", lakeward.Destination{FileType: lakeward.CSV}, named("tags", "t"), "MAP-1002", "cannot hold"},
		{"list into flat JSON", lakeward.Destination{FileType: lakeward.JSON}, named("tags", "t"), "MAP-1002", "exportArraysMapsObjects"},
		{"object into flat Parquet", lakeward.Destination{FileType: lakeward.Parquet}, named("person", "t"), "MAP-1002", "it is an object"},
		{"no such object", lakeward.Destination{FileType: lakeward.JSON, Nested: true}, named("persona", "t"), "MAP-1002", "no profile field"},
		{"list as a key", lakeward.Destination{FileType: lakeward.JSON, Nested: true}, lakeward.Mapping{Source: "tags", Target: "t", Key: true}, "MAP-1008", "deduplication key"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := emulatortest.Account(w.lake)
			a.Name = lakeward.NewID()
			if _, _, err := w.CreateAccount(t.Context(), a, true); err != nil {
				t.Fatal(err)
			}
			test.dest.Name, test.dest.Sandbox, test.dest.Compression = lakeward.NewID(), sandbox, lakeward.Gzip
			if test.dest.FileType == lakeward.CSV {
				test.dest.CSV = lakeward.DefaultCSV()
			}
			must[lakeward.Destination](t)(w.CreateDestination(t.Context(), test.dest, a.Name, true))
			_, err := w.CreateDataflow(t.Context(), lakeward.Dataflow{Name: "f", Sandbox: sandbox, Mapping: []lakeward.Mapping{test.mapping},
				Items: []lakeward.DataflowItem{{AudienceID: "all", Schedule: daily()}}}, test.dest.Name)
			if lakeward.CodeOf(err) != test.code || !strings.Contains(err.Error(), test.text) {
				t.Errorf("%v, want %s and %q", err, test.code, test.text)
			}
		})
	}
}

// D10, DED-05: an empty collection is no mandatory value, and what decides between two profiles is single values, never a list.
func TestNestedColumnsInTheSelection(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.nestedPeople()
	for _, source := range []string{"tags", "points", "orders", "person", "person.name"} {
		r := w.export(w.flow(lakeward.Destination{FileType: lakeward.JSON, Nested: true, Folder: source}, "all", daily(), lakeward.Mapping{Source: source, Target: "t", Mandatory: true}))
		succeeded(t, r)
		if want := (lakeward.Counts{Received: 3, Activated: 1, Rows: 1, ExcludedMandatory: 2}); r.Counts != want {
			t.Errorf("mandatory %s: counts %+v, want %+v", source, r.Counts, want)
		}
	}
	text := `{"id":"4","person":{"name":{"first":"Eve"}},"tags":["b"]}` + "\n" + `{"id":"5","person":{"name":{"first":"Eve"}},"tags":["a"]}` + "\n"
	must[lakeward.Batch](t)(w.UploadDataset(t.Context(), engine.Upload{Sandbox: sandbox, Dataset: "people", Name: "p.ndjson"}, io.Reader(strings.NewReader(text))))
	w.audience("eves", `person.name.first = "Eve"`)
	r := w.export(w.flow(lakeward.Destination{FileType: lakeward.JSON, Nested: true}, "eves", daily(), lakeward.Mapping{Source: "person.name.first", Target: "f", Key: true}, named("tags", "t")))
	if got, want := string(w.content(r)), `{"f":"Eve","t":["b"]}`+"\n"; got != want {
		t.Errorf("got %s, want %s: two that differ in a list alone tie, so the one that was there first wins", got, want)
	}
}

// D12: nobody gives an empty NDJSON file and a Parquet file without rows.
func TestEmptyAudienceInEveryFormat(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.nestedPeople()
	w.audience("nobody", `id = "0"`)
	for _, test := range []struct {
		fileType lakeward.FileType
		rows     func([]byte) int64
	}{
		{lakeward.JSON, func(b []byte) int64 { return int64(len(b)) }},
		{lakeward.Parquet, func(b []byte) int64 {
			return must[*parquet.File](t)(parquet.Open(bytes.NewReader(b), int64(len(b)))).Rows()
		}},
	} {
		r := w.export(w.flow(lakeward.Destination{FileType: test.fileType, Manifest: true}, "nobody", daily(), named("score", "score")))
		if n := test.rows(w.content(r)); n != 0 {
			t.Errorf("%s: %d, want nothing", test.fileType, n)
		}
	}
}

// Decision 13: the success file comes behind the data files and before the manifest, which does not list it; the next
// run replaces it. Several audiences need a folder each.
func TestSuccessFile(t *testing.T) {
	t.Parallel()
	for mode, account := range accounts() {
		t.Run(mode, func(t *testing.T) {
			w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true, Accounts: []string{account}}))
			w.people("1,a@x.org,,Ann,30", "2,b@x.org,,Bob,40")
			w.audience("all", "age >= 0")
			w.audience("old", "age >= 40")
			flow := w.flow(lakeward.Destination{Folder: "out", Extensions: true, SuccessFile: true, Manifest: true, RowsPerFile: 1}, "all", daily(), named("name", "name"))
			for range 2 {
				r := w.export(flow)
				succeeded(t, r)
				if v := must[lakeward.Verification](t)(w.VerifyRun(t.Context(), sandbox, string(r.ID))); !v.OK() || len(v.Files) != 3 {
					t.Errorf("verify: %+v", v)
				}
				last := r.Files[len(r.Files)-1]
				if b, err := os.ReadFile(w.path("out/_SUCCESS")); err != nil || len(b) != 0 || last.Path != "out/_SUCCESS" {
					t.Errorf("success file %q, %v; last file %s", b, err, last.Path)
				}
				if m := string(must[[]byte](t)(os.ReadFile(w.path(r.Manifest)))); strings.Contains(m, "_SUCCESS") || strings.Count(m, "sinkPath") != 2 {
					t.Errorf("manifest %s", m)
				}
			}
			w.lake.Arm(emulator.Fault{Match: func(e emulator.Entry) bool { return strings.HasSuffix(e.Path, ".slot") && e.Op != "read" }, Do: emulator.Status, Code: 403, Error: "AuthorizationPermissionMismatch"})
			failed := w.flow(lakeward.Destination{Folder: "no", Extensions: true, SuccessFile: true}, "all", daily(), named("name", "name"))
			if r := w.export(failed); r.State != lakeward.Failed {
				t.Errorf("run is %s", r.State)
			}
			_, err := w.CreateDataflow(t.Context(), lakeward.Dataflow{Name: "two", Sandbox: sandbox, Mapping: flow.Mapping,
				Items: []lakeward.DataflowItem{{AudienceID: "all", Schedule: daily()}, {AudienceID: "old", Schedule: daily()}}}, string(flow.DestinationID))
			if lakeward.CodeOf(err) != "NAME-1020" {
				t.Errorf("two audiences into one folder: %v", err)
			}
		})
	}
}
