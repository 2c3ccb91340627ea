package lakeward

import (
	"fmt"
	"slices"
	"time"
)

// Trigger says why audiences are evaluated.
type Trigger string

// The triggers.
const (
	ByHand     Trigger = "hand"     // somebody waits for it
	BySchedule Trigger = "schedule" // of the sandbox (SEG-04)
	ByIngest   Trigger = "ingest"
	ByExport   Trigger = "export" // runs of a slot wait for it
)

// Evaluation is what an evaluation task evaluates and what came of it (SEG-05).
type Evaluation struct {
	Trigger   Trigger      `json:"trigger"`
	All       bool         `json:"all,omitempty"`       // every published audience with a rule
	Audiences []AudienceID `json:"audiences,omitempty"` // or these, with those that their rules ask for
	// What came of it: the generation with the members, 0 if there was nothing to evaluate; all profiles; the audiences.
	Generation int64             `json:"generation,omitempty"`
	Profiles   int64             `json:"profiles"`
	Counts     []EvaluationCount `json:"counts,omitempty"`
}

// EvaluationCount is how an audience changed in one evaluation (SEG-05, SEG-07).
type EvaluationCount struct {
	AudienceID AudienceID `json:"audienceId"`
	Name       string     `json:"name"`
	Qualified  int64      `json:"qualified"` // members now
	Realized   int64      `json:"realized"`  // of these, new ones
	Exited     int64      `json:"exited"`    // who has left
	// Namespaces are the members that have an identity of each namespace; one member may count in several.
	Namespaces map[string]int64 `json:"namespaces,omitempty"`
}

// Covers reports whether the evaluation evaluates an audience; "" stands for all of them.
func (e Evaluation) Covers(id AudienceID) bool {
	return e.All || id != "" && slices.Contains(e.Audiences, id)
}

// With returns the evaluation with one more audience; "" stands for all of them.
func (e Evaluation) With(id AudienceID) Evaluation {
	switch {
	case e.Covers(id):
	case id == "":
		e.All, e.Audiences, e.Trigger = true, nil, BySchedule
	default:
		e.Audiences = append(slices.Clone(e.Audiences), id)
	}
	return e
}

// EvaluationMode says what makes a sandbox evaluate its audiences by itself.
type EvaluationMode string

// The modes.
const (
	EvaluateOff         EvaluationMode = "off"
	EvaluateDaily       EvaluationMode = "daily"        // at Time (SEG-04)
	EvaluateEvery       EvaluationMode = "every"        // so many Hours, from 00:00 UTC
	EvaluateAfterIngest EvaluationMode = "after-ingest" // EvaluationQuiet after the last one
)

// An evaluation after ingest waits until nothing came for the quiet time, but not longer than the patience.
const (
	EvaluationQuiet    = time.Minute
	EvaluationPatience = 15 * time.Minute
)

// EvaluationSchedule says when a sandbox evaluates all its audiences by itself; one per sandbox (SEG-04).
type EvaluationSchedule struct {
	Sandbox string         `json:"sandbox"`
	Mode    EvaluationMode `json:"mode"`
	Time    string         `json:"time,omitempty"`       // HH:MM in UTC
	Hours   int            `json:"everyHours,omitempty"` // 1, 3, 6 or 12
	NextAt  *time.Time     `json:"nextAt,omitempty"`
	// What an evaluation after ingest knows: the newest generation whose uploads were seen, and since when some
	// of them wait.
	Seen  int64      `json:"-"`
	Since *time.Time `json:"-"`
}

// Validate checks a schedule before it is stored.
func (s EvaluationSchedule) Validate() error {
	var errs fieldErrors
	switch s.Mode {
	case EvaluateOff, EvaluateAfterIngest:
	case EvaluateDaily:
		if _, err := time.Parse(timeLayout, s.Time); err != nil || len(s.Time) != len(timeLayout) {
			errs.add("/time", "SCHED-1005", "the time is HH:MM in UTC, not %s", Quote(s.Time))
		}
	case EvaluateEvery:
		if !slices.Contains([]int{1, 3, 6, 12}, s.Hours) {
			errs.add("/everyHours", "SCHED-1001", "audiences are evaluated every 1, 3, 6 or 12 hours, not %d", s.Hours)
		}
	default:
		errs.add("/mode", "SCHED-1006", "the mode is off, daily, every or after-ingest, not %s", Quote(string(s.Mode)))
	}
	return errs.err("the schedule")
}

