package expr

import (
	"time"

	"github.com/lakeward/lakeward/internal/vector"
)

// choose evaluates if(condition, a, b): b where the condition is false or null (S9).
func (f *Filter) choose(n *Node, c *frame) *vector.Vector {
	cond := f.bits(n.Args[0], c)
	a, b := f.value(n.Args[1], c), f.value(n.Args[2], c)
	out := &vector.Vector{}
	out.Reset(n.Type.kind())
	for i := range c.rows {
		v := b
		if cond.Get(i) {
			v = a
		}
		appendTo(out, n.Type, v, i)
	}
	return out
}

// appendTo copies a value as the type says; integers become doubles and dates their midnight where it asks so.
func appendTo(out *vector.Vector, t Type, v *vector.Vector, i int) {
	switch {
	case v.IsNull(i):
		out.AppendNull()
	case t == String:
		out.AppendString(v.Str(i))
	case t == Double:
		out.AppendFloat(number(v, i))
	case t == Boolean:
		out.AppendBool(v.Bools.Get(i))
	case t == DateTime:
		out.AppendInt(instant(v, i))
	default:
		out.AppendInt(v.Ints[i])
	}
}

// group evaluates regexGroup: the n-th group of the first match, null where there is none.
func (f *Filter) group(n *Node, c *frame) *vector.Vector {
	v := f.value(n.Args[0], c)
	out := &vector.Vector{}
	out.Reset(vector.String)
	for i := range c.rows {
		if v.IsNull(i) {
			out.AppendNull()
			continue
		}
		m := n.Pattern.FindSubmatchIndex(v.Str(i))
		if m == nil || m[2*n.Group] < 0 {
			out.AppendNull()
			continue
		}
		out.AppendString(v.Str(i)[m[2*n.Group]:m[2*n.Group+1]])
	}
	return out
}

// part evaluates getYear, getMonth, getDayOfMonth of a time, in UTC.
func (f *Filter) part(n *Node, c *frame) *vector.Vector {
	v := f.value(n.Args[0], c)
	out := &vector.Vector{}
	out.Reset(vector.Int)
	for i := range c.rows {
		if v.IsNull(i) {
			out.AppendNull()
			continue
		}
		out.AppendInt(partOf(n.Fn, instant(v, i)))
	}
	return out
}

func partOf(fn string, ms int64) int64 {
	t := time.UnixMilli(ms).UTC()
	switch fn {
	case "getYear", "currentYear":
		return int64(t.Year())
	case "getMonth", "currentMonth":
		return int64(t.Month())
	}
	return int64(t.Day())
}

// moment of the evaluation: now, or the day that holds it, before it, behind it.
func (f *Filter) clock(n *Node, rows int) *vector.Vector {
	day := modulo(f.now, dayMillis)
	today := (f.now - day) / dayMillis
	value := map[string]int64{"now": f.now, "today": today, "yesterday": today - 1, "tomorrow": today + 1}[n.Fn]
	if n.Type == Integer {
		value = partOf(n.Fn, f.now)
	}
	return constant(&Node{Op: Literal, Type: n.Type, Value: Value{Int: value}}, rows)
}
