package lakeward

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// DataflowID identifies a dataflow.
type DataflowID string

// Dataflow says which audiences or datasets go to a destination, how and when (OBJ-05).
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
	Datasets      *DatasetExport `json:"datasets,omitempty"` // instead of audiences and a mapping
	Base          string         `json:"base"`               // folder of <sys>, fixed at creation (DLV-16)
	Rev           int            `json:"rev"`                // grows with every edit; a run keeps the one it pinned
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
	if d.Datasets != nil {
		if len(d.Items) > 0 || len(d.Mapping) > 0 {
			errs.add("/datasets", "FLOW-1007", "a dataflow exports audiences or datasets, not both; datasets have no mapping")
		}
		d.EvaluateFirst = false
		d.Datasets.check(&errs, now, old.Datasets)
		return errs.err("the dataflow")
	}
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
	if d.Datasets != nil {
		return nil // they have none
	}
	for i, it := range d.Items {
		if it.Schedule.Frequency.Extended() {
			errs.add(fmt.Sprintf("/audiences/%d/schedule/frequency", i), "SCHED-1001", "the frequency %s is not offered", it.Schedule.Frequency)
			errs.hint("use ONCE or DAILY, or set schedules.extendedFrequencies in lakeward.yaml")
		}
	}
	return errs.err("the dataflow")
}

// CheckNames checks the file names of all audiences against the destination (NAM-03, NAM-12, DLV-17).
func (d Dataflow) CheckNames(dest Destination, organization string) error {
	var errs fieldErrors
	for i, it := range d.Items {
		at, v := fmt.Sprintf("/audiences/%d/filenameTemplate", i), d.Names(Audience{ID: it.AudienceID}, organization, time.Time{})
		// A key may come to the account later, so every name leaves room for its suffix (ENC-03, N13).
		if err := ValidateFileName(it.FileName, dest.Extension()+EncryptedSuffix, v); err != nil {
			errs.adopt(at, err)
			continue
		}
		if _, _, err := dest.Place(it.FileName, dest.Extension()+EncryptedSuffix, v); err != nil && CodeOf(err) != "PATH-1001" { // a level that is the audience's name
			errs.adopt(at, err)
		}
	}
	if dest.SuccessFile && len(d.Items) > 1 && !strings.Contains(dest.Folder, "%SEGMENT_") {
		errs.add("/audiences", "NAME-1020", "the success files of %d audiences would lie at one place; put %%SEGMENT_ID%% into the path of the destination", len(d.Items))
	}
	return errs.err("the dataflow")
}

// Names are what the macros of an item's names expand to at a time.
func (d Dataflow) Names(a Audience, organization string, at time.Time) NameValues {
	return NameValues{AudienceID: string(a.ID), AudienceName: a.Name, DataflowID: string(d.ID), DataflowName: d.Name, Organization: organization, Sandbox: d.Sandbox, GeneratedAt: at}
}

// MapsStatus reports whether the files tell who is a member, so that who left can be told (RUN-05).
func (d Dataflow) MapsStatus() bool {
	return slices.ContainsFunc(d.Mapping, func(m Mapping) bool { return m.Kind() == StatusSource })
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

// Entry is what of a dataflow has slots of its own: an audience, or all datasets together.
type Entry struct {
	Item     string
	Schedule Schedule
}

// Entries lists them.
func (d Dataflow) Entries() []Entry {
	if d.Datasets != nil {
		return []Entry{{DatasetsItem, d.Datasets.Schedule}}
	}
	out := make([]Entry, len(d.Items))
	for i, it := range d.Items {
		out[i] = Entry{string(it.AudienceID), it.Schedule}
	}
	return out
}

// Entry returns one of them; ok is false if it is not part of the dataflow.
func (d Dataflow) Entry(item string) (e Entry, ok bool) {
	for _, e := range d.Entries() {
		if e.Item == item {
			return e, true
		}
	}
	return Entry{}, false
}
