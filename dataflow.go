package lakeward

import (
	"fmt"
	"strings"
	"time"
)

// DataflowID identifies a dataflow.
type DataflowID string

// Dataflow says which audiences go to a destination, how and when (OBJ-05).
type Dataflow struct {
	ID            DataflowID     `json:"id"`
	Sandbox       string         `json:"sandbox"`
	Name          string         `json:"name"`
	Description   string         `json:"description,omitempty"`
	DestinationID DestinationID  `json:"destinationId"`
	Enabled       bool           `json:"enabled"`
	EvaluateFirst bool           `json:"evaluateFirst"` // audiences are evaluated before each scheduled export
	Items         []DataflowItem `json:"audiences"`
	Mapping       []Mapping      `json:"mapping"`
	Base          string         `json:"base"` // folder of <sys>, fixed at creation (DLV-16)
	Rev           int            `json:"rev"`  // grows with every edit; a run keeps the one it pinned
	CreatedAt     time.Time      `json:"createdAt"`
}

// DataflowItem is one audience of a dataflow with its schedule and file name.
type DataflowItem struct {
	AudienceID AudienceID `json:"audienceId"`
	Schedule   Schedule   `json:"schedule"`
	FileName   string     `json:"filenameTemplate"`
	// Of an uploaded audience: the payload columns that its files get behind the mapped ones, and whether they get none
	// of them for now (ENR-02, ENR-03).
	Enrichment   []string `json:"enrichmentAttributes,omitempty"`
	NoEnrichment bool     `json:"excludeEnrichment,omitempty"`
}

const (
	maxAudiences  = 1000
	softAudiences = 250
)

// MaxUploaded is how many uploaded audiences a dataflow may have (AUD-03).
const MaxUploaded = 10

// Validate checks what can be checked without looking at other things. now is for schedules (SCH-17).
func (d *Dataflow) Validate(now time.Time) error { return d.ValidateEdit(Dataflow{}, now) }

// ValidateEdit checks a dataflow that replaces an old one: a start that stays may lie in the past (SCH-21).
func (d *Dataflow) ValidateEdit(old Dataflow, now time.Time) error {
	var errs fieldErrors
	checkName(&errs, d.Name)
	checkText(&errs, "/description", d.Description)
	d.Mapping = NormalizeMapping(d.Mapping)
	checkMapping(&errs, d.Mapping)
	if len(d.Items) == 0 || len(d.Items) > maxAudiences {
		errs.add("/audiences", "FLOW-1001", "a dataflow has 1 to %d audiences, not %d", maxAudiences, len(d.Items))
	}
	seen := map[AudienceID]bool{}
	for i := range d.Items {
		it := &d.Items[i]
		at := fmt.Sprintf("/audiences/%d", i)
		if seen[it.AudienceID] {
			errs.add(at+"/audienceId", "FLOW-1002", "the audience stands twice in the dataflow")
		}
		seen[it.AudienceID] = true
		if it.FileName == "" {
			it.FileName = DefaultFileName
		}
		var before *Schedule
		if was, ok := old.Item(it.AudienceID); ok {
			before = &was.Schedule
		}
		it.Schedule.check(&errs, at+"/schedule", now, before)
	}
	return errs.err("the dataflow")
}

// CheckFrequencies refuses the frequencies that only a setting offers (D02).
func (d Dataflow) CheckFrequencies() error {
	var errs fieldErrors
	for i, it := range d.Items {
		if it.Schedule.Frequency.Extended() {
			errs.add(fmt.Sprintf("/audiences/%d/schedule/frequency", i), "SCHED-1001", "the frequency %s is not offered", it.Schedule.Frequency)
			errs.hint("use ONCE or DAILY, or set schedules.extendedFrequencies in lakeward.yaml")
		}
	}
	return errs.err("the dataflow")
}

// CheckNames checks the file names of all audiences against the destination (NAM-03, NAM-12).
func (d Dataflow) CheckNames(dest Destination) error {
	var errs fieldErrors
	for i, it := range d.Items {
		v := NameValues{AudienceID: string(it.AudienceID), DataflowID: string(d.ID), DataflowName: d.Name, Sandbox: d.Sandbox}
		if err := ValidateFileName(it.FileName, dest.Extension(), v); err != nil {
			errs.adopt(fmt.Sprintf("/audiences/%d/filenameTemplate", i), err)
		}
	}
	return errs.err("the dataflow")
}

// Warnings lists what is allowed but will surprise somebody.
func (d Dataflow) Warnings() []string {
	var w []string
	if len(d.Mapping) > softMappings {
		w = append(w, fmt.Sprintf("%d mapped columns; at most %d are recommended", len(d.Mapping), softMappings))
	}
	if len(d.Items) > softAudiences {
		w = append(w, fmt.Sprintf("%d audiences; at most %d are recommended in one dataflow", len(d.Items), softAudiences))
	}
	for _, it := range d.Items {
		if start, _, err := it.Schedule.Bounds(); err == nil && !start.Before(d.CreatedAt) && start.Sub(d.CreatedAt) < startSoon {
			w = append(w, "the first export is due at "+start.Format(time.RFC3339)+", within minutes")
		}
		if !strings.Contains(it.FileName, "%DATETIME") && !strings.Contains(it.FileName, "%TIMESTAMP%") {
			w = append(w, "a file name without date and time is static: every export replaces the file before it")
		}
	}
	return w
}

// Item returns the dataflow's item of an audience; ok is false if the audience is not part of it.
func (d Dataflow) Item(id AudienceID) (item DataflowItem, ok bool) {
	for _, it := range d.Items {
		if it.AudienceID == id {
			return it, true
		}
	}
	return DataflowItem{}, false
}
