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
	Kind        string // "ingest" or "evaluation"
	At          time.Time
	NextNumber  uint32
	Batch       *Batch
	Audience    *Audience // stored, or replaced, with its membership
	Task        *Task     // an evaluation that the change ends, at its EndedAt
	Profiles    []ProfileFile
	Memberships []Membership
	Identities  Bitmap // profiles whose identities changed (RUN-03)
}

// IdentityChange is the set of profiles whose identities one generation changed.
type IdentityChange struct {
	At      time.Time
	Numbers Bitmap
}
