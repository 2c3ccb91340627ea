package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/store"
)

const (
	tickEvery = time.Second
	// lookEvery is how often the database is asked although nothing is known to be due.
	lookEvery = time.Minute
)

// maxMissed bounds the rows that one tick writes for slots that were missed.
const maxMissed = 1000

// Serve runs the scheduler, the workers and the compaction until the context ends: it takes over the runs and tasks of a process
// that is gone, then looks once a second for due slots and for what is queued (DLV-40, DLV-95).
func (e *Engine) Serve(ctx context.Context) error {
	if err := e.Recover(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	var workers sync.WaitGroup
	defer workers.Wait()
	work, tasks := make(chan struct{}, e.cfg.Workers), make(chan struct{}, 1)
	for range e.cfg.Workers {
		workers.Go(func() { e.workLoop(ctx, work) })
	}
	workers.Go(func() { e.compactLoop(ctx) })
	workers.Go(func() { e.taskLoop(ctx, tasks) })
	var due, looked time.Time // the next thing to do, and when that was last read
	for {
		at := now()
		if e.nudged() || at.Sub(looked) >= lookEvery || !due.IsZero() && !at.Before(due) {
			looked = at
			var err error
			due, err = e.step(ctx, at, work, tasks)
			if err != nil && ctx.Err() == nil {
				e.log.ErrorContext(ctx, "tick failed", "err", err)
			}
		}
		if !sleep(ctx, tickEvery) {
			return nil
		}
	}
}

// Recover queues the runs and tasks of a process that is gone, and those runs that wait and whose time has come, as
// next attempts. The caller holds the data directory (DLV-95).
func (e *Engine) Recover(ctx context.Context) error {
	n, err := e.store.RecoverRuns(ctx, now())
	if n > 0 {
		e.log.InfoContext(ctx, "runs taken over", "runs", n)
	}
	return errors.Join(err, e.RecoverTasks(ctx), e.store.ResumeRuns(ctx, now(), ""))
}

// RecoverTasks queues the tasks of a process that is gone. The caller holds the data directory and performs none.
func (e *Engine) RecoverTasks(ctx context.Context) error {
	n, err := e.store.RecoverTasks(ctx, now())
	if n > 0 {
		e.log.InfoContext(ctx, "tasks taken over", "tasks", n)
	}
	return err
}

// Retry queues the runs of a dataflow that wait for another try at once.
func (e *Engine) Retry(ctx context.Context, flow lakeward.DataflowID) error {
	return e.store.ResumeRuns(ctx, now(), flow)
}

// step queues what is due, wakes the workers and returns when the next thing is.
func (e *Engine) step(ctx context.Context, at time.Time, work, tasks chan<- struct{}) (time.Time, error) {
	err := errors.Join(e.Tick(ctx, at), e.store.ResumeRuns(ctx, at, ""))
	for range e.cfg.Workers {
		wake(work)
	}
	wake(tasks)
	due, derr := e.store.NextDue(ctx)
	return due, errors.Join(err, derr)
}

// wake tells a loop that there may be something for it; it is told once, however often.
func wake(loop chan<- struct{}) {
	select {
	case loop <- struct{}{}:
	default:
	}
}

// workLoop executes runs whenever it is woken.
func (e *Engine) workLoop(ctx context.Context, work <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-work:
		}
		if err := e.worker(ctx, ""); err != nil && ctx.Err() == nil {
			e.log.ErrorContext(ctx, "claim failed", "err", err)
		}
		e.closeIdle() // the next slot may be hours away; firewalls forget idle connections silently
	}
}

// nudge tells the scheduler that there is something new.
func (e *Engine) nudge() { wake(e.news) }

func (e *Engine) nudged() bool {
	select {
	case <-e.news:
		return true
	default:
		return false
	}
}

// Tick queues a run for every item whose slot has come. Slots that were missed while nobody ran are
// not replayed: the latest is caught up if it is younger than one interval, the others are noted as
// skipped (SCH-20). It also queues the evaluations that are due and lets expired audiences go.
func (e *Engine) Tick(ctx context.Context, at time.Time) error {
	return errors.Join(e.expire(ctx, "", at), e.tickEvaluations(ctx, at), e.tickItems(ctx, "", at))
}

// tickItems is Tick for the slots of a dataflow; "" means all.
func (e *Engine) tickItems(ctx context.Context, flow lakeward.DataflowID, at time.Time) error {
	due, err := e.store.DueItems(ctx, at)
	if err != nil {
		return err
	}
	var errs []error
	for _, item := range due {
		if flow != "" && item.Flow != flow {
			continue
		}
		if err := e.tickItem(ctx, item, at); err != nil {
			errs = append(errs, fmt.Errorf("dataflow %s, item %s: %w", item.Flow, item.Item, err))
		}
	}
	return errors.Join(errs...)
}

func (e *Engine) tickItem(ctx context.Context, due store.DueItem, at time.Time) error {
	flow, err := e.store.Dataflow(ctx, due.Sandbox, string(due.Flow))
	if err != nil {
		return err
	}
	item, ok := flow.Item(lakeward.AudienceID(due.Item))
	if !ok {
		return e.store.Tick(ctx, due, store.DueSlots{Rev: flow.Rev})
	}
	slots := []time.Time{due.NextAt}
	next, more := item.Schedule.Next(due.NextAt)
	for more && !next.After(at) {
		slots = append(slots, next)
		next, more = item.Schedule.Next(next)
	}
	var following *time.Time
	if more {
		following = &next
	}
	runs := slotRuns(flow, item, slots, at)
	what := store.DueSlots{Rev: flow.Rev, Next: following, Runs: runs, At: slots[len(slots)-1], Now: at}
	if what.Evaluate, err = e.evaluatedFirst(ctx, flow, item.AudienceID); err != nil {
		return err
	}
	if err := e.store.Tick(ctx, due, what); err != nil {
		return err
	}
	if latest := runs[len(runs)-1]; latest.State == lakeward.Queued {
		return e.store.CollapseQueued(ctx, latest, at)
	}
	return nil
}

// slotRuns makes a run for each slot: the last one is queued if it is not too old, the others are skipped.
func slotRuns(flow lakeward.Dataflow, item lakeward.DataflowItem, slots []time.Time, at time.Time) []lakeward.Run {
	if len(slots) > maxMissed {
		slots = slots[len(slots)-maxMissed:]
	}
	runs := make([]lakeward.Run, len(slots))
	for i, slot := range slots {
		r := lakeward.NewRun(flow, string(item.AudienceID), lakeward.ScheduledSlot(slot), slot, at)
		switch {
		case !flow.Enabled:
			r.Skip(at, lakeward.SkipPaused, "the dataflow was disabled")
		case i < len(slots)-1:
			r.Skip(at, lakeward.SkipMissed, "the service was not running; a later slot covers this one")
		case item.Schedule.TooOld(slot, at):
			r.Skip(at, lakeward.SkipMissed, "the service was not running, and the slot is older than one interval")
		}
		runs[i] = r
	}
	return runs
}
