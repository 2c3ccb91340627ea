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
	w.profileDataset("consents", optOutsJSON)
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

// DLV-81, CASE-17, CNS-04: a run that a restored database does not know was delivered; whom it left out is found out again, so
// that the next one tells nothing twice. If nobody can tell any more it tells every member anew, and who left.
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
				var preview bytes.Buffer
				if _, err := w.PreviewDataflow(t.Context(), engine.Preview{Sandbox: sandbox, Dataflow: string(flow.ID), Rows: 10}, &preview); err != nil || strings.Count(preview.String(), "\n") != 1+len(want) {
					t.Errorf("preview %q, %v", preview.String(), err)
				}
				next := w.slot(flow)
				equal(t, "next", w.lines(next), want)
				for id, o := range map[string]lakeward.Outcome{"1": map[bool]lakeward.Outcome{false: lakeward.WasUnchanged, true: lakeward.WasWritten}[gone], "2": lakeward.WasWritten, "3": lakeward.WasWrittenExited} {
					same(t, "outcome of "+id, w.outcome(next, id).Outcome, o)
				}
				equal(t, "quiet", w.lines(w.slot(flow)), []string{})
			})
		})
	}
}

// CNS-03, RUN-10: consent is asked for when the run is pinned, also if its members are those of an earlier generation, and
// under whatever number the profile is known now.
func TestOptOutAfterTheEvaluationOfARun(t *testing.T) {
	for _, test := range []struct {
		name string
		opt  func(w *world)
		want []string
	}{
		{"nobody", func(w *world) { w.opt("in", "1") }, []string{"1", "2", "3"}},
		{"the profile itself", func(w *world) { w.opt("out", "2") }, []string{"1", "3"}},
		{"who carries it on", func(w *world) {
			w.upload("3,b@x.org,,P3,30") // joins 3 with 2
			w.opt("out", "3")
		}, []string{"1"}},
		{"who carries it on and was no member", func(w *world) {
			w.upload("0,o@x.org,b@x.org,P0,30")
			w.opt("out", "0")
		}, []string{"1", "3"}},
		{"who carries on those", func(w *world) {
			w.upload("3,b@x.org,,P3,30")
			w.upload("2,a@x.org,,P2,30")
			w.opt("out", "3")
		}, []string{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, at(12), func(t *testing.T, w *world) {
				w.people("0,o@x.org,,P0,10", "1,a@x.org,,P1,30", "2,b@x.org,,P2,30", "3,c@x.org,,P3,30")
				w.stitched()
				w.consents()
				w.audience("adults", "age >= 18")
				flow := w.flow(lakeward.Destination{Folder: "out"}, "adults", afterEvaluation(time.Now()), named("id", "id"))
				w.evaluate()
				test.opt(w)
				time.Sleep(48 * time.Hour)
				w.work(flow)
				r := w.newest(flow)
				succeeded(t, r)
				equal(t, "members", w.lines(r), test.want)
				same(t, "without consent", r.Counts.ExcludedConsent, 3-int64(len(test.want)))
			})
		})
	}
}

// stitched lets profiles be joined by their identities.
func (w *world) stitched() {
	w.t.Helper()
	graph := lakeward.PrivateGraph
	must[lakeward.MergePolicy](w.t)(w.EditMergePolicy(w.t.Context(), sandbox, "", engine.MergePolicyEdit{Stitching: &graph}))
}

