package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/lakeward/lakeward"
)

// keptTasks is how many closed tasks of a kind a sandbox remembers.
const keptTasks = 1000

const taskColumns = `id, sandbox, kind, subject, state, attempt, not_before, cause, created_at, started_at, ended_at, doc`

// scanTask reads a row of taskColumns.
func scanTask(row interface{ Scan(...any) error }) (lakeward.Task, error) {
	var t lakeward.Task
	var cause sql.NullString
	var notBefore, started, ended sql.NullInt64
	var created int64
	var doc string
	if err := row.Scan(&t.ID, &t.Sandbox, &t.Kind, &t.Subject, &t.State, &t.Attempt, &notBefore, &cause, &created, &started, &ended, &doc); err != nil {
		return t, err
	}
	t.NotBefore, t.StartedAt, t.EndedAt, t.CreatedAt = timeOrNil(notBefore), timeOrNil(started), timeOrNil(ended), fromMillis(created)
	err := json.Unmarshal([]byte(doc), &t.TaskWork)
	if cause.Valid && err == nil {
		err = json.Unmarshal([]byte(cause.String), &t.Cause)
	}
	return t, err
}

func queryTasks(ctx context.Context, q querier, where string, args ...any) ([]lakeward.Task, error) {
	rows, err := q.QueryContext(ctx, `SELECT `+taskColumns+` FROM task t `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read tasks: %w", err)
	}
	defer rows.Close()
	out := []lakeward.Task{}
	for rows.Next() {
		t, err := scanTask(rows)
		if err != nil {
			return nil, fmt.Errorf("read task: %w", err)
		}
		out = append(out, t)
	}
	return out, rows.Err()
}

// insertTask adds a task unless its subject has one.
func insertTask(ctx context.Context, q querier, t lakeward.Task) error {
	doc, err := json.Marshal(t.TaskWork)
	if err != nil {
		return err
	}
	_, err = q.ExecContext(ctx, `INSERT INTO task (id, sandbox, kind, subject, state, attempt, created_at, doc) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING`,
		t.ID, t.Sandbox, t.Kind, t.Subject, t.State, t.Attempt, millis(t.CreatedAt), string(doc))
	if err != nil {
		return fmt.Errorf("queue task %s: %w", t.ID, err)
	}
	return nil
}

// QueueTask adds a task unless its subject has one already.
func (s *Store) QueueTask(ctx context.Context, t lakeward.Task) error {
	return insertTask(ctx, s.write, t)
}

// ClaimTask hands the next due task to a worker, nil if there is none; id "" means any. Of a kind, a sandbox
// has one at a time.
func (s *Store) ClaimTask(ctx context.Context, now time.Time, id lakeward.TaskID) (*lakeward.Task, error) {
	if some, err := s.queued(ctx, "task", string(lakeward.TaskQueued)); err != nil || !some {
		return nil, err
	}
	var claimed *lakeward.Task
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		row := tx.QueryRowContext(ctx, `SELECT `+taskColumns+` FROM task t WHERE state = 'QUEUED' AND ($2 = '' OR id = $2) AND (not_before IS NULL OR not_before <= $1)
			AND NOT EXISTS (SELECT 1 FROM task o WHERE o.sandbox = t.sandbox AND o.kind = t.kind AND o.state = 'PROCESSING')
			ORDER BY coalesce(not_before, created_at), created_at, id LIMIT 1`, millis(now), id)
		t, err := scanTask(row)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("claim: %w", err)
		}
		claimed = &t
		return advanceTask(ctx, tx, &t, func(t *lakeward.Task) {
			t.State, t.NotBefore, t.Cause = lakeward.TaskProcessing, nil, nil
			if t.StartedAt == nil {
				t.StartedAt = &now
			}
		})
	})
	if err != nil {
		return nil, err
	}
	return claimed, nil
}

// AdvanceTask changes a task and writes it if it is still at the attempt and in the state of t. On success t
// is the changed task; otherwise it stays as it was.
func (s *Store) AdvanceTask(ctx context.Context, t *lakeward.Task, change func(*lakeward.Task)) error {
	return s.inTx(ctx, func(tx *sql.Tx) error { return advanceTask(ctx, tx, t, change) })
}

