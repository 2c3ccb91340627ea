package engine_test

import (
	"strings"
	"testing"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/lake/emulator"
)

// outcome explains the profile of an ECID in a run.
func (w *world) outcome(r lakeward.Run, id string) lakeward.Explanation {
	w.t.Helper()
	list := must[[]lakeward.Explanation](w.t)(w.Explain(w.t.Context(), sandbox, string(r.ID), lakeward.ProfileKey{Namespace: "ECID", Value: id}))
	if len(list) != 1 {
		w.t.Fatalf("%d explanations", len(list))
	}
	return list[0]
}

// Each outcome, in full and incremental runs; what the explanations say together is what the books say.
func TestExplain(t *testing.T) {
	inBubble(t, at(12), func(t *testing.T, w *world) {
		w.people("1,a@x.org,a2@x.org,Ann,30", "2,,,Bob,40", "3,c@x.org,,,50", "4,a@x.org,,Dan,60", "5,e@x.org,,Eve,10", "6,f@x.org,,Fay,70")
		w.audience("adults", "age >= 18")
		mapping := []lakeward.Mapping{named("name", "name"), named("identityMap.Email", "mail"), named(statusField, "status")}
		mapping[0].Mandatory = true
		flow := w.flow(lakeward.Destination{Folder: "out"}, "adults", every3h(), mapping...)
		untold := w.flow(lakeward.Destination{Folder: "other"}, "adults", every3h(), named("id", "id"))
		want := func(r lakeward.Run, outcomes map[string]lakeward.Outcome) {
			t.Helper()
			written := int64(0)
			for id, o := range outcomes {
				x := w.outcome(r, id)
				if x.Outcome != o {
					t.Errorf("profile %s: %s, want %s; %q", id, x.Outcome, o, x.Facts)
				}
				if o == lakeward.WasWritten || o == lakeward.WasWrittenExited {
					written++
					if x.File != r.Files[0].Path || x.Rows == 0 {
						t.Errorf("profile %s: file %q, %d rows", id, x.File, x.Rows)
					}
				}
				if all := strings.Join(x.Facts, " "); strings.Contains(all, "@x.org") || len(x.Facts) == 0 {
					t.Errorf("profile %s: facts %q", id, x.Facts)
				}
			}
			if r.State == lakeward.Succeeded && written != r.Counts.Activated {
				t.Errorf("%d profiles are explained as written, the books say %d", written, r.Counts.Activated)
			}
		}
		first := w.slot(flow)
		want(first, map[string]lakeward.Outcome{"1": lakeward.WasWritten, "2": lakeward.WasWithoutID, "3": lakeward.WasIncomplete, "4": lakeward.WasDuplicate, "5": lakeward.WasNoMember, "6": lakeward.WasWritten})
		if x := w.outcome(first, "4"); x.Winner == nil || *x.Winner != w.outcome(first, "1").Number {
			t.Errorf("the winner over profile 4 is %v", x.Winner)
		}
		w.upload("5,e@x.org,,Eve,20", "6,f@x.org,,Fay,7", "1,a@x.org,a2@x.org,Anna,31")
		w.evaluate()
		disarm := w.lake.Arm(emulator.Fault{Op: "flush", Do: emulator.Status, Code: 403})
		failed := w.slot(flow)
		want(failed, map[string]lakeward.Outcome{"5": lakeward.WasNotDelivered, "6": lakeward.WasNotDelivered, "1": lakeward.WasUnchanged})
		disarm()
		second := w.slot(flow)
		want(second, map[string]lakeward.Outcome{"1": lakeward.WasUnchanged, "2": lakeward.WasUnchanged, "5": lakeward.WasWritten, "6": lakeward.WasWrittenExited})
		want(w.newest(untold), map[string]lakeward.Outcome{"1": lakeward.WasUnchanged, "5": lakeward.WasWritten, "6": lakeward.WasLeftUntold})

		full := must[[]lakeward.Explanation](t)(w.Explain(t.Context(), sandbox, string(first.ID), lakeward.ProfileKey{Namespace: "Email", Value: "a@x.org"}))
		if len(full) != 2 {
			t.Errorf("%d profiles have the address", len(full))
		}
		if _, err := w.Explain(t.Context(), sandbox, string(first.ID), lakeward.ProfileKey{Namespace: "Email", Value: "nobody@x.org"}); lakeward.CodeOf(err) != "PROFILE-1001" || strings.Contains(err.Error(), "nobody") {
			t.Errorf("an unknown identity: %v", err)
		}
		gone := uint32(1000)
		if x := must[[]lakeward.Explanation](t)(w.Explain(t.Context(), sandbox, string(first.ID), lakeward.ProfileKey{Number: &gone})); x[0].Outcome != lakeward.WasNoMember {
			t.Errorf("a number that was never given: %+v", x[0])
		}

		// What was removed cannot be told, and it is said so.
		w.upload("7,g@x.org,,Gus,70")
		w.evaluate()
		w.compact(true)
		if x := w.outcome(first, "1"); x.Outcome != lakeward.WasForgotten {
			t.Errorf("after the facts were removed: %+v", x)
		}
		w.upload("1,a@x.org,a2@x.org,Anna,3")
		w.evaluate()
		w.slot(untold)
		want(w.newest(untold), map[string]lakeward.Outcome{"1": lakeward.WasLeftUntold, "2": lakeward.WasUnchanged, "7": lakeward.WasWritten})
	})
}
