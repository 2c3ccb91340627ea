package engine_test

import (
	"strings"
	"testing"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/engine"
	"github.com/lakeward/lakeward/internal/lake/emulator"
	"github.com/lakeward/lakeward/internal/lake/emulator/emulatortest"
)

// S11: an audience that another one asks for is evaluated in the same job, first; an imported one as it is.
func TestAudiencesOfAudiences(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.people("1,a@x.org,,Ann,30", "2,b@x.org,,Bob,40", "3,c@x.org,,Cid,50")
	adults := must[lakeward.Audience](t)(w.CreateAudience(t.Context(), lakeward.Audience{Sandbox: sandbox, Name: "adults", Rule: "age >= 40"}))
	listed := must[lakeward.Audience](t)(w.ImportAudience(t.Context(), engine.Import{Audience: lakeward.Audience{Sandbox: sandbox, Name: "listed", Namespace: "Email"}, Identity: "mail", Name: "list.csv"}, strings.NewReader("mail\na@x.org\nc@x.org\n")))
	both := must[lakeward.Audience](t)(w.CreateAudience(t.Context(), lakeward.Audience{Sandbox: sandbox, Name: "both", Rule: `inSegment("` + string(adults.ID) + `") and inSegment("` + string(listed.ID) + `")`}))
	not := must[lakeward.Audience](t)(w.CreateAudience(t.Context(), lakeward.Audience{Sandbox: sandbox, Name: "not both", Rule: `not inSegment("` + string(both.ID) + `")`}))
	if a := must[[]lakeward.Audience](t)(w.Evaluate(t.Context(), sandbox, []string{"not both"}, nil)); len(a) != 1 || a[0].Members != 2 {
		t.Errorf("not both: %+v", a)
	}
	for id, want := range map[lakeward.AudienceID]int64{adults.ID: 2, both.ID: 1, not.ID: 2, listed.ID: 2} { // those that were asked for are evaluated too
		if a := must[lakeward.Audience](t)(w.store.Audience(t.Context(), sandbox, string(id))); a.Members != want {
			t.Errorf("%s has %d members, want %d", a.Name, a.Members, want)
		}
	}
	if _, err := w.CreateAudience(t.Context(), lakeward.Audience{Sandbox: sandbox, Name: "x", Rule: `inSegment("adults")`}); lakeward.CodeOf(err) != "RULE-1002" || !strings.Contains(err.Error(), string(adults.ID)) {
		t.Errorf("a name for an id: %v", err)
	}
}
