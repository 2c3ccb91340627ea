package engine_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/engine"
	"github.com/lakeward/lakeward/internal/lake/emulator"
	"github.com/lakeward/lakeward/internal/lake/emulator/emulatortest"
)

// rule makes an audience without evaluating it.
func (w *world) rule(name, rule string) lakeward.Audience {
	w.t.Helper()
	return must[lakeward.Audience](w.t)(w.CreateAudience(w.t.Context(), lakeward.Audience{Sandbox: sandbox, Name: name, Rule: rule}))
}

// list makes an uploaded audience of mail addresses.
func (w *world) list(name string, days int, mails ...string) lakeward.Audience {
	w.t.Helper()
	im := engine.Import{Audience: lakeward.Audience{Sandbox: sandbox, Name: name, Namespace: "Email", ExpireDays: days}, Identity: "mail", Name: name + ".csv"}
	return must[lakeward.Audience](w.t)(w.ImportAudience(w.t.Context(), im, strings.NewReader("mail\n"+strings.Join(mails, "\n")+"\n")))
}

// fresh makes a dataflow that evaluates its audiences first, daily at 06:00 from the given day.
func (w *world) fresh(day time.Time, audiences ...string) lakeward.Dataflow {
	w.t.Helper()
	slots := lakeward.Schedule{Mode: lakeward.FullExport, Frequency: lakeward.Daily, StartDate: day.Format("2006-01-02"), StartTime: "06:00"}
	never := lakeward.Schedule{Mode: lakeward.FullExport, Frequency: lakeward.Once, StartDate: "2099-01-01", StartTime: "00:00"}
	other := w.flow(lakeward.Destination{Folder: lakeward.NewID()}, audiences[0], never, named("name", "name")) // for its destination
	d := lakeward.Dataflow{Name: lakeward.NewID(), Sandbox: sandbox, Mapping: other.Mapping, EvaluateFirst: true}
	for _, a := range audiences {
		d.Items = append(d.Items, lakeward.DataflowItem{AudienceID: lakeward.AudienceID(a), Schedule: slots})
	}
	return must[lakeward.Dataflow](w.t)(w.CreateDataflow(w.t.Context(), d, string(other.DestinationID)))
}

// serve runs the service for a while.
func (w *world) serve(d time.Duration) {
	w.t.Helper()
	ctx, stop := context.WithCancel(w.t.Context())
	done := make(chan error, 1)
	go func() { done <- w.Serve(ctx) }()
	time.Sleep(d)
	stop()
	if err := <-done; err != nil {
		w.t.Errorf("Serve: %v", err)
	}
}

// tasks lists the evaluations, oldest first: subject or trigger, state.
func (w *world) tasks() (list []lakeward.Task, text []string) {
	w.t.Helper()
	list = must[[]lakeward.Task](w.t)(w.store.Tasks(context.Background(), sandbox, lakeward.EvaluationTask, 1000))
	slices.Reverse(list)
	slices.SortStableFunc(list, func(a, b lakeward.Task) int { return a.CreatedAt.Compare(b.CreatedAt) })
	for _, t := range list {
		text = append(text, fmt.Sprintf("%s %s %s", t.CreatedAt.Format("02 15:04"), t.Evaluation.Trigger, t.State))
	}
	return list, text
}

