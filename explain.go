package lakeward

import "time"

// Outcome is what became of a profile in a run.
type Outcome string

// The outcomes.
const (
	WasWritten       Outcome = "written"               // as a member
	WasWrittenExited Outcome = "written-exited"        // because it left the audience
	WasNoMember      Outcome = "not-a-member"          // neither now nor at the last export
	WasUnchanged     Outcome = "unchanged"             // a member at both ends of the window, with the same identities
	WasLeftUntold    Outcome = "left-untold"           // it left, and the status is not mapped
	WasOptedOut      Outcome = "opted-out"             // a member, left out because it opted out of everything
	WasGone          Outcome = "gone"                  // deleted, or joined with another profile
	WasWithoutID     Outcome = "no-identity"           // no value in the mapped namespace
	WasIncomplete    Outcome = "mandatory-missing"     // no value in a mandatory field
	WasDuplicate     Outcome = "deduplicated"          // another profile has the same key
	WasForgotten     Outcome = "facts-removed"         // what would tell was removed since
	WasNotDelivered  Outcome = "run-delivered-nothing" // the run was not
)

// Explanation says what became of a profile in a run, and why, from stored facts alone.
type Explanation struct {
	Run      RunID      `json:"run"`
	State    RunState   `json:"state"`
	Audience AudienceID `json:"audience"`
	Number   uint32     `json:"profile"`
	From     *int64     `json:"fromGeneration"` // nil for a full run
	To       int64      `json:"toGeneration"`
	At       *time.Time `json:"generatedAt,omitempty"`
	Outcome  Outcome    `json:"outcome"`
	Facts    []string   `json:"facts"`          // in the order in which the run looked at them; no value of the profile is named
	File     string     `json:"file,omitempty"` // that holds its rows
	Rows     int64      `json:"rows,omitempty"`
	Winner   *uint32    `json:"winner,omitempty"` // the profile that has the key
}

// ProfileKey names a profile: by its number, or by an identity.
type ProfileKey struct {
	Number           *uint32
	Namespace, Value string
}
