package engine_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/checker"
	"github.com/lakeward/lakeward/internal/engine"
	"github.com/lakeward/lakeward/internal/lake/emulator"
	"github.com/lakeward/lakeward/internal/lake/emulator/emulatortest"
)

// accounts are the two kinds of storage that deliveries work with.
func accounts() map[string]string {
	return map[string]string{"by rename": "local", "copy-once": "flat:flat"}
}

// static makes a dataflow whose file name has no date and time (NAM-08).
func (w *world) static(folder string) lakeward.Dataflow {
	w.t.Helper()
	flow := w.flow(lakeward.Destination{Folder: folder, Manifest: true}, "all", daily(), named("name", "name"))
	return must[lakeward.Dataflow](w.t)(w.CreateDataflow(w.t.Context(), lakeward.Dataflow{Name: lakeward.NewID(), Sandbox: sandbox, Mapping: flow.Mapping,
		Items: []lakeward.DataflowItem{{AudienceID: "all", Schedule: daily(), FileName: "%DESTINATION%_%SEGMENT_ID%"}}}, string(flow.DestinationID)))
}

func (w *world) path(p string) string {
	return filepath.Join(w.lake.Dir(), w.lake.Location().Account, "exports", filepath.FromSlash(p))
}

// NAM-08, DLV-63, DLV-64: a run replaces the file of the run before it, pinned by its etag, and never
// anybody else's.
func TestStaticNames(t *testing.T) {
	t.Parallel()
	for mode, account := range accounts() {
		t.Run(mode, func(t *testing.T) {
			w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true, Accounts: []string{account}}))
			w.people("1,a@x.org,,Ann,30")
			w.audience("all", "age >= 0")
			flow := w.static("out")
			first := w.export(flow)
			succeeded(t, first)
			w.upload("2,b@x.org,,Bob,40")
			must[[]lakeward.Audience](t)(w.Evaluate(t.Context(), sandbox, []string{"all"}, nil))
			w.lake.Record()
			second := w.export(flow)
			succeeded(t, second)
			if err := checker.Requests(w.lake.Requests(), mode == "copy-once"); err != nil {
				t.Error(err)
			}
			if second.Files[0].Path != first.Files[0].Path {
				t.Errorf("files %s and %s", first.Files[0].Path, second.Files[0].Path)
			}
			if text := string(must[[]byte](t)(os.ReadFile(w.path(first.Files[0].Path)))); text != "name\nAnn\nBob\n" {
				t.Errorf("the file holds %q", text)
			}
			for _, r := range []lakeward.Run{first, second} {
				if v := must[lakeward.Verification](t)(w.VerifyRun(t.Context(), sandbox, string(r.ID))); !v.OK() {
					t.Errorf("verify: %+v", v.Problems)
				}
			}
			unchecked := flow // CreateDataflow refuses it
			unchecked.ID, unchecked.Name = lakeward.DataflowID(lakeward.NewID()), lakeward.NewID()
			if err := w.store.CreateDataflow(t.Context(), unchecked, time.Now()); err != nil {
				t.Fatal(err)
			}
			if other := w.export(unchecked); other.State != lakeward.Failed || other.Cause.Code != lakeward.FailConflict {
				t.Errorf("another dataflow on the same name: %s, %+v", other.State, other.Cause)
			}
			write(t, w.path(first.Files[0].Path), []byte("somebody else's"))
			if third := w.export(flow); third.State != lakeward.Failed && string(must[[]byte](t)(os.ReadFile(w.path(first.Files[0].Path)))) != "name\nAnn\nBob\n" {
				t.Errorf("after a change by hand: %s, %+v", third.State, third.Cause)
			}
		})
	}
}

// DLV-100: a run that is closed without a commit removes what it wrote under final names, and nothing else.
func TestCopyOnceFailureLeavesNothing(t *testing.T) {
	for _, test := range []struct{ name, kind string }{{"before the commit", "append final"}, {"at the list", "append list"}, {"at the slot", "create slot"}} {
		t.Run(test.name, func(t *testing.T) {
			d := newDisturbed(t, "flat:flat")
			flow := d.target()
			n := 0
			if test.kind == "append final" {
				n = 5 // in the second part
			}
			struck := 0
			disarm := d.lake.Arm(emulator.Fault{Match: func(e emulator.Entry) bool {
				if kindOf(e) != test.kind {
					return false
				}
				struck++
				return struck > n && struck < n+20
			}, Do: emulator.Status, Code: 403, Error: "AuthorizationPermissionMismatch"})
			runs := must[[]lakeward.Run](t)(d.RunDataflow(t.Context(), sandbox, string(flow.ID), nil))
			if err := d.Work(t.Context()); err != nil {
				t.Fatal(err)
			}
			r := must[lakeward.Run](t)(d.store.Run(t.Context(), sandbox, string(runs[0].ID)))
			if disarm() == 0 || r.State != lakeward.Failed {
				t.Fatalf("run is %s, cause %+v", r.State, r.Cause)
			}
			if r.Owed { // the next run pays
				next := d.finish(must[[]lakeward.Run](t)(d.RunDataflow(t.Context(), sandbox, string(flow.ID), nil))[0].ID)
				succeeded(t, next)
			}
			files, _ := filepath.Glob(filepath.Join(d.path(r.Plan.Folder), r.Plan.Stem+"*"))
			if len(files) != 0 {
				t.Errorf("left: %v", files)
			}
			if r.Plan.Mode != lakeward.CopyOnce {
				t.Errorf("mode %q", r.Plan.Mode)
			}
		})
	}
}

