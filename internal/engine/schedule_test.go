package engine_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/lake/emulator"
	"github.com/lakeward/lakeward/internal/lake/emulator/emulatortest"
)

// inBubble runs fn where time is virtual, beginning at start, beside other tests. The lake lives outside, on a real socket.
func inBubble(t *testing.T, start time.Time, fn func(t *testing.T, w *world)) {
	t.Parallel()
	s := emulatortest.Start(t, emulator.Options{NoSync: true})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, s)
		time.Sleep(time.Until(start))
		fn(t, w)
	})
}

// states lists the runs of a flow, oldest slot first: slot time and state.
func (w *world) states(flow lakeward.Dataflow) []string {
	w.t.Helper()
	runs := must[[]lakeward.Run](w.t)(w.store.Runs(context.Background(), sandbox, flow.ID, 1000))
	slices.SortFunc(runs, func(a, b lakeward.Run) int { return a.ScheduledAt.Compare(b.ScheduledAt) })
	var out []string
	for _, r := range runs {
		text := r.ScheduledAt.Format("01-02 15:04") + " " + string(r.State)
		if r.Cause != nil {
			text += " " + r.Cause.Code
		}
		out = append(out, text)
	}
	return out
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// at is an hour of tomorrow, so that the lake's certificate is valid in the bubble.
func at(hour int) time.Time {
	return time.Now().UTC().Truncate(24 * time.Hour).Add(time.Duration(24+hour) * time.Hour)
}

// SCH-07, SCH-12, SCH-20, DLV-40: a service runs due slots by itself, for days, and stops at the end date.
func TestServeRunsDueSlots(t *testing.T) {
	start := at(12)
	inBubble(t, start, func(t *testing.T, w *world) {
		w.people("1,a@x.org,,Ann,30")
		w.audience("all", "age >= 0")
		day := func(n int) string { return start.AddDate(0, 0, n).Format("2006-01-02") }
		flow := w.flow(lakeward.Destination{Folder: "out", Manifest: true}, "all",
			lakeward.Schedule{Mode: lakeward.FullExport, Frequency: lakeward.Daily, StartDate: day(1), EndDate: day(4), StartTime: "06:00"}, named("name", "name"))
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Serve(ctx) }()
		time.Sleep(8 * 24 * time.Hour) // no real time passes in here
		stop()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		stamp := func(n int) string { return start.AddDate(0, 0, n).Format("01-02") + " 06:00 succeeded" }
		equal(t, "runs", w.states(flow), []string{stamp(1), stamp(2), stamp(3)})
	})
}

// SCH-20: slots that were missed are not replayed; the latest is caught up if it is young enough.
func TestMissedSlots(t *testing.T) {
	start := at(12)
	for _, test := range []struct {
		name string
		away time.Duration
		want []string
	}{
		{"back within an interval", 66*time.Hour + time.Minute, []string{"skipped missed", "skipped missed", "succeeded"}},
		{"the slot just fell due", 18*time.Hour + time.Second, []string{"succeeded"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, start, func(t *testing.T, w *world) {
				w.people("1,a@x.org,,Ann,30")
				w.audience("all", "age >= 0")
				flow := w.flow(lakeward.Destination{}, "all", lakeward.Schedule{Mode: lakeward.FullExport, Frequency: lakeward.Daily,
					StartDate: start.AddDate(0, 0, 1).Format("2006-01-02"), StartTime: "06:00"}, named("name", "name"))
				time.Sleep(test.away)
				ctx, stop := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- w.Serve(ctx) }()
				time.Sleep(time.Minute)
				stop()
				<-done
				var got []string
				for _, s := range w.states(flow) {
					got = append(got, s[len("01-02 15:04 "):])
				}
				equal(t, "runs", got, test.want)
			})
		})
	}
}

// DLV-72: while the other side may recover, a run waits and is tried again.
func TestRunIsRetriedUntilTheLakeIsBack(t *testing.T) {
	inBubble(t, at(12), func(t *testing.T, w *world) {
		w.people("1,a@x.org,,Ann,30")
		w.audience("all", "age >= 0")
		flow := w.flow(lakeward.Destination{}, "all", daily(), named("name", "name"))
		w.restart(func() { w.cfg.RetryWindow = 2 * time.Hour })
		disarm := w.lake.Arm(emulator.Fault{Op: "flush", Do: emulator.Status, Code: 503})
		runs := must[[]lakeward.Run](t)(w.RunDataflow(t.Context(), sandbox, string(flow.ID), nil))
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- w.Serve(ctx) }()
		time.Sleep(10 * time.Second)
		if r := must[lakeward.Run](t)(w.store.Run(t.Context(), sandbox, string(runs[0].ID))); r.State != lakeward.Retrying || r.Cause.Code != lakeward.FailThrottled {
			t.Errorf("run is %s, cause %+v, want retrying", r.State, r.Cause)
		}
		disarm()
		time.Sleep(5 * time.Minute)
		stop()
		<-done
		r := must[lakeward.Run](t)(w.store.Run(context.Background(), sandbox, string(runs[0].ID)))
		succeeded(t, r)
		if r.Attempt < 2 {
			t.Errorf("attempt %d, want a later one", r.Attempt)
		}
	})
}
