package lakeward

import "time"

// Bitmap is a set of profile numbers in the portable form of Roaring bitmaps. Only
// internal/warehouse looks inside.
type Bitmap []byte

// Snapshot names the files of the profile store at one generation: a numbered state of a sandbox, as one merge
// policy sees it. Each policy has its own profiles and its own numbers.
type Snapshot struct {
	Sandbox    string
	Policy     MergePolicyID
	Generation int64
	Hash       string // hex, of the chain of generations (DLV-125)
	// IdentityState is the hash of the newest generation that changed who has which identity, "" if none did.
	IdentityState string
	NextNumber    uint32        // of the next new profile; numbers are never reused
	Profiles      []ProfileFile // oldest first; of a profile in several, the newest wins
	Memberships   []Membership  // the newest of each audience
	Heirs         []Heirs       // since the oldest membership, by generation
	Events        []EventFile
	EventHeirs    []Heirs // of the numbers in Events
	// ProfilesGone says that profile files of this old generation were removed: only memberships can be read.
	ProfilesGone bool
}

// EventFile holds events of profiles, sorted by number, time and id, with the fields of their schema.
type EventFile struct {
	Table   DataFile
	Numbers Bitmap // of the profiles
}

// ProfileFile holds rows of profiles, sorted by number, and beside them their identities and the records
// that they are made of. One without files takes its profiles away: they were deleted, or joined with others.
type ProfileFile struct {
	Table      DataFile
	Identities DataFile
	Fragments  DataFile
	Numbers    Bitmap // of the rows
}

// Heirs says which profiles of one generation carry on others: the survivor of a join, the parts of a
// split. An heir is a member where the one that it carries on was, until the next evaluation decides.
type Heirs struct {
	Generation int64
	Pairs      []byte // the number of a profile and that of its heir, 4 bytes each, little-endian
}

// Deletion is what one generation deleted: the sums of the primary identities of the profiles, since
// their values must not stand anywhere.
type Deletion struct {
	Generation int64
	At         time.Time
	Sums       []byte // SHA-256, 32 bytes each
}

// Membership is the state of one audience: a file of (number, status, lastQualificationTime)
// with a row for each member and each profile that has left.
type Membership struct {
	Audience    AudienceID
	Generation  int64 // that it was committed with
	Table       DataFile
	Members     Bitmap // realized
	Exited      Bitmap
	Count       int64 // of the members
	EvaluatedAt time.Time
}

// Change is what one commit adds to the profile store.
type Change struct {
	Base        int64  // the generation that the change was computed from
	Kind        string // "ingest", "dataset" for records that feed no profiles, "evaluation", "delete", "rebuild" or CompactionChange
	At          time.Time
	Batch       *Batch
	Audience    *Audience     // stored, or replaced, with its membership
	Task        *Task         // an evaluation that the change ends, at its EndedAt
	Policies    []MergePolicy // stored, or replaced, with the profiles that follow them
	Dropped     MergePolicyID // removed, with its profiles
	Deleted     []byte        // as in Deletion
	Of          MergePolicyID // whose profiles the following are; "" is the first policy of a sandbox
	NextNumber  uint32
	Rebuilt     bool // the profile and event files before this generation end with it
	Profiles    []ProfileFile
	Events      []EventFile
	Memberships []Membership
	Identities  Bitmap // profiles whose identities changed (RUN-03)
	Heirs       []byte // as in Heirs
	Others      []ProfileChange
	// Replaced are the paths of the profile tables that Profiles stand for from now on; Place is the generation
	// that they were merged from. ReplacedEvents are those of event files, for which no order matters. All belong
	// to a compaction.
	Replaced       []string
	Place          int64
	ReplacedEvents []string
}

// ProfileChange is what a commit adds to the profiles of one more policy.
type ProfileChange struct {
	Of         MergePolicyID
	NextNumber uint32
	Rebuilt    bool
	Profiles   []ProfileFile
	Events     []EventFile
	Identities Bitmap
	Heirs      []byte
}

// ByPolicy lists what a commit adds to the profiles of each policy.
func (c Change) ByPolicy() []ProfileChange {
	first := ProfileChange{Of: c.Of, NextNumber: c.NextNumber, Rebuilt: c.Rebuilt, Profiles: c.Profiles, Events: c.Events, Identities: c.Identities, Heirs: c.Heirs}
	if first.Of == "" {
		first.Of = FirstPolicy
	}
	return append([]ProfileChange{first}, c.Others...)
}

// CompactionChange is the kind of a change that merges files and leaves every profile and membership as it is.
const CompactionChange = "compaction"

// Compaction is what a compaction of the data at rest did.
type Compaction struct {
	Merged       int   `json:"merged"`       // files that were merged
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
