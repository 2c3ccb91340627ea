package engine_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/engine"
	"github.com/lakeward/lakeward/internal/lake/emulator"
	"github.com/lakeward/lakeward/internal/lake/emulator/emulatortest"
	"github.com/lakeward/lakeward/internal/store"
	"github.com/lakeward/lakeward/internal/warehouse"
)

const optOutsJSON = `{"properties": {"id": {"type": "string", "identity": {"namespace": "ECID", "primary": true}}, "consent": {"type": "object", "properties": {
  "privacyOptOuts": {"type": "array", "items": {"type": "object", "properties": {"optOutType": {"type": "string"}, "optOutValue": {"type": "string"}, "timestamp": {"type": "string", "format": "date-time"}}}}}}}}`

// consents makes the dataset in which people opt out, beside that of people.
func (w *world) consents() {
	w.t.Helper()
	fields := must[[]lakeward.Field](w.t)(lakeward.ParseSchema([]byte(optOutsJSON), ""))
	must[lakeward.Schema](w.t)(w.CreateSchema(w.t.Context(), lakeward.Schema{Sandbox: sandbox, Name: "consents", Class: lakeward.RecordClass, Profile: true, Fields: fields}))
	must[lakeward.Dataset](w.t)(w.CreateDataset(w.t.Context(), lakeward.Dataset{Sandbox: sandbox, Name: "consents"}, "consents"))
}

// opt stores the answer of people to the question whether their data may be used at all: in or out.
func (w *world) opt(value string, ids ...string) {
	w.t.Helper()
	var lines []string
	for _, id := range ids {
		lines = append(lines, fmt.Sprintf(`{"id":%q,"consent":{"privacyOptOuts":[{"optOutType":"general_opt_out","optOutValue":%q}]}}`, id, value))
	}
	w.records("consents", lines...)
}

// listed makes an uploaded audience of ECIDs, or replaces its members.
func (w *world) listed(name string, ids ...string) {
	w.t.Helper()
	im := engine.Import{Audience: lakeward.Audience{Sandbox: sandbox, Name: name, Namespace: "ECID"}, Identity: "id", Name: name + ".csv"}
	must[lakeward.Audience](w.t)(w.ImportAudience(w.t.Context(), im, strings.NewReader("id\n"+strings.Join(ids, "\n")+"\n")))
}

// CNS-05: a general opt-out takes a profile out of audiences, estimates and exports; other opt-outs do not, unless the
// rule asks for them.
func TestGeneralOptOut(t *testing.T) {
	inBubble(t, at(12), func(t *testing.T, w *world) {
		w.people("0,a@x.org,,P0,30", "1,b@x.org,,P1,30", "2,c@x.org,,P2,30", "3,d@x.org,,P3,30", "4,e@x.org,,P4,30", "5,f@x.org,,P5,30", "6,g@x.org,,P6,30", "7,h@x.org,,P7,30", "8,i@x.org,,P8,10")
		w.consents()
		entry := func(kind, value string) string { return fmt.Sprintf(`{"optOutType":%q,"optOutValue":%q}`, kind, value) }
		in, out, sales := entry("general_opt_out", "in"), entry("general_opt_out", "out"), entry("sales_sharing_opt_out", "out")
		for id, entries := range []string{"null", "[]", "[" + in + "]", "[" + out + "]", "[" + sales + "]", "[" + in + "," + out + "]", "[" + entry("general_opt_out", "pending") + "]", `[{"optOutType":"general_opt_out"},{"optOutValue":"out"}]`, "[" + out + "]"} {
			w.records("consents", fmt.Sprintf(`{"id":"%d","consent":{"privacyOptOuts":%s}}`, id, entries))
		}
		w.audience("adults", "age >= 18")
		others := w.rule("others", `not inSegment("`+string(must[lakeward.Audience](t)(w.store.Audience(t.Context(), sandbox, "adults")).ID)+`")`)
		w.audience("sold", `consent.privacyOptOuts.exists(optOutType = "sales_sharing_opt_out" and optOutValue = "out").isNull() or not consent.privacyOptOuts.exists(optOutType = "sales_sharing_opt_out" and optOutValue = "out")`)
		members := must[[]lakeward.Audience](t)(w.Evaluate(t.Context(), sandbox, []string{others.Name}, nil))
		if b := members[0].Breakdown; b.Realized+b.Existing != 0 {
			t.Errorf("the audience of who is no adult has %+v: the opted out child and no adult who opted out is one", b)
		}
		if n, all, err := w.Estimate(t.Context(), sandbox, "age >= 18", nil); n != 6 || all != 9 || err != nil {
			t.Errorf("Estimate: %d of %d, %v, want 6 of 9", n, all, err)
		}
		flow := w.flow(lakeward.Destination{Folder: "out"}, "adults", daily(), named("id", "id"))
		r := w.export(flow)
		succeeded(t, r)
		equal(t, "members", w.lines(r), []string{"0", "1", "2", "4", "6", "7"})
		equal(t, "by rule", w.lines(w.export(w.flow(lakeward.Destination{Folder: "sold"}, "sold", daily(), named("id", "id")))), []string{"0", "1", "2", "6", "7"})
		if x := w.outcome(r, "3"); x.Outcome != lakeward.WasNoMember || !strings.Contains(strings.Join(x.Facts, " "), "opted out") {
			t.Errorf("the explanation is %+v", x)
		}
		if x := w.outcome(r, "8"); x.Outcome != lakeward.WasNoMember {
			t.Errorf("the explanation is %+v", x)
		}
	})
}

