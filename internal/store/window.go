package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/lakeward/lakeward"
)

// baseline is what an item was delivered up to, and by which run; neither is valid if the next run delivers everybody.
type baseline struct {
	generation sql.NullInt64
	run        sql.NullString
}

func readBaseline(ctx context.Context, q querier, flow lakeward.DataflowID, item string) (b baseline, err error) {
	err = q.QueryRowContext(ctx, `SELECT baseline_generation, baseline_run FROM flow_item WHERE flow = $1 AND item = $2`, flow, item).Scan(&b.generation, &b.run)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return b, fmt.Errorf("read the baseline of dataflow %s: %w", flow, err)
	}
	return b, nil
}

// windowStart is where the window of a run begins: where the last run that moved the baseline ended; nil for a run of
// everybody (DLV-122). A run that was pinned to a generation of before the baseline has an empty window.
func (b baseline) windowStart(r lakeward.Run, plan lakeward.Plan, to int64) *int64 {
	if !b.generation.Valid || !r.BySchedule() || !plan.Incremental(r.Item) {
		return nil
	}
	start := min(b.generation.Int64, to)
	return &start
}

// moveBaseline notes that a run delivered everything up to its generation (RUN-08). A run of before the item's last reset
// moves nothing (D13).
func moveBaseline(ctx context.Context, tx *sql.Tx, r lakeward.Run) error {
	if !r.BySchedule() {
		return nil
	}
	for _, w := range r.Windows {
		_, err := tx.ExecContext(ctx, `UPDATE flow_dataset SET baseline_generation = $1, baseline_run = $2
			WHERE flow = $3 AND dataset = $4 AND since_rev <= $5 AND (baseline_generation IS NULL OR baseline_generation <= $1)`, w.To, r.ID, r.DataflowID, w.Dataset, r.Rev)
		if err != nil {
			return fmt.Errorf("move the baseline of dataset %s: %w", w.Dataset, err)
		}
	}
	if r.Item == lakeward.DatasetsItem {
		return nil
	}
	_, err := tx.ExecContext(ctx, `UPDATE flow_item SET baseline_generation = $1, baseline_run = $2
		WHERE flow = $3 AND item = $4 AND since_rev <= $5 AND (baseline_generation IS NULL OR baseline_generation <= $1)`, r.ToGeneration, r.ID, r.DataflowID, r.Item, r.Rev)
	return err
}

// Baseline is the generation up to which an item was delivered, nil if the next run delivers everybody.
func (s *Store) Baseline(ctx context.Context, flow lakeward.DataflowID, item string) (*int64, error) {
	b, err := readBaseline(ctx, s.read, flow, item)
	if err != nil || !b.generation.Valid {
		return nil, err
	}
	return &b.generation.Int64, nil
}

// DatasetWindows are the windows of a run of datasets up to a generation: each begins where the last run that moved the
// dataset's baseline ended (DLV-123).
func (s *Store) DatasetWindows(ctx context.Context, r lakeward.Run, d lakeward.Dataflow, to int64) ([]lakeward.DatasetWindow, error) {
	out := make([]lakeward.DatasetWindow, len(d.Datasets.IDs))
	for i, id := range d.Datasets.IDs {
		out[i] = lakeward.DatasetWindow{Dataset: id, To: to}
		if !r.BySchedule() || d.Datasets.Schedule.Mode != lakeward.IncrementalExport {
			continue
		}
		var from sql.NullInt64
		err := s.read.QueryRowContext(ctx, `SELECT baseline_generation FROM flow_dataset WHERE flow = $1 AND dataset = $2`, d.ID, id).Scan(&from)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, fmt.Errorf("read the baseline of dataset %s: %w", id, err)
		}
		if from.Valid {
			start := min(from.Int64, to)
			out[i].From = &start
		}
	}
	return out, nil
}

// setDatasets notes which datasets a dataflow has. A new one, and all of them if the mode changed, begin anew (D13).
func setDatasets(ctx context.Context, tx *sql.Tx, old, d lakeward.Dataflow) error {
	had := map[lakeward.DatasetID]bool{}
	if old.Datasets != nil && d.Datasets != nil && old.Datasets.Schedule.Mode == d.Datasets.Schedule.Mode {
		for _, id := range old.Datasets.IDs {
			had[id] = true
		}
	}
	kept := []lakeward.DatasetID{}
	if d.Datasets != nil {
		kept = d.Datasets.IDs
	}
	if old.Datasets != nil {
		for _, id := range old.Datasets.IDs {
			if had[id] && slices.Contains(kept, id) {
				continue
			}
			if _, err := tx.ExecContext(ctx, `DELETE FROM flow_dataset WHERE flow = $1 AND dataset = $2`, d.ID, id); err != nil {
				return err
			}
		}
	}
	for _, id := range kept {
		if had[id] {
			continue
		}
		if _, err := tx.ExecContext(ctx, `INSERT INTO flow_dataset (sandbox, flow, dataset, since_rev) VALUES ($1, $2, $3, $4)`, d.Sandbox, d.ID, id, d.Rev); err != nil {
			return fmt.Errorf("store dataset of dataflow: %w", err)
		}
	}
	return nil
}

// ChangedIdentities lists the profiles whose identities changed after a generation, up to another one (RUN-03).
func (s *Store) ChangedIdentities(ctx context.Context, sandbox string, policy lakeward.MergePolicyID, after, upTo int64) ([]lakeward.Bitmap, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT numbers FROM identity_change WHERE sandbox = $1 AND policy = $2 AND generation > $3 AND generation <= $4 AND length(numbers) > 0 ORDER BY generation`, sandbox, policy, after, upTo)
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
