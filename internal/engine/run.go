package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/deliver"
	"github.com/lakeward/lakeward/internal/encrypt"
	"github.com/lakeward/lakeward/internal/lake"
	"github.com/lakeward/lakeward/internal/verify"
)

const (
	maxBackoff  = 15 * time.Minute
	firstWait   = 15 * time.Second
	closeWithin = 30 * time.Second
	cleanWithin = 3 * time.Second // what cannot be removed at once stays for the next run
)

// Work executes the queued runs that are due, several at a time, until none is left or the context ends.
func (e *Engine) Work(ctx context.Context) error { return e.WorkOn(ctx, "") }

// WorkOn is Work for the runs of one dataflow. The evaluations that they wait for come first.
func (e *Engine) WorkOn(ctx context.Context, flow lakeward.DataflowID) error {
	if err := e.workAwaited(ctx, flow); err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make(chan error, e.cfg.Workers)
	for range e.cfg.Workers {
		wg.Go(func() { errs <- e.worker(ctx, flow) })
	}
	wg.Wait()
	close(errs)
	var all []error
	for err := range errs {
		all = append(all, err)
	}
	return errors.Join(all...)
}

func (e *Engine) worker(ctx context.Context, flow lakeward.DataflowID) error {
	for ctx.Err() == nil {
		r, err := e.store.ClaimRun(ctx, now(), flow)
		if err != nil || r == nil {
			return err
		}
		e.Execute(ctx, r)
	}
	return nil
}

// Execute performs one attempt of a claimed run and notes how it ended. The run tells the outcome.
func (e *Engine) Execute(ctx context.Context, r *lakeward.Run) {
	err := e.attempt(ctx, r)
	switch {
	case err == nil:
	case lakeward.CodeOf(err) == "RUN-1002":
		e.log.WarnContext(ctx, "run taken over", "run_id", r.ID, "attempt", r.Attempt)
	case ctx.Err() != nil:
		e.release(context.WithoutCancel(ctx), r)
	default:
		e.fail(ctx, r, err)
	}
}

// attempt is export; a panic in it fails the attempt, not the process (DLV-46).
func (e *Engine) attempt(ctx context.Context, r *lakeward.Run) (err error) {
	defer lakeward.Rescue(&err)
	return e.export(ctx, r)
}

// release hands the run of a process that stops to the next one, as the next attempt (DLV-94).
func (e *Engine) release(ctx context.Context, r *lakeward.Run) {
	ctx, cancel := context.WithTimeout(ctx, closeWithin)
	defer cancel()
	if r.State != lakeward.Running {
		return
	}
	err := e.store.AdvanceRun(ctx, r, now(), func(r *lakeward.Run) { r.State, r.Attempt = lakeward.Queued, r.Attempt+1 })
	if err != nil {
		e.log.ErrorContext(ctx, "run not released", "run_id", r.ID, "err", err)
	}
}

// causeOf is what a run says of an error: a code of MON-16, a text with the fix, the other side's request id.
func causeOf(err error) *lakeward.Cause {
	c := &lakeward.Cause{Code: lake.RunCode(err), Message: "internal error; the log has the details"}
	if e, ok := errors.AsType[*lakeward.Error](err); ok {
		c.RequestID = e.RequestID
		if e.Kind != lakeward.Internal || strings.HasPrefix(e.Code, "DEST-") {
			c.Message = e.Msg
			for _, f := range e.Fields {
				c.Message += "; " + f.Pointer + ": " + f.Msg
			}
		}
	}
	return c
}

// fail decides what an error means for the run: after the commit it is blocked and tried again, while
// the other side may recover it waits, otherwise it fails and is closed at the destination (section 9).
func (e *Engine) fail(ctx context.Context, r *lakeward.Run, err error) {
	e.log.ErrorContext(ctx, "attempt failed", "run_id", r.ID, "dataflow_id", r.DataflowID, "attempt", r.Attempt, "kind", lakeward.KindOf(err), "err", err)
	at, cause := now(), causeOf(err)
	committed := r.Phase.AtLeast(lakeward.PhaseCommitted)
	unreadable := cause.Code == lakeward.FailIntegrity && strings.Contains(cause.Message, ".slot")
	var serr error
	switch {
	case committed || unreadable:
		serr = e.block(ctx, r, cause)
	case lakeward.KindOf(err) == lakeward.Unavailable && at.Sub(r.CreatedAt) < e.retryWindow(r):
		next := at.Add(backoff(r.Attempt))
		serr = e.store.AdvanceRun(ctx, r, at, func(r *lakeward.Run) { r.State, r.Cause, r.NotBefore = lakeward.Retrying, cause, &next })
	default:
		serr = e.closeFailed(ctx, r, cause)
	}
	switch {
	case serr == nil:
	case lakeward.CodeOf(serr) == "RUN-1002":
		e.log.WarnContext(ctx, "run taken over", "run_id", r.ID, "attempt", r.Attempt)
	default:
		e.log.ErrorContext(ctx, "run state not saved", "run_id", r.ID, "err", serr)
	}
}

// retryWindow is how long a run is tried again (DLV-72). One that was not pinned yet has the whole window.
func (e *Engine) retryWindow(r *lakeward.Run) time.Duration {
	if r.Plan == nil || !r.BySchedule() {
		return e.cfg.RetryWindow
	}
	entry, _ := r.Plan.Dataflow.Entry(r.Item)
	return entry.Schedule.RetryWithin(e.cfg.RetryWindow)
}

