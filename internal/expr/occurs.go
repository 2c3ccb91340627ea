package expr

import (
	"github.com/lakeward/lakeward/internal/vector"
)

// Direction is the side of a time on which something occurs.
type Direction uint8

// The directions. On is the time itself, Between lies from the first to the second time.
const (
	On Direction = iota
	Before
	After
	From
	Between
)

// When is what `occurs` compares a time with (pql.md 5): a direction from Time, within N units if Distance.
type When struct {
	Direction Direction
	Distance  bool
	Cmp       Cmp
	N         int64
	Unit      Unit
	Time, End Moment // End is the second time of Between
}

// Moment is a time: a calendar period around now, or a value; a date is its whole day.
type Moment struct {
	Period bool
	Which  int64 // -1 last, 0 this, 1 next
	Unit   Unit
	Value  *Node
}

// span is a moment for one row: from start to before end; an instant has no extent.
type span struct {
	start, end int64
	extent     bool
}

// moment evaluates a moment for the rows of a chunk.
func (f *Filter) moment(m Moment, c *frame) func(i int) (span, bool) {
	if m.Period {
		s, e, ok := m.Unit.Period(f.now, m.Which)
		return func(int) (span, bool) { return span{s, e, true}, ok }
	}
	v := f.value(m.Value, c)
	day := v.Kind == vector.Date
	return func(i int) (span, bool) {
		if v.IsNull(i) {
			return span{}, false
		}
		at := instant(v, i)
		if day {
			return span{at, at + dayMillis, true}, true
		}
		return span{at, at, false}, true
	}
}

// occurs evaluates the condition for every row; a null on either side makes it false (S3).
func (f *Filter) occurs(n *Node, c *frame, out vector.Bits) {
	v := f.value(n.Args[0], c)
	first := f.moment(n.When.Time, c)
	last := first
	if n.When.Direction == Between {
		last = f.moment(n.When.End, c)
	}
	for i := range c.rows {
		if v.IsNull(i) {
			continue
		}
		a, ok := first(i)
		b, ok2 := last(i)
		if ok && ok2 && n.When.holds(instant(v, i), a, b) {
			out.Set(i)
		}
	}
}

// holds reports whether a time occurs at the moment a, or between a and b.
func (w *When) holds(t int64, a, b span) bool {
	switch {
	case w.Distance:
		return w.within(t, a)
	case w.Direction == Between:
		return t >= a.start && (b.extent && t < b.end || !b.extent && t <= b.start)
	case w.Direction == Before:
		return t < a.start
	case w.Direction == After && w.Time.Period:
		return t >= a.end
	case w.Direction == After:
		return t > a.start
	case w.Direction == From:
		return t >= a.start
	}
	return t >= a.start && t < a.end || !a.extent && t == a.start
}

// within reports whether a time lies at a distance from the moment.
func (w *When) within(t int64, a span) bool {
	base := a.start
	if w.Direction == After && w.Time.Period {
		base = a.end
	}
	back, okBack := w.Unit.Shift(base, -w.N)
	ahead, okAhead := w.Unit.Shift(base, w.N)
	switch w.Direction {
	case Before:
		return okBack && w.distance(t, back, base, -1)
	case After:
		return okAhead && w.distance(t, base, ahead, 1)
	}
	if !okBack || !okAhead {
		return false
	}
	near := w.distance(t, back, base, -1) || w.distance(t, base, ahead, 1)
	switch w.Cmp {
	case LT, LE:
		return near
	case GT:
		return t < back || t > ahead
	case GE:
		return t <= back || t >= ahead
	case EQ:
		return near
	}
	return w.distance(t, back, base, -1) && w.distance(t, base, ahead, 1) // !=
}

// distance compares with the far end of [lo, hi]: lo for a direction of -1, hi for 1.
func (w *When) distance(t, lo, hi int64, direction int) bool {
	far := hi
	if direction < 0 {
		far = lo
	}
	switch w.Cmp {
	case LE:
		return t >= lo && t <= hi
	case LT:
		return t >= lo && t <= hi && t != far
	case GT:
		return direction < 0 && t < far || direction > 0 && t > far
	case GE:
		return direction < 0 && t <= far || direction > 0 && t >= far
	}
	// The same unit for units below a day, the same day from a day up.
	unit := min(w.Unit, Day)
	start := unit.Floor(far)
	same := t >= start && t < start+unit.fixed()
	return same == (w.Cmp == EQ)
}
