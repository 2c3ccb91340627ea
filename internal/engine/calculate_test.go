package engine_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/engine"
	"github.com/lakeward/lakeward/internal/lake/emulator"
	"github.com/lakeward/lakeward/internal/lake/emulator/emulatortest"
)

func calculated(target, source string) lakeward.Mapping {
	return lakeward.Mapping{Source: source, SourceType: lakeward.ExpressionSource, Target: target}
}

// CAL-04, CAL-06, CAL-09, MAP-10, MAP-21: calculated fields, elements and constants in a CSV file, one row for each identity,
// with what failed counted once for a profile.
func TestCalculatedColumns(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.nestedPeople()
	flow := w.flow(lakeward.Destination{}, "all", daily(),
		calculated("hash", `sha256(lower(person.name.first))`), named("orders[0].sku", ""), named(`points["shop"]`, ""), named("identityMap.Email", "mail"),
		calculated("skus", `array_to_string("+", orders.sku)`), calculated("half", `10 / size_of(tags)`), calculated("at", `format(now(), "yyyy")`),
		lakeward.Mapping{Source: "shop A", SourceType: lakeward.StaticSource, Target: "origin"}, calculated("id", "uuid()"))
	r := w.export(flow)
	succeeded(t, r)
	rows := w.rows(r)
	ids := []string{}
	for i := range rows[1:] {
		ids = append(ids, rows[i+1][8])
		rows[i+1][8] = ""
	}
	year := r.GeneratedAt.Format("2006")
	ann := func(mail string) []string {
		return []string{"49915e0d7d4b402e3017d010bc1c0e83cac6c797d6c16e66340fe3268693a6a1", "k1", "3", mail, "k1", "5.0", year, "shop A", ""}
	}
	want := [][]string{{"hash", "orders0_sku", "points_shop", "mail", "skus", "half", "at", "origin", "id"}, ann("a@x"), ann("b@x"),
		{"null", "null", "null", "c@x", "", "null", year, "shop A", ""}, {"null", "null", "null", "d@x", "null", "null", year, "shop A", ""}}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	if ids[0] != ids[1] || ids[1] == ids[2] || ids[2] == ids[3] || !lakeward.IsID(ids[0]) {
		t.Errorf("uuid() gives %v: one for each profile", ids)
	}
	if want := (lakeward.Warnings{lakeward.WarnExpression: 1}); !cmp.Equal(r.Warnings, want) {
		t.Errorf("warnings %v, want %v: 10 / 0 of one profile", r.Warnings, want)
	}
}

// X14, RUN-14: now() and uuid() are bound to the run, so another attempt writes the same bytes.
func TestCalculatedColumnsOfARetry(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.nestedPeople()
	w.restart(func() { w.cfg.RetryWindow = time.Hour })
	flow := w.flow(lakeward.Destination{}, "all", daily(), calculated("id", "uuid()"), calculated("other", "concat(uuid(), nullify())"), calculated("at", "timestamp()"), calculated("now", "now()"))
	disarm := w.lake.Arm(emulator.Fault{Path: "/slot-", Do: emulator.Status, Code: 503, After: "0"})
	if r := w.export(flow); r.State != lakeward.Retrying {
		t.Fatalf("the first attempt is %s, cause %+v", r.State, r.Cause)
	}
	disarm()
	staged := must[[]string](t)(filepath.Glob(filepath.Join(w.lake.Dir(), "local", "exports", "_lakeward", string(flow.ID), "staging", "*", "*", "*")))
	if len(staged) == 0 {
		t.Fatal("the first attempt staged nothing")
	}
	first := must[[]byte](t)(os.ReadFile(staged[0]))
	if err := os.Remove(staged[0]); err != nil { // so that nothing can be used again
		t.Fatal(err)
	}
	if err := errors.Join(w.Retry(t.Context(), flow.ID), w.Work(t.Context())); err != nil {
		t.Fatal(err)
	}
	runs := must[[]lakeward.Run](t)(w.store.Runs(t.Context(), sandbox, flow.ID, 10))
	r := must[lakeward.Run](t)(w.store.Run(t.Context(), sandbox, string(runs[0].ID)))
	succeeded(t, r)
	if second := w.content(r); r.Attempt < 2 || string(second) != string(first) || !strings.Contains(string(first), r.GeneratedAt.Format("2006-01-02T15:04:05.000Z")) {
		t.Errorf("attempt %d wrote\n%s\nbefore it\n%s", r.Attempt, second, first)
	}
}

