package lakeward

import "time"

// Bitmap is a set of profile numbers in the portable form of Roaring bitmaps. Only
// internal/warehouse looks inside.
type Bitmap []byte

// Snapshot names the files of the profile store at one generation: a numbered state of a sandbox.
type Snapshot struct {
	Sandbox     string
	Generation  int64
	Hash        string        // hex, of the chain of generations (DLV-125)
	NextNumber  uint32        // of the next new profile; numbers are never reused
	Profiles    []ProfileFile // oldest first; of a profile in several, the newest wins
	Memberships []Membership  // the newest of each audience
	Events      []EventFile
	// ProfilesGone says that profile files of this old generation were removed: only memberships can be read.
	ProfilesGone bool
}

// EventFile holds events of profiles, sorted by number, time and id, with the fields of their schema.
type EventFile struct {
	Table   DataFile
	Numbers Bitmap // of the profiles
}

// ProfileFile holds rows of profiles, sorted by number, and beside them their identities.
type ProfileFile struct {
	Table      DataFile
	Identities DataFile
	Numbers    Bitmap // of the rows
}

// Membership is the state of one audience: a file of (number, status, lastQualificationTime)
// with a row for each member and each profile that has left.
type Membership struct {
	Audience    AudienceID
	Table       DataFile
	Members     Bitmap // realized
	Exited      Bitmap
	Count       int64 // of the members
	EvaluatedAt time.Time
}

// Change is what one commit adds to the profile store.
type Change struct {
	Base        int64  // the generation that the change was computed from
	Kind        string // "ingest", "evaluation" or CompactionChange
	At          time.Time
	NextNumber  uint32
	Batch       *Batch
	Audience    *Audience // stored, or replaced, with its membership
	Task        *Task     // an evaluation that the change ends, at its EndedAt
	Profiles    []ProfileFile
	Memberships []Membership
	Events      []EventFile
	Identities  Bitmap // profiles whose identities changed (RUN-03)
	// Replaced are the paths of the profile tables that Profiles stand for from now on; Place is the generation
	// that they were merged from. Both belong to a compaction.
	Replaced       []string
	Place          int64
	ReplacedEvents []string // the same of event files, for which no order matters
}

// CompactionChange is the kind of a change that merges files and leaves every profile and membership as it is.
const CompactionChange = "compaction"

// Compaction is what a compaction of the data at rest did.
type Compaction struct {
	Merged       int   `json:"merged"`       // profile files that were merged
	Written      int   `json:"written"`      // what they became
	Profiles     int64 `json:"profiles"`     // rows written
	Superseded   int64 `json:"superseded"`   // rows left out, because newer ones stand elsewhere
	Generation   int64 `json:"generation"`   // of the last merge, 0 if there was none
	RemovedFiles int   `json:"removedFiles"` // files of old generations that nothing needs any more
	RemovedBytes int64 `json:"removedBytes"`
}

// IdentityChange is the set of profiles whose identities one generation changed.
type IdentityChange struct {
	At      time.Time
	Numbers Bitmap
}
