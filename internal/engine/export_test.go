package engine_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/lake/emulator"
	"github.com/lakeward/lakeward/internal/lake/emulator/emulatortest"
)

func succeeded(t *testing.T, r lakeward.Run) {
	t.Helper()
	if r.State != lakeward.Succeeded || r.Phase != lakeward.PhaseBooked {
		t.Fatalf("run is %s in phase %s, cause %+v", r.State, r.Phase, r.Cause)
	}
}

// MAP-06, MAP-17, MAP-19, MFT-01 to MFT-08, MON-08: one row for each value of the namespace, headers
// and columns in order, books that balance, a manifest that lists the file.
func TestExportDeliversMembersWithTheirIdentities(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{}))
	w.people("1,a@x.org,a2@x.org,\"Ann, \"\"A\"\"\",30", "2,,,Bob,40", "3,c@x.org,,Çelik,50", "4,d@x.org,,Dan,10")
	a := w.audience("adults", "age >= 18")
	flow := w.flow(lakeward.Destination{Folder: "/out/", Compression: lakeward.Gzip, Manifest: true}, "adults", daily(),
		named("name", "Full name"), named("identityMap.Email", ""), named("age", "age"), named("segmentMembership.seg_namespace.seg_id.status", ""))
	r := w.export(flow)
	succeeded(t, r)
	want := lakeward.Counts{Received: 3, Activated: 2, Rows: 3, ExcludedIdentity: 1}
	if diff := cmp.Diff(want, r.Counts); diff != "" {
		t.Errorf("counts (-want +got):\n%s", diff)
	}
	text := readGzip(t, filepath.Join(w.lake.Dir(), "local", "exports", filepath.FromSlash(r.Files[0].Path)))
	if want := "Full name,Email,age,segmentMembership_status\n\"Ann, \\\"A\\\"\",a@x.org,30,realized\n\"Ann, \\\"A\\\"\",a2@x.org,30,realized\nÇelik,c@x.org,50,realized\n"; text != want {
		t.Errorf("file is %q, want %q", text, want)
	}
	manifest := string(must[[]byte](t)(os.ReadFile(filepath.Join(w.lake.Dir(), "local", "exports", filepath.FromSlash(r.Manifest)))))
	if want := fmt.Sprintf(`{"flowRunId":"%s","scheduledTime":"%s","exportResults":[{"sinkPath":"/out","name":"%s","size":%d}]}`,
		r.ID, r.ScheduledAt.Format("2006-01-02T15:04:05Z"), filepath.Base(r.Files[0].Path), r.Files[0].Bytes); manifest != want {
		t.Errorf("manifest is %s, want %s", manifest, want)
	}
	if want := fmt.Sprintf("out/manifest-%s-%s.json", flow.ID, r.ID); r.Manifest != want {
		t.Errorf("manifest lies at %s, want %s", r.Manifest, want)
	}
	if want := "Azure_Data_Lake_Storage_Gen2_" + string(a.ID) + "_" + r.GeneratedAt.Format("20060102_150405") + ".csv.gz"; filepath.Base(r.Files[0].Path) != want {
		t.Errorf("file is named %s, want %s", filepath.Base(r.Files[0].Path), want)
	}
	if v := must[lakeward.Verification](t)(w.VerifyRun(t.Context(), sandbox, string(r.ID))); !v.OK() {
		t.Errorf("verify: %+v", v.Problems)
	}
	if _, err := os.Stat(filepath.Join(w.lake.Dir(), "local", "exports", "out", "_lakeward", string(flow.ID), "staging", string(r.ID))); err == nil {
		t.Error("INV-17: the staging folder is still there")
	}
}

