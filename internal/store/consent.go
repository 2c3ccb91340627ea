package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/lakeward/lakeward"
)

// Withheld returns whom a run leaves out for want of consent; ok is false for one that was not pinned or that no book knows.
// A preview has the id of the run that it shows, but not its time.
func (s *Store) Withheld(ctx context.Context, r *lakeward.Run) (w lakeward.Withheld, ok bool, err error) {
	return readWithheld(ctx, s.read, `r.id = $1 AND r.plan IS NOT NULL AND r.to_generation = $2 AND r.generated_at = $3`, r.ID, r.ToGeneration, millisOrNull(r.GeneratedAt))
}

// WithheldAt returns, as Withheld does, whom a run of an item left out that delivered up to a generation: the one that the next
// window begins behind, else the latest of which it is known.
func (s *Store) WithheldAt(ctx context.Context, flow lakeward.DataflowID, item string, generation int64) (lakeward.Withheld, bool, error) {
	return readWithheld(ctx, s.read, `r.flow = $1 AND r.item = $2 AND r.to_generation = $3 AND r.state = $4
		ORDER BY NOT EXISTS (SELECT 1 FROM flow_item i WHERE i.flow = r.flow AND i.item = r.item AND i.baseline_run = r.id), w.run IS NOT NULL AND w.at_end IS NULL, r.created_at DESC, r.id LIMIT 1`,
		flow, item, generation, lakeward.Succeeded)
}

func readWithheld(ctx context.Context, q querier, where string, args ...any) (w lakeward.Withheld, ok bool, err error) {
	var row, start, end bool
	err = q.QueryRowContext(ctx, `SELECT w.run IS NOT NULL, w.at_start IS NOT NULL, w.at_end IS NOT NULL, w.at_start, w.at_end FROM run r LEFT JOIN withheld w ON w.run = r.id WHERE `+where, args...).
		Scan(&row, &start, &end, (*[]byte)(&w.Start), (*[]byte)(&w.End))
	if errors.Is(err, sql.ErrNoRows) {
		return w, false, nil
	}
	if err != nil {
		return w, false, fmt.Errorf("read whom a run left out: %w", err)
	}
	w.StartUnknown, w.EndUnknown = row && !start, row && !end
	return w, true, nil
}

// keepWithheld notes whom a run leaves out that is pinned to a window. At the beginning of the window they are those of the
// run of the baseline.
func keepWithheld(ctx context.Context, tx *sql.Tx, r lakeward.Run, base baseline, end lakeward.Bitmap) error {
	w := lakeward.Withheld{End: end}
	switch {
	case r.FromGeneration == nil:
	case base.generation.Int64 > r.ToGeneration:
		w.Start = end // the window is empty: nothing is to be told
	default:
		before, ok, err := readWithheld(ctx, tx, `r.id = $1`, base.run.String)
		if err != nil {
			return err
		}
		w.Start, w.StartUnknown = before.End, before.EndUnknown || !ok
	}
	return writeWithheld(ctx, tx, r.ID, w)
}

// SetWithheld notes whom a run left out that was found delivered before it was pinned here.
func (s *Store) SetWithheld(ctx context.Context, run lakeward.RunID, w lakeward.Withheld) error {
	return s.inTx(ctx, func(tx *sql.Tx) error { return writeWithheld(ctx, tx, run, w) })
}

func writeWithheld(ctx context.Context, tx *sql.Tx, run lakeward.RunID, w lakeward.Withheld) error {
	if len(w.Start) == 0 && len(w.End) == 0 && !w.StartUnknown && !w.EndUnknown {
		_, err := tx.ExecContext(ctx, `DELETE FROM withheld WHERE run = $1`, run)
		return err
	}
	start, end := sql.Null[[]byte]{V: blob(w.Start), Valid: !w.StartUnknown}, sql.Null[[]byte]{V: blob(w.End), Valid: !w.EndUnknown}
	_, err := tx.ExecContext(ctx, `INSERT INTO withheld (run, at_start, at_end) VALUES ($1, $2, $3) ON CONFLICT (run) DO UPDATE SET at_start = excluded.at_start, at_end = excluded.at_end`, run, start, end)
	if err != nil {
		return fmt.Errorf("note whom run %s leaves out: %w", run, err)
	}
	return nil
}
