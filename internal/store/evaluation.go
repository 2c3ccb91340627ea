package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/lakeward/lakeward"
)

// endEvaluation closes a task with the generation that it made. The runs that wait for it are pinned to that generation in
// the same transaction, so that nobody can remove it before they begin.
func endEvaluation(ctx context.Context, tx *sql.Tx, t lakeward.Task, generation int64) error {
	done := *t.Evaluation
	done.Generation = generation
	if err := advanceTask(ctx, tx, &t, func(t *lakeward.Task) { t.State, t.Evaluation = lakeward.TaskSucceeded, &done }); err != nil {
		return err
	}
	const waiting = ` WHERE task = $2 AND state = 'queued' AND phase = 'new'`
	if _, err := tx.ExecContext(ctx, `UPDATE run SET to_generation = $1`+waiting, generation, t.ID); err != nil {
		return fmt.Errorf("pin the runs of evaluation %s: %w", t.ID, err)
	}
	if _, err := tx.ExecContext(ctx, `INSERT INTO pin (run, sandbox, generation) SELECT id, sandbox, $1 FROM run`+waiting+` ON CONFLICT DO NOTHING`, generation, t.ID); err != nil {
		return fmt.Errorf("pin the runs of evaluation %s: %w", t.ID, err)
	}
	if t.Evaluation.Trigger == lakeward.ByExport { // it belongs to other exports
		return nil
	}
	ended := membersSet{sandbox: t.Sandbox, slot: lakeward.EvaluationSlot(t.ID), at: *t.EndedAt, generation: generation}
	for _, c := range done.Counts {
		ended.audiences = append(ended.audiences, string(c.AudienceID))
	}
	return queueAfter(ctx, tx, ended)
}

// membersSet says that members of audiences were decided anew: by an evaluation, or by an upload.
type membersSet struct {
	sandbox, slot string
	at            time.Time
	generation    int64
	audiences     []string
}

// queueAfter queues the exports that new members make due, pinned to the generation that has them (SCH-13).
func queueAfter(ctx context.Context, tx *sql.Tx, m membersSet) error {
	due, err := itemsAfter(ctx, tx, m)
	if err != nil {
		return err
	}
	for _, d := range due {
		flow, err := findIn[lakeward.Dataflow](ctx, tx, dataflowKind, m.sandbox, string(d.Flow))
		if err != nil {
			return err
		}
		r := lakeward.NewRun(flow, d.Item, m.slot, m.at, m.at)
		if !flow.Enabled {
			r.Skip(m.at, lakeward.SkipPaused, "the dataflow was disabled")
			if _, err := insertRun(ctx, tx, r); err != nil {
				return err
			}
			continue
		}
		r.ToGeneration = m.generation
		if err := queueCovering(ctx, tx, r); err != nil {
			return err
		}
		if it, _ := flow.Item(lakeward.AudienceID(d.Item)); it.Schedule.Frequency != lakeward.Once {
			continue
		}
		if _, err := tx.ExecContext(ctx, `UPDATE flow_item SET after_from = NULL WHERE flow = $1 AND item = $2`, d.Flow, d.Item); err != nil {
			return err
		}
	}
	return nil
}

// itemsAfter lists the items of audiences whose members were decided anew and that are exported after that.
func itemsAfter(ctx context.Context, tx *sql.Tx, m membersSet) ([]DueItem, error) {
	rows, err := tx.QueryContext(ctx, `SELECT flow, item FROM flow_item WHERE sandbox = $1 AND after_from <= $2 AND (after_until IS NULL OR after_until > $2) ORDER BY flow, item`, m.sandbox, millis(m.at))
	if err != nil {
		return nil, fmt.Errorf("list exports after evaluations: %w", err)
	}
	defer rows.Close()
	var out []DueItem
	for rows.Next() {
		d := DueItem{Sandbox: m.sandbox}
		if err := rows.Scan(&d.Flow, &d.Item); err != nil {
			return nil, err
		}
		if slices.Contains(m.audiences, d.Item) {
			out = append(out, d)
		}
	}
	return out, rows.Err()
}

