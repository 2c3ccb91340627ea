package warehouse

import (
	"context"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
)

// EventCompaction is a merge of event files that is due. Events of profiles that are there no more are left out.
type EventCompaction struct {
	w     *Warehouse
	snap  *Snapshot
	files []EventFile
}

// eventSizes are the sizes of event files: a profile has many events.
func eventSizes() mergeSizes { return mergeSizes{base: 8_000_000, small: 20, inputs: 32} }

// mergeWindow is the number of profiles whose events are in memory while files are merged.
const mergeWindow = 256

// EventCompaction returns the merge that is due in a sandbox, nil if there is none; with all also what the trigger
// would leave for later.
func (w *Warehouse) EventCompaction(ctx context.Context, sandbox string, policy lakeward.MergePolicyID, all bool) (*EventCompaction, error) {
	snap, err := w.SnapshotOf(ctx, sandbox, policy, 0)
	if err != nil {
		return nil, err
	}
	sizes := make([]fileSize, len(snap.Events))
	for i, f := range snap.Events {
		sizes[i] = fileSize{f.Table.Rows, f.Table.Rows}
	}
	c := &EventCompaction{w: w, snap: snap}
	chosen := eventSizes().choose(sizes, all)
	slices.Sort(chosen) // events of one time and no id stay in the order in which they came
	for _, i := range chosen {
		c.files = append(c.files, snap.Events[i])
	}
	if len(c.files) < 2 {
		w.holds.drop(snap.hold)
		return nil, nil
	}
	return c, nil
}

// Run writes the merged file and makes it current as a new generation. union lists the fields of events, read after
// the compaction was made.
func (c *EventCompaction) Run(ctx context.Context, union []lakeward.Leaf, at time.Time) (lakeward.Compaction, error) {
	defer c.w.holds.drop(c.snap.hold)
	done := lakeward.Compaction{Merged: len(c.files)}
	change := lakeward.Change{Base: c.snap.Generation, Place: c.snap.Generation, Kind: lakeward.CompactionChange, At: at, Of: c.snap.Policy, NextNumber: c.snap.NextNumber}
	for _, f := range c.files {
		change.ReplacedEvents = append(change.ReplacedEvents, f.Table.Path)
	}
	f, err := c.write(ctx, union)
	if err != nil {
		return done, err
	}
	if f.Table.Rows > 0 {
		named, err := f.catalogued()
		if err != nil {
			return done, err
		}
		change.Events, done.Written = []lakeward.EventFile{named}, 1
	}
	if done.Generation, err = c.w.commitMerge(ctx, c.snap, change); err != nil {
		c.w.tidyMerge(ctx, c.snap, change)
	}
	return done, err
}

// write merges the files by number, time and id.
func (c *EventCompaction) write(ctx context.Context, union []lakeward.Leaf) (EventFile, error) {
	f := EventFile{Numbers: roaring.New()}
	for _, from := range c.files {
		f.Numbers.Or(from.Numbers)
	}
	for from, to := range c.snap.eventHeirs {
		if f.Numbers.Contains(from) {
			f.Numbers.Add(c.snap.eventOwner(to))
		}
	}
	f.Numbers.And(c.snap.All())
	in, err := c.w.scanEventFiles(c.files, union, func(path string) []string { return []string{path} })
	if err != nil {
		return f, err
	}
	defer in.Close()
	some := *c.snap
	some.Events = c.files
	if err := in.adopt(&some); err != nil {
		return f, err
	}
	out, err := c.w.create(path.Join("events", c.snap.Sandbox, lakeward.NewID()+".parquet"), eventColumns(union))
	if err != nil {
		return f, err
	}
	if err = c.copyEvents(ctx, in, out, f.Numbers); err == nil {
		f.Table, err = c.w.finish(out)
	}
	if err != nil {
		c.w.abandon(out)
		return f, err
	}
	if f.Table.Rows == 0 {
		c.w.discard(f.Table)
	}
	return f, nil
}

func (c *EventCompaction) copyEvents(ctx context.Context, in *Events, out *tableWriter, numbers *roaring.Bitmap) error {
	var lists, number vector.Vector
	window := make([]uint32, mergeWindow)
	it := numbers.ManyIterator()
	for n := it.NextMany(window); n > 0; n = it.NextMany(window) {
		if err := ctx.Err(); err != nil {
			return err
		}
		lists.ResetTo(in.Shape())
		if err := in.Append(window[:n], &lists); err != nil {
			return err
		}
		number.Reset(vector.Int)
		for i := range n {
			from, to := lists.Items(i)
			for range to - from {
				number.AppendInt(int64(window[i]))
			}
		}
		chunk := vector.Chunk{Len: number.Len, Columns: append([]vector.Vector{number}, lists.Fields[0].Fields...)}
		if err := out.add(&chunk); err != nil {
			return err
		}
	}
	return nil
}

// fieldNames cuts a path into the names of the objects around a field and its own.
func fieldNames(path string) []string { return strings.Split(path, ".") }
