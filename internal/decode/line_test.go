package decode

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"pgregory.net/rapid"
)

// rowsOf describes all rows of a text as a reader gives them.
func rowsOf(r *rowReader) (out []string) {
	for {
		err := r.next()
		bad, broken := errors.AsType[*errRow](err)
		switch {
		case broken:
			out = append(out, fmt.Sprintf("line %d: %s, %d lines", r.start, bad.why, bad.lines))
		case err != nil:
			return append(out, err.Error())
		default:
			row := fmt.Sprintf("line %d:", r.start)
			for i, c := range r.cells {
				row += fmt.Sprintf(" %q %v", r.cell(i), c.quoted)
			}
			out = append(out, row)
		}
	}
}

// Rows that are read line by line are those that are read byte by byte.
func TestLinesEqualBytes(t *testing.T) {
	pieces := []string{"a", "bcdefghijk", "ü", ",", ",", `"`, `""`, "\n", "\r\n", "\r", `","`, `"a,b"`, "\n\n", "12345678", "\xff"}
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 30).Draw(t, "text"), "")
		r := newRowReader(strings.NewReader(text))
		r.buf = r.buf[:rapid.IntRange(2, 100).Draw(t, "buffer")] // lines may go over its end
		lines, plain := rowsOf(r), rowsOf(newRowReader(iotest.OneByteReader(strings.NewReader(text))))
		if fmt.Sprint(lines) != fmt.Sprint(plain) {
			t.Fatalf("%q:\n%s\nbyte by byte:\n%s", text, strings.Join(lines, "\n"), strings.Join(plain, "\n"))
		}
	})
}

// A line at a time is how nearly all rows are read, also those with quotes around a comma.
func TestLinesAreTakenWhole(t *testing.T) {
	r := newRowReader(strings.NewReader("a,\"b, c\",,long enough for a word,\"\"\nd,\"e \"\"f\"\"\",,,\n"))
	for i, want := range []bool{true, false} {
		if err := r.next(); err != nil || r.whole != want || len(r.cells) != 5 {
			t.Errorf("row %d: whole %v, %d cells, %v", i, r.whole, len(r.cells), err)
		}
	}
}

// Days and times are read as the standard library reads them.
func TestDaysAndTimesAreThoseOfTheLibrary(t *testing.T) {
	for day := int64(-719_528); day <= 2_932_896; day++ { // the years 0 to 9999
		if (day < -10_000 || day > 150_000) && day%7 != 0 {
			continue
		}
		s := time.Unix(day*86_400, 0).UTC().Format(time.DateOnly)
		if got, ok := parseDay(s); !ok || got != day {
			t.Fatalf("%s is day %d %v, want %d", s, got, ok, day)
		}
	}
	part := func(t *rapid.T, list ...string) string { return rapid.SampledFrom(list).Draw(t, "part") }
	rapid.Check(t, func(t *rapid.T) {
		day := part(t, "2024", "1900", "2000", "0000", "9999", "20x4", "-024") + part(t, "-", "/") + part(t, "01", "02", "04", "12", "13", "00", "1") +
			part(t, "-", "-", "") + part(t, "01", "28", "29", "30", "31", "32", "00", "3", " 1")
		want, err := time.Parse(time.DateOnly, day)
		if got, ok := parseDay(day); ok != (err == nil) || ok && got*86_400 != want.Unix() {
			t.Fatalf("day %q: %d %v, want %d %v", day, got, ok, want.Unix()/86_400, err)
		}
		s := day + part(t, "T", "T", "t", " ") + part(t, "00", "09", "23", "24", "1", "-1") + part(t, ":", ":", ".") + part(t, "00", "59", "60", "5") +
			part(t, ":", ":", "") + part(t, "00", "59", "60", "61", "x1") + part(t, "", ".000", ".999", ".9999999", ",123", ".1", ".", "-000") + part(t, "Z", "Z", "z", "+01:00", "-23:59", "")
		want, err = time.Parse(time.RFC3339Nano, s)
		if got, ok := parseTime(s); ok != (err == nil) || ok && got != want.UnixMilli() {
			t.Fatalf("time %q: %d %v, want %d %v", s, got, ok, want.UnixMilli(), err)
		}
	})
}