// CNS-03, CNS-04, RUN-06, D29: members of an uploaded audience, or of one that was evaluated before they opted out, are left
// out of each file and counted; in incremental files they exit once, and enter again when they opt in.
func TestOptOutBetweenEvaluationAndRun(t *testing.T) {
	for _, uploaded := range []bool{false, true} {
		t.Run(fmt.Sprintf("uploaded %v", uploaded), func(t *testing.T) {
			inBubble(t, at(12), func(t *testing.T, w *world) {
				w.people("1,a@x.org,,P1,30", "2,b@x.org,,P2,30", "3,c@x.org,,P3,30", "4,d@x.org,,P4,30")
				w.consents()
				if uploaded {
					w.listed("adults", "1", "2", "3", "4")
				} else {
					w.audience("adults", "age >= 18")
				}
				w.opt("out", "1")
				told := w.flow(lakeward.Destination{Folder: "told"}, "adults", every3h(), named("id", "id"), named(statusField, "status"), named(qualifiedField, "at"))
				untold := w.flow(lakeward.Destination{Folder: "untold"}, "adults", every3h(), named("id", "id"))
				slot := func(what string, want, wantUntold []string, excluded, excludedUntold int64) (lakeward.Run, lakeward.Run) {
					t.Helper()
					r := w.slot(told)
					other := w.newest(untold)
					for _, x := range []struct {
						r        lakeward.Run
						want     []string
						excluded int64
					}{{r, want, excluded}, {other, wantUntold, excludedUntold}} {
						succeeded(t, x.r)
						lines := w.lines(x.r)
						for i := range lines {
							if f := strings.Fields(lines[i]); len(f) == 3 {
								lines[i] = f[0] + " " + f[1]
							}
						}
						equal(t, what, lines, x.want)
						if c := x.r.Counts; c.ExcludedConsent != x.excluded || c.Received != x.excluded+int64(len(x.want)) {
							t.Errorf("%s: counts %+v, want %d without consent", what, c, x.excluded)
						}
					}
					return r, other
				}
				first, _ := slot("backfill", []string{"2 realized", "3 realized", "4 realized"}, []string{"2", "3", "4"}, 1, 1)
				same(t, "outcome", w.outcome(first, "1").Outcome, lakeward.WasOptedOut)
				slot("nothing new", []string{}, []string{}, 0, 0)

				w.opt("out", "2")
				r, other := slot("lost", []string{"2 exited"}, []string{}, 0, 1)
				if text := strings.Fields(w.lines(r)[0])[2]; text != r.GeneratedAt.Format("2006-01-02T15:04:05.000Z") {
					t.Errorf("the time of exit is %s, the run is of %s", text, r.GeneratedAt)
				}
				for id, want := range map[string][2]lakeward.Outcome{"1": {lakeward.WasOptedOut, lakeward.WasOptedOut}, "2": {lakeward.WasWrittenExited, lakeward.WasOptedOut}, "3": {lakeward.WasUnchanged, lakeward.WasUnchanged}} {
					if got := [2]lakeward.Outcome{w.outcome(r, id).Outcome, w.outcome(other, id).Outcome}; got != want {
						t.Errorf("profile %s: %v, want %v", id, got, want)
					}
				}
				w.upload("2,b@x.org,other@x.org,P2,31")
				r, _ = slot("a new identity of who is left out", []string{}, []string{}, 1, 1)
				same(t, "outcome", w.outcome(r, "2").Outcome, lakeward.WasOptedOut)

				w.opt("in", "1", "2")
				w.opt("out", "4")
				w.compact(true)
				full := w.export(told)
				same(t, "full", full.Counts.ExcludedConsent, 1)
				r, _ = slot("given again", []string{"1 realized", "2 realized", "4 exited"}, []string{"1", "2"}, 0, 1)
				same(t, "outcome", w.outcome(r, "1").Outcome, lakeward.WasWritten)
				w.compact(true)
				slot("quiet", []string{}, []string{}, 0, 0)

				w.opt("in", "4")
				w.compact(true) // the values of before are gone, what runs noted is not
				dir, runs := w.toFolder(told, &r.ToGeneration)
				text := string(must[[]byte](t)(os.ReadFile(filepath.Join(dir, filepath.FromSlash(runs[0].Files[0].Path)))))
				if !strings.Contains(text, "4,realized") || strings.Count(text, "\n") != 2 {
					t.Errorf("since the generation of the run: %q", text)
				}
				var preview bytes.Buffer
				if _, err := w.PreviewDataflow(t.Context(), engine.Preview{Sandbox: sandbox, Dataflow: string(told.ID), Rows: 10}, &preview); err != nil || preview.String() != text {
					t.Errorf("preview %q, %v, want %q", preview.String(), err, text)
				}
				slot("and again", []string{"4 realized"}, []string{"4"}, 0, 0)
			})
		})
	}
}

