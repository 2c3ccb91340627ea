package lakeward

import "time"

// DatasetID identifies a dataset.
type DatasetID string

// BatchID identifies a batch.
type BatchID string

// Dataset is a named set of records of one schema.
type Dataset struct {
	ID          DatasetID `json:"id"`
	Sandbox     string    `json:"sandbox"`
	Name        string    `json:"name"`
	Description string    `json:"description,omitempty"`
	SchemaID    SchemaID  `json:"schemaId"`
	CreatedAt   time.Time `json:"createdAt"`
	Rows        int64     `json:"rows"`    // over all batches
	Batches     int       `json:"batches"` // committed ones
}

// Validate checks a dataset before it is stored.
func (d *Dataset) Validate() error {
	var errs fieldErrors
	checkName(&errs, d.Name)
	checkText(&errs, "/description", d.Description)
	return errs.err("the dataset")
}

// Batch is one upload into a dataset, all or nothing.
type Batch struct {
	ID          BatchID   `json:"id"`
	DatasetID   DatasetID `json:"datasetId"`
	Source      string    `json:"source"` // the name of the file, a label
	Rows        int64     `json:"rows"`
	Profiles    int64     `json:"profiles"`    // profiles that the batch made or changed
	NewProfiles int64     `json:"newProfiles"` // of these, new ones
	// Rejected counts the rows that were left out, Examples are the first of them; they name no value.
	Rejected   int64         `json:"rejected,omitempty"`
	Examples   []RejectedRow `json:"rejectedRows,omitempty"`
	Generation int64         `json:"generation"`
	// Import is the identity of an audience's import: the column that holds it and its namespace.
	Import    *ImportIdentity `json:"import,omitempty"`
	CreatedAt time.Time       `json:"createdAt"`
	Files     []DataFile      `json:"-"`
	// Payload holds the rows of an uploaded audience once more, sorted by profile, for exports that add its columns.
	Payload []DataFile `json:"-"`
}

// ImportIdentity says which column of an imported file identifies the profiles.
type ImportIdentity struct {
	Column    string `json:"column"`
	Namespace string `json:"namespace"`
}

// DataFile is one immutable file at rest; Path is relative to the data directory.
type DataFile struct {
	Path   string `json:"path"`
	Rows   int64  `json:"rows"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	// Payload says that the file repeats rows of its batch, by profile.
	Payload bool `json:"payload,omitempty"`
}

// RejectedRow is a row of an upload that was not taken. It names no value of the row.
type RejectedRow struct {
	Line   int64  `json:"line"` // 1-based, of the file
	Field  string `json:"field,omitempty"`
	Reason string `json:"reason"`
}
