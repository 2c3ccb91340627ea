package lakeward

import (
	"iter"
	"time"
)

// ExportMode says whether a file holds everybody or what changed (SCH-10).
type ExportMode string

// The export modes. The first file of an incremental schedule is a full one (SCH-08).
const (
	FullExport        ExportMode = "DAILY_FULL_EXPORT"
	IncrementalExport ExportMode = "FIRST_FULL_THEN_INCREMENTAL"
)

// ExportTrigger says what makes a full export due (SCH-10).
type ExportTrigger string

// The triggers; "" is Scheduled.
const (
	Scheduled       ExportTrigger = "SCHEDULED"
	AfterEvaluation ExportTrigger = "AFTER_SEGMENT_EVAL" // an evaluation of the audience has ended (SCH-13)
)

// Frequency is the distance of two slots (SCH-10).
type Frequency string

// The frequencies. Weekly and Monthly are extended ones (D02).
const (
	Once         Frequency = "ONCE"
	Daily        Frequency = "DAILY"
	Weekly       Frequency = "WEEKLY"
	Monthly      Frequency = "MONTHLY"
	Every3Hours  Frequency = "EVERY_3_HOURS"
	Every6Hours  Frequency = "EVERY_6_HOURS"
	Every8Hours  Frequency = "EVERY_8_HOURS"
	Every12Hours Frequency = "EVERY_12_HOURS"
)

