package engine_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/engine"
	"github.com/lakeward/lakeward/internal/lake/emulator"
	"github.com/lakeward/lakeward/internal/lake/emulator/emulatortest"
)

// AUD-05, AUD-06: drafts and inactive audiences are neither evaluated nor exported; what is used stays as it is.
func TestAudiencesArePublishedAndPutAside(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.people("1,a@x.org,,Ann,30", "2,b@x.org,,Bob,40")
	ctx := t.Context()
	draft := must[lakeward.Audience](t)(w.CreateAudience(ctx, lakeward.Audience{Sandbox: sandbox, Name: "draft", Rule: "age > 0", State: lakeward.Draft}))
	asking := `inSegment("` + string(draft.ID) + `")`
	code := func(what string, err error, want string) {
		t.Helper()
		if lakeward.CodeOf(err) != want {
			t.Errorf("%s: %v, want %q", what, err, want)
		}
	}
	_, err := w.CreateAudience(ctx, lakeward.Audience{Sandbox: sandbox, Name: "x", Rule: asking})
	code("a published audience that asks for a draft", err, "AUD-1001")
	must[lakeward.Audience](t)(w.CreateAudience(ctx, lakeward.Audience{Sandbox: sandbox, Name: "asking", Rule: asking, State: lakeward.Draft}))
	w.rule("other", "age > 1")
	_, err = w.EditAudience(ctx, sandbox, "other", engine.AudienceEdit{Rule: &asking})
	code("a published audience that would ask for a draft", err, "AUD-1001")
	_, err = w.PublishAudience(ctx, sandbox, "asking")
	code("published before what it asks for", err, "AUD-1001")
	_, err = w.Evaluate(ctx, sandbox, []string{"draft"}, nil)
	code("a draft evaluated by name", err, "AUD-1001")
	_, err = w.DeactivateAudience(ctx, sandbox, "draft")
	code("a draft put aside", err, "AUD-1002")
	must[[]lakeward.Audience](t)(w.Evaluate(ctx, sandbox, nil, nil))
	if a := must[lakeward.Audience](t)(w.Audience(ctx, sandbox, "draft")); a.EvaluatedAt != nil || a.State != lakeward.Draft {
		t.Errorf("the draft was evaluated: %+v", a)
	}

	must[lakeward.Audience](t)(w.PublishAudience(ctx, sandbox, "draft"))
	_, err = w.PublishAudience(ctx, sandbox, "draft")
	code("published twice", err, "AUD-1002")
	must[lakeward.Audience](t)(w.PublishAudience(ctx, sandbox, "asking"))
	_, err = w.DeactivateAudience(ctx, sandbox, "draft")
	code("put aside while another one asks for it", err, "USE-1001")
	must[[]lakeward.Audience](t)(w.Evaluate(ctx, sandbox, nil, nil))
	w.flow(lakeward.Destination{}, "asking", daily(), named("name", "name"))
	_, err = w.DeactivateAudience(ctx, sandbox, "asking")
	code("put aside while a dataflow has it", err, "USE-1001")

	aside := must[lakeward.Audience](t)(w.DeactivateAudience(ctx, sandbox, "other"))
	w.upload("3,c@x.org,,Cid,50")
	must[[]lakeward.Audience](t)(w.Evaluate(ctx, sandbox, nil, nil))
	if a := must[lakeward.Audience](t)(w.Audience(ctx, sandbox, "other")); a.Members != 2 || a.State != lakeward.Inactive {
		t.Errorf("an inactive audience has %d members, before %d", a.Members, aside.Members)
	}
	err = w.CheckDataflow(ctx, &lakeward.Dataflow{Sandbox: sandbox, Name: "f", DestinationID: w.anyDestination(), Mapping: []lakeward.Mapping{named("name", "name")},
		Items: []lakeward.DataflowItem{{AudienceID: aside.ID, Schedule: daily()}}})
	code("an inactive audience in a dataflow", err, "AUD-1001")
	must[lakeward.Audience](t)(w.PublishAudience(ctx, sandbox, "other"))
}

func (w *world) anyDestination() lakeward.DestinationID {
	w.t.Helper()
	return must[[]lakeward.Destination](w.t)(w.store.Destinations(w.t.Context(), sandbox))[0].ID
}

