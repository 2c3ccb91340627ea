package engine_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/engine"
	"github.com/lakeward/lakeward/internal/lake/emulator"
	"github.com/lakeward/lakeward/internal/lake/emulator/emulatortest"
	"github.com/lakeward/lakeward/internal/parquet"
	"github.com/lakeward/lakeward/internal/vector"
)

const placesJSON = `{"properties": {"id": {"type": "string"}, "home": {"type": "object", "properties": {"city": {"type": "string"}, "zip": {"type": "integer", "xdmType": "int"}}},
  "tags": {"type": "array", "items": {"type": "string"}}}}`

// dataset makes a dataset of a schema of its own.
func (w *world) newDataset(name, schema string, class lakeward.SchemaClass) lakeward.Dataset {
	w.t.Helper()
	fields := must[[]lakeward.Field](w.t)(lakeward.ParseSchema([]byte(schema), ""))
	must[lakeward.Schema](w.t)(w.CreateSchema(w.t.Context(), lakeward.Schema{Sandbox: sandbox, Name: name, Class: class, Fields: fields}))
	return must[lakeward.Dataset](w.t)(w.CreateDataset(w.t.Context(), lakeward.Dataset{Sandbox: sandbox, Name: name}, name))
}

func (w *world) records(dataset string, lines ...string) lakeward.Batch {
	w.t.Helper()
	return must[lakeward.Batch](w.t)(w.UploadDataset(w.t.Context(), engine.Upload{Sandbox: sandbox, Dataset: dataset, Name: dataset + ".ndjson"}, strings.NewReader(strings.Join(lines, "\n")+"\n")))
}

// datasetFlow makes a destination and a dataflow of datasets.
func (w *world) datasetFlow(dest lakeward.Destination, x lakeward.DatasetExport) (lakeward.Dataflow, error) {
	w.t.Helper()
	ctx := context.Background()
	a := emulatortest.Account(w.lake)
	a.Name = lakeward.NewID()
	if _, _, err := w.CreateAccount(ctx, a, true); err != nil {
		w.t.Fatal(err)
	}
	dest.Name, dest.Sandbox = lakeward.NewID(), sandbox
	if dest.FileType == lakeward.CSV {
		dest.CSV = lakeward.DefaultCSV()
	}
	must[lakeward.Destination](w.t)(w.CreateDestination(ctx, dest, a.Name, true))
	return w.CreateDataflow(ctx, lakeward.Dataflow{Name: "sets", Sandbox: sandbox, Datasets: &x}, dest.Name)
}

// datasetSlot performs the next slot of a dataflow of datasets.
func (w *world) datasetSlot(flow lakeward.Dataflow) lakeward.Run {
	w.t.Helper()
	next := must[*time.Time](w.t)(w.store.NextSlot(context.Background(), flow.ID, lakeward.DatasetsItem))
	time.Sleep(time.Until(*next))
	w.work(flow)
	return w.newest(flow)
}

// text is what the files of a run hold, uncompressed.
func (w *world) text(r lakeward.Run) string {
	w.t.Helper()
	var out bytes.Buffer
	for _, f := range r.Files {
		z := must[*gzip.Reader](w.t)(gzip.NewReader(bytes.NewReader(must[[]byte](w.t)(os.ReadFile(w.path(f.Path))))))
		must[int64](w.t)(io.Copy(&out, z))
	}
	return out.String()
}

func hourly(day time.Time) lakeward.Schedule {
	return lakeward.Schedule{Mode: lakeward.IncrementalExport, Frequency: lakeward.Every6Hours, StartDate: day.Format("2006-01-02"), StartTime: "06:00"}
}

