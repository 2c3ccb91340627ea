package engine_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/lake/emulator"
	"github.com/lakeward/lakeward/internal/lake/emulator/emulatortest"
)

const (
	statusField    = "segmentMembership.seg_namespace.seg_id.status"
	qualifiedField = "segmentMembership.seg_namespace.seg_id.lastQualificationTime"
)

// every3h is an incremental schedule from tomorrow on.
func every3h() lakeward.Schedule {
	s := daily()
	s.Mode, s.Frequency = lakeward.IncrementalExport, lakeward.Every3Hours
	return s
}

// slot sleeps until the next slot of a dataflow's first audience, performs its run and returns it.
func (w *world) slot(flow lakeward.Dataflow) lakeward.Run {
	w.t.Helper()
	ctx := context.Background()
	next := must[*time.Time](w.t)(w.store.NextSlot(ctx, flow.ID, string(flow.Items[0].AudienceID)))
	time.Sleep(time.Until(*next))
	if err := w.Tick(ctx, time.Now().UTC()); err != nil {
		w.t.Fatal(err)
	}
	if err := w.Work(ctx); err != nil {
		w.t.Fatal(err)
	}
	return w.newest(flow)
}

// newest is the newest run of a dataflow that was not skipped.
func (w *world) newest(flow lakeward.Dataflow) lakeward.Run {
	w.t.Helper()
	for _, r := range must[[]lakeward.Run](w.t)(w.store.Runs(context.Background(), sandbox, flow.ID, 1000)) {
		if r.State != lakeward.Skipped {
			return r
		}
	}
	w.t.Fatal("there is no run")
	return lakeward.Run{}
}

func (w *world) evaluate() {
	w.t.Helper()
	must[[]lakeward.Audience](w.t)(w.Evaluate(context.Background(), sandbox, nil, nil))
}

// lines are the rows of a run's files, each joined, without the header.
func (w *world) lines(r lakeward.Run) []string {
	w.t.Helper()
	out := []string{}
	for i, row := range w.rows(r) {
		if i > 0 {
			out = append(out, strings.Join(row, " "))
		}
	}
	return out
}

// E-8, RUN-03 to RUN-07, SCH-08, DLV-121: after the backfill P1 enters, P2 leaves, P3 gets a new identity, P4 changes an
// attribute. Who comes and goes within the window is not told.
func TestIncrementalContent(t *testing.T) {
	inBubble(t, at(12), func(t *testing.T, w *world) {
		w.people("1,a@x.org,,P1,10", "2,b@x.org,,P2,30", "3,c@x.org,,P3,30", "4,d@x.org,,P4,30", "5,e@x.org,,P5,10")
		w.audience("adults", "age >= 18")
		with := w.flow(lakeward.Destination{Folder: "with", Manifest: true}, "adults", every3h(), named("id", "id"), named(statusField, "status"), named("name", "name"))
		without := w.flow(lakeward.Destination{Folder: "without"}, "adults", every3h(), named("id", "id"))
		equal(t, "backfill", w.lines(w.slot(with)), []string{"2 realized P2", "3 realized P3", "4 realized P4"})
		equal(t, "backfill without status", w.lines(w.newest(without)), []string{"2", "3", "4"})

		w.upload("5,e@x.org,,P5,30")
		w.evaluate() // P5 is a member for a while
		w.upload("1,a@x.org,,P1,30", "2,b@x.org,,P2,10", "3,c@x.org,more@x.org,P3,30", "4,d@x.org,,Gold,31", "5,e@x.org,,P5,10")
		w.evaluate()
		r := w.slot(with)
		succeeded(t, r)
		equal(t, "window", w.lines(r), []string{"1 realized P1", "2 exited P2", "3 realized P3"})
		equal(t, "window without status", w.lines(w.newest(without)), []string{"1", "3"})
		if r.FromGeneration == nil || *r.FromGeneration >= r.ToGeneration || r.Counts.Received != 3 || r.Counts.Activated != 3 {
			t.Errorf("window from %v to %d, counts %+v", r.FromGeneration, r.ToGeneration, r.Counts)
		}

		times := w.flow(lakeward.Destination{Folder: "times"}, "adults", every3h(), named("id", "id"), named(statusField, "status"), named(qualifiedField, "at"))
		w.slot(times)
		w.upload("3,c@x.org,more@x.org,P3,10")
		left := time.Now().UTC()
		w.evaluate()
		equal(t, "time of exit", w.lines(w.slot(times)), []string{"3 exited " + left.Format("2006-01-02T15:04:05.000Z")})

		// D12: nothing to tell gives no file, and a manifest that says so.
		quiet := w.slot(with)
		succeeded(t, quiet)
		if len(quiet.Files) != 0 || quiet.Manifest == "" || *quiet.FromGeneration != quiet.ToGeneration {
			t.Errorf("files %+v, manifest %q, window (%d, %d]", quiet.Files, quiet.Manifest, *quiet.FromGeneration, quiet.ToGeneration)
		}
	})
}

