package lakeward_test

import (
	"strings"
	"testing"
	"time"

	"github.com/lakeward/lakeward"
)

// DSX-22: what is too much fails the run; events have no such limit.
func TestDatasetLimits(t *testing.T) {
	plain := lakeward.Destination{FileType: lakeward.Parquet, Compression: lakeward.NoCompression}
	packed := lakeward.Destination{FileType: lakeward.Parquet, Compression: lakeward.Gzip}
	json := lakeward.Destination{FileType: lakeward.JSON, Compression: lakeward.Gzip}
	for _, test := range []struct {
		name  string
		class lakeward.SchemaClass
		dest  lakeward.Destination
		rows  int64
		ok    bool
	}{
		{"plain Parquet, under a million", lakeward.RecordClass, plain, 999_999, true},
		{"plain Parquet, a million", lakeward.RecordClass, plain, 1_000_000, false},
		{"packed Parquet, a million", lakeward.RecordClass, packed, 1_000_000, true},
		{"packed Parquet, under 10 billion", lakeward.RecordClass, packed, 9_999_999_999, true},
		{"packed Parquet, 10 billion", lakeward.RecordClass, packed, 10_000_000_000, false},
		{"JSON, 10 billion", lakeward.RecordClass, json, 10_000_000_000, false},
		{"events", lakeward.EventClass, plain, 10_000_000_000, true},
	} {
		err := lakeward.PlannedDataset{Name: "d", Class: test.class}.CheckRows(test.rows, test.dest)
		if (err == nil) != test.ok || err != nil && lakeward.CodeOf(err) != lakeward.FailSource {
			t.Errorf("%s: %v", test.name, err)
		}
	}
	x := lakeward.DatasetExport{IDs: []lakeward.DatasetID{"a", "b"}, Schedule: lakeward.DefaultDatasetSchedule(time.Now()), Folders: "/"}
	if got := strings.Join(x.Notices(time.Now(), []int64{5_000_000_000, 5_000_000_001}), "; "); got != "the files of all datasets lie in one folder; a dataset has 5000000001 records; at most 5000000000 are recommended" {
		t.Errorf("notices %q", got)
	}
}

// DSX-12, D23: six months after the start; of an export that comes once there is no end.
func TestDatasetEnd(t *testing.T) {
	s := lakeward.DefaultDatasetSchedule(time.Date(2025, 1, 3, 12, 0, 0, 0, time.UTC)).WithEnd()
	if s.StartDate != "2025-01-04" || s.EndDate != "2025-07-04" || s.Mode != lakeward.IncrementalExport {
		t.Errorf("schedule %+v", s)
	}
	s.Frequency, s.EndDate = lakeward.Once, ""
	if s = s.WithEnd(); s.EndDate != "" {
		t.Errorf("once ends at %s", s.EndDate)
	}
}

// DSX-18, DLV-18: names of files are unique and the same whenever they are asked for; the manifest lies in the deepest folder
// that the files have in common.
func TestDatasetFiles(t *testing.T) {
	plan := func(folders ...string) lakeward.Plan {
		p := lakeward.Plan{Dataflow: lakeward.Dataflow{ID: "f"}, Destination: lakeward.Destination{FileType: lakeward.JSON, Compression: lakeward.Gzip, Manifest: true}, Folder: "dl", Run: "r", Datasets: []lakeward.PlannedDataset{}}
		for i, folder := range folders {
			p.Datasets = append(p.Datasets, lakeward.PlannedDataset{ID: lakeward.DatasetID("abc"[i : i+1]), Folder: folder, Parts: 2})
		}
		return p
	}
	p, seen := plan("dl/a/t", "dl/b/t"), map[string]bool{}
	for k := range 4 {
		name := p.FilePath(k)
		if seen[name] || name != p.FilePath(k) || !strings.HasPrefix(name, []string{"dl/a/t/part-00000-", "dl/a/t/part-00001-", "dl/b/t/part-00000-", "dl/b/t/part-00001-"}[k]) || !strings.HasSuffix(name, "-c000.json.gz") {
			t.Errorf("file %d is %s", k, name)
		}
		seen[name] = true
	}
	for want, p := range map[string]lakeward.Plan{"dl/a/t/": plan("dl/a/t"), "dl/": plan("dl/a/t", "dl/ab/t"), "dl/x/": plan("dl/x/1", "dl/x/2", "dl/x/1")} {
		if got := p.ManifestPath("r"); got != want+"manifest-f-r.json" {
			t.Errorf("manifest %s, want it in %s", got, want)
		}
	}
	nothing := plan("dl/a/t")
	nothing.Datasets[0].Parts = 0
	if got := nothing.ManifestPath("r"); got != "dl/manifest-f-r.json" {
		t.Errorf("without a file: %s", got)
	}
}
