package expr

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones of calculated fields do not depend on the machine
	"unicode/utf8"
)

// layout is a format of dates: letters that stand for parts, and texts between them.
type layout []layoutPart

type layoutPart struct {
	letter byte // 0 for a text
	width  int
	text   string
}

const maxLayout = 128 // bytes

// parseLayout reads a format: runs of the letters y M d D H h K k m s S a E X x Z, texts in single quotes, and signs as they are.
func parseLayout(s string) (layout, error) {
	if s == "" || len(s) > maxLayout {
		return nil, fmt.Errorf("a date format has 1 to %d characters", maxLayout)
	}
	var out layout
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '\'':
			text, n, ok := quotedPart(s[i:])
			if !ok {
				return nil, fmt.Errorf("a quote in the date format is not closed")
			}
			out = append(out, layoutPart{text: text})
			i += n
		case c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z':
			n := 1
			for i+n < len(s) && s[i+n] == c {
				n++
			}
			p := layoutPart{letter: c, width: n}
			if !p.known() {
				return nil, fmt.Errorf("%q is no part of a date format; use yyyy, MM, dd, HH, hh, mm, ss, SSS, a, EEE, X, and texts in single quotes", s[i:i+n])
			}
			out = append(out, p)
			i += n
		default:
			_, n := utf8.DecodeRuneInString(s[i:])
			out = append(out, layoutPart{text: s[i : i+n]})
			i += n
		}
	}
	return out, nil
}

