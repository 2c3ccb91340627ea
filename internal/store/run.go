package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/proof"
)

const runColumns = `id, sandbox, flow, item, slot, state, phase, attempt, nonce, rev, from_generation, to_generation, scheduled_at, generated_at,
	not_before, created_at, started_at, ended_at, cause, counts, warnings, manifest, owed, plan, task, windows`

// scanRun reads a row of runColumns.
func scanRun(row interface{ Scan(...any) error }) (lakeward.Run, error) {
	var r lakeward.Run
	var nonce, cause, plan, task, windows sql.NullString
	var from, generated, notBefore, started, ended sql.NullInt64
	var scheduled, created, owed int64
	var counts, warnings string
	err := row.Scan(&r.ID, &r.Sandbox, &r.DataflowID, &r.Item, &r.Slot, &r.State, &r.Phase, &r.Attempt, &nonce, &r.Rev, &from, &r.ToGeneration,
		&scheduled, &generated, &notBefore, &created, &started, &ended, &cause, &counts, &warnings, &r.Manifest, &owed, &plan, &task, &windows)
	if err != nil {
		return r, err
	}
	r.Nonce, r.Owed, r.Task = nonce.String, owed != 0, lakeward.TaskID(task.String)
	if from.Valid {
		r.FromGeneration = &from.Int64
	}
	r.ScheduledAt, r.CreatedAt = fromMillis(scheduled), fromMillis(created)
	r.GeneratedAt, r.NotBefore, r.StartedAt, r.EndedAt = timeOrNil(generated), timeOrNil(notBefore), timeOrNil(started), timeOrNil(ended)
	err = errors.Join(json.Unmarshal([]byte(counts), &r.Counts), json.Unmarshal([]byte(warnings), &r.Warnings))
	if cause.Valid && err == nil {
		err = json.Unmarshal([]byte(cause.String), &r.Cause)
	}
	if plan.Valid && err == nil {
		err = json.Unmarshal([]byte(plan.String), &r.Plan)
	}
	if windows.Valid && err == nil {
		err = json.Unmarshal([]byte(windows.String), &r.Windows)
	}
	return r, err
}

// jsonOrNull is v as a text column, NULL for a nil pointer.
func jsonOrNull[T any](v *T) (sql.NullString, error) {
	if v == nil {
		return sql.NullString{}, nil
	}
	b, err := json.Marshal(v)
	return sql.NullString{String: string(b), Valid: true}, err
}

// insertRun adds a run unless its slot has one; it reports whether it did.
func insertRun(ctx context.Context, q querier, r lakeward.Run) (bool, error) {
	counts, err := json.Marshal(r.Counts)
	if err != nil {
		return false, err
	}
	cause, err := jsonOrNull(r.Cause)
	if err != nil {
		return false, err
	}
	ok, err := changed(ctx, q, `INSERT INTO run (id, sandbox, flow, item, slot, state, phase, attempt, rev, to_generation, scheduled_at, created_at, ended_at, cause, counts, warnings, manifest, owed, task)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $16, $10, $11, $12, $13, $14, '{}', '', 0, $15) ON CONFLICT DO NOTHING`,
		r.ID, r.Sandbox, r.DataflowID, r.Item, r.Slot, r.State, r.Phase, r.Attempt, r.Rev, millis(r.ScheduledAt), millis(r.CreatedAt), millisOrNull(r.EndedAt), cause, string(counts), sql.NullString{String: string(r.Task), Valid: r.Task != ""}, r.ToGeneration)
	if err != nil {
		return false, fmt.Errorf("queue run %s: %w", r.ID, err)
	}
	if ok {
		err = addHistory(ctx, q, r, r.CreatedAt)
	}
	return ok, err
}

// addHistory records a state and phase, so that every change can be checked later (INV-18).
func addHistory(ctx context.Context, q querier, r lakeward.Run, at time.Time) error {
	cause, err := jsonOrNull(r.Cause)
	if err != nil {
		return err
	}
	_, err = q.ExecContext(ctx, `INSERT INTO run_history (run, seq, at, attempt, state, phase, cause)
		SELECT $1, coalesce(max(seq), 0) + 1, $2, $3, $4, $5, $6 FROM run_history WHERE run = $1`, r.ID, millis(at), r.Attempt, r.State, r.Phase, cause)
	return err
}