// every is the distance of two slots on a clock that is never changed; 0 for Once, Monthly and unknown frequencies.
func (f Frequency) every() time.Duration {
	switch f {
	case Weekly:
		return 7 * 24 * time.Hour
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

// RetryWithin is how long a run by the schedule is tried again, at most window: half the distance of two slots if that is
// shorter (DLV-72).
func (s Schedule) RetryWithin(window time.Duration) time.Duration {
	if half := s.Frequency.every() / 2; half > 0 {
		return min(window, half)
	}
	return window
}

// Extended reports whether the frequency is offered only with the setting for extended frequencies (D02).
func (f Frequency) Extended() bool { return f == Weekly || f == Monthly }

const (
	dateLayout = "2006-01-02"
	timeLayout = "15:04"
	// startSoon is how near a start is told (D04).
	startSoon = 5 * time.Minute
)

// Schedule says when an audience is exported. Slots are anchored at StartTime on StartDate (D05), on the clock of Zone.
type Schedule struct {
	Mode      ExportMode    `json:"exportMode"`
	Frequency Frequency     `json:"frequency"`
	Trigger   ExportTrigger `json:"triggerType,omitempty"`
	StartDate string        `json:"startDate"`           // YYYY-MM-DD
	EndDate   string        `json:"endDate,omitempty"`   // YYYY-MM-DD, itself excluded (SCH-12); "" for no end
	StartTime string        `json:"startTime,omitempty"` // HH:MM; "" after an evaluation (SCH-11)
	Zone      string        `json:"timeZone,omitempty"`  // IANA name; "" is UTC
}

// DefaultSchedule is full, daily, 00:00 UTC, from tomorrow (D03).
func DefaultSchedule(now time.Time) Schedule {
	return Schedule{Mode: FullExport, Frequency: Daily, StartDate: now.UTC().AddDate(0, 0, 1).Format(dateLayout), StartTime: "00:00"}
}

// AfterEvaluation reports whether evaluations make the exports due, and not a clock.
func (s Schedule) AfterEvaluation() bool { return s.Trigger == AfterEvaluation }

// Bounds returns the first slot and the end of the interval (the zero time for no end). An export after an evaluation may
// begin from the first on and before the second.
func (s Schedule) Bounds() (start, end time.Time, err error) {
	c, err := s.clock()
	if err != nil {
		return start, end, err
	}
	return instant(c.first, c.zone), c.end, nil
}

// clock is a schedule that is ready to be asked for slots.
type clock struct {
	Schedule
	first time.Time // what the clock shows at the first slot
	zone  *time.Location
	end   time.Time // no slot is then or later; the zero time for no end
}

func (s Schedule) clock() (c clock, err error) {
	c.Schedule = s
	at := s.StartTime
	if s.AfterEvaluation() {
		at = "00:00"
	}
	if c.first, err = time.Parse(dateLayout+" "+timeLayout, s.StartDate+" "+at); err != nil {
		return c, err
	}
	if c.zone, err = time.LoadLocation(s.Zone); err != nil || s.EndDate == "" {
		return c, err
	}
	last, err := time.Parse(dateLayout, s.EndDate)
	c.end = instant(last, c.zone)
	return c, err
}

// instant is when a clock first shows a time or a later one. Where the clock is put forward over the time, that is the
// instant of the change; where it is put back and shows the time twice, it is the first of the two.
func instant(label time.Time, zone *time.Location) time.Time {
	const widest = 26 * time.Hour // no clock is further from UTC
	from := label.Add(-widest)
	for {
		local := from.In(zone)
		_, offset := local.Zone()
		_, until := local.ZoneBounds()
		at := label.Add(-time.Duration(offset) * time.Second)
		if at.Before(from) {
			at = from
		}
		if until.IsZero() || at.Before(until) {
			return at.UTC()
		}
		from = until
	}
}

// label is what the clock shows at the n-th slot, counted from the first.
func (c clock) label(n int) time.Time {
	if c.Frequency != Monthly {
		return c.first.Add(time.Duration(n) * c.Frequency.every())
	}
	f := c.first
	day := min(f.Day(), time.Date(f.Year(), f.Month()+time.Month(n)+1, 0, 0, 0, 0, 0, time.UTC).Day())
	return time.Date(f.Year(), f.Month()+time.Month(n), day, f.Hour(), f.Minute(), 0, 0, time.UTC)
}

// after is the number of the first slot whose label lies after what the clock shows.
func (c clock) after(shown time.Time) int {
	if shown.Before(c.first) {
		return 0
	}
	if c.Frequency != Monthly {
		return int(shown.Sub(c.first)/c.Frequency.every()) + 1
	}
	n := (shown.Year()-c.first.Year())*12 + int(shown.Month()-c.first.Month())
	if !c.label(n).After(shown) {
		n++
	}
	return n
}

func (c clock) next(t time.Time) (slot time.Time, ok bool) {
	if c.Frequency.every() > 0 || c.Frequency == Monthly {
		shown := t.In(c.zone)
		shown = time.Date(shown.Year(), shown.Month(), shown.Day(), shown.Hour(), shown.Minute(), shown.Second(), shown.Nanosecond(), time.UTC)
		// A clock that was put back shows times again whose slots have been.
		for n := c.after(shown); !slot.After(t); n++ {
			slot = instant(c.label(n), c.zone)
		}
	} else {
		slot = instant(c.first, c.zone)
	}
	if !slot.After(t) || !c.end.IsZero() && !slot.Before(c.end) {
		return time.Time{}, false
	}
	return slot, true
}

// Next returns the first slot after t; ok is false when there is none.
func (s Schedule) Next(t time.Time) (slot time.Time, ok bool) {
	for slot := range s.Slots(t) {
		return slot, true
	}
	return time.Time{}, false
}

// Slots yields the slots after t, one after the other.
// They are counted from the start, not from the last run, so that slow runs do not make the schedule drift. The distance is
// that of the clock: a day of a zone may have 23 or 25 hours.
func (s Schedule) Slots(t time.Time) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		c, err := s.clock()
		if err != nil || s.AfterEvaluation() {
			return
		}
		for slot, ok := c.next(t); ok && yield(slot); slot, ok = c.next(slot) {
		}
	}
}

// Ended reports whether the schedule has an end and it has come (NOW-03).
func (s Schedule) Ended(at time.Time) bool {
	_, end, err := s.Bounds()
	return err == nil && !end.IsZero() && !at.Before(end)
}