// SPL-01 to SPL-05: parts are cut at whole profiles, numbered from 2, each with the header.
func TestPartsNeverSplitAProfile(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	var rows []string
	for i := range 10 {
		second := ""
		if i%2 == 1 {
			second = fmt.Sprintf("b%d@x.org", i)
		}
		rows = append(rows, fmt.Sprintf("%d,a%d@x.org,%s,n%d,%d", i, i, second, i, i))
	}
	w.people(rows...)
	w.audience("all", "age >= 0")
	for _, test := range []struct {
		name  string
		limit int64
		want  []int64
	}{
		{"one part", 100, []int64{15}}, {"exactly the rows of one part", 15, []int64{15}}, {"one row more than a part", 14, []int64{13, 2}},
		{"profiles of two rows", 4, []int64{4, 3, 3, 3, 2}}, {"a profile larger than a part", 1, []int64{1, 2, 1, 2, 1, 2, 1, 2, 1, 2}},
	} {
		t.Run(test.name, func(t *testing.T) {
			w.t = t
			flow := w.flow(lakeward.Destination{Folder: strings.ReplaceAll(test.name, " ", "-"), RowsPerFile: test.limit, Manifest: true}, "all", daily(), named("name", "name"), named("identityMap.Email", "mail"))
			r := w.export(flow)
			succeeded(t, r)
			var got []int64
			for i, f := range r.Files {
				got = append(got, f.Rows)
				if suffix := fmt.Sprintf("_%d.csv", i+1); i > 0 != strings.HasSuffix(f.Path, suffix) {
					t.Errorf("part %d is named %s", i, f.Path)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("rows per part (-want +got):\n%s", diff)
			}
			if all := w.rows(r); len(all) != 16 || all[0][1] != "mail" || all[15][1] != "b9@x.org" {
				t.Errorf("%d rows, %v", len(all), all)
			}
			if v := must[lakeward.Verification](t)(w.VerifyRun(t.Context(), sandbox, string(r.ID))); !v.OK() || len(v.Files) != len(test.want) {
				t.Errorf("verify: %+v", v)
			}
		})
	}
}

// D12: an audience without members gives a file with a header alone.
func TestEmptyAudience(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.people("1,a@x.org,,Ann,30")
	w.audience("nobody", "age > 200")
	r := w.export(w.flow(lakeward.Destination{Manifest: true}, "nobody", daily(), named("name", "name")))
	succeeded(t, r)
	if rows := w.rows(r); len(rows) != 1 || r.Counts != (lakeward.Counts{}) || !strings.HasPrefix(r.Manifest, "manifest-") {
		t.Errorf("rows %v, counts %+v, manifest %s", rows, r.Counts, r.Manifest)
	}
}

// MAN-01, MAN-02, DED-01 to DED-08: who is left out, and who of two wins.
func TestMandatoryAndDeduplication(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		rows    []string
		mapping []lakeward.Mapping
		want    []string // names in the file
		counts  lakeward.Counts
	}{
		{"mandatory", []string{"1,,,Ann,30", "2,,,,40", "3,,,Cid,50"}, []lakeward.Mapping{{Source: "name", Target: "name", Mandatory: true}},
			[]string{"Ann", "Cid"}, lakeward.Counts{Received: 3, Activated: 2, Rows: 2, ExcludedMandatory: 1}},
		{"no key keeps duplicates", []string{"1,,,Ann,30", "2,,,Ann,30"}, []lakeward.Mapping{named("name", "name")}, []string{"Ann", "Ann"}, lakeward.Counts{Received: 2, Activated: 2, Rows: 2}},
		{"attribute key, tie by the other columns", []string{"1,,,Ann,30", "2,,,Ann,20", "3,,,Bob,1"}, []lakeward.Mapping{{Source: "name", Target: "name", Key: true}, named("age", "age")},
			[]string{"Ann 20", "Bob 1"}, lakeward.Counts{Received: 3, Activated: 2, Rows: 2, Deduplicated: 1}},
		{"two attributes", []string{"1,,,Ann,30", "2,,,Ann,20", "3,,,Ann,30"}, []lakeward.Mapping{{Source: "name", Target: "name", Key: true}, {Source: "age", Target: "age", Key: true}},
			[]string{"Ann 30", "Ann 20"}, lakeward.Counts{Received: 3, Activated: 2, Rows: 2, Deduplicated: 1}},
		{"null keys are never collapsed", []string{"1,,,,30", "2,,,,30"}, []lakeward.Mapping{{Source: "name", Target: "name", Key: true}}, []string{"null", "null"}, lakeward.Counts{Received: 2, Activated: 2, Rows: 2}},
		{"namespace key drops the loser with all its rows", []string{"1,j@x,d1@x,Doe,30", "2,j@x,d2@x,D,30"}, []lakeward.Mapping{named("identityMap.Email", "mail"), named("name", "name")},
			[]string{"j@x D", "d2@x D"}, lakeward.Counts{Received: 2, Activated: 1, Rows: 2, Deduplicated: 1}},
		{"E-5 same time, smallest name wins", []string{"1,t1@x,,Morris,30", "2,t1@x,,Doe,30", "3,t2@x,,Smith,30"}, []lakeward.Mapping{named("identityMap.Email", "mail"), named("name", "name")},
			[]string{"t1@x Doe", "t2@x Smith"}, lakeward.Counts{Received: 3, Activated: 2, Rows: 2, Deduplicated: 1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
			w.people(test.rows...)
			w.audience("all", "age >= 0")
			r := w.export(w.flow(lakeward.Destination{}, "all", daily(), test.mapping...))
			succeeded(t, r)
			var got []string
			for _, row := range w.rows(r)[1:] {
				got = append(got, strings.Join(row, " "))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("rows (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.counts, r.Counts); diff != "" {
				t.Errorf("counts (-want +got):\n%s", diff)
			}
		})
	}
}

// RUN-14: the same snapshot and settings give the same bytes.
func TestRepeatedRunGivesTheSameBytes(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.people("1,a@x.org,b@x.org,Ann,30", "2,c@x.org,,Bob,40")
	w.audience("all", "age >= 0")
	flow := w.flow(lakeward.Destination{Compression: lakeward.Gzip}, "all", daily(), named("name", "name"), named("identityMap.Email", "mail"))
	one, two := w.export(flow), w.export(flow)
	if one.Files[0].SHA256 != two.Files[0].SHA256 || one.Files[0].Path == two.Files[0].Path {
		t.Errorf("files %+v and %+v: want the same bytes under two names", one.Files[0], two.Files[0])
	}
}

// PRF-02, DAT-01: a newer record of an identity replaces the older one; profile numbers stay.
func TestUpsertThenExport(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.people("1,a@x.org,,Ann,30", "2,b@x.org,,Bob,40", "3,c@x.org,,Cid,50")
	if b := w.upload("2,b2@x.org,,Bobby,41", "4,d@x.org,,Dan,60", "2,b3@x.org,,Bob III,42"); b.Rows != 3 || b.Profiles != 2 || b.NewProfiles != 1 {
		t.Errorf("batch %+v, want 3 rows, 2 profiles, 1 new", b)
	}
	w.audience("all", "age >= 0")
	r := w.export(w.flow(lakeward.Destination{}, "all", daily(), named("name", "name"), named("age", "age"), named("identityMap.Email", "mail")))
	succeeded(t, r)
	want := [][]string{{"name", "age", "mail"}, {"Ann", "30", "a@x.org"}, {"Bob III", "42", "b3@x.org"}, {"Cid", "50", "c@x.org"}, {"Dan", "60", "d@x.org"}}
	if diff := cmp.Diff(want, w.rows(r)); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

// MON-16, DLV-34: a failed run says cause, fix and request id; nothing of it is visible.
func TestFailedRunSaysWhy(t *testing.T) {
	for _, test := range []struct {
		name string
		with func(s *emulator.Server)
		code string
		text string
	}{
		{"expired key", func(s *emulator.Server) { s.ExpireSecret(true) }, lakeward.FailAuth, "Certificates & secrets"},
		{"no role", func(s *emulator.Server) { s.SetRole("local", "exports", "none") }, lakeward.FailForbidden, "az role assignment create"},
		{"throttled for ever", func(s *emulator.Server) { s.Arm(emulator.Fault{Op: "append", Do: emulator.Status, Code: 503}) }, lakeward.FailThrottled, "busy"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
			w.people("1,a@x.org,,Ann,30")
			w.audience("all", "age >= 0")
			flow := w.flow(lakeward.Destination{Folder: "out", Manifest: true}, "all", daily(), named("name", "name"))
			w.Engine.Close() // so that the token is asked for again
			test.with(w.lake)
			r := w.export(flow)
			if r.State != lakeward.Failed || r.Cause == nil || r.Cause.Code != test.code || !strings.Contains(r.Cause.Message, test.text) || r.Cause.RequestID == "" {
				t.Errorf("run is %s, cause %+v, want failed, %s, %q and a request id", r.State, r.Cause, test.code, test.text)
			}
			visible, _ := filepath.Glob(filepath.Join(w.lake.Dir(), "local", "exports", "out", "*.*"))
			if len(visible) > 0 {
				t.Errorf("visible files %v", visible)
			}
			if v, err := w.VerifyRun(t.Context(), sandbox, string(r.ID)); r.Plan != nil && test.code == lakeward.FailThrottled && (err != nil || len(v.Files) > 0) {
				t.Errorf("verify: %+v, %v", v, err)
			}
		})
	}
}

// NOW-06: a second run by hand is refused while one is open.
func TestOpenRunIsNotDoubled(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.people("1,a@x.org,,Ann,30")
	w.audience("all", "age >= 0")
	flow := w.flow(lakeward.Destination{}, "all", daily(), named("name", "name"))
	runs := must[[]lakeward.Run](t)(w.RunDataflow(t.Context(), sandbox, string(flow.ID), nil))
	_, err := w.RunDataflow(t.Context(), sandbox, string(flow.ID), nil)
	if lakeward.KindOf(err) != lakeward.Conflict || !strings.Contains(err.Error(), string(runs[0].ID)) {
		t.Errorf("second run: %v, want a conflict that names run %s", err, runs[0].ID)
	}
}

// DLV-130: verify finds what was changed behind our back.
func TestVerifyFindsEveryChange(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(t *testing.T, w *world, path string, r lakeward.Run)
		what   string
	}{
		{"flipped byte", func(t *testing.T, w *world, path string, _ lakeward.Run) {
			b := must[[]byte](t)(os.ReadFile(path))
			b[len(b)/2] ^= 1
			write(t, path, b)
		}, "the content"},
		{"cut file", func(t *testing.T, w *world, path string, _ lakeward.Run) {
			b := must[[]byte](t)(os.ReadFile(path))
			write(t, path, b[:len(b)-3])
		}, "bytes"},
		{"missing file", func(t *testing.T, _ *world, path string, _ lakeward.Run) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}, "the file is missing"},
		{"the same bytes, written by somebody else", func(t *testing.T, w *world, path string, r lakeward.Run) {
			b := must[[]byte](t)(os.ReadFile(path))
			replaced(t, w, path, r)
			write(t, path, b)
		}, "was not written by this run"},
		{"another file in its place", func(t *testing.T, w *world, path string, r lakeward.Run) {
			replaced(t, w, path, r)
			write(t, path, []byte("name\n"))
		}, "the content"},
		{"a folder in its place", func(t *testing.T, w *world, path string, r lakeward.Run) {
			replaced(t, w, path, r)
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "was not written by this run"},
		{"changed manifest", func(t *testing.T, w *world, _ string, r lakeward.Run) {
			write(t, filepath.Join(w.lake.Dir(), "local", "exports", r.Manifest), []byte("{}"))
		}, "the manifest does not say"},
		{"missing slot record", func(t *testing.T, w *world, _ string, r lakeward.Run) {
			if err := os.RemoveAll(filepath.Join(w.lake.Dir(), "local", "exports", "_lakeward")); err != nil {
				t.Fatal(err)
			}
		}, "no slot record"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			s := must[*emulator.Server](t)(emulator.Start(dir, emulator.Options{}))
			w := newWorld(t, s)
			w.people("1,a@x.org,,Ann,30", "2,b@x.org,,Bob,31")
			w.audience("all", "age >= 0")
			r := w.export(w.flow(lakeward.Destination{Manifest: true}, "all", daily(), named("name", "name")))
			succeeded(t, r)
			defer s.Close()
			test.change(t, w, filepath.Join(dir, "local", "exports", r.Files[0].Path), r)
			v := must[lakeward.Verification](t)(w.VerifyRun(t.Context(), sandbox, string(r.ID)))
			found := false
			for _, p := range v.Problems {
				found = found || strings.Contains(p.What, test.what)
			}
			if !found {
				t.Errorf("problems %+v, want one that says %q", v.Problems, test.what)
			}
		})
	}
}

// replaced removes a delivered file and lets the lake see that it is gone, so that what comes next is another file.
func replaced(t *testing.T, w *world, path string, r lakeward.Run) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	must[lakeward.Verification](t)(w.VerifyRun(t.Context(), sandbox, string(r.ID)))
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func readGzip(t *testing.T, path string) string {
	t.Helper()
	f := must[*os.File](t)(os.Open(path))
	defer f.Close()
	return string(must[[]byte](t)(io.ReadAll(must[*gzip.Reader](t)(gzip.NewReader(f)))))
}