// DSX-09, DSX-14, DSX-18, DLV-123, FMT-14, FMT-15, INV-10: first everything, then what arrived since the last success; nested
// fields as such, nulls left out; a folder for each slot. A failed run widens the next window of all its datasets.
func TestDatasetExport(t *testing.T) {
	start := at(12)
	inBubble(t, start, func(t *testing.T, w *world) {
		places, other := w.newDataset("places", placesJSON, lakeward.RecordClass), w.newDataset("other", placesJSON, lakeward.RecordClass)
		w.records("places", `{"id":"1","home":{"city":"Bern","zip":3000},"tags":["a","b"]}`, `{"id":"2"}`)
		flow, err := w.datasetFlow(lakeward.Destination{Folder: "dl", FileType: lakeward.JSON, Compression: lakeward.Gzip, Manifest: true},
			lakeward.DatasetExport{IDs: []lakeward.DatasetID{"places", "other"}, Schedule: hourly(start.AddDate(0, 0, 1))})
		if err != nil {
			t.Fatal(err)
		}
		first := w.datasetSlot(flow)
		succeeded(t, first)
		if got, want := w.text(first), `{"id":"1","home":{"city":"Bern","zip":3000},"tags":["a","b"]}`+"\n"+`{"id":"2"}`+"\n"; got != want {
			t.Errorf("backfill %q, want %q", got, want)
		}
		if first.Counts != (lakeward.Counts{Received: 2, Activated: 2, Rows: 2}) || len(first.Files) != 2 || first.Item != "datasets" {
			t.Fatalf("counts %+v, files %+v", first.Counts, first.Files)
		}
		folder := fmt.Sprintf("dl/%s/exportTime=%s", places.ID, start.AddDate(0, 0, 1).Format("20060102")+"0600")
		if ok, _ := regexp.MatchString(`^part-00000-tid-\d{19}-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}-\d+-1-c000\.json\.gz$`, path.Base(first.Files[0].Path)); !ok || path.Dir(first.Files[0].Path) != folder {
			t.Errorf("file %s, want it in %s", first.Files[0].Path, folder)
		}
		if path.Dir(first.Manifest) != "dl" {
			t.Errorf("DLV-18: the manifest is %s", first.Manifest)
		}

		w.records("places", `{"id":"3"}`)
		disarm := w.lake.Arm(emulator.Fault{Op: "flush", Do: emulator.Status, Code: 403})
		if r := w.datasetSlot(flow); r.State != lakeward.Failed {
			t.Fatalf("the run is %s", r.State)
		}
		disarm()
		w.records("other", `{"id":"4"}`)
		byHand := w.export(flow)
		succeeded(t, byHand)
		if byHand.Counts.Rows != 4 {
			t.Errorf("by hand: %+v", byHand.Counts)
		}
		second := w.datasetSlot(flow)
		succeeded(t, second)
		if got, want := w.text(second), "{\"id\":\"3\"}\n{\"id\":\"4\"}\n"; got != want {
			t.Errorf("window %q, want %q", got, want)
		}
		for i, win := range second.Windows {
			if win.From == nil || *win.From != first.Windows[i].To || win.To != second.ToGeneration {
				t.Errorf("INV-10: window %d is %+v, the one before %+v", i, win, first.Windows[i])
			}
		}
		quiet := w.datasetSlot(flow)
		succeeded(t, quiet)
		if len(quiet.Files) != 0 || quiet.Manifest == "" {
			t.Errorf("nothing arrived: %+v", quiet.Files)
		}

		// D13, EDT-02: taken out and put back, a dataset begins anew; the other one goes on.
		w.edit(flow, func(d *lakeward.Dataflow) { d.Datasets.IDs = d.Datasets.IDs[1:] })
		w.edit(flow, func(d *lakeward.Dataflow) { d.Datasets.IDs = append(d.Datasets.IDs, places.ID) })
		again := w.datasetSlot(flow)
		if again.Counts.Rows != 3 || again.Windows[0].Dataset != other.ID || again.Windows[0].From == nil || again.Windows[1].From != nil {
			t.Errorf("counts %+v, windows %+v", again.Counts, again.Windows)
		}
		for _, r := range []lakeward.Run{first, second, quiet, again} {
			if v := must[lakeward.Verification](t)(w.VerifyRun(t.Context(), sandbox, string(r.ID))); !v.OK() {
				t.Errorf("verify: %+v", v.Problems)
			}
		}
	})
}