// The evaluations of slots, README 12: runs of a slot wait for one evaluation of all their rule audiences and those that
// these ask for, and are pinned to its generation. Uploaded audiences need none.
func TestRunsOfASlotShareOneEvaluation(t *testing.T) {
	start := at(12)
	inBubble(t, start, func(t *testing.T, w *world) {
		w.people("1,a@x.org,,Ann,30", "2,b@x.org,,Bob,40")
		adults := w.rule("adults", "age >= 40")
		w.rule("others", `not inSegment("`+string(adults.ID)+`")`)
		unused := w.rule("unused", "age > 0")
		w.list("listed", 0, "a@x.org")
		day := start.AddDate(0, 0, 1)
		two, one, listed := w.fresh(day, "others", "listed"), w.fresh(day, "adults"), w.fresh(day, "listed")
		w.serve(18*time.Hour + time.Minute)

		list, _ := w.tasks()
		if len(list) != 1 || list[0].State != lakeward.TaskSucceeded || list[0].Evaluation.Trigger != lakeward.ByExport || list[0].Evaluation.Profiles != 2 {
			t.Fatalf("tasks %+v", list)
		}
		for i, want := range []lakeward.EvaluationCount{{Name: "adults", Qualified: 1, Realized: 1}, {Name: "others", Qualified: 1, Realized: 1}} {
			got := list[0].Evaluation.Counts[i]
			got.AudienceID, want.Namespaces = "", map[string]int64{"ECID": 1, "Email": 1}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("count %d (-want +got):\n%s", i, diff)
			}
		}
		for flow, wants := range map[lakeward.DataflowID]map[string]int64{two.ID: {"others": 1, "listed": 1}, one.ID: {"adults": 1}, listed.ID: {"listed": 1}} {
			runs := must[[]lakeward.Run](t)(w.store.Runs(context.Background(), sandbox, flow, 100))
			if len(runs) != len(wants) {
				t.Errorf("%d runs, want %d", len(runs), len(wants))
			}
			for _, r := range runs {
				succeeded(t, r)
				name := r.Plan.Audience.Name
				waited := name != "listed"
				if r.Counts.Received != wants[name] || waited != (r.Task == list[0].ID) || waited && r.ToGeneration != list[0].Evaluation.Generation || r.Cause != nil {
					t.Errorf("run of %s: %+v, generation %d, task %q, cause %+v", name, r.Counts, r.ToGeneration, r.Task, r.Cause)
				}
			}
		}
		if a := must[lakeward.Audience](t)(w.store.Audience(context.Background(), sandbox, string(unused.ID))); a.EvaluatedAt != nil {
			t.Error("an audience that nobody exports was evaluated")
		}
	})
}

// README 12: while its evaluation lasts a run is queued with the cause evaluating, and nobody can claim it.
func TestRunWaitsForItsEvaluation(t *testing.T) {
	start := at(12)
	inBubble(t, start, func(t *testing.T, w *world) {
		w.people("1,a@x.org,,Ann,30")
		w.rule("all", "age > 0")
		flow := w.fresh(start.AddDate(0, 0, 1), "all")
		time.Sleep(18 * time.Hour)
		if err := w.Tick(t.Context(), time.Now().UTC()); err != nil {
			t.Fatal(err)
		}
		equal(t, "after the tick", w.states(flow), []string{start.AddDate(0, 0, 1).Format("01-02") + " 06:00 queued evaluating"})
		for _, state := range []lakeward.TaskState{lakeward.TaskQueued, lakeward.TaskProcessing} {
			if r, err := w.store.ClaimRun(t.Context(), time.Now().UTC(), flow.ID); err != nil || r != nil {
				t.Errorf("claimed while the evaluation is %s: %+v, %v", state, r, err)
			}
			must[*lakeward.Task](t)(w.store.ClaimTask(t.Context(), time.Now().UTC(), ""))
		}
		if next := must[time.Time](t)(w.store.NextDue(t.Context())); !next.After(time.Now()) {
			t.Errorf("the next thing is due at %v, although all wait", next)
		}
	})
}

