package engine_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/engine"
	"github.com/lakeward/lakeward/internal/lake/emulator"
	"github.com/lakeward/lakeward/internal/lake/emulator/emulatortest"
)

func (w *world) toFolder(flow lakeward.Dataflow, since *int64) (string, []lakeward.Run) {
	w.t.Helper()
	dir := filepath.Join(w.t.TempDir(), "to")
	runs := must[[]lakeward.Run](w.t)(w.ExportToFolder(w.t.Context(), engine.FolderExport{Sandbox: sandbox, Dataflow: string(flow.ID), Since: since, To: dir, Checksums: true}))
	return dir, runs
}

// The files of an export into a folder are those of a run, byte for byte, in the same places; no book knows of it.
func TestExportToFolder(t *testing.T) {
	for _, format := range []lakeward.Destination{{Compression: lakeward.Gzip}, {FileType: lakeward.JSON}, {FileType: lakeward.Parquet, Compression: lakeward.Gzip}} {
		t.Run(string(format.FileType), func(t *testing.T) {
			w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
			w.people("1,a@x.org,a2@x.org,Ann,30", "2,b@x.org,,Bob,40", "3,c@x.org,,\"C, D\",50", "4,,,Dan,60")
			w.audience("all", "age >= 0")
			format.Folder, format.RowsPerFile, format.Manifest = "out/%SEGMENT_NAME%", 2, true
			flow := w.flow(format, "all", every3h(), named("name", "name"), named("identityMap.Email", "mail"), named(statusField, "status"))
			r := w.export(flow)
			succeeded(t, r)
			dir, runs := w.toFolder(flow, nil)
			if runs[0].Counts != r.Counts || len(runs[0].Files) != len(r.Files) || len(r.Files) != 2 {
				t.Fatalf("counts %+v and %+v, files %+v", runs[0].Counts, r.Counts, runs[0].Files)
			}
			for i, f := range runs[0].Files {
				here := must[[]byte](t)(os.ReadFile(filepath.Join(dir, filepath.FromSlash(f.Path))))
				there := must[[]byte](t)(os.ReadFile(w.path(r.Files[i].Path)))
				if !bytes.Equal(here, there) || int64(len(here)) != f.Bytes || f.SHA256 != r.Files[i].SHA256 || filepath.Dir(f.Path) != filepath.Dir(r.Files[i].Path) {
					t.Errorf("%s has %d bytes, %s has %d", f.Path, len(here), r.Files[i].Path, len(there))
				}
			}
			if text := string(must[[]byte](t)(os.ReadFile(filepath.Join(dir, filepath.FromSlash(runs[0].Manifest))))); !strings.Contains(text, `"sinkPath":"/out/all"`) {
				t.Errorf("manifest %s", text)
			}
			if got := must[[]lakeward.Run](t)(w.store.Runs(t.Context(), sandbox, flow.ID, 10)); len(got) != 1 {
				t.Errorf("%d runs in the books", len(got))
			}
		})
	}
}

// What is there already is never replaced, and then nothing appears; a generation that is to come, or that was removed,
// is refused.
func TestExportToFolderIsAllOrNothing(t *testing.T) {
	inBubble(t, at(12), func(t *testing.T, w *world) {
		w.people("1,a@x.org,,Ann,30")
		w.audience("all", "age >= 0")
		flow := w.flow(lakeward.Destination{RowsPerFile: 1}, "all", every3h(), named("id", "id"))
		static := "%DESTINATION%_%SEGMENT_ID%"
		flow = w.edit(flow, func(d *lakeward.Dataflow) { d.Items[0].FileName = static })
		dir, runs := w.toFolder(flow, nil)
		w.upload("2,b@x.org,,Bob,40")
		w.evaluate()
		if err := os.Rename(filepath.Join(dir, runs[0].Files[0].Path), filepath.Join(dir, strings.Replace(runs[0].Files[0].Path, ".csv", "_2.csv", 1))); err != nil {
			t.Fatal(err)
		}
		future := int64(1000)
		for code, x := range map[string]engine.FolderExport{lakeward.FailConflict: {}, "DATA-1005": {Since: &future}} {
			x.Sandbox, x.Dataflow, x.To = sandbox, string(flow.ID), dir
			if _, err := w.ExportToFolder(t.Context(), x); lakeward.CodeOf(err) != code {
				t.Errorf("%v, want %s", err, code)
			}
		}
		if left := must[[]os.DirEntry](t)(os.ReadDir(dir)); len(left) != 1 {
			t.Errorf("%d files in the folder", len(left))
		}
	})
}

