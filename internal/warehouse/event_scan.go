package warehouse

import (
	"bytes"
	"cmp"
	"runtime"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/parquet"
	"github.com/lakeward/lakeward/internal/together"
	"github.com/lakeward/lakeward/internal/vector"
)

// Events hands out the events of profiles, in the order of their numbers, then by timestamp and _id.
type Events struct {
	files []*eventCursor
	item  vector.Shape

	columns []parquet.Column // that are read: number, timestamp, then the leaves
	paths   [][]int          // of each leaf: the fields of the item down to its column
	places  []int            // of each leaf: its column
	id      int              // the column of _id; 0 if no leaf is it
	adopted []adoptedEvents  // of retired profiles
	window  eventWindow
}

// eventCursor reads an event file front to back.
type eventCursor struct {
	fileCursor
	ids      *parquet.Reader // of _id alone, once it is needed
	recoding []recoding      // of the texts of each column
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
	if err := e.adopt(s); err != nil {
		e.Close()
		return nil, err
	}
	return e, nil
}

// From is another reader of the same files, which begins at a number. It is closed before the reader that it comes from,
// and may be used at the same time.
func (e *Events) From(number uint32) (*Events, error) {
	out := &Events{item: e.item, columns: e.columns, paths: e.paths, places: e.places, id: e.id, adopted: e.adopted}
	for _, c := range e.files {
		own := &eventCursor{}
		if err := own.from(&c.fileCursor, e.columns, number); err != nil {
			out.Close()
			return nil, err
		}
		out.files = append(out.files, own)
	}
	return out, nil
}

// adoptedEvents are those of retired profiles of one file, by heir.
type adoptedEvents map[uint32]*adopted

// adopted are the events of the retired profiles of one heir in one file.
type adopted struct {
	cols []vector.Vector // those that are read, then _id
	at   []int32         // positions in cols, by time and id
}

// adopt reads the events of retired profiles, which count as those of their heirs. They stand in the files under their
// old numbers until the files are merged.
func (e *Events) adopt(s *Snapshot) error {
	retired := roaring.New()
	for from := range s.eventHeirs {
		retired.Add(from)
	}
	columns := append(slices.Clip(e.columns), parquet.Column{Path: eventIDPath, Kind: vector.String})
	for i, f := range s.Events {
		old := roaring.And(retired, f.Numbers)
		if old.IsEmpty() {
			continue
		}
		c := &eventCursor{}
		if err := c.begin(e.files[i].table, f.Table, columns); err != nil {
			return err
		}
		owned, err := c.collect(s, old)
		if cerr := c.reader.Close(); err == nil {
			err = cerr
		}
		if err != nil {
			return err
		}
		e.adopted = append(e.adopted, owned)
	}
	return nil
}

// collect keeps the events of retired profiles of a file.
func (c *eventCursor) collect(s *Snapshot, old *roaring.Bitmap) (adoptedEvents, error) {
	owned := adoptedEvents{}
	for {
		ok, err := c.more()
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		number := uint32(c.cols[0].Ints[c.at])
		if old.Contains(number) {
			owner := s.eventOwner(number)
			a := owned[owner]
			if a == nil {
				a = &adopted{cols: make([]vector.Vector, len(c.cols))}
				for i := range a.cols {
					a.cols[i].ResetTo(c.cols[i].Shape())
				}
				owned[owner] = a
			}
			for i := range a.cols {
				a.cols[i].AppendFrom(&c.cols[i], c.at)
			}
			a.at = append(a.at, int32(len(a.at)))
		}
		c.at++
	}
	for _, a := range owned {
		slices.SortStableFunc(a.at, func(x, y int32) int {
			return cmp.Or(cmp.Compare(a.cols[1].Ints[x], a.cols[1].Ints[y]), bytes.Compare(a.id(x), a.id(y)))
		})
	}
	return owned, nil
}

func (a *adopted) id(at int32) []byte { return a.cols[len(a.cols)-1].Str(int(at)) }

// scanEventFiles reads some files; names says where the field at a path stands in an event.
func (w *Warehouse) scanEventFiles(files []EventFile, leaves []lakeward.Leaf, names func(path string) []string) (*Events, error) {
	e := &Events{item: vector.Shape{Kind: vector.Struct}}
	e.columns = []parquet.Column{{Path: "number", Kind: vector.Int}, {Path: timestampPath, Kind: vector.Time}}
	for i, column := range parquet.ColumnsOf(leaves) {
		l, place := leaves[i], 1
		if l.Path != timestampPath {
			place = len(e.columns)
			e.columns = append(e.columns, column)
		}
		if l.Path == eventIDPath {
			e.id = place
		}
		e.places = append(e.places, place)
		e.paths = append(e.paths, placeField(&e.item, names(l.Path), vector.ShapeOf(l)))
	}
	e.files = make([]*eventCursor, len(files))
	err := together.Each(len(files), func(i int) error { // the first time somebody opens a file all of it is read
		c := &eventCursor{}
		e.files[i] = c
		return c.open(w, files[i].Table, e.columns)
	})
	if err != nil {
		e.Close()
		return nil, err
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
		if c == nil {
			continue // never opened, after an error
		}
		if c.ids != nil {
			_ = c.ids.Close()
		}
		c.close()
	}
}