// README 12: a failed evaluation fails its runs with DEST-FAIL-SOURCE and says why.
func TestFailedEvaluationFailsItsRuns(t *testing.T) {
	start := at(12)
	inBubble(t, start, func(t *testing.T, w *world) {
		w.people("1,a@x.org,,Ann,30")
		w.rule("all", "age > 0")
		flow := w.fresh(start.AddDate(0, 0, 1), "all")
		w.restart(func() { w.cfg.RetryWindow = time.Hour })
		if err := os.RemoveAll(filepath.Join(w.dir, "profiles")); err != nil {
			t.Fatal(err)
		}
		w.serve(18*time.Hour + 5*time.Minute)
		list, text := w.tasks()
		if len(list) != 1 || list[0].State != lakeward.TaskFailed || list[0].Cause == nil || list[0].Cause.Code != lakeward.FailSource || list[0].EndedAt == nil {
			t.Fatalf("tasks %q, cause %+v", text, list[0].Cause)
		}
		r := must[[]lakeward.Run](t)(w.store.Runs(context.Background(), sandbox, flow.ID, 10))[0]
		if r.State != lakeward.Failed || r.Cause.Code != lakeward.FailSource || !strings.Contains(r.Cause.Message, "the evaluation before this export is FAILED") || !strings.Contains(r.Cause.Message, string(list[0].ID)) {
			t.Errorf("run is %s, cause %+v", r.State, r.Cause)
		}
		if _, err := w.Evaluate(context.Background(), sandbox, nil, nil); lakeward.CodeOf(err) != lakeward.FailSource { // by hand too
			t.Errorf("by hand: %v", err)
		}
	})
}

// README 12, DLV-95: wherever a process is killed between the slot and the books, there is one run of the slot, and it
// delivers what its evaluation gave.
func TestKilledAroundTheEvaluation(t *testing.T) {
	start := at(12)
	claimTask := func(w *world) *lakeward.Task {
		return must[*lakeward.Task](w.t)(w.store.ClaimTask(w.t.Context(), time.Now().UTC(), ""))
	}
	steps := []struct {
		name string
		do   func(w *world)
	}{
		{"before the slot is seen", func(*world) {}},
		{"when the run is queued", func(w *world) {
			if err := w.Tick(w.t.Context(), time.Now().UTC()); err != nil {
				w.t.Fatal(err)
			}
		}},
		{"when the evaluation is claimed", func(w *world) { claimTask(w) }},
		{"when the evaluation has ended", func(w *world) {
			must[int](w.t)(w.store.RecoverTasks(w.t.Context(), time.Now().UTC()))
			if err := w.ExecuteTask(w.t.Context(), claimTask(w)); err != nil {
				w.t.Fatal(err)
			}
		}},
		{"when the run is claimed", func(w *world) { must[*lakeward.Run](w.t)(w.store.ClaimRun(w.t.Context(), time.Now().UTC(), "")) }},
	}
	for n := range steps {
		t.Run(steps[n].name, func(t *testing.T) {
			inBubble(t, start, func(t *testing.T, w *world) {
				w.people("1,a@x.org,,Ann,30")
				w.rule("all", "age > 0")
				flow := w.fresh(start.AddDate(0, 0, 1), "all")
				time.Sleep(18 * time.Hour)
				for _, s := range steps[:n+1] {
					s.do(w)
				}
				if n >= 3 { // what comes after the evaluation is not delivered
					w.upload("2,b@x.org,,Bob,40")
					must[[]lakeward.Audience](t)(w.Evaluate(t.Context(), sandbox, nil, nil))
				}
				w.restart(func() {})
				w.serve(time.Minute)
				equal(t, "runs", w.states(flow), []string{start.AddDate(0, 0, 1).Format("01-02") + " 06:00 succeeded"})
				r := must[[]lakeward.Run](t)(w.store.Runs(context.Background(), sandbox, flow.ID, 10))[0]
				task := must[lakeward.Task](t)(w.store.Task(context.Background(), sandbox, string(r.Task)))
				if task.State != lakeward.TaskSucceeded || r.ToGeneration != task.Evaluation.Generation || r.Counts.Received != 1 {
					t.Errorf("run of generation %d with %d members; its task is %s with generation %d", r.ToGeneration, r.Counts.Received, task.State, task.Evaluation.Generation)
				}
			})
		})
	}
}