// QueueRun adds a run unless its slot has one already; it returns the run of the slot.
func (s *Store) QueueRun(ctx context.Context, r lakeward.Run) (lakeward.Run, error) {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		_, err := insertRun(ctx, tx, r)
		return err
	})
	if err != nil {
		return r, err
	}
	return s.Run(ctx, r.Sandbox, string(r.ID))
}

// CollapseQueued marks the scheduled runs of an item that still wait as skipped: by covers (SCH-22). An evaluation that
// waited for them alone is cancelled.
func (s *Store) CollapseQueued(ctx context.Context, covers lakeward.Run, now time.Time) error {
	list, err := s.query(ctx, `WHERE flow = $1 AND item = $2 AND state = 'queued' AND slot LIKE 'at:%' AND id <> $3 AND scheduled_at < $4`,
		covers.DataflowID, covers.Item, covers.ID, millis(covers.ScheduledAt))
	for _, r := range list {
		if err != nil {
			return err
		}
		err = s.CloseRun(ctx, &r, now, func(r *lakeward.Run) {
			r.Skip(now, lakeward.SkipCollapsed, coveredBy(covers))
		})
		if lakeward.KindOf(err) == lakeward.Conflict {
			err = nil // it has just been claimed
		}
	}
	if err != nil || len(list) == 0 {
		return err
	}
	return s.inTx(ctx, func(tx *sql.Tx) error { return cancelIdle(ctx, tx, covers.Sandbox, "", now, lakeward.ByExport) })
}

func coveredBy(r lakeward.Run) string {
	return "a later slot queued up; run " + string(r.ID) + " covers this one"
}

// evaluating is the condition that a run r waits for a task.
const evaluating = `EXISTS (SELECT 1 FROM task k WHERE k.id = r.task AND k.state IN ('QUEUED', 'PROCESSING'))`

// ClaimRun hands the next due run to a worker, nil if there is none; flow "" means any. Runs of one item
// are sequential: one is claimed only when all earlier ones are closed (DLV-81). One that waits for an evaluation is
// claimed when that has ended, in whatever way.
func (s *Store) ClaimRun(ctx context.Context, now time.Time, flow lakeward.DataflowID) (*lakeward.Run, error) {
	if some, err := s.queued(ctx, "run", string(lakeward.Queued)); err != nil || !some {
		return nil, err
	}
	var claimed *lakeward.Run
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		row := tx.QueryRowContext(ctx, `SELECT `+runColumns+` FROM run r WHERE state = 'queued' AND ($2 = '' OR flow = $2) AND (not_before IS NULL OR not_before <= $1) AND NOT `+evaluating+`
			AND NOT EXISTS (SELECT 1 FROM run o WHERE o.flow = r.flow AND o.item = r.item AND o.id <> r.id
				AND (o.state IN ('running', 'retrying', 'cancelling', 'blocked') OR o.state = 'queued' AND (o.created_at < r.created_at OR o.created_at = r.created_at AND o.id < r.id)))
			ORDER BY coalesce(not_before, created_at), created_at, id LIMIT 1`, millis(now), flow)
		r, err := scanRun(row)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("claim: %w", err)
		}
		err = advance(ctx, tx, &r, now, func(r *lakeward.Run) {
			r.State, r.Nonce, r.NotBefore = lakeward.Running, lakeward.NewNonce(), nil
			if r.StartedAt == nil {
				r.StartedAt = &now
			}
			if r.Cause != nil && r.Cause.Code == lakeward.CauseEvaluating {
				r.Cause = nil
			}
		})
		claimed = &r
		return err
	})
	if err != nil {
		return nil, err
	}
	return claimed, nil
}

