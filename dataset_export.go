package lakeward

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// DatasetsItem is the item of the runs of a dataflow of datasets: one run exports all of them.
const DatasetsItem = "datasets"

// DefaultDatasetFolders is where the files of a dataset lie below the destination's folder: a new folder for each export
// (DSX-14).
const DefaultDatasetFolders = "%DATASET_ID%/%EXPORT_TIME%"

// Limits of dataset exports (DSX-22).
const (
	EventDays             = 365 // older events are not exported
	maxDatasets           = 1000
	maxDatasetRows        = 10_000_000_000 // of a profile dataset
	maxPlainDatasetRows   = 1_000_000      // the same, as uncompressed Parquet
	softDatasetRows       = 5_000_000_000
	datasetEndMonths      = 6 // (DSX-12)
	datasetEndNoticeDays  = 7 // (DSX-13)
	datasetSuffix         = "-c000"
	longestDatasetFile    = len("part-00000-tid-0000000000000000000-00000000-0000-0000-0000-000000000000-00000-1" + datasetSuffix)
	exportTimeLayout      = "200601021504"
	datasetDirectoryLabel = "exportTime="
)

// DatasetExport is what a dataflow of datasets exports: which ones, when, and into which folders.
type DatasetExport struct {
	IDs      []DatasetID `json:"ids"`
	Schedule Schedule    `json:"schedule"`
	Folders  string      `json:"foldernameTemplate"` // below the destination's folder; "/" for none (DSX-17)
}

// DefaultDatasetSchedule is incremental, daily, 00:00 UTC, from tomorrow (DSX-07). It gets its end by WithEnd.
func DefaultDatasetSchedule(now time.Time) Schedule {
	s := DefaultSchedule(now)
	s.Mode = IncrementalExport
	return s
}

// WithEnd is a schedule of datasets for which nobody named an end: six months after its start (DSX-12).
func (s Schedule) WithEnd() Schedule {
	if start, err := time.Parse(dateLayout, s.StartDate); err == nil && s.Frequency != Once {
		s.EndDate = start.AddDate(0, datasetEndMonths, 0).Format(dateLayout)
	}
	return s
}

// check reports what is wrong with an export of datasets; before is the one that it replaces, if any.
func (x *DatasetExport) check(errs *fieldErrors, now time.Time, before *DatasetExport) {
	if len(x.IDs) == 0 || len(x.IDs) > maxDatasets {
		errs.add("/datasets/ids", "FLOW-1001", "a dataflow has 1 to %d datasets, not %d", maxDatasets, len(x.IDs))
	}
	for i, id := range x.IDs {
		if slices.Contains(x.IDs[:i], id) {
			errs.add(fmt.Sprintf("/datasets/ids/%d", i), "FLOW-1002", "the dataset stands twice in the dataflow")
		}
	}
	if x.Folders == "" {
		x.Folders = DefaultDatasetFolders
	}
	if _, err := parseDatasetFolders(x.Folders); err != nil {
		errs.adopt("/datasets/foldernameTemplate", err)
	}
	var old *Schedule
	if before != nil {
		old = &before.Schedule
	}
	const at = "/datasets/schedule"
	x.Schedule.check(errs, at, now, old)
	switch {
	case x.Schedule.Mode == FullExport && x.Schedule.Frequency != Once:
		errs.add(at+"/frequency", "SCHED-1001", "full files of datasets are exported ONCE, not %s", Quote(string(x.Schedule.Frequency)))
	case x.Schedule.AfterEvaluation():
		errs.add(at+"/triggerType", "SCHED-1006", "datasets are not exported after evaluations")
	}
}

// CheckDatasetDestination checks that datasets can be written there (CON-12, CON-13, CON-14).
func CheckDatasetDestination(d Destination) error {
	var errs fieldErrors
	switch {
	case d.FileType == CSV:
		errs.add("/destination", "CSV-1010", "datasets are exported as JSON or PARQUET, and the destination %s writes CSV", Quote(d.Name))
	case d.FileType == JSON && d.Compression == NoCompression:
		errs.add("/destination", "CSV-1011", "JSON files of datasets are always compressed, and those of the destination %s are not", Quote(d.Name))
	}
	if strings.Contains(d.Folder, "%SEGMENT_") {
		errs.add("/destination", "PATH-1010", "the folder of the destination %s is named after audiences", Quote(d.Name))
	}
	return errs.err("the dataflow")
}

// datasetMacros may stand in the folders of datasets (DSX-16).
func datasetMacros() []string {
	return []string{"DATASET_ID", "DATASET_NAME", "EXPORT_TIME", "DESTINATION", "DESTINATION_NAME", "DATETIME", "TIMESTAMP", "DESTINATION_INSTANCE_ID", "DESTINATION_INSTANCE_NAME", "ORGANIZATION_NAME", "SANDBOX_NAME"}
}