// SCH-22: a run that still waits when the next slot comes is covered by that; the evaluation that it waited for is cancelled.
func TestCollapsedRunTakesItsEvaluationAlong(t *testing.T) {
	start := at(12)
	inBubble(t, start, func(t *testing.T, w *world) {
		w.people("1,a@x.org,,Ann,30")
		w.rule("all", "age > 0")
		flow := w.fresh(start.AddDate(0, 0, 1), "all")
		for range 2 {
			time.Sleep(18*time.Hour + time.Minute)
			if err := w.Tick(t.Context(), time.Now().UTC()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(6 * time.Hour)
		}
		if _, text := w.tasks(); len(text) != 2 || !strings.HasSuffix(text[0], "CANCELLED") || !strings.HasSuffix(text[1], "QUEUED") {
			t.Errorf("tasks %q", text)
		}
		w.serve(time.Minute)
		if got := w.states(flow); len(got) != 2 || !strings.HasSuffix(got[0], "skipped collapsed") || !strings.HasSuffix(got[1], "succeeded") {
			t.Errorf("runs %q", got)
		}
	})
}

// SEG-04: a sandbox evaluates by itself; of slots that were missed only the latest is caught up; an export at the same time
// shares the evaluation.
func TestScheduledEvaluations(t *testing.T) {
	start := at(12)
	inBubble(t, start, func(t *testing.T, w *world) {
		w.people("1,a@x.org,,Ann,30")
		w.rule("all", "age > 0")
		must[lakeward.Audience](t)(w.CreateAudience(t.Context(), lakeward.Audience{Sandbox: sandbox, Name: "half-done", Rule: "age > 1", State: lakeward.Draft}))
		s := must[lakeward.EvaluationSchedule](t)(w.ScheduleEvaluation(t.Context(), lakeward.EvaluationSchedule{Sandbox: sandbox, Mode: lakeward.EvaluateDaily, Time: "06:00"}))
		if want := start.Add(18 * time.Hour); s.NextAt == nil || !s.NextAt.Equal(want) {
			t.Errorf("next %v, want %v", s.NextAt, want)
		}
		w.fresh(start.AddDate(0, 0, 5), "all") // meets the last one
		day := func(n int) string { return start.AddDate(0, 0, n).Format("02") }
		w.serve(30 * time.Hour)                  // until 18:00 of the next day
		time.Sleep(3*24*time.Hour - 6*time.Hour) // nobody is there for 3 slots
		w.serve(time.Hour)
		w.serve(24 * time.Hour)
		list, text := w.tasks()
		equal(t, "tasks", text, []string{day(1) + " 06:00 schedule SUCCEEDED", day(4) + " 12:00 schedule SUCCEEDED", day(5) + " 06:00 schedule SUCCEEDED"})
		if c := list[0].Evaluation.Counts; len(c) != 1 || c[0].Name != "all" {
			t.Errorf("a draft is evaluated: %+v", c)
		}
		if stored := must[lakeward.EvaluationSchedule](t)(w.EvaluationSchedule(context.Background(), sandbox)); stored.NextAt == nil || stored.NextAt.Format("02 15:04") != day(6)+" 06:00" {
			t.Errorf("next %v", stored.NextAt)
		}
		must[lakeward.EvaluationSchedule](t)(w.ScheduleEvaluation(context.Background(), lakeward.EvaluationSchedule{Sandbox: sandbox, Mode: lakeward.EvaluateOff}))
	})
}

// A series of uploads gives one evaluation, a minute after the last; what is not for profiles gives none.
func TestEvaluationAfterIngest(t *testing.T) {
	inBubble(t, at(12), func(t *testing.T, w *world) {
		w.people("1,a@x.org,,Ann,30")
		w.rule("all", "age > 0")
		fields := must[[]lakeward.Field](t)(lakeward.ParseSchema([]byte(`{"properties": {"note": {"type": "string"}}}`), ""))
		must[lakeward.Schema](t)(w.CreateSchema(t.Context(), lakeward.Schema{Sandbox: sandbox, Name: "notes", Class: lakeward.RecordClass, Fields: fields}))
		must[lakeward.Dataset](t)(w.CreateDataset(t.Context(), lakeward.Dataset{Sandbox: sandbox, Name: "notes"}, "notes"))
		must[lakeward.EvaluationSchedule](t)(w.ScheduleEvaluation(t.Context(), lakeward.EvaluationSchedule{Sandbox: sandbox, Mode: lakeward.EvaluateAfterIngest}))
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Serve(ctx) }()
		count := func() int { list, _ := w.tasks(); return len(list) }

		time.Sleep(time.Hour)
		must[lakeward.Batch](t)(w.UploadDataset(t.Context(), engine.Upload{Sandbox: sandbox, Dataset: "notes", Name: "notes.csv"}, strings.NewReader("note\nx\n")))
		time.Sleep(time.Hour)
		if n := count(); n != 0 {
			t.Errorf("%d evaluations before any profile changed", n)
		}
		for n := range 3 {
			w.upload(fmt.Sprintf("%d,,,Bob,40", n+2))
			time.Sleep(40 * time.Second)
		}
		if n := count(); n != 0 {
			t.Errorf("%d evaluations while uploads go on", n)
		}
		time.Sleep(30 * time.Second)
		list, text := w.tasks()
		if len(list) != 1 || list[0].State != lakeward.TaskSucceeded || list[0].Evaluation.Trigger != lakeward.ByIngest || list[0].Evaluation.Counts[0].Qualified != 4 {
			t.Errorf("tasks %q", text)
		}
		begun := time.Now()
		for range 25 { // uploads that do not end are not waited for
			w.upload("9,,,Zoe,50")
			time.Sleep(40 * time.Second)
		}
		list, text = w.tasks()
		if len(list) != 2 || list[1].CreatedAt.Sub(begun) > lakeward.EvaluationPatience+5*time.Second {
			t.Errorf("tasks %q, uploads since %v", text, begun)
		}
		w.list("listed", 0, "new@x.org") // an uploaded audience changes what rules say of it
		time.Sleep(2 * time.Minute)
		if list, text = w.tasks(); len(list) != 3 {
			t.Errorf("tasks %q", text)
		}
		stop()
		<-done
	})
}

