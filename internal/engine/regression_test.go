package engine_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/engine"
	"github.com/lakeward/lakeward/internal/lake/emulator"
	"github.com/lakeward/lakeward/internal/lake/emulator/emulatortest"
)

// dataset makes a schema and a dataset of that name and uploads a CSV file.
func (w *world) dataset(name, schema, csv string) {
	w.t.Helper()
	w.profileDataset(name, schema)
	must[lakeward.Batch](w.t)(w.UploadDataset(w.t.Context(), engine.Upload{Sandbox: sandbox, Dataset: name, Name: name}, strings.NewReader(csv)))
}

// PRF-01: records of two datasets feed one profile; neither removes what the other says.
func TestTwoDatasetsFeedOneProfile(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.people("1,a@x.org,a2@x.org,Ann,30", "2,b@x.org,,Bob,40")
	w.dataset("web", `{"properties":{"webMail":{"type":"string","identity":{"namespace":"Email","primary":true}},"visits":{"type":"integer"}}}`, "webMail,visits\na2@x.org,7\nnew@x.org,1\n")
	w.audience("all", "age >= 0 or visits >= 0")
	flow := w.flow(lakeward.Destination{}, "all", daily(), named("name", "name"), named("visits", "visits"), named("identityMap.Email", "mail"))
	want := [][]string{{"name", "visits", "mail"}, {"Ann", "7", "a2@x.org"}, {"Ann", "7", "a@x.org"}, {"Bob", "null", "b@x.org"}, {"null", "1", "new@x.org"}}
	if diff := cmp.Diff(want, w.rows(w.export(flow))); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
	w.upload("1,a3@x.org,,Ann,31")
	want = [][]string{{"name", "visits", "mail"}, {"Ann", "7", "a3@x.org"}, {"Ann", "7", "a2@x.org"}, {"Bob", "null", "b@x.org"}, {"null", "1", "new@x.org"}}
	if diff := cmp.Diff(want, w.rows(w.export(flow))); diff != "" {
		t.Errorf("a newer record replaces what its own dataset said (-want +got):\n%s", diff)
	}
}

// The same file twice changes nothing, also when one person's second address is another one's primary identity.
func TestSecondUploadChangesNothing(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	const schema = `{"properties":{"a":{"type":"string","identity":{"namespace":"Email","primary":true}},"alt":{"type":"string","identity":{"namespace":"Email"}},"name":{"type":"string"}}}`
	const file = "a,alt,name\nann@x,bob@x,Ann\nbob@x,,Bob\ncid@x,,Cid\n"
	w.dataset("mails", schema, file)
	b := must[lakeward.Batch](t)(w.UploadDataset(t.Context(), engine.Upload{Sandbox: sandbox, Dataset: "mails", Name: "again"}, strings.NewReader(file)))
	if b.Profiles != 3 || b.NewProfiles != 0 {
		t.Errorf("second upload: %+v", b)
	}
	w.audience("all", "name.isNotNull()")
	r := w.export(w.flow(lakeward.Destination{}, "all", daily(), named("name", "name")))
	if diff := cmp.Diff([][]string{{"name"}, {"Ann"}, {"Bob"}, {"Cid"}}, w.rows(r)); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

// DLV-64, F19: a file where a folder has to be fails the run before the commit, and says so.
func TestFileInTheWay(t *testing.T) {
	for name, put := range map[string]string{"at the final folder": "top/all", "above it": "top"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
			w.people("1,a@x.org,,Ann,30")
			w.audience("all", "age >= 0")
			folder := map[string]string{"top/all": "top/%SEGMENT_NAME%", "top": "%SEGMENT_NAME%/x"}[put]
			if put == "top" {
				put = "all"
			}
			path := filepath.Join(w.lake.Dir(), "local", "exports", filepath.FromSlash(put))
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			write(t, path, []byte("mine"))
			r := w.export(w.flow(lakeward.Destination{Folder: folder, Manifest: true}, "all", daily(), named("name", "name")))
			if r.State != lakeward.Failed || r.Cause.Code != lakeward.FailConflict {
				t.Errorf("run is %s, cause %+v, want failed before the commit", r.State, r.Cause)
			}
			if string(must[[]byte](t)(os.ReadFile(path))) != "mine" {
				t.Error("somebody else's file was changed")
			}
		})
	}
}

