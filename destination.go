package lakeward

import (
	"strings"
	"time"
)

// DestinationID identifies a destination.
type DestinationID string

// MaxRowsPerFile is the hard limit of rows in one exported file (SPL-01).
const MaxRowsPerFile = 5_000_000

// DestinationTypeName is the display name of the connector (OBJ-01).
const DestinationTypeName = "Azure Data Lake Storage Gen2"

// Destination is an account plus a folder and the way files look there (OBJ-03).
type Destination struct {
	ID          DestinationID `json:"id"`
	Sandbox     string        `json:"sandbox"`
	Name        string        `json:"name"`
	Description string        `json:"description,omitempty"`
	AccountID   AccountID     `json:"accountId"`
	Folder      string        `json:"path"` // normalised: no outer slashes; "" is the container root
	FileType    FileType      `json:"fileType"`
	Compression Compression   `json:"compression"`
	CSV         CSVOptions    `json:"csvOptions,omitzero"` // of file type CSV only
	Manifest    bool          `json:"includeFileManifest"`
	// Nested lets whole arrays, maps and objects be mapped, which keep their structure (CAL-03).
	Nested bool `json:"exportArraysMapsObjects,omitempty"`
	// Extensions allows what goes beyond the reference: options and compressions that other readers may not expect.
	Extensions bool `json:"extensions,omitempty"`
	// SuccessFile puts an empty file _SUCCESS behind the data files; an extension.
	SuccessFile bool `json:"successFile,omitempty"`
	// Mode is how files become visible; the connection test finds it.
	Mode Mode `json:"mode,omitempty"`
	// RowsPerFile cuts files earlier than MaxRowsPerFile; 0 means the maximum.
	RowsPerFile int64     `json:"rowsPerFile,omitempty"`
	CreatedAt   time.Time `json:"createdAt"`
	ETag        int       `json:"etag"`
}

// Mode is how the files of a run become visible (DLV-100).
type Mode string

// The modes. The empty one publishes by rename: nothing is visible before it is complete.
const (
	ByRename Mode = ""
	CopyOnce Mode = "copy-once" // files are written under their final names; the manifest is last
)

// CopyOnceWarning is what users of a weaker destination must know.
const CopyOnceWarning = "this storage cannot rename, so deliveries work in mode copy-once: files may be visible before the manifest, and readers of the manifest are safe; if a run with static file names fails, the previous file is lost"

// PartRows is the largest number of rows in one file of the destination.
func (d Destination) PartRows() int64 {
	if d.RowsPerFile > 0 {
		return d.RowsPerFile
	}
	return MaxRowsPerFile
}

// Validate checks the fields of a destination and normalises its folder; all that is wrong is reported at once.
func (d *Destination) Validate() error {
	var errs fieldErrors
	checkName(&errs, d.Name)
	checkText(&errs, "/description", d.Description)
	folder, err := ParseFolder(d.Folder)
	if err != nil {
		errs.adopt("/path", err)
	}
	d.Folder = folder
	d.checkFormat(&errs)
	if d.RowsPerFile < 0 || d.RowsPerFile > MaxRowsPerFile {
		errs.add("/rowsPerFile", "SPL-1001", "rows per file is a number from 1 to %d", MaxRowsPerFile)
	}
	return errs.err("the destination")
}

// Warnings lists what is allowed but will surprise somebody.
func (d Destination) Warnings() []string {
	var w []string
	if d.Mode == CopyOnce {
		w = append(w, CopyOnceWarning)
	}
	if d.FileType == CSV && d.CSV.Empty == d.CSV.Null {
		w = append(w, "empty and null values are written alike and cannot be told apart")
	}
	if d.FileType == CSV && d.CSV.Quote == "" {
		w = append(w, "without a quote character, values that hold the delimiter or a line break cannot be told apart")
	}
	for s := range strings.SplitSeq(d.Folder, "/") {
		if strings.HasPrefix(s, "_") || strings.HasPrefix(s, ".") {
			w = append(w, "lake readers skip folders that start with _ or .")
		}
	}
	return w
}