// An evaluation that another commit overtakes begins anew from what that left.
func TestEvaluationIsRepeatedAfterAConflict(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.people("1,a@x.org,,Ann,30")
	w.rule("all", "age > 0")
	overtaken := false
	list := must[[]lakeward.Audience](t)(w.Evaluate(t.Context(), sandbox, nil, func(done, total int64) {
		if !overtaken {
			overtaken = true
			w.upload("2,b@x.org,,Bob,40")
		}
	}))
	if len(list) != 1 || list[0].Members != 2 || list[0].Breakdown.Realized != 2 {
		t.Errorf("evaluated %+v", list)
	}
	tasks, text := w.tasks()
	if len(tasks) != 1 || tasks[0].State != lakeward.TaskSucceeded || tasks[0].Attempt != 2 || tasks[0].Cause != nil {
		t.Errorf("tasks %q %+v", text, tasks[0])
	}
}

// An evaluation by hand that is stopped is cancelled: nobody waits for it any more.
func TestStoppedEvaluationIsCancelled(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.people("1,a@x.org,,Ann,30")
	w.rule("all", "age > 0")
	ctx, stop := context.WithCancel(t.Context())
	if _, err := w.Evaluate(ctx, sandbox, nil, func(done, total int64) { stop() }); err == nil {
		t.Error("a stopped evaluation ended well")
	}
	if tasks, text := w.tasks(); len(tasks) != 1 || tasks[0].State != lakeward.TaskCancelled {
		t.Errorf("tasks %q", text)
	}
	if a := must[lakeward.Audience](t)(w.store.Audience(t.Context(), sandbox, "all")); a.EvaluatedAt != nil {
		t.Errorf("it was evaluated: %+v", a)
	}
	must[[]lakeward.Audience](t)(w.Evaluate(t.Context(), sandbox, nil, nil))
}