// CAL-02 to CAL-05, X20, E1: what cannot be exported is refused when the dataflow is made, all at once, with the way out.
func TestCalculatedColumnsAreChecked(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.nestedPeople()
	flat, nested := lakeward.Destination{FileType: lakeward.CSV}, lakeward.Destination{FileType: lakeward.JSON, Nested: true}
	for _, test := range []struct {
		name    string
		dest    lakeward.Destination
		mapping []lakeward.Mapping
		want    []string
	}{
		{"CAL-05 an array into CSV", flat, []lakeward.Mapping{named("tags", "t")},
			[]string{`mapping/0/source: MAP-1002: "tags" is of type array, which a column cannot hold (write it as text with the calculated field array_to_string(",", tags), or take an item, such as tags[0])`}},
		{"a map into CSV", flat, []lakeward.Mapping{named("points", "t")}, []string{`MAP-1002: "points" is of type map, which a column cannot hold (take a value, such as points["key"])`}},
		{"an element that is an object", flat, []lakeward.Mapping{named("orders[0]", "t")}, []string{`MAP-1002: "orders[0]" is of type object, which a column cannot hold`}},
		{"a calculated array", flat, []lakeward.Mapping{calculated("t", `split("a,b", ",")`)}, []string{`which a column cannot hold (write it as text with the calculated field array_to_string(",", split("a,b", ",")))`}},
		{"all at once", flat, []lakeward.Mapping{calculated("a", "uper(tags)"), calculated("b", "1 / 0"), named("nope", "c"), named("orders[0].nope", "d"), named("a..b", "e")},
			[]string{`mapping/0/source: EXPR-1003: at 1:1: no function "uper"; did you mean upper?`, "mapping/1/source: EXPR-1002: at 1:3:", "mapping/2/source: MAP-1002: there is no profile field", "mapping/3/source: MAP-1002: at 1:11: no field", "mapping/4/source: MAP-1002: there is no profile field"}},
		{"X20 its own column", flat, []lakeward.Mapping{calculated("full", "upper(full)")}, []string{`EXPR-1004: at 1:7: "full" is the column itself`}},
		{"CAL-03 with the toggle", nested, []lakeward.Mapping{calculated("t", "upper(mail)"), named("tags", "u"), named("orders[0].sku", "v")},
			[]string{"mapping/0/source: MAP-1010: calculated fields are not available on a destination with exportArraysMapsObjects"}},
		{"DED-01 three keys", flat, []lakeward.Mapping{{Source: "score", Target: "a", Key: true}, {Source: "vip", Target: "b", Key: true}, {Source: "upper(mail)", SourceType: lakeward.ExpressionSource, Target: "c", Key: true}}, []string{"MAP-1008"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w.t = t
			_, err := w.tryFlow(test.dest, test.mapping)
			if lakeward.KindOf(err) != lakeward.Invalid {
				t.Fatalf("%v", err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v\ndoes not say\n%s", err, want)
				}
			}
			if list := must[[]lakeward.Dataflow](t)(w.store.Dataflows(t.Context(), sandbox)); len(list) > 0 {
				t.Error("it was stored")
			}
		})
	}
}

// tryFlow makes a destination and tries to make a dataflow of the audience "all" to it.
func (w *world) tryFlow(dest lakeward.Destination, mapping []lakeward.Mapping) (lakeward.Dataflow, error) {
	w.t.Helper()
	a := emulatortest.Account(w.lake)
	a.Name = lakeward.NewID()
	if _, _, err := w.CreateAccount(w.t.Context(), a, true); err != nil {
		w.t.Fatal(err)
	}
	dest.Name, dest.Sandbox, dest.Compression = lakeward.NewID(), sandbox, lakeward.Gzip
	if dest.FileType == lakeward.CSV {
		dest.CSV = lakeward.DefaultCSV()
	}
	must[lakeward.Destination](w.t)(w.CreateDestination(w.t.Context(), dest, a.Name, true))
	return w.CreateDataflow(w.t.Context(), lakeward.Dataflow{Name: "f", Sandbox: sandbox, Mapping: mapping, Items: []lakeward.DataflowItem{{AudienceID: "all", Schedule: daily()}}}, dest.Name)
}

// CAL-03, FMT-13, FMT-16: elements beside whole arrays, maps and objects, and types that are kept.
func TestElementsWithStructure(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.nestedPeople()
	r := w.export(w.flow(lakeward.Destination{FileType: lakeward.JSON, Nested: true}, "all", daily(), named("tags", ""), named("tags[0]", ""), named("orders[1]", "second"), named("orders[0].qty", ""), named("points.shop", "shop"),
		lakeward.Mapping{Source: "x", SourceType: lakeward.StaticSource, Target: "from"}))
	want := `{"tags":["x","y \"q\""],"tags0":"x","second":null,"orders0_qty":2,"shop":3,"from":"x"}` + "\n" +
		`{"tags":[],"tags0":null,"second":null,"orders0_qty":null,"shop":null,"from":"x"}` + "\n" + `{"tags":null,"tags0":null,"second":null,"orders0_qty":null,"shop":null,"from":"x"}` + "\n"
	if got := string(w.content(r)); !strings.HasSuffix(got, want[strings.Index(want, "\n")+1:]) {
		t.Errorf("file (-want +got):\n%s", cmp.Diff(want, got))
	}
	if len(r.Warnings) > 0 {
		t.Errorf("warnings %v", r.Warnings)
	}
}

