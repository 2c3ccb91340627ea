package warehouse

import (
	"context"
	"encoding/binary"
	"path"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/parquet"
	"github.com/lakeward/lakeward/internal/together"
	"github.com/lakeward/lakeward/internal/vector"
)

// Policy is a merge policy with what the warehouse must know to follow it.
type Policy struct {
	lakeward.MergePolicy
	Union    []lakeward.Leaf                                 // the fields of the profile store
	Stitched map[string]bool                                 // namespaces whose identities join profiles (IDN-01)
	Fields   map[lakeward.DatasetID][]lakeward.Leaf          // what the records of each dataset set
	Batches  func(context.Context) ([]lakeward.Batch, error) // all, to read older records again
}

func (p Policy) graph() bool { return p.Stitching == lakeward.PrivateGraph }

// heir is a profile that carries on another one.
type heir struct{ from, to uint32 }

// settled gives those whose heir was retired later the heir of that one.
func settled(heirs []heir) []heir {
	last := make(map[uint32]uint32, len(heirs))
	for i, h := range slices.Backward(heirs) {
		if to, again := last[h.to]; again {
			heirs[i].to = to
		}
		last[h.from] = heirs[i].to
	}
	return heirs
}

func encodeHeirs(heirs []heir) []byte {
	var out []byte
	for _, h := range heirs {
		out = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(out, h.from), h.to)
	}
	return out
}

// idColumn is a column of a batch that holds identities.
type idColumn struct {
	column    int
	namespace string
}

// profileWriter turns records into profiles: it finds whose they are, joins profiles that turn out to be one,
// and writes files of profiles. What it has written counts for it alone until it is committed.
type profileWriter struct {
	w      *Warehouse
	policy Policy
	snap   *Snapshot // with the files written so far
	index  *IdentityIndex
	all    *roaring.Bitmap // profiles that are there
	next   uint32
	before *before // the store that is being rebuilt, if any

	// of the batch
	batch      lakeward.Batch
	class      lakeward.SchemaClass
	leaves     []lakeward.Leaf
	identities []idColumn        // the primary one first
	byMap      *mapColumn        // more of them, nil if the records have none
	ids        []idValue         // of the current record, the primary one first
	names      map[string]string // codes of namespaces that identityMaps name
	files      func() ([]lakeward.DataFile, error)

	pending *delta
	events  *eventDelta       // nil for records, and for lists that only identify
	waiting identityTable     // identities of pending records
	awaits  []uint32          // the profile of each
	joined  map[uint32]uint32 // profiles of pending records that belong to another one

	numbers []uint32        // of the profiles of the last chunk's records
	fresh   uint64          // new profiles
	touched *roaring.Bitmap // profiles that were written
	linked  *roaring.Bitmap // profiles whose identities changed (RUN-03)
	heirs   []heir
	written []lakeward.ProfileFile
	ending  together.Task // of the files that were written last; until then they are neither in written nor in snap
	kept    []lakeward.EventFile
	rows    map[lakeward.BatchID][]lakeward.DataFile // of older batches, once they are needed
}

func newProfileWriter(w *Warehouse, s *Snapshot, index *IdentityIndex, policy Policy) *profileWriter {
	return &profileWriter{w: w, policy: policy, snap: s, index: index, all: s.All(), next: s.NextNumber,
		joined: map[uint32]uint32{}, touched: roaring.New(), linked: roaring.New()}
}

// begin says whose records come next; files returns the finished files of the batch.
func (p *profileWriter) begin(batch lakeward.Batch, class lakeward.SchemaClass, leaves []lakeward.Leaf, files func() ([]lakeward.DataFile, error)) {
	p.batch, p.class, p.leaves, p.files, p.identities, p.events = batch, class, leaves, files, nil, nil
	if class == lakeward.EventClass && slices.ContainsFunc(leaves, func(l lakeward.Leaf) bool { return l.Path == timestampPath && l.Type == lakeward.TypeDateTime }) {
		p.events = newEventDelta(leaves)
	}
	p.byMap = findMap(leaves)
	for _, primary := range []bool{true, false} {
		for k, l := range p.leaves {
			if l.Identity != nil && l.Identity.Primary == primary {
				p.identities = append(p.identities, idColumn{k, l.Identity.Namespace})
			}
		}
	}
	p.pending = newDelta(leaves, class == lakeward.EventClass, p.identities)
}