// CNS-04, DLV-121: who was told, and is joined with somebody who has opted out, exits under the number that is left, once.
func TestJoinedWithWhoOptedOut(t *testing.T) {
	for _, uploaded := range []bool{false, true} {
		t.Run(fmt.Sprintf("uploaded %v", uploaded), func(t *testing.T) {
			inBubble(t, at(12), func(t *testing.T, w *world) {
				w.people("1,a@x.org,,P1,30", "2,b@x.org,,P2,30", "3,c@x.org,,P3,30", "4,d@x.org,,P4,10")
				w.stitched()
				w.consents()
				w.opt("out", "1", "4")
				if uploaded {
					w.listed("adults", "1", "2", "3")
				} else {
					w.audience("adults", "age >= 18")
				}
				flow := w.flow(lakeward.Destination{Folder: "out"}, "adults", every3h(), named("identityMap.Email", "mail"), named(statusField, "status"))
				untold := w.flow(lakeward.Destination{Folder: "untold"}, "adults", every3h(), named("identityMap.Email", "mail"))
				equal(t, "backfill", w.lines(w.slot(flow)), []string{"b@x.org realized", "c@x.org realized"})
				w.upload("2,b@x.org,a@x.org,P2,30")
				w.evaluate()
				r := w.slot(flow)
				equal(t, "joined", w.lines(r), []string{"b@x.org exited", "a@x.org exited"})
				equal(t, "joined, without status", w.lines(w.newest(untold)), []string{})
				for id, o := range map[string]lakeward.Outcome{"1": lakeward.WasWrittenExited, "3": lakeward.WasUnchanged, "4": lakeward.WasNoMember} {
					same(t, "outcome of "+id, w.outcome(r, id).Outcome, o)
				}
				same(t, "outcome without status", w.outcome(w.newest(untold), "2").Outcome, map[bool]lakeward.Outcome{false: lakeward.WasLeftUntold, true: lakeward.WasOptedOut}[uploaded])
				equal(t, "quiet", w.lines(w.slot(flow)), []string{})
				w.opt("in", "1")
				w.evaluate()
				equal(t, "in again", w.lines(w.slot(flow)), []string{"b@x.org realized", "a@x.org realized"})
				equal(t, "full", w.lines(w.export(flow)), []string{"b@x.org realized", "a@x.org realized", "c@x.org realized"})
			})
		})
	}
}

// The same where the survivor opts out between the evaluation of the slot and its run.
func TestJoinedAndOptedOutBeforeTheRun(t *testing.T) {
	inBubble(t, at(12), func(t *testing.T, w *world) {
		w.people("1,a@x.org,,P1,10", "2,b@x.org,,P2,30", "3,c@x.org,,P3,30")
		w.stitched()
		w.consents()
		w.audience("adults", "age >= 18")
		w.restart(func() { w.cfg.RetryWindow = 2 * time.Hour })
		flow := w.flow(lakeward.Destination{Folder: "out"}, "adults", every3h(), named("identityMap.Email", "mail"), named(statusField, "status"))
		flow = w.edit(flow, func(d *lakeward.Dataflow) { d.EvaluateFirst = true })
		equal(t, "backfill", w.lines(w.slot(flow)), []string{"b@x.org realized", "c@x.org realized"})
		w.upload("1,a@x.org,b@x.org,P1,30")
		disarm := w.lake.Arm(emulator.Fault{Op: "read", Do: emulator.Status, Code: 503})
		waits := w.slot(flow)
		if waits.State != lakeward.Retrying || waits.Phase != lakeward.PhaseNew || waits.ToGeneration == 0 {
			t.Fatalf("the run is %s in phase %s at generation %d", waits.State, waits.Phase, waits.ToGeneration)
		}
		disarm()
		w.opt("out", "1")
		if err := errors.Join(w.store.ResumeRuns(t.Context(), time.Now(), flow.ID), w.Work(t.Context())); err != nil {
			t.Fatal(err)
		}
		r := w.newest(flow)
		succeeded(t, r)
		equal(t, "joined", w.lines(r), []string{"a@x.org exited", "b@x.org exited"})
		same(t, "outcome", w.outcome(r, "1").Outcome, lakeward.WasWrittenExited)
		equal(t, "quiet", w.lines(w.slot(flow)), []string{})
		if err := w.store.SetWithheld(t.Context(), r.ID, lakeward.Withheld{StartUnknown: true, EndUnknown: true}); err != nil {
			t.Fatal(err)
		}
		same(t, "outcome, when nobody knows any more", w.outcome(r, "1").Outcome, lakeward.WasForgotten)
		_, err := w.ExportToFolder(t.Context(), engine.FolderExport{Sandbox: sandbox, Dataflow: string(flow.ID), Since: &r.ToGeneration, To: filepath.Join(t.TempDir(), "to")})
		same(t, "export since then", lakeward.CodeOf(err), "DATA-1007")
	})
}