// check reports what is wrong with a schedule at now (H01 to H12, SCH-17). before is the schedule that it replaces, if any:
// a start that stays may lie in the past.
func (s Schedule) check(errs *fieldErrors, at string, now time.Time, before *Schedule) {
	s.checkKind(errs, at)
	if _, err := time.Parse(dateLayout, s.StartDate); err != nil {
		errs.add(at+"/startDate", "SCHED-1002", "the start date is a day as YYYY-MM-DD, not %s", Quote(s.StartDate))
		return
	}
	if _, err := time.Parse(timeLayout, s.StartTime); !s.AfterEvaluation() && (err != nil || len(s.StartTime) != len(timeLayout)) {
		errs.add(at+"/startTime", "SCHED-1005", "the start time is HH:MM, not %s", Quote(s.StartTime))
		return
	}
	if _, err := time.LoadLocation(s.Zone); err != nil || s.Zone == "Local" {
		errs.add(at+"/timeZone", "SCHED-1007", "there is no time zone %s", Quote(s.Zone))
		errs.hint("use a name such as Europe/Zurich, or none for UTC")
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
	s.checkStart(errs, at, now, before)
}

// checkKind checks what goes together: mode, frequency and trigger.
func (s Schedule) checkKind(errs *fieldErrors, at string) {
	hourly := s.Frequency.every() > 0 && s.Frequency.every() < Daily.every()
	switch s.Mode {
	case FullExport:
		if s.Frequency != Once && s.Frequency != Daily && !s.Frequency.Extended() {
			errs.add(at+"/frequency", "SCHED-1001", "full files are exported ONCE or DAILY, not %s", Quote(string(s.Frequency)))
		}
	case IncrementalExport:
		if s.Frequency != Daily && !hourly {
			errs.add(at+"/frequency", "SCHED-1001", "incremental files are exported DAILY or EVERY_3_HOURS, EVERY_6_HOURS, EVERY_8_HOURS, EVERY_12_HOURS, not %s", Quote(string(s.Frequency)))
		}
	default:
		errs.add(at+"/exportMode", "SCHED-1006", "the export mode is %s or %s, not %s", FullExport, IncrementalExport, Quote(string(s.Mode)))
	}
	switch {
	case s.Trigger != "" && s.Trigger != Scheduled && s.Trigger != AfterEvaluation:
		errs.add(at+"/triggerType", "SCHED-1006", "the trigger is %s or %s, not %s", Scheduled, AfterEvaluation, Quote(string(s.Trigger)))
	case s.AfterEvaluation() && (s.Mode != FullExport || s.Frequency.Extended()):
		errs.add(at+"/triggerType", "SCHED-1006", "only full files, once or daily, are exported after evaluations")
	case s.AfterEvaluation() && s.StartTime != "":
		errs.add(at+"/startTime", "SCHED-1006", "an export after evaluations has no start time")
	}
}

// checkStart refuses a start in the past (D04). What comes after evaluations starts with a day, which may have begun.
func (s Schedule) checkStart(errs *fieldErrors, at string, now time.Time, before *Schedule) {
	if before != nil && before.StartDate == s.StartDate && before.StartTime == s.StartTime && before.Zone == s.Zone {
		return
	}
	start, _, err := s.Bounds()
	if s.AfterEvaluation() {
		start = start.AddDate(0, 0, 1)
	}
	if err == nil && start.Before(now) {
		errs.add(at+"/startDate", "SCHED-1004", "the start %s lies in the past", start.Format(time.RFC3339))
		errs.hint("start at " + now.UTC().Add(startSoon).Format("2006-01-02 15:04") + " UTC or later")
	}
}

// TooOld reports whether a slot that was missed is not caught up at now: it is older than one interval
// (SCH-20). A slot that comes once is caught up whenever the service is back.
func (s Schedule) TooOld(slot, now time.Time) bool {
	s.EndDate = ""
	next, ok := s.Next(slot)
	return ok && !next.After(now)
}