// DLV-82, DLV-86: a run that turns out committed while it is being closed, and cannot be published, is
// blocked, and rolled forward later; it is never left without an owner.
func TestCommittedRunIsBlockedNotLost(t *testing.T) {
	d := newDisturbed(t, "local")
	flow := d.target()
	d.restart(func() {})
	lost := d.lake.Arm(emulator.Fault{Match: func(e emulator.Entry) bool { return kindOf(e) == "rename slot" }, Nth: 1, Do: emulator.StatusAfter, Code: 500})
	unread := d.lake.Arm(emulator.Fault{Match: func(e emulator.Entry) bool { return kindOf(e) == "read slot" }, Nth: 2, Do: emulator.Status, Code: 403, Error: "AuthorizationPermissionMismatch"})
	denied := d.lake.Arm(emulator.Fault{Match: func(e emulator.Entry) bool { return kindOf(e) == "rename final" }, Do: emulator.Status, Code: 403, Error: "AuthorizationPermissionMismatch"})
	runs := must[[]lakeward.Run](t)(d.RunDataflow(t.Context(), sandbox, string(flow.ID), nil))
	if err := d.Work(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := must[lakeward.Run](t)(d.store.Run(t.Context(), sandbox, string(runs[0].ID)))
	if r.State != lakeward.Blocked || r.Cause == nil || r.Cause.Code != lakeward.FailForbidden || r.NotBefore == nil {
		t.Fatalf("run is %s, cause %+v", r.State, r.Cause)
	}
	if lost()+unread()+denied() < 3 {
		t.Error("not all faults were met")
	}
	_, err := d.RunDataflow(t.Context(), sandbox, string(flow.ID), nil)
	if lakeward.KindOf(err) != lakeward.Conflict || !strings.Contains(err.Error(), "blocked (DEST-FAIL-FORBIDDEN") {
		t.Errorf("a second run: %v, want the state and cause of the first", err)
	}
	r = d.finish(r.ID)
	succeeded(t, r)
	if err := d.check(r); err != nil {
		t.Error(err)
	}
}

// DLV-62: what was acknowledged by an earlier attempt is remembered by all later ones.
func TestConsumedFileStaysAcknowledged(t *testing.T) {
	d := newDisturbed(t, "local")
	flow := d.target()
	d.restart(func() {})
	denied := d.lake.Arm(emulator.Fault{Match: func(e emulator.Entry) bool { return kindOf(e) == "create manifest draft" }, Do: emulator.Status, Code: 403, Error: "AuthorizationPermissionMismatch"})
	runs := must[[]lakeward.Run](t)(d.RunDataflow(t.Context(), sandbox, string(flow.ID), nil))
	for range 3 { // the second file is consumed after the first attempt
		if err := d.Work(t.Context()); err != nil {
			t.Fatal(err)
		}
		r := must[lakeward.Run](t)(d.store.Run(t.Context(), sandbox, string(runs[0].ID)))
		if r.State != lakeward.Blocked || len(r.Files) != 3 {
			t.Fatalf("run is %s with %d files, cause %+v", r.State, len(r.Files), r.Cause)
		}
		_ = os.Remove(filepath.Join(d.lake.Dir(), "local", "exports", filepath.FromSlash(r.Files[1].Path)))
		if err := d.store.ResumeRuns(t.Context(), time.Now().Add(time.Hour), ""); err != nil {
			t.Fatal(err)
		}
	}
	denied()
	r := d.finish(runs[0].ID)
	succeeded(t, r)
	if r.Files[1].State != lakeward.FileConsumed || r.Files[0].State != lakeward.FilePublished {
		t.Errorf("files %+v", r.Files)
	}
}

// CSV-UP-07: importing again under the same name replaces the members; nothing is half-made.
func TestImportAgain(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.people("1,a@x.org,,Ann,30", "2,b@x.org,,Bob,40")
	im := engine.Import{Audience: lakeward.Audience{Sandbox: sandbox, Name: "list", Namespace: "Email"}, Identity: "mail", Name: "list.csv"}
	first := must[lakeward.Audience](t)(w.ImportAudience(t.Context(), im, strings.NewReader("mail,note\na@x.org,x\nnew@x.org,y\n")))
	second := must[lakeward.Audience](t)(w.ImportAudience(t.Context(), im, strings.NewReader("mail\nb@x.org\n")))
	if first.Members != 2 || second.Members != 1 || first.ID != second.ID {
		t.Errorf("first %+v, second %+v", first, second)
	}
	for _, test := range []struct{ name, file, code string }{
		{"missing identity in a row", "mail,x\n,1\n", "UPL-1007"}, {"no such column", "post\nx\n", "UPL-1005"}, {"column with a blank", "mail,first name\nx,y\n", "UPL-1005"},
	} {
		if _, err := w.ImportAudience(t.Context(), im, strings.NewReader(test.file)); lakeward.CodeOf(err) != test.code {
			t.Errorf("%s: %v, want %s", test.name, err, test.code)
		}
	}
	if again := must[lakeward.Audience](t)(w.store.Audience(t.Context(), sandbox, "list")); again.Members != 1 {
		t.Errorf("after bad files: %+v", again)
	}
	im.Audience.Name = "by rule"
	w.audience("by rule", "age > 0")
	if _, err := w.ImportAudience(t.Context(), im, strings.NewReader("mail\nb@x.org\n")); lakeward.KindOf(err) != lakeward.Conflict {
		t.Errorf("import over a rule audience: %v", err)
	}
}
