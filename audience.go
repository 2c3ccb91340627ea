package lakeward

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// AudienceID identifies an audience.
type AudienceID string

// Origin says where an audience comes from (AUD-01).
type Origin string

// The origins.
const (
	RuleOrigin   Origin = "segmentation"  // evaluated here from a rule
	UploadOrigin Origin = "custom-upload" // imported from CSV
)

// AudienceState says what may be done with an audience (AUD-05).
type AudienceState string

// The states.
const (
	Draft     AudienceState = "draft"     // not evaluated, not exported
	Published AudienceState = "published" // evaluated; dataflows may have it
	Inactive  AudienceState = "inactive"  // put aside, with the members that it had
)

// To returns the state that follows s, or an error if the step is not allowed. Nothing becomes a draft again.
func (s AudienceState) To(next AudienceState) (AudienceState, error) {
	if s != next && (next == Published || s == Published && next == Inactive) {
		return next, nil
	}
	return s, &Error{Kind: Conflict, Code: "AUD-1002", Msg: fmt.Sprintf("an audience that is %s cannot become %s", s, next)}
}

// Audience is a named set of profiles.
type Audience struct {
	ID          AudienceID    `json:"id"`
	Sandbox     string        `json:"sandbox"`
	Name        string        `json:"name"`
	Description string        `json:"description,omitempty"`
	Tags        []string      `json:"tags,omitempty"`
	Folder      string        `json:"folder,omitempty"` // names with slashes between, "" for none
	Origin      Origin        `json:"origin"`
	State       AudienceState `json:"state"`
	Rule        string        `json:"rule,omitempty"` // PQL text of a rule audience
	CreatedAt   time.Time     `json:"createdAt"`
	// What only an uploaded audience has: the namespace of its primary identity, and the column that holds it; the columns
	// of the latest file, of which all others are payload (CSV-UP-03); the name elsewhere (CSV-UP-04); its life (CSV-UP-05).
	Namespace   string     `json:"namespace,omitempty"`
	Identity    string     `json:"identityColumn,omitempty"`
	Columns     []string   `json:"columns,omitempty"`
	ExternalID  string     `json:"externalId,omitempty"`
	ExpireDays  int        `json:"expireDays,omitempty"`
	ExpiresAt   *time.Time `json:"expiresAt,omitempty"` // nil for those that were uploaded before there was an expiry
	RefreshedAt *time.Time `json:"refreshedAt,omitempty"`
	// MergePolicy is the policy whose profiles are the members; "" is the first one of the sandbox.
	MergePolicy MergePolicyID `json:"mergePolicyId,omitempty"`
	// The state of the latest evaluation or import; zero before it.
	Members     int64      `json:"members"`
	EvaluatedAt *time.Time `json:"evaluatedAt,omitempty"`
	Generation  int64      `json:"generation,omitempty"`
	Breakdown   *Breakdown `json:"breakdown,omitempty"` // nil before it, and where nobody asked for it
	Ingested    *Ingested  `json:"ingested,omitempty"`  // of an uploaded one, where somebody asked for it
}

// Ingested is how the latest upload of an audience went (AUD-09).
type Ingested struct {
	Batch    BatchID   `json:"batch"`
	At       time.Time `json:"at"`
	Records  int64     `json:"records"`
	Failed   int64     `json:"failed"`
	New      int64     `json:"newProfiles"`
	Existing int64     `json:"existingProfiles"`
}

// Policy is the merge policy whose profiles are the members.
func (a Audience) Policy() MergePolicyID {
	if a.MergePolicy == "" {
		return FirstPolicy
	}
	return a.MergePolicy
}

// Breakdown says how the members of an audience changed in its latest evaluation or import (SEG-07).
type Breakdown struct {
	Realized int64 `json:"realized"` // newly qualified
	Existing int64 `json:"existing"` // stayed
	Exiting  int64 `json:"exiting"`  // left
}

// Validate checks an audience before it is stored; the rule is checked by its language.
func (a *Audience) Validate() error {
	var errs fieldErrors
	checkName(&errs, a.Name)
	checkText(&errs, "/description", a.Description)
	if a.Origin == RuleOrigin && a.Rule == "" {
		errs.add("/rule", "RULE-1004", "a rule is required")
	}
	a.checkTags(&errs)
	if a.Origin == UploadOrigin {
		a.checkUpload(&errs)
	}
	return errs.err("the audience")
}

// Limits of the words that sort audiences.
const (
	maxTags   = 50
	maxTag    = 64 // characters
	maxFolder = 255
)

// checkTags brings tags and folder into their one form and checks them.
func (a *Audience) checkTags(errs *fieldErrors) {
	var tags []string
	for _, t := range a.Tags {
		if t = strings.TrimSpace(t); t != "" && !slices.Contains(tags, t) {
			tags = append(tags, t)
		}
	}
	a.Tags = tags
	if len(tags) > maxTags {
		errs.add("/tags", "AUD-1006", "an audience has at most %d tags, not %d", maxTags, len(tags))
	}
	for _, t := range tags {
		if !plainName(t, maxTag) {
			errs.add("/tags", "AUD-1006", "the tag %s is longer than %d characters or holds a control character", Quote(t), maxTag)
		}
	}
	a.Folder = strings.Trim(a.Folder, "/")
	if a.Folder == "" {
		return
	}
	if !plainName(a.Folder, maxFolder) {
		errs.add("/folder", "AUD-1006", "the folder is longer than %d characters or holds a control character", maxFolder)
	}
	for _, level := range strings.Split(a.Folder, "/") {
		if strings.TrimSpace(level) == "" || level == "." || level == ".." {
			errs.add("/folder", "AUD-1006", "the folder %s has a level without a name", Quote(a.Folder))
			return
		}
	}
}