// queued reports whether a table has a row in a state. It is asked before a claim: mostly there is none, and writers
// wait for each other.
func (s *Store) queued(ctx context.Context, table, state string) (some bool, err error) {
	err = s.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM `+table+` WHERE state = $1)`, state).Scan(&some)
	return some, err
}

// errSuperseded says that another attempt owns the run; its worker stops at once (DLV-31).
func errSuperseded(id lakeward.RunID) error {
	return &lakeward.Error{Kind: lakeward.Conflict, Code: "RUN-1002", Msg: "run " + string(id) + " was taken over by another attempt"}
}

// Owned fails if another attempt owns the run. It only spares work: what matters is fenced when it is written.
func (s *Store) Owned(ctx context.Context, r *lakeward.Run) error {
	var n int
	err := s.read.QueryRowContext(ctx, `SELECT count(*) FROM run WHERE id = $1 AND `+fenced("attempt", "$2"), r.ID, r.Attempt).Scan(&n)
	if err != nil {
		return fmt.Errorf("read run %s: %w", r.ID, err)
	}
	if n == 0 {
		return errSuperseded(r.ID)
	}
	return nil
}

// AdvanceRun changes a run and writes it if it is still at the attempt and in the state of r. The
// step must be legal (DLV-33). On success r is the changed run; otherwise it stays as it was.
func (s *Store) AdvanceRun(ctx context.Context, r *lakeward.Run, now time.Time, change func(*lakeward.Run)) error {
	return s.inTx(ctx, func(tx *sql.Tx) error { return advance(ctx, tx, r, now, change) })
}

// fenced is a condition under which an attempt may write its run: the column is as the attempt knows it.
func fenced(column, parameter string) string {
	if proof.Planted(proof.NoFence) {
		return parameter + " = " + parameter
	}
	return column + " = " + parameter
}

func advance(ctx context.Context, q querier, r *lakeward.Run, now time.Time, change func(*lakeward.Run)) error {
	next := *r
	change(&next)
	if next.State != r.State {
		if _, err := r.State.To(next.State); err != nil {
			return err
		}
	}
	counts, err := json.Marshal(next.Counts)
	if err != nil {
		return err
	}
	cause, err := jsonOrNull(next.Cause)
	if err != nil {
		return err
	}
	plan, err := jsonOrNull(next.Plan)
	if err != nil {
		return err
	}
	warnings, err := json.Marshal(next.Warnings)
	if err != nil {
		return err
	}
	var windows sql.NullString
	if next.Windows != nil {
		if windows, err = jsonOrNull(&next.Windows); err != nil {
			return err
		}
	}
	owed := 0
	if next.Owed {
		owed = 1
	}
	ok, err := changed(ctx, q, `UPDATE run SET state = $1, phase = $2, attempt = $3, nonce = $4, rev = $5, from_generation = $6, to_generation = $7, generated_at = $8,
		not_before = $9, started_at = $10, ended_at = $11, cause = $12, counts = $13, manifest = $14, owed = $15, plan = $16, warnings = $17, windows = $21 WHERE id = $18 AND `+fenced("attempt", "$19")+` AND `+fenced("state", "$20"),
		next.State, next.Phase, next.Attempt, next.Nonce, next.Rev, next.FromGeneration, next.ToGeneration, millisOrNull(next.GeneratedAt), millisOrNull(next.NotBefore),
		millisOrNull(next.StartedAt), millisOrNull(next.EndedAt), cause, string(counts), next.Manifest, owed, plan, string(warnings), r.ID, r.Attempt, r.State, windows)
	if err != nil {
		return fmt.Errorf("save run %s: %w", r.ID, err)
	}
	if !ok {
		return errSuperseded(r.ID)
	}
	if err := addHistory(ctx, q, next, now); err != nil {
		return err
	}
	*r = next
	return nil
}

// PinRun fixes what the run exports, in one transaction: configuration, window, names, whom it leaves out for want of consent
// (S3). The windows of datasets stand in the run already.
func (s *Store) PinRun(ctx context.Context, r *lakeward.Run, now time.Time, plan lakeward.Plan, generation int64, withheld lakeward.Bitmap) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		base, err := readBaseline(ctx, tx, r.DataflowID, r.Item)
		if err != nil {
			return err
		}
		from := base.windowStart(*r, plan, generation)
		err = advance(ctx, tx, r, now, func(r *lakeward.Run) {
			r.Phase, r.Plan, r.Rev, r.FromGeneration, r.ToGeneration, r.GeneratedAt = lakeward.PhasePinned, &plan, plan.Dataflow.Rev, from, generation, &now
		})
		if err != nil {
			return err
		}
		if err := keepWithheld(ctx, tx, *r, base, withheld); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO pin (run, sandbox, generation) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, r.ID, r.Sandbox, generation)
		return err
	})
}

// BookRun closes a delivered run: counters, baseline of a scheduled run, pin released (S9).
func (s *Store) BookRun(ctx context.Context, r *lakeward.Run, now time.Time, change func(*lakeward.Run)) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		if err := advance(ctx, tx, r, now, change); err != nil {
			return err
		}
		if err := moveBaseline(ctx, tx, *r); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM pin WHERE run = $1`, r.ID)
		return err
	})
}