// add takes the records of a chunk, whose first is a row of the batch, and notes their profiles in numbers.
func (p *profileWriter) add(ctx context.Context, c *vector.Chunk, first int64) error {
	p.numbers = p.numbers[:0]
	noted := 0 // the first row that is noted and not taken, if there is one
	for i := range c.Len {
		if err := p.identify(c, i); err != nil {
			return err
		}
		number, brings, err := p.resolve()
		if err != nil {
			return err
		}
		p.numbers = append(p.numbers, number)
		if p.events != nil {
			p.events.numbers = append(p.events.numbers, number)
		}
		if !brings {
			p.pending.take(c, noted, i)
			noted = i + 1
			continue
		}
		p.pending.note(number, first+int64(i), p.ids)
		if len(p.pending.numbers) < deltaRows {
			continue
		}
		p.pending.take(c, noted, i+1)
		noted = i + 1
		if err := p.flush(ctx); err != nil {
			return err
		}
	}
	p.pending.take(c, noted, c.Len)
	if p.pending.full() {
		if err := p.flush(ctx); err != nil {
			return err
		}
	}
	if p.events == nil {
		return nil
	}
	if p.events.take(c, 0, c.Len); p.events.full() {
		return p.flushEvents(ctx)
	}
	return nil
}

// flushEvents writes the pending events as one file.
func (p *profileWriter) flushEvents(ctx context.Context) error {
	if p.events == nil || len(p.events.numbers) == 0 {
		return nil
	}
	p.settleEvents()
	f, err := p.w.writeEvents(ctx, p.snap.Sandbox, p.events)
	if err != nil {
		return err
	}
	p.events = newEventDelta(p.leaves)
	named, err := f.catalogued()
	p.kept = append(p.kept, named)
	return err
}

// settleEvents gives the pending events to those that their profiles were joined with.
func (p *profileWriter) settleEvents() {
	if p.events == nil || len(p.joined) == 0 {
		return
	}
	for i, n := range p.events.numbers {
		p.events.numbers[i] = p.canonical(n)
	}
}

// fields are the fields that records of the batch set on a profile; events set none.
func (p *profileWriter) fields() []lakeward.Leaf {
	if p.class == lakeward.EventClass {
		return nil
	}
	return p.leaves
}

// flush turns the pending records into one profile file: each profile once, its records laid over
// what the store has of it.
func (p *profileWriter) flush(ctx context.Context) error {
	p.settleEvents()
	d := p.pending
	if d == nil || len(d.numbers) == 0 {
		return nil
	}
	m := &merger{p: p, delta: d, numbers: roaring.New(), retired: roaring.New(), groups: map[uint32][]uint32{}}
	for i, n := range d.numbers {
		d.numbers[i] = p.canonical(n)
	}
	m.numbers.AddMany(d.numbers)
	for n := range p.joined {
		survivor := p.canonical(n)
		m.groups[survivor] = append(m.groups[survivor], n)
		m.retired.Add(n)
	}
	for it := m.retired.Iterator(); it.HasNext() && p.before == nil; {
		n := it.Next()
		p.heirs = append(p.heirs, heir{n, p.canonical(n)})
	}
	clear(p.joined)
	p.waiting.reset()
	p.awaits = p.awaits[:0]
	err := p.write(ctx, m)
	d.reset()
	return err
}

// write writes the profiles of a merger, and takes away those that are retired.
func (p *profileWriter) write(ctx context.Context, m *merger) error {
	if err := p.ending.Wait(); err != nil {
		return err
	}
	m.retired.And(p.all)
	// The index is written to from here on, and asked by the next records only.
	if err := p.index.makeRoom(spillEntries / 2); err != nil {
		return err
	}
	if err := m.prepare(ctx); err != nil {
		return err
	}
	var open []*tableWriter
	if !m.numbers.IsEmpty() {
		var err error
		if open, err = p.writeFile(ctx, m); err != nil {
			return err
		}
	}
	numbers, retired := m.numbers, m.retired
	p.all.Or(numbers)
	p.all.AndNot(retired)
	p.touched.Or(numbers)
	p.touched.AndNot(retired)
	p.ending.Start(func() error { return p.end(open, numbers, retired) })
	return nil
}