// Every is the distance of two evaluations; 0 if it is not known before.
func (s EvaluationSchedule) Every() time.Duration {
	switch s.Mode {
	case EvaluateDaily:
		return 24 * time.Hour
	case EvaluateEvery:
		return time.Duration(s.Hours) * time.Hour
	}
	return 0
}

// Latest returns the last slot that is not after t; ok is false when the mode has no slots.
func (s EvaluationSchedule) Latest(t time.Time) (slot time.Time, ok bool) {
	every := s.Every()
	if every <= 0 {
		return time.Time{}, false
	}
	var anchor time.Duration // after midnight
	if s.Mode == EvaluateDaily {
		at, err := time.Parse(timeLayout, s.Time)
		if err != nil {
			return time.Time{}, false
		}
		anchor = time.Duration(at.Hour())*time.Hour + time.Duration(at.Minute())*time.Minute
	}
	return t.UTC().Add(-anchor).Truncate(every).Add(anchor), true // the zero time of Truncate is a midnight
}

// Next returns the first slot after t; ok is false when the mode has no slots.
func (s EvaluationSchedule) Next(t time.Time) (slot time.Time, ok bool) {
	slot, ok = s.Latest(t)
	return slot.Add(s.Every()), ok
}

// Ingested notes an upload that was seen at a time, up to a generation, and moves the evaluation after it.
func (s EvaluationSchedule) Ingested(generation int64, at time.Time) EvaluationSchedule {
	s.Seen = generation
	if s.Since == nil {
		s.Since = &at
	}
	next := at.Add(EvaluationQuiet)
	if last := s.Since.Add(EvaluationPatience); next.After(last) {
		next = last
	}
	s.NextAt = &next
	return s
}

// Warnings lists why exports of an item will hold less than somebody may expect, given when its audience is
// evaluated and how long it lives.
func (s EvaluationSchedule) Warnings(d Dataflow, it DataflowItem, a Audience) []string {
	var w []string
	warn := func(format string, args ...any) {
		w = append(w, fmt.Sprintf("audience %s: ", Quote(a.Name))+fmt.Sprintf(format, args...))
	}
	first, _, err := it.Schedule.Bounds()
	if a.ExpiresAt != nil && err == nil && !first.Before(*a.ExpiresAt) {
		warn("it expires at %s, before the first export, which will hold nobody; upload or refresh it in time", a.ExpiresAt.UTC().Format(time.RFC3339))
	}
	if a.Origin != RuleOrigin || d.EvaluateFirst {
		return w
	}
	switch every := it.Schedule.Frequency.every(); {
	case it.Schedule.AfterEvaluation() && s.Mode == EvaluateOff:
		warn("it is exported after evaluations, and nothing evaluates it by itself; set a schedule with: lakeward audience schedule")
	case it.Schedule.AfterEvaluation():
	case s.Mode == EvaluateDaily && a.EvaluatedAt == nil && err == nil && first.Sub(a.CreatedAt) < 24*time.Hour:
		warn("it is younger than 24 hours and evaluated once a day; start the daily schedule the next day, or let the dataflow evaluate it first")
	case s.Mode == EvaluateOff && a.EvaluatedAt == nil:
		warn("it was never evaluated, and nothing will evaluate it before an export, so that every export fails; set a schedule with: lakeward audience schedule, or let the dataflow evaluate it first")
	case s.Mode == EvaluateOff:
		warn("nothing evaluates it again, so that every export holds the members of %s; set a schedule with: lakeward audience schedule, or let the dataflow evaluate it first", a.EvaluatedAt.UTC().Format(time.RFC3339))
	case it.Schedule.Mode == IncrementalExport && every > 0 && s.Every() > every:
		warn("it is exported every %d hours and evaluated every %d; the exports between two evaluations will be empty", int(every.Hours()), int(s.Every().Hours()))
	}
	return w
}
