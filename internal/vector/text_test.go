package vector

import (
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"
)

// FMT-10, FMT-10a: every day of 400 years, after which the calendar repeats, and days of the years 0 to 9999 and around
// them are written as the standard library lays them out.
func TestDatesAndTimes(t *testing.T) {
	var got, want []byte
	const cycle = 146_097
	for days := int64(firstDay - 3); days <= lastDay+3; days++ {
		if (days < 0 || days > cycle) && days%97 != 0 && days > firstDay+3 && days < lastDay-3 {
			continue
		}
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

// FMT-10a: doubles with few digits behind the point, which are written without a search, have the shortest digits too.
func TestDoublesWithFewDigits(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 300_000 {
		scale := math.Pow10(rnd.IntN(9))
		f := math.Round(math.Pow(10, 10*rnd.Float64()-3)*scale) / scale
		for _, f := range []float64{f, -f, math.Nextafter(f, 0), math.Nextafter(f, 1e9), f * 1e-3} {
			if a := math.Abs(f); a < 1e-3 || a >= 1e7 {
				continue
			}
			want := strconv.FormatFloat(f, 'f', -1, 64)
			if !strings.Contains(want, ".") {
				want += ".0"
			}
			if got := string(appendDouble(nil, f)); got != want {
				t.Fatalf("%g is written as %s, want %s", f, got, want)
			}
		}
	}
}
