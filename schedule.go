package lakeward

import (
	"time"
)

// ExportMode says whether a file holds everybody or what changed (SCH-10).
type ExportMode string

// The export modes. Incremental exports come with the windows of RUN-03.
const (
	FullExport        ExportMode = "DAILY_FULL_EXPORT"
	IncrementalExport ExportMode = "FIRST_FULL_THEN_INCREMENTAL"
)

// Frequency is the distance of two slots (SCH-10).
type Frequency string

// The frequencies.
const (
	Once         Frequency = "ONCE"
	Daily        Frequency = "DAILY"
	Every3Hours  Frequency = "EVERY_3_HOURS"
	Every6Hours  Frequency = "EVERY_6_HOURS"
	Every8Hours  Frequency = "EVERY_8_HOURS"
	Every12Hours Frequency = "EVERY_12_HOURS"
)

// every is the distance of two slots; 0 for Once and for unknown frequencies.
func (f Frequency) every() time.Duration {
	switch f {
	case Daily:
		return 24 * time.Hour
	case Every3Hours:
		return 3 * time.Hour
	case Every6Hours:
		return 6 * time.Hour
	case Every8Hours:
		return 8 * time.Hour
	case Every12Hours:
		return 12 * time.Hour
	}
	return 0
}

const (
	dateLayout = "2006-01-02"
	timeLayout = "15:04"
)

// Schedule says when an audience is exported. Slots are anchored at StartTime on StartDate, in UTC (D05).
type Schedule struct {
	Mode      ExportMode `json:"exportMode"`
	Frequency Frequency  `json:"frequency"`
	StartDate string     `json:"startDate"`         // YYYY-MM-DD
	EndDate   string     `json:"endDate,omitempty"` // YYYY-MM-DD, itself excluded (SCH-12); "" for no end
	StartTime string     `json:"startTime"`         // HH:MM
}

// DefaultSchedule is full, daily, 00:00 UTC, from tomorrow (D03).
func DefaultSchedule(now time.Time) Schedule {
	return Schedule{Mode: FullExport, Frequency: Daily, StartDate: now.UTC().AddDate(0, 0, 1).Format(dateLayout), StartTime: "00:00"}
}

// start returns the first slot and the end of the interval (the zero time for no end).
func (s Schedule) bounds() (start, end time.Time, err error) {
	start, err = time.Parse(dateLayout+" "+timeLayout, s.StartDate+" "+s.StartTime)
	if err == nil && s.EndDate != "" {
		end, err = time.Parse(dateLayout, s.EndDate)
	}
	return start, end, err
}

// Next returns the first slot after t; ok is false when there is none.
// It counts from the start, not from the last run, so that slow runs do not make the schedule drift.
func (s Schedule) Next(t time.Time) (slot time.Time, ok bool) {
	start, end, err := s.bounds()
	if err != nil {
		return time.Time{}, false
	}
	slot = start
	if every := s.Frequency.every(); every > 0 && !t.Before(start) {
		slot = start.Add((t.Sub(start)/every + 1) * every)
	}
	if !slot.After(t) || !end.IsZero() && !slot.Before(end) {
		return time.Time{}, false
	}
	return slot, true
}

// check reports what is wrong with a schedule at now (H01 to H12, SCH-17).
func (s Schedule) check(errs *fieldErrors, at string, now time.Time) {
	switch s.Mode {
	case FullExport:
		if s.Frequency != Once && s.Frequency != Daily {
			errs.add(at+"/frequency", "SCHED-1001", "full files are exported ONCE or DAILY, not %s", Quote(string(s.Frequency)))
		}
	case IncrementalExport:
		errs.add(at+"/exportMode", "SCHED-1006", "this version exports full files; incremental files are not available")
	default:
		errs.add(at+"/exportMode", "SCHED-1006", "the export mode is %s, not %s", FullExport, Quote(string(s.Mode)))
	}
	if _, err := time.Parse(dateLayout, s.StartDate); err != nil {
		errs.add(at+"/startDate", "SCHED-1002", "the start date is a day as YYYY-MM-DD, not %s", Quote(s.StartDate))
		return
	}
	if _, err := time.Parse(timeLayout, s.StartTime); err != nil || len(s.StartTime) != len(timeLayout) {
		errs.add(at+"/startTime", "SCHED-1005", "the start time is HH:MM in UTC, not %s", Quote(s.StartTime))
		return
	}
	if s.Frequency == Once && s.EndDate != "" {
		errs.add(at+"/endDate", "SCHED-1006", "an export that runs once has no end date")
		return
	}
	if _, err := time.Parse(dateLayout, s.EndDate); s.EndDate != "" && err != nil {
		errs.add(at+"/endDate", "SCHED-1002", "the end date is a day as YYYY-MM-DD, not %s", Quote(s.EndDate))
		return
	}
	if s.EndDate != "" && s.EndDate <= s.StartDate {
		errs.add(at+"/endDate", "SCHED-1003", "the end date must lie after the start date; the last day is excluded")
		return
	}
	if start, _, _ := s.bounds(); start.Before(now) {
		errs.add(at+"/startDate", "SCHED-1004", "the start %s lies in the past", start.Format(time.RFC3339))
		errs.hint("start at " + now.UTC().Add(5*time.Minute).Format("2006-01-02 15:04") + " or later")
	}
}

// TooOld reports whether a slot that was missed is not caught up at now: it is older than one interval
// (SCH-20). A slot that comes once is caught up whenever the service is back.
func (s Schedule) TooOld(slot, now time.Time) bool {
	every := s.Frequency.every()
	return every > 0 && now.Sub(slot) >= every
}