// DSX-22: events older than 365 days stay away, counted; files are cut, whatever the batches.
func TestEventDatasetExport(t *testing.T) {
	start := at(12)
	inBubble(t, start, func(t *testing.T, w *world) {
		w.newDataset("visits", `{"properties": {"id": {"type": "string"}, "timestamp": {"type": "string", "format": "date-time"}}}`, lakeward.EventClass)
		visit := func(id int, age time.Duration) string {
			return fmt.Sprintf(`{"id":"%d","timestamp":"%s"}`, id, start.Add(-age).Format(time.RFC3339))
		}
		day := 24 * time.Hour
		w.records("visits", visit(1, 400*day), visit(2, 100*day), visit(3, 364*day), visit(4, 365*day+day), visit(5, day))
		w.records("visits", visit(6, 1000*day))
		w.records("visits", visit(7, 0))
		once := hourly(start.AddDate(0, 0, 1))
		once.Mode, once.Frequency = lakeward.FullExport, lakeward.Once
		flow, err := w.datasetFlow(lakeward.Destination{Folder: "dl", FileType: lakeward.JSON, Compression: lakeward.Gzip, RowsPerFile: 3}, lakeward.DatasetExport{IDs: []lakeward.DatasetID{"visits"}, Schedule: once, Folders: "/"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Until(start.Add(12 * time.Hour)))
		r := w.datasetSlot(flow)
		succeeded(t, r)
		var ids []string
		for _, m := range regexp.MustCompile(`"id":"(\d)"`).FindAllStringSubmatch(w.text(r), -1) {
			ids = append(ids, m[1])
		}
		equal(t, "events", ids, []string{"2", "3", "5", "7"})
		if want := (lakeward.Counts{Received: 7, Activated: 4, Rows: 4, ExcludedOld: 3}); r.Counts != want || len(r.Files) != 2 || r.Files[0].Rows != 3 || path.Dir(r.Files[0].Path) != "dl" {
			t.Errorf("counts %+v, files %+v", r.Counts, r.Files)
		}
		if next := must[*time.Time](t)(w.store.NextSlot(t.Context(), flow.ID, lakeward.DatasetsItem)); next != nil {
			t.Errorf("DSX-07: a full export comes again at %v", next)
		}
	})
}

// parquetRows are the ids of a delivered Parquet file, with the city of the nested field.
func (w *world) parquetRows(f lakeward.File) []string {
	w.t.Helper()
	data := must[[]byte](w.t)(os.ReadFile(w.path(f.Path)))
	file := must[*parquet.File](w.t)(parquet.Open(bytes.NewReader(data), int64(len(data))))
	r := must[*parquet.Reader](w.t)(file.Reader([]string{"id", "home.city"}, []vector.Kind{vector.String, vector.String}))
	defer r.Close()
	var rows []int64
	for i := range file.Rows() {
		rows = append(rows, i)
	}
	cols := make([]vector.Vector, 2)
	if err := r.Gather(rows, cols); err != nil {
		w.t.Fatal(err)
	}
	var out []string
	for i := range rows {
		city := "-"
		if !cols[1].IsNull(i) {
			city = string(cols[1].Str(i))
		}
		out = append(out, string(cols[0].Str(i))+" "+city)
	}
	return out
}

// E-12, DSX-19, DSX-22: Parquet with any compression; of Snappy the files at rest are delivered as they are unless the schema
// grew since. On storage without a rename too.
func TestParquetDatasetExport(t *testing.T) {
	t.Parallel()
	for mode, account := range accounts() {
		for _, packed := range []lakeward.Compression{lakeward.NoCompression, lakeward.Gzip, lakeward.Snappy} {
			if mode == "copy-once" && packed != lakeward.Gzip {
				continue
			}
			t.Run(mode+" "+string(packed), func(t *testing.T) {
				w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true, Accounts: []string{account}}))
				places := w.newDataset("places", placesJSON, lakeward.RecordClass)
				batch := w.records("places", `{"id":"1","home":{"city":"Bern"}}`, `{"id":"2"}`)
				flow, err := w.datasetFlow(lakeward.Destination{Folder: "dl", FileType: lakeward.Parquet, Compression: packed, Extensions: packed == lakeward.Snappy, Manifest: true},
					lakeward.DatasetExport{IDs: []lakeward.DatasetID{"places"}, Schedule: hourly(time.Now().AddDate(0, 0, 1))})
				if err != nil {
					t.Fatal(err)
				}
				r := w.export(flow)
				succeeded(t, r)
				equal(t, "rows", w.parquetRows(r.Files[0]), []string{"1 Bern", "2 -"})
				stored := must[[]lakeward.Batch](t)(w.store.Batches(t.Context(), places))[0].Files[0]
				if copied := stored.SHA256 == r.Files[0].SHA256; copied != (packed == lakeward.Snappy) {
					t.Errorf("the file of batch %s was copied: %t", batch.ID, copied)
				}
				if want := map[lakeward.Compression]string{lakeward.NoCompression: "c000.parquet", lakeward.Gzip: "c000.gz.parquet", lakeward.Snappy: "c000.snappy.parquet"}[packed]; !strings.HasSuffix(r.Files[0].Path, want) {
					t.Errorf("file %s, want %s", r.Files[0].Path, want)
				}
				if path.Dir(r.Manifest) != path.Dir(r.Files[0].Path) {
					t.Errorf("DLV-18: manifest %s, file %s", r.Manifest, r.Files[0].Path)
				}
				grown := must[[]lakeward.Field](t)(lakeward.ParseSchema([]byte(strings.Replace(placesJSON, `"id": {"type": "string"}, `, `"id": {"type": "string"}, "more": {"type": "string"}, `, 1)), ""))
				must[lakeward.Schema](t)(w.EditSchema(t.Context(), sandbox, "places", grown))
				w.records("places", `{"id":"3","more":"x"}`)
				r = w.export(flow)
				succeeded(t, r)
				var rows []string
				for _, f := range r.Files {
					rows = append(rows, w.parquetRows(f)...)
				}
				equal(t, "after the schema grew", rows, []string{"1 Bern", "2 -", "3 -"})
				if v := must[lakeward.Verification](t)(w.VerifyRun(t.Context(), sandbox, string(r.ID))); !v.OK() {
					t.Errorf("verify: %+v", v.Problems)
				}
			})
		}
	}
}

