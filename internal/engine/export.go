package engine

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/deliver"
	"github.com/lakeward/lakeward/internal/proof"
)

// export performs one attempt of a run, from its last durable fact to its books. It is the whole of an
// export: what is decided is stored before it is acted upon, nothing is visible in the lake before the
// commit, and everything after it can be done again by whoever finds the slot record.
func (e *Engine) export(ctx context.Context, r *lakeward.Run) error {
	d, err := e.delivery(ctx, r)
	if err != nil {
		return err
	}
	if proof.Planted(proof.CleanByAge) {
		if err := d.Clean(ctx, r); err != nil {
			return err
		}
	}
	// The slot is read before any work: it may hold the truth that the database does not know (DLV-81).
	rec, err := d.Slot(ctx, r.DataflowID, r.ID)
	if err != nil {
		return err
	}
	if rec != nil {
		return e.finish(ctx, d, r, rec)
	}
	if r.Phase.AtLeast(lakeward.PhaseCommitted) {
		return &lakeward.Error{Kind: lakeward.Conflict, Code: lakeward.FailLost,
			Msg: "the run was committed and its slot record is gone; somebody removed it or the container, and nothing is sent again before that is cleared up"}
	}
	if waits, err := e.resolvePredecessors(ctx, d, r); err != nil || waits {
		return err
	}
	if !r.Phase.AtLeast(lakeward.PhasePinned) {
		if err := e.pin(ctx, d, r); err != nil {
			return err
		}
		d.Mode = r.Plan.Mode
	}
	l, err := e.load(ctx, r)
	if err != nil {
		return err
	}
	if err := e.checkNames(ctx, d, r, l); err != nil {
		return err
	}
	files, err := e.prepare(ctx, d, r, l)
	if err != nil {
		return err
	}
	if err := l.counts.Balance(l.rows); err != nil {
		return err
	}
	if err := checkKeys(r.Plan.Keys, now()); err != nil { // the key may have ended since the run was pinned (DLV-49)
		return err
	}
	if rec, err = d.Commit(ctx, r, files, l.counts, r.Plan.ManifestPath(r.ID)); err != nil {
		return err
	}
	return e.finish(ctx, d, r, rec)
}

// delivery opens the way to the run's destination. Credentials are the current ones, everything else
// is what the run pinned.
func (e *Engine) delivery(ctx context.Context, r *lakeward.Run) (*deliver.Lake, error) {
	flow, err := e.store.Dataflow(ctx, r.Sandbox, string(r.DataflowID))
	if err != nil {
		return nil, err
	}
	dest, err := e.store.Destination(ctx, r.Sandbox, string(flow.DestinationID))
	if err != nil {
		return nil, err
	}
	if r.Plan != nil {
		dest = r.Plan.Destination
	}
	location := ""
	if r.Plan != nil {
		location = r.Plan.Location // where it began, it ends, whatever is edited meanwhile
	}
	client, err := e.client(ctx, r.Sandbox, dest.AccountID, location)
	if err != nil {
		return nil, err
	}
	key, err := e.store.SlotKey(ctx, flow)
	if err != nil {
		return nil, err
	}
	d := &deliver.Lake{Client: client, Journal: e.store, Key: key, Base: flow.Base}
	if r.Plan != nil {
		d.Mode = r.Plan.Mode
	}
	d.Store, err = e.store.StoreID(ctx)
	return d, err
}

// pin fixes, once for all attempts, what the run exports: configuration, generation, names, and whom it leaves out for want of
// consent (S3).
func (e *Engine) pin(ctx context.Context, d *deliver.Lake, r *lakeward.Run) error {
	flow, err := e.store.Dataflow(ctx, r.Sandbox, string(r.DataflowID))
	if err != nil {
		return err
	}
	if err := e.evaluated(ctx, r); err != nil {
		return err
	}
	if err := e.expire(ctx, r.Sandbox, now()); err != nil {
		return err
	}
	policy, err := e.policyOfItem(ctx, r.Sandbox, r.Item)
	if err != nil {
		return err
	}
	snap, err := e.warehouse.SnapshotOf(ctx, r.Sandbox, policy, r.ToGeneration, lakeward.AudienceID(r.Item)) // that of its evaluation, or the newest
	if err != nil {
		return err
	}
	defer runtime.KeepAlive(snap) // its files stay until the pin holds them
	at, err := e.generatedAt(ctx, r)
	if err != nil {
		return err
	}
	plan, err := e.planRun(ctx, r, flow, snap.Generation, at)
	if err != nil {
		return err
	}
	plan.Hash = snap.Hash
	if err := checkKeys(plan.Keys, now()); err != nil {
		return err
	}
	if plan.Mode, err = d.FindMode(ctx, plan.Destination.Mode); err != nil {
		return err
	}
	withheld, err := e.withholds(ctx, snap, r.Item)
	if err != nil {
		return err
	}
	return e.store.PinRun(ctx, r, at, plan, snap.Generation, withheld)
}

