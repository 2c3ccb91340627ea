package expr

import "time"

// Unit is a unit of time. Units up to a week have a fixed length; longer ones follow the calendar in UTC.
type Unit uint8

// The units.
const (
	Millisecond Unit = iota
	Second
	Minute
	Hour
	Day
	Week
	Month
	Year
	Decade
	Century
	Millennium
)

// fixed is the length of a unit in milliseconds, 0 for one that follows the calendar.
func (u Unit) fixed() int64 {
	return [...]int64{1, 1000, 60_000, 3_600_000, dayMillis, 7 * dayMillis, 0, 0, 0, 0, 0}[u]
}

// months is the length of a calendar unit in months.
func (u Unit) months() int {
	return [...]int{0, 0, 0, 0, 0, 0, 1, 12, 120, 1200, 12_000}[u]
}

// The times that rules can speak of: the years 1 to 9999.
const (
	firstMilli = -62_135_596_800_000
	lastMilli  = 253_402_300_799_999
)

// Shift moves a time by n units; months and longer keep the day or take the month's last. ok is false
// outside of the years 1 to 9999.
func (u Unit) Shift(ms, n int64) (shifted int64, ok bool) {
	if f := u.fixed(); f > 0 {
		if n > (lastMilli-firstMilli)/f || n < -(lastMilli-firstMilli)/f {
			return 0, false
		}
		ms += n * f
		return ms, ms >= firstMilli && ms <= lastMilli
	}
	if n > 200_000 || n < -200_000 {
		return 0, false
	}
	t := time.UnixMilli(ms).UTC()
	month := int64(t.Year())*12 + int64(t.Month()) - 1 + n*int64(u.months())
	year, of := int(month/12), time.Month(month%12+1)
	if month < 12 || year > 9999 {
		return 0, false
	}
	day := min(t.Day(), time.Date(year, of+1, 0, 0, 0, 0, 0, time.UTC).Day())
	return time.Date(year, of, day, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC).UnixMilli(), true
}

// Floor is the start of the unit that holds a time: weeks begin on Monday, decades and longer at years
// divisible by 10, 100, 1000.
func (u Unit) Floor(ms int64) int64 {
	if f := u.fixed(); f > 0 {
		offset := int64(0)
		if u == Week {
			offset = 3 * dayMillis // 1970-01-01 was a Thursday
		}
		return ms - modulo(ms+offset, f)
	}
	t := time.UnixMilli(ms).UTC()
	year, month := t.Year(), t.Month()
	if u != Month {
		month = time.January
		year -= year % (u.months() / 12)
	}
	return time.Date(year, month, 1, 0, 0, 0, 0, time.UTC).UnixMilli()
}

func modulo(a, b int64) int64 { return ((a % b) + b) % b }

// Period is the unit around a time, the one before for -1, the one after for 1: from start to before end.
func (u Unit) Period(now int64, which int64) (start, end int64, ok bool) {
	start, ok = u.Shift(u.Floor(now), which)
	if !ok {
		return 0, 0, false
	}
	end, ok = u.Shift(start, 1)
	return start, end, ok
}
