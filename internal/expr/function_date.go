package expr

import (
	"strconv"
	"strings"
	"time"

	"github.com/lakeward/lakeward"
)

// dateFunctions work on dates and date-times, which are in UTC. Formats are those of the reference, as literals.
func dateFunctions() []Function {
	text, at := gives(String), gives(DateTime)
	return []Function{
		{Name: "now", Args: "", build: func([]*Node) (*Node, error) { return &Node{Op: Clock, Fn: "now", Type: DateTime}, nil }},
		{Name: "timestamp", Args: "", gives: gives(Integer), eval: func(c *cells) { c.setInt(c.f.now) }},
		{Name: "format", Args: "dl", gives: text, prepare: formatAt(1), eval: func(c *cells) { c.setText(c.n.layout.format(timeOf(c.millis(0)))) }},
		{Name: "dformat", Args: "xl", gives: text, prepare: millisFormat, eval: dformat},
		{Name: "date", Args: "x?ld", gives: at, prepare: dateFormat, nulls: true, eval: date},
		{Name: "date_part", Args: "ld", gives: gives(Integer), prepare: component, eval: func(c *cells) { c.setInt(partsOf(timeOf(c.millis(1)), c.n.Fn)) }},
		{Name: "set_date_part", Args: "lid", gives: at, prepare: component, eval: setPart},
		{Name: "make_date_time", Args: "iiiiiiil", gives: at, prepare: zoneAt(7), eval: makeDateTime},
		{Name: "uuid", Args: "", gives: text, eval: uuid},
	}
}

// zoneFunctions move times between zones.
func zoneFunctions() []Function {
	return []Function{
		{Name: "zone_date_to_utc", Args: "x", gives: gives(DateTime), prepare: textOrDate, eval: toUTC},
		{Name: "zone_date_to_zone", Args: "dl", gives: gives(DateTime), prepare: zoneAt(1), eval: func(c *cells) {
			_, offset := timeOf(c.millis(0)).In(c.n.zone).Zone()
			c.setInt(c.millis(0) + int64(offset)*1000)
		}},
	}
}

// uuid is derived from run, profile, column and place in the expression, so that a retry writes the same.
func uuid(c *cells) {
	c.setText([]byte(lakeward.DerivedID("uuid", c.f.run, c.n.Value.Str, strconv.Itoa(int(c.number)), strconv.FormatInt(c.n.Value.Int, 10))))
}