// planRun is what a run exports at a time, up to a generation; the windows of datasets are noted in the run.
func (e *Engine) planRun(ctx context.Context, r *lakeward.Run, flow lakeward.Dataflow, to int64, at time.Time) (lakeward.Plan, error) {
	if r.Item != lakeward.DatasetsItem || flow.Datasets == nil {
		return e.plan(ctx, flow, r.Item, at)
	}
	plan, err := e.planDatasets(ctx, *r, flow, at)
	if err != nil {
		return plan, err
	}
	if r.Windows, err = e.store.DatasetWindows(ctx, *r, flow, to); err != nil {
		return plan, err
	}
	return plan, e.countParts(ctx, r, &plan, at)
}

// evaluated fails if the evaluation that a run has waited for did.
func (e *Engine) evaluated(ctx context.Context, r *lakeward.Run) error {
	if r.Task == "" {
		return nil
	}
	t, err := e.store.Task(ctx, r.Sandbox, string(r.Task))
	if err != nil {
		return err
	}
	if err := t.Err(); err != nil {
		return &lakeward.Error{Kind: lakeward.Conflict, Code: lakeward.FailSource,
			Msg: fmt.Sprintf("the evaluation before this export is %s: %s; lakeward task show %s tells more", t.State, lakeward.Message(err), t.ID)}
	}
	return nil
}

// generatedAt is the time in the names of a run's files. Two runs of one item never share a second, so
// that names with date and time never meet; the second one waits for its own.
func (e *Engine) generatedAt(ctx context.Context, r *lakeward.Run) (time.Time, error) {
	last, err := e.store.LastGenerated(ctx, r.DataflowID, r.Item)
	if err != nil {
		return time.Time{}, err
	}
	free := last.Truncate(time.Second).Add(time.Second)
	at := now()
	if last.IsZero() || !at.Before(free) {
		return at, nil
	}
	if wait := free.Sub(at); wait <= 2*time.Second {
		if !sleep(ctx, wait) {
			return at, ctx.Err()
		}
	}
	return free, nil // also when the clock was set back by more
}

// checkNames fails early if a final name is taken by something that this dataflow did not write.
func (e *Engine) checkNames(ctx context.Context, d *deliver.Lake, r *lakeward.Run, l *load) error {
	var paths []string
	for k := range l.parts {
		paths = append(paths, r.Plan.FilePath(k))
	}
	for _, p := range []string{r.Plan.SuccessPath(), r.Plan.ManifestPath(r.ID)} {
		if p != "" {
			paths = append(paths, p)
		}
	}
	return d.CheckNames(ctx, r, paths)
}