// CNS-04, RUN-08: who opted out is told once, whatever failed before; what a run pinned stays, also if somebody opts out
// before it is tried again (S3, RUN-14), and the next one tells it.
func TestOptOutsAndFailedRuns(t *testing.T) {
	inBubble(t, at(12), func(t *testing.T, w *world) {
		w.people("1,a@x.org,,P1,30", "2,b@x.org,,P2,30", "3,c@x.org,,P3,30")
		w.consents()
		w.listed("all", "1", "2", "3")
		flow := w.flow(lakeward.Destination{Folder: "out"}, "all", every3h(), named("id", "id"), named(statusField, "status"))
		equal(t, "backfill", w.lines(w.slot(flow)), []string{"1 realized", "2 realized", "3 realized"})
		w.opt("out", "1")
		disarm := w.lake.Arm(emulator.Fault{Op: "flush", Do: emulator.Status, Code: 403})
		failed := w.slot(flow)
		same(t, "state", failed.State, lakeward.Failed)
		disarm()
		w.opt("out", "2")
		w.compact(true)

		w.restart(func() { w.cfg.RetryWindow = 2 * time.Hour })
		disarm = w.lake.Arm(emulator.Fault{Op: "flush", Do: emulator.Status, Code: 503})
		waits := w.slot(flow)
		same(t, "state", waits.State, lakeward.Retrying)
		disarm()
		w.opt("in", "1")
		w.opt("out", "3")
		w.compact(true)
		if err := errors.Join(w.store.ResumeRuns(t.Context(), time.Now(), flow.ID), w.Work(t.Context())); err != nil {
			t.Fatal(err)
		}
		retried := w.newest(flow)
		succeeded(t, retried)
		equal(t, "retried", w.lines(retried), []string{"1 exited", "2 exited"})
		equal(t, "next", w.lines(w.slot(flow)), []string{"1 realized", "3 exited"})
		equal(t, "quiet", w.lines(w.slot(flow)), []string{})
	})
}

