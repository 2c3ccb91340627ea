package engine_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/lake/emulator"
)

// afterEvaluation is a schedule without times of its own, from the given day on.
func afterEvaluation(day time.Time) lakeward.Schedule {
	return lakeward.Schedule{Mode: lakeward.FullExport, Frequency: lakeward.Daily, Trigger: lakeward.AfterEvaluation, StartDate: day.Format("2006-01-02")}
}

func (w *world) edit(flow lakeward.Dataflow, change func(*lakeward.Dataflow)) lakeward.Dataflow {
	w.t.Helper()
	return must[lakeward.Dataflow](w.t)(w.EditDataflow(context.Background(), sandbox, string(flow.ID), func(d *lakeward.Dataflow) error {
		change(d)
		return nil
	}))
}

// work performs what is due now, and lists the runs of a dataflow.
func (w *world) work(flow lakeward.Dataflow) []string {
	w.t.Helper()
	if err := w.Tick(context.Background(), time.Now().UTC()); err != nil {
		w.t.Fatal(err)
	}
	if err := w.Work(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	return w.states(flow)
}

// SCH-13: the end of an evaluation of the audience makes the export due, scheduled or by hand, within the interval; it
// delivers what that evaluation gave. One for the export of another dataflow, or of another audience, does not.
func TestExportAfterEvaluation(t *testing.T) {
	start := at(12)
	inBubble(t, start, func(t *testing.T, w *world) {
		w.people("1,a@x.org,,Ann,30", "2,b@x.org,,Bob,10")
		w.audience("adults", "age >= 18")
		w.audience("other", "age >= 0")
		w.list("listed", 0, "a@x.org")
		flow := w.flow(lakeward.Destination{Folder: "a"}, "adults", afterEvaluation(start.AddDate(0, 0, 1)), named("id", "id"))
		uploads := w.flow(lakeward.Destination{Folder: "b"}, "listed", afterEvaluation(start), named("id", "id"))
		once := afterEvaluation(start)
		once.Frequency = lakeward.Once
		first := w.flow(lakeward.Destination{Folder: "c"}, "adults", once, named("id", "id"))

		w.evaluate()
		equal(t, "before the first day", w.work(flow), nil)
		time.Sleep(12 * time.Hour)
		day := start.AddDate(0, 0, 1).Format("01-02")
		must[[]lakeward.Audience](t)(w.Evaluate(t.Context(), sandbox, []string{"other"}, nil))
		equal(t, "another audience", w.work(flow), nil)
		must[[]lakeward.Audience](t)(w.Evaluate(t.Context(), sandbox, []string{"adults"}, nil))
		w.upload("2,b@x.org,,Bob,20")
		w.evaluate() // the first run still waits
		got := w.work(flow)
		slices.Sort(got)
		equal(t, "two evaluations", got, []string{day + " 00:00 skipped collapsed", day + " 00:00 succeeded"})
		equal(t, "content", w.lines(w.newest(flow)), []string{"1", "2"})
		if r := w.newest(flow); !strings.HasPrefix(r.Slot, "eval:") || !r.BySchedule() {
			t.Errorf("slot %s", r.Slot)
		}

		must[lakeward.EvaluationSchedule](t)(w.ScheduleEvaluation(t.Context(), lakeward.EvaluationSchedule{Sandbox: sandbox, Mode: lakeward.EvaluateDaily, Time: "06:00"}))
		w.edit(flow, func(d *lakeward.Dataflow) { d.Items[0].Schedule.EndDate = start.AddDate(0, 0, 2).Format("2006-01-02") })
		w.serve(31 * time.Hour)
		equal(t, "a daily evaluation", w.states(flow)[2:], []string{day + " 06:00 succeeded"})
		if got := w.states(first); len(got) != 1 || !strings.HasSuffix(got[0], "12:00 succeeded") {
			t.Errorf("once: %q", got)
		}
		equal(t, "nothing uploaded", w.states(uploads), nil)
		w.list("new", 0, "b@x.org")
		w.list("listed", 0, "a@x.org", "b@x.org")
		if got := w.work(uploads); len(got) != 1 || !strings.HasSuffix(got[0], "succeeded") {
			t.Errorf("after an upload: %q", got)
		}
		equal(t, "uploaded", w.lines(w.newest(uploads)), []string{"1", "2"})
	})
}

// SCH-13, README 12: an evaluation that belongs to the slot of one dataflow is none of another one's.
func TestEvaluationOfASlotMakesNoOtherExportDue(t *testing.T) {
	start := at(12)
	inBubble(t, start, func(t *testing.T, w *world) {
		w.people("1,a@x.org,,Ann,30")
		w.audience("adults", "age >= 18")
		after := w.flow(lakeward.Destination{Folder: "a"}, "adults", afterEvaluation(start), named("id", "id"))
		slots := w.fresh(start.AddDate(0, 0, 1), "adults")
		w.serve(24 * time.Hour)
		equal(t, "slots", w.states(slots), []string{start.AddDate(0, 0, 1).Format("01-02") + " 06:00 succeeded"})
		equal(t, "after evaluations", w.states(after), nil)
	})
}

// SCH-20, SCH-21, D13, D32, H17, EDT-02, EDT-04: what an edit does to slots and baselines.
func TestEditedDataflow(t *testing.T) {
	start := at(12)
	inBubble(t, start, func(t *testing.T, w *world) {
		w.people("1,a@x.org,,Ann,30", "2,b@x.org,,Bob,10")
		w.audience("adults", "age >= 18")
		w.audience("all", "age >= 0")
		flow := w.flow(lakeward.Destination{Folder: "out"}, "adults", every3h(), named("id", "id"))
		window := func() string {
			r := w.slot(flow)
			succeeded(t, r)
			if r.FromGeneration == nil {
				return "full"
			}
			return "window"
		}
		kinds := []string{window(), window()}
		w.edit(flow, func(d *lakeward.Dataflow) { d.Mapping = append(d.Mapping, named("name", "name")) })
		kinds = append(kinds, window()) // EDT-04
		w.edit(flow, func(d *lakeward.Dataflow) {
			d.Items[0].Schedule.Mode, d.Items[0].Schedule.Frequency = lakeward.FullExport, lakeward.Daily
		})
		w.edit(flow, func(d *lakeward.Dataflow) {
			d.Items[0].Schedule.Mode, d.Items[0].Schedule.Frequency = lakeward.IncrementalExport, lakeward.Every6Hours
		})
		kinds = append(kinds, window(), window()) // SCH-21
		with := w.edit(flow, func(d *lakeward.Dataflow) {
			d.Items = append(d.Items, lakeward.DataflowItem{AudienceID: "all", Schedule: every3h()})
		})
		adults := with.Items[0]
		w.edit(flow, func(d *lakeward.Dataflow) { d.Items = d.Items[1:] })
		if r := w.newest(flow); r.Item != string(adults.AudienceID) {
			t.Errorf("the newest run is of %s", r.Item)
		}
		adults.Schedule = every3h()
		flow = w.edit(flow, func(d *lakeward.Dataflow) { d.Items = []lakeward.DataflowItem{adults} })
		kinds = append(kinds, window(), window()) // D13: taken out and put back
		equal(t, "kinds", kinds, []string{"full", "window", "window", "full", "window", "full", "window"})

		before := len(w.states(flow))
		w.edit(flow, func(d *lakeward.Dataflow) { d.Enabled = false })
		time.Sleep(7 * time.Hour)
		w.edit(flow, func(d *lakeward.Dataflow) { d.Enabled = true })
		var got []string
		for _, s := range w.work(flow)[before:] {
			got = append(got, s[len("01-02 "):])
		}
		slices.Sort(got)
		equal(t, "switched off for 7 hours", got, []string{"06:00 skipped paused", "09:00 skipped paused", "09:00 succeeded"})
		if r := w.newest(flow); !strings.HasSuffix(r.Slot, "#2") || r.FromGeneration == nil {
			t.Errorf("the run that catches up has slot %s, window from %v", r.Slot, r.FromGeneration)
		}
	})
}

// D13: a run that was pinned before the mode changed delivers, but does not move the baseline of the new mode.
func TestRunOfBeforeAnEditMovesNothing(t *testing.T) {
	inBubble(t, at(12), func(t *testing.T, w *world) {
		w.people("1,a@x.org,,Ann,30")
		w.audience("adults", "age >= 18")
		flow := w.flow(lakeward.Destination{Folder: "out"}, "adults", daily(), named("id", "id"))
		w.restart(func() { w.cfg.RetryWindow = time.Hour })
		disarm := w.lake.Arm(emulator.Fault{Op: "flush", Do: emulator.Status, Code: 503})
		waiting := w.slot(flow)
		if waiting.State != lakeward.Retrying {
			t.Fatalf("the run is %s", waiting.State)
		}
		disarm()
		w.edit(flow, func(d *lakeward.Dataflow) {
			d.Items[0].Schedule.Mode, d.Items[0].Schedule.Frequency = lakeward.IncrementalExport, lakeward.Every3Hours
		})
		if err := w.Retry(t.Context(), flow.ID); err != nil {
			t.Fatal(err)
		}
		if err := w.Work(t.Context()); err != nil {
			t.Fatal(err)
		}
		succeeded(t, must[lakeward.Run](t)(w.store.Run(t.Context(), sandbox, string(waiting.ID))))
		if b := must[*int64](t)(w.store.Baseline(t.Context(), flow.ID, waiting.Item)); b != nil {
			t.Errorf("the baseline is %d", *b)
		}
		if r := w.slot(flow); r.FromGeneration != nil {
			t.Errorf("the first incremental run begins at %d, want a backfill", *r.FromGeneration)
		}
	})
}

// What an edit may not do, and that nothing of it is stored then.
func TestEditIsChecked(t *testing.T) {
	inBubble(t, at(12), func(t *testing.T, w *world) {
		w.people("1,a@x.org,,Ann,30")
		w.audience("adults", "age >= 18")
		flow := w.flow(lakeward.Destination{Folder: "out"}, "adults", daily(), named("id", "id"))
		for _, test := range []struct {
			name   string
			change func(*lakeward.Dataflow)
			code   string
		}{
			{"no audience", func(d *lakeward.Dataflow) { d.Items = nil }, "FLOW-1001"},
			{"unknown field", func(d *lakeward.Dataflow) { d.Mapping = []lakeward.Mapping{named("nothing", "x")} }, "MAP-1002"},
			{"unknown audience", func(d *lakeward.Dataflow) { d.Items[0].AudienceID = "nobody" }, "NOTFOUND-1001"},
			{"start in the past", func(d *lakeward.Dataflow) { d.Items[0].Schedule.StartDate = "2020-01-01" }, "SCHED-1004"},
			{"D02 weekly", func(d *lakeward.Dataflow) { d.Items[0].Schedule.Frequency = lakeward.Weekly }, "SCHED-1001"},
			{"file name", func(d *lakeward.Dataflow) { d.Items[0].FileName = "x" }, "NAME-1001"},
		} {
			_, err := w.EditDataflow(t.Context(), sandbox, string(flow.ID), func(d *lakeward.Dataflow) error {
				test.change(d)
				return nil
			})
			if lakeward.CodeOf(err) != test.code {
				t.Errorf("%s: %v, want code %s", test.name, err, test.code)
			}
		}
		if d := must[lakeward.Dataflow](t)(w.store.Dataflow(t.Context(), sandbox, string(flow.ID))); d.Rev != flow.Rev || !cmp.Equal(d.Items[0], flow.Items[0]) {
			t.Errorf("something was stored: %+v", d)
		}
		w.restart(func() { w.cfg.ExtendedFrequencies = true })
		w.edit(flow, func(d *lakeward.Dataflow) { d.Items[0].Schedule.Frequency = lakeward.Weekly })
		stale, at := flow, time.Now().UTC()
		stale.Rev++
		if err := w.store.UpdateDataflow(t.Context(), flow, stale, at); lakeward.CodeOf(err) != "FLOW-1004" {
			t.Errorf("two edits at once: %v", err)
		}
	})
}

// CASE-21, E-10, NAM-08: names that are provably those of other files are refused at save; those that meet in one second
// only are told.
func TestNamesThatMeet(t *testing.T) {
	inBubble(t, at(12), func(t *testing.T, w *world) {
		w.people("1,a@x.org,,Ann,30")
		a, b := w.audience("adults", "age >= 18"), w.audience("all", "age >= 0")
		flow := w.flow(lakeward.Destination{Folder: "out"}, "adults", daily(), named("id", "id"))
		static := "%DESTINATION%_%SEGMENT_ID%"
		w.edit(flow, func(d *lakeward.Dataflow) { d.Items[0].FileName = static })
		create := func(audience lakeward.AudienceID, name string) (lakeward.Dataflow, error) {
			return w.CreateDataflow(t.Context(), lakeward.Dataflow{Name: lakeward.NewID(), Sandbox: sandbox, Mapping: flow.Mapping,
				Items: []lakeward.DataflowItem{{AudienceID: audience, Schedule: daily(), FileName: name}}}, string(flow.DestinationID))
		}
		for _, test := range []struct {
			name, template string
			audience       lakeward.AudienceID
			code           string
		}{
			{"the same", static, a.ID, "NAME-1008"},
			{"the same by other macros", "%DESTINATION_NAME%_%SEGMENT_ID%", a.ID, "NAME-1008"},
			{"a second part", static + "_2", a.ID, "NAME-1008"},
			{"no part has that number", static + "_1", a.ID, ""},
			{"another audience", static, b.ID, ""},
			{"the id of the dataflow", static + "_%DESTINATION_INSTANCE_ID%", a.ID, ""},
			{"with a time", lakeward.DefaultFileName, a.ID, ""},
		} {
			if _, err := create(test.audience, test.template); lakeward.CodeOf(err) != test.code {
				t.Errorf("%s: %v, want code %q", test.name, err, test.code)
			}
		}
		second, err := create(a.ID, lakeward.DefaultFileName)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(must[[]string](t)(w.Warnings(t.Context(), second)), "\n"); !strings.Contains(got, `the files of audience "adults" get the names of those of audience "adults" in dataflow`) || !strings.Contains(got, "in one second") {
			t.Errorf("warnings %q", got)
		}
		names := must[[]lakeward.FileName](t)(w.FileNames(t.Context(), sandbox, string(second.ID), time.Date(2022, 5, 9, 21, 5, 43, 0, time.UTC)))
		if want := "out/Azure_Data_Lake_Storage_Gen2_" + string(a.ID) + "_20220509_210543.csv"; len(names) != 1 || names[0].Path != want {
			t.Errorf("names %+v, want %s", names, want)
		}
	})
}
