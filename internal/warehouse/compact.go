package warehouse

import (
	"context"
	"fmt"
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
func (w *Warehouse) Compaction(ctx context.Context, sandbox string, policy lakeward.MergePolicyID, all bool) (*Compaction, error) {
	snap, err := w.SnapshotOf(ctx, sandbox, policy, 0)
	if err != nil {
		return nil, err
	}
	var files []ProfileFile
	var live []*roaring.Bitmap
	var sizes []fileSize
	for i, l := range snap.live(snap.All()) {
		f := snap.Profiles[i]
		if !f.gone() && f.Fragments.Path != "" { // those that mark profiles as gone, and those of before, stay as they are
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
	change := lakeward.Change{Base: c.snap.Generation, Place: c.snap.Generation, Kind: lakeward.CompactionChange, At: at, Of: c.snap.Policy, NextNumber: c.snap.NextNumber}
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
		done.Generation, err = c.w.commitMerge(ctx, c.snap, change)
	}
	if err != nil {
		c.w.tidyMerge(ctx, c.snap, change)
		return done, err
	}
	done.Written = len(change.Profiles)
	return done, nil
}

// commitMerge makes the change of a merge current. A generation that came first is no reason to merge again: its files lie
// above. Only if a file that was merged is part of the snapshot no more, it fails with kind Conflict.
func (w *Warehouse) commitMerge(ctx context.Context, snap *Snapshot, change lakeward.Change) (int64, error) {
	for try := 1; ; try++ {
		generation, err := w.catalog.Commit(ctx, snap.Sandbox, change)
		if lakeward.CodeOf(err) != "DATA-1002" || try == commitTries {
			return generation, err
		}
		head, rerr := w.SnapshotOf(ctx, snap.Sandbox, snap.Policy, 0)
		if rerr != nil {
			return 0, rerr
		}
		w.holds.drop(head.hold)
		for _, name := range slices.Concat(change.Replaced, change.ReplacedEvents) {
			if !head.names(name) {
				return 0, err
			}
		}
		change.Base, change.NextNumber = head.Generation, head.NextNumber
	}
}

// tidyMerge removes what a merge wrote that failed. A commit may be made although it reports an error, so files that are
// named, or may be, stay.
func (w *Warehouse) tidyMerge(ctx context.Context, snap *Snapshot, change lakeward.Change) {
	head, err := w.SnapshotOf(context.WithoutCancel(ctx), snap.Sandbox, snap.Policy, 0)
	if err != nil {
		return
	}
	w.holds.drop(head.hold)
	for _, f := range change.Profiles {
		if !head.names(f.Table.Path) {
			w.discard(f.Table, f.Identities, f.Fragments)
		}
	}
	for _, f := range change.Events {
		if !head.names(f.Table.Path) {
			w.discard(f.Table)
		}
	}
}

// names reports whether a table of profiles or events is part of the snapshot.
func (s *Snapshot) names(table string) bool {
	return slices.ContainsFunc(s.Profiles, func(f ProfileFile) bool { return f.Table.Path == table }) ||
		slices.ContainsFunc(s.Events, func(f EventFile) bool { return f.Table.Path == table })
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
	identities, err := c.w.openFeed(c.files, c.live, identityColumns(), func(f ProfileFile) lakeward.DataFile { return f.Identities })
	defer identities.close()
	if err != nil {
		return err
	}
	fragments, err := c.w.openFeed(c.files, c.live, fragmentColumns(), func(f ProfileFile) lakeward.DataFile { return f.Fragments })
	defer fragments.close()
	if err != nil {
		return err
	}
	for _, part := range cutEvenly(c.numbers, c.w.sizes.base) {
		pf, err := c.writePart(ctx, part, union, [2]rowFeed{identities, fragments})
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

// writePart writes the rows of profiles, and beside them their identities and fragments.
func (c *Compaction) writePart(ctx context.Context, part *roaring.Bitmap, union []lakeward.Leaf, feeds [2]rowFeed) (pf ProfileFile, err error) {
	pf.Numbers = part
	id := lakeward.NewID()
	columns := append([]parquet.Column{{Path: "number", Kind: vector.Int, Int32: true, Required: true}}, parquet.ColumnsOf(union)...)
	var open []*tableWriter
	defer func() {
		if err != nil {
			c.w.abandonAll(open)
		}
	}()
	for _, f := range []struct {
		end     string
		columns []parquet.Column
	}{{".parquet", columns}, {".identities.parquet", identityColumns()}, {".fragments.parquet", fragmentColumns()}} {
		t, err := c.w.create(path.Join("profiles", c.snap.Sandbox, id+f.end), f.columns)
		if err != nil {
			return pf, err
		}
		open = append(open, t)
	}
	beside := []*tableChunk{newTableChunk(open[1], identityColumns()), newTableChunk(open[2], fragmentColumns())}
	defer func() {
		for _, t := range beside {
			t.stop()
		}
	}()
	if err = c.copyRows(ctx, part, union, open[0], feeds, beside); err != nil {
		return pf, err
	}
	files, err := c.w.finishAll(open)
	if err != nil {
		return pf, err
	}
	pf.Table, pf.Identities, pf.Fragments = files[0], files[1], files[2]
	return pf, nil
}

// copyRows writes profiles into a table and their rows of each feed into the table beside it.
func (c *Compaction) copyRows(ctx context.Context, part *roaring.Bitmap, union []lakeward.Leaf, to *tableWriter, feeds [2]rowFeed, beside []*tableChunk) error {
	var number vector.Vector
	row := vector.Chunk{Columns: make([]vector.Vector, len(union)+1)}
	for p, err := range c.w.Scan(ctx, c.snap, part, union, "") {
		if err != nil {
			return err
		}
		number.Reset(vector.Int)
		for _, n := range p.Numbers {
			number.AppendInt(int64(n))
			for i := range feeds {
				if err := feeds[i].copy(n, beside[i]); err != nil {
					return err
				}
			}
		}
		row.Len, row.Columns[0] = p.Len, number
		copy(row.Columns[1:], p.Columns)
		if err := to.add(&row); err != nil {
			return err
		}
	}
	for _, t := range beside {
		if err := t.end(); err != nil {
			return err
		}
	}
	return nil
}

// rowFeed hands out the rows of ascending profiles out of several files that hold any number of rows for each.
type rowFeed []*rowSource

// rowSource reads one file front to back.
type rowSource struct {
	fileCursor
	live *roaring.Bitmap // profiles whose rows here count
}

// openFeed opens a file beside each profile file that has live rows.
func (w *Warehouse) openFeed(files []ProfileFile, live []*roaring.Bitmap, columns []parquet.Column, file func(ProfileFile) lakeward.DataFile) (rowFeed, error) {
	var f rowFeed
	for i, pf := range files {
		if live[i].IsEmpty() {
			continue
		}
		s := &rowSource{live: live[i]}
		f = append(f, s)
		if err := s.open(w, file(pf), columns); err != nil {
			return f, err
		}
	}
	return f, nil
}

// copy adds the rows of a profile to a table; numbers ascend from call to call.
func (f rowFeed) copy(number uint32, to *tableChunk) error {
	return f.each(number, func(cols []vector.Vector, row int) error {
		if err := to.ready(); err != nil {
			return err
		}
		for i := range to.Columns {
			to.Columns[i].AppendFrom(&cols[i], row)
		}
		to.Len++
		return nil
	})
}

// each calls fn with the rows of a profile; numbers ascend from call to call.
func (f rowFeed) each(number uint32, fn func(cols []vector.Vector, row int) error) error {
	for _, s := range f {
		if s.live.Contains(number) {
			return s.each(number, fn)
		}
	}
	return nil
}

func (s *rowSource) each(number uint32, fn func(cols []vector.Vector, row int) error) error {
	for {
		ok, err := s.toProfile(number)
		if err == nil && ok {
			err = fn(s.cols, s.at)
		}
		if err != nil || !ok {
			return err
		}
		s.at++
	}
}

func (f rowFeed) close() {
	for _, s := range f {
		s.close()
	}
}
