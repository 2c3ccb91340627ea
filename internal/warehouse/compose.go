package warehouse

import (
	"context"
	"fmt"
	"slices"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/parquet"
	"github.com/lakeward/lakeward/internal/vector"
)

func (p Policy) byPrecedence() bool { return p.Method == lakeward.DatasetPrecedence }

// rank is the place of a dataset in the order of precedence; those that are not named come last.
func (p Policy) rank(dataset string) int {
	i := slices.Index(p.Datasets, lakeward.DatasetID(dataset))
	if i < 0 {
		return len(p.Datasets)
	}
	return i
}

func columnOf(fields []lakeward.Leaf, path string) int {
	return slices.IndexFunc(fields, func(l lakeward.Leaf) bool { return l.Path == path })
}

// composer chooses the fields of a profile out of its records, which it has read from the files of their datasets.
type composer struct {
	policy Policy
	places map[recordKey]place
	fields map[string][]int // of a dataset: its column for each field of the union, -1 for none
}

type recordKey struct {
	batch string
	row   int64
}

// place is where the values of a record lie in memory.
type place struct {
	columns []vector.Vector
	row     int
}

// compose reads the records of the composed profiles. Those of the delta are in memory.
func (m *merger) compose(ctx context.Context) (*composer, error) {
	c := &composer{policy: m.p.policy, places: map[recordKey]place{}, fields: map[string][]int{}}
	if m.delta != nil && !m.composed.IsEmpty() {
		for i, row := range m.delta.rows {
			c.places[recordKey{string(m.p.batch.ID), row}] = m.delta.place(i)
		}
	}
	wanted := map[string][]int64{} // rows by batch
	datasets := map[string]string{}
	for it := m.composed.Iterator(); it.HasNext(); {
		for _, f := range m.after[it.Next()] {
			fields := m.p.policy.Fields[lakeward.DatasetID(f.dataset)]
			if len(fields) == 0 {
				continue // events set nothing
			}
			if c.fields[f.dataset] == nil {
				for _, u := range m.p.policy.Union {
					c.fields[f.dataset] = append(c.fields[f.dataset], columnOf(fields, u.Path))
				}
			}
			if _, have := c.places[recordKey{f.batch, f.row}]; !have {
				wanted[f.batch], datasets[f.batch] = append(wanted[f.batch], f.row), f.dataset
			}
		}
	}
	for batch, rows := range wanted {
		files, err := m.p.filesOf(ctx, lakeward.BatchID(batch))
		if err == nil {
			slices.Sort(rows)
			err = m.p.w.gather(c, batch, files, slices.Compact(rows), m.p.policy.Fields[lakeward.DatasetID(datasets[batch])])
		}
		if err != nil {
			return nil, err
		}
	}
	return c, nil
}

// filesOf returns the files of a batch, also of the one that is being written.
func (p *profileWriter) filesOf(ctx context.Context, id lakeward.BatchID) ([]lakeward.DataFile, error) {
	if id == p.batch.ID {
		return p.files()
	}
	if p.rows == nil {
		batches, err := p.policy.Batches(ctx)
		if err != nil {
			return nil, err
		}
		p.rows = map[lakeward.BatchID][]lakeward.DataFile{}
		for _, b := range batches {
			p.rows[b.ID] = b.Files
		}
	}
	return p.rows[id], nil
}

// gather reads rows of a batch, ascending, into the composer's places.
func (w *Warehouse) gather(c *composer, batch string, files []lakeward.DataFile, rows []int64, fields []lakeward.Leaf) error {
	columns := parquet.ColumnsOf(fields)
	start := int64(0)
	for _, d := range files {
		n := 0
		for n < len(rows) && rows[n] < start+d.Rows {
			n++
		}
		if err := w.gatherFile(c, batch, start, d, rows[:n], columns); err != nil {
			return err
		}
		rows, start = rows[n:], start+d.Rows
	}
	if len(rows) > 0 {
		return fmt.Errorf("batch %s has no row %d", batch, rows[0])
	}
	return nil
}

func (w *Warehouse) gatherFile(c *composer, batch string, start int64, d lakeward.DataFile, rows []int64, wanted []parquet.Column) error {
	if len(rows) == 0 {
		return nil
	}
	t, err := w.open(d)
	if err != nil {
		return err
	}
	defer t.Close()
	r, err := t.ReaderOf(wanted)
	if err != nil {
		return sourceError(d, err)
	}
	defer r.Close()
	for part := range slices.Chunk(rows, vector.MaxRows) {
		at := make([]int64, len(part))
		for i, row := range part {
			at[i] = row - start
		}
		columns := make([]vector.Vector, len(wanted)) // new ones: they are kept
		if err := r.Gather(at, columns); err != nil {
			return sourceError(d, err)
		}
		for i, row := range part {
			c.places[recordKey{batch, row}] = place{columns, i}
		}
	}
	return nil
}

// fill appends the fields of a profile, whose fragments stand newest first: by time the value of the newest
// record whose dataset has the field, null or not; by precedence the first value that is not null.
func (c *composer) fill(out []vector.Vector, list []fragment) {
	if c.policy.byPrecedence() {
		list = slices.Clone(list)
		slices.SortStableFunc(list, func(a, b fragment) int { return c.policy.rank(a.dataset) - c.policy.rank(b.dataset) })
	}
	for k := range out {
		c.choose(&out[k], k, list)
	}
}

func (c *composer) choose(out *vector.Vector, k int, list []fragment) {
	for _, f := range list {
		columns := c.fields[f.dataset]
		if columns == nil || columns[k] < 0 {
			continue
		}
		p := c.places[recordKey{f.batch, f.row}]
		v := &p.columns[columns[k]]
		if !v.IsNull(p.row) {
			out.AppendFrom(v, p.row)
			return
		}
		if !c.policy.byPrecedence() {
			break
		}
	}
	out.AppendNull()
}
