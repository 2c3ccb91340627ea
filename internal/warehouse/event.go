package warehouse

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"path"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/parquet"
	"github.com/lakeward/lakeward/internal/vector"
)

// EventFile is a lakeward.EventFile with its bitmap decoded.
type EventFile struct {
	Table   lakeward.DataFile
	Numbers *roaring.Bitmap // of the profiles that have events in it
}

func (f EventFile) catalogued() (lakeward.EventFile, error) {
	numbers, err := encodeBitmap(f.Numbers)
	return lakeward.EventFile{Table: f.Table, Numbers: numbers}, err
}

const (
	timestampPath = "timestamp"
	eventIDPath   = "_id"
)

// decodeEvents decodes the event files of a snapshot, and who carries on whom.
func (s *Snapshot) decodeEvents(c lakeward.Snapshot) error {
	for _, f := range c.Events {
		numbers, err := decodeBitmap(f.Numbers)
		if err != nil {
			return sourceError(f.Table, err)
		}
		s.Events = append(s.Events, EventFile{Table: f.Table, Numbers: numbers})
	}
	s.eventHeirs = map[uint32]uint32{}
	for _, h := range c.EventHeirs {
		for pairs := h.Pairs; len(pairs) >= 8; pairs = pairs[8:] {
			s.eventHeirs[binary.LittleEndian.Uint32(pairs)] = binary.LittleEndian.Uint32(pairs[4:])
		}
	}
	return nil
}

// eventOwner is the profile that the events of a number belong to.
func (s *Snapshot) eventOwner(number uint32) uint32 {
	for {
		to, ok := s.eventHeirs[number]
		if !ok || to == number {
			return number
		}
		number = to
	}
}

// eventBytes bounds the events of one file, about, in memory.
const eventBytes = 128 << 20

// eventDelta collects events of a batch until they are sorted into one file. Equal to a delta of profiles, it is bounded.
type eventDelta struct{ numbered }

func newEventDelta(leaves []lakeward.Leaf) *eventDelta { return &eventDelta{newNumbered(leaves)} }

// take adds the columns of rows lo to hi-1 of a chunk, whose profiles are in numbers.
func (d *eventDelta) take(c *vector.Chunk, lo, hi int) {
	for k := range d.columns {
		d.columns[k].AppendRange(&c.Columns[k], lo, hi)
	}
}

func (d *eventDelta) full() bool { return len(d.numbers) >= deltaRows || d.size() > eventBytes }

// order sorts the events by profile, time and id; equal ones stay in the order of the batch.
func (d *eventDelta) order() []int32 {
	out := make([]int32, len(d.numbers))
	for i := range out {
		out[i] = int32(i)
	}
	var id *vector.Vector
	at := &vector.Vector{}
	for k, l := range d.leaves {
		switch l.Path {
		case timestampPath:
			at = &d.columns[k]
		case eventIDPath:
			id = &d.columns[k]
		}
	}
	slices.SortStableFunc(out, func(x, y int32) int {
		if c := cmp.Compare(d.numbers[x], d.numbers[y]); c != 0 {
			return c
		}
		if c := cmp.Compare(at.Ints[x], at.Ints[y]); c != 0 {
			return c
		}
		if id == nil || id.Kind != vector.String {
			return 0
		}
		return bytes.Compare(id.Str(int(x)), id.Str(int(y)))
	})
	return out
}

// eventColumns are the columns of an event file: the number of the profile, then the fields of the schema.
func eventColumns(leaves []lakeward.Leaf) []parquet.Column {
	return append([]parquet.Column{{Path: "number", Kind: vector.Int, Int32: true, Required: true}}, parquet.ColumnsOf(leaves)...)
}

// writeEvents writes the events of a delta, sorted, into one file.
func (w *Warehouse) writeEvents(ctx context.Context, sandbox string, d *eventDelta) (EventFile, error) {
	f := EventFile{Numbers: roaring.BitmapOf(d.numbers...)}
	out, err := w.create(path.Join("events", sandbox, lakeward.NewID()+".parquet"), eventColumns(d.leaves))
	if err != nil {
		return f, err
	}
	if err = d.write(ctx, out, d.order()); err == nil {
		f.Table, err = w.finish(out)
	}
	if err != nil {
		w.abandon(out)
	}
	return f, err
}
