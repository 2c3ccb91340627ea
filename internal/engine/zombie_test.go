package engine_test

import (
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/checker"
	"github.com/lakeward/lakeward/internal/engine"
	"github.com/lakeward/lakeward/internal/lake/emulator"
)

// CASE-04, DLV-03, DLV-31, DLV-76 to DLV-79, INV-05: a process stands still in the middle of any request,
// another one takes its run over and delivers it, then the first one wakes up and its request goes
// through. Nothing that it does appears: one slot record, the same files, the same books.
func TestZombieLoses(t *testing.T) {
	t.Parallel()
	testZombie(t, "local")
}

// DLV-100: the same where files are written under their final names.
func TestZombieLosesCopyOnce(t *testing.T) {
	t.Parallel()
	testZombie(t, "flat:flat")
}

func testZombie(t *testing.T, account string) {
	d := newDisturbed(t, account)
	flow := d.target()
	d.lake.Record()
	runs := must[[]lakeward.Run](t)(d.RunDataflow(t.Context(), sandbox, string(flow.ID), nil))
	succeeded(t, d.finish(runs[0].ID))
	kinds := map[string]int{}
	for _, e := range d.lake.Requests() {
		kinds[kindOf(e)]++
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		for _, n := range slices.Compact([]int{1, kinds[kind]}) {
			d.zombie(t, kind, n)
		}
	}
	t.Logf("%d kinds of requests", len(kinds))
}

func (d *disturbed) zombie(t *testing.T, kind string, n int) {
	t.Helper()
	flow := d.target()
	d.restart(func() {})
	patient := d.cfg
	patient.Retry.Try = time.Minute
	asleep := engine.New(patient)
	defer asleep.Close()
	wake, struck := make(chan struct{}), make(chan struct{})
	var once sync.Once
	disarm := d.lake.Arm(emulator.Fault{Match: func(e emulator.Entry) bool { return kindOf(e) == kind }, Nth: n, Do: emulator.Hold, Until: wake, Struck: func() { once.Do(func() { close(struck) }) }})
	runs := must[[]lakeward.Run](t)(asleep.RunDataflow(t.Context(), sandbox, string(flow.ID), nil))
	done := make(chan error, 1)
	go func() { done <- asleep.Work(context.Background()) }()
	select {
	case <-struck:
	case err := <-done:
		close(wake)
		t.Fatalf("%s, occurrence %d: the run ended without meeting it: %v", kind, n, err)
	}
	if _, err := d.store.RecoverRuns(t.Context(), time.Now().UTC()); err != nil {
		t.Fatal(err)
	}
	r := d.finish(runs[0].ID)
	before := d.check(r)
	close(wake)
	if err := <-done; err != nil {
		t.Errorf("%s, occurrence %d: the zombie ended with %v", kind, n, err)
	}
	disarm()
	after := must[lakeward.Run](t)(d.store.Run(t.Context(), sandbox, string(runs[0].ID)))
	if after.State != lakeward.Succeeded || after.Counts != r.Counts {
		t.Errorf("%s, occurrence %d: after the zombie the run is %s, %+v, cause %+v", kind, n, after.State, after.Counts, after.Cause)
	}
	for _, err := range []error{before, d.check(after)} {
		if err != nil && !checker.IsGarbage(err) {
			t.Errorf("%s, occurrence %d: %v", kind, n, err)
		}
	}
}
