package engine_test

import (
	"strings"
	"testing"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/engine"
	"github.com/lakeward/lakeward/internal/lake/emulator"
	"github.com/lakeward/lakeward/internal/lake/emulator/emulatortest"
)

// DLV-121: who was deleted or joined since the evaluation is in no file; who carries on a member is, with the
// identities of both.
func TestDeletedAndJoinedProfilesInAnExport(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.people("1,a@x.org,,Ann,10", "2,b@x.org,,Bob,40", "3,c@x.org,,Cid,50", "4,d@x.org,,Dan,60")
	w.stitched()
	adults := w.audience("adults", "age >= 18")
	if _, _, err := w.DeleteProfile(t.Context(), sandbox, lakeward.ProfileRef{Namespace: "Email", Value: "d@x.org"}); err != nil {
		t.Fatal(err)
	}
	w.upload("3,c@x.org,a@x.org,Cid,50") // 3 joins 1, who was no member
	flow := w.flow(lakeward.Destination{}, string(adults.ID), daily(), named("identityMap.Email", "mail"), named("name", "name"), named("segmentMembership.seg_namespace.seg_id.lastQualificationTime", "since"))
	run := w.export(flow)
	if run.State != lakeward.Succeeded || run.Counts.Received != 2 || run.Counts.Activated != 2 {
		t.Fatalf("run %s, %+v, %+v", run.State, run.Counts, run.Cause)
	}
	var got []string
	for _, r := range w.rows(run)[1:] {
		got = append(got, r[0]+" "+r[1])
		if want := adults.EvaluatedAt.Format("2006-01-02T15:04:05"); !strings.HasPrefix(r[2], want) {
			t.Errorf("%s qualified at %s, want the evaluation, %s", r[0], r[2], want)
		}
	}
	if want := "c@x.org Cid, a@x.org Cid, b@x.org Bob"; strings.Join(got, ", ") != want {
		t.Errorf("rows %q, want %q", got, want)
	}
	after := must[[]lakeward.Audience](t)(w.Evaluate(t.Context(), sandbox, nil, nil))[0]
	if after.Members != 2 || after.Breakdown.Exiting != 0 || after.Breakdown.Realized != 0 {
		t.Errorf("after the evaluation %d members, %+v", after.Members, after.Breakdown)
	}
}

// CSV-UP-07, PRF-02: an imported audience keeps its members when the policy changes, the ones that only the
// file named too.
func TestImportedMembersOutliveThePolicy(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.people("1,a@x.org,shared@x.org,Ann,10", "2,b@x.org,shared@x.org,Bob,40", "3,c@x.org,,Cid,50")
	listed := must[lakeward.Audience](t)(w.ImportAudience(t.Context(), engine.Import{Audience: lakeward.Audience{Sandbox: sandbox, Name: "listed", Namespace: "Email"}, Identity: "mail", Name: "list.csv"}, strings.NewReader("mail\nb@x.org\nnew@x.org\n")))
	members := func() (out []string) {
		for _, mail := range []string{"a@x.org", "b@x.org", "c@x.org", "new@x.org"} {
			p := must[lakeward.Profile](t)(w.Profile(t.Context(), sandbox, lakeward.ProfileRef{Namespace: "Email", Value: mail}))
			if len(p.Memberships) == 1 && p.Memberships[0].Audience == listed.ID && p.Memberships[0].Status == lakeward.Realized {
				out = append(out, mail)
			}
		}
		return out
	}
	if got := strings.Join(members(), " "); got != "b@x.org new@x.org" {
		t.Fatalf("members %s", got)
	}
	graph, none := lakeward.PrivateGraph, lakeward.NoStitching
	must[lakeward.MergePolicy](t)(w.EditMergePolicy(t.Context(), sandbox, "", engine.MergePolicyEdit{Stitching: &graph}))
	if got := strings.Join(members(), " "); got != "a@x.org b@x.org new@x.org" {
		t.Errorf("with a graph: members %s", got)
	}
	must[lakeward.MergePolicy](t)(w.EditMergePolicy(t.Context(), sandbox, "", engine.MergePolicyEdit{Stitching: &none}))
	if got := strings.Join(members(), " "); got != "a@x.org b@x.org new@x.org" {
		t.Errorf("without again: members %s; who came apart stays a member", got)
	}
}