// MAN-03, DED-01, CAL-06: calculated fields are mandatory and keys as attributes are.
func TestCalculatedColumnsInTheSelection(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.people("1,a@x.org,,Ann,30", "2,A@X.ORG,,Bob,40", "3,b@x.org,,,50", "4,c@x.org,,Dan,60")
	w.audience("all", "age > 0")
	key := calculated("key", `iif(age > 55, nullify(), lower(mail))`)
	key.Key = true
	must := calculated("must", `substr(concat(coalesce(name, ""), "x"), 0, size_of(coalesce(name, "")))`)
	must.Mandatory = true
	r := w.export(w.flow(lakeward.Destination{}, "all", daily(), key, must, named("age", "age")))
	succeeded(t, r)
	if want := (lakeward.Counts{Received: 4, Activated: 2, Rows: 2, ExcludedMandatory: 1, Deduplicated: 1}); r.Counts != want {
		t.Errorf("counts %+v, want %+v", r.Counts, want)
	}
	if diff := cmp.Diff([][]string{{"key", "must", "age"}, {"a@x.org", "Ann", "30"}, {"null", "Dan", "60"}}, w.rows(r)); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

// E-1 to E-4: two profiles that share an address.
func TestSharedAddress(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.exampleSchema()
	w.addPerson(`{"id":"A","mail":"johndoe@example.com","mail2":"doejohn_1@example.com","personalEmail":{"address":"johndoe@example.com"},"firstName":"John","lastName":"Doe"}`)
	w.audience("johns", `firstName = "John"`)
	w.addPerson(`{"id":"B","mail":"johndoe@example.com","mail2":"doejohn_2@example.com","personalEmail":{"address":"johndoe@example.com"},"firstName":"John","lastName":"D"}`)
	must[[]lakeward.Audience](t)(w.Evaluate(t.Context(), sandbox, []string{"johns"}, nil))
	key := func(m lakeward.Mapping) lakeward.Mapping { m.Key = true; return m }
	mail, first, last := named("personalEmail.address", "personalEmail"), named("firstName", "firstName"), named("lastName", "lastName")
	for _, test := range []struct {
		name    string
		mapping []lakeward.Mapping
		rows    []string
		dropped int64
	}{
		{"E-1a no key", []lakeward.Mapping{mail, first, last}, []string{"johndoe@example.com,John,Doe", "johndoe@example.com,John,D"}, 0},
		{"E-2 namespace", []lakeward.Mapping{named("identityMap.Email", ""), mail, first, last}, []string{"johndoe@example.com,johndoe@example.com,John,D", "doejohn_2@example.com,johndoe@example.com,John,D"}, 1},
		{"E-3 one attribute", []lakeward.Mapping{key(mail), first, last}, []string{"johndoe@example.com,John,D"}, 1},
		{"E-4 two attributes", []lakeward.Mapping{key(mail), first, key(last)}, []string{"johndoe@example.com,John,Doe", "johndoe@example.com,John,D"}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			w.t = t
			r := w.export(w.flow(lakeward.Destination{Folder: test.name[:3]}, "johns", daily(), test.mapping...))
			succeeded(t, r)
			var got []string
			for _, row := range w.rows(r)[1:] {
				got = append(got, strings.Join(row, ","))
			}
			if diff := cmp.Diff(test.rows, got); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
			if r.Counts.Deduplicated != test.dropped || r.Counts.Excluded() != 0 {
				t.Errorf("counts %+v, want %d deduplicated", r.Counts, test.dropped)
			}
		})
	}
}

// exampleSchema makes the schema and the dataset of the examples of behaviour.md 31.
func (w *world) exampleSchema() {
	w.t.Helper()
	fields := must[[]lakeward.Field](w.t)(lakeward.ParseSchema([]byte(`{"properties": {
  "id": {"type": "string", "identity": {"namespace": "CRM", "primary": true}}, "mail": {"type": "string", "identity": {"namespace": "Email"}}, "mail2": {"type": "string", "identity": {"namespace": "Email"}},
  "personalEmail": {"type": "object", "properties": {"address": {"type": "string"}}}, "firstName": {"type": "string"}, "lastName": {"type": "string"},
  "loyalty": {"type": "object", "properties": {"id": {"type": "string"}}}}}`), ""))
	must[lakeward.Namespace](w.t)(w.CreateNamespace(w.t.Context(), lakeward.Namespace{Sandbox: sandbox, Code: "CRM", Name: "CRM", Type: lakeward.CrossDevice}))
	must[lakeward.Schema](w.t)(w.CreateSchema(w.t.Context(), lakeward.Schema{Sandbox: sandbox, Name: "people", Class: lakeward.RecordClass, Profile: true, Fields: fields}))
	must[lakeward.Dataset](w.t)(w.CreateDataset(w.t.Context(), lakeward.Dataset{Sandbox: sandbox, Name: "people"}, "people"))
}

