package lakeward

import (
	"slices"
	"strings"
	"time"
)

// DestinationID identifies a destination.
type DestinationID string

// FileType is the format of the exported files.
type FileType string

// The file types of audience exports (FMT-01). JSON and Parquet come with the writers of internal/encode.
const (
	CSV FileType = "CSV"
)

// Compression is the compression of the exported files (CMP-01).
type Compression string

// The compressions of a destination.
const (
	NoCompression Compression = "NONE"
	Gzip          Compression = "GZIP"
)

// MaxRowsPerFile is the hard limit of rows in one exported file (SPL-01).
const MaxRowsPerFile = 5_000_000

// DestinationTypeName is the display name of the connector (OBJ-01).
const DestinationTypeName = "Azure Data Lake Storage Gen2"

// CSVOptions are the formatting options of CSV files (FMT-05). Compression, the sixth, is the destination's.
type CSVOptions struct {
	Delimiter string `json:"delimiter"`
	Quote     string `json:"quote"`  // `"`, or "" for none
	Escape    string `json:"escape"` // `\` or `'`
	Empty     string `json:"emptyValue"`
	Null      string `json:"nullValue"`
}

// DefaultCSV returns the safe options: double quotes, so that no value can break a row (D30).
func DefaultCSV() CSVOptions {
	return CSVOptions{Delimiter: ",", Quote: `"`, Escape: `\`, Empty: "", Null: "null"}
}

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
	CSV         CSVOptions    `json:"csvOptions"`
	Manifest    bool          `json:"includeFileManifest"`
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

// Extension is what a data file's name ends in, with its dots (CMP-02).
func (d Destination) Extension() string {
	if d.Compression == Gzip {
		return ".csv.gz"
	}
	return ".csv"
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
	if d.FileType != CSV {
		errs.add("/fileType", "CSV-1010", "this version writes CSV; file type %s is not available", Quote(string(d.FileType)))
	}
	if d.Compression != NoCompression && d.Compression != Gzip {
		errs.add("/compression", "CSV-1011", "compression is NONE or GZIP, not %s", Quote(string(d.Compression)))
	}
	d.CSV.check(&errs)
	if d.RowsPerFile < 0 || d.RowsPerFile > MaxRowsPerFile {
		errs.add("/rowsPerFile", "SPL-1001", "rows per file is a number from 1 to %d", MaxRowsPerFile)
	}
	return errs.err("the destination")
}

func (o CSVOptions) check(errs *fieldErrors) {
	if !slices.Contains([]string{",", "\t", "|", ";", ":"}, o.Delimiter) {
		errs.add("/csvOptions/delimiter", "CSV-1001", `the delimiter is one of , \t | ; : and not %s`, Quote(o.Delimiter))
	}
	if o.Quote != `"` && o.Quote != "" {
		errs.add("/csvOptions/quote", "CSV-1003", `the quote character is " or none, not %s`, Quote(o.Quote))
	}
	if o.Escape != `\` && o.Escape != "'" {
		errs.add("/csvOptions/escape", "CSV-1003", `the escape character is \ or ', not %s`, Quote(o.Escape))
	}
	for pointer, v := range map[string]string{"/csvOptions/emptyValue": o.Empty, "/csvOptions/nullValue": o.Null} {
		if v != "" && v != "null" && v != `""` {
			errs.add(pointer, "CSV-1012", `the value is one of null, "" or nothing, not %s`, Quote(v))
		}
	}
}

// Warnings lists what is allowed but will surprise somebody.
func (d Destination) Warnings() []string {
	var w []string
	if d.Mode == CopyOnce {
		w = append(w, CopyOnceWarning)
	}
	if d.CSV.Empty == d.CSV.Null {
		w = append(w, "empty and null values are written alike and cannot be told apart")
	}
	if d.CSV.Quote == "" {
		w = append(w, "without a quote character, values that hold the delimiter or a line break cannot be told apart")
	}
	for s := range strings.SplitSeq(d.Folder, "/") {
		if strings.HasPrefix(s, "_") || strings.HasPrefix(s, ".") {
			w = append(w, "lake readers skip folders that start with _ or .")
		}
	}
	return w
}