// CASE-18 in this mode: a slot or a list that does not verify is never adopted.
func TestCopyOnceForgedRecord(t *testing.T) {
	d := newDisturbed(t, "flat:flat")
	flow := d.target()
	r := d.finish(must[[]lakeward.Run](t)(d.RunDataflow(t.Context(), sandbox, string(flow.ID), nil))[0].ID)
	succeeded(t, r)
	lists, _ := filepath.Glob(filepath.Join(d.path(r.Plan.Folder), "_lakeward", "*", "slots", "*", "*.list"))
	if len(lists) != 1 {
		t.Fatalf("lists %v", lists)
	}
	text := must[[]byte](t)(os.ReadFile(lists[0]))
	if v := must[lakeward.Verification](t)(d.VerifyRun(t.Context(), sandbox, string(r.ID))); !v.OK() || len(v.Files) != 3 {
		t.Fatalf("verify: %+v", v)
	}
	write(t, lists[0], []byte(strings.Replace(string(text), `"rows":30`, `"rows":31`, 1)))
	if v := must[lakeward.Verification](t)(d.VerifyRun(t.Context(), sandbox, string(r.ID))); v.OK() || !strings.Contains(v.Problems[0].What, "does not verify") {
		t.Errorf("a changed list: %+v", v)
	}
}

// DOC-06, DOC-10, CONN-2011: the connection test finds the mode, and says what it means.
func TestConnectionTestFindsTheMode(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true, Accounts: []string{"flat:flat"}}))
	a := emulatortest.Account(w.lake)
	checks := must[[]lakeward.Check](t)(w.Doctor(t.Context(), engine.Examination{Sandbox: sandbox, Fields: a, Folder: "f"}, nil))
	text := ""
	for _, c := range checks {
		text += c.ID + " " + c.Detail + "\n"
	}
	if !strings.Contains(text, "CONN-2011") || !strings.Contains(text, "files may be visible before the manifest") || steps(checks) != "01, 02, 03, 04, 05, 06, 07, 08, 09, 10, 11, 12, 13" {
		t.Errorf("checks:\n%s", text)
	}
	if _, _, err := w.CreateAccount(t.Context(), a, false); err != nil {
		t.Fatal(err)
	}
	d := must[lakeward.Destination](t)(w.CreateDestination(t.Context(), lakeward.Destination{Sandbox: sandbox, Name: "files", Folder: "f", FileType: lakeward.CSV, CSV: lakeward.DefaultCSV(), Compression: lakeward.Gzip}, a.Name, false))
	if d.Mode != lakeward.CopyOnce {
		t.Errorf("mode %q", d.Mode)
	}
	left, _ := filepath.Glob(w.path("f/*"))
	root, _ := filepath.Glob(w.path("_lakeward-probe-*"))
	if len(left)+len(root) != 0 {
		t.Errorf("the probe is left: %v %v", left, root)
	}
}

// The checker finds what somebody changed in a delivery: it can fail, and says which invariant.
func TestCheckerFindsChanges(t *testing.T) {
	d := newDisturbed(t, "local")
	r := d.finish(must[[]lakeward.Run](t)(d.RunDataflow(t.Context(), sandbox, string(d.target().ID), nil))[0].ID)
	succeeded(t, r)
	if err := d.check(r); err != nil {
		t.Fatal(err)
	}
	first, manifest := d.path(r.Files[0].Path), d.path(r.Manifest)
	slots, _ := filepath.Glob(filepath.Join(d.path(r.Plan.Folder), "_lakeward", "*", "slots", "*", "*.slot"))
	for _, test := range []struct {
		name, path string
		change     func([]byte) []byte
		want       string
	}{
		{"a flipped bit", first, func(b []byte) []byte { b[len(b)/2] ^= 1; return b }, "INV-06"},
		{"a row less", first, func(b []byte) []byte { return b[:strings.LastIndex(strings.TrimSpace(string(b)), "\n")+1] }, "INV-06"},
		{"a missing file", first, nil, "INV-02"},
		{"a foreign file", d.path(r.Plan.Folder + "/foreign.csv"), func([]byte) []byte { return []byte("x") }, "INV-03"},
		{"another manifest", manifest, func([]byte) []byte { return []byte("{}") }, "INV-14"},
		{"another count in the record", slots[0], func(b []byte) []byte {
			return []byte(strings.Replace(string(b), `"received":90`, `"received":91`, 1))
		}, "INV-02"},
		{"no slot record", slots[0], nil, "INV-01"},
	} {
		t.Run(test.name, func(t *testing.T) {
			before, rerr := os.ReadFile(test.path)
			if test.change == nil {
				if err := os.Remove(test.path); err != nil {
					t.Fatal(err)
				}
			} else {
				write(t, test.path, test.change(append([]byte{}, before...)))
			}
			if err := d.check(r); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %s", err, test.want)
			}
			if rerr == nil {
				write(t, test.path, before)
			} else if err := os.Remove(test.path); err != nil {
				t.Fatal(err)
			}
			if err := d.check(r); err != nil {
				t.Fatalf("after repair: %v", err)
			}
		})
	}
}
