package store_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/store"
)

func evaluation(sandbox, subject string, at time.Time) lakeward.Task {
	return lakeward.NewEvaluation(sandbox, subject, lakeward.Evaluation{Trigger: lakeward.BySchedule, All: true}, at)
}

func queueTask(t *testing.T, s *store.Store, task lakeward.Task) lakeward.Task {
	t.Helper()
	if err := s.QueueTask(t.Context(), task); err != nil {
		t.Fatal(err)
	}
	return task
}

func claim(t *testing.T, s *store.Store, at time.Time) *lakeward.Task {
	t.Helper()
	got, err := s.ClaimTask(t.Context(), at, "")
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func end(t *testing.T, s *store.Store, task *lakeward.Task, state lakeward.TaskState) {
	t.Helper()
	if err := s.AdvanceTask(t.Context(), task, func(x *lakeward.Task) { x.State = state }); err != nil {
		t.Fatal(err)
	}
}

// A subject has one task; of a kind, a sandbox has one at a time, the oldest first, none before its time.
func TestTasksAreClaimedInTurn(t *testing.T) {
	s := open(t, store.Memory, store.NewKEK())
	at := time.Date(2025, 1, 4, 6, 0, 0, 0, time.UTC)
	first := queueTask(t, s, evaluation("prod", "a", at))
	queueTask(t, s, evaluation("prod", "a", at.Add(time.Hour))) // the same
	second := queueTask(t, s, evaluation("prod", "b", at.Add(time.Minute)))
	other := queueTask(t, s, evaluation("dev", "a", at.Add(2*time.Minute)))
	if list, err := s.Tasks(t.Context(), "prod", "", 0); err != nil || len(list) != 2 || list[0].ID != second.ID {
		t.Fatalf("tasks %+v, %v", list, err)
	}
	a, b := claim(t, s, at), claim(t, s, at)
	if a == nil || a.ID != first.ID || a.State != lakeward.TaskProcessing || b == nil || b.ID != other.ID {
		t.Fatalf("claimed %+v, %+v", a, b)
	}
	if c := claim(t, s, at); c != nil {
		t.Errorf("claimed %+v beside another one of its sandbox", c)
	}
	end(t, s, a, lakeward.TaskSucceeded)
	c := claim(t, s, at)
	if c == nil || c.ID != second.ID {
		t.Fatalf("claimed %+v, want the next", c)
	}
	later := at.Add(time.Hour)
	if err := s.AdvanceTask(t.Context(), c, func(x *lakeward.Task) { x.State, x.Attempt, x.NotBefore = lakeward.TaskQueued, x.Attempt+1, &later }); err != nil {
		t.Fatal(err)
	}
	if early := claim(t, s, later.Add(-time.Second)); early != nil {
		t.Errorf("claimed before its time: %+v", early)
	}
	if again := claim(t, s, later); again == nil || again.Attempt != 2 || again.NotBefore != nil {
		t.Errorf("claimed %+v", again)
	}
}

// A subject's task is claimed once, however many ask.
func TestTaskIsClaimedOnce(t *testing.T) {
	s := open(t, t.TempDir()+"/db", store.NewKEK())
	queueTask(t, s, evaluation("prod", "a", time.Now()))
	var wg sync.WaitGroup
	got := make(chan *lakeward.Task, 20)
	for range cap(got) {
		wg.Go(func() {
			c, err := s.ClaimTask(t.Context(), time.Now(), "")
			if err != nil {
				t.Error(err)
			}
			got <- c
		})
	}
	wg.Wait()
	close(got)
	n := 0
	for c := range got {
		if c != nil {
			n++
		}
	}
	if n != 1 {
		t.Errorf("claimed %d times", n)
	}
}

// DLV-31, DLV-95: after a restart a task goes on as the next attempt, and the one before it cannot write any more; one that
// somebody waited for is cancelled.
func TestTaskIsRecovered(t *testing.T) {
	s := open(t, store.Memory, store.NewKEK())
	at := time.Date(2025, 1, 4, 6, 0, 0, 0, time.UTC)
	queueTask(t, s, evaluation("prod", "a", at))
	hand := evaluation("prod", "b", at.Add(time.Second))
	hand.Evaluation.Trigger = lakeward.ByHand
	queueTask(t, s, hand)
	queueTask(t, s, evaluation("prod", "c", at.Add(time.Minute)))
	lost := claim(t, s, at)
	if n, err := s.RecoverTasks(t.Context(), at); err != nil || n != 2 {
		t.Fatalf("recovered %d, %v", n, err)
	}
	if err := s.AdvanceTask(t.Context(), lost, func(x *lakeward.Task) { x.State = lakeward.TaskSucceeded }); lakeward.CodeOf(err) != "TASK-1002" {
		t.Errorf("the attempt before it wrote: %v", err)
	}
	if _, err := s.Commit(t.Context(), "prod", lakeward.Change{Kind: "evaluation", At: at, Task: lost}); lakeward.CodeOf(err) != "TASK-1002" {
		t.Errorf("the attempt before it committed: %v", err)
	}
	if snap, err := s.Snapshot(t.Context(), "prod", lakeward.FirstPolicy, 0, nil); err != nil || snap.Generation != 0 {
		t.Errorf("it left generation %d, %v", snap.Generation, err)
	}
	if again := claim(t, s, at); again == nil || again.ID != lost.ID || again.Attempt != 2 {
		t.Errorf("claimed %+v", again)
	}
	if b, err := s.Task(t.Context(), "prod", string(hand.ID)); err != nil || b.State != lakeward.TaskCancelled || b.Cause == nil {
		t.Errorf("by hand: %+v, %v", b, err)
	}
	if _, err := s.Task(t.Context(), "dev", string(hand.ID)); lakeward.KindOf(err) != lakeward.NotFound {
		t.Errorf("from another sandbox: %v", err)
	}
}

// SEG-05: only legal steps.
func TestTaskStates(t *testing.T) {
	s := open(t, store.Memory, store.NewKEK())
	task := queueTask(t, s, evaluation("prod", "a", time.Now()))
	for _, state := range []lakeward.TaskState{lakeward.TaskSucceeded, lakeward.TaskFailed} {
		if err := s.AdvanceTask(t.Context(), &task, func(x *lakeward.Task) { x.State = state }); lakeward.CodeOf(err) != "TASK-1001" || task.State != lakeward.TaskQueued {
			t.Errorf("queued to %s: %v", state, err)
		}
	}
	end(t, s, &task, lakeward.TaskCancelled)
	if err := s.AdvanceTask(t.Context(), &task, func(x *lakeward.Task) { x.State = lakeward.TaskQueued }); lakeward.CodeOf(err) != "TASK-1001" {
		t.Errorf("cancelled to queued: %v", err)
	}
}

// The history is bounded; what an open run waits for is kept.
func TestOldTasksAreForgotten(t *testing.T) {
	s := open(t, store.Memory, store.NewKEK())
	at := time.Date(2025, 1, 4, 6, 0, 0, 0, time.UTC)
	flow := lakeward.Dataflow{ID: "f", Sandbox: "prod", Name: "f", CreatedAt: at, Items: []lakeward.DataflowItem{{AudienceID: "a",
		Schedule: lakeward.Schedule{Frequency: lakeward.Daily, StartDate: "2025-01-04", StartTime: "06:00"}}}}
	if err := s.CreateDataflow(t.Context(), flow, at); err != nil {
		t.Fatal(err)
	}
	run := lakeward.Run{ID: "r", Sandbox: "prod", DataflowID: "f", Item: "a", Slot: "at:2025-01-04T06:00:00Z", State: lakeward.Queued, Phase: lakeward.PhaseNew, Attempt: 1, ScheduledAt: at, CreatedAt: at}
	due := store.DueItem{Sandbox: "prod", Flow: "f", Item: "a", NextAt: at}
	if err := s.Tick(t.Context(), due, store.DueSlots{Runs: []lakeward.Run{run}, Evaluate: "a", At: at, Now: at}); err != nil {
		t.Fatal(err)
	}
	awaited := claim(t, s, at)
	end(t, s, awaited, lakeward.TaskFailed)
	var oldest lakeward.TaskID
	for n := range 1003 {
		task := evaluation("prod", fmt.Sprint(n), at.Add(time.Duration(n+1)*time.Second))
		if n == 0 {
			oldest = task.ID
		}
		if n < 1002 {
			task.State = lakeward.TaskSucceeded
		}
		queueTask(t, s, task)
	}
	end(t, s, claim(t, s, at.Add(time.Hour)), lakeward.TaskSucceeded)
	list, err := s.Tasks(t.Context(), "prod", lakeward.EvaluationTask, 10000)
	if err != nil || len(list) != 1001 {
		t.Errorf("%d tasks are kept, %v", len(list), err)
	}
	if _, err := s.Task(t.Context(), "prod", string(awaited.ID)); err != nil {
		t.Errorf("the one that a run waits for: %v", err)
	}
	if _, err := s.Task(t.Context(), "prod", string(oldest)); lakeward.KindOf(err) != lakeward.NotFound {
		t.Errorf("the oldest: %v", err)
	}
}

// README 12: a slot has one evaluation as long as that can take another audience, and runs are pinned by its end.
func TestEvaluationOfASlotIsJoined(t *testing.T) {
	s := open(t, store.Memory, store.NewKEK())
	at := time.Date(2025, 1, 4, 6, 0, 0, 0, time.UTC)
	tick := func(item string) lakeward.Task {
		t.Helper()
		flow := lakeward.Dataflow{ID: lakeward.DataflowID("f-" + item), Sandbox: "prod", Name: item, CreatedAt: at, Items: []lakeward.DataflowItem{{AudienceID: lakeward.AudienceID(item),
			Schedule: lakeward.Schedule{Frequency: lakeward.Daily, StartDate: "2025-01-04", StartTime: "06:00"}}}}
		if err := s.CreateDataflow(t.Context(), flow, at); err != nil {
			t.Fatal(err)
		}
		run := lakeward.Run{ID: lakeward.RunID(item), Sandbox: "prod", DataflowID: flow.ID, Item: item, Slot: lakeward.ScheduledSlot(at), State: lakeward.Queued, Phase: lakeward.PhaseNew, Attempt: 1, ScheduledAt: at, CreatedAt: at}
		due := store.DueItem{Sandbox: "prod", Flow: flow.ID, Item: item, NextAt: at}
		for range 2 { // the second does nothing
			if err := s.Tick(t.Context(), due, store.DueSlots{Runs: []lakeward.Run{run}, Evaluate: lakeward.AudienceID(item), At: at, Now: at}); err != nil {
				t.Fatal(err)
			}
		}
		r, err := s.Run(t.Context(), "prod", item)
		if err != nil || r.Cause == nil || r.Cause.Code != lakeward.CauseEvaluating {
			t.Fatalf("run %+v, %v", r, err)
		}
		task, err := s.Task(t.Context(), "prod", string(r.Task))
		if err != nil {
			t.Fatal(err)
		}
		return task
	}
	a, b := tick("a"), tick("b")
	if a.ID != b.ID || !b.Evaluation.Covers("a") || !b.Evaluation.Covers("b") {
		t.Errorf("tasks %+v, %+v", a, b)
	}
	begun := claim(t, s, at)
	c := tick("c")
	if c.ID == a.ID || c.State != lakeward.TaskQueued || c.Subject != a.Subject+"#2" {
		t.Errorf("after the first has begun: %+v", c)
	}
	ended := *begun
	ended.EndedAt = &at
	if no, err := s.Commit(t.Context(), "prod", lakeward.Change{Kind: "evaluation", At: at, Task: &ended}); err != nil || no != 1 {
		t.Fatalf("commit: %d, %v", no, err)
	}
	for item, want := range map[string]int64{"a": 1, "b": 1, "c": 0} {
		if r, err := s.Run(t.Context(), "prod", item); err != nil || r.ToGeneration != want {
			t.Errorf("run of %s: generation %d, want %d, %v", item, r.ToGeneration, want, err)
		}
		if kept, err := store.Pinned(t.Context(), s, item); err != nil || kept != want {
			t.Errorf("run of %s keeps generation %d, want %d, %v", item, kept, want, err)
		}
	}
	if r, err := s.ClaimRun(t.Context(), at, "f-a"); err != nil || r == nil || r.Cause != nil {
		t.Errorf("claimed %+v, %v", r, err)
	}
	if r, err := s.ClaimRun(t.Context(), at, "f-c"); err != nil || r != nil {
		t.Errorf("claimed %+v before its evaluation, %v", r, err)
	}
}