// Since a generation whose values are gone, and at which no run ended, nobody can tell who had opted out; without a field for
// it the memberships are enough.
func TestExportSinceAGenerationWithoutValues(t *testing.T) {
	for _, field := range []bool{false, true} {
		t.Run(fmt.Sprintf("with a field %v", field), func(t *testing.T) {
			inBubble(t, at(12), func(t *testing.T, w *world) {
				w.people("1,a@x.org,,P1,30", "2,b@x.org,,P2,30")
				if field {
					w.consents()
					w.opt("out", "1")
				}
				w.audience("adults", "age >= 18")
				flow := w.flow(lakeward.Destination{Folder: "out"}, "adults", every3h(), named("id", "id"), named(statusField, "status"))
				w.upload("2,b@x.org,,P2,31")
				since := must[int64](t)(w.head())
				if field {
					w.opt("out", "2")
				} else {
					w.upload("2,b@x.org,,P2,32")
				}
				_, runs := w.toFolder(flow, &since)
				same(t, "rows while the values are there", runs[0].Counts.Rows, map[bool]int64{true: 1}[field])
				w.compact(true)
				_, err := w.ExportToFolder(t.Context(), engine.FolderExport{Sandbox: sandbox, Dataflow: string(flow.ID), Since: &since, To: filepath.Join(t.TempDir(), "to")})
				if field != (lakeward.CodeOf(err) == "DATA-1007") || !field && err != nil {
					t.Error(err)
				}
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
		"inside a list of lists":  {`"orders": {"type": "array", "items": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "object", "properties": {"privacyOptOuts": {"type": "string"}}}}}}}`, "SCHEMA-1009"},
		"inside an object":        {`"xEvent": {"type": "object", "properties": {"a²": {"type": "object", "properties": {"privacyOptOuts": {"type": "array", "items": ` + entry + `}}}}}`, ""},
	} {
		fields := must[[]lakeward.Field](t)(lakeward.ParseSchema([]byte(`{"properties": {"id": {"type": "string", "identity": {"namespace": "ECID", "primary": true}}, `+test.field+`}}`), ""))
		_, err := w.CreateSchema(t.Context(), lakeward.Schema{Sandbox: sandbox, Name: name, Class: lakeward.RecordClass, Profile: true, Fields: fields})
		if lakeward.CodeOf(err) != test.code {
			t.Errorf("%s: %v, want code %q", name, err, test.code)
		}
	}
	at, text := lakeward.Field{Name: "timestamp", Type: lakeward.TypeDateTime}, lakeward.Field{Name: "privacyOptOuts", Type: lakeward.TypeString}
	id := lakeward.Field{Name: "id", Type: lakeward.TypeString, Identity: &lakeward.FieldIdentity{Namespace: "ECID", Primary: true}}
	for name, test := range map[string]struct {
		schema lakeward.Schema
		code   string
	}{
		"of events":             {lakeward.Schema{Class: lakeward.EventClass, Profile: true, Fields: []lakeward.Field{id, at, text}}, "SCHEMA-1009"},
		"of no profile":         {lakeward.Schema{Class: lakeward.RecordClass, Fields: []lakeward.Field{id, text}}, ""},
		"of events of nobody's": {lakeward.Schema{Class: lakeward.EventClass, Fields: []lakeward.Field{id, at, text}}, ""},
	} {
		test.schema.Sandbox, test.schema.Name = sandbox, name
		if _, err := w.CreateSchema(t.Context(), test.schema); lakeward.CodeOf(err) != test.code {
			t.Errorf("%s: %v, want code %q", name, err, test.code)
		}
	}
	// Both fields count, also the one whose name is none of a rule.
	must[lakeward.Dataset](t)(w.CreateDataset(t.Context(), lakeward.Dataset{Sandbox: sandbox, Name: "a"}, "as it should be"))
	must[lakeward.Dataset](t)(w.CreateDataset(t.Context(), lakeward.Dataset{Sandbox: sandbox, Name: "b"}, "inside an object"))
	out := `[{"optOutType":"general_opt_out","optOutValue":"out"}]`
	w.records("a", `{"id":"1","privacyOptOuts":`+out+`}`, `{"id":"3"}`)
	w.records("b", `{"id":"2","xEvent":{"a²":{"privacyOptOuts":`+out+`}}}`)
	if n, all, err := w.Estimate(t.Context(), sandbox, `id != ""`, nil); n != 1 || all != 3 || err != nil {
		t.Errorf("Estimate: %d of %d, %v, want 1 of 3", n, all, err)
	}
}
