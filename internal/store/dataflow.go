package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"time"

	"github.com/lakeward/lakeward"
)

const slotKeyField = "slotKey"

func slotSecret(d lakeward.Dataflow) secretRef {
	return secretRef{d.Sandbox, string(dataflowKind), string(d.ID), slotKeyField}
}

// CreateDataflow stores a dataflow, draws its slot key (C12) and notes the first slot of each item after now.
func (s *Store) CreateDataflow(ctx context.Context, d lakeward.Dataflow, now time.Time) error {
	var key [keyBytes]byte
	_, _ = rand.Read(key[:])
	return s.inTx(ctx, func(tx *sql.Tx) error {
		if _, err := s.seal(ctx, tx, slotSecret(d), key[:], d.CreatedAt); err != nil {
			return err
		}
		for _, it := range d.Items {
			if err := insertItem(ctx, tx, d, it, now.Add(-time.Millisecond)); err != nil { // a start now is one
				return err
			}
		}
		return s.insert(ctx, tx, document{dataflowKind, d.Sandbox, string(d.ID), d.Name, d, d.CreatedAt})
	})
}

// insertItem adds an item of a dataflow: its next slot after now, or when evaluations make it due.
func insertItem(ctx context.Context, tx *sql.Tx, d lakeward.Dataflow, it lakeward.DataflowItem, now time.Time) error {
	next, from, until := dueTimes(it.Schedule, now)
	_, err := tx.ExecContext(ctx, `INSERT INTO flow_item (sandbox, flow, item, next_at, after_from, after_until, since_rev) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
		d.Sandbox, d.ID, it.AudienceID, next, from, until, d.Rev)
	if err != nil {
		return fmt.Errorf("store dataflow item: %w", err)
	}
	return nil
}

// dueTimes are the columns of an item that its schedule fills: the next slot after now, or the interval in which the end of
// an evaluation is one (SCH-13).
func dueTimes(s lakeward.Schedule, now time.Time) (next, from, until sql.NullInt64) {
	if slot, ok := s.Next(now); ok {
		next = sql.NullInt64{Int64: millis(slot), Valid: true}
	}
	first, end, err := s.Bounds()
	if s.AfterEvaluation() && err == nil {
		from = sql.NullInt64{Int64: millis(first), Valid: true}
		until = sql.NullInt64{Int64: millis(end), Valid: !end.IsZero()}
	}
	return next, from, until
}

// Dataflow returns the dataflow with an id or a name.
func (s *Store) Dataflow(ctx context.Context, sandbox, ref string) (lakeward.Dataflow, error) {
	return find[lakeward.Dataflow](ctx, s, dataflowKind, sandbox, ref)
}

// Dataflows lists the dataflows.
func (s *Store) Dataflows(ctx context.Context, sandbox string) ([]lakeward.Dataflow, error) {
	return all[lakeward.Dataflow](ctx, s, dataflowKind, sandbox)
}

// SlotKey opens the key under which the slot records of a dataflow are authenticated (DLV-20).
func (s *Store) SlotKey(ctx context.Context, d lakeward.Dataflow) ([]byte, error) {
	return s.open(ctx, slotSecret(d))
}

// UpdateDataflow replaces a dataflow by one with the next revision, which was made from old. An audience that is taken out
// loses its baseline and its waiting runs; one whose mode changes its baseline (D13); one whose schedule changes gets its next
// slot after now.
func (s *Store) UpdateDataflow(ctx context.Context, old, d lakeward.Dataflow, now time.Time) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		current, err := findIn[lakeward.Dataflow](ctx, tx, dataflowKind, d.Sandbox, string(d.ID))
		if err != nil {
			return err
		}
		if current.Rev != old.Rev {
			return &lakeward.Error{Kind: lakeward.Conflict, Code: "FLOW-1004", Msg: "the dataflow " + lakeward.Quote(d.Name) + " was changed meanwhile; look at it and change it again"}
		}
		for _, it := range old.Items {
			if _, kept := d.Item(it.AudienceID); kept {
				continue
			}
			if err := removeItem(ctx, tx, d, it, now); err != nil {
				return err
			}
		}
		for _, it := range d.Items {
			was, had := old.Item(it.AudienceID)
			err := error(nil)
			switch {
			case !had:
				err = insertItem(ctx, tx, d, it, now.Add(-time.Millisecond))
			case was.Schedule != it.Schedule:
				err = rescheduleItem(ctx, tx, d, was, it, now)
			}
			if err != nil {
				return err
			}
		}
		return s.update(ctx, tx, document{dataflowKind, d.Sandbox, string(d.ID), d.Name, d, d.CreatedAt})
	})
}

// removeItem takes an audience out of its dataflow; its runs stay in the history.
func removeItem(ctx context.Context, tx *sql.Tx, d lakeward.Dataflow, it lakeward.DataflowItem, now time.Time) error {
	waiting, err := queryRuns(ctx, tx, `WHERE flow = $1 AND item = $2 AND state = 'queued' AND phase = 'new'`, d.ID, it.AudienceID)
	if err != nil {
		return err
	}
	for _, r := range waiting {
		if err := advance(ctx, tx, &r, now, func(r *lakeward.Run) { r.Skip(now, lakeward.SkipRemoved, "the audience was taken out of the dataflow") }); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM pin WHERE run = $1`, r.ID); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM flow_item WHERE flow = $1 AND item = $2`, d.ID, it.AudienceID); err != nil {
		return fmt.Errorf("remove dataflow item: %w", err)
	}
	return cancelIdle(ctx, tx, d.Sandbox, "", now, lakeward.ByExport)
}

func rescheduleItem(ctx context.Context, tx *sql.Tx, d lakeward.Dataflow, was, it lakeward.DataflowItem, now time.Time) error {
	next, from, until := dueTimes(it.Schedule, now)
	reset := was.Schedule.Mode != it.Schedule.Mode
	_, err := tx.ExecContext(ctx, `UPDATE flow_item SET next_at = $1, after_from = $2, after_until = $3 WHERE flow = $4 AND item = $5`, next, from, until, d.ID, it.AudienceID)
	if err == nil && reset {
		_, err = tx.ExecContext(ctx, `UPDATE flow_item SET baseline_generation = NULL, baseline_run = NULL, since_rev = $1 WHERE flow = $2 AND item = $3`, d.Rev, d.ID, it.AudienceID)
	}
	if err != nil {
		return fmt.Errorf("store dataflow item: %w", err)
	}
	return nil
}

// LatestSlot returns the run of an item's newest scheduled time; ok is false if there was none.
func (s *Store) LatestSlot(ctx context.Context, flow lakeward.DataflowID, item string) (r lakeward.Run, ok bool, err error) {
	list, err := s.query(ctx, `WHERE flow = $1 AND item = $2 AND slot LIKE 'at:%' ORDER BY scheduled_at DESC, slot DESC LIMIT 1`, flow, item)
	if err != nil || len(list) == 0 {
		return r, false, err
	}
	return list[0], true, nil
}

// QueueSlot queues a run of a slot unless there is one, behind the evaluation of its audience if that is not "".
func (s *Store) QueueSlot(ctx context.Context, r lakeward.Run, evaluate lakeward.AudienceID, now time.Time) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		if evaluate != "" {
			if err := waitForEvaluation(ctx, tx, &r, DueSlots{Evaluate: evaluate, At: r.ScheduledAt, Now: now}); err != nil {
				return err
			}
		}
		_, err := insertRun(ctx, tx, r)
		return err
	})
}

// DueItem is an item of a dataflow whose slot has come.
type DueItem struct {
	Sandbox string
	Flow    lakeward.DataflowID
	Item    string
	NextAt  time.Time
}

// DueItems lists the items whose next slot is not after now.
func (s *Store) DueItems(ctx context.Context, now time.Time) ([]DueItem, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT sandbox, flow, item, next_at FROM flow_item WHERE next_at <= $1 ORDER BY next_at, flow, item`, millis(now))
	if err != nil {
		return nil, fmt.Errorf("list due items: %w", err)
	}
	defer rows.Close()
	var out []DueItem
	for rows.Next() {
		var d DueItem
		var at int64
		if err := rows.Scan(&d.Sandbox, &d.Flow, &d.Item, &at); err != nil {
			return nil, err
		}
		d.NextAt = fromMillis(at)
		out = append(out, d)
	}
	return out, rows.Err()
}

