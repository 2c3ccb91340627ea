package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lakeward/lakeward"
)

const (
	// taskAttempts bounds how often a task is tried that others keep from ending.
	taskAttempts = 10
	maxTaskWait  = time.Minute
	awaitEvery   = 100 * time.Millisecond
)

// taskLoop performs tasks whenever it is woken, one after the other.
func (e *Engine) taskLoop(ctx context.Context, wake <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-wake:
		}
		for ctx.Err() == nil {
			t, err := e.store.ClaimTask(ctx, now(), "")
			if err != nil && ctx.Err() == nil {
				e.log.ErrorContext(ctx, "claim failed", "err", err)
			}
			if err != nil || t == nil {
				break
			}
			_ = e.executeTask(ctx, t, nil) // the task tells
			e.nudge()                      // runs may have waited for it
		}
	}
}

// executeTask performs one attempt of a claimed task and notes how it ended.
func (e *Engine) executeTask(ctx context.Context, t *lakeward.Task, p Progress) error {
	err := e.perform(ctx, t, p)
	switch {
	case err == nil:
		e.log.InfoContext(ctx, "task done", "task_id", t.ID, "kind", t.Kind, "attempt", t.Attempt)
	case lakeward.CodeOf(err) == "TASK-1002":
		e.log.WarnContext(ctx, "task taken over", "task_id", t.ID, "attempt", t.Attempt)
	case ctx.Err() != nil:
		e.endTask(context.WithoutCancel(ctx), t, e.releaseTask)
	default:
		e.log.ErrorContext(ctx, "task failed", "task_id", t.ID, "kind", t.Kind, "attempt", t.Attempt, "err", err)
		e.endTask(ctx, t, func(t *lakeward.Task) { failTask(t, err) })
	}
	return err
}

// perform does what a task of its kind does; a panic in it fails the task, not the process.
func (e *Engine) perform(ctx context.Context, t *lakeward.Task, p Progress) (err error) {
	defer lakeward.Rescue(&err)
	switch t.Kind {
	case lakeward.EvaluationTask:
		return e.evaluate(ctx, t, p)
	}
	return fmt.Errorf("task %s is of the unknown kind %s", t.ID, t.Kind)
}

func (e *Engine) endTask(ctx context.Context, t *lakeward.Task, change func(*lakeward.Task)) {
	ctx, cancel := context.WithTimeout(ctx, closeWithin)
	defer cancel()
	if err := e.store.AdvanceTask(ctx, t, change); err != nil && lakeward.CodeOf(err) != "TASK-1002" {
		e.log.ErrorContext(ctx, "task state not saved", "task_id", t.ID, "err", err)
	}
}

// CancelTask ends a task that is not closed (SEG-05). Whoever is at work on it commits nothing; runs that wait for it fail
// and say so.
func (e *Engine) CancelTask(ctx context.Context, sandbox, id string) (lakeward.Task, error) {
	t, err := e.store.Task(ctx, sandbox, id)
	if err != nil {
		return t, err
	}
	state, err := t.State.To(lakeward.TaskCancelled)
	if err != nil {
		return t, err
	}
	defer e.nudge()
	at := now()
	return t, e.store.AdvanceTask(ctx, &t, func(t *lakeward.Task) {
		t.State, t.EndedAt, t.Cause = state, &at, &lakeward.Cause{Code: "cancelled", Message: "it was cancelled by hand; begin it again with: lakeward audience evaluate"}
	})
}

func byHand(t lakeward.Task) bool {
	return t.Evaluation != nil && t.Evaluation.Trigger == lakeward.ByHand
}

// releaseTask hands the task of a process that stops to the next one; what only somebody here waited for is cancelled.
func (e *Engine) releaseTask(t *lakeward.Task) {
	at := now()
	if byHand(*t) {
		t.State, t.EndedAt, t.Cause = lakeward.TaskCancelled, &at, &lakeward.Cause{Code: "stopped", Message: "it was stopped by whoever began it"}
		return
	}
	t.State, t.Attempt = lakeward.TaskQueued, t.Attempt+1
}

// failTask closes a task as failed, or queues it again where another commit was first: it begins anew with what that left.
func failTask(t *lakeward.Task, err error) {
	at := now()
	t.Cause = taskCause(err)
	if lakeward.CodeOf(err) == "DATA-1002" && t.Attempt < taskAttempts {
		next := at.Add(min(maxTaskWait, time.Second<<(t.Attempt-1)))
		t.State, t.Attempt, t.NotBefore = lakeward.TaskQueued, t.Attempt+1, &next
		return
	}
	t.State, t.EndedAt = lakeward.TaskFailed, &at
}

// taskCause is what a task says of an error.
func taskCause(err error) *lakeward.Cause {
	e, ok := errors.AsType[*lakeward.Error](err)
	if !ok || e.Kind == lakeward.Internal {
		return causeOf(err)
	}
	c := &lakeward.Cause{Code: e.Code, Message: e.Msg}
	for _, f := range e.Fields {
		c.Message += "; " + f.Pointer + ": " + f.Msg
	}
	return c
}

// await performs a queued task here, or waits for whoever does, until it is closed.
func (e *Engine) await(ctx context.Context, t lakeward.Task, p Progress) (lakeward.Task, error) {
	for {
		claimed, err := e.store.ClaimTask(ctx, now(), t.ID)
		if err != nil {
			return t, err
		}
		if claimed != nil {
			err = e.executeTask(ctx, claimed, p)
		}
		if ctx.Err() != nil {
			if claimed == nil && byHand(t) {
				e.endTask(context.WithoutCancel(ctx), &t, e.releaseTask)
			}
			return t, ctx.Err()
		}
		now, rerr := e.store.Task(ctx, t.Sandbox, string(t.ID))
		if rerr != nil {
			return t, rerr
		}
		if now.State.Closed() {
			if err == nil || now.State == lakeward.TaskSucceeded {
				err = now.Err()
			}
			return now, err
		}
		t = now
		sleep(ctx, awaitEvery)
	}
}

// workAwaited performs the tasks that queued runs of a dataflow wait for; "" means any.
func (e *Engine) workAwaited(ctx context.Context, flow lakeward.DataflowID) error {
	list, err := e.store.AwaitedTasks(ctx, flow)
	if err != nil {
		return err
	}
	for _, t := range list {
		if _, err := e.await(ctx, t, nil); err != nil && ctx.Err() != nil {
			return err
		}
	}
	return nil // the runs tell what failed
}
