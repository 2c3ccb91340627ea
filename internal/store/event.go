package store

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/lakeward/lakeward"
)

func readEvents(ctx context.Context, q querier, snap *lakeward.Snapshot) error {
	rows, err := q.QueryContext(ctx, `SELECT data, numbers FROM event_file
		WHERE sandbox = $1 AND from_generation <= $2 AND (to_generation IS NULL OR to_generation > $2) ORDER BY from_generation, seq`, snap.Sandbox, snap.Generation)
	if err != nil {
		return fmt.Errorf("read event files: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var data string
		var f lakeward.EventFile
		if err := rows.Scan(&data, &f.Numbers); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(data), &f.Table); err != nil {
			return err
		}
		snap.Events = append(snap.Events, f)
	}
	return rows.Err()
}

// events writes the rows of the event files of one generation.
func (w *commitWriter) events(ctx context.Context, files []lakeward.EventFile) error {
	for i, f := range files {
		data, err := json.Marshal(f.Table)
		if err != nil {
			return err
		}
		w.link(f.Table.Path, []byte(f.Table.SHA256))
		w.link(f.Table.Path+"#numbers", f.Numbers)
		if _, err := w.tx.ExecContext(ctx, `INSERT INTO event_file (sandbox, from_generation, seq, data, numbers) VALUES ($1, $2, $3, $4, $5)`,
			w.sandbox, w.no, i, string(data), blob(f.Numbers)); err != nil {
			return err
		}
	}
	return nil
}