// CloseRun ends a run that delivered nothing; its pin is released.
func (s *Store) CloseRun(ctx context.Context, r *lakeward.Run, now time.Time, change func(*lakeward.Run)) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		if err := advance(ctx, tx, r, now, change); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, `DELETE FROM pin WHERE run = $1`, r.ID)
		return err
	})
}

// RecoverRuns queues the runs of a process that is gone as next attempts. The caller holds the data
// directory, so no other process works on them (DLV-95).
func (s *Store) RecoverRuns(ctx context.Context, now time.Time) (int, error) {
	list, err := s.query(ctx, `WHERE state = 'running'`)
	for _, r := range list {
		if err != nil {
			return 0, err
		}
		err = s.AdvanceRun(ctx, &r, now, func(r *lakeward.Run) { r.State, r.Attempt = lakeward.Queued, r.Attempt+1 })
	}
	return len(list), err
}

// ResumeRuns queues the waiting runs whose time has come as next attempts; with a flow, those of the flow
// whether it has come or not.
func (s *Store) ResumeRuns(ctx context.Context, now time.Time, flow lakeward.DataflowID) error {
	list, err := s.query(ctx, `WHERE state IN ('retrying', 'blocked') AND (not_before <= $1 OR flow = $2)`, millis(now), flow)
	for _, r := range list {
		if err != nil {
			return err
		}
		err = s.AdvanceRun(ctx, &r, now, func(r *lakeward.Run) { r.State, r.Attempt, r.NotBefore = lakeward.Queued, r.Attempt+1, nil })
	}
	return err
}

// Unresolved lists the earlier runs of an item whose slot may still hold a commit record: failed ones
// that owe a tombstone (DLV-81, DLV-83).
func (s *Store) Unresolved(ctx context.Context, r lakeward.Run) ([]lakeward.Run, error) {
	return s.query(ctx, `WHERE flow = $1 AND item = $2 AND id <> $3 AND owed = 1 ORDER BY created_at, id`, r.DataflowID, r.Item, r.ID)
}

// Run returns a run by its id, with its files.
func (s *Store) Run(ctx context.Context, sandbox, id string) (lakeward.Run, error) {
	list, err := s.query(ctx, `WHERE sandbox = $1 AND id = $2`, sandbox, id)
	if err != nil {
		return lakeward.Run{}, err
	}
	if len(list) == 0 {
		return lakeward.Run{}, &lakeward.Error{Kind: lakeward.NotFound, Code: "NOTFOUND-1001", Msg: "there is no run " + lakeward.Quote(id) + "; list them with: lakeward run list"}
	}
	r := list[0]
	r.Files, err = s.Files(ctx, &r)
	return r, err
}

// Runs lists the newest runs first, with their files; flow "" means all, limit 0 means 100.
func (s *Store) Runs(ctx context.Context, sandbox string, flow lakeward.DataflowID, limit int) ([]lakeward.Run, error) {
	if limit <= 0 {
		limit = 100
	}
	list, err := s.query(ctx, `WHERE sandbox = $1 AND ($2 = '' OR flow = $2) ORDER BY created_at DESC, id LIMIT $3`, sandbox, flow, limit)
	for i := range list {
		if err == nil {
			list[i].Files, err = s.Files(ctx, &list[i])
		}
	}
	return list, err
}

func (s *Store) query(ctx context.Context, where string, args ...any) ([]lakeward.Run, error) {
	return queryRuns(ctx, s.read, where, args...)
}