// block keeps a run that may be committed until it can be rolled forward (DLV-86).
func (e *Engine) block(ctx context.Context, r *lakeward.Run, cause *lakeward.Cause) error {
	at := now()
	next := at.Add(backoff(r.Attempt))
	return e.store.AdvanceRun(ctx, r, at, func(r *lakeward.Run) { r.State, r.Cause, r.NotBefore = lakeward.Blocked, cause, &next })
}

func backoff(attempt int) time.Duration { return min(maxBackoff, firstWait<<min(attempt-1, 10)) }

// closeFailed writes a tombstone, so that nothing of the run appears later, and closes it as failed. If
// the destination cannot be reached the tombstone stays owed (DLV-83); a commit record that is found
// there wins (DLV-82).
func (e *Engine) closeFailed(ctx context.Context, r *lakeward.Run, cause *lakeward.Cause) error {
	if err := e.store.Owned(ctx, r); err != nil {
		return err // the next attempt decides what becomes of the run
	}
	closed := false // nothing of the run can appear any more
	d, err := e.delivery(ctx, r)
	if err == nil {
		var rec *deliver.Record
		tctx, cancel := context.WithTimeout(ctx, closeWithin)
		rec, closed, err = e.tombstone(tctx, d, r, "failed:"+cause.Code)
		cancel()
		if rec != nil && rec.Kind == deliver.CommitKind { // it was delivered after all (DLV-82)
			if err := e.finish(ctx, d, r, rec); err != nil && r.State == lakeward.Running {
				return e.block(ctx, r, causeOf(err))
			}
			return nil
		}
	}
	at, owed := now(), err != nil && r.Phase.AtLeast(lakeward.PhaseCommitting)
	err = e.store.CloseRun(ctx, r, at, func(r *lakeward.Run) {
		r.State, r.Cause, r.EndedAt, r.Owed, r.NotBefore = lakeward.Failed, cause, &at, owed, nil
	})
	// Only what is closed in the books too is removed: until then another attempt may have taken the run over and use it.
	if err == nil && closed {
		e.discard(ctx, d, r)
	}
	return err
}

// tombstone closes a slot; closed means that nothing of the run can appear any more once its books are
// closed. A run that never tried to commit needs no tombstone, since its attempts cannot begin to; but its slot
// is read, because the database may be older than the lake (DLV-110).
func (e *Engine) tombstone(ctx context.Context, d *deliver.Lake, r *lakeward.Run, reason string) (rec *deliver.Record, closed bool, err error) {
	if !r.Phase.AtLeast(lakeward.PhaseCommitting) {
		ctx, cancel := context.WithTimeout(ctx, cleanWithin)
		defer cancel()
		rec, err := d.Slot(ctx, r.DataflowID, r.ID)
		return nil, err == nil && rec == nil, err
	}
	rec, err = d.Close(ctx, r, reason)
	return rec, err == nil && rec.Kind == deliver.TombstoneKind, err
}

// resolvePredecessors settles earlier runs of the item whose slot is not known to be closed (DLV-81). It
// reports whether this run has to wait, because one of them was delivered after all and comes first.
func (e *Engine) resolvePredecessors(ctx context.Context, d *deliver.Lake, r *lakeward.Run) (waits bool, err error) {
	list, err := e.store.Unresolved(ctx, *r)
	if err != nil {
		return false, err
	}
	for _, p := range list {
		d := *d
		if p.Plan != nil {
			d.Mode = p.Plan.Mode // it may have been another kind of storage then
		}
		rec, err := d.Close(ctx, &p, "superseded")
		if err != nil {
			return false, err
		}
		if rec.Kind == deliver.TombstoneKind {
			e.discard(ctx, &d, &p)
			err = e.store.AdvanceRun(ctx, &p, now(), func(p *lakeward.Run) { p.Owed = false })
		} else {
			waits = true
			err = e.store.AdvanceRun(ctx, &p, now(), func(p *lakeward.Run) { p.State, p.Attempt, p.Owed = lakeward.Queued, p.Attempt+1, false })
		}
		if err != nil {
			return false, err
		}
	}
	if waits {
		err = e.store.AdvanceRun(ctx, r, now(), func(r *lakeward.Run) { r.State, r.Attempt = lakeward.Queued, r.Attempt+1 })
	}
	return waits, err
}

// VerifyRun re-reads what a run delivered and compares it with the books (DLV-130).
func (e *Engine) VerifyRun(ctx context.Context, sandbox, id string) (lakeward.Verification, error) {
	return e.verifyRun(ctx, sandbox, id, nil)
}

// VerifyOpened is VerifyRun for whoever has the private key of encrypted files: their rows are counted too.
func (e *Engine) VerifyOpened(ctx context.Context, sandbox, id string, key lakeward.Secret) (lakeward.Verification, error) {
	keys, err := encrypt.NewOpener(key)
	if err != nil {
		return lakeward.Verification{}, err
	}
	return e.verifyRun(ctx, sandbox, id, keys)
}

func (e *Engine) verifyRun(ctx context.Context, sandbox, id string, keys verify.Opener) (lakeward.Verification, error) {
	r, err := e.store.Run(ctx, sandbox, id)
	if err != nil {
		return lakeward.Verification{}, err
	}
	if r.Plan == nil || !r.State.Closed() || r.State == lakeward.Skipped {
		return lakeward.Verification{}, &lakeward.Error{Kind: lakeward.Invalid, Code: "RUN-1003", Msg: fmt.Sprintf("run %s is %s; only a run that exported something can be verified", r.ID, r.State)}
	}
	d, err := e.delivery(ctx, &r)
	if err != nil {
		return lakeward.Verification{}, err
	}
	return verify.Run(ctx, d, r, keys)
}
