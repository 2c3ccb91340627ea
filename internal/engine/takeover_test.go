package engine_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/checker"
	"github.com/lakeward/lakeward/internal/engine"
	"github.com/lakeward/lakeward/internal/lake/emulator"
	"github.com/lakeward/lakeward/internal/lake/emulator/emulatortest"
	"github.com/lakeward/lakeward/internal/store"
	"github.com/lakeward/lakeward/internal/warehouse"
)

// hold lets the n-th request of a kind stand still until the returned function wakes it.
func (d *disturbed) hold(kind string, n int) (struck <-chan struct{}, wake func()) {
	until, met := make(chan struct{}), make(chan struct{})
	var once sync.Once
	d.lake.Arm(emulator.Fault{Match: func(e emulator.Entry) bool { return kindOf(e) == kind }, Nth: n, Do: emulator.Hold, Until: until, Struck: func() { once.Do(func() { close(met) }) }})
	return met, sync.OnceFunc(func() { close(until) })
}

// patient is another process on the same data, whose requests may stand still.
func (d *disturbed) patient() *engine.Engine {
	cfg := d.cfg
	cfg.Retry.Try = time.Minute
	e := engine.New(cfg)
	d.t.Cleanup(e.Close)
	return e
}

// takeOver gives the run of a process that stands still to the next attempt.
func (d *disturbed) takeOver() {
	d.t.Helper()
	must[int](d.t)(d.store.RecoverRuns(context.Background(), time.Now().UTC()))
}

// work lets a process work in the background; the returned function waits for its end.
func work(t *testing.T, e *engine.Engine) func() {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- e.Work(context.Background()) }()
	return func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// DLV-03, DLV-110: a process that was taken over fails while the next attempt is about to commit; it removes
// nothing that the other one has written.
func TestFailingZombieRemovesNothing(t *testing.T) {
	for _, test := range []struct{ name, account, asleep, other, fails string }{
		{"copy-once, the file is taken", "flat:flat", "create final", "create list", ""},
		{"copy-once, refused", "flat:flat", "append final", "create list", "flush final"},
		{"by rename, refused", "local", "append staged", "create slot draft", "flush staged"},
	} {
		t.Run(test.name, func(t *testing.T) {
			d := newDisturbed(t, test.account)
			first, second := d.patient(), d.patient()
			asleep, wake := d.hold(test.asleep, 1)
			runs := must[[]lakeward.Run](t)(first.RunDataflow(t.Context(), sandbox, string(d.target().ID), nil))
			firstDone := work(t, first)
			<-asleep
			d.takeOver()
			waits, goOn := d.hold(test.other, 1)
			secondDone := work(t, second)
			<-waits
			if test.fails != "" {
				d.lake.Arm(emulator.Fault{Match: func(e emulator.Entry) bool { return kindOf(e) == test.fails }, Nth: 1, Do: emulator.Status, Code: 403, Error: "AuthorizationPermissionMismatch"})
			}
			wake()
			firstDone()
			goOn()
			secondDone()
			r := d.finish(runs[0].ID)
			succeeded(t, r)
			if err := d.check(r); err != nil && !checker.IsGarbage(err) {
				t.Error(err)
			}
		})
	}
}

// DLV-01 in mode copy-once: what a record may list is not replaced, and a run whose files are not those of its
// record is never reported as delivered.
func TestCommittedFileIsNotReplaced(t *testing.T) {
	d := newDisturbed(t, "flat:flat")
	first, second := d.patient(), d.patient()
	asleep, wake := d.hold("create slot", 1)
	runs := must[[]lakeward.Run](t)(first.RunDataflow(t.Context(), sandbox, string(d.target().ID), nil))
	firstDone := work(t, first)
	<-asleep
	d.takeOver()
	heads := 0
	d.lake.Arm(emulator.Fault{Match: func(e emulator.Entry) bool {
		if kindOf(e) != "head final" || !strings.HasSuffix(e.Path, ".csv") {
			return false
		}
		heads++
		return heads == 4 // behind those of the names: is the file of the older attempt still there?
	}, Do: emulator.Status, Code: 403, Error: "AuthorizationPermissionMismatch"})
	work(t, second)()
	wake()
	firstDone()
	r := d.finish(runs[0].ID)
	if r.State == lakeward.Succeeded {
		if err := d.check(r); err != nil {
			t.Error(err)
		}
	} else if files, _ := filepath.Glob(filepath.Join(d.path(r.Plan.Folder), r.Plan.Stem+"*")); len(files) > 0 {
		t.Errorf("the run is %s and left %v", r.State, files)
	}

	// Somebody replaces a file between the commit and the end: the run is blocked, not delivered.
	denied := d.lake.Arm(emulator.Fault{Match: func(e emulator.Entry) bool { return kindOf(e) == "create manifest" }, Do: emulator.Status, Code: 403, Error: "AuthorizationPermissionMismatch"})
	next := must[[]lakeward.Run](t)(d.RunDataflow(t.Context(), sandbox, string(d.target().ID), nil))[0]
	if err := d.Work(t.Context()); err != nil {
		t.Fatal(err)
	}
	denied()
	r = must[lakeward.Run](t)(d.store.Run(t.Context(), sandbox, string(next.ID)))
	write(t, d.path(r.Files[0].Path), []byte("short"))
	if r = d.finish(next.ID); r.State == lakeward.Succeeded || r.Cause.Code != lakeward.FailConflict {
		t.Errorf("a replaced file: the run is %s, cause %+v", r.State, r.Cause)
	}
}

