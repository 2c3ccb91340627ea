package warehouse

import (
	"context"
	"fmt"
	"iter"
	"path"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/parquet"
	"github.com/lakeward/lakeward/internal/vector"
)

// Compaction is a merge of profile files that is due.
//
// It takes from its files the rows that are live in the whole snapshot, so that any files may be chosen: what
// it writes lies above all files of that snapshot, which hold nothing newer of these profiles, and below all
// that were committed since. No profile, number or membership changes.
type Compaction struct {
	w       *Warehouse
	snap    *Snapshot
	files   []ProfileFile
	live    []*roaring.Bitmap // of each file
	numbers *roaring.Bitmap   // of all
}

// commitTries bounds how often a merge that is done is committed on top of what others committed meanwhile.
const commitTries = 10

// Compaction returns the merge that is due in a sandbox, nil if there is none; with all also what the triggers
// would leave for later.
func (w *Warehouse) Compaction(ctx context.Context, sandbox string, all bool) (*Compaction, error) {
	snap, err := w.Snapshot(ctx, sandbox, 0)
	if err != nil {
		return nil, err
	}
	var files []ProfileFile
	var live []*roaring.Bitmap
	var sizes []fileSize
	for i, l := range snap.live(snap.All()) {
		f := snap.Profiles[i]
		if f.Table.Rows == int64(f.Numbers.GetCardinality()) { // one that marks profiles without rows stays as it is
			files, live = append(files, f), append(live, l)
			sizes = append(sizes, fileSize{f.Table.Rows, int64(l.GetCardinality())})
		}
	}
	c := &Compaction{w: w, snap: snap, numbers: roaring.New()}
	for _, i := range w.sizes.choose(sizes, all) {
		c.files, c.live = append(c.files, files[i]), append(c.live, live[i])
		c.numbers.Or(live[i])
	}
	if len(c.files) == 0 {
		w.holds.drop(snap.hold)
		return nil, nil
	}
	return c, nil
}

// Run writes the merged files and makes them current as a new generation. union lists the fields of the profile
// store, read after the compaction was made: fields are only ever added, so none of its files has another one.
//
// What others commit meanwhile is left on top. Only if a chosen file was replaced the merge is void, and Run
// fails with kind Conflict.
func (c *Compaction) Run(ctx context.Context, union []lakeward.Leaf, at time.Time) (lakeward.Compaction, error) {
	defer c.w.holds.drop(c.snap.hold)
	done := lakeward.Compaction{Merged: len(c.files), Profiles: int64(c.numbers.GetCardinality())}
	change := lakeward.Change{Base: c.snap.Generation, Place: c.snap.Generation, Kind: lakeward.CompactionChange, At: at, NextNumber: c.snap.NextNumber}
	for _, f := range c.files {
		change.Replaced = append(change.Replaced, f.Table.Path)
		done.Superseded += f.Table.Rows
	}
	done.Superseded -= done.Profiles
	if err := c.checkFields(union); err != nil {
		return done, err
	}
	err := c.write(ctx, union, &change)
	if err == nil {
		done.Generation, err = c.commit(ctx, change)
	}
	if err != nil {
		c.tidy(context.WithoutCancel(ctx), change)
		return done, err
	}
	done.Written = len(change.Profiles)
	return done, nil
}

// tidy removes what a merge wrote that failed. A commit may be made although it reports an error, so files that are
// named, or may be, stay.
func (c *Compaction) tidy(ctx context.Context, change lakeward.Change) {
	head, err := c.w.Snapshot(ctx, c.snap.Sandbox, 0)
	if err != nil {
		return
	}
	c.w.holds.drop(head.hold)
	for _, f := range change.Profiles {
		if !head.names(f.Table.Path) {
			c.w.discard(f.Table, f.Identities)
		}
	}
}

// names reports whether a profile table is part of the snapshot.
func (s *Snapshot) names(table string) bool {
	return slices.ContainsFunc(s.Profiles, func(f ProfileFile) bool { return f.Table.Path == table })
}

// commit makes the change current. A generation that came first is no reason to merge again: its files lie above.
func (c *Compaction) commit(ctx context.Context, change lakeward.Change) (int64, error) {
	for try := 1; ; try++ {
		generation, err := c.w.catalog.Commit(ctx, c.snap.Sandbox, change)
		if lakeward.CodeOf(err) != "DATA-1002" || try == commitTries {
			return generation, err
		}
		head, rerr := c.w.Snapshot(ctx, c.snap.Sandbox, 0)
		if rerr != nil {
			return 0, rerr
		}
		c.w.holds.drop(head.hold)
		for _, path := range change.Replaced {
			if !head.names(path) {
				return 0, err
			}
		}
		change.Base, change.NextNumber = head.Generation, head.NextNumber
	}
}

// checkFields refuses a merge that would lose a column.
func (c *Compaction) checkFields(union []lakeward.Leaf) error {
	known := map[string]bool{"number": true}
	for _, l := range union {
		known[l.Path] = true
	}
	for i, f := range c.files {
		if c.live[i].IsEmpty() {
			continue
		}
		t, err := c.w.open(f.Table)
		if err != nil {
			return err
		}
		columns := t.Paths()
		if err := t.Close(); err != nil {
			return err
		}
		for _, column := range columns {
			if !known[column] {
				return fmt.Errorf("compact %s: its column %s is no field of the profile store", f.Table.Path, column)
			}
		}
	}
	return nil
}

