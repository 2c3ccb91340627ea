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
			var next sql.NullInt64
			if slot, ok := it.Schedule.Next(now.Add(-time.Millisecond)); ok {
				next = sql.NullInt64{Int64: millis(slot), Valid: true}
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO flow_item (sandbox, flow, item, next_at) VALUES ($1, $2, $3, $4)`, d.Sandbox, d.ID, it.AudienceID, next); err != nil {
				return fmt.Errorf("store dataflow item: %w", err)
			}
		}
		return s.insert(ctx, tx, document{dataflowKind, d.Sandbox, string(d.ID), d.Name, d, d.CreatedAt})
	})
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
