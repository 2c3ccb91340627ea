package lakeward

import "time"

// Profile is what is known of one profile at a generation.
type Profile struct {
	Number      uint32              `json:"number"` // permanent in its sandbox
	Generation  int64               `json:"generation"`
	Attributes  []ProfileAttribute  `json:"attributes"` // those that are not null
	Identities  []ProfileIdentity   `json:"identities"`
	Memberships []ProfileMembership `json:"memberships"`
	Sources     []ProfileSource     `json:"sources"` // the newest first
	// Others are further profiles with the identity that was asked for (PRF-03), the first of them.
	Others []uint32 `json:"others,omitempty"`
}

// ProfileAttribute is a value of the union schema, as text.
type ProfileAttribute struct {
	Field string    `json:"field"`
	Type  FieldType `json:"type"`
	Value string    `json:"value"`
}

// ProfileIdentity is one identity of a profile: primary if a record is kept under it.
type ProfileIdentity struct {
	Namespace string    `json:"namespace"`
	Value     string    `json:"value"`
	Primary   bool      `json:"primary"`
	Dataset   DatasetID `json:"dataset"` // whose newest record names it; of an import, the audience
	Name      string    `json:"datasetName,omitempty"`
}

// ProfileMembership is the state of a profile in an audience (SEG-06).
type ProfileMembership struct {
	Audience              AudienceID       `json:"audience"`
	Name                  string           `json:"name"`
	Status                MembershipStatus `json:"status"`
	LastQualificationTime time.Time        `json:"lastQualificationTime"`
}

// ProfileSource is a record that a profile is made of.
type ProfileSource struct {
	Dataset DatasetID `json:"dataset"`
	Name    string    `json:"datasetName,omitempty"`
	Batch   BatchID   `json:"batch,omitempty"` // "" for profiles of before, whose batches are not known
	Row     int64     `json:"row"`             // of the batch, from 0; -1 if it is not known
}

// ProfileRef names a profile of a merge policy: by an identity, or by its number.
type ProfileRef struct {
	MergePolicy      string // name or id, "" is the default one
	Namespace, Value string
	Number           *uint32
}