// quotedPart reads a text in single quotes; two of them are one.
func quotedPart(s string) (text string, n int, ok bool) {
	if strings.HasPrefix(s, "''") {
		return "'", 2, true
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != '\'' {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == '\'' {
			b.WriteByte('\'')
			i++
			continue
		}
		return b.String(), i + 1, true
	}
	return "", 0, false
}

func (p layoutPart) known() bool {
	most := map[byte]int{'y': 4, 'u': 4, 'Y': 4, 'M': 4, 'L': 4, 'd': 2, 'D': 3, 'H': 2, 'k': 2, 'K': 2, 'h': 2, 'm': 2, 's': 2, 'S': 9, 'a': 1, 'E': 4, 'X': 3, 'x': 3, 'Z': 3, 'z': 3}
	return p.width <= most[p.letter] && !(p.letter == 'Y' && p.width == 3)
}

// format writes a time in UTC.
func (l layout) format(t time.Time) []byte {
	var b []byte
	for _, p := range l {
		if p.letter == 0 {
			b = append(b, p.text...)
			continue
		}
		b = p.append(b, t)
	}
	return b
}

func (p layoutPart) append(b []byte, t time.Time) []byte {
	switch p.letter {
	case 'y', 'u', 'Y':
		if p.width == 2 {
			return appendDigits(b, t.Year()%100, 2)
		}
		return appendDigits(b, t.Year(), p.width)
	case 'M', 'L':
		switch p.width {
		case 3:
			return append(b, t.Month().String()[:3]...)
		case 4:
			return append(b, t.Month().String()...)
		}
		return appendDigits(b, int(t.Month()), p.width)
	case 'E':
		if p.width == 4 {
			return append(b, t.Weekday().String()...)
		}
		return append(b, t.Weekday().String()[:3]...)
	case 'a':
		return t.AppendFormat(b, "PM")
	case 'X':
		return append(b, 'Z')
	case 'x', 'Z':
		if p.width == 3 && p.letter == 'x' {
			return append(b, "+00:00"...)
		}
		if p.width == 1 && p.letter == 'x' {
			return append(b, "+00"...)
		}
		return append(b, "+0000"...)
	case 'z':
		return append(b, "UTC"...)
	case 'S':
		digits := fmt.Sprintf("%09d", t.Nanosecond())
		return append(b, digits[:p.width]...)
	}
	return appendDigits(b, p.value(t), p.width)
}

// value is the number that a letter stands for.
func (p layoutPart) value(t time.Time) int {
	switch p.letter {
	case 'd':
		return t.Day()
	case 'D':
		return t.YearDay()
	case 'H':
		return t.Hour()
	case 'k':
		return (t.Hour()+23)%24 + 1
	case 'K':
		return t.Hour() % 12
	case 'h':
		return (t.Hour()+11)%12 + 1
	case 'm':
		return t.Minute()
	}
	return t.Second()
}

func appendDigits(b []byte, n, width int) []byte {
	digits := strconv.Itoa(n)
	for len(digits) < width {
		digits = "0" + digits
	}
	return append(b, digits...)
}

// reading is what was read of a time so far.
type reading struct {
	year, month, day, yearDay   int
	hour, minute, second, nanos int
	half                        bool // of the day: an hour of 12
	afternoon                   bool
	offset                      int // seconds
	rest                        string
}

// parse reads a text in which everything that the format asks for stands, and nothing else.
func (l layout) parse(s string) (time.Time, bool) {
	r := reading{year: 1970, month: 1, day: 1, rest: s}
	for i, p := range l {
		adjacent := i+1 < len(l) && l[i+1].letter != 0
		if !r.take(p, adjacent) {
			return time.Time{}, false
		}
	}
	return r.time()
}

func (r *reading) time() (time.Time, bool) {
	if r.rest != "" || r.month < 1 || r.month > 12 || r.day < 1 || r.day > daysIn(r.year, time.Month(r.month)) || r.hour > 23 || r.minute > 59 || r.second > 59 {
		return time.Time{}, false
	}
	hour := r.hour
	if r.half {
		if r.hour > 12 {
			return time.Time{}, false
		}
		hour = r.hour % 12
		if r.afternoon {
			hour += 12
		}
	}
	month, day := r.month, r.day
	if r.yearDay > 0 {
		month, day = 1, r.yearDay
		if r.yearDay == 366 && daysIn(r.year, time.February) == 28 {
			return time.Time{}, false
		}
	}
	return time.Date(r.year, time.Month(month), day, hour, r.minute, r.second, r.nanos, time.UTC).Add(-time.Duration(r.offset) * time.Second), true
}

// take reads one part. Numbers have the digits of their width where another number follows at once, else as many as there are.
func (r *reading) take(p layoutPart, adjacent bool) bool {
	switch p.letter {
	case 0:
		var ok bool
		r.rest, ok = strings.CutPrefix(r.rest, p.text)
		return ok
	case 'a':
		return r.word([]string{"AM", "PM"}, func(i int) { r.half, r.afternoon = true, i == 1 })
	case 'E':
		return r.word(weekdays(p.width == 4), func(int) {})
	case 'X', 'x', 'Z', 'z':
		return r.zone()
	case 'M', 'L':
		if p.width >= 3 {
			return r.word(months(p.width == 4), func(i int) { r.month = i + 1 })
		}
	case 'S':
		return r.fraction(p.width)
	}
	most := map[bool]int{true: p.width, false: 9}[adjacent]
	if p.letter == 'y' && p.width == 2 {
		most = 2
	}
	n, digits := r.digits(most)
	if digits == 0 || digits < p.width && p.width > 1 {
		return false
	}
	return r.set(p, n)
}

func (r *reading) set(p layoutPart, n int) bool {
	switch p.letter {
	case 'y', 'u', 'Y':
		if p.width == 2 {
			n += 2000
		}
		r.year = n
		return n >= 1 && n <= 9999
	case 'M', 'L':
		r.month = n
	case 'd':
		r.day = n
	case 'D':
		r.yearDay = n
		return n >= 1 && n <= 366
	case 'H':
		r.hour = n
	case 'k':
		r.hour = n % 24
		return n <= 24
	case 'h', 'K':
		r.hour, r.half = n, true
	case 'm':
		r.minute = n
	case 's':
		r.second = n
	}
	return true
}

func (r *reading) digits(most int) (n, count int) {
	for count < most && count < len(r.rest) && r.rest[count] >= '0' && r.rest[count] <= '9' {
		n = 10*n + int(r.rest[count]-'0')
		count++
	}
	r.rest = r.rest[count:]
	return n, count
}

func (r *reading) fraction(width int) bool {
	n, count := r.digits(width)
	for i := count; i < 9; i++ {
		n *= 10
	}
	r.nanos = n
	return count == width
}

func (r *reading) word(words []string, found func(i int)) bool {
	for i, w := range words {
		if len(r.rest) >= len(w) && strings.EqualFold(r.rest[:len(w)], w) {
			r.rest = r.rest[len(w):]
			found(i)
			return true
		}
	}
	return false
}

func months(long bool) (out []string) {
	for m := time.January; m <= time.December; m++ {
		out = append(out, name(m.String(), long))
	}
	return out
}

func weekdays(long bool) (out []string) {
	for d := time.Sunday; d <= time.Saturday; d++ {
		out = append(out, name(d.String(), long))
	}
	return out
}

func name(s string, long bool) string {
	if long {
		return s
	}
	return s[:3]
}

// zone reads Z, UTC, GMT or an offset.
func (r *reading) zone() bool {
	for _, w := range []string{"Z", "UTC", "GMT"} {
		if rest, ok := strings.CutPrefix(r.rest, w); ok {
			r.rest = rest
			return true
		}
	}
	n := 1
	for n < len(r.rest) && n < 6 && strings.IndexByte("0123456789:", r.rest[n]) >= 0 {
		n++
	}
	if r.rest == "" {
		return false
	}
	z, ok := parseOffset(r.rest[:min(n, len(r.rest))])
	r.rest, r.offset = r.rest[min(n, len(r.rest)):], z
	return ok
}

// parseOffset reads +02, +0200 or +02:00 as seconds.
func parseOffset(s string) (int, bool) {
	if len(s) < 3 || s[0] != '+' && s[0] != '-' {
		return 0, false
	}
	digits := strings.Replace(s[1:], ":", "", 1)
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || len(digits) != 2 && len(digits) != 4 {
		return 0, false
	}
	if len(digits) == 2 {
		n *= 100
	}
	seconds := int(n/100*3600 + n%100*60)
	if n%100 > 59 || seconds > 18*3600 {
		return 0, false
	}
	if s[0] == '-' {
		seconds = -seconds
	}
	return seconds, true
}

// findZone finds a zone by its name or its offset. Short names that stand for one offset in North America are known too.
func findZone(s string) (*time.Location, bool) {
	if offset, ok := parseOffset(s); ok {
		return time.FixedZone(s, offset), true
	}
	short := map[string]int{"Z": 0, "GMT": 0, "UTC": 0, "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7, "CET": 1, "CEST": 2}
	if hours, ok := short[s]; ok {
		return time.FixedZone(s, hours*3600), true
	}
	if s == "" || s == "Local" || len(s) > 64 || strings.Contains(s, "..") {
		return nil, false
	}
	z, err := time.LoadLocation(s)
	return z, err == nil
}

// parseZoned reads a day and a time with a zone behind it; none is UTC.
func parseZoned(s string) (time.Time, bool) {
	if t, ok := parseISO(s); ok {
		return t, true
	}
	i := strings.LastIndexAny(s, " [")
	if i < 0 {
		return time.Time{}, false
	}
	z, ok := findZone(strings.TrimSuffix(s[i+1:], "]"))
	if !ok {
		return time.Time{}, false
	}
	at := strings.TrimSpace(s[:i])
	if t, ok := parseISO(at); ok && s[i] == '[' { // the offset in front of it decides
		return t, true
	}
	for _, form := range []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(form, at, z); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