// RUN-08, D13, DLV-122, INV-10: a run that fails moves nothing, so that the next one covers its window too; an export by
// hand is full and moves nothing either (D33).
func TestFailedRunWidensTheNextWindow(t *testing.T) {
	inBubble(t, at(12), func(t *testing.T, w *world) {
		w.people("1,a@x.org,,P1,30", "2,b@x.org,,P2,10", "3,c@x.org,,P3,10")
		w.audience("adults", "age >= 18")
		flow := w.flow(lakeward.Destination{Folder: "out"}, "adults", every3h(), named("id", "id"), named(statusField, "status"))
		first := w.slot(flow)
		w.upload("2,b@x.org,,P2,30")
		w.evaluate()
		disarm := w.lake.Arm(emulator.Fault{Op: "flush", Do: emulator.Status, Code: 403})
		failed := w.slot(flow)
		if failed.State != lakeward.Failed {
			t.Fatalf("the run is %s", failed.State)
		}
		disarm()
		w.upload("3,c@x.org,,P3,30", "1,a@x.org,,P1,10")
		w.evaluate()
		byHand := w.export(flow)
		succeeded(t, byHand)
		if byHand.FromGeneration != nil {
			t.Errorf("the export by hand begins at %d", *byHand.FromGeneration)
		}
		equal(t, "by hand", w.lines(byHand), []string{"2 realized", "3 realized"})
		w.compact(true) // the memberships of the baseline stay
		second := w.slot(flow)
		succeeded(t, second)
		equal(t, "second", w.lines(second), []string{"1 exited", "2 realized", "3 realized"})
		if *second.FromGeneration != first.ToGeneration {
			t.Errorf("INV-10: the second window begins at %d, the first ended at %d", *second.FromGeneration, first.ToGeneration)
		}
		if b := must[*int64](t)(w.store.Baseline(t.Context(), flow.ID, string(flow.Items[0].AudienceID))); *b != second.ToGeneration {
			t.Errorf("INV-12: the baseline is %d, want %d", *b, second.ToGeneration)
		}
	})
}

// step is one thing of a history.
type step struct {
	Kind string // upload, evaluate, list, in, out, slot, fail, compact
	Rows []string
}

func drawHistory(t *rapid.T) []step {
	kinds := []string{"upload", "upload", "evaluate", "evaluate", "list", "in", "in", "out", "out", "slot", "slot", "slot", "fail", "compact"}
	var out []step
	for range rapid.IntRange(3, 25).Draw(t, "steps") {
		s := step{Kind: rapid.SampledFrom(kinds).Draw(t, "kind")}
		switch s.Kind {
		case "list", "in", "out":
			s.Rows = rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"1", "2", "3", "4", "5", "6"}), 1, 5, rapid.ID).Draw(t, "ids")
		case "upload":
			for range rapid.IntRange(1, 4).Draw(t, "rows") {
				id := rapid.IntRange(1, 6).Draw(t, "id")
				s.Rows = append(s.Rows, fmt.Sprintf("%d,%s%d@x.org,,N%d,%d", id, rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "mail"), id,
					rapid.IntRange(0, 9).Draw(t, "name"), rapid.SampledFrom([]int{10, 30}).Draw(t, "age")))
			}
		}
		out = append(out, s)
	}
	return out
}