// queueCovering queues a pinned run; one after an earlier evaluation that nobody began is covered by it (SCH-22).
func queueCovering(ctx context.Context, tx *sql.Tx, r lakeward.Run) error {
	waiting, err := queryRuns(ctx, tx, `WHERE flow = $1 AND item = $2 AND state = 'queued' AND phase = 'new' AND slot LIKE 'eval:%'`, r.DataflowID, r.Item)
	if err != nil {
		return err
	}
	for _, w := range waiting {
		if err := advance(ctx, tx, &w, r.CreatedAt, func(w *lakeward.Run) { w.Skip(r.CreatedAt, lakeward.SkipCollapsed, coveredBy(r)) }); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM pin WHERE run = $1`, w.ID); err != nil {
			return err
		}
	}
	if _, err := insertRun(ctx, tx, r); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO pin (run, sandbox, generation) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, r.ID, r.Sandbox, r.ToGeneration)
	return err
}

// joinEvaluation returns the evaluation of a slot that will evaluate an audience, "" for all of them. One that has begun
// without it cannot take it any more, so that the slot gets another one.
func joinEvaluation(ctx context.Context, tx *sql.Tx, first lakeward.Task, audience lakeward.AudienceID) (lakeward.Task, error) {
	for n := 1; ; n++ {
		t := first
		if n > 1 {
			t.Subject = fmt.Sprintf("%s#%d", first.Subject, n)
			t.ID = lakeward.NewTaskID(t.Sandbox, t.Kind, t.Subject)
		}
		list, err := queryTasks(ctx, tx, `WHERE id = $1`, t.ID)
		if err != nil {
			return t, err
		}
		if len(list) == 0 {
			return t, insertTask(ctx, tx, t)
		}
		t = list[0]
		switch {
		case t.State.Closed():
		case t.Evaluation.Covers(audience):
			return t, nil
		case t.State == lakeward.TaskQueued:
			more := t.Evaluation.With(audience)
			return t, advanceTask(ctx, tx, &t, func(t *lakeward.Task) { t.Evaluation = &more })
		}
	}
}

// cancelIdle cancels the queued evaluations of some triggers that no run waits for, because a later one covers them.
func cancelIdle(ctx context.Context, tx *sql.Tx, sandbox string, later lakeward.TaskID, now time.Time, triggers ...lakeward.Trigger) error {
	list, err := queryTasks(ctx, tx, `WHERE sandbox = $1 AND kind = $2 AND state = 'QUEUED' AND id <> $3 AND NOT EXISTS (SELECT 1 FROM run r WHERE r.task = t.id AND r.state = 'queued')`,
		sandbox, lakeward.EvaluationTask, later)
	for _, t := range list {
		if err != nil || !slices.Contains(triggers, t.Evaluation.Trigger) {
			continue
		}
		err = advanceTask(ctx, tx, &t, func(t *lakeward.Task) {
			t.State, t.EndedAt, t.Cause = lakeward.TaskCancelled, &now, &lakeward.Cause{Code: "collapsed", Message: "a later evaluation covers this one"}
		})
	}
	return err
}

// EvaluationSchedule returns the schedule of a sandbox; one that was never set is off.
func (s *Store) EvaluationSchedule(ctx context.Context, sandbox string) (lakeward.EvaluationSchedule, error) {
	list, err := s.evaluationSchedules(ctx, `WHERE sandbox = $1`, sandbox)
	if err != nil || len(list) == 0 {
		return lakeward.EvaluationSchedule{Sandbox: sandbox, Mode: lakeward.EvaluateOff}, err
	}
	return list[0], nil
}

// EvaluationSchedules lists the schedules of all sandboxes.
func (s *Store) EvaluationSchedules(ctx context.Context) ([]lakeward.EvaluationSchedule, error) {
	return s.evaluationSchedules(ctx, `ORDER BY sandbox`)
}

func (s *Store) evaluationSchedules(ctx context.Context, where string, args ...any) ([]lakeward.EvaluationSchedule, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT doc, next_at, since_at, seen FROM evaluation_schedule `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("read evaluation schedules: %w", err)
	}
	defer rows.Close()
	var out []lakeward.EvaluationSchedule
	for rows.Next() {
		var e lakeward.EvaluationSchedule
		var doc string
		var next, since sql.NullInt64
		var seen int64
		if err := rows.Scan(&doc, &next, &since, &seen); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(doc), &e); err != nil {
			return nil, fmt.Errorf("read evaluation schedule: %w", err)
		}
		e.NextAt, e.Since, e.Seen = timeOrNil(next), timeOrNil(since), seen
		out = append(out, e)
	}
	return out, rows.Err()
}

