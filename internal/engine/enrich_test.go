package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/engine"
	"github.com/lakeward/lakeward/internal/lake/emulator"
	"github.com/lakeward/lakeward/internal/lake/emulator/emulatortest"
	"github.com/lakeward/lakeward/internal/warehouse"
)

// uploaded imports an audience of identities in the namespace Email from a CSV text.
func (w *world) uploaded(name, text string) lakeward.Audience {
	w.t.Helper()
	im := engine.Import{Audience: lakeward.Audience{Sandbox: sandbox, Name: name, Namespace: "Email"}, Identity: "mail", Name: name + ".csv"}
	return must[lakeward.Audience](w.t)(w.ImportAudience(w.t.Context(), im, strings.NewReader(text)))
}

// enriched makes a dataflow of audiences with payload columns.
func (w *world) enriched(folder string, mapping []lakeward.Mapping, items ...lakeward.DataflowItem) (lakeward.Dataflow, error) {
	w.t.Helper()
	other := w.flow(lakeward.Destination{Folder: folder}, string(items[0].AudienceID), daily(), named("name", "name"))
	for i := range items {
		items[i].Schedule = daily()
	}
	return w.CreateDataflow(w.t.Context(), lakeward.Dataflow{Name: lakeward.NewID(), Sandbox: sandbox, Mapping: mapping, Items: items}, string(other.DestinationID))
}

