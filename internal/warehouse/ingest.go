package warehouse

import (
	"context"
	"fmt"
	"path"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/parquet"
	"github.com/lakeward/lakeward/internal/vector"
)

// A batch holds at most that many records, or that many bytes of their texts, in memory; they become one
// profile file.
const (
	deltaRows  = 131072
	deltaBytes = 128 << 20
)

// BatchWriter takes the records of one batch and keeps them out of sight until Commit.
type BatchWriter struct {
	w      *Warehouse
	schema lakeward.Schema
	leaves []lakeward.Leaf // of the schema
	union  []lakeward.Leaf // of the profile store
	batch  lakeward.Batch
	change lakeward.Change
	snap   *Snapshot // at Base, with the files of this batch added
	index  *IdentityIndex

	out     *tableWriter // dataset file
	pending *delta
	events  *eventDelta // nil for records, and for lists that only identify
	payload *payloadWriter
	fresh   uint64 // new profiles
	touched *roaring.Bitmap
	linked  *roaring.Bitmap // profiles whose identities changed
	seen    *roaring.Bitmap // profiles of all records
}

// NewBatch starts a batch of records of a schema. union lists the fields of the profile store.
func (w *Warehouse) NewBatch(ctx context.Context, sandbox string, batch lakeward.Batch, schema lakeward.Schema, union []lakeward.Leaf) (*BatchWriter, error) {
	snap, err := w.Snapshot(ctx, sandbox, 0)
	if err != nil {
		return nil, err
	}
	b := &BatchWriter{w: w, schema: schema, leaves: schema.Leaves(), union: union, batch: batch, snap: snap, touched: roaring.New(), linked: roaring.New(), seen: roaring.New(),
		change: lakeward.Change{Base: snap.Generation, Kind: "ingest", At: batch.CreatedAt, NextNumber: snap.NextNumber}}
	if schema.Profile {
		if b.index, err = w.IdentityIndex(ctx, snap); err != nil {
			return nil, err
		}
	}
	if i := slices.IndexFunc(b.leaves, func(l lakeward.Leaf) bool { return l.Path == timestampPath && l.Type == lakeward.TypeDateTime }); schema.Profile && schema.Class == lakeward.EventClass && i >= 0 {
		b.events = newEventDelta(b.leaves)
	}
	b.payload = newPayloadWriter(b)
	var columns []parquet.Column
	for _, l := range b.leaves {
		columns = append(columns, parquet.ColumnOf(l))
	}
	b.out, err = w.create(path.Join("datasets", string(batch.DatasetID), string(batch.ID), "part-00000.parquet"), columns)
	return b, err
}

// Write adds records: the columns of the chunk stand in the order of the schema's leaves.
func (b *BatchWriter) Write(ctx context.Context, c *vector.Chunk) error {
	if err := b.out.add(c); err != nil {
		return err
	}
	b.batch.Rows += int64(c.Len)
	if !b.schema.Profile {
		return nil
	}
	for i := range c.Len {
		if b.pending == nil {
			b.pending = newDelta(b.profileFields())
		}
		number, err := b.resolve(c, i)
		if err != nil {
			return err
		}
		b.seen.Add(number)
		b.payload.add(number, c, i)
		if b.events != nil {
			b.events.add(number, c, i)
		}
		b.pending.add(number, c, b.leaves, i, b.schema.Class == lakeward.RecordClass)
		if len(b.pending.numbers) == deltaRows {
			if err := b.flush(ctx); err != nil {
				return err
			}
		}
	}
	if b.pending != nil && b.pending.bytes() > deltaBytes {
		if err := b.flush(ctx); err != nil {
			return err
		}
	}
	if b.events != nil && b.events.full() {
		return b.flushEvents(ctx)
	}
	return b.payload.flush(ctx, false)
}

