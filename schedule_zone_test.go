package lakeward_test

import (
	"archive/zip"
	"fmt"
	"go/build"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lakeward/lakeward"
)

// D05 with a zone: the clock of the zone makes the slots. What it skips comes with the change, what it shows twice once.
func TestSlotsOnAClockThatIsChanged(t *testing.T) {
	for _, test := range []struct {
		name string
		s    lakeward.Schedule
		want []string // in UTC
	}{
		{"skipped time of day", lakeward.Schedule{Frequency: lakeward.Daily, StartDate: "2025-03-29", StartTime: "02:30", Zone: "Europe/Berlin"},
			[]string{"03-29T01:30", "03-30T01:00", "03-31T00:30"}},
		{"time of day that comes twice", lakeward.Schedule{Frequency: lakeward.Daily, StartDate: "2025-10-25", StartTime: "02:30", Zone: "Europe/Berlin"},
			[]string{"10-25T00:30", "10-26T00:30", "10-27T01:30"}},
		{"every 3 hours, forward", lakeward.Schedule{Frequency: lakeward.Every3Hours, StartDate: "2025-03-29", StartTime: "23:00", Zone: "Europe/Berlin"},
			[]string{"03-29T22:00", "03-30T01:00", "03-30T03:00", "03-30T06:00"}},
		{"every 3 hours, back", lakeward.Schedule{Frequency: lakeward.Every3Hours, StartDate: "2025-10-25", StartTime: "23:00", Zone: "Europe/Berlin"},
			[]string{"10-25T21:00", "10-26T00:00", "10-26T04:00", "10-26T07:00"}},
		{"no midnight", lakeward.Schedule{Frequency: lakeward.Daily, StartDate: "2018-11-03", EndDate: "2018-11-05", StartTime: "00:00", Zone: "America/Sao_Paulo"},
			[]string{"11-03T03:00", "11-04T03:00"}},
		{"a day that never was", lakeward.Schedule{Frequency: lakeward.Every12Hours, StartDate: "2011-12-29", StartTime: "06:00", Zone: "Pacific/Apia"},
			[]string{"12-29T16:00", "12-30T04:00", "12-30T10:00", "12-30T16:00"}},
		{"half an hour", lakeward.Schedule{Frequency: lakeward.Daily, StartDate: "2025-10-04", StartTime: "02:15", Zone: "Australia/Lord_Howe"},
			[]string{"10-03T15:45", "10-04T15:30", "10-05T15:15"}},
		{"monthly, SCH-15", lakeward.Schedule{Frequency: lakeward.Monthly, StartDate: "2025-01-31", StartTime: "06:00"},
			[]string{"01-31T06:00", "02-28T06:00", "03-31T06:00", "04-30T06:00"}},
		{"weekly, SCH-15", lakeward.Schedule{Frequency: lakeward.Weekly, StartDate: "2025-03-23", EndDate: "2025-04-06", StartTime: "06:00", Zone: "Europe/Berlin"},
			[]string{"03-23T05:00", "03-30T04:00"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := slots(test.s, time.Time{}, len(test.want)); !slices.Equal(got, test.want) {
				t.Errorf("slots %v, want %v", got, test.want)
			}
		})
	}
}

// SCH-20 on a day of 25 hours: a slot is caught up until the next one comes.
func TestTooOldOnALongDay(t *testing.T) {
	s := lakeward.Schedule{Frequency: lakeward.Daily, StartDate: "2025-10-01", EndDate: "2025-10-27", StartTime: "02:30", Zone: "Europe/Berlin"}
	slot := time.Date(2025, 10, 26, 0, 30, 0, 0, time.UTC)
	if s.TooOld(slot, slot.Add(25*time.Hour-time.Second)) || !s.TooOld(slot, slot.Add(25*time.Hour)) {
		t.Error("the interval of the last slot is not 25 hours")
	}
}

// zones lists the names of the tz database that Go carries.
func zones(t *testing.T) []string {
	t.Helper()
	z, err := zip.OpenReader(filepath.Join(build.Default.GOROOT, "lib", "time", "zoneinfo.zip"))
	if err != nil {
		t.Skip("skipped: the Go installation has no lib/time/zoneinfo.zip")
	}
	defer z.Close()
	var out []string
	for _, f := range z.File {
		if !strings.HasSuffix(f.Name, "/") {
			out = append(out, f.Name)
		}
	}
	return out
}

