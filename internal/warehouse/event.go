package warehouse

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"path"
	"runtime"
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

// Events hands out the events of profiles, in the order of their numbers, then by timestamp and _id.
type Events struct {
	files []*eventCursor
	item  vector.Shape
	paths [][]int // of each leaf: the fields of the item down to its column

	columns []parquet.Column // that are read: number, timestamp, _id, then the leaves
	adopted []*eventCursor   // of retired profiles, by heir
	holders []*eventCursor   // of the events of the current profile
}

// eventCursor reads an event file front to back.
type eventCursor struct {
	table  *table
	reader *parquet.Reader
	data   lakeward.DataFile
	cols   []vector.Vector // number, timestamp, _id, then the leaves
	rows   []int64
	start  int64
	at     int
	owned  map[uint32]*adopted // events of retired profiles
	order  []int               // of a cursor over events in memory: positions in cols
}

// ScanEvents starts reading events with the given fields. The caller closes it.
func (w *Warehouse) ScanEvents(s *Snapshot, leaves []lakeward.Leaf) (*Events, error) {
	defer runtime.KeepAlive(s)
	if err := s.checkProfiles(); err != nil {
		return nil, err
	}
	e, err := w.scanEventFiles(s.Events, leaves, fieldNames)
	if err != nil {
		return nil, err
	}
	return e, e.adopt(s)
}

// adopt reads the events of retired profiles, which count as those of their heirs. They stand in the files under their
// old numbers until the files are merged.
func (e *Events) adopt(s *Snapshot) error {
	retired := roaring.New()
	for from := range s.eventHeirs {
		retired.Add(from)
	}
	for i, f := range s.Events {
		old := roaring.And(retired, f.Numbers)
		if old.IsEmpty() {
			continue
		}
		c := &eventCursor{data: f.Table, cols: make([]vector.Vector, len(e.columns)), owned: map[uint32]*adopted{}}
		reader, err := e.files[i].table.ReaderOf(e.columns)
		if err != nil {
			return sourceError(f.Table, err)
		}
		c.reader = reader
		err = e.collect(s, c, old)
		if cerr := reader.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return err
		}
		e.adopted = append(e.adopted, c)
	}
	return nil
}

// adopted are the events of the retired profiles of one heir in one file.
type adopted struct {
	cols []vector.Vector
	at   []int // positions in cols, by time and id
}

// collect keeps the events of retired profiles of a file.
func (e *Events) collect(s *Snapshot, c *eventCursor, old *roaring.Bitmap) error {
	for {
		ok, err := c.more()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		number := uint32(c.cols[0].Ints[c.at])
		if old.Contains(number) {
			owner := s.eventOwner(number)
			a := c.owned[owner]
			if a == nil {
				a = &adopted{cols: make([]vector.Vector, len(c.cols))}
				for i := range a.cols {
					a.cols[i].ResetTo(c.cols[i].Shape())
				}
				c.owned[owner] = a
			}
			for i := range a.cols {
				a.cols[i].AppendFrom(&c.cols[i], c.at)
			}
			a.at = append(a.at, len(a.at))
		}
		c.at++
	}
	for _, a := range c.owned {
		slices.SortStableFunc(a.at, func(x, y int) int {
			return cmp.Or(cmp.Compare(a.cols[1].Ints[x], a.cols[1].Ints[y]), bytes.Compare(a.cols[2].Str(x), a.cols[2].Str(y)))
		})
	}
	return nil
}

// scanEventFiles reads some files; names says where the field at a path stands in an event.
func (w *Warehouse) scanEventFiles(files []EventFile, leaves []lakeward.Leaf, names func(path string) []string) (*Events, error) {
	e := &Events{item: vector.Shape{Kind: vector.Struct}}
	for _, l := range leaves {
		e.paths = append(e.paths, placeField(&e.item, names(l.Path), vector.ShapeOf(l)))
	}
	columns := append([]parquet.Column{{Path: "number", Kind: vector.Int}, {Path: timestampPath, Kind: vector.Time}, {Path: eventIDPath, Kind: vector.String}}, parquet.ColumnsOf(leaves)...)
	e.columns = columns
	for _, f := range files {
		t, err := w.open(f.Table)
		if err != nil {
			e.Close()
			return nil, err
		}
		c := &eventCursor{table: t, data: f.Table, cols: make([]vector.Vector, len(columns))}
		e.files = append(e.files, c)
		if c.reader, err = t.ReaderOf(columns); err != nil {
			e.Close()
			return nil, sourceError(f.Table, err)
		}
	}
	return e, nil
}