// CASE-16: the database of before the pin is restored after the commit; the run is adopted with what its record says, not
// sent again.
func TestRestoredRunIsAdopted(t *testing.T) {
	for mode, account := range accounts() {
		t.Run(mode, func(t *testing.T) {
			w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true, Accounts: []string{account}}))
			file, kek := filepath.Join(t.TempDir(), "db"), store.NewKEK()
			reopen := func() {
				w.Engine.Close()
				_ = w.store.Close()
				w.store = must[*store.Store](t)(store.Open(context.Background(), file, kek))
				root := must[*os.Root](t)(os.OpenRoot(w.dir))
				t.Cleanup(func() { _ = root.Close() })
				w.cfg.Store, w.cfg.Warehouse = w.store, warehouse.New(root, w.store)
				w.Engine = engine.New(w.cfg)
			}
			reopen()
			w.people("1,a@x.org,,Ann,30")
			w.audience("all", "age >= 0")
			flow := w.flow(lakeward.Destination{Folder: "f", Manifest: true}, "all", daily(), named("name", "name"))
			id := must[[]lakeward.Run](t)(w.RunDataflow(t.Context(), sandbox, string(flow.ID), nil))[0].ID
			w.Engine.Close()
			if err := w.store.Close(); err != nil {
				t.Fatal(err)
			}
			before := map[string][]byte{}
			for _, suffix := range []string{"", "-wal", "-shm"} {
				if b, err := os.ReadFile(file + suffix); err == nil {
					before[suffix] = b
				}
			}
			reopen()
			if err := w.Work(t.Context()); err != nil {
				t.Fatal(err)
			}
			first := must[lakeward.Run](t)(w.store.Run(t.Context(), sandbox, string(id)))
			w.Engine.Close()
			if err := w.store.Close(); err != nil {
				t.Fatal(err)
			}
			for _, suffix := range []string{"", "-wal", "-shm"} {
				_ = os.Remove(file + suffix)
			}
			for suffix, b := range before {
				write(t, file+suffix, b)
			}
			reopen()
			w.lake.Record()
			if err := w.Work(t.Context()); err != nil {
				t.Fatal(err)
			}
			r := must[lakeward.Run](t)(w.store.Run(t.Context(), sandbox, string(id)))
			succeeded(t, r)
			if first.ToGeneration == 0 || first.Rev == 0 || r.ToGeneration != first.ToGeneration || r.Rev != first.Rev || r.Counts != first.Counts || r.Manifest != first.Manifest {
				t.Errorf("the run knows revision %d, generation %d, counts %+v, want those of the record: %d, %d, %+v", r.Rev, r.ToGeneration, r.Counts, first.Rev, first.ToGeneration, first.Counts)
			}
			for _, e := range w.lake.Requests() {
				if e.Op == "append" {
					t.Errorf("%s was sent again", e.Path)
				}
			}
		})
	}
}

// CASE-20, DLV-87: the url of the account is edited while a committed run waits; it ends where it began.
func TestEditedURLDoesNotMoveAnOpenRun(t *testing.T) {
	d := newDisturbed(t, "local")
	if err := d.lake.CreateContainer("local", "second"); err != nil {
		t.Fatal(err)
	}
	denied := d.lake.Arm(emulator.Fault{Match: func(e emulator.Entry) bool { return kindOf(e) == "rename final" && strings.HasSuffix(e.Path, "_3.csv") }, Do: emulator.Status, Code: 403, Error: "AuthorizationPermissionMismatch"})
	runs := must[[]lakeward.Run](t)(d.RunDataflow(t.Context(), sandbox, string(d.target().ID), nil))
	if err := d.Work(t.Context()); err != nil {
		t.Fatal(err)
	}
	denied()
	account := must[[]lakeward.Account](t)(d.store.Accounts(t.Context(), sandbox))[0]
	url := strings.Replace(account.URL, "exports@", "second@", 1)
	if _, _, err := d.EditAccount(t.Context(), sandbox, account.Name, engine.AccountEdit{URL: &url}, false); lakeward.CodeOf(err) != "CONN-1301" {
		t.Errorf("C2c: another url with the stored key: %v", err)
	}
	must3(t)(d.EditAccount(t.Context(), sandbox, account.Name, engine.AccountEdit{URL: &url, Key: emulatortest.Account(d.lake).Key}, false))
	r := d.finish(runs[0].ID)
	succeeded(t, r)
	if err := d.check(r); err != nil {
		t.Error(err)
	}
	if moved, _ := filepath.Glob(filepath.Join(d.lake.Dir(), "local", "second", "*")); len(moved) > 0 {
		t.Errorf("in the other container lies %v", moved)
	}
}