// NextSlot returns the next slot of an item, nil if there is none.
func (s *Store) NextSlot(ctx context.Context, flow lakeward.DataflowID, item string) (*time.Time, error) {
	var at sql.NullInt64
	err := s.read.QueryRowContext(ctx, `SELECT next_at FROM flow_item WHERE flow = $1 AND item = $2`, flow, item).Scan(&at)
	return timeOrNil(at), err
}

// DueSlots is what becomes of an item whose slot has come.
type DueSlots struct {
	Rev  int        // of the dataflow that the slots were computed from
	Next *time.Time // the following slot, nil for none
	Runs []lakeward.Run
	// Evaluate is the audience that is evaluated before its queued run; "" for none. The runs of one slot share one
	// evaluation (At is the slot), whatever their dataflows.
	Evaluate lakeward.AudienceID
	At, Now  time.Time
}

// Tick moves an item's next slot from due.NextAt and, in the same transaction, queues its runs and the
// evaluation that they wait for. It does nothing if another process was first.
func (s *Store) Tick(ctx context.Context, due DueItem, slots DueSlots) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		flow, err := findIn[lakeward.Dataflow](ctx, tx, dataflowKind, due.Sandbox, string(due.Flow))
		if err != nil || flow.Rev != slots.Rev {
			return err // it was edited meanwhile: the next tick looks again
		}
		ok, err := changed(ctx, tx, `UPDATE flow_item SET next_at = $1 WHERE flow = $2 AND item = $3 AND next_at = $4`,
			millisOrNull(slots.Next), due.Flow, due.Item, millis(due.NextAt))
		if err != nil || !ok {
			return err
		}
		for _, r := range slots.Runs {
			if slots.Evaluate != "" && r.State == lakeward.Queued {
				if err := waitForEvaluation(ctx, tx, &r, slots); err != nil {
					return err
				}
			}
			if _, err := insertRun(ctx, tx, r); err != nil {
				return err
			}
		}
		return nil
	})
}

// waitForEvaluation lets a run wait for the evaluation of its slot.
func waitForEvaluation(ctx context.Context, tx *sql.Tx, r *lakeward.Run, slots DueSlots) error {
	work := lakeward.Evaluation{Trigger: lakeward.ByExport, Audiences: []lakeward.AudienceID{slots.Evaluate}}
	t, err := joinEvaluation(ctx, tx, lakeward.NewEvaluation(r.Sandbox, lakeward.ScheduledSlot(slots.At), work, slots.Now), slots.Evaluate)
	r.Task, r.Cause = t.ID, &lakeward.Cause{Code: lakeward.CauseEvaluating, Message: "the audience is evaluated first: task " + string(t.ID)}
	return err
}
