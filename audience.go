package lakeward

import (
	"regexp"
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

// Audience is a named set of profiles.
type Audience struct {
	ID          AudienceID `json:"id"`
	Sandbox     string     `json:"sandbox"`
	Name        string     `json:"name"`
	Description string     `json:"description,omitempty"`
	Origin      Origin     `json:"origin"`
	Rule        string     `json:"rule,omitempty"`      // PQL text of a rule audience
	Namespace   string     `json:"namespace,omitempty"` // of the primary identity of an uploaded one
	// MergePolicy is the policy whose profiles are its members; "" is the first one of the sandbox.
	MergePolicy MergePolicyID `json:"mergePolicyId,omitempty"`
	CreatedAt   time.Time     `json:"createdAt"`
	// The state of the latest evaluation or import; zero before it.
	Members     int64      `json:"members"`
	EvaluatedAt *time.Time `json:"evaluatedAt,omitempty"`
	Generation  int64      `json:"generation,omitempty"`
	Breakdown   *Breakdown `json:"breakdown,omitempty"` // nil before it, and where nobody asked for it
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
	return errs.err("the audience")
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
