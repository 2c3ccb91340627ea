package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/engine"
	"github.com/lakeward/lakeward/internal/lake/emulator"
	"github.com/lakeward/lakeward/internal/lake/emulator/emulatortest"
)

// crowd fills a store with people and events in several batches: some people are written again, some joined with
// others, some deleted, and some have no event.
func (w *world) crowd(r *rand.Rand, people int) {
	w.t.Helper()
	row := func(i int) string {
		mail2 := ""
		if r.IntN(200) == 0 {
			mail2 = fmt.Sprintf("p%d@x.org", r.IntN(people)) // joins two
		}
		return fmt.Sprintf("%d,p%d@x.org,%s,n%d,%d", i, i, mail2, r.IntN(50), r.IntN(90))
	}
	event := func(k int) string {
		at := time.UnixMilli(1_700_000_000_000 + int64(r.IntN(40))*3_600_000).UTC().Format("2006-01-02T15:04:05.000Z")
		return fmt.Sprintf(`{"_id":"e%07d","timestamp":%q,"id":"%d","eventType":"t%d","amount":%d}`, r.IntN(10_000_000), at, r.IntN(people)/3*3+k%2, r.IntN(6), r.IntN(500))
	}
	w.people(row(0))
	w.stitched()
	fields := must[[]lakeward.Field](w.t)(lakeward.ParseSchema([]byte(`{"properties": {"_id": {"type": "string"}, "timestamp": {"type": "string", "format": "date-time"},
		"id": {"type": "string", "identity": {"namespace": "ECID", "primary": true}}, "eventType": {"type": "string"}, "amount": {"type": "number"}}}`), ""))
	must[lakeward.Schema](w.t)(w.CreateSchema(w.t.Context(), lakeward.Schema{Sandbox: sandbox, Name: "visits", Class: lakeward.EventClass, Profile: true, Fields: fields}))
	must[lakeward.Dataset](w.t)(w.CreateDataset(w.t.Context(), lakeward.Dataset{Sandbox: sandbox, Name: "visits"}, "visits"))
	for part := range 3 {
		var rows, events []string
		for i := part * people / 3; i < (part+1)*people/3; i++ {
			rows = append(rows, row(i))
			if part > 0 && r.IntN(20) == 0 {
				rows = append(rows, row(r.IntN(i)))
			}
		}
		w.upload(rows...)
		for k := range people / 4 {
			events = append(events, event(k))
		}
		w.records("visits", events...)
	}
	for range 20 {
		ref := lakeward.ProfileRef{Namespace: "Email", Value: fmt.Sprintf("p%d@x.org", r.IntN(people))}
		if _, _, err := w.DeleteProfile(w.t.Context(), sandbox, ref); err != nil && !errors.As(err, new(*lakeward.Error)) {
			w.t.Fatal(err)
		}
	}
}

// SEG-04: how many workers evaluate changes no member.
func TestWorkersOfAnEvaluationAgree(t *testing.T) {
	t.Parallel()
	const people = 35_000 // five chunks
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
			w.crowd(rand.New(rand.NewPCG(seed, 1)), people)
			var list strings.Builder
			for i := range people / 7 {
				fmt.Fprintf(&list, "p%d@x.org\n", 5*i)
			}
			listed := must[lakeward.Audience](t)(w.ImportAudience(t.Context(), engine.Import{Audience: lakeward.Audience{Sandbox: sandbox, Name: "listed", Namespace: "Email"}, Identity: "mail", Name: "list.csv"}, strings.NewReader("mail\n"+list.String())))
			rule := func(name, source string) lakeward.AudienceID {
				return must[lakeward.Audience](t)(w.CreateAudience(t.Context(), lakeward.Audience{Sandbox: sandbox, Name: name, Rule: source})).ID
			}
			adults := rule("adults", "age >= 40")
			bought := rule("bought", `(select e from xEvent where e.eventType = "t3" and e.timestamp >= date(2023, 11, 15)).count() >= 1`)
			rule("spent", `(select e from xEvent where e.eventType in ["t1", "t2"]).sum(amount) > 300`)
			rule("first", `xEvent.head().eventType = "t1" and xEvent.topN(amount, 1).head().eventType != "t2"`)
			rule("silent", `not (xEvent) and name.startsWith("n1")`)
			rule("of others", `inSegment("`+string(adults)+`") and inSegment("`+string(listed.ID)+`") or inSegment("`+string(bought)+`") and age < 10`)
			rule("two mails", `identityMap.Email.count() > 1`)
			rule("was adult", `segmentMembership.get("ups").get("`+string(adults)+`").status = "realized" and not inSegment("`+string(bought)+`")`)

			members := func(workers int) map[string]*roaring.Bitmap {
				w.restart(func() { w.cfg.Evaluators = workers })
				for range 2 { // the second time the memberships before are those of the first
					var last int64
					done := must[[]lakeward.Audience](t)(w.Evaluate(t.Context(), sandbox, nil, func(done, total int64) {
						if done <= last || done > total {
							t.Errorf("%d of %d rows behind %d", done, total, last)
						}
						last = done
					}))
					if len(done) != 8 || last == 0 {
						t.Fatalf("%d audiences, %d rows", len(done), last)
					}
				}
				snap, err := w.Warehouse().Snapshot(t.Context(), sandbox, lakeward.FirstPolicy, 0)
				if err != nil {
					t.Fatal(err)
				}
				out := map[string]*roaring.Bitmap{}
				for _, a := range must[[]lakeward.Audience](t)(w.Audiences(t.Context(), sandbox, lakeward.AudienceFilter{})) {
					out[a.Name] = snap.Memberships[a.ID].Members
				}
				return out
			}
			want := members(1)
			for name, m := range want {
				if n := m.GetCardinality(); n == 0 || n == people {
					t.Errorf("%s has %d members: it shows nothing", name, n)
				}
			}
			for _, workers := range slices.Backward([]int{2, 4}) {
				for name, m := range members(workers) {
					if !m.Equals(want[name]) {
						t.Errorf("%d workers: %s has %d members, not the %d of one worker", workers, name, m.GetCardinality(), want[name].GetCardinality())
					}
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			reports := 0
			_, _, err := w.Estimate(ctx, sandbox, "age >= 40", func(int64, int64) {
				reports++
				cancel()
			})
			if !errors.Is(err, context.Canceled) || reports > 2 {
				t.Errorf("%v behind %d chunks; it was cancelled at the first, and each of two workers may end its own", err, reports)
			}
			if _, _, err = w.Estimate(t.Context(), sandbox, "age >= 40", func(int64, int64) { panic("a bug") }); lakeward.CodeOf(err) != lakeward.FailInternal {
				t.Errorf("a panic of a worker is told as %v", err) // and the process lives (DLV-46)
			}
		})
	}
}
