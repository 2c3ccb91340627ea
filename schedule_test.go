package lakeward_test

import (
	"testing"
	"time"

	"github.com/lakeward/lakeward"
)

func slots(s lakeward.Schedule, from time.Time, most int) []string {
	var out []string
	for len(out) < most {
		next, ok := s.Next(from)
		if !ok {
			break
		}
		out, from = append(out, next.Format("01-02T15:04")), next
	}
	return out
}

// S10, S47, SCH-12, SCH-18, E-6, E-7: which slots a schedule has.
func TestSlots(t *testing.T) {
	before := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name string
		s    lakeward.Schedule
		want []string
	}{
		{"E-6 daily, last day excluded", lakeward.Schedule{Frequency: lakeward.Daily, StartDate: "2025-01-04", EndDate: "2025-01-11", StartTime: "06:00"},
			[]string{"01-04T06:00", "01-05T06:00", "01-06T06:00", "01-07T06:00", "01-08T06:00", "01-09T06:00", "01-10T06:00"}},
		{"E-7 every 6 hours, across midnight", lakeward.Schedule{Frequency: lakeward.Every6Hours, StartDate: "2025-01-04", EndDate: "2025-01-06", StartTime: "20:00"},
			[]string{"01-04T20:00", "01-05T02:00", "01-05T08:00", "01-05T14:00", "01-05T20:00"}},
		{"every 3 hours", lakeward.Schedule{Frequency: lakeward.Every3Hours, StartDate: "2025-01-04", EndDate: "2025-01-05", StartTime: "18:00"}, []string{"01-04T18:00", "01-04T21:00"}},
		{"every 8 hours", lakeward.Schedule{Frequency: lakeward.Every8Hours, StartDate: "2025-01-04", EndDate: "2025-01-05", StartTime: "00:00"}, []string{"01-04T00:00", "01-04T08:00", "01-04T16:00"}},
		{"every 12 hours", lakeward.Schedule{Frequency: lakeward.Every12Hours, StartDate: "2025-01-04", EndDate: "2025-01-05", StartTime: "11:30"}, []string{"01-04T11:30", "01-04T23:30"}},
		{"once", lakeward.Schedule{Frequency: lakeward.Once, StartDate: "2025-01-04", StartTime: "06:00"}, []string{"01-04T06:00"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := slots(test.s, before, 20)
			if len(got) != len(test.want) {
				t.Fatalf("slots %v, want %v", got, test.want)
			}
			for i := range got {
				if got[i] != test.want[i] {
					t.Errorf("slot %d is %s, want %s", i, got[i], test.want[i])
				}
			}
		})
	}
	endless := lakeward.Schedule{Frequency: lakeward.Daily, StartDate: "2025-01-04", StartTime: "06:00"}
	if next, ok := endless.Next(time.Date(2099, 1, 1, 6, 0, 0, 0, time.UTC)); !ok || next.Format(time.RFC3339) != "2099-01-02T06:00:00Z" {
		t.Errorf("Next at a slot is %v, %t; it must be the one after it", next, ok)
	}
}

