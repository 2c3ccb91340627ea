package warehouse

import (
	"context"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward/internal/vector"
)

// merger puts the records of a delta and what the store has of their profiles together, and writes the
// result, sorted by number.
type merger struct {
	p       *profileWriter
	delta   *delta
	numbers *roaring.Bitmap      // profiles to write
	retired *roaring.Bitmap      // profiles to take away
	groups  map[uint32][]uint32  // those that a profile takes in
	dropped map[identityKey]bool // records under these identities are left out

	stored   map[uint32][]fragment // before
	after    map[uint32][]fragment
	newest   map[uint32]int  // the last record of the delta, where there is one
	known    *roaring.Bitmap // those that were there before
	records  *recordFinder
	sources  []int // column of the delta for each union field, -1 for none
	composed *roaring.Bitmap
	composer *composer // of the profiles whose fields are chosen one by one

	rows, ids, frs *tableChunk
	linked         []uint32  // profiles whose identities changed
	copied         recordRun // records whose fields wait to be copied
	named          []idValue // room for the identities of a record
}

// prepare decides what records each profile is made of; one that none is left of is taken away.
func (m *merger) prepare(ctx context.Context) error {
	m.known = roaring.Or(m.numbers, m.retired)
	m.known.And(m.p.all)
	var err error
	if m.stored, err = m.p.w.fragments(m.p.snap, m.known); err != nil {
		return err
	}
	m.after, m.newest, m.composed = map[uint32][]fragment{}, map[uint32]int{}, roaring.New()
	m.records = newRecordFinder(m.delta)
	for it := m.numbers.Iterator(); it.HasNext(); {
		n := it.Next()
		records := m.records.of(n)
		if m.isRecord(n, records) {
			continue
		}
		list := m.fragmentsOf(n, records)
		if len(list) == 0 {
			m.retired.Add(n)
			continue
		}
		m.after[n] = list
		if len(records) > 0 {
			m.newest[n] = int(records[len(records)-1])
		}
		if m.p.policy.byPrecedence() || len(m.groups[n]) > 0 || m.dropped != nil {
			m.composed.Add(n)
		}
	}
	m.records.at = 0
	m.numbers.AndNot(m.retired)
	for it := m.retired.Iterator(); it.HasNext(); {
		n := it.Next()
		if err := m.p.index.change(n, unionOf(m.stored[n]), nil); err != nil {
			return err
		}
	}
	m.composer, err = m.compose(ctx)
	return err
}

// isRecord reports whether a profile is new and is one record and nothing else, as nearly all of a first upload are:
// what it holds can be taken from the delta as it is.
func (m *merger) isRecord(n uint32, records []int32) bool {
	return len(records) == 1 && len(m.groups[n]) == 0 && !m.p.policy.byPrecedence() && m.dropped == nil && (m.known.IsEmpty() || !m.known.Contains(n))
}

// fragmentsOf lists the fragments of a profile after its records, the newest first.
func (m *merger) fragmentsOf(number uint32, records []int32) []fragment {
	var list []fragment
	for _, n := range append([]uint32{number}, m.groups[number]...) {
		for _, f := range m.stored[n] {
			if !m.dropped[f.key()] {
				list = append(list, f)
			}
		}
	}
	for _, i := range records {
		list = m.apply(list, int(i))
	}
	slices.SortStableFunc(list, newer)
	return list
}

// apply puts record i of the delta in the place of the one before it; an event adds to it.
func (m *merger) apply(list []fragment, i int) []fragment {
	b := m.p.batch
	f := fragment{dataset: string(b.DatasetID), batch: string(b.ID), generation: b.Generation, row: m.delta.rows[i], ids: m.delta.identities(i, string(b.DatasetID))}
	at := slices.IndexFunc(list, func(o fragment) bool { return o.dataset == f.dataset && o.key() == f.key() })
	if at < 0 {
		return append(list, f)
	}
	if m.p.fields() == nil {
		f.ids = unionOf([]fragment{list[at], f})
	}
	list[at] = f
	return list
}

