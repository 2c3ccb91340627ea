package warehouse

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/lakeward/lakeward/internal/parquet"
	"github.com/lakeward/lakeward/internal/vector"
)

// eventWindow are the events of some profiles, file after file, while they are brought into order: by column, so that no
// event is touched alone.
type eventWindow struct {
	of    []int32         // which of the profiles has the event
	cols  []vector.Vector // as the reader has them; the number is left out
	runs  []eventRun
	texts []*texts   // of each column
	codes []recoding // of each column, for adopted events

	order []int32 // positions, by profile, time and id
	ends  []int32 // of the events of each profile in order
	ties  []int32 // positions, ascending, of events that only the id can bring into order
	ids   vector.Vector
}

// eventRun are events that stand one behind the other in the window and in a file, or among adopted ones.
type eventRun struct {
	first   int32 // position in the window
	file    *eventCursor
	row     int64 // of the file
	adopted *adopted
}

// Append adds to a list vector of the shape of events a list for each number; they ascend from call to call.
func (e *Events) Append(numbers []uint32, out *vector.Vector) error {
	if len(numbers) == 0 {
		return nil
	}
	w := &e.window
	w.reset(e.columns)
	for _, c := range e.files {
		if err := e.stage(c, numbers); err != nil {
			return err
		}
	}
	for _, owned := range e.adopted {
		for i, number := range numbers {
			if a := owned[number]; a != nil {
				w.adopt(a, int32(i))
			}
		}
	}
	for k, t := range w.texts {
		if t != nil {
			t.end(&w.cols[k])
		}
	}
	if err := e.sort(len(numbers)); err != nil {
		return err
	}
	before := out.Fields[0].Len
	for i, path := range e.paths {
		column := &out.Fields[0]
		for _, at := range path {
			column = &column.Fields[at]
		}
		column.AppendRows(&w.cols[e.places[i]], w.order)
	}
	endObjects(&out.Fields[0], len(w.order))
	for _, end := range w.ends {
		out.Offsets = append(out.Offsets, uint32(before)+uint32(end))
	}
	out.Len += len(numbers)
	return nil
}

// endObjects ends objects and the objects in them, whose fields were appended.
func endObjects(v *vector.Vector, n int) {
	for i := range v.Fields {
		if v.Fields[i].Kind == vector.Struct {
			endObjects(&v.Fields[i], n)
		}
	}
	v.Len += n
}

func (w *eventWindow) reset(columns []parquet.Column) {
	if w.cols == nil {
		w.cols, w.texts, w.codes = make([]vector.Vector, len(columns)), make([]*texts, len(columns)), make([]recoding, len(columns))
	}
	w.of, w.runs, w.ties = w.of[:0], w.runs[:0], w.ties[:0]
	for k := range w.cols {
		w.cols[k].ResetTo(columns[k].Shape())
		if w.cols[k].Kind != vector.String {
			continue
		}
		if w.texts[k] == nil || w.texts[k].dict.Len() > manyTexts {
			w.texts[k] = newTexts()
		}
		w.texts[k].begin(&w.cols[k])
	}
}

// stage takes the events of the profiles out of a file.
func (e *Events) stage(c *eventCursor, numbers []uint32) error {
	last, p := numbers[len(numbers)-1], 0
	for {
		ok, err := c.more()
		if err != nil || !ok {
			return err
		}
		from, found := c.at, c.cols[0].Ints[:len(c.rows)]
		for ; c.at < len(found); c.at++ {
			n := uint32(found[c.at])
			if n > last {
				break
			}
			for numbers[p] < n {
				p++
			}
			if numbers[p] != n { // nobody asks for it
				e.take(c, from)
				from = c.at + 1
				continue
			}
			e.window.of = append(e.window.of, int32(p))
		}
		e.take(c, from)
		if c.at < len(found) {
			return nil
		}
	}
}

// take copies the rows from one up to the current one.
func (e *Events) take(c *eventCursor, from int) {
	if from >= c.at {
		return
	}
	w := &e.window
	w.runs = append(w.runs, eventRun{first: int32(w.cols[1].Len), file: c, row: c.rows[from]})
	if c.recoding == nil {
		c.recoding = make([]recoding, len(w.cols))
	}
	for k := 1; k < len(w.cols); k++ {
		if w.cols[k].Kind == vector.String {
			w.texts[k].add(&w.cols[k], &c.cols[k], from, c.at, &c.recoding[k])
			continue
		}
		w.cols[k].AppendRange(&c.cols[k], from, c.at)
	}
}

