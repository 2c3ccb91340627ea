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

// identity is one identity of a profile: primary if a record is kept under it, source is the dataset that names it.
type identity struct {
	namespace, value string
	primary          bool
	source           string
}

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
		err := m.b.w.eachProfile(m.b.snap.Profiles[i].Identities, live, func(n uint32, ids []identity) { m.stored[n] = ids })
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
		m.idOut.Columns = make([]vector.Vector, len(identityColumns()))
	}
	m.out.Columns[0].Reset(vector.Int)
	for i, l := range m.b.union {
		m.out.Columns[i+1].ResetTo(vector.ShapeOf(l))
	}
	for i, c := range identityColumns() {
		m.idOut.Columns[i].Reset(c.Kind)
	}
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
	if !sameIdentities(now, m.stored[number]) {
		m.b.linked.Add(number)
	}
	for _, id := range now {
		m.idOut.Columns[0].AppendInt(int64(number))
		m.idOut.Columns[1].AppendString([]byte(id.namespace))
		m.idOut.Columns[2].AppendString([]byte(id.value))
		m.idOut.Columns[3].AppendBool(id.primary)
		m.idOut.Columns[4].AppendString([]byte(id.source))
		if m.idOut.Len++; m.idOut.Len == vector.MaxRows {
			if err := m.flush(); err != nil {
				return err
			}
		}
	}
	m.b.index.add(number, now)
	if m.out.Len == vector.MaxRows {
		return m.flush()
	}
	return nil
}

// identities puts what the record names, the primary identity first, before what records of other
// datasets name. A value stands once; it is primary if any record is kept under it.
func (m *merger) identities(number uint32, record int) []identity {
	source := string(m.b.batch.DatasetID)
	var out []identity
	add := func(id identity) {
		i := slices.IndexFunc(out, func(o identity) bool { return o.namespace == id.namespace && o.value == id.value })
		switch {
		case i >= 0:
			out[i].primary = out[i].primary || id.primary
		case id.value != "":
			out = append(out, id)
		}
	}
	for k, ns := range m.delta.idNames {
		if !m.delta.ids[k].IsNull(record) {
			add(identity{ns, string(m.delta.ids[k].Str(record)), k == 0, source})
		}
	}
	for _, id := range m.stored[number] {
		if id.source != source {
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

// sameIdentities reports whether two lists hold the same values; where they come from is no change (RUN-03).
func sameIdentities(a, b []identity) bool {
	return slices.EqualFunc(a, b, func(x, y identity) bool { return x.namespace == y.namespace && x.value == y.value })
}
