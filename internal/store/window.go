package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/lakeward/lakeward"
)

// windowStart is where the window of a run begins: where the last run that moved the baseline ended; nil for a run of
// everybody (DLV-122). A run that was pinned to a generation of before the baseline has an empty window.
func windowStart(ctx context.Context, tx *sql.Tx, r lakeward.Run, plan lakeward.Plan, to int64) (*int64, error) {
	if !r.BySchedule() || !plan.Incremental(r.Item) {
		return nil, nil
	}
	var from sql.NullInt64
	err := tx.QueryRowContext(ctx, `SELECT baseline_generation FROM flow_item WHERE flow = $1 AND item = $2`, r.DataflowID, r.Item).Scan(&from)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("read the baseline of run %s: %w", r.ID, err)
	}
	if !from.Valid {
		return nil, nil
	}
	start := min(from.Int64, to)
	return &start, nil
}

// moveBaseline notes that a run delivered everything up to its generation (RUN-08). A run of before the item's last reset
// moves nothing (D13).
func moveBaseline(ctx context.Context, tx *sql.Tx, r lakeward.Run) error {
	if !r.BySchedule() {
		return nil
	}
	_, err := tx.ExecContext(ctx, `UPDATE flow_item SET baseline_generation = $1, baseline_run = $2
		WHERE flow = $3 AND item = $4 AND since_rev <= $5 AND (baseline_generation IS NULL OR baseline_generation <= $1)`, r.ToGeneration, r.ID, r.DataflowID, r.Item, r.Rev)
	return err
}

// Baseline is the generation up to which an item was delivered, nil if the next run delivers everybody.
func (s *Store) Baseline(ctx context.Context, flow lakeward.DataflowID, item string) (*int64, error) {
	var at sql.NullInt64
	err := s.read.QueryRowContext(ctx, `SELECT baseline_generation FROM flow_item WHERE flow = $1 AND item = $2`, flow, item).Scan(&at)
	if err != nil && !errors.Is(err, sql.ErrNoRows) || !at.Valid {
		return nil, err
	}
	return &at.Int64, nil
}

// ChangedIdentities lists the profiles whose identities changed after a generation, up to another one (RUN-03).
func (s *Store) ChangedIdentities(ctx context.Context, sandbox string, after, upTo int64) ([]lakeward.Bitmap, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT identities FROM generation WHERE sandbox = $1 AND no > $2 AND no <= $3 AND length(identities) > 0 ORDER BY no`, sandbox, after, upTo)
	if err != nil {
		return nil, fmt.Errorf("read changes of identities: %w", err)
	}
	defer rows.Close()
	var out []lakeward.Bitmap
	for rows.Next() {
		var b lakeward.Bitmap
		if err := rows.Scan(&b); err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, rows.Err()
}