// flushEvents writes the pending events as one file.
func (b *BatchWriter) flushEvents(ctx context.Context) error {
	if len(b.events.numbers) == 0 {
		return nil
	}
	f, err := b.w.writeEvents(ctx, b.snap.Sandbox, b.events)
	if err != nil {
		return err
	}
	named, err := f.catalogued()
	b.change.Events = append(b.change.Events, named)
	b.events = newEventDelta(b.leaves)
	return err
}

// profileFields are the fields that records of this schema set on a profile; events set none.
func (b *BatchWriter) profileFields() []lakeward.Leaf {
	if b.schema.Class == lakeward.EventClass {
		return nil
	}
	return b.leaves
}

// resolve returns the number of the record's profile; an unknown identity makes a profile.
func (b *BatchWriter) resolve(c *vector.Chunk, i int) (uint32, error) {
	for k, l := range b.leaves {
		if l.Identity == nil || !l.Identity.Primary {
			continue
		}
		value := c.Columns[k].Str(i)
		if number, ok := b.index.Find(l.Identity.Namespace, value, b.schema.Class == lakeward.RecordClass); ok {
			return number, nil
		}
		number := b.change.NextNumber
		if number+1 < number {
			return 0, &lakeward.Error{Kind: lakeward.Invalid, Code: "QUOTA-1001", Msg: "the sandbox has no profile numbers left"}
		}
		b.change.NextNumber++
		b.fresh++
		b.index.add(number, []identity{{l.Identity.Namespace, string(value), true, ""}})
		return number, nil
	}
	return 0, fmt.Errorf("schema %s has no primary identity", b.schema.ID)
}

// flush turns the pending records into one profile file: each profile once, its newest record laid
// over what the store has of it.
func (b *BatchWriter) flush(ctx context.Context) error {
	d := b.pending
	b.pending = nil
	if d == nil || len(d.numbers) == 0 {
		return nil
	}
	numbers := roaring.BitmapOf(d.numbers...)
	if b.schema.Class == lakeward.EventClass {
		numbers.AndNot(b.snap.All()) // events change nothing on profiles that exist
		if numbers.IsEmpty() {
			return nil
		}
	}
	pf, err := b.writeProfiles(ctx, d, numbers)
	if err != nil {
		return err
	}
	named, err := pf.catalogued()
	if err != nil {
		return err
	}
	b.change.Profiles = append(b.change.Profiles, named)
	b.snap.Profiles = append(b.snap.Profiles, pf)
	b.touched.Or(numbers)
	return nil
}

func (b *BatchWriter) writeProfiles(ctx context.Context, d *delta, numbers *roaring.Bitmap) (ProfileFile, error) {
	id := lakeward.NewID()
	columns := []parquet.Column{{Path: "number", Kind: vector.Int, Int32: true, Required: true}}
	for _, l := range b.union {
		columns = append(columns, parquet.ColumnOf(l))
	}
	pf := ProfileFile{Numbers: numbers}
	rows, err := b.w.create(path.Join("profiles", b.snap.Sandbox, id+".parquet"), columns)
	if err != nil {
		return pf, err
	}
	ids, err := b.w.create(path.Join("profiles", b.snap.Sandbox, id+".identities.parquet"), identityColumns())
	if err != nil {
		b.w.abandon(rows)
		return pf, err
	}
	m := &merger{b: b, delta: d, rows: rows, ids: ids, newest: d.newest()}
	if err = m.run(ctx, numbers); err == nil {
		pf.Table, err = b.w.finish(rows)
	}
	if err == nil {
		pf.Identities, err = b.w.finish(ids)
	}
	if err != nil {
		b.w.abandon(rows)
		b.w.abandon(ids)
	}
	return pf, err
}

// LeaveOut notes rows of the upload that are not part of the batch.
func (b *BatchWriter) LeaveOut(rows int64, examples []lakeward.RejectedRow) {
	b.batch.Rejected, b.batch.Examples = rows, examples
}