func same[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// DLV-81, CNS-04: a run that a restored database does not know was delivered; whom it left out is found out again, and if
// nobody can tell any more the next run tells every member anew.
func TestOptOutsInARestoredDatabase(t *testing.T) {
	for _, gone := range []bool{false, true} {
		t.Run(fmt.Sprintf("values gone %v", gone), func(t *testing.T) {
			inBubble(t, at(12), func(t *testing.T, w *world) {
				path, kek := filepath.Join(t.TempDir(), "lakeward.db"), store.NewKEK()
				root := must[*os.Root](t)(os.OpenRoot(w.dir))
				defer func() { _ = root.Close() }()
				open := func() {
					t.Helper()
					w.Engine.Close()
					if err := w.store.Close(); err != nil {
						t.Fatal(err)
					}
					w.store = must[*store.Store](t)(store.Open(t.Context(), path, kek))
					w.cfg.Store, w.cfg.Warehouse = w.store, warehouse.New(root, w.store)
					w.Engine = engine.New(w.cfg)
				}
				open()
				w.people("1,a@x.org,,P1,30", "2,b@x.org,,P2,30", "3,c@x.org,,P3,30")
				w.consents()
				w.listed("all", "1", "2", "3")
				w.opt("out", "2")
				flow := w.flow(lakeward.Destination{Folder: "out"}, "all", every3h(), named("id", "id"), named(statusField, "status"))
				open()
				backup := must[[]byte](t)(os.ReadFile(path))
				equal(t, "delivered", w.lines(w.slot(flow)), []string{"1 realized", "3 realized"})
				w.Engine.Close()
				if err := w.store.Close(); err != nil {
					t.Fatal(err)
				}
				for _, f := range must[[]string](t)(filepath.Glob(path + "*")) {
					if err := os.Remove(f); err != nil {
						t.Fatal(err)
					}
				}
				if err := os.WriteFile(path, backup, 0o600); err != nil {
					t.Fatal(err)
				}
				open()
				if gone {
					w.upload("1,a@x.org,,P1,31")
					w.compact(true)
				}
				found := w.slot(flow)
				succeeded(t, found)
				w.opt("in", "2")
				w.opt("out", "3")
				want := []string{"2 realized", "3 exited"}
				if gone {
					want = []string{"1 realized", "2 realized", "3 exited"}
				}
				next := w.slot(flow)
				equal(t, "next", w.lines(next), want)
				for id, o := range map[string]lakeward.Outcome{"2": lakeward.WasWritten, "3": lakeward.WasWrittenExited} {
					same(t, "outcome of "+id, w.outcome(next, id).Outcome, o)
				}
				if o := w.outcome(next, "1").Outcome; gone != (o == lakeward.WasWritten) {
					t.Errorf("outcome of 1: %s", o)
				}
				equal(t, "quiet", w.lines(w.slot(flow)), []string{})
			})
		})
	}
}

// A field with the name of opt-outs holds opt-outs, or nobody would notice that they do not count.
func TestShapeOfOptOuts(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	const entry = `{"type": "object", "properties": {"optOutType": {"type": "string"}, "optOutValue": {"type": "string"}}}`
	for name, test := range map[string]struct{ field, code string }{
		"as it should be":         {`"privacyOptOuts": {"type": "array", "items": ` + entry + `}`, ""},
		"one object":              {`"privacyOptOuts": ` + entry, "SCHEMA-1009"},
		"a map":                   {`"privacyOptOuts": {"type": "object", "additionalProperties": ` + entry + `}`, "SCHEMA-1009"},
		"without the value":       {`"privacyOptOuts": {"type": "array", "items": {"type": "object", "properties": {"optOutType": {"type": "string"}}}}`, "SCHEMA-1009"},
		"a value of another type": {`"privacyOptOuts": {"type": "array", "items": {"type": "object", "properties": {"optOutType": {"type": "string"}, "optOutValue": {"type": "boolean"}}}}`, "SCHEMA-1009"},
		"texts":                   {`"privacyOptOuts": {"type": "array", "items": {"type": "string"}}`, "SCHEMA-1009"},
		"inside a list":           {`"orders": {"type": "array", "items": {"type": "object", "properties": {"privacyOptOuts": {"type": "array", "items": ` + entry + `}}}}`, "SCHEMA-1009"},
		"inside an object":        {`"from": {"type": "object", "properties": {"privacyOptOuts": {"type": "array", "items": ` + entry + `}}}`, ""},
	} {
		fields := must[[]lakeward.Field](t)(lakeward.ParseSchema([]byte(`{"properties": {"id": {"type": "string", "identity": {"namespace": "ECID", "primary": true}}, `+test.field+`}}`), ""))
		_, err := w.CreateSchema(t.Context(), lakeward.Schema{Sandbox: sandbox, Name: name, Class: lakeward.RecordClass, Profile: true, Fields: fields})
		if lakeward.CodeOf(err) != test.code {
			t.Errorf("%s: %v, want code %q", name, err, test.code)
		}
	}
	// Both fields count, the one under a word of the language too.
	must[lakeward.Dataset](t)(w.CreateDataset(t.Context(), lakeward.Dataset{Sandbox: sandbox, Name: "a"}, "as it should be"))
	must[lakeward.Dataset](t)(w.CreateDataset(t.Context(), lakeward.Dataset{Sandbox: sandbox, Name: "b"}, "inside an object"))
	out := `[{"optOutType":"general_opt_out","optOutValue":"out"}]`
	w.records("a", `{"id":"1","privacyOptOuts":`+out+`}`, `{"id":"3"}`)
	w.records("b", `{"id":"2","from":{"privacyOptOuts":`+out+`}}`)
	if n, all, err := w.Estimate(t.Context(), sandbox, `id != ""`, nil); n != 1 || all != 3 || err != nil {
		t.Errorf("Estimate: %d of %d, %v, want 1 of 3", n, all, err)
	}
}