func (w *world) addPerson(lines ...string) {
	w.t.Helper()
	must[lakeward.Batch](w.t)(w.UploadDataset(w.t.Context(), engine.Upload{Sandbox: sandbox, Dataset: "people", Name: "p.ndjson"}, strings.NewReader(strings.Join(lines, "\n")+"\n")))
}

// E-5, DED-05, DED-07: with one time for all, the smallest values of the other columns win, in the order of the mapping.
func TestTies(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.exampleSchema()
	w.addPerson(`{"id":"1","mail":"test1@test.com","firstName":"John","lastName":"Morris"}`, `{"id":"2","mail":"test1@test.com","firstName":"John","lastName":"Doe"}`, `{"id":"3","mail":"test2@test.com","firstName":"Frank","lastName":"Smith"}`,
		`{"id":"4","mail":"test3@test.com","firstName":"Z","lastName":"A"}`, `{"id":"5","mail":"test3@test.com","lastName":"Z"}`, `{"id":"6","mail":"test4@test.com","firstName":"é"}`, `{"id":"7","mail":"test4@test.com","firstName":"z"}`)
	w.audience("all", `id != ""`)
	r := w.export(w.flow(lakeward.Destination{}, "all", daily(), named("identityMap.Email", "mail"), named("firstName", "first"), named("lastName", "last")))
	succeeded(t, r)
	want := [][]string{{"mail", "first", "last"}, {"test1@test.com", "John", "Doe"}, {"test2@test.com", "Frank", "Smith"}, {"test3@test.com", "null", "Z"}, {"test4@test.com", "z", "null"}}
	if diff := cmp.Diff(want, w.rows(r)); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	last := w.export(w.flow(lakeward.Destination{Folder: "other"}, "all", daily(), named("lastName", "last"), named("identityMap.Email", "mail"), named("firstName", "first")))
	if diff := cmp.Diff([]string{"A", "test3@test.com", "Z"}, w.rows(last)[3]); diff != "" {
		t.Errorf("another order of columns decides otherwise (-want +got):\n%s", diff)
	}
}

// DED-04: of two that qualified at one time, the one whose identities changed last wins; a change of attributes is none.
func TestLatestIdentityWins(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.exampleSchema()
	w.addPerson(`{"id":"1","mail":"a@x.org","firstName":"John","lastName":"A"}`, `{"id":"2","mail":"b@x.org","firstName":"John","lastName":"B"}`)
	w.audience("all", `id != ""`)
	key := lakeward.Mapping{Source: "firstName", Target: "first", Key: true}
	for _, test := range []struct{ name, change, want string }{
		{"nothing changed", "", "A"},
		{"an identity of the second", `{"id":"2","mail":"b@x.org","mail2":"b2@x.org","firstName":"John","lastName":"B"}`, "B"},
		{"an attribute of the first", `{"id":"1","mail":"a@x.org","firstName":"John","lastName":"A","loyalty":{"id":"9"}}`, "B"},
	} {
		if test.change != "" {
			w.addPerson(test.change)
		}
		r := w.export(w.flow(lakeward.Destination{Folder: strings.ReplaceAll(test.name, " ", "-")}, "all", daily(), key, named("lastName", "last")))
		succeeded(t, r)
		if diff := cmp.Diff([][]string{{"first", "last"}, {"John", test.want}}, w.rows(r)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}

// E-9, MAN-02: who lacks a mandatory value is left out and counted.
func TestMandatoryExample(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.exampleSchema()
	var people []string
	for i := range 100 {
		loyalty := fmt.Sprintf(`,"loyalty":{"id":"L%d"}`, i)
		if i%5 == 0 {
			loyalty = []string{"", `,"loyalty":{}`, `,"loyalty":{"id":""}`, `,"loyalty":{"id":null}`}[i/5%4]
		}
		people = append(people, fmt.Sprintf(`{"id":"%d","firstName":"n"%s}`, i, loyalty))
	}
	w.addPerson(people...)
	w.audience("all", `firstName = "n"`)
	r := w.export(w.flow(lakeward.Destination{}, "all", daily(), lakeward.Mapping{Source: "loyalty.id", Target: "loyalty", Mandatory: true}, named("firstName", "first")))
	succeeded(t, r)
	if want := (lakeward.Counts{Received: 100, Activated: 80, Rows: 80, ExcludedMandatory: 20}); r.Counts != want {
		t.Errorf("counts %+v, want %+v", r.Counts, want)
	}
}
