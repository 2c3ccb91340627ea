package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/lakeward/lakeward"
)

// CreateDataset stores a dataset.
func (s *Store) CreateDataset(ctx context.Context, d lakeward.Dataset) error {
	return s.insert(ctx, s.write, document{datasetKind, d.Sandbox, string(d.ID), d.Name, d, d.CreatedAt})
}

// Dataset returns the dataset with an id or a name and the totals of its batches.
func (s *Store) Dataset(ctx context.Context, sandbox, ref string) (lakeward.Dataset, error) {
	d, err := find[lakeward.Dataset](ctx, s, datasetKind, sandbox, ref)
	if err != nil {
		return d, err
	}
	return d, s.countBatches(ctx, &d)
}

// Datasets lists the datasets with the totals of their batches.
func (s *Store) Datasets(ctx context.Context, sandbox string) ([]lakeward.Dataset, error) {
	list, err := all[lakeward.Dataset](ctx, s, datasetKind, sandbox)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if err := s.countBatches(ctx, &list[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (s *Store) countBatches(ctx context.Context, d *lakeward.Dataset) error {
	return s.read.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(rows), 0) FROM batch WHERE sandbox = $1 AND dataset_id = $2`, d.Sandbox, d.ID).Scan(&d.Batches, &d.Rows)
}

// Batches lists the batches of a dataset in arrival order.
func (s *Store) Batches(ctx context.Context, d lakeward.Dataset) ([]lakeward.Batch, error) {
	return s.batches(ctx, `SELECT doc, files, generation FROM batch WHERE sandbox = $1 AND dataset_id = $2 ORDER BY generation, id`, d.Sandbox, d.ID)
}

// AllBatches lists the batches of a sandbox, those of imported audiences too, in arrival order.
func (s *Store) AllBatches(ctx context.Context, sandbox string) ([]lakeward.Batch, error) {
	return s.batches(ctx, `SELECT doc, files, generation FROM batch WHERE sandbox = $1 ORDER BY generation, id`, sandbox)
}

func (s *Store) batches(ctx context.Context, query string, args ...any) ([]lakeward.Batch, error) {
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("list batches: %w", err)
	}
	defer rows.Close()
	out := []lakeward.Batch{}
	for rows.Next() {
		var doc, files string
		var b lakeward.Batch
		var generation int64
		if err := rows.Scan(&doc, &files, &generation); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(doc), &b); err != nil {
			return nil, err
		}
		var all []lakeward.DataFile
		if err := json.Unmarshal([]byte(files), &all); err != nil {
			return nil, err
		}
		for _, f := range all {
			if f.Payload {
				b.Payload = append(b.Payload, f)
			} else {
				b.Files = append(b.Files, f)
			}
		}
		b.Generation = generation
		out = append(out, b)
	}
	return out, rows.Err()
}
