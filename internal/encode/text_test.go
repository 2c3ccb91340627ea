package encode

import (
	"testing"
	"time"
)

// FMT-10, FMT-10a: every day of the years 0 to 9999, and the days around them, is written as the standard library lays it out.
func TestDatesAndTimes(t *testing.T) {
	var got, want []byte
	for days := int64(firstDay - 3); days <= lastDay+3; days++ {
		got, want = appendDate(got[:0], days), time.Unix(days*86_400, 0).UTC().AppendFormat(want[:0], "2006-01-02")
		if string(got) != string(want) {
			t.Fatalf("day %d is %s, want %s", days, got, want)
		}
		if days%37 != 0 {
			continue
		}
		ms := days*dayMillis + (days*7_919_777)%dayMillis
		got, want = appendTime(got[:0], ms), time.UnixMilli(ms).UTC().AppendFormat(want[:0], "2006-01-02T15:04:05.000Z")
		if string(got) != string(want) {
			t.Fatalf("millisecond %d is %s, want %s", ms, got, want)
		}
	}
}