// SetEvaluationSchedule stores the schedule of a sandbox. What was uploaded before counts as seen.
func (s *Store) SetEvaluationSchedule(ctx context.Context, e lakeward.EvaluationSchedule) error {
	stored := e
	stored.NextAt = nil // it has a column
	doc, err := json.Marshal(stored)
	if err != nil {
		return err
	}
	return s.inTx(ctx, func(tx *sql.Tx) error {
		head, _, err := readHead(ctx, tx, e.Sandbox)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO evaluation_schedule (sandbox, doc, next_at, seen) VALUES ($1, $2, $3, $4)
			ON CONFLICT (sandbox) DO UPDATE SET doc = excluded.doc, next_at = excluded.next_at, since_at = NULL, seen = excluded.seen`, e.Sandbox, string(doc), millisOrNull(e.NextAt), head)
		if err != nil {
			return fmt.Errorf("store the evaluation schedule: %w", err)
		}
		return nil
	})
}

// TickEvaluation replaces what a schedule knows of the time by what next says and, in the same transaction, queues an
// evaluation of all audiences; earlier ones that wait for nobody are collapsed into it. It does nothing if the schedule is
// no longer as old says.
func (s *Store) TickEvaluation(ctx context.Context, old, next lakeward.EvaluationSchedule, t *lakeward.Task) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		ok, err := changed(ctx, tx, `UPDATE evaluation_schedule SET next_at = $1, since_at = $2, seen = $3 WHERE sandbox = $4 AND coalesce(next_at, -1) = coalesce($5, -1) AND seen = $6`,
			millisOrNull(next.NextAt), millisOrNull(next.Since), next.Seen, old.Sandbox, millisOrNull(old.NextAt), old.Seen)
		if err != nil || !ok || t == nil {
			return err
		}
		queued, err := joinEvaluation(ctx, tx, *t, "")
		if err != nil {
			return err
		}
		return cancelIdle(ctx, tx, t.Sandbox, queued.ID, t.CreatedAt, lakeward.BySchedule, lakeward.ByIngest)
	})
}

// NewestUpload is the generation of the newest batch that profiles may have changed by, after a generation; 0 if there is
// none. Batches of datasets that are not for profiles do not count.
func (s *Store) NewestUpload(ctx context.Context, sandbox string, after int64) (int64, error) {
	list, err := s.uploadsAfter(ctx, sandbox, after)
	for _, u := range list {
		if err != nil {
			break
		}
		var counts bool
		if counts, err = s.forProfiles(ctx, sandbox, u.dataset); counts && err == nil {
			return u.generation, nil
		}
	}
	return 0, err
}

// newest is the newest batch of a dataset.
type newest struct {
	dataset    string
	generation int64
}

// uploadsAfter lists the datasets with batches after a generation, that of the newest batch first.
func (s *Store) uploadsAfter(ctx context.Context, sandbox string, after int64) ([]newest, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT dataset_id, max(generation) FROM batch WHERE sandbox = $1 AND generation > $2 GROUP BY dataset_id ORDER BY 2 DESC`, sandbox, after)
	if err != nil {
		return nil, fmt.Errorf("read batches: %w", err)
	}
	defer rows.Close()
	var out []newest
	for rows.Next() {
		var n newest
		if err := rows.Scan(&n.dataset, &n.generation); err != nil {
			return nil, err
		}
		out = append(out, n)
	}
	return out, rows.Err()
}

// forProfiles reports whether records of a dataset belong to profiles. What is no dataset is the list of an uploaded audience.
func (s *Store) forProfiles(ctx context.Context, sandbox, dataset string) (bool, error) {
	d, err := find[lakeward.Dataset](ctx, s, datasetKind, sandbox, dataset)
	if lakeward.KindOf(err) == lakeward.NotFound {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	schema, err := find[lakeward.Schema](ctx, s, schemaKind, sandbox, string(d.SchemaID))
	return schema.Profile, err
}
