package lakeward_test

import (
	"strings"
	"testing"
	"time"

	"github.com/lakeward/lakeward"
)

// SEG-04: the slots of evaluation schedules, in UTC.
func TestEvaluationSlots(t *testing.T) {
	from := time.Date(2025, 1, 4, 10, 30, 0, 0, time.UTC)
	for _, test := range []struct {
		name, latest, next string
		s                  lakeward.EvaluationSchedule
	}{
		{"daily, later today", "01-03T23:15", "01-04T23:15", lakeward.EvaluationSchedule{Mode: lakeward.EvaluateDaily, Time: "23:15"}},
		{"daily, tomorrow", "01-04T02:00", "01-05T02:00", lakeward.EvaluationSchedule{Mode: lakeward.EvaluateDaily, Time: "02:00"}},
		{"at the slot itself", "01-04T10:30", "01-05T10:30", lakeward.EvaluationSchedule{Mode: lakeward.EvaluateDaily, Time: "10:30"}},
		{"every hour", "01-04T10:00", "01-04T11:00", lakeward.EvaluationSchedule{Mode: lakeward.EvaluateEvery, Hours: 1}},
		{"every 3 hours", "01-04T09:00", "01-04T12:00", lakeward.EvaluationSchedule{Mode: lakeward.EvaluateEvery, Hours: 3}},
		{"every 6 hours", "01-04T06:00", "01-04T12:00", lakeward.EvaluationSchedule{Mode: lakeward.EvaluateEvery, Hours: 6}},
		{"every 12 hours", "01-04T00:00", "01-04T12:00", lakeward.EvaluationSchedule{Mode: lakeward.EvaluateEvery, Hours: 12}},
	} {
		latest, ok := test.s.Latest(from)
		next, _ := test.s.Next(from)
		if !ok || latest.Format("01-02T15:04") != test.latest || next.Format("01-02T15:04") != test.next {
			t.Errorf("%s: %v, then %v, want %s, %s", test.name, latest, next, test.latest, test.next)
		}
	}
	for _, mode := range []lakeward.EvaluationMode{lakeward.EvaluateOff, lakeward.EvaluateAfterIngest} {
		if at, ok := (lakeward.EvaluationSchedule{Mode: mode}).Next(from); ok {
			t.Errorf("%s has the slot %v", mode, at)
		}
	}
}

func TestEvaluationScheduleChecks(t *testing.T) {
	for _, test := range []struct {
		name, code string
		s          lakeward.EvaluationSchedule
	}{
		{"off", "", lakeward.EvaluationSchedule{Mode: lakeward.EvaluateOff}},
		{"after ingest", "", lakeward.EvaluationSchedule{Mode: lakeward.EvaluateAfterIngest}},
		{"daily", "", lakeward.EvaluationSchedule{Mode: lakeward.EvaluateDaily, Time: "00:00"}},
		{"every 2 hours", "SCHED-1001", lakeward.EvaluationSchedule{Mode: lakeward.EvaluateEvery, Hours: 2}},
		{"no hours", "SCHED-1001", lakeward.EvaluationSchedule{Mode: lakeward.EvaluateEvery}},
		{"no time", "SCHED-1005", lakeward.EvaluationSchedule{Mode: lakeward.EvaluateDaily}},
		{"24:00", "SCHED-1005", lakeward.EvaluationSchedule{Mode: lakeward.EvaluateDaily, Time: "24:00"}},
		{"unknown mode", "SCHED-1006", lakeward.EvaluationSchedule{Mode: "weekly"}},
	} {
		if err := test.s.Validate(); lakeward.CodeOf(err) != test.code {
			t.Errorf("%s: %v, want %q", test.name, err, test.code)
		}
	}
}

// An evaluation after ingest waits for the end of a series of uploads, but not for ever.
func TestEvaluationAfterIngestIsDebounced(t *testing.T) {
	start := time.Date(2025, 1, 4, 10, 0, 0, 0, time.UTC)
	s := lakeward.EvaluationSchedule{Mode: lakeward.EvaluateAfterIngest}
	for n := range 40 {
		at := start.Add(time.Duration(n) * 30 * time.Second)
		s = s.Ingested(int64(n+1), at)
		want := at.Add(lakeward.EvaluationQuiet)
		if last := start.Add(lakeward.EvaluationPatience); want.After(last) {
			want = last
		}
		if !s.NextAt.Equal(want) || !s.Since.Equal(start) || s.Seen != int64(n+1) {
			t.Fatalf("after upload %d: next %v since %v seen %d, want %v", n+1, s.NextAt, s.Since, s.Seen, want)
		}
	}
}

func TestEvaluationCovers(t *testing.T) {
	e := lakeward.Evaluation{Trigger: lakeward.ByExport, Audiences: []lakeward.AudienceID{"a"}}
	if !e.Covers("a") || e.Covers("b") || e.Covers("") {
		t.Errorf("of a: %t %t %t", e.Covers("a"), e.Covers("b"), e.Covers(""))
	}
	if two := e.With("b"); !two.Covers("a") || !two.Covers("b") || e.Covers("b") {
		t.Errorf("%+v with b is %+v", e, two)
	}
	if all := e.With(""); !all.Covers("") || !all.Covers("z") || all.With("q").Audiences != nil {
		t.Errorf("with all: %+v", all)
	}
}

// A dataflow whose schedule can only give empty or old files is warned of.
func TestEvaluationWarnings(t *testing.T) {
	start := time.Date(2025, 1, 4, 0, 0, 0, 0, time.UTC)
	rule := lakeward.Audience{Name: "vip", Origin: lakeward.RuleOrigin}
	known := rule
	known.EvaluatedAt = &start
	gone := lakeward.Audience{Name: "list", Origin: lakeward.UploadOrigin, ExpiresAt: &start}
	full := lakeward.Schedule{Mode: lakeward.FullExport, Frequency: lakeward.Daily, StartDate: "2025-01-04", StartTime: "00:00"}
	often := lakeward.Schedule{Mode: lakeward.IncrementalExport, Frequency: lakeward.Every3Hours, StartDate: "2025-01-04", StartTime: "00:00"}
	off, daily := lakeward.EvaluationSchedule{Mode: lakeward.EvaluateOff}, lakeward.EvaluationSchedule{Mode: lakeward.EvaluateDaily, Time: "01:00"}
	for _, test := range []struct {
		name  string
		s     lakeward.EvaluationSchedule
		first bool
		slots lakeward.Schedule
		a     lakeward.Audience
		want  string
	}{
		{"never evaluated", off, false, full, rule, "never evaluated"},
		{"evaluated once", off, false, full, known, "holds the members of 2025-01-04T00:00:00Z"},
		{"evaluated before each export", off, true, full, rule, ""},
		{"a schedule will evaluate it", daily, false, full, rule, ""},
		{"exported more often than evaluated", daily, false, often, known, "every 3 hours and evaluated every 24"},
		{"evaluated before each of them", daily, true, often, known, ""},
		{"evaluated as often", lakeward.EvaluationSchedule{Mode: lakeward.EvaluateEvery, Hours: 3}, false, often, known, ""},
		{"expires before the first export", off, true, full, gone, "hold nobody"},
		{"an upload needs no evaluation", off, false, full, lakeward.Audience{Name: "list", Origin: lakeward.UploadOrigin}, ""},
	} {
		got := test.s.Warnings(lakeward.Dataflow{EvaluateFirst: test.first}, lakeward.DataflowItem{Schedule: test.slots}, test.a)
		if (len(got) == 0) != (test.want == "") || !strings.Contains(strings.Join(got, "\n"), test.want) {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
