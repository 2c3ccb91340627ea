package warehouse

import (
	"context"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
)

// merger lays the records of a delta over the stored profiles and writes the result, sorted by number.
type merger struct {
	b       *BatchWriter
	delta   *delta
	rows    *tableWriter
	ids     *tableWriter
	newest  map[uint32]int
	out     vector.Chunk // number and the union's fields
	idOut   vector.Chunk
	stored  map[uint32][]identity // identities of the stored profiles of the current window
	sources []int                 // column of the delta for each union field, -1 for none
}

type identity struct{ namespace, value string }

// run writes the profiles of numbers.
func (m *merger) run(ctx context.Context, numbers *roaring.Bitmap) error {
	for _, u := range m.b.union {
		m.sources = append(m.sources, slices.IndexFunc(m.delta.fields, func(l lakeward.Leaf) bool { return l.Path == u.Path }))
	}
	m.reset()
	known := roaring.And(numbers, m.b.snap.All())
	if err := m.loadIdentities(known); err != nil {
		return err
	}
	it := newNumberIter(numbers)
	if !known.IsEmpty() {
		for p, err := range m.b.w.Scan(ctx, m.b.snap, known, m.b.union, "") {
			if err != nil {
				return err
			}
			for i, number := range p.Numbers {
				for _, fresh := range it.through(number, nil) {
					var old *vector.Chunk
					if fresh == number {
						old = &p.Chunk
					}
					if err := m.profile(fresh, old, i); err != nil {
						return err
					}
				}
			}
		}
	}
	for _, fresh := range it.through(^uint32(0), nil) {
		if err := m.profile(fresh, nil, 0); err != nil {
			return err
		}
	}
	return m.flush()
}

// loadIdentities reads the identities of the stored profiles that the delta touches, at most deltaRows of them.
func (m *merger) loadIdentities(known *roaring.Bitmap) error {
	m.stored = map[uint32][]identity{}
	for i, live := range m.b.snap.live(known) {
		err := m.b.w.eachIdentity(m.b.snap.Profiles[i].Identities, live, func(n uint32, ns string, v []byte) {
			m.stored[n] = append(m.stored[n], identity{ns, string(v)})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *merger) reset() {
	m.out.Len, m.idOut.Len = 0, 0
	if m.out.Columns == nil {
		m.out.Columns = make([]vector.Vector, len(m.b.union)+1)
		m.idOut.Columns = make([]vector.Vector, 3)
	}
	m.out.Columns[0].Reset(vector.Int)
	for i, l := range m.b.union {
		m.out.Columns[i+1].Reset(vector.KindOf(l.Type))
	}
	m.idOut.Columns[0].Reset(vector.Int)
	m.idOut.Columns[1].Reset(vector.String)
	m.idOut.Columns[2].Reset(vector.String)
}

// profile writes one profile: row i of old, if there is one, under its newest record.
func (m *merger) profile(number uint32, old *vector.Chunk, i int) error {
	record := m.newest[number]
	m.out.Columns[0].AppendInt(int64(number))
	for k := range m.b.union {
		col := &m.out.Columns[k+1]
		switch {
		case m.sources[k] >= 0:
			col.AppendFrom(&m.delta.columns[m.sources[k]], record)
		case old != nil:
			col.AppendFrom(&old.Columns[k], i)
		default:
			col.AppendNull()
		}
	}
	m.out.Len++
	now := m.identities(number, record)
	if !slices.Equal(now, m.stored[number]) {
		m.b.linked.Add(number)
	}
	for _, id := range now {
		m.idOut.Columns[0].AppendInt(int64(number))
		m.idOut.Columns[1].AppendString([]byte(id.namespace))
		m.idOut.Columns[2].AppendString([]byte(id.value))
		if m.idOut.Len++; m.idOut.Len == vector.MaxRows {
			if err := m.flush(); err != nil {
				return err
			}
		}
		m.b.index.add(id.namespace, []byte(id.value), number)
	}
	if m.out.Len == vector.MaxRows {
		return m.flush()
	}
	return nil
}

// identities puts the record's identities, the primary one first, before the stored ones of other
// namespaces. A value stands once.
func (m *merger) identities(number uint32, record int) []identity {
	var out []identity
	add := func(id identity) {
		if id.value != "" && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	for k, ns := range m.delta.idNames {
		if !m.delta.ids[k].IsNull(record) {
			add(identity{ns, string(m.delta.ids[k].Str(record))})
		}
	}
	spoken := m.delta.namespaces()
	for _, id := range m.stored[number] {
		if !slices.Contains(spoken, id.namespace) {
			add(id)
		}
	}
	return out
}

func (m *merger) flush() error {
	if err := m.rows.add(&m.out); err != nil {
		return err
	}
	if err := m.ids.add(&m.idOut); err != nil {
		return err
	}
	m.reset()
	return nil
}