func timeOf(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// inCalendar are the times that have four digits for the year.
func inCalendar(t time.Time) bool { return t.Year() >= 1 && t.Year() <= 9999 }

func (c *cells) setTime(t time.Time) {
	if !inCalendar(t) {
		c.fail()
		return
	}
	c.setInt(t.UnixMilli())
}

func formatAt(k int) func(*Node) error {
	return func(n *Node) (err error) {
		if n.layout, err = parseLayout(literalAt(n, k, "")); err != nil {
			return badArgument(k, "%s", err)
		}
		return nil
	}
}

func millisFormat(n *Node) error {
	if t := n.Args[0].Type; t != Integer && !t.Temporal() && n.Args[0].Op != Null {
		return badArgument(0, "dformat needs milliseconds since 1970 or a date-time, not %s", t)
	}
	return formatAt(1)(n)
}

func dformat(c *cells) {
	ms := c.millis(0)
	if t := timeOf(ms); inCalendar(t) {
		c.setText(c.n.layout.format(t))
		return
	}
	c.fail()
}

func textOrDate(n *Node) error {
	if t := n.Args[0].Type; t == String || t.Temporal() || n.Args[0].Op == Null {
		return nil
	}
	return badArgument(0, "%s needs a text or a date-time, not %s", n.Func.Name, n.Args[0].Type)
}

func dateFormat(n *Node) error {
	if err := textOrDate(n); err != nil || len(n.Args) < 2 {
		return err
	}
	return formatAt(1)(n)
}

// date reads a text by a format, or in the usual forms of ISO 8601; what cannot be read is the default, if there is one.
func date(c *cells) {
	if !c.has(0) {
		c.null()
		return
	}
	if c.n.Args[0].Type != String {
		c.setInt(c.millis(0))
		return
	}
	t, ok := parseISO(string(c.text(0)))
	if len(c.args) > 1 {
		t, ok = c.n.layout.parse(string(c.text(0)))
	}
	switch {
	case ok && inCalendar(t):
		c.setInt(t.UnixMilli())
	case len(c.args) < 3:
		c.fail()
	case !c.has(2):
		c.null()
	default:
		c.setInt(c.millis(2))
	}
}

// parseISO reads a day or a day and a time, with a zone or in UTC.
func parseISO(s string) (time.Time, bool) {
	s = strings.TrimSpace(s)
	for _, form := range []string{"2006-01-02", "2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04", "2006-01-02T15:04Z07:00"} {
		for _, between := range []string{"T", " "} {
			if t, err := time.Parse(strings.Replace(form, "T", between, 1), s); err == nil {
				return t.UTC(), true
			}
		}
	}
	return time.Time{}, false
}

// component finds which part of a date the first argument names.
func component(n *Node) error {
	name := literalAt(n, 0, "")
	words := map[string]string{"yyyy": "year", "yy": "year", "year": "year", "qq": "quarter", "q": "quarter", "mm": "month", "m": "month", "dy": "dayofyear", "y": "dayofyear", "dd": "day", "d": "day",
		"ww": "week", "wk": "week", "dw": "weekday", "w": "weekday", "hh": "hour", "hh24": "hour", "hh12": "hour12", "mi": "minute", "n": "minute", "ss": "second", "s": "second"}
	n.Fn = words[strings.ToLower(name)]
	if name == "S" || name == "SSS" {
		n.Fn = "millisecond"
	}
	if n.Fn == "" {
		return badArgument(0, "a part of a date is one of yyyy, qq, mm, dy, dd, ww, dw, hh, hh12, mi, ss and SSS")
	}
	return nil
}

// partsOf is a part of a time; weeks are those of ISO 8601, whose first day is Monday.
func partsOf(t time.Time, part string) int64 {
	n := 0
	switch part {
	case "year":
		n = t.Year()
	case "quarter":
		n = (int(t.Month()) + 2) / 3
	case "month":
		n = int(t.Month())
	case "dayofyear":
		n = t.YearDay()
	case "day":
		n = t.Day()
	case "week":
		_, n = t.ISOWeek()
	case "weekday":
		n = (int(t.Weekday())+6)%7 + 1
	case "hour":
		n = t.Hour()
	case "hour12":
		n = (t.Hour()+11)%12 + 1
	case "minute":
		n = t.Minute()
	case "second":
		n = t.Second()
	case "millisecond":
		n = t.Nanosecond() / 1e6
	}
	return int64(n)
}

// setPart replaces a part of a time and drops its milliseconds, as the reference does, unless they are the part. A day that
// the new month does not have is its last.
func setPart(c *cells) {
	t, n := timeOf(c.millis(2)), c.whole(1)
	if n < -1e6 || n > 1e6 {
		c.fail()
		return
	}
	y, m, d := t.Date()
	h, mi, s := t.Clock()
	ms := 0
	v := int(n)
	ok := true
	switch c.n.Fn {
	case "year":
		y = v
	case "month":
		m, ok = time.Month(v), v >= 1 && v <= 12
	case "day":
		d, ok = v, v >= 1 && v <= daysIn(y, m)
	case "hour":
		h, ok = v, v >= 0 && v <= 23
	case "minute":
		mi, ok = v, v >= 0 && v <= 59
	case "second":
		s, ok = v, v >= 0 && v <= 59
	case "millisecond":
		ms, ok = v, v >= 0 && v <= 999
	case "dayofyear":
		m, d, ok = 1, v, v >= 1 && v <= time.Date(y, 12, 31, 0, 0, 0, 0, time.UTC).YearDay()
	default:
		ok = false
	}
	if !ok {
		c.fail()
		return
	}
	if c.n.Fn != "dayofyear" {
		d = min(d, daysIn(y, m))
	}
	c.setTime(time.Date(y, m, d, h, mi, s, ms*1e6, time.UTC))
}

func daysIn(y int, m time.Month) int { return time.Date(y, m+1, 0, 0, 0, 0, 0, time.UTC).Day() }

// makeDateTime takes year, month, day, hour, minute, second, nanosecond and a zone.
func makeDateTime(c *cells) {
	var p [7]int
	low, high := [7]int64{1, 1, 1, 0, 0, 0, 0}, [7]int64{9999, 12, 31, 23, 59, 59, 999_999_999}
	for k := range p {
		n := c.whole(k)
		if n < low[k] || n > high[k] {
			c.fail()
			return
		}
		p[k] = int(n)
	}
	if p[2] > daysIn(p[0], time.Month(p[1])) {
		c.fail()
		return
	}
	c.setTime(time.Date(p[0], time.Month(p[1]), p[2], p[3], p[4], p[5], p[6], c.n.zone))
}

// zoneAt loads the zone that an argument names.
func zoneAt(k int) func(*Node) error {
	return func(n *Node) error {
		z, ok := findZone(literalAt(n, k, ""))
		if !ok {
			return badArgument(k, "there is no such time zone; zones have names such as Europe/Paris or UTC, or are an offset such as +02:00")
		}
		n.zone = z
		return nil
	}
}

// toUTC reads a text with a zone at its end.
func toUTC(c *cells) {
	if c.n.Args[0].Type != String {
		c.setInt(c.millis(0))
		return
	}
	t, ok := parseZoned(strings.TrimSpace(string(c.text(0))))
	if !ok {
		c.fail()
		return
	}
	c.setTime(t)
}