// parseDatasetFolders splits a template into levels.
func parseDatasetFolders(template string) ([][]nameToken, error) {
	var out [][]nameToken
	template = strings.Trim(template, "/")
	if template == "" {
		return nil, nil
	}
	for level := range strings.SplitSeq(template, "/") {
		tokens, err := parseTemplate(level, datasetMacros())
		if err != nil {
			return nil, err
		}
		plain := ""
		for _, t := range tokens {
			if t.macro == "" {
				plain += t.text
			} else {
				plain += "x"
			}
		}
		if err := checkSegment(plain); err != nil {
			return nil, err
		}
		out = append(out, tokens)
	}
	if len(out) > maxFolderSegments {
		return nil, invalid("PATH-1006", "the folder path has %d levels; at most %d", len(out), maxFolderSegments)
	}
	return out, nil
}

// Folder is where the files of a dataset lie: below the destination's folder, which has no macros left.
func (x DatasetExport) Folder(base string, v NameValues) (string, error) {
	levels, err := parseDatasetFolders(x.Folders)
	if err != nil {
		return "", err
	}
	out := base
	for _, tokens := range levels {
		s := expandTokens(tokens, v)
		if s == "" || strings.Trim(s, ".") == "" || len(s) > maxSegmentBytes {
			return "", invalid("PATH-1001", "a folder level is empty, only dots or too long once its macros are filled")
		}
		out = join(out, s)
	}
	return out, checkPath(out, strings.Repeat("x", longestDatasetFile), "")
}

// datasetFile is the name of a part of a dataset in a run: unique, and the same whenever it is asked for (DSX-18).
func datasetFile(run RunID, dataset DatasetID, k int, extension string) string {
	sum := sha256.Sum256([]byte("lakeward/part/v1\n" + string(run) + "\n" + string(dataset)))
	number := binary.BigEndian.Uint64(sum[:8])%9_000_000_000_000_000_000 + 1_000_000_000_000_000_000
	return fmt.Sprintf("part-%05d-tid-%d-%s-%d-1%s%s", k, number, formatUUID([16]byte(sum[8:24]), 8), k+1, datasetSuffix, extension)
}

// PlannedDataset is a dataset as a run pinned it.
type PlannedDataset struct {
	ID     DatasetID   `json:"id"`
	Name   string      `json:"name"`
	Class  SchemaClass `json:"class"`
	Fields []Field     `json:"fields"`
	Folder string      `json:"folder"` // resolved
	Parts  int         `json:"parts"`  // number of files
}

// DatasetWindow is the part of a dataset's history that a run exports: the batches in (From, To], all up to To if From is nil
// (DLV-123).
type DatasetWindow struct {
	Dataset DatasetID `json:"dataset"`
	From    *int64    `json:"fromGeneration"`
	To      int64     `json:"toGeneration"`
}

// datasetPath is the final path of file k of a run of datasets: the parts of one dataset come behind those of the one before.
func (p Plan) datasetPath(k int) string {
	last := PlannedDataset{Folder: p.Folder}
	for _, d := range p.Datasets {
		if last = d; k < d.Parts {
			break
		}
		k -= d.Parts
	}
	return join(last.Folder, datasetFile(p.Run, last.ID, k, p.Extension()))
}

// datasetFolder is the deepest folder that all files of the run have in common (DLV-18).
func (p Plan) datasetFolder() string {
	common, some := p.Folder, false
	for _, d := range p.Datasets {
		if d.Parts == 0 {
			continue
		}
		if !some {
			common, some = d.Folder, true
		}
		for common != "" && d.Folder != common && !strings.HasPrefix(d.Folder, common+"/") {
			if common = path.Dir(common); common == "." {
				common = ""
			}
		}
	}
	return common
}

// CheckRows refuses what is too much for one export; rows are those of the whole dataset (DSX-22).
func (d PlannedDataset) CheckRows(rows int64, dest Destination) error {
	limit := int64(maxDatasetRows)
	if dest.FileType == Parquet && dest.Compression == NoCompression {
		limit = maxPlainDatasetRows
	}
	if d.Class == EventClass || rows < limit {
		return nil
	}
	msg := fmt.Sprintf("the dataset %s has %d records; fewer than %d can be exported", Quote(d.Name), rows, limit)
	if limit == maxPlainDatasetRows {
		msg += " as uncompressed Parquet, so choose a destination with compression"
	}
	return &Error{Kind: Invalid, Code: FailSource, Msg: msg}
}

// Notices lists what somebody who looks at the dataflow at a time should know (DSX-13, DSX-22). rows are those of each dataset.
func (x DatasetExport) Notices(at time.Time, rows []int64) []string {
	var out []string
	_, end, err := x.Schedule.Bounds()
	switch {
	case err != nil || end.IsZero():
	case !at.Before(end):
		out = append(out, "the exports have ended; a later end date lets them go on")
	case end.Sub(at) < datasetEndNoticeDays*24*time.Hour:
		out = append(out, "the exports end before "+end.Format(time.RFC3339))
	}
	if len(x.IDs) > 1 && strings.Trim(x.Folders, "/") == "" {
		out = append(out, "the files of all datasets lie in one folder")
	}
	for _, n := range rows {
		if n > softDatasetRows {
			out = append(out, fmt.Sprintf("a dataset has %d records; at most %d are recommended", n, int64(softDatasetRows)))
		}
	}
	return out
}