// BI-H: what a schedule may not be; D03: the default.
func TestScheduleChecks(t *testing.T) {
	now := time.Date(2025, 1, 1, 12, 0, 0, 0, time.UTC)
	if d := lakeward.DefaultSchedule(now); d != (lakeward.Schedule{Mode: lakeward.FullExport, Frequency: lakeward.Daily, StartDate: "2025-01-02", StartTime: "00:00"}) {
		t.Errorf("DefaultSchedule = %+v", d)
	}
	for _, test := range []struct {
		name   string
		change func(*lakeward.Schedule)
		code   string
	}{
		{"the default", func(*lakeward.Schedule) {}, ""},
		{"BI-H01 frequency", func(s *lakeward.Schedule) { s.Frequency = "EVERY_5_HOURS" }, "SCHED-1001"},
		{"SCH-09 full files every 3 hours", func(s *lakeward.Schedule) { s.Frequency = lakeward.Every3Hours }, "SCHED-1001"},
		{"BI-H02 start in the past", func(s *lakeward.Schedule) { s.StartDate = "2015-01-01" }, "SCHED-1004"},
		{"BI-H04 end before start", func(s *lakeward.Schedule) { s.EndDate = "2025-01-02" }, "SCHED-1003"},
		{"BI-H05 no such day", func(s *lakeward.Schedule) { s.StartDate = "2026-02-30" }, "SCHED-1002"},
		{"BI-H05 24:00", func(s *lakeward.Schedule) { s.StartTime = "24:00" }, "SCHED-1005"},
		{"BI-H08 zone", func(s *lakeward.Schedule) { s.StartTime = "07:00Z" }, "SCHED-1005"},
		{"BI-H10 minute 60", func(s *lakeward.Schedule) { s.StartTime = "07:60" }, "SCHED-1005"},
		{"BI-H11 end with once", func(s *lakeward.Schedule) { s.Frequency, s.EndDate = lakeward.Once, "2025-02-01" }, "SCHED-1006"},
		{"BI-H01 weekly incremental", func(s *lakeward.Schedule) { s.Mode, s.Frequency = lakeward.IncrementalExport, lakeward.Weekly }, "SCHED-1001"},
		{"SCH-10 incremental every 8 hours", func(s *lakeward.Schedule) { s.Mode, s.Frequency = lakeward.IncrementalExport, lakeward.Every8Hours }, ""},
		{"SCH-10 incremental once", func(s *lakeward.Schedule) { s.Mode, s.Frequency = lakeward.IncrementalExport, lakeward.Once }, "SCHED-1001"},
		{"SCH-13 after evaluations", func(s *lakeward.Schedule) {
			s.Trigger, s.StartTime, s.StartDate = lakeward.AfterEvaluation, "", "2025-01-01"
		}, ""},
		{"BI-H11 incremental after evaluations", func(s *lakeward.Schedule) {
			s.Mode, s.Trigger, s.StartTime = lakeward.IncrementalExport, lakeward.AfterEvaluation, ""
		}, "SCHED-1006"},
		{"SCH-13 weekly after evaluations", func(s *lakeward.Schedule) {
			s.Frequency, s.Trigger, s.StartTime = lakeward.Weekly, lakeward.AfterEvaluation, ""
		}, "SCHED-1006"},
		{"BI-H11 start time after evaluations", func(s *lakeward.Schedule) { s.Trigger = lakeward.AfterEvaluation }, "SCHED-1006"},
		{"unknown trigger", func(s *lakeward.Schedule) { s.Trigger = "SOMETIMES" }, "SCHED-1006"},
		{"zone", func(s *lakeward.Schedule) { s.Zone = "Europe/Zurich" }, ""},
		{"unknown zone", func(s *lakeward.Schedule) { s.Zone = "Europe/Zuerich" }, "SCHED-1007"},
		{"zone of the machine", func(s *lakeward.Schedule) { s.Zone = "Local" }, "SCHED-1007"},
		{"zone that is a path", func(s *lakeward.Schedule) { s.Zone = "../../etc/passwd" }, "SCHED-1007"},
		{"the past of another zone", func(s *lakeward.Schedule) { s.Zone, s.StartDate, s.StartTime = "Asia/Tokyo", "2025-01-01", "20:30" }, "SCHED-1004"},
		{"the future of another zone", func(s *lakeward.Schedule) { s.Zone, s.StartDate, s.StartTime = "Asia/Tokyo", "2025-01-01", "21:30" }, ""},
		{"unknown mode", func(s *lakeward.Schedule) { s.Mode = "HALF" }, "SCHED-1006"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := lakeward.DefaultSchedule(now)
			test.change(&s)
			f := lakeward.Dataflow{Name: "f", Mapping: []lakeward.Mapping{{Source: "a"}}, Items: []lakeward.DataflowItem{{AudienceID: "x", Schedule: s}}}
			if err := f.Validate(now); lakeward.CodeOf(err) != test.code {
				t.Errorf("Validate: %v, want code %q", err, test.code)
			}
		})
	}
}

// SCH-21, D04: a start that stays may lie in the past; another one may not. D02: weekly and monthly need a setting.
func TestScheduleOfARunningDataflow(t *testing.T) {
	made, now := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC)
	old := lakeward.Dataflow{Name: "f", Mapping: []lakeward.Mapping{{Source: "a"}}, Items: []lakeward.DataflowItem{{AudienceID: "x", Schedule: lakeward.DefaultSchedule(made)}}}
	for _, test := range []struct {
		name   string
		change func(*lakeward.DataflowItem)
		code   string
	}{
		{"nothing", func(*lakeward.DataflowItem) {}, ""},
		{"end and mode", func(it *lakeward.DataflowItem) {
			it.Schedule.EndDate, it.Schedule.Mode, it.Schedule.Frequency = "2025-04-01", lakeward.IncrementalExport, lakeward.Every3Hours
		}, ""},
		{"another time in the past", func(it *lakeward.DataflowItem) { it.Schedule.StartTime = "06:00" }, "SCHED-1004"},
		{"another audience", func(it *lakeward.DataflowItem) { it.AudienceID = "y" }, "SCHED-1004"},
	} {
		d := old
		d.Items = []lakeward.DataflowItem{old.Items[0]}
		test.change(&d.Items[0])
		if err := d.ValidateEdit(old, now); lakeward.CodeOf(err) != test.code {
			t.Errorf("%s: %v, want code %q", test.name, err, test.code)
		}
	}
	old.Items[0].Schedule.Frequency = lakeward.Monthly
	if err := old.CheckFrequencies(); lakeward.CodeOf(err) != "SCHED-1001" {
		t.Errorf("monthly: %v", err)
	}
}

// DLV-72: a run is tried again for half the distance of two slots at most.
func TestRetryWithin(t *testing.T) {
	for frequency, want := range map[lakeward.Frequency]time.Duration{lakeward.Every3Hours: 90 * time.Minute, lakeward.Every6Hours: 2 * time.Hour, lakeward.Daily: 2 * time.Hour, lakeward.Once: 2 * time.Hour, lakeward.Monthly: 2 * time.Hour} {
		if got := (lakeward.Schedule{Frequency: frequency}).RetryWithin(2 * time.Hour); got != want {
			t.Errorf("%s: %v, want %v", frequency, got, want)
		}
	}
}