// RUN-03 to RUN-08, CNS-03 to CNS-05, D13: whatever happened, with failures in between, the files of an audience folded over
// the first full one say who is a member now, with its identities, and that is nobody who has opted out.
func TestFoldedFilesAreTheFullFile(t *testing.T) {
	t.Parallel()
	s := emulatortest.Start(t, emulator.Options{NoSync: true})
	start, histories := at(12), 0
	check := func(t *testing.T, history []step) (folded, full []string) {
		histories++
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, s)
			time.Sleep(time.Until(start))
			folded, full = w.fold(history)
		})
		return folded, full
	}
	if os.Getenv("LAKEWARD_TEST_FULL") != "" {
		rapid.Check(t, func(rt *rapid.T) {
			if folded, full := check(t, drawHistory(rt)); !slices.Equal(folded, full) {
				rt.Fatalf("folded %q, the full file %q", folded, full)
			}
		})
	}
	for seed := range 12 {
		history := rapid.Custom(drawHistory).Example(seed)
		if folded, full := check(t, history); !slices.Equal(folded, full) {
			t.Errorf("history %d: folded %q, the full file %q", seed, folded, full)
		}
	}
	t.Logf("%d histories", histories)
}

// fold plays a history, then returns what all incremental files together say, and what a full one does, of an audience with a
// rule and of an uploaded one.
func (w *world) fold(history []step) (folded, full []string) {
	w.people("1,a1@x.org,,N,30", "2,a2@x.org,,N,10", "3,a3@x.org,,N,30", "4,a4@x.org,,N,30", "5,a5@x.org,,N,10", "6,a6@x.org,,N,10")
	w.consents()
	w.audience("adults", "age >= 18")
	w.listed("listed", "1", "2")
	var flows []lakeward.Dataflow
	states, out := map[string]map[string]string{}, map[string]bool{}
	for _, audience := range []string{"adults", "listed"} {
		flow := w.flow(lakeward.Destination{Folder: lakeward.NewID()}, audience, every3h(), named("id", "id"), named("mail", "mail"), named(statusField, "status"))
		flows = append(flows, flow)
		states[flow.Name] = map[string]string{}
	}
	slot := func(fails bool) {
		w.slot(flows[0])
		for _, flow := range flows {
			r := w.newest(flow)
			if fails { // unless there was nothing to write
				if r.State != lakeward.Succeeded {
					continue
				}
			}
			succeeded(w.t, r)
			for _, line := range w.lines(r) {
				id, rest, _ := strings.Cut(line, " ")
				if states[flow.Name][id] = rest; strings.HasSuffix(rest, " exited") {
					delete(states[flow.Name], id)
				}
			}
		}
	}
	slot(false)
	for _, s := range append(history, step{Kind: "evaluate"}, step{Kind: "slot"}) {
		switch s.Kind {
		case "upload":
			w.upload(s.Rows...)
		case "list":
			w.listed("listed", s.Rows...)
		case "in", "out":
			w.opt(s.Kind, s.Rows...)
			for _, id := range s.Rows {
				out[id] = s.Kind == "out"
			}
		case "evaluate":
			w.evaluate()
		case "compact":
			w.compact(true)
		case "slot":
			slot(false)
		case "fail":
			disarm := w.lake.Arm(emulator.Fault{Op: "flush", Do: emulator.Status, Code: 403})
			slot(true)
			disarm()
		}
	}
	for _, flow := range flows {
		name := string(flow.Items[0].AudienceID) + " "
		for id, rest := range states[flow.Name] {
			folded = append(folded, name+id+" "+rest)
		}
		for _, line := range w.lines(w.export(flow)) {
			full = append(full, name+line)
			if id, _, _ := strings.Cut(line, " "); out[id] {
				w.t.Errorf("%s opted out and is in the full file", id)
			}
		}
	}
	slices.Sort(folded)
	slices.Sort(full)
	return folded, full
}