func advanceTask(ctx context.Context, q querier, t *lakeward.Task, change func(*lakeward.Task)) error {
	next := *t
	change(&next)
	if next.State != t.State {
		if _, err := t.State.To(next.State); err != nil {
			return err
		}
	}
	doc, err := json.Marshal(next.TaskWork)
	if err != nil {
		return err
	}
	cause, err := jsonOrNull(next.Cause)
	if err != nil {
		return err
	}
	ok, err := changed(ctx, q, `UPDATE task SET state = $1, attempt = $2, not_before = $3, cause = $4, started_at = $5, ended_at = $6, doc = $7 WHERE id = $8 AND `+fenced("attempt", "$9")+` AND state = $10`,
		next.State, next.Attempt, millisOrNull(next.NotBefore), cause, millisOrNull(next.StartedAt), millisOrNull(next.EndedAt), string(doc), t.ID, t.Attempt, t.State)
	if err != nil {
		return fmt.Errorf("save task %s: %w", t.ID, err)
	}
	if !ok {
		return &lakeward.Error{Kind: lakeward.Conflict, Code: "TASK-1002", Msg: "task " + string(t.ID) + " was taken over by another attempt"}
	}
	*t = next
	if next.State.Closed() {
		return pruneTasks(ctx, q, next)
	}
	return nil
}

// pruneTasks forgets the oldest closed tasks of a kind, but none that an open run waits for.
func pruneTasks(ctx context.Context, q querier, t lakeward.Task) error {
	const closed = `sandbox = $1 AND kind = $2 AND state IN ('SUCCEEDED', 'FAILED', 'CANCELLED')`
	_, err := q.ExecContext(ctx, `DELETE FROM task WHERE `+closed+` AND created_at < (SELECT min(created_at) FROM (SELECT created_at FROM task WHERE `+closed+` ORDER BY created_at DESC LIMIT $3) AS kept)
		AND NOT EXISTS (SELECT 1 FROM run r WHERE r.task = task.id AND r.state IN ('queued', 'running', 'retrying', 'cancelling', 'blocked'))`, t.Sandbox, t.Kind, keptTasks)
	if err != nil {
		return fmt.Errorf("forget old tasks: %w", err)
	}
	return nil
}

// RecoverTasks queues the tasks of a process that is gone as next attempts; those that somebody waited for in
// it are cancelled. The caller holds the data directory, so no other process works on them (DLV-95).
func (s *Store) RecoverTasks(ctx context.Context, now time.Time) (int, error) {
	list, err := queryTasks(ctx, s.read, `WHERE state IN ('PROCESSING', 'QUEUED')`)
	n := 0
	for _, t := range list {
		byHand := t.Evaluation != nil && t.Evaluation.Trigger == lakeward.ByHand
		if err != nil || t.State == lakeward.TaskQueued && !byHand {
			continue
		}
		n++
		err = s.AdvanceTask(ctx, &t, func(t *lakeward.Task) {
			t.State, t.Attempt = lakeward.TaskQueued, t.Attempt+1
			if byHand {
				t.State, t.EndedAt, t.Cause = lakeward.TaskCancelled, &now, &lakeward.Cause{Code: "stopped", Message: "the process that it was for has ended"}
			}
		})
	}
	return n, err
}

// Task returns a task by its id.
func (s *Store) Task(ctx context.Context, sandbox, id string) (lakeward.Task, error) {
	list, err := queryTasks(ctx, s.read, `WHERE sandbox = $1 AND id = $2`, sandbox, id)
	if err != nil {
		return lakeward.Task{}, err
	}
	if len(list) == 0 {
		return lakeward.Task{}, &lakeward.Error{Kind: lakeward.NotFound, Code: "NOTFOUND-1001", Msg: "there is no task " + lakeward.Quote(id) + "; list them with: lakeward task list"}
	}
	return list[0], nil
}

// Tasks lists the newest tasks first; kind "" means all, limit 0 means 100.
func (s *Store) Tasks(ctx context.Context, sandbox string, kind lakeward.TaskKind, limit int) ([]lakeward.Task, error) {
	if limit <= 0 {
		limit = 100
	}
	return queryTasks(ctx, s.read, `WHERE sandbox = $1 AND ($2 = '' OR kind = $2) ORDER BY created_at DESC, id LIMIT $3`, sandbox, kind, limit)
}

// AwaitedTasks lists the open tasks that queued runs wait for; flow "" means any.
func (s *Store) AwaitedTasks(ctx context.Context, flow lakeward.DataflowID) ([]lakeward.Task, error) {
	return queryTasks(ctx, s.read, `WHERE state IN ('QUEUED', 'PROCESSING') AND EXISTS (SELECT 1 FROM run r WHERE r.task = t.id AND r.state = 'queued' AND ($1 = '' OR r.flow = $1)) ORDER BY created_at, id`, flow)
}