// Limits of the life of an uploaded audience (CSV-UP-05).
const (
	DefaultExpireDays = 30
	maxExpireDays     = 90
	refreshWithin     = 7 * 24 * time.Hour
	refreshPause      = 20 * time.Minute
)

func (a *Audience) checkUpload(errs *fieldErrors) {
	if a.ExpiresAt != nil && (a.ExpireDays < 1 || a.ExpireDays > maxExpireDays) {
		errs.add("/expireDays", "AUD-1005", "an uploaded audience expires after 1 to %d days, not %d", maxExpireDays, a.ExpireDays)
	}
	if a.ExternalID != "" && !regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]*$`).MatchString(a.ExternalID) || len(a.ExternalID) > maxName {
		errs.add("/externalId", "AUD-1004", "the external id %s does not begin with a letter, _ or $ and go on with letters, digits, _ and $", Quote(a.ExternalID))
	}
}

// Restart sets the expiry of an uploaded audience anew: it was uploaded or changed at a time (CSV-UP-05).
func (a *Audience) Restart(at time.Time) {
	expires := at.AddDate(0, 0, a.ExpireDays)
	a.ExpiresAt, a.RefreshedAt = &expires, nil
}

// Expired reports whether an uploaded audience has no members any more by its age.
func (a Audience) Expired(at time.Time) bool { return a.ExpiresAt != nil && !at.Before(*a.ExpiresAt) }

// Refresh extends the life of an uploaded audience by as many days as it had, in the last 7 days of it and not
// within 20 minutes of the last time (CSV-UP-05).
func (a *Audience) Refresh(at time.Time) error {
	refuse := func(format string, args ...any) error {
		return &Error{Kind: Conflict, Code: "AUD-1003", Msg: "the audience " + Quote(a.Name) + " " + fmt.Sprintf(format, args...)}
	}
	switch {
	case a.Origin != UploadOrigin:
		return refuse("has a rule and does not expire")
	case a.ExpiresAt == nil:
		return refuse("does not expire; upload it again to give it an expiry")
	case a.Expired(at):
		return refuse("has expired at %s; upload it again", a.ExpiresAt.UTC().Format(time.RFC3339))
	case a.RefreshedAt != nil && at.Sub(*a.RefreshedAt) < refreshPause:
		return refuse("was refreshed at %s; it can be again 20 minutes after that", a.RefreshedAt.UTC().Format(time.RFC3339))
	case at.Before(a.ExpiresAt.Add(-refreshWithin)):
		return refuse("expires at %s; it can be refreshed in the last 7 days before that", a.ExpiresAt.UTC().Format(time.RFC3339))
	}
	expires := a.ExpiresAt.AddDate(0, 0, a.ExpireDays)
	a.ExpiresAt, a.RefreshedAt = &expires, &at
	return nil
}

// Activatable fails if the audience cannot be put into a dataflow (AUD-05, CSV-UP-05).
func (a Audience) Activatable(at time.Time) error {
	switch {
	case a.State != Published:
		return &Error{Kind: Conflict, Code: "AUD-1001", Msg: "the audience " + Quote(a.Name) + " is " + string(a.State) + "; publish it with: lakeward audience publish"}
	case a.Expired(at):
		return &Error{Kind: Conflict, Code: "AUD-1001", Msg: "the audience " + Quote(a.Name) + " has expired and has no members; upload it again"}
	}
	return nil
}

// AudienceFilter picks audiences; what is empty picks all.
type AudienceFilter struct {
	Tags   []string // all of them
	Folder string   // that one and those in it
	Origin Origin
	State  AudienceState
}

// Match reports whether the filter picks an audience.
func (f AudienceFilter) Match(a Audience) bool {
	folder := strings.Trim(f.Folder, "/")
	for _, t := range f.Tags {
		if !slices.Contains(a.Tags, t) {
			return false
		}
	}
	return (folder == "" || a.Folder == folder || strings.HasPrefix(a.Folder, folder+"/")) && (f.Origin == "" || a.Origin == f.Origin) && (f.State == "" || a.State == f.State)
}

// Limits of an audience import (CSV-UP-02).
const (
	MaxImportColumns = 25
	MaxImportBytes   = 1_000_000_000
)

// CheckImportHeader checks the column names of an audience import (CSV-UP-02, CSV-UP-03).
func CheckImportHeader(header []string, identity string) error {
	var errs fieldErrors
	if len(header) > MaxImportColumns {
		errs.add("/file", "UPL-1005", "the file has %d columns; at most %d", len(header), MaxImportColumns)
	}
	name := regexp.MustCompile(`^[^\s-]+$`)
	found := false
	seen := map[string]bool{}
	for _, h := range header {
		if !name.MatchString(h) {
			errs.add("/file", "UPL-1005", "the column name %s holds a blank or a dash, or is empty", Quote(h))
		}
		if seen[h] {
			errs.add("/file", "UPL-1005", "the column name %s stands twice", Quote(h))
		}
		seen[h] = true
		found = found || h == identity
	}
	if !found {
		errs.add("/identityColumn", "UPL-1005", "the file has no column %s", Quote(identity))
		errs.hint(Suggestion(identity, header))
	}
	return errs.err("the file")
}

// MembershipStatus is the state of one profile in an audience.
type MembershipStatus string

// The written states (RUN-07).
const (
	Realized MembershipStatus = "realized"
	Exited   MembershipStatus = "exited"
)