// SEG-05: a task that is queued or under way can be cancelled; nothing of it is kept, and what is closed stays as it is.
func TestCancelledTask(t *testing.T) {
	for _, claimed := range []bool{false, true} {
		t.Run(fmt.Sprintf("under way %t", claimed), func(t *testing.T) {
			w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
			w.people("1,a@x.org,,Ann,30")
			w.rule("all", "age > 0")
			graph := lakeward.PrivateGraph
			joined := must[lakeward.MergePolicy](t)(w.CreateMergePolicy(t.Context(), lakeward.MergePolicy{Sandbox: sandbox, Name: "joined"}, engine.MergePolicyEdit{Stitching: &graph}))
			must[lakeward.Audience](t)(w.CreateAudience(t.Context(), lakeward.Audience{Sandbox: sandbox, Name: "of another policy", Rule: "age > 0", MergePolicy: joined.ID}))
			task := lakeward.NewEvaluation(sandbox, "now", lakeward.Evaluation{Trigger: lakeward.BySchedule, All: true}, time.Now().UTC())
			if err := w.store.QueueTask(t.Context(), task); err != nil {
				t.Fatal(err)
			}
			var work *lakeward.Task
			if claimed {
				work = must[*lakeward.Task](t)(w.store.ClaimTask(t.Context(), time.Now().UTC(), ""))
			}
			if got := must[lakeward.Task](t)(w.CancelTask(t.Context(), sandbox, string(task.ID))); got.State != lakeward.TaskCancelled || got.EndedAt == nil || got.Cause == nil {
				t.Errorf("the task is %+v", got)
			}
			if claimed {
				if err := w.ExecuteTask(t.Context(), work); lakeward.CodeOf(err) != "TASK-1002" {
					t.Errorf("whoever was at work on it: %v", err)
				}
			} else if again := must[*lakeward.Task](t)(w.store.ClaimTask(t.Context(), time.Now().UTC(), "")); again != nil {
				t.Errorf("it was begun: %+v", again)
			}
			for _, name := range []string{"all", "of another policy"} {
				if a := must[lakeward.Audience](t)(w.store.Audience(t.Context(), sandbox, name)); a.EvaluatedAt != nil {
					t.Errorf("it was evaluated: %+v", a)
				}
			}
			if _, err := w.CancelTask(t.Context(), sandbox, string(task.ID)); lakeward.CodeOf(err) != "TASK-1001" {
				t.Errorf("cancelled again: %v", err)
			}
		})
	}
}

// SEG-05: an evaluation counts, of each audience, the members that have an identity of each namespace, as they are now:
// in several files, joined and deleted ones included.
func TestEvaluationCountsNamespaces(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.people("1,a@x.org,b@x.org,Ann,30", "2,,,Bob,40", "3,c@x.org,,Cid,10", "4,d@x.org,,Dan,50")
	w.upload("2,bob@x.org,,Bob,40", "4,,,Dan,50", "5,e@x.org,,Eve,60")
	if _, _, err := w.DeleteProfile(t.Context(), sandbox, lakeward.ProfileRef{Namespace: "ECID", Value: "5"}); err != nil {
		t.Fatal(err)
	}
	w.rule("all", "age > 0")
	w.rule("adults", "age > 18")
	w.rule("nobody", "age > 100")
	must[[]lakeward.Audience](t)(w.Evaluate(t.Context(), sandbox, nil, nil))
	tasks, _ := w.tasks()
	got := map[string]map[string]int64{}
	for _, c := range tasks[0].Evaluation.Counts {
		got[c.Name] = c.Namespaces
	}
	want := map[string]map[string]int64{"all": {"ECID": 4, "Email": 3}, "adults": {"ECID": 3, "Email": 2}, "nobody": nil}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error("counts by namespace (-want +got):\n" + diff)
	}
}