// Commit ends the batch and makes it current. With an audience, the profiles of the records become its
// members in the same commit, and the audience is stored. It returns the batch with its counts and generation.
func (b *BatchWriter) Commit(ctx context.Context, audience *lakeward.Audience) (lakeward.Batch, error) {
	if err := b.flush(ctx); err != nil {
		return b.batch, err
	}
	if b.events != nil {
		if err := b.flushEvents(ctx); err != nil {
			return b.batch, err
		}
	}
	if audience != nil {
		m, err := b.w.writeMembership(b.snap, audience.ID, b.seen, b.batch.CreatedAt)
		if err != nil {
			return b.batch, err
		}
		named, err := m.catalogued()
		if err != nil {
			return b.batch, err
		}
		b.change.Audience, b.change.Memberships = audience, []lakeward.Membership{named}
	}
	if err := b.payload.flush(ctx, true); err != nil {
		return b.batch, err
	}
	data, err := b.w.finish(b.out)
	if err != nil {
		return b.batch, err
	}
	b.batch.Files = []lakeward.DataFile{data}
	if b.payload != nil {
		b.batch.Payload = b.payload.files
	}
	b.batch.Profiles, b.batch.NewProfiles = int64(b.touched.GetCardinality()), int64(b.fresh)
	b.change.Batch = &b.batch
	if b.change.Identities, err = encodeBitmap(b.linked); err != nil {
		return b.batch, err
	}
	b.batch.Generation, err = b.w.catalog.Commit(ctx, b.snap.Sandbox, b.change)
	return b.batch, err
}

// Discard removes what the batch wrote; for a batch that is not committed.
func (b *BatchWriter) Discard() {
	_ = b.out.file.Close()
	b.w.discard(b.out.data)
	if b.payload != nil {
		b.w.discard(b.payload.files...)
	}
	_ = b.w.root.Remove(path.Dir(b.out.data.Path))
	for _, pf := range b.change.Profiles {
		b.w.discard(pf.Table, pf.Identities)
	}
	for _, f := range b.change.Events {
		b.w.discard(f.Table)
	}
	b.w.discardMemberships(b.change)
}

// delta collects records of profiles: the fields they set and their identities.
type delta struct {
	fields  []lakeward.Leaf
	numbers []uint32 // of each record
	columns []vector.Vector
	idNames []string        // namespace of each identity column
	ids     []vector.Vector // identity columns, the primary one first
}

func newDelta(fields []lakeward.Leaf) *delta {
	d := &delta{fields: fields, columns: make([]vector.Vector, len(fields))}
	for i, l := range fields {
		d.columns[i].ResetTo(vector.ShapeOf(l))
	}
	return d
}

// add takes record i of a chunk.
func (d *delta) add(number uint32, c *vector.Chunk, leaves []lakeward.Leaf, i int, attributes bool) {
	d.numbers = append(d.numbers, number)
	if attributes {
		for k := range d.columns {
			d.columns[k].AppendFrom(&c.Columns[k], i)
		}
	}
	if d.ids == nil {
		d.addIdentityColumns(leaves)
	}
	at := 0
	for _, primary := range []bool{true, false} {
		for k, l := range leaves {
			if l.Identity != nil && l.Identity.Primary == primary {
				d.ids[at].AppendFrom(&c.Columns[k], i)
				at++
			}
		}
	}
}

func (d *delta) addIdentityColumns(leaves []lakeward.Leaf) {
	for _, primary := range []bool{true, false} {
		for _, l := range leaves {
			if l.Identity != nil && l.Identity.Primary == primary {
				d.idNames = append(d.idNames, l.Identity.Namespace)
				v := vector.Vector{}
				v.Reset(vector.String)
				d.ids = append(d.ids, v)
			}
		}
	}
}

// bytes is about the size of the values.
func (d *delta) bytes() int {
	n := 0
	for i := range d.columns {
		n += d.columns[i].Size()
	}
	return n
}

// newest maps each profile to its last record.
func (d *delta) newest() map[uint32]int {
	m := make(map[uint32]int, len(d.numbers))
	for i, n := range d.numbers {
		m[n] = i
	}
	return m
}