// AUD-07, AUD-08: tags and folders sort audiences; a copy is a draft.
func TestAudiencesAreSortedAndCopied(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.people("1,a@x.org,,Ann,30", "2,b@x.org,,Bob,40")
	ctx := t.Context()
	must[lakeward.Audience](t)(w.CreateAudience(ctx, lakeward.Audience{Sandbox: sandbox, Name: "vip", Rule: "age > 30", Tags: []string{"gold"}, Folder: "eu/retail"}))
	w.list("listed", 5, "a@x.org", "new@x.org")
	copied := must[lakeward.Audience](t)(w.CopyAudience(ctx, sandbox, "vip", "vip 2"))
	if copied.State != lakeward.Draft || copied.Rule != "age > 30" || copied.Folder != "eu/retail" || len(copied.Tags) != 1 {
		t.Errorf("copied %+v", copied)
	}
	list := must[lakeward.Audience](t)(w.CopyAudience(ctx, sandbox, "listed", "listed 2"))
	if list.State != lakeward.Draft || list.Members != 2 || list.ExpireDays != 5 || list.Ingested.New != 0 || list.Ingested.Existing != 2 {
		t.Errorf("copied %+v, ingested %+v", list, list.Ingested)
	}
	if _, err := w.CopyAudience(ctx, sandbox, "listed", "listed 2"); lakeward.KindOf(err) != lakeward.Conflict {
		t.Errorf("copied over another upload: %v", err)
	}
	for _, test := range []struct {
		f    lakeward.AudienceFilter
		want string
	}{
		{lakeward.AudienceFilter{Tags: []string{"gold"}, State: lakeward.Published}, "vip"},
		{lakeward.AudienceFilter{Folder: "eu"}, "vip,vip 2"},
		{lakeward.AudienceFilter{Origin: lakeward.UploadOrigin}, "listed,listed 2"},
		{lakeward.AudienceFilter{State: lakeward.Inactive}, ""},
	} {
		var names []string
		for _, a := range must[[]lakeward.Audience](t)(w.Audiences(ctx, sandbox, test.f)) {
			names = append(names, a.Name)
		}
		if got := strings.Join(names, ","); got != test.want {
			t.Errorf("%+v: %s, want %s", test.f, got, test.want)
		}
	}
	none := []string{}
	if a := must[lakeward.Audience](t)(w.EditAudience(ctx, sandbox, "vip", engine.AudienceEdit{Tags: &none})); len(a.Tags) != 0 || a.Folder != "eu/retail" {
		t.Errorf("edited %+v", a)
	}
	days := 3
	if _, err := w.EditAudience(ctx, sandbox, "vip", engine.AudienceEdit{ExpireDays: &days}); lakeward.CodeOf(err) != "AUD-1005" {
		t.Errorf("a rule that expires: %v", err)
	}
}

// AUD-03: at most 10 uploaded audiences in a dataflow.
func TestUploadedAudiencesOfADataflow(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.people("1,a@x.org,,Ann,30")
	w.rule("all", "age > 0")
	dest := w.flow(lakeward.Destination{}, "all", daily(), named("name", "name")).DestinationID
	d := lakeward.Dataflow{Name: "lists", Sandbox: sandbox, Mapping: []lakeward.Mapping{named("name", "name")}}
	for n := range 11 {
		a := w.list(fmt.Sprintf("list %d", n), 0, "a@x.org")
		d.Items = append(d.Items, lakeward.DataflowItem{AudienceID: a.ID, Schedule: daily()})
	}
	if _, err := w.CreateDataflow(t.Context(), d, string(dest)); lakeward.CodeOf(err) != "FLOW-1003" {
		t.Errorf("11 of them: %v", err)
	}
	d.Items = d.Items[:10]
	must[lakeward.Dataflow](t)(w.CreateDataflow(t.Context(), d, string(dest)))
}