// ENR-03, ENR-04: the payload of an upload follows the mapped columns in the files of its audience alone, the last row of a
// profile counts, and a new upload brings new values.
func TestEnrichment(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.people("1,a@x.org,a2@x.org,Ann,30", "2,b@x.org,,Bob,40", "3,c@x.org,,Cid,50")
	list := w.uploaded("list", "voucher,mail,Étage.1\nB1,b@x.org,\"x, y\"\nN1,new@x.org,\nA1,a@x.org,old\nA2,a2@x.org,new\n")
	rule := w.audience("rule", "age < 45")
	flow := must[lakeward.Dataflow](t)(w.enriched("out", []lakeward.Mapping{named("identityMap.Email", "mail"), named("name", "name")},
		lakeward.DataflowItem{AudienceID: list.ID, Enrichment: []string{"Étage.1", "voucher"}}, lakeward.DataflowItem{AudienceID: rule.ID}))
	exports := func() map[string][][]string {
		t.Helper()
		out := map[string][][]string{}
		for _, r := range must[[]lakeward.Run](t)(w.RunDataflow(t.Context(), sandbox, string(flow.ID), nil)) {
			if err := w.Work(t.Context()); err != nil {
				t.Fatal(err)
			}
			r = must[lakeward.Run](t)(w.store.Run(t.Context(), sandbox, string(r.ID)))
			succeeded(t, r)
			out[r.Item] = w.rows(r)
			if v := must[lakeward.Verification](t)(w.VerifyRun(t.Context(), sandbox, string(r.ID))); !v.OK() {
				t.Errorf("verify: %+v", v.Problems)
			}
		}
		return out
	}
	got := exports()
	want := [][]string{{"mail", "name", "Étage_1", "voucher"}, {"a@x.org", "Ann", "new", "A2"}, {"a2@x.org", "Ann", "new", "A2"}, {"b@x.org", "Bob", "x, y", "B1"}, {"new@x.org", "null", "null", "N1"}}
	if diff := cmp.Diff(want, got[string(list.ID)]); diff != "" {
		t.Errorf("the uploaded audience (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([][]string{{"mail", "name"}, {"a@x.org", "Ann"}, {"a2@x.org", "Ann"}, {"b@x.org", "Bob"}}, got[string(rule.ID)]); diff != "" {
		t.Errorf("the other audience (-want +got):\n%s", diff)
	}

	w.uploaded("list", "mail,voucher\nc@x.org,C9\n") // without the other column
	got = exports()
	if diff := cmp.Diff([][]string{{"mail", "name", "Étage_1", "voucher"}, {"c@x.org", "Cid", "null", "C9"}}, got[string(list.ID)]); diff != "" {
		t.Errorf("uploaded again (-want +got):\n%s", diff)
	}
	runs := must[[]lakeward.Run](t)(w.store.Runs(t.Context(), sandbox, flow.ID, 10))
	if i := slices.IndexFunc(runs, func(r lakeward.Run) bool { return r.Item == string(list.ID) && r.Warnings[lakeward.WarnField] == 1 }); i < 0 {
		t.Errorf("MAP-14: nobody is warned of the column that is gone: %+v", runs)
	}

	flow = must[lakeward.Dataflow](t)(w.EditDataflow(t.Context(), sandbox, string(flow.ID), func(d *lakeward.Dataflow) error {
		d.Items[0].Enrichment, d.Items[0].NoEnrichment = []string{"voucher"}, true
		return nil
	}))
	if diff := cmp.Diff([][]string{{"mail", "name"}, {"c@x.org", "Cid"}}, exports()[string(list.ID)]); diff != "" {
		t.Errorf("ENR-03 excluded (-want +got):\n%s", diff)
	}
	named := must[map[string]lakeward.DataFile](t)(w.store.Named(t.Context()))
	checked := must[warehouse.Checked](t)(w.Warehouse().CheckFiles(t.Context(), named, nil))
	if len(checked.Problems) > 0 || !strings.Contains(fmt.Sprint(named), "/payload-0.parquet") {
		t.Errorf("data check: %+v", checked.Problems)
	}
}

// ENR-02, ENR-04, AUD-03: what cannot be added is refused, all at once.
func TestEnrichmentIsChecked(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.people("1,a@x.org,,Ann,30")
	list, plain := w.uploaded("list", "mail,voucher,shop\na@x.org,A1,S\n"), w.uploaded("plain", "mail\na@x.org\n")
	rule := w.audience("rule", "age > 0")
	_, err := w.enriched("out", []lakeward.Mapping{named("name", "VOUCHER"), named("nope", "n")},
		lakeward.DataflowItem{AudienceID: list.ID, Enrichment: []string{"voucher", "shpo", "shop", "shop", "mail"}},
		lakeward.DataflowItem{AudienceID: rule.ID, Enrichment: []string{"voucher"}}, lakeward.DataflowItem{AudienceID: plain.ID, Enrichment: []string{"x"}})
	for _, want := range []string{"mapping/1/source: MAP-1002", `audiences/0/enrichmentAttributes/0: MAP-1003: the enrichment attribute "voucher" has the header of column 1`,
		`audiences/0/enrichmentAttributes/1: MAP-1002: the upload of "list" has no payload column "shpo" (did you mean shop?)`, "audiences/0/enrichmentAttributes/3: MAP-1003: the enrichment attribute \"shop\" stands twice",
		`audiences/0/enrichmentAttributes/4: MAP-1002: the upload of "list" has no payload column "mail"`, `audiences/1/enrichmentAttributes: FLOW-1004: the audience "rule" was not uploaded`, `audiences/2/enrichmentAttributes/0: MAP-1002: the upload of "plain" has no payload column "x" (it has none)`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\ndoes not say\n%s", err, want)
		}
	}
}

// ENR-04: each profile gets its own row, whatever the order and the number of files, in parts and for a selection.
func TestEnrichmentOfManyRows(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	const n = 9000
	var people []string
	for i := range n {
		people = append(people, fmt.Sprintf("%d,m%d@x.org,,n%d,%d", i, i, i, i%90))
	}
	w.people(people...)
	list := "mail,value\n"
	for i := range n { // in another order than the profiles
		k := (i*7919 + 13) % n
		list += fmt.Sprintf("m%d@x.org,v%d\n", k, k)
	}
	a := w.uploaded("list", list)
	mapping := []lakeward.Mapping{{Source: "name", Target: "name"}, {Source: "iif(age < 30, nullify(), name)", SourceType: lakeward.ExpressionSource, Target: "must", Mandatory: true}}
	flow := must[lakeward.Dataflow](t)(w.enriched("out", mapping, lakeward.DataflowItem{AudienceID: a.ID, Enrichment: []string{"value"}}))
	r := w.export(flow)
	succeeded(t, r)
	rows := w.rows(r)[1:]
	if len(rows) != n/3*2 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, row := range rows {
		if row[0][1:] != row[2][1:] {
			t.Fatalf("row %v has the payload of another profile", row)
		}
	}
}
