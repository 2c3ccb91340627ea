package warehouse

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/lakeward/lakeward/internal/vector"
)

// recordFinder hands out the records of a delta by the numbers of their profiles, which ascend from call to call.
type recordFinder struct {
	numbers []uint32 // of each record
	order   []int32  // the records by number, those of one profile in the order of the batch
	at      int
}

func newRecordFinder(d *delta) *recordFinder {
	if d == nil {
		return &recordFinder{}
	}
	r := &recordFinder{numbers: d.numbers, order: make([]int32, len(d.numbers))}
	for i := range r.order {
		r.order[i] = int32(i)
	}
	if !slices.IsSorted(d.numbers) {
		slices.SortStableFunc(r.order, func(a, b int32) int { return cmp.Compare(d.numbers[a], d.numbers[b]) })
	}
	return r
}

// of returns the records of a profile.
func (r *recordFinder) of(number uint32) []int32 {
	for r.at < len(r.order) && r.numbers[r.order[r.at]] < number {
		r.at++
	}
	from := r.at
	for r.at < len(r.order) && r.numbers[r.order[r.at]] == number {
		r.at++
	}
	return r.order[from:r.at]
}

// recordRun are records that follow each other in a delta and belong to profiles that follow each other in the file.
type recordRun struct {
	first   int
	numbers []uint32
}

// record writes a profile that is one record: its identities now, its fields together with those of its neighbours.
func (m *merger) record(number uint32, i int) error {
	if c := &m.copied; len(c.numbers) > 0 && i != c.first+len(c.numbers) {
		if err := m.copyRecords(); err != nil {
			return err
		}
	}
	if len(m.copied.numbers) == 0 {
		m.copied.first = i
	}
	if m.copied.numbers = append(m.copied.numbers, number); len(m.copied.numbers) >= vector.MaxRows {
		if err := m.copyRecords(); err != nil {
			return err
		}
	}
	return m.identifyRecord(number, i)
}

// copyRecords writes the fields of the records that wait.
func (m *merger) copyRecords() error {
	at, numbers := m.copied.first, m.copied.numbers
	for len(numbers) > 0 {
		if err := m.rows.ready(); err != nil {
			return err
		}
		from := m.delta.place(at)
		n := min(len(numbers), m.rows.room(), vector.MaxRows-from.row)
		for _, number := range numbers[:n] {
			m.rows.Columns[0].AppendInt(int64(number))
		}
		for k := range m.p.policy.Union {
			col := &m.rows.Columns[k+1]
			if s := m.sources[k]; s >= 0 {
				col.AppendRange(&from.columns[s], from.row, from.row+n)
				continue
			}
			for range n {
				col.AppendNull()
			}
		}
		m.rows.Len += n
		at, numbers = at+n, numbers[n:]
	}
	m.copied.numbers = m.copied.numbers[:0]
	return nil
}

// identifyRecord is identify for a profile that is record i.
func (m *merger) identifyRecord(number uint32, i int) error {
	b := m.p.batch
	f := fragment{dataset: string(b.DatasetID), batch: string(b.ID), generation: b.Generation, row: m.delta.rows[i]}
	primary := false
	m.named, primary = m.delta.names(i, m.named[:0])
	for k := range m.named {
		id := &m.named[k]
		if err := m.frs.addFragment(number, f, id.namespace, id.value, k == 0); err != nil {
			return err
		}
		if slices.ContainsFunc(m.named[:k], id.equal) {
			continue
		}
		if err := m.ids.addIdentity(number, id.namespace, id.value, primary && k == 0, f.dataset); err != nil {
			return err
		}
		kind := freeEntry
		switch {
		case primary && k == 0:
			kind = primaryEntry
		case primary && id.namespace == m.named[0].namespace:
			kind = keyedEntry
		}
		m.p.index.mem.put(id, kind, number, false)
	}
	if m.p.before == nil && len(m.named) > 0 {
		m.linked = append(m.linked, number)
	}
	return m.p.index.bound()
}

func (id *idValue) equal(o idValue) bool {
	return id.hash == o.hash && id.namespace == o.namespace && bytes.Equal(id.value, o.value)
}