// walked is a schedule that a walker follows: the minutes, counted on an unchanged calendar, that the clock will show next.
type walked struct {
	schedule  lakeward.Schedule
	next      int64
	step      int64
	slot      time.Time // that the schedule says
	following func() (time.Time, bool)
}

// civilMinute counts minutes from the first day of year 0 on a calendar without zones.
func civilMinute(t time.Time) int64 {
	y, m, d := t.Date()
	days := int64(d)
	for month := time.January; month < m; month++ {
		days += [...]int64{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}[month-1]
	}
	leap := y%4 == 0 && (y%100 != 0 || y%400 == 0)
	if leap && m > time.February {
		days++
	}
	before := int64(y - 1)
	days += before*365 + before/4 - before/100 + before/400
	return (days*24+int64(t.Hour()))*60 + int64(t.Minute())
}

// walk goes through the minutes of some years in a zone, and compares what the clock shows with the slots of schedules. It
// shares no code with them. It returns how many slots there were.
func walk(t *testing.T, name string, from, to int) (slots int) {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(from, 1, 1, 0, 0, 0, 0, time.UTC)
	var list []*walked
	for frequency, minutes := range map[lakeward.Frequency]int64{lakeward.Daily: 1440, lakeward.Every3Hours: 180, lakeward.Every6Hours: 360, lakeward.Every8Hours: 480, lakeward.Every12Hours: 720, lakeward.Weekly: 10080} {
		for _, at := range []string{"00:00", "01:30", "02:30", "23:45"} {
			w := &walked{schedule: lakeward.Schedule{Frequency: frequency, StartDate: fmt.Sprintf("%d-01-03", from), StartTime: at, Zone: name}, step: minutes}
			first, _ := time.Parse("2006-01-02 15:04", w.schedule.StartDate+" "+at)
			w.next = civilMinute(first)
			following, stop := iter.Pull(w.schedule.Slots(start))
			defer stop()
			w.following = following
			w.slot, _ = following()
			list = append(list, w)
		}
	}
	soonest, utc := int64(0), civilMinute(start)-1
	for at, end := start, time.Date(to, 1, 1, 0, 0, 0, 0, time.UTC); at.Before(end); at = at.Add(time.Minute) {
		_, offset := at.In(zone).Zone()
		utc++
		shown := utc + int64(offset)/60
		if shown < soonest {
			continue
		}
		soonest = shown + 1<<30
		for _, w := range list {
			if w.next <= shown {
				if !w.slot.Equal(at) {
					t.Fatalf("%s, %s at %s: the slot is %v, the clock says %v", name, w.schedule.Frequency, w.schedule.StartTime, w.slot, at)
				}
				slots++
				for w.next <= shown {
					w.next += w.step
				}
				before := w.slot
				w.slot, _ = w.following()
				if slots%1000 == 0 { // it reads the zone each time
					if next, _ := w.schedule.Next(before); next != w.slot {
						t.Fatalf("%s, %s: Next is %v, Slots yields %v", name, w.schedule.Frequency, next, w.slot)
					}
				}
			}
			soonest = min(soonest, w.next)
		}
	}
	return slots
}

// INV-30, D05: the slots of every zone are the minutes at which its clock shows them. LAKEWARD_TEST_FULL walks through 20
// years of all zones, otherwise through one year of a sample, and of those with the strangest clocks.
func TestSlotsAreWhatTheClockShows(t *testing.T) {
	names := zones(t)
	total, slots := len(names), 0
	from, to := 2010, 2030
	if os.Getenv("LAKEWARD_TEST_FULL") == "" {
		r := rand.New(rand.NewPCG(1, 2))
		r.Shuffle(len(names), func(i, k int) { names[i], names[k] = names[k], names[i] })
		names = names[:80]
		from = 2011 + r.IntN(15)
		to = from + 1
		for name, year := range map[string]int{"Pacific/Apia": 2011, "Africa/Casablanca": 2019, "Australia/Lord_Howe": 2025, "Asia/Pyongyang": 2015, "America/Caracas": 2016, "Antarctica/Troll": 2024, "Africa/Cairo": 2014} {
			slots += walk(t, name, year, year+1)
		}
	}
	for _, name := range names {
		slots += walk(t, name, from, to)
	}
	t.Logf("%d of %d zones, %d to %d: %d slots", len(names), total, from, to, slots)
}