// CSV-UP-03, CSV-UP-04, CSV-UP-07, AUD-09: an upload keeps its payload, tells how it went, and is known elsewhere by an id.
func TestUploadKeepsItsPayload(t *testing.T) {
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.people("1,a@x.org,,Ann,30", "2,b@x.org,,Bob,40")
	ctx := t.Context()
	im := engine.Import{Audience: lakeward.Audience{Sandbox: sandbox, Name: "list", Namespace: "Email", ExternalID: "crm_1"}, Identity: "mail", Name: "list.csv", MaxRejected: 1}
	a := must[lakeward.Audience](t)(w.ImportAudience(ctx, im, strings.NewReader("mail,voucher\na@x.org,A1\nnew@x.org,N1\na@x.org,A2\n,X\n")))
	if a.ExpireDays != lakeward.DefaultExpireDays || a.ExpiresAt == nil || a.State != lakeward.Published || a.Members != 2 {
		t.Errorf("audience %+v", a)
	}
	in := a.Ingested
	if in == nil || in.Records != 3 || in.Failed != 1 || in.New != 1 || in.Existing != 1 {
		t.Errorf("ingested %+v", in)
	}
	batches := must[[]lakeward.Batch](t)(w.store.Batches(ctx, lakeward.Dataset{Sandbox: sandbox, ID: lakeward.DatasetID(a.ID)}))
	if len(batches) != 1 || batches[0].ID != in.Batch || strings.Join(a.Columns, ",") != "mail,voucher" || a.Identity != "mail" {
		t.Fatalf("batches %+v, columns %q", batches, a.Columns)
	}
	var payload []string
	for c, err := range w.Warehouse().ReadFiles(ctx, batches[0].Files, []lakeward.Leaf{{Path: "voucher", Type: lakeward.TypeString}}) {
		if err != nil {
			t.Fatal(err)
		}
		for i := range c.Len {
			payload = append(payload, string(c.Columns[0].Str(i)))
		}
	}
	equal(t, "payload", payload, []string{"A1", "N1", "A2"})
	im.Audience.Name = "another"
	if _, err := w.ImportAudience(ctx, im, strings.NewReader("mail\na@x.org\n")); lakeward.CodeOf(err) != "AUD-1004" {
		t.Errorf("an external id twice: %v", err)
	}
	again := must[lakeward.Audience](t)(w.ImportAudience(ctx, engine.Import{Audience: lakeward.Audience{Sandbox: sandbox, Name: "list", Namespace: "Email"}, Identity: "mail", Name: "list.csv"}, strings.NewReader("mail\nb@x.org\n")))
	if again.ExternalID != "crm_1" || strings.Join(again.Columns, ",") != "mail" || again.Ingested.Failed != 0 || again.Ingested.Existing != 1 {
		t.Errorf("uploaded again: %+v", again)
	}
}

// CSV-UP-08: a header and one empty row take all members; a file that just lists nobody is a mistake.
func TestEmptyUpload(t *testing.T) {
	for _, test := range []struct {
		name, file, code string
		members          int64
	}{
		{"an empty row of one column", "mail\n\n", "", 0},
		{"an empty row of two columns", "mail,note\r\n,\r\n", "", 0},
		{"an empty row of quotes", "mail,note\n\"\",\"\"", "", 0},
		{"a blank line under two columns", "mail,note\n\n", "", 0},
		{"only a header", "mail\n", "UPL-1001", 1},
		{"only a header, without its end", "mail", "UPL-1001", 1},
		{"two empty rows", "mail,note\n,\n,\n", "UPL-1007", 1},
		{"an empty row and a full one", "mail,note\n,\nb@x.org,x\n", "UPL-1007", 1},
		{"an empty file", "", "UPL-1001", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
			w.people("1,a@x.org,,Ann,30")
			im := engine.Import{Audience: lakeward.Audience{Sandbox: sandbox, Name: "list", Namespace: "Email"}, Identity: "mail", Name: "list.csv"}
			if _, err := w.ImportAudience(t.Context(), im, strings.NewReader(test.file)); err == nil {
				t.Error("an audience began empty")
			}
			w.list("list", 0, "a@x.org")
			if _, err := w.ImportAudience(t.Context(), im, strings.NewReader(test.file)); lakeward.CodeOf(err) != test.code {
				t.Errorf("%v, want %q", err, test.code)
			}
			if a := must[lakeward.Audience](t)(w.Audience(t.Context(), sandbox, "list")); a.Members != test.members {
				t.Errorf("%d members, want %d", a.Members, test.members)
			}
		})
	}
}