// adopt takes the events that a profile carries on.
func (w *eventWindow) adopt(a *adopted, of int32) {
	w.runs = append(w.runs, eventRun{first: int32(w.cols[1].Len), adopted: a})
	for _, at := range a.at {
		w.of = append(w.of, of)
		for k := 1; k < len(w.cols); k++ {
			if w.cols[k].Kind == vector.String {
				w.texts[k].add(&w.cols[k], &a.cols[k], int(at), int(at)+1, &w.codes[k])
				continue
			}
			w.cols[k].AppendFrom(&a.cols[k], int(at))
		}
	}
}

// run is the run of a position.
func (w *eventWindow) run(at int32) *eventRun {
	i, found := slices.BinarySearchFunc(w.runs, at, func(r eventRun, at int32) int { return cmp.Compare(r.first, at) })
	if !found {
		i--
	}
	return &w.runs[i]
}

// sort puts the events into order. Those of a profile in one file are in order already.
func (e *Events) sort(profiles int) error {
	w := &e.window
	w.group(profiles)
	times, from := w.cols[1].Ints, int32(0)
	for _, end := range w.ends {
		events := w.order[from:end]
		sortStable(events, func(x, y int32) int { return cmp.Compare(times[x], times[y]) })
		for i := 1; i < len(events); i++ {
			if times[events[i-1]] == times[events[i]] {
				w.ties = append(w.ties, events[i-1], events[i])
			}
		}
		from = end
	}
	if len(w.ties) == 0 {
		return nil
	}
	slices.Sort(w.ties)
	w.ties = slices.Compact(w.ties)
	if err := e.readIDs(); err != nil {
		return err
	}
	from = 0
	for _, end := range w.ends {
		sortStable(w.order[from:end], func(x, y int32) int {
			if c := cmp.Compare(times[x], times[y]); c != 0 {
				return c
			}
			return bytes.Compare(w.id(x), w.id(y))
		})
		from = end
	}
	return nil
}

// group makes an order by profile, in which those of a profile stay in the order of the files.
func (w *eventWindow) group(profiles int) {
	w.ends = append(w.ends[:0], make([]int32, profiles+1)...)
	for _, p := range w.of {
		w.ends[p+1]++
	}
	for p := range profiles {
		w.ends[p+1] += w.ends[p]
	}
	w.order = slices.Grow(w.order[:0], len(w.of))[:len(w.of)]
	for at, p := range w.of {
		w.order[w.ends[p]] = int32(at)
		w.ends[p]++ // from its first event to its end
	}
	w.ends = w.ends[:profiles]
}

// sortStable sorts what is short, as the events of most profiles are, without more calls than comparisons.
func sortStable(s []int32, compare func(x, y int32) int) {
	if len(s) > 24 {
		slices.SortStableFunc(s, compare)
		return
	}
	for i := 1; i < len(s); i++ {
		for k := i; k > 0 && compare(s[k-1], s[k]) > 0; k-- {
			s[k-1], s[k] = s[k], s[k-1]
		}
	}
}

// id is the id of an event that ties with another one.
func (w *eventWindow) id(at int32) []byte {
	i, _ := slices.BinarySearch(w.ties, at)
	return w.ids.Str(i)
}

// readIDs reads the ids of ties: two events of a profile at the same millisecond are rare, ids the largest column.
func (e *Events) readIDs() error {
	w := &e.window
	w.ids.Reset(vector.String)
	var rows []int64
	found := make([]vector.Vector, 1)
	for i := 0; i < len(w.ties); {
		r, at := w.run(w.ties[i]), w.ties[i]
		switch {
		case r.adopted != nil:
			w.ids.AppendString(r.adopted.id(r.adopted.at[at-r.first]))
			i++
			continue
		case e.id > 0:
			w.ids.AppendString(w.cols[e.id].Str(int(at)))
			i++
			continue
		}
		rows = rows[:0]
		for ; i < len(w.ties); i++ {
			next := w.run(w.ties[i])
			if next.file != r.file {
				break
			}
			rows = append(rows, next.row+int64(w.ties[i]-next.first))
		}
		if err := r.file.idsOf(rows, found); err != nil {
			return err
		}
		for k := range rows {
			w.ids.AppendString(found[0].Str(k))
		}
	}
	return nil
}

// idsOf reads the ids of rows, which ascend from call to call.
func (c *eventCursor) idsOf(rows []int64, out []vector.Vector) (err error) {
	if c.ids == nil {
		c.ids, err = c.table.ReaderOf([]parquet.Column{{Path: eventIDPath, Kind: vector.String}})
	}
	if err == nil {
		err = c.ids.Gather(rows, out)
	}
	if err != nil {
		return sourceError(c.data, err)
	}
	return nil
}