// run writes the profiles.
func (m *merger) run(ctx context.Context) error {
	for _, u := range m.p.policy.Union {
		at := -1
		if m.delta != nil {
			at = columnOf(m.delta.fields, u.Path)
		}
		m.sources = append(m.sources, at)
	}
	laid := roaring.And(m.numbers, m.p.all)
	laid.AndNot(m.composed)
	it := newNumberIter(m.numbers)
	if !laid.IsEmpty() {
		for c, err := range m.p.w.Scan(ctx, m.p.snap, laid, m.p.policy.Union, "") {
			if err != nil {
				return err
			}
			for i, number := range c.Numbers {
				for _, n := range it.through(number, nil) {
					var old *vector.Chunk
					if n == number {
						old = &c.Chunk
					}
					if err := m.profile(n, old, i); err != nil {
						return err
					}
				}
			}
		}
	}
	for _, n := range it.through(^uint32(0), nil) {
		if err := m.profile(n, nil, 0); err != nil {
			return err
		}
	}
	if err := m.copyRecords(); err != nil {
		return err
	}
	m.p.linked.AddMany(m.linked)
	for _, t := range m.tables() {
		if err := t.end(); err != nil {
			return err
		}
	}
	return nil
}

func (m *merger) tables() []*tableChunk { return []*tableChunk{m.rows, m.ids, m.frs} }

// profile writes one profile: a record as it is, or chosen field by field, or row i of old, if there is one, under its
// newest record.
func (m *merger) profile(number uint32, old *vector.Chunk, i int) error {
	if records := m.records.of(number); m.isRecord(number, records) {
		return m.record(number, int(records[0]))
	}
	if err := m.copyRecords(); err != nil {
		return err
	}
	if err := m.rows.ready(); err != nil {
		return err
	}
	m.rows.Columns[0].AppendInt(int64(number))
	if m.composed.Contains(number) {
		m.composer.fill(m.rows.Columns[1:], m.after[number])
	} else {
		m.lay(number, old, i)
	}
	m.rows.Len++
	return m.identify(number)
}

// lay lays the newest record of a profile over its row: the record came last, so its fields win.
func (m *merger) lay(number uint32, old *vector.Chunk, i int) {
	record, some := m.newest[number]
	for k := range m.p.policy.Union {
		col := &m.rows.Columns[k+1]
		switch {
		case some && m.sources[k] >= 0:
			from := m.delta.place(record)
			col.AppendFrom(&from.columns[m.sources[k]], from.row)
		case old != nil:
			col.AppendFrom(&old.Columns[k], i)
		default:
			col.AppendNull()
		}
	}
}

// identify writes the identities and the fragments of a profile and notes them in the index.
func (m *merger) identify(number uint32) error {
	list := m.after[number]
	before, now := unionOf(m.stored[number]), unionOf(list)
	for _, id := range now {
		if err := m.ids.addIdentity(number, id.namespace, []byte(id.value), id.primary, id.source); err != nil {
			return err
		}
	}
	for _, f := range list {
		for k, id := range f.ids {
			if err := m.frs.addFragment(number, f, id.namespace, []byte(id.value), k == 0); err != nil {
				return err
			}
		}
	}
	if len(m.groups[number]) > 0 || !m.p.before.same(number, now, before) {
		m.linked = append(m.linked, number)
	}
	return m.p.index.change(number, before, now)
}

// sameIdentities reports whether two lists hold the same values; where they come from is no change (RUN-03).
func sameIdentities(a, b []identity) bool {
	in := func(id identity, list []identity) bool {
		return slices.ContainsFunc(list, func(o identity) bool { return o.namespace == id.namespace && o.value == id.value })
	}
	return len(a) == len(b) && !slices.ContainsFunc(a, func(id identity) bool { return !in(id, b) })
}
