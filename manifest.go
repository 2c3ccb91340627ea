package lakeward

import (
	"bytes"
	"encoding/json"
	"path"
	"time"
)

// Manifest is the JSON list of a run's files (MFT-03).
type Manifest struct {
	FlowRunID     RunID            `json:"flowRunId"`
	ScheduledTime string           `json:"scheduledTime"`
	ExportResults []ManifestResult `json:"exportResults"`
}

// ManifestResult is one exported file: its folder, its name and its size in bytes as stored (MFT-06).
type ManifestResult struct {
	SinkPath string `json:"sinkPath"`
	Name     string `json:"name"`
	Size     int64  `json:"size"`
}

// NewManifest lists files under their final paths; scheduled is the slot time (MFT-05).
func NewManifest(run RunID, scheduled time.Time, files []File) Manifest {
	m := Manifest{FlowRunID: run, ScheduledTime: scheduled.UTC().Format(time.RFC3339), ExportResults: []ManifestResult{}}
	for _, f := range files {
		if f.Success {
			continue // it exports nothing
		}
		m.ExportResults = append(m.ExportResults, ManifestResult{SinkPath: path.Join("/", path.Dir(f.Path)), Name: path.Base(f.Path), Size: f.Bytes})
	}
	return m
}

// Bytes is the manifest as one line without a trailing newline (MFT-03). It ends in a
// brace, so a reader can tell a whole one. Characters that need no escape stand as they are.
func (m Manifest) Bytes() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(m); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// ManifestName is the file name of a run's manifest (MFT-02, MFT-09).
func ManifestName(flow DataflowID, run RunID) string {
	return "manifest-" + string(flow) + "-" + string(run) + ".json"
}
