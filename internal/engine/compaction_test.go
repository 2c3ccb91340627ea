package engine_test

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/lake/emulator"
	"github.com/lakeward/lakeward/internal/lake/emulator/emulatortest"
)

func (w *world) compact(all bool) lakeward.Compaction {
	w.t.Helper()
	runtime.GC() // what nobody reads any more is not held any more
	return must[lakeward.Compaction](w.t)(w.Compact(w.t.Context(), sandbox, all))
}

// disk is the number and the size of the files of profiles and memberships.
func (w *world) disk() (files int, bytes int64) {
	w.t.Helper()
	for _, top := range []string{"profiles", "memberships"} {
		err := filepath.WalkDir(filepath.Join(w.dir, top), func(_ string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			files, bytes = files+1, bytes+info.Size()
			return err
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	return files, bytes
}

// sound holds the data at rest against the books.
func (w *world) sound() {
	w.t.Helper()
	checked, err := w.Warehouse().CheckFiles(w.t.Context(), must[map[string]lakeward.DataFile](w.t)(w.store.Named(w.t.Context())), nil)
	if err == nil {
		err = w.Warehouse().CheckSnapshot(w.t.Context(), sandbox, lakeward.FirstPolicy, &checked)
	}
	if broken := must[[]lakeward.Problem](w.t)(w.store.CheckChain(w.t.Context(), sandbox)); err != nil || len(checked.Problems)+len(broken) > 0 {
		w.t.Errorf("%v %v, %v", checked.Problems, broken, err)
	}
}

// Two hundred small batches with evaluations, compacted as a service would: files and bytes stay bounded, and the members
// are those of the last batch.
func TestDataAtRestStaysBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.people("0,a@x.org,,Ann,30")
	w.audience("even", "age >= 0")
	ctx := t.Context()
	mostFiles, mostBytes := 0, int64(0)
	for batch := range 200 {
		var rows []string
		for k := range 10 {
			id := (batch*7 + k*13) % 120
			rows = append(rows, fmt.Sprintf("%d,%d@x.org,,N%d,%d", id, id, batch, batch%2))
		}
		w.upload(rows...)
		if batch%4 == 0 {
			must[[]lakeward.Audience](t)(w.Evaluate(ctx, sandbox, nil, nil))
		}
		w.compact(false)
		files, bytes := w.disk()
		if batch >= 40 {
			mostFiles, mostBytes = max(mostFiles, files), max(mostBytes, bytes)
		}
	}
	t.Logf("at most %d files, %d bytes", mostFiles, mostBytes)
	if mostFiles > 75 || mostBytes > 90_000 {
		t.Errorf("%d files, %d bytes", mostFiles, mostBytes)
	}
	w.sound()
	n, all, err := w.Estimate(ctx, sandbox, "age = 1", nil)
	if err != nil || all != 120 || n < 50 {
		t.Errorf("%d of %d profiles, %v", n, all, err)
	}
}

// INV-11, DLV-124: a run that waits delivers what it pinned, although the data went on, was merged and old files were removed;
// the breakdown of an audience is told as before.
func TestWaitingRunReadsWhatItPinned(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.people("1,a@x.org,,Ann,30", "2,b@x.org,,Bob,40")
	w.audience("all", "age >= 30")
	flow := w.flow(lakeward.Destination{Folder: "out"}, "all", daily(), named("name", "name"), named("identityMap.Email", "mail"))
	w.restart(func() { w.cfg.RetryWindow = time.Hour })
	disarm := w.lake.Arm(emulator.Fault{Op: "flush", Do: emulator.Status, Code: 503})
	waiting := w.export(flow)
	if waiting.State != lakeward.Retrying {
		t.Fatalf("the run is %s", waiting.State)
	}
	for i := range 5 {
		w.upload(fmt.Sprintf("1,new%d@x.org,,New,%d", i, 10+i), fmt.Sprintf("%d,c%d@x.org,,Cid,50", 10+i, i))
		must[[]lakeward.Audience](t)(w.Evaluate(t.Context(), sandbox, nil, nil))
		w.compact(true)
	}
	before := must[lakeward.Audience](t)(w.Audience(t.Context(), sandbox, "all")).Breakdown
	if *before != (lakeward.Breakdown{Realized: 1, Existing: 5}) {
		t.Errorf("breakdown %+v", before)
	}
	disarm()
	if err := w.Retry(t.Context(), flow.ID); err != nil {
		t.Fatal(err)
	}
	if err := w.Work(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := must[lakeward.Run](t)(w.store.Run(t.Context(), sandbox, string(waiting.ID)))
	succeeded(t, r)
	if got := fmt.Sprint(w.rows(r)); got != "[[name mail] [Ann a@x.org] [Bob b@x.org]]" {
		t.Errorf("delivered %s", got)
	}
	removed := w.compact(true)
	if removed.RemovedFiles == 0 {
		t.Error("what only the run needed was not removed when it was delivered")
	}
	if files, _ := w.disk(); files != 5 { // profiles, identities, fragments, the last two memberships
		t.Errorf("%d files are left", files)
	}
	if after := must[lakeward.Audience](t)(w.Audience(t.Context(), sandbox, "all")).Breakdown; *after != *before {
		t.Errorf("breakdown %+v, want %+v", after, before)
	}
	r = w.export(flow)
	succeeded(t, r)
	if got := w.rows(r); len(got) != 7 {
		t.Errorf("the next run delivered %q", got)
	}
	w.sound()
}

// A service merges by itself when it has reason to: at its start, when something was written, and now and then for
// what was released.
func TestServeCompacts(t *testing.T) {
	inBubble(t, at(12), func(t *testing.T, w *world) {
		w.people("0,a@x.org,,Ann,30")
		fill := func() {
			for i := range 20 {
				w.upload(fmt.Sprintf("%d,%d@x.org,,Bob,%d", i, i, i))
			}
		}
		left := func() int {
			return len(must[lakeward.Snapshot](t)(w.store.Snapshot(t.Context(), sandbox, lakeward.FirstPolicy, 0, nil)).Profiles)
		}
		fill()
		before := must[int64](t)(w.head())
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Serve(ctx) }()
		time.Sleep(time.Second)
		if n := left(); n > 2 {
			t.Errorf("%d files after the start", n)
		}
		fill()
		time.Sleep(time.Second)
		if n := left(); n > 19 {
			t.Errorf("%d files after a second load", n)
		}
		merged := must[int64](t)(w.head()) - before - 20
		if merged < 2 {
			t.Errorf("%d merges", merged)
		}
		time.Sleep(24 * time.Hour)
		if again := must[int64](t)(w.head()) - before - 20; again != merged {
			t.Errorf("%d merges of files that did not change", again-merged)
		}
		stop()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		w.sound()
	})
}

func (w *world) head() (int64, error) {
	s, err := w.store.Snapshot(context.Background(), sandbox, lakeward.FirstPolicy, 0, nil)
	return s.Generation, err
}

// Compactions that are asked for at the same time come one after the other, beside batches and evaluations; nobody fails.
func TestCompactionBesideOthers(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.people("0,a@x.org,,Ann,30")
	w.audience("all", "age >= 0")
	errs := make(chan error, 2)
	stop := make(chan struct{})
	for range 2 {
		go func() {
			for {
				select {
				case <-stop:
					errs <- nil
					return
				default:
				}
				if _, err := w.Compact(context.Background(), sandbox, true); err != nil {
					errs <- err
					return
				}
			}
		}()
	}
	var ids []string
	for i := range 30 {
		id := fmt.Sprint(i)
		w.upload(id + "," + id + "@x.org,,Bob,30")
		must[[]lakeward.Audience](t)(w.Evaluate(t.Context(), sandbox, nil, nil))
		ids = append(ids, id)
	}
	close(stop)
	for range 2 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	flow := w.flow(lakeward.Destination{Folder: "out"}, "all", daily(), named("id", "id"))
	r := w.export(flow)
	succeeded(t, r)
	var got []string
	for _, row := range w.rows(r)[1:] {
		got = append(got, row[0])
	}
	if !slices.Equal(got, ids) {
		t.Errorf("delivered %q, want %q", got, ids)
	}
	w.sound()
}