// end ends the files of profiles, if there are any, and keeps them; then it takes the retired ones away.
func (p *profileWriter) end(open []*tableWriter, numbers, retired *roaring.Bitmap) error {
	if len(open) > 0 {
		files, err := p.w.finishAll(open)
		if err != nil {
			p.w.abandonAll(open)
			return err
		}
		if err := p.keep(ProfileFile{Numbers: numbers, Table: files[0], Identities: files[1], Fragments: files[2]}); err != nil {
			return err
		}
	}
	if retired.IsEmpty() {
		return nil
	}
	return p.keep(ProfileFile{Numbers: retired})
}

func (p *profileWriter) keep(pf ProfileFile) error {
	named, err := pf.catalogued()
	if err != nil {
		p.w.discard(pf.Table, pf.Identities, pf.Fragments)
		return err
	}
	p.written = append(p.written, named)
	p.snap.Profiles = append(p.snap.Profiles, pf)
	return nil
}

// writeFile writes the profiles of a merger into files that are still open: for their rows, identities and fragments.
func (p *profileWriter) writeFile(ctx context.Context, m *merger) (open []*tableWriter, err error) {
	id := lakeward.NewID()
	columns := []parquet.Column{{Path: "number", Kind: vector.Int, Int32: true, Required: true}}
	for _, l := range p.policy.Union {
		columns = append(columns, parquet.ColumnOf(l))
	}
	defer func() {
		if err != nil {
			p.w.abandonAll(open)
		}
	}()
	for _, f := range []struct {
		name    string
		columns []parquet.Column
	}{{id + ".parquet", columns}, {id + ".identities.parquet", identityColumns()}, {id + ".fragments.parquet", fragmentColumns()}} {
		t, err := p.w.create(path.Join("profiles", p.snap.Sandbox, f.name), f.columns)
		if err != nil {
			return open, err
		}
		open = append(open, t)
	}
	m.rows, m.ids, m.frs = newTableChunk(open[0], columns), newTableChunk(open[1], identityColumns()), newTableChunk(open[2], fragmentColumns())
	defer func() {
		for _, t := range m.tables() {
			t.stop()
		}
	}()
	return open, m.run(ctx)
}

// openPolicy opens the profiles of a policy at a generation, the newest one for 0.
func (w *Warehouse) openPolicy(ctx context.Context, sandbox string, policy Policy, generation int64) (*profileWriter, error) {
	s, err := w.SnapshotOf(ctx, sandbox, policy.ID, generation)
	if err != nil {
		return nil, err
	}
	index, err := w.IdentityIndex(ctx, s)
	if err != nil {
		return nil, err
	}
	return newProfileWriter(w, s, index, policy), nil
}

// change is what was written, as a commit takes it.
func (p *profileWriter) change() (c lakeward.ProfileChange, err error) {
	if err := p.ending.Wait(); err != nil {
		return c, err
	}
	if p.before == nil {
		p.heirs = settled(p.heirs)
	}
	c = lakeward.ProfileChange{Of: p.policy.ID, NextNumber: p.next, Profiles: p.written, Events: p.kept, Heirs: encodeHeirs(p.heirs)}
	c.Identities, err = encodeBitmap(p.linked)
	return c, err
}

// into makes a change the first of a commit.
func into(c *lakeward.Change, first lakeward.ProfileChange) {
	c.Of, c.NextNumber, c.Profiles, c.Events, c.Identities, c.Heirs = first.Of, first.NextNumber, first.Profiles, first.Events, first.Identities, first.Heirs
}

// discard removes what was written.
func (p *profileWriter) discard() {
	_ = p.ending.Wait() // whoever discards has an error already
	for _, pf := range p.written {
		p.w.discard(pf.Table, pf.Identities, pf.Fragments)
	}
	for _, f := range p.kept {
		p.w.discard(f.Table)
	}
	p.index.Close()
}

func discardAll(stores []*profileWriter) {
	for _, p := range stores {
		p.discard()
	}
}

// keepIndexes makes the indexes those of a generation that was committed, and closes them. An error is no loss: the
// index of a state that it does not know is made anew.
func (w *Warehouse) keepIndexes(ctx context.Context, stores []*profileWriter, generation int64) {
	for _, p := range stores {
		if s, err := w.catalog.Snapshot(ctx, p.snap.Sandbox, p.policy.ID, generation, []lakeward.AudienceID{}); err == nil {
			_ = p.index.publish(s.IdentityState)
		}
		p.index.Close()
	}
}