// DSX-07, DSX-11, CON-12, CON-13, DSX-15 to DSX-17: what a dataflow of datasets may not be.
func TestDatasetExportIsChecked(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.newDataset("places", placesJSON, lakeward.RecordClass)
	day := time.Now().AddDate(0, 0, 1)
	for _, test := range []struct {
		name   string
		change func(*lakeward.Destination, *lakeward.DatasetExport)
		code   string
	}{
		{"all right", func(*lakeward.Destination, *lakeward.DatasetExport) {}, ""},
		{"CSV", func(d *lakeward.Destination, _ *lakeward.DatasetExport) { d.FileType = lakeward.CSV }, "CSV-1010"},
		{"plain JSON", func(d *lakeward.Destination, _ *lakeward.DatasetExport) { d.Compression = lakeward.NoCompression }, "CSV-1011"},
		{"folder of audiences", func(d *lakeward.Destination, _ *lakeward.DatasetExport) { d.Folder = "x/%SEGMENT_ID%" }, "PATH-1010"},
		{"daily full", func(_ *lakeward.Destination, x *lakeward.DatasetExport) {
			x.Schedule.Mode, x.Schedule.Frequency = lakeward.FullExport, lakeward.Daily
		}, "SCHED-1001"},
		{"every 9 hours", func(_ *lakeward.Destination, x *lakeward.DatasetExport) { x.Schedule.Frequency = "EVERY_9_HOURS" }, "SCHED-1001"},
		{"after evaluations", func(_ *lakeward.Destination, x *lakeward.DatasetExport) {
			x.Schedule = afterEvaluation(day)
			x.Schedule.Frequency = lakeward.Once
		}, "SCHED-1006"},
		{"no dataset", func(_ *lakeward.Destination, x *lakeward.DatasetExport) { x.IDs = nil }, "FLOW-1001"},
		{"unknown dataset", func(_ *lakeward.Destination, x *lakeward.DatasetExport) { x.IDs[0] = "nothing" }, "NOTFOUND-1001"},
		{"audience macro", func(_ *lakeward.Destination, x *lakeward.DatasetExport) { x.Folders = "%SEGMENT_ID%" }, "NAME-1004"},
		{"pattern", func(_ *lakeward.Destination, x *lakeward.DatasetExport) { x.Folders = "%DATETIME(YYYY)%" }, "NAME-1003"},
		{"dots", func(_ *lakeward.Destination, x *lakeward.DatasetExport) { x.Folders = "a/../%DATASET_ID%" }, "PATH-1001"},
		{"reserved", func(_ *lakeward.Destination, x *lakeward.DatasetExport) { x.Folders = "_lakeward/%DATASET_ID%" }, "PATH-1005"},
		{"too long", func(_ *lakeward.Destination, x *lakeward.DatasetExport) {
			x.Folders = strings.Repeat("a2345678901234567890/", 45)
		}, "PATH-1006"},
	} {
		dest := lakeward.Destination{Folder: "dl", FileType: lakeward.JSON, Compression: lakeward.Gzip}
		x := lakeward.DatasetExport{IDs: []lakeward.DatasetID{"places"}, Schedule: hourly(day)}
		test.change(&dest, &x)
		if _, err := w.datasetFlow(dest, x); lakeward.CodeOf(err) != test.code {
			t.Errorf("%s: %v, want code %q", test.name, err, test.code)
		}
	}
	flow := must[lakeward.Dataflow](t)(w.datasetFlow(lakeward.Destination{Folder: "dl", FileType: lakeward.JSON, Compression: lakeward.Gzip},
		lakeward.DatasetExport{IDs: []lakeward.DatasetID{"places"}, Schedule: hourly(day), Folders: "/%DESTINATION%_%DATASET_NAME%_%DATETIME(YYYYMMdd_HHmmss)%/%DESTINATION_INSTANCE_NAME%-%SANDBOX_NAME%-%ORGANIZATION_NAME%/"}))
	names := must[[]lakeward.FileName](t)(w.FileNames(t.Context(), sandbox, string(flow.ID), time.Date(2025, 1, 4, 6, 0, 0, 0, time.UTC)))
	if want := "dl/Azure_Data_Lake_Storage_Gen2_places_20250104_060000/sets-prod-Lakeward"; path.Dir(names[0].Path) != want {
		t.Errorf("DSX-16: %s, want it in %s", names[0].Path, want)
	}
	if _, err := w.EditDataflow(t.Context(), sandbox, string(flow.ID), func(d *lakeward.Dataflow) error { d.Datasets = nil; return nil }); lakeward.CodeOf(err) != "FLOW-1007" {
		t.Errorf("a dataflow of nothing: %v", err)
	}
}