// SEG-06: an audience forgets after 30 days who left; an older window still tells, with the time of the evaluation.
func TestExitThatTheAudienceForgot(t *testing.T) {
	inBubble(t, at(12), func(t *testing.T, w *world) {
		w.people("1,a@x.org,,P1,30", "2,b@x.org,,P2,30", "3,c@x.org,,P3,30", "4,d@x.org,,P4,30")
		since := w.audience("adults", "age >= 18").Generation
		flow := w.flow(lakeward.Destination{Folder: "out"}, "adults", every3h(), named("id", "id"), named(statusField, "status"), named(qualifiedField, "at"))
		w.upload("1,a@x.org,,P1,10", "4,d@x.org,,P4,10")
		w.evaluate()
		time.Sleep(31 * 24 * time.Hour)
		w.upload("3,c@x.org,,P3,10")
		w.evaluate()
		stamp := time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
		dir, runs := w.toFolder(flow, &since)
		want := fmt.Sprintf("id,status,at\n1,exited,%s\n3,exited,%s\n4,exited,%s\n", stamp, stamp, stamp)
		if text := string(must[[]byte](t)(os.ReadFile(filepath.Join(dir, runs[0].Files[0].Path)))); text != want {
			t.Errorf("file is %q, want %q", text, want)
		}
		none := int64(0)
		dir, runs = w.toFolder(flow, &none)
		if text := string(must[[]byte](t)(os.ReadFile(filepath.Join(dir, runs[0].Files[0].Path)))); !strings.HasPrefix(text, "id,status,at\n2,realized,") || runs[0].Counts.Rows != 1 {
			t.Errorf("from the beginning: %q", text)
		}
	})
}

// A preview is what a run would write, cut after some rows: of the window where the next run is incremental.
func TestPreviewIsTheBeginningOfTheFile(t *testing.T) {
	inBubble(t, at(12), func(t *testing.T, w *world) {
		var rows []string
		for i := range 300 {
			rows = append(rows, fmt.Sprintf("%d,a%d@x.org,b%d@x.org,\"N, %d\",%d", i, i, i, i, i))
		}
		w.people(rows...)
		w.audience("all", "age >= 0")
		flow := w.flow(lakeward.Destination{Folder: "out"}, "all", every3h(), named("name", "name"), named("identityMap.Email", "mail"), named(statusField, "status"))
		preview := func(n int64, full bool) string {
			var out bytes.Buffer
			must[string](t)(w.PreviewDataflow(t.Context(), engine.Preview{Sandbox: sandbox, Dataflow: string(flow.ID), Rows: n, Full: full}, &out))
			return out.String()
		}
		var previews []string
		for _, n := range []int64{1, 7, 100, 599, 600, 601, 0} {
			previews = append(previews, preview(n, false))
		}
		file := string(must[[]byte](t)(os.ReadFile(w.path(w.slot(flow).Files[0].Path))))
		for i, n := range []int{1, 7, 100, 599, 600, 600, 600} {
			if got := previews[i]; !strings.HasPrefix(file, got) || strings.Count(got, "\n") != n+1 {
				t.Errorf("%d lines, want a header and %d rows as in the file", strings.Count(got, "\n"), n)
			}
		}
		if got := preview(10, false); got != "" {
			t.Errorf("nothing changed since: %q", got)
		}
		w.upload("7,a7@x.org,,Seven,-1")
		w.evaluate()
		if got := preview(10, false); got != "name,mail,status\nSeven,a7@x.org,exited\n" {
			t.Errorf("window: %q", got)
		}
		if got := preview(2, true); got != strings.Join(strings.SplitAfter(file, "\n")[:3], "") {
			t.Errorf("by hand: %q", got)
		}
	})
}

// NOW-03, NOW-05, E-15, DEL-01: what an export by hand refuses.
func TestExportByHandIsRefused(t *testing.T) {
	inBubble(t, at(12), func(t *testing.T, w *world) {
		w.people("1,a@x.org,,Ann,30")
		w.audience("all", "age >= 0")
		once := daily()
		once.Frequency = lakeward.Once
		flow := w.flow(lakeward.Destination{Folder: "out"}, "all", once, named("id", "id"))
		run := func(code string) {
			t.Helper()
			runs, err := w.RunDataflow(t.Context(), sandbox, string(flow.ID), nil)
			if lakeward.CodeOf(err) != code || (code == "") != (len(runs) == 1) {
				t.Errorf("%v, want code %q", err, code)
			}
			if err := w.Work(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		run("") // a start in the future does not matter
		succeeded(t, w.slot(flow))
		run("") // once, and done
		w.edit(flow, func(d *lakeward.Dataflow) { d.Enabled = false })
		run("FLOW-1005")
		w.edit(flow, func(d *lakeward.Dataflow) { d.Enabled = true })
		w.edit(flow, func(d *lakeward.Dataflow) {
			d.Items[0].Schedule = daily()
			d.Items[0].Schedule.EndDate = time.Now().UTC().AddDate(0, 0, 2).Format("2006-01-02")
		})
		run("")
		time.Sleep(2 * 24 * time.Hour)
		run("NOW-1001")
	})
}