// prepare stages every part and checks that what was written is what was selected (DLV-48).
func (e *Engine) prepare(ctx context.Context, d *deliver.Lake, r *lakeward.Run, l *load) ([]lakeward.File, error) {
	var files []lakeward.File
	warnings := lakeward.Warnings{}
	warnings.Add(lakeward.WarnField, l.gone)
	for k, want := range l.parts {
		var doubts doubts // of the last try
		f, err := d.Stage(ctx, r, lakeward.File{Index: k, Path: r.Plan.FilePath(k), Recipients: r.Plan.Fingerprints()}, func(out io.Writer) (rows int64, err error) {
			rows, doubts, err = l.write(ctx, out, k)
			return rows, err
		})
		if err != nil {
			return nil, err
		}
		if f.Rows != want {
			return nil, &lakeward.Error{Kind: lakeward.Internal, Code: lakeward.FailInternal, Msg: fmt.Sprintf("part %d has %d rows, %d were selected", k, f.Rows, want)}
		}
		warnings.Add(lakeward.WarnDelimiter, doubts.ambiguous)
		warnings.Add(lakeward.WarnExpression, doubts.failed)
		l.counts.Rows += f.Rows
		files = append(files, f)
	}
	if p := r.Plan.SuccessPath(); p != "" {
		f, err := d.Stage(ctx, r, lakeward.File{Index: len(files), Path: p, Success: true}, func(io.Writer) (int64, error) { return 0, nil })
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, e.store.AdvanceRun(ctx, r, now(), func(r *lakeward.Run) {
		if !r.Phase.AtLeast(lakeward.PhaseCommitting) { // an earlier attempt may have tried to commit: that is never forgotten
			r.Phase = lakeward.PhasePrepared
		}
		if len(warnings) > 0 {
			r.Warnings = warnings
		}
	})
}

// finish acts on the slot record of a run, ours or one that was found: a commit is rolled forward and
// booked, a tombstone closes the run as it says.
func (e *Engine) finish(ctx context.Context, d *deliver.Lake, r *lakeward.Run, rec *deliver.Record) error {
	if rec.Kind == deliver.TombstoneKind {
		e.discard(ctx, d, r)
		return e.store.CloseRun(ctx, r, now(), func(r *lakeward.Run) {
			at := now()
			r.State, r.EndedAt, r.Owed = lakeward.Failed, &at, false
			r.Cause = &lakeward.Cause{Code: lakeward.FailInternal, Message: "the run was closed before it was delivered: " + rec.Reason}
		})
	}
	if err := e.checkTimeline(ctx, d, r, rec); err != nil {
		return err
	}
	if !r.Phase.AtLeast(lakeward.PhaseCommitted) {
		if err := e.store.Phase(ctx, r, lakeward.PhaseCommitted); err != nil {
			return err
		}
	}
	files, err := d.Publish(ctx, r, rec)
	if err != nil {
		return err
	}
	if r.Plan == nil {
		if err := e.adoptWithheld(ctx, r, rec.ToGeneration); err != nil {
			return err
		}
	}
	err = e.store.BookRun(ctx, r, now(), func(r *lakeward.Run) {
		at := now()
		r.State, r.Phase, r.EndedAt, r.Counts, r.Cause, r.Owed = lakeward.Succeeded, lakeward.PhaseBooked, &at, rec.Counts, nil, false
		if r.Plan == nil { // our database is of before the pin: the record knows the window
			r.Rev, r.FromGeneration, r.ToGeneration, r.Windows = rec.Rev, rec.FromGeneration, rec.ToGeneration, rec.Windows
		}
		if rec.Manifest != nil {
			r.Manifest = *rec.Manifest
		}
	})
	if err != nil {
		return err
	}
	r.Files = files
	e.log.InfoContext(ctx, "run delivered", "run_id", r.ID, "dataflow_id", r.DataflowID, "attempt", r.Attempt, "rows", r.Counts.Rows, "files", len(files))
	if err := d.Clean(ctx, r); err != nil {
		e.log.WarnContext(ctx, "staging not removed", "run_id", r.ID, "err", err)
	}
	return nil
}

// discard removes what a run that is closed for good left in the lake; what cannot be removed stays.
func (e *Engine) discard(ctx context.Context, d *deliver.Lake, r *lakeward.Run) {
	ctx, cancel := context.WithTimeout(ctx, cleanWithin)
	defer cancel()
	if err := d.Discard(ctx, r); err != nil {
		e.log.WarnContext(ctx, "files of a closed run not removed", "run_id", r.ID, "err", err)
	}
}

// checkTimeline refuses the record of another copy of this store (DLV-126).
func (e *Engine) checkTimeline(ctx context.Context, d *deliver.Lake, r *lakeward.Run, rec *deliver.Record) error {
	strange := &lakeward.Error{Kind: lakeward.Conflict, Code: lakeward.FailTimeline,
		Msg: "another copy of this store delivered this run; nothing more is sent for this audience until that is cleared up"}
	if rec.Store != d.Store {
		return strange
	}
	hash, err := e.store.GenerationHash(ctx, r.Sandbox, rec.ToGeneration)
	if lakeward.KindOf(err) == lakeward.NotFound || err == nil && hash != rec.GenerationHash {
		return strange
	}
	return err
}