// DSX-12, DSX-13: exports end, tell so, and are revived by a later end. A folder of this machine gets the same files.
func TestDatasetExportEnds(t *testing.T) {
	start := at(12)
	inBubble(t, start, func(t *testing.T, w *world) {
		w.newDataset("places", placesJSON, lakeward.RecordClass)
		s := hourly(start.AddDate(0, 0, 1))
		s.EndDate = start.AddDate(0, 0, 2).Format("2006-01-02")
		flow := must[lakeward.Dataflow](t)(w.datasetFlow(lakeward.Destination{Folder: "dl", FileType: lakeward.JSON, Compression: lakeward.Gzip}, lakeward.DatasetExport{IDs: []lakeward.DatasetID{"places"}, Schedule: s}))
		notice := func(want string) {
			t.Helper()
			if got := strings.Join(must[[]string](t)(w.Warnings(context.Background(), flow)), "\n"); !strings.Contains(got, want) {
				t.Errorf("warnings %q, want %q", got, want)
			}
		}
		notice("the exports end before")
		w.serve(72 * time.Hour)
		if got := len(w.states(flow)); got != 3 {
			t.Errorf("%d runs, want 3", got)
		}
		notice("the exports have ended")
		flow = w.edit(flow, func(d *lakeward.Dataflow) { d.Datasets.Schedule.EndDate = "" })
		w.records("places", `{"id":"1"}`)
		r := w.datasetSlot(flow)
		if succeeded(t, r); r.Counts.Rows != 1 {
			t.Errorf("counts %+v", r.Counts)
		}
		since := *r.Windows[0].From
		dir, runs := w.toFolder(flow, &since)
		if len(runs) != 1 || runs[0].Counts.Rows != 1 || runs[0].Files[0].SHA256 != r.Files[0].SHA256 {
			t.Errorf("in the folder %s: %+v", dir, runs)
		}
		if !slices.ContainsFunc(must[[]os.DirEntry](t)(os.ReadDir(dir)), func(e os.DirEntry) bool { return e.Name() == "dl" }) {
			t.Error("nothing in the folder")
		}
	})
}
