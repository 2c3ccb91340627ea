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
	gone   int64           // values of columns that are no more
	// write puts file k into out.
	write func(ctx context.Context, out io.Writer, k int) (rows int64, found doubts, err error)
}

// doubts counts the values of a file that its reader may not expect.
type doubts struct {
	ambiguous int64 // a reader may split them (FMT-12)
	failed    int64 // of calculated fields that could not be worked out
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
	l := &load{counts: s.counts, rows: s.rows, gone: s.gone * s.rows}
	for _, p := range s.parts {
		l.parts = append(l.parts, p.rows)
	}
	l.write = func(ctx context.Context, out io.Writer, k int) (int64, doubts, error) {
		w := &partWriter{e: e, s: s, plan: plan, limit: limit, name: path.Base(plan.FilePath(k))}
		rows, err := w.write(ctx, out, s.parts[k])
		return rows, doubts{w.ambiguous, w.failed}, err
	}
	return l
}