func queryRuns(ctx context.Context, q querier, where string, args ...any) ([]lakeward.Run, error) {
	rows, err := q.QueryContext(ctx, `SELECT `+runColumns+` FROM run `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read runs: %w", err)
	}
	defer rows.Close()
	out := []lakeward.Run{}
	for rows.Next() {
		r, err := scanRun(rows)
		if err != nil {
			return nil, fmt.Errorf("read run: %w", err)
		}
		out = append(out, r)
	}
	return out, rows.Err()
}

// SaveFile records one file of the run's attempt (S5, S7).
func (s *Store) SaveFile(ctx context.Context, r *lakeward.Run, f lakeward.File) error {
	doc, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return s.inTx(ctx, func(tx *sql.Tx) error {
		ok, err := changed(ctx, tx, `INSERT INTO run_file (run, attempt, file, state, doc) SELECT $1, $2, $3, $4, $5 WHERE EXISTS (SELECT 1 FROM run WHERE id = $1 AND `+fenced("attempt", "$2")+`)
			ON CONFLICT (run, attempt, file) DO UPDATE SET state = excluded.state, doc = excluded.doc`, r.ID, r.Attempt, f.Index, f.State, string(doc))
		if err == nil && !ok {
			err = errSuperseded(r.ID)
		}
		return err
	})
}

// Files lists the run's files, each as the newest attempt that knows it has it.
func (s *Store) Files(ctx context.Context, r *lakeward.Run) ([]lakeward.File, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT state, doc FROM run_file f WHERE run = $1 AND attempt = (SELECT max(attempt) FROM run_file n WHERE n.run = $1 AND n.file = f.file) ORDER BY file`, r.ID)
	if err != nil {
		return nil, fmt.Errorf("read files of run %s: %w", r.ID, err)
	}
	defer rows.Close()
	out := []lakeward.File{}
	for rows.Next() {
		var f lakeward.File
		var state lakeward.FileState
		var doc string
		if err := rows.Scan(&state, &doc); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(doc), &f); err != nil {
			return nil, err
		}
		f.State = state
		out = append(out, f)
	}
	return out, rows.Err()
}

// Phase records the last durable fact of a run.
func (s *Store) Phase(ctx context.Context, r *lakeward.Run, phase lakeward.RunPhase) error {
	return s.AdvanceRun(ctx, r, time.Now().UTC(), func(r *lakeward.Run) { r.Phase = phase })
}

// OpenRun returns the id of a run of an item that is not closed yet, "" if there is none.
func (s *Store) OpenRun(ctx context.Context, flow lakeward.DataflowID, item string) (lakeward.RunID, error) {
	var id lakeward.RunID
	err := s.read.QueryRowContext(ctx, `SELECT id FROM run WHERE flow = $1 AND item = $2 AND state IN ('queued', 'running', 'retrying', 'cancelling', 'blocked') LIMIT 1`, flow, item).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, err
}

// LastGenerated is the newest generatedAt of an item's runs; the zero time if none was pinned.
func (s *Store) LastGenerated(ctx context.Context, flow lakeward.DataflowID, item string) (time.Time, error) {
	var at sql.NullInt64
	err := s.read.QueryRowContext(ctx, `SELECT max(generated_at) FROM run WHERE flow = $1 AND item = $2`, flow, item).Scan(&at)
	if err != nil || !at.Valid {
		return time.Time{}, err
	}
	return fromMillis(at.Int64), nil
}

// NextDue is when the next slot falls due or the next run or task may be worked on; the zero time if nothing is planned.
func (s *Store) NextDue(ctx context.Context) (time.Time, error) {
	var at sql.NullInt64
	err := s.read.QueryRowContext(ctx, `SELECT min(at) FROM (SELECT min(next_at) AS at FROM flow_item
		UNION ALL SELECT min(coalesce(not_before, created_at)) FROM run r WHERE state IN ('queued', 'retrying', 'blocked') AND NOT `+evaluating+`
		UNION ALL SELECT min(next_at) FROM evaluation_schedule
		UNION ALL SELECT min(coalesce(not_before, created_at)) FROM task t WHERE state = 'QUEUED'
			AND NOT EXISTS (SELECT 1 FROM task o WHERE o.sandbox = t.sandbox AND o.kind = t.kind AND o.state = 'PROCESSING')) AS due`).Scan(&at)
	if err != nil || !at.Valid {
		return time.Time{}, err
	}
	return fromMillis(at.Int64), nil
}
