package decode

import "time"

// parseDay reads a day as YYYY-MM-DD, as days since 1970.
func parseDay(s string) (day int64, ok bool) {
	if day, ok = civil(s); ok {
		return day, len(s) == len(time.DateOnly)
	}
	return 0, false
}

// parseTime reads a time by RFC 3339, as milliseconds since 1970. The form that nearly all are written in costs a
// fraction of what the standard library takes, which reads the others.
func parseTime(s string) (ms int64, ok bool) {
	const seconds, millis = len("2006-01-02T15:04:05Z"), len("2006-01-02T15:04:05.000Z")
	if (len(s) == seconds || len(s) == millis) && s[len(s)-1] == 'Z' && s[10] == 'T' && s[13] == ':' && s[16] == ':' {
		day, ok := civil(s)
		hour, minute, second, milli := digits(s[11:13]), digits(s[14:16]), digits(s[17:19]), int64(0)
		if len(s) == millis {
			milli = digits(s[20:23])
			ok = ok && s[19] == '.'
		}
		if ok && hour|minute|second|milli >= 0 && hour < 24 && minute < 60 && second < 60 {
			return ((day*24+hour)*60+minute)*60_000 + second*1000 + milli, true
		}
	}
	t, err := time.Parse(time.RFC3339Nano, s)
	return t.UnixMilli(), err == nil
}

// digits is the number that digits stand for, -1 if one of them is none.
func digits(s string) (n int64) {
	for i := range len(s) {
		c := s[i] - '0'
		if c > 9 {
			return -1
		}
		n = n*10 + int64(c)
	}
	return n
}

// civil is the day that a text begins with, in days since 1970. Years are counted from March, so that the leap day is
// the last of its year.
func civil(s string) (day int64, ok bool) {
	if len(s) < len(time.DateOnly) || s[4] != '-' || s[7] != '-' {
		return 0, false
	}
	year, month, date := digits(s[:4]), digits(s[5:7]), digits(s[8:10])
	if year < 0 || month < 1 || month > 12 || date < 1 || date > daysOf(year, month) {
		return 0, false
	}
	const daysTo1970 = 719_468 // from the first of March in the year 0
	if month -= 3; month < 0 {
		month, year = month+12, year-1
	}
	year += 400 // so that nothing is negative; the calendar repeats
	return 365*year + year/4 - year/100 + year/400 + (153*month+2)/5 + date - 1 - daysTo1970 - 146_097, true
}

func daysOf(year, month int64) int64 {
	switch {
	case month == 2 && year%4 == 0 && (year%100 != 0 || year%400 == 0):
		return 29
	case month == 2:
		return 28
	case month == 4 || month == 6 || month == 9 || month == 11:
		return 30
	}
	return 31
}
