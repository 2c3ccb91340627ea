package engine

import (
	"context"
	"io"
	"path"

	"github.com/lakeward/lakeward"
)

// load is what a run delivers, decided before the first byte: members of an audience, or records of datasets.
type load struct {
	counts lakeward.Counts // Rows is counted as the files are written
	rows   int64           // of all files
	parts  []int64         // rows of each file
	// write puts file k into out. ambiguous counts values that a reader may split (FMT-12).
	write func(ctx context.Context, out io.Writer, k int) (rows, ambiguous int64, err error)
}

// load decides what a pinned run delivers.
func (e *Engine) load(ctx context.Context, r *lakeward.Run) (*load, error) {
	if r.Item == lakeward.DatasetsItem {
		return e.loadDatasets(ctx, r)
	}
	s, err := e.selectMembers(ctx, r)
	if err != nil {
		return nil, err
	}
	return e.loadMembers(s, r.Plan, 0), nil
}

// loadMembers is the load of a selection; limit bounds the rows of a file, 0 is none.
func (e *Engine) loadMembers(s *selection, plan *lakeward.Plan, limit int64) *load {
	l := &load{counts: s.counts, rows: s.rows}
	for _, p := range s.parts {
		l.parts = append(l.parts, p.rows)
	}
	l.write = func(ctx context.Context, out io.Writer, k int) (int64, int64, error) {
		w := &partWriter{e: e, s: s, plan: plan, limit: limit, name: path.Base(plan.FilePath(k))}
		rows, err := w.write(ctx, out, s.parts[k])
		return rows, w.ambiguous, err
	}
	return l
}
