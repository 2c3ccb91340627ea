package engine_test

import (
	"strings"
	"testing"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/engine"
	"github.com/lakeward/lakeward/internal/lake/emulator"
	"github.com/lakeward/lakeward/internal/lake/emulator/emulatortest"
)

// SEG-07, SEG-09, SEG-10, AUD-06, K8: an audience is counted before it is saved, edited, and deleted when nothing uses it.
func TestAudienceLifecycle(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.people("1,a@x.org,,Ann,30", "2,b@x.org,,Bob,40", "3,c@x.org,,Cid,50")
	ctx := t.Context()
	create := func(name, rule string) lakeward.Audience {
		return must[lakeward.Audience](t)(w.CreateAudience(ctx, lakeward.Audience{Sandbox: sandbox, Name: name, Rule: rule}))
	}
	members := func(name string) int64 {
		return must[lakeward.Audience](t)(w.store.Audience(ctx, sandbox, name)).Members
	}
	evaluate := func() { must[[]lakeward.Audience](t)(w.Evaluate(ctx, sandbox, nil, nil)) }
	edit := func(name, rule string) error {
		_, err := w.EditAudience(ctx, sandbox, name, engine.AudienceEdit{Rule: &rule})
		return err
	}

	before := len(must[[]lakeward.Audience](t)(w.store.Audiences(ctx, sandbox)))
	if n, all, err := w.Estimate(ctx, sandbox, "age >= 40", nil); err != nil || n != 2 || all != 3 {
		t.Errorf("estimated %d of %d: %v", n, all, err)
	}
	if _, _, err := w.Estimate(ctx, sandbox, "age >= ", nil); lakeward.CodeOf(err) != "RULE-1001" {
		t.Errorf("estimate of half a rule: %v", err)
	}
	if after := len(must[[]lakeward.Audience](t)(w.store.Audiences(ctx, sandbox))); after != before {
		t.Errorf("an estimate stored %d audiences", after-before)
	}

	adults := create("adults", "age >= 40")
	others := create("others", `not inSegment("`+string(adults.ID)+`")`)
	evaluate()
	if err := edit("adults", "age >= 50"); err != nil || members("adults") != 2 {
		t.Errorf("a new rule: %v; members change with the evaluation, not now: %d", err, members("adults"))
	}
	evaluate()
	if members("adults") != 1 || members("others") != 2 {
		t.Errorf("by the new rule: %d and %d", members("adults"), members("others"))
	}
	for name, want := range map[string]lakeward.Breakdown{"adults": {Existing: 1, Exiting: 1}, "others": {Realized: 1, Existing: 1}} { // SEG-07
		if a := must[lakeward.Audience](t)(w.Audience(ctx, sandbox, name)); a.Breakdown == nil || *a.Breakdown != want {
			t.Errorf("%s: %+v, want %+v", name, a.Breakdown, want)
		}
	}
	if err := edit("adults", `inSegment("`+string(others.ID)+`")`); lakeward.CodeOf(err) != "RULE-1002" || !strings.Contains(err.Error(), `"adults" -> "others" -> "adults"`) {
		t.Errorf("a rule that asks for itself: %v", err)
	}
	if err := edit("adults", "ages >= 1"); lakeward.CodeOf(err) != "RULE-1002" {
		t.Errorf("an unknown field: %v", err)
	}
	if a := must[lakeward.Audience](t)(w.store.Audience(ctx, sandbox, "adults")); a.Rule != "age >= 50" {
		t.Errorf("a refused edit left the rule %s", a.Rule)
	}
	name := "grown-ups"
	must[lakeward.Audience](t)(w.EditAudience(ctx, sandbox, "adults", engine.AudienceEdit{Name: &name}))

	err := w.DeleteAudience(ctx, sandbox, name)
	if lakeward.CodeOf(err) != "USE-1001" || !strings.Contains(err.Error(), `audience "others"`) {
		t.Errorf("deleted under an audience that asks for it: %v", err)
	}
	for _, n := range []string{"others", name} {
		if err := w.DeleteAudience(ctx, sandbox, n); err != nil {
			t.Fatal(err)
		}
		if err := w.DeleteAudience(ctx, sandbox, n); lakeward.KindOf(err) != lakeward.NotFound {
			t.Errorf("deleted twice: %v", err)
		}
	}
	evaluate() // the generations of the deleted ones stand in nobody's way
}

// AUD-06: what a dataflow delivers cannot be deleted.
func TestDeliveredAudienceIsNotDeleted(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.people("1,a@x.org,,Ann,30")
	w.audience("all", "age > 0")
	w.static("out")
	if err := w.DeleteAudience(t.Context(), sandbox, "all"); lakeward.CodeOf(err) != "USE-1001" || !strings.Contains(err.Error(), "dataflow ") {
		t.Errorf("deleted under a dataflow: %v", err)
	}
}

// Names that a reader of the views would take for one have their ids behind them (D20).
func TestViewsOfEqualNames(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.people("1,a@x.org,,Ann,30")
	var ids []lakeward.AudienceID
	for _, name := range []string{"Gold", "gold", "silver"} {
		ids = append(ids, must[lakeward.Audience](t)(w.CreateAudience(t.Context(), lakeward.Audience{Sandbox: sandbox, Name: name, Rule: "age > 0"})).ID)
	}
	must[[]lakeward.Audience](t)(w.Evaluate(t.Context(), sandbox, nil, nil))
	sql := must[string](t)(w.Views(t.Context(), sandbox, "/data"))
	for _, want := range []string{`"audience Gold ` + string(ids[0]) + `"`, `"audience gold ` + string(ids[1]) + `"`, `"audience silver"`} {
		if strings.Count(sql, "VIEW "+want+" AS") != 1 {
			t.Errorf("there is no view %s in\n%s", want, sql)
		}
	}
}

// SEG-07: of the very first generation everybody is new; a second import leaves who is not in it.
func TestBreakdownOfImports(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	for _, tt := range []struct {
		csv  string
		want lakeward.Breakdown
	}{{"mail\na@x.org\nb@x.org\n", lakeward.Breakdown{Realized: 2}}, {"mail\nb@x.org\nc@x.org\nd@x.org\n", lakeward.Breakdown{Realized: 2, Existing: 1, Exiting: 1}}} {
		im := engine.Import{Audience: lakeward.Audience{Sandbox: sandbox, Name: "listed", Namespace: "Email"}, Identity: "mail", Name: "list.csv"}
		must[lakeward.Audience](t)(w.ImportAudience(t.Context(), im, strings.NewReader(tt.csv)))
		a := must[lakeward.Audience](t)(w.Audience(t.Context(), sandbox, "listed"))
		if a.Breakdown == nil || *a.Breakdown != tt.want {
			t.Errorf("generation %d: %+v, want %+v", a.Generation, a.Breakdown, tt.want)
		}
	}
}
