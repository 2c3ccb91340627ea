package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/lakeward/lakeward"
)

func readEvents(ctx context.Context, q querier, snap *lakeward.Snapshot) error {
	rows, err := q.QueryContext(ctx, `SELECT data, numbers FROM event_file
		WHERE sandbox = $1 AND from_generation <= $2 AND (to_generation IS NULL OR to_generation > $2) AND policy = $3 ORDER BY from_generation, seq`, snap.Sandbox, snap.Generation, snap.Policy)
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
	if err := rows.Err(); err != nil || len(snap.Events) == 0 {
		return err
	}
	return readEventHeirs(ctx, q, snap)
}

// readEventHeirs reads who carries on whom. Numbers are never given again, so those of old joins do no harm; a rebuild
// writes the events anew, under the numbers that it gives.
func readEventHeirs(ctx context.Context, q querier, snap *lakeward.Snapshot) (err error) {
	snap.EventHeirs, err = queryHeirs(ctx, q, `SELECT c.generation, c.heirs FROM identity_change c JOIN generation g ON g.sandbox = c.sandbox AND g.no = c.generation
		WHERE c.sandbox = $1 AND c.policy = $2 AND c.generation <= $3 AND length(c.heirs) > 0 AND g.kind <> 'rebuild' ORDER BY c.generation`, snap.Sandbox, snap.Policy, snap.Generation)
	return err
}

// supersedeEvents ends the life of event files at the generation before this one.
func (w *commitWriter) supersedeEvents(ctx context.Context, tables []string) error {
	if len(tables) == 0 {
		return nil
	}
	current, err := listEventFiles(ctx, w.tx, `WHERE sandbox = $1 AND to_generation IS NULL`, w.sandbox)
	if err != nil {
		return err
	}
	for _, path := range tables {
		i := slices.IndexFunc(current, func(f eventFileRow) bool { return f.table.Path == path })
		if i < 0 {
			return &lakeward.Error{Kind: lakeward.Conflict, Code: "DATA-1002", Msg: "an event file was replaced meanwhile; run the command again"}
		}
		f := current[i]
		w.link("-"+f.table.Path, []byte(f.table.SHA256))
		if _, err := w.tx.ExecContext(ctx, `UPDATE event_file SET to_generation = $1 WHERE sandbox = $2 AND from_generation = $3 AND seq = $4`, w.no, w.sandbox, f.from, f.seq); err != nil {
			return err
		}
	}
	return nil
}

// eventFileRow is a row of event_file without its bitmap, as profileFileRow.
type eventFileRow struct {
	from, seq, to int64
	table         lakeward.DataFile
}

func listEventFiles(ctx context.Context, q querier, where string, args ...any) ([]eventFileRow, error) {
	rows, err := q.QueryContext(ctx, `SELECT from_generation, seq, coalesce(to_generation, 0), data FROM event_file `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("list event files: %w", err)
	}
	defer rows.Close()
	var out []eventFileRow
	for rows.Next() {
		var f eventFileRow
		var data string
		if err := rows.Scan(&f.from, &f.seq, &f.to, &data); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(data), &f.table); err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, rows.Err()
}

// eventFiles removes the rows of replaced event files that no needed generation names.
func (f *forgetter) eventFiles(ctx context.Context) error {
	old, err := listEventFiles(ctx, f.tx, `WHERE sandbox = $1 AND to_generation IS NOT NULL`, f.sandbox)
	if err != nil {
		return err
	}
	for _, e := range old {
		if within(f.profiles, e.from, e.to) {
			continue
		}
		if _, err := f.tx.ExecContext(ctx, `DELETE FROM event_file WHERE sandbox = $1 AND from_generation = $2 AND seq = $3`, f.sandbox, e.from, e.seq); err != nil {
			return err
		}
		if _, err := f.tx.ExecContext(ctx, `UPDATE generation SET profiles_kept = 0 WHERE sandbox = $1 AND no >= $2 AND no < $3`, f.sandbox, e.from, e.to); err != nil {
			return err
		}
		f.files = append(f.files, e.table)
	}
	return nil
}

// eventFile writes the row of an event file.
func (w *commitWriter) eventFile(ctx context.Context, policy lakeward.MergePolicyID, f lakeward.EventFile) error {
	data, err := json.Marshal(f.Table)
	if err != nil {
		return err
	}
	w.link(f.Table.Path, []byte(f.Table.SHA256))
	w.link(f.Table.Path+"#numbers", f.Numbers)
	_, err = w.tx.ExecContext(ctx, `INSERT INTO event_file (sandbox, policy, from_generation, seq, data, numbers) VALUES ($1, $2, $3, $4, $5, $6)`,
		w.sandbox, policy, w.no, w.events, string(data), blob(f.Numbers))
	w.events++
	return err
}