// write puts the live rows into files of equal size and adds these to the change.
func (c *Compaction) write(ctx context.Context, union []lakeward.Leaf, change *lakeward.Change) error {
	feed := c.openFeed()
	defer feed.close()
	for _, part := range cutEvenly(c.numbers, c.w.sizes.base) {
		pf, err := c.writePart(ctx, part, union, feed)
		if err != nil {
			return err
		}
		named, err := pf.catalogued()
		change.Profiles = append(change.Profiles, named)
		if err != nil {
			return err
		}
	}
	return nil
}

// cutEvenly cuts a bitmap into ranges of equal size, as few as hold at most that many numbers each.
func cutEvenly(b *roaring.Bitmap, most int64) []*roaring.Bitmap {
	total := int64(b.GetCardinality())
	n := (total + most - 1) / most
	var out []*roaring.Bitmap
	numbers := b.Iterator()
	for k := range n {
		part := roaring.New()
		for range total*(k+1)/n - total*k/n {
			part.Add(numbers.Next())
		}
		out = append(out, part)
	}
	return out
}

func (c *Compaction) writePart(ctx context.Context, part *roaring.Bitmap, union []lakeward.Leaf, feed identityFeed) (ProfileFile, error) {
	columns := []parquet.Column{{Path: "number", Kind: vector.Int, Int32: true, Required: true}}
	for _, l := range union {
		columns = append(columns, parquet.ColumnOf(l))
	}
	pf := ProfileFile{Numbers: part}
	id := lakeward.NewID()
	rows, err := c.w.create(path.Join("profiles", c.snap.Sandbox, id+".parquet"), columns)
	if err != nil {
		return pf, err
	}
	ids, err := c.w.create(path.Join("profiles", c.snap.Sandbox, id+".identities.parquet"), identityColumns())
	if err != nil {
		c.w.abandon(rows)
		return pf, err
	}
	if err = c.copyRows(ctx, part, union, feed, [2]*tableWriter{rows, ids}); err == nil {
		pf.Table, err = c.w.finish(rows)
	}
	if err == nil {
		pf.Identities, err = c.w.finish(ids)
	}
	if err != nil {
		c.w.abandon(rows)
		c.w.abandon(ids)
	}
	return pf, err
}

// copyRows writes profiles into the first table and their identities into the second.
func (c *Compaction) copyRows(ctx context.Context, part *roaring.Bitmap, union []lakeward.Leaf, feed identityFeed, to [2]*tableWriter) error {
	var number vector.Vector
	row := vector.Chunk{Columns: make([]vector.Vector, len(union)+1)}
	out := identityRows{to: to[1]}
	out.reset()
	for p, err := range c.w.Scan(ctx, c.snap, part, union, "") {
		if err != nil {
			return err
		}
		number.Reset(vector.Int)
		for _, n := range p.Numbers {
			number.AppendInt(int64(n))
			ids, err := feed.of(n)
			if err != nil {
				return err
			}
			if err := out.add(n, ids); err != nil {
				return err
			}
		}
		row.Len, row.Columns[0] = p.Len, number
		copy(row.Columns[1:], p.Columns)
		if err := to[0].add(&row); err != nil {
			return err
		}
	}
	return out.flush()
}

// identityRows collects rows of an identities file and writes them chunk by chunk.
type identityRows struct {
	to    *tableWriter
	chunk vector.Chunk
}

func (r *identityRows) reset() {
	r.chunk.Len = 0
	if r.chunk.Columns == nil {
		r.chunk.Columns = make([]vector.Vector, len(identityColumns()))
	}
	for i, c := range identityColumns() {
		r.chunk.Columns[i].Reset(c.Kind)
	}
}

func (r *identityRows) add(number uint32, ids []identity) error {
	for _, id := range ids {
		c := r.chunk.Columns
		c[0].AppendInt(int64(number))
		c[1].AppendString([]byte(id.namespace))
		c[2].AppendString([]byte(id.value))
		c[3].AppendBool(id.primary)
		c[4].AppendString([]byte(id.source))
		if r.chunk.Len++; r.chunk.Len == vector.MaxRows {
			if err := r.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *identityRows) flush() error {
	err := r.to.add(&r.chunk)
	r.reset()
	return err
}

// identityFeed hands out the identities of ascending profiles out of several files. It holds one profile of each.
type identityFeed []*identitySource

func (c *Compaction) openFeed() identityFeed {
	var f identityFeed
	for i, file := range c.files {
		if !c.live[i].IsEmpty() {
			f = append(f, c.w.identitySource(file.Identities, c.live[i]))
		}
	}
	return f
}

// of returns the identities of a profile; numbers ascend from call to call.
func (f identityFeed) of(number uint32) ([]identity, error) {
	for _, s := range f {
		switch {
		case s.err != nil:
			return nil, s.err
		case s.more && s.number < number:
			return nil, fmt.Errorf("compact: the identities of profile %d are out of order", s.number)
		case s.more && s.number == number:
			ids := s.ids
			s.advance()
			return ids, nil
		}
	}
	return nil, nil // it has none
}

func (f identityFeed) close() {
	for _, s := range f {
		s.stop()
	}
}

// identitySource reads one file a profile at a time.
type identitySource struct {
	next   func() (uint32, []identity, bool)
	stop   func()
	number uint32
	ids    []identity
	more   bool
	err    error
}

func (w *Warehouse) identitySource(d lakeward.DataFile, live *roaring.Bitmap) *identitySource {
	s := &identitySource{}
	s.next, s.stop = iter.Pull2(func(yield func(uint32, []identity) bool) {
		stopped := false
		s.err = w.eachProfile(d, live, func(n uint32, ids []identity) { stopped = stopped || !yield(n, ids) })
	})
	s.advance()
	return s
}

// advance goes to the next profile. At the end of the file err says whether that was really the end.
func (s *identitySource) advance() { s.number, s.ids, s.more = s.next() }
