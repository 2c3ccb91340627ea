package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/store"
)

// CNS-03, CNS-04: a run notes whom it leaves out, and begins with whom the run of its baseline left out; these are forgotten
// with the memberships.
func TestWithheld(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_000).UTC()
	incremental := lakeward.Plan{Dataflow: lakeward.Dataflow{Items: []lakeward.DataflowItem{{AudienceID: "a", Schedule: lakeward.Schedule{Mode: lakeward.IncrementalExport}}}}}
	for _, test := range []struct {
		name string
		need []string // statements, behind a run b that ended at generation 5 and is the baseline
		to   int64
		end  string
		want string // start and end, - for what is not known
	}{
		{name: "nobody", to: 7, want: `"" ""`},
		{name: "since the baseline", need: []string{`INSERT INTO withheld VALUES ('b', 'x', 'old')`}, to: 7, end: "new", want: `"old" "new"`},
		{name: "at the generation of the baseline", need: []string{`INSERT INTO withheld VALUES ('b', 'x', 'old')`}, to: 5, end: "old", want: `"old" "old"`},
		{name: "before the baseline", need: []string{`INSERT INTO withheld VALUES ('b', 'x', 'old')`}, to: 4, end: "older", want: `"older" "older"`},
		{name: "after a run that is not known", need: []string{`INSERT INTO withheld VALUES ('b', 'x', NULL)`}, to: 7, end: "new", want: `- "new"`},
		{name: "after a run that is gone", need: []string{`UPDATE flow_item SET baseline_run = 'gone'`}, to: 7, end: "new", want: `- "new"`},
		{name: "without a baseline", need: []string{`UPDATE flow_item SET baseline_generation = NULL, baseline_run = NULL`, `INSERT INTO withheld VALUES ('b', 'x', 'old')`}, to: 7, end: "new", want: `"" "new"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := open(t, store.Memory, store.NewKEK())
			history(t, s)
			for _, q := range append([]string{`INSERT INTO flow_item (sandbox, flow, item, baseline_generation, baseline_run) VALUES ('prod', 'f', 'a', 5, 'b')`,
				`INSERT INTO run (id, sandbox, flow, item, slot, state, phase, attempt, rev, to_generation, scheduled_at, created_at, counts, warnings, manifest, owed)
				VALUES ('b', 'prod', 'f', 'a', 'at:0', 'succeeded', 'booked', 1, 0, 5, 0, 0, '{}', '{}', '', 0)`}, test.need...) {
				if err := s.Exec(t.Context(), q); err != nil {
					t.Fatal(err)
				}
			}
			r := lakeward.NewRun(lakeward.Dataflow{ID: "f", Sandbox: "prod"}, "a", lakeward.ScheduledSlot(at), at, at)
			queued, err := s.QueueRun(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			if _, ok, err := s.Withheld(t.Context(), &queued); ok || err != nil {
				t.Errorf("before it was pinned: %v, %v", ok, err)
			}
			if err := s.PinRun(t.Context(), &queued, at, incremental, test.to, lakeward.Bitmap(test.end)); err != nil {
				t.Fatal(err)
			}
			w, ok, err := s.Withheld(t.Context(), &queued)
			if got := text(w.Start, w.StartUnknown) + " " + text(w.End, w.EndUnknown); got != test.want || !ok || err != nil {
				t.Errorf("Withheld: %s, %v, %v, want %s", got, ok, err, test.want)
			}
			later := at.Add(time.Second)
			queued.GeneratedAt = &later
			if _, ok, err := s.Withheld(t.Context(), &queued); ok || err != nil {
				t.Errorf("a preview with the id of the run: %v, %v", ok, err)
			}
		})
	}
}

func text(b lakeward.Bitmap, unknown bool) string {
	if unknown {
		return "-"
	}
	return fmt.Sprintf("%q", b)
}

// A window begins behind the run of the baseline, whatever else ended at its generation; of others the latest counts that is
// known.
func TestWithheldAtAGeneration(t *testing.T) {
	s := open(t, store.Memory, store.NewKEK())
	for i, id := range []string{"a", "b", "c", "d"} {
		if err := s.Exec(t.Context(), `INSERT INTO run (id, sandbox, flow, item, slot, state, phase, attempt, rev, to_generation, scheduled_at, created_at, counts, warnings, manifest, owed)
			VALUES ($1, 'prod', 'f', 'a', $1, 'succeeded', 'booked', 1, 0, 5, 0, $2, '{}', '{}', '', 0)`, id, i); err != nil {
			t.Fatal(err)
		}
	}
	for _, step := range []struct{ do, want string }{
		{`INSERT INTO withheld VALUES ('a', 'x', 'of a'), ('b', 'x', 'of b'), ('c', 'x', 'of c'), ('d', NULL, NULL)`, `"of c"`},
		{`INSERT INTO flow_item (sandbox, flow, item, baseline_generation, baseline_run) VALUES ('prod', 'f', 'a', 5, 'b')`, `"of b"`},
		{`UPDATE flow_item SET baseline_run = 'd'`, "-"},
		{`UPDATE run SET state = 'failed'`, ""},
	} {
		if err := s.Exec(t.Context(), step.do); err != nil {
			t.Fatal(err)
		}
		w, ok, err := s.WithheldAt(t.Context(), "f", "a", 5)
		if got := text(w.End, w.EndUnknown); ok != (step.want != "") || ok && got != step.want || err != nil {
			t.Errorf("%s: %s, %v, %v, want %s", step.do, got, ok, err, step.want)
		}
	}
}

// Whom a run left out is kept as long as a window may begin or end with it.
func TestWithheldIsForgotten(t *testing.T) {
	for state, want := range map[string][3]bool{"succeeded": {false, false, true}, "queued": {true, true, true}} {
		s := open(t, store.Memory, store.NewKEK())
		history(t, s)
		for i, to := range []int64{2, 4, 7} {
			id := fmt.Sprint("r", to)
			if err := s.Exec(t.Context(), `INSERT INTO run (id, sandbox, flow, item, slot, state, phase, attempt, rev, to_generation, scheduled_at, created_at, counts, warnings, manifest, owed)
				VALUES ($1, 'prod', 'f', 'a', $1, $2, 'pinned', 1, 0, $3, 0, 0, '{}', '{}', '', 0)`, id, state, to); err != nil {
				t.Fatal(err)
			}
			if err := s.Exec(t.Context(), `INSERT INTO withheld VALUES ($1, 'x', $2)`, id, []byte{byte(i + 1)}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.Forget(t.Context(), "prod", nil); err != nil {
			t.Fatal(err)
		}
		for i, to := range []int64{2, 4, 7} {
			if err := s.Exec(t.Context(), `UPDATE run SET state = 'succeeded'`); err != nil {
				t.Fatal(err)
			}
			w, ok, err := s.WithheldAt(t.Context(), "f", "a", to)
			if got := len(w.End) > 0; got != want[i] || w.EndUnknown || !ok || err != nil {
				t.Errorf("%s, generation %d: kept %v, want %v; %+v, %v, %v", state, to, got, want[i], w, ok, err)
			}
		}
	}
}

// Of many runs at generations that are kept only the latest keep whom they left out, and those that a window may begin with.
func TestWithheldOfManyRuns(t *testing.T) {
	s := open(t, store.Memory, store.NewKEK())
	history(t, s)
	const runs = 105
	for i := range runs {
		id, state := fmt.Sprintf("r%03d", i), "succeeded"
		if i == 1 {
			state = "blocked"
		}
		for _, q := range []string{`INSERT INTO run (id, sandbox, flow, item, slot, state, phase, attempt, rev, to_generation, scheduled_at, created_at, counts, warnings, manifest, owed)
			VALUES ($1, 'prod', 'f', 'a', $1, '` + state + `', 'pinned', 1, 0, 7, 0, ` + fmt.Sprint(i) + `, '{}', '{}', '', 0)`, `INSERT INTO withheld VALUES ($1, 'x', 'y')`} {
			if err := s.Exec(t.Context(), q, id); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := s.Exec(t.Context(), `INSERT INTO flow_item (sandbox, flow, item, baseline_generation, baseline_run) VALUES ('prod', 'f', 'a', 7, 'r000')`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Forget(t.Context(), "prod", nil); err != nil {
		t.Fatal(err)
	}
	var lost []string
	for i := range runs {
		id := fmt.Sprintf("r%03d", i)
		at := time.UnixMilli(0)
		if err := s.Exec(t.Context(), `UPDATE run SET plan = '{}', generated_at = 0 WHERE id = $1`, id); err != nil {
			t.Fatal(err)
		}
		w, ok, err := s.Withheld(t.Context(), &lakeward.Run{ID: lakeward.RunID(id), ToGeneration: 7, GeneratedAt: &at})
		if !ok || err != nil {
			t.Fatalf("%s: %v, %v", id, ok, err)
		}
		if w.EndUnknown {
			lost = append(lost, id)
		}
	}
	if want := []string{"r002", "r003", "r004"}; !slices.Equal(lost, want) {
		t.Errorf("lost: %q, want %q", lost, want)
	}
}