func must3(t *testing.T) func(a lakeward.Account, _ []lakeward.Check, err error) lakeward.Account {
	return func(a lakeward.Account, _ []lakeward.Check, err error) lakeward.Account {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
}

// CASE-18: the list of a run that failed is no slot record, wherever somebody copies it.
func TestListIsNoSlotRecord(t *testing.T) {
	d := newDisturbed(t, "flat:flat")
	flow := d.target()
	denied := d.lake.Arm(emulator.Fault{Match: func(e emulator.Entry) bool { return kindOf(e) == "create slot" }, Do: emulator.Status, Code: 403, Error: "AuthorizationPermissionMismatch"})
	runs := must[[]lakeward.Run](t)(d.RunDataflow(t.Context(), sandbox, string(flow.ID), nil))
	if err := d.Work(t.Context()); err != nil {
		t.Fatal(err)
	}
	denied()
	r := must[lakeward.Run](t)(d.store.Run(t.Context(), sandbox, string(runs[0].ID)))
	lists, _ := filepath.Glob(filepath.Join(d.path(r.Plan.Folder), "_lakeward", "*", "slots", "*", "*.list"))
	if len(lists) != 1 || !r.Owed {
		t.Fatalf("lists %v, owed %t", lists, r.Owed)
	}
	write(t, filepath.Join(filepath.Dir(lists[0]), string(r.ID)+".slot"), must[[]byte](t)(os.ReadFile(lists[0])))
	d.finish(must[[]lakeward.Run](t)(d.RunDataflow(t.Context(), sandbox, string(flow.ID), nil))[0].ID)
	if r = must[lakeward.Run](t)(d.store.Run(t.Context(), sandbox, string(r.ID))); r.State == lakeward.Succeeded {
		t.Errorf("the run is %s", r.State)
	}
}

// ACC-03: a new key is tried alone, a key that was dropped is not used, and what a test notes does not undo an edit.
func TestKeysAreEditedOneByOne(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.people("1,a@x.org,,Ann,30")
	w.audience("all", "age >= 0")
	flow := w.flow(lakeward.Destination{Folder: "f"}, "all", daily(), named("name", "name"))
	account := must[[]lakeward.Account](t)(w.store.Accounts(t.Context(), sandbox))[0]
	good, bad := emulatortest.Account(w.lake).Key, lakeward.NewSecret("c4n4ry-wrong")
	edit := func(x engine.AccountEdit, untested bool) error {
		_, _, err := w.EditAccount(t.Context(), sandbox, account.Name, x, untested)
		return err
	}
	for name, x := range map[string]engine.AccountEdit{"wrong second key": {SecondKey: bad}, "wrong first key": {Key: bad, SecondKey: good}} {
		if err := edit(x, false); lakeward.CodeOf(err) != "CONN-2105" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, step := range []struct {
		name  string
		x     engine.AccountEdit
		works bool
	}{
		{"two wrong keys", engine.AccountEdit{Key: bad, SecondKey: bad}, false},
		{"no second key", engine.AccountEdit{DropSecondKey: true}, false},
		{"a good second key", engine.AccountEdit{SecondKey: good}, true},
		{"dropped again", engine.AccountEdit{DropSecondKey: true}, false},
		{"a good first key", engine.AccountEdit{Key: good}, true},
	} {
		if err := edit(step.x, true); err != nil {
			t.Fatal(err)
		}
		if r := w.export(flow); (r.State == lakeward.Succeeded) != step.works {
			t.Errorf("%s: the run is %s, cause %+v", step.name, r.State, r.Cause)
		}
	}
	stale := must[lakeward.Account](t)(w.store.Account(t.Context(), sandbox, account.Name))
	name := "renamed"
	if err := edit(engine.AccountEdit{Name: &name}, true); err != nil {
		t.Fatal(err)
	}
	stale.State = lakeward.AccountFailing
	if err := w.store.NoteTest(t.Context(), stale); err != nil {
		t.Fatal(err)
	}
	if a := must[lakeward.Account](t)(w.store.Account(t.Context(), sandbox, string(account.ID))); a.Name != "renamed" || a.State == lakeward.AccountFailing {
		t.Errorf("after an old test: %+v", a)
	}
	if _, err := w.store.EditAccount(t.Context(), stale, stale, time.Now()); lakeward.CodeOf(err) != "COMMON-1009" {
		t.Errorf("an edit of what is no more: %v", err)
	}
}