// CSV-UP-05: at expiry all profiles leave, for lists, rules and exports alike, and the audience cannot be activated; a new
// upload begins a new life.
func TestUploadedAudienceExpires(t *testing.T) {
	start := at(12)
	inBubble(t, start, func(t *testing.T, w *world) {
		w.people("1,a@x.org,,Ann,30", "2,b@x.org,,Bob,40")
		list := w.list("list", 1, "a@x.org")
		w.rule("listed", `inSegment("`+string(list.ID)+`")`)
		must[[]lakeward.Audience](t)(w.Evaluate(t.Context(), sandbox, nil, nil))
		flow := w.fresh(start.AddDate(0, 0, 1), "list", "listed")
		w.serve(18*time.Hour + time.Minute) // the first slot, before it expires
		time.Sleep(6 * time.Hour)           // nobody is there when it does
		members := func(name string) int64 {
			return must[lakeward.Audience](t)(w.Audience(context.Background(), sandbox, name)).Members
		}
		if a := must[lakeward.Audience](t)(w.store.Audience(context.Background(), sandbox, "list")); a.Members != 1 {
			t.Errorf("it has %d members before anybody looks", a.Members)
		}
		if r := w.export(flow); r.Item != string(list.ID) || r.Counts.Received != 0 { // by hand, just after
			t.Errorf("exported %+v of %s", r.Counts, r.Item)
		}
		if n := members("list"); n != 0 {
			t.Errorf("%d members after expiry", n)
		}
		w.serve(18 * time.Hour) // the second slot
		runs := must[[]lakeward.Run](t)(w.store.Runs(context.Background(), sandbox, flow.ID, 100))
		for _, r := range runs {
			succeeded(t, r)
			want := int64(0)
			if r.ScheduledAt.Equal(start.Add(18 * time.Hour)) {
				want = 1
			} else if strings.HasPrefix(r.Slot, "manual:") && r.Item != string(list.ID) {
				want = 1 // by hand nothing is evaluated first
			}
			if r.Counts.Received != want {
				t.Errorf("%s of %s: %d members, want %d", r.Slot, r.Plan.Audience.Name, r.Counts.Received, want)
			}
		}
		if n := members("listed"); n != 0 {
			t.Errorf("a rule sees %d members after expiry", n)
		}
		d := lakeward.Dataflow{Name: "late", Sandbox: sandbox, Mapping: flow.Mapping, Items: []lakeward.DataflowItem{{AudienceID: list.ID, Schedule: daily()}}}
		if _, err := w.CreateDataflow(context.Background(), d, string(flow.DestinationID)); lakeward.CodeOf(err) != "AUD-1001" {
			t.Errorf("activated after expiry: %v", err)
		}
		if _, err := w.RefreshAudience(context.Background(), sandbox, "list"); lakeward.CodeOf(err) != "AUD-1003" {
			t.Errorf("refreshed after expiry: %v", err)
		}
		name := "still gone"
		if a := must[lakeward.Audience](t)(w.EditAudience(context.Background(), sandbox, "list", engine.AudienceEdit{Description: &name})); !a.Expired(time.Now()) {
			t.Error("an edit of an expired audience gave it a new life")
		}
		if a := w.list("list", 0, "b@x.org"); a.Members != 1 || a.ExpireDays != 1 || a.Expired(time.Now()) {
			t.Errorf("uploaded again: %+v", a)
		}
	})
}

// CSV-UP-05: an evaluation sees nobody in an expired audience, although nothing has looked at it since.
func TestRuleOverAnExpiredAudience(t *testing.T) {
	inBubble(t, at(12), func(t *testing.T, w *world) {
		w.people("1,a@x.org,,Ann,30")
		list := w.list("list", 1, "a@x.org")
		w.rule("listed", `inSegment("`+string(list.ID)+`")`)
		for _, want := range []int64{1, 0} {
			if a := must[[]lakeward.Audience](t)(w.Evaluate(t.Context(), sandbox, nil, nil)); a[0].Members != want {
				t.Errorf("%d members, want %d", a[0].Members, want)
			}
			time.Sleep(24 * time.Hour)
		}
	})
}

// CSV-UP-05: a refresh takes the latest upload once more and adds the days of it.
func TestUploadedAudienceIsRefreshed(t *testing.T) {
	inBubble(t, at(12), func(t *testing.T, w *world) {
		w.people("1,a@x.org,,Ann,30")
		a := w.list("list", 10, "a@x.org", "new@x.org")
		if _, err := w.RefreshAudience(t.Context(), sandbox, "list"); lakeward.CodeOf(err) != "AUD-1003" {
			t.Errorf("too early: %v", err)
		}
		time.Sleep(4 * 24 * time.Hour)
		b := must[lakeward.Audience](t)(w.RefreshAudience(t.Context(), sandbox, "list"))
		if b.Members != 2 || !b.ExpiresAt.Equal(a.ExpiresAt.AddDate(0, 0, 10)) || b.Ingested.Batch == a.Ingested.Batch || b.Ingested.Records != 2 || b.Ingested.New != 0 {
			t.Errorf("refreshed %+v, ingested %+v", b, b.Ingested)
		}
		days := 90
		c := must[lakeward.Audience](t)(w.EditAudience(t.Context(), sandbox, "list", engine.AudienceEdit{ExpireDays: &days}))
		if want := time.Now().UTC().AddDate(0, 0, 90); c.ExpiresAt.Sub(want).Abs() > time.Second {
			t.Errorf("edited: expires %v, want %v", c.ExpiresAt, want)
		}
	})
}