// placeField adds a field at a path to an object and returns the indexes that lead to it.
func placeField(object *vector.Shape, names []string, shape vector.Shape) []int {
	at := slices.Index(object.Names, names[0])
	if at < 0 {
		at = len(object.Names)
		below := shape
		if len(names) > 1 {
			below = vector.Shape{Kind: vector.Struct}
		}
		object.Names, object.Fields = append(object.Names, names[0]), append(object.Fields, below)
	}
	if len(names) == 1 {
		return []int{at}
	}
	return append([]int{at}, placeField(&object.Fields[at], names[1:], shape)...)
}

// Shape is the shape of the lists of events.
func (e *Events) Shape() vector.Shape {
	return vector.Shape{Kind: vector.List, Fields: []vector.Shape{e.item}}
}

// Close releases the files.
func (e *Events) Close() {
	for _, c := range e.files {
		if c.reader != nil {
			_ = c.reader.Close()
		}
		_ = c.table.Close()
	}
}

// Append adds to a list vector of the shape of events a list for each number; they ascend from call to call.
func (e *Events) Append(numbers []uint32, out *vector.Vector) error {
	for _, number := range numbers {
		if err := e.appendProfile(number, out); err != nil {
			return err
		}
	}
	return nil
}

// appendProfile merges the events of a profile, which are sorted in each file.
func (e *Events) appendProfile(number uint32, out *vector.Vector) error {
	e.holders = e.holders[:0]
	for _, c := range e.files {
		ok, err := c.toProfile(number)
		if err != nil {
			return err
		}
		if ok {
			e.holders = append(e.holders, c)
		}
	}
	for _, c := range e.adopted {
		if a := c.owned[number]; a != nil {
			e.holders = append(e.holders, a.cursor())
		}
	}
	for len(e.holders) > 0 {
		first := 0
		for i := 1; i < len(e.holders); i++ {
			if e.holders[i].before(e.holders[first]) {
				first = i
			}
		}
		c := e.holders[first]
		e.appendEvent(c, c.row(), &out.Fields[0])
		c.at++
		ok, err := c.toProfile(number)
		if err != nil {
			return err
		}
		if !ok {
			e.holders = slices.Delete(e.holders, first, first+1)
		}
	}
	out.AppendItems()
	return nil
}

// cursor reads adopted events, which are in memory.
func (a *adopted) cursor() *eventCursor { return &eventCursor{cols: a.cols, order: a.at} }

// row is the position of the next event in the columns.
func (c *eventCursor) row() int {
	if c.order != nil {
		return c.order[c.at]
	}
	return c.at
}

// toProfile skips the events of profiles before a number; ok says that the next one is its.
func (c *eventCursor) toProfile(number uint32) (ok bool, err error) {
	if c.order != nil {
		return c.at < len(c.order), nil
	}
	for {
		ok, err := c.more()
		if err != nil || !ok {
			return false, err
		}
		if n := uint32(c.cols[0].Ints[c.at]); n >= number {
			return n == number, nil
		}
		c.at++
	}
}

// before reports whether the next event comes before that of another file.
func (c *eventCursor) before(o *eventCursor) bool {
	if d := cmp.Compare(c.cols[1].Ints[c.row()], o.cols[1].Ints[o.row()]); d != 0 {
		return d < 0
	}
	return bytes.Compare(c.cols[2].Str(c.row()), o.cols[2].Str(o.row())) < 0
}

func (e *Events) appendEvent(c *eventCursor, row int, out *vector.Vector) {
	for k, path := range e.paths {
		column := out
		for _, i := range path {
			column = &column.Fields[i]
		}
		column.AppendFrom(&c.cols[k+3], row)
	}
	endObject(out)
}

// endObject ends an object and the objects in it, whose fields were appended.
func endObject(v *vector.Vector) {
	for i := range v.Fields {
		if v.Fields[i].Kind == vector.Struct {
			endObject(&v.Fields[i])
		}
	}
	v.AppendItems()
}

// more makes sure that there is a current row; false at the end of the file.
func (c *eventCursor) more() (bool, error) {
	if c.at < len(c.rows) {
		return true, nil
	}
	c.start += int64(len(c.rows))
	c.rows, c.at = c.rows[:0], 0
	for row := c.start; row < c.data.Rows && len(c.rows) < vector.MaxRows; row++ {
		c.rows = append(c.rows, row)
	}
	if len(c.rows) == 0 {
		return false, nil
	}
	if err := c.reader.Gather(c.rows, c.cols); err != nil {
		return false, sourceError(c.data, err)
	}
	return true, nil
}
