package warehouse_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"pgregory.net/rapid"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
	"github.com/lakeward/lakeward/internal/warehouse"
)

// The datasets of the histories: two of records under different namespaces, one of events. All share Email and
// Partner, for which there is no graph.
func historySchemas() map[lakeward.DatasetID]lakeward.Schema {
	text := func(name, namespace string, primary bool) lakeward.Field {
		f := lakeward.Field{Name: name, Type: lakeward.TypeString}
		if namespace != "" {
			f.Identity = &lakeward.FieldIdentity{Namespace: namespace, Primary: primary}
		}
		return f
	}
	return map[lakeward.DatasetID]lakeward.Schema{
		"crm":  {Name: "crm", Class: lakeward.RecordClass, Profile: true, Fields: []lakeward.Field{text("id", "CRM", true), text("mail", "Email", false), text("partner", "Partner", false), text("n", "", false), text("a", "", false)}},
		"web":  {Name: "web", Class: lakeward.RecordClass, Profile: true, Fields: []lakeward.Field{text("cookie", "ECID", true), text("mail", "Email", false), text("id", "CRM", false), text("n", "", false)}},
		"part": {Name: "part", Class: lakeward.RecordClass, Profile: true, Fields: []lakeward.Field{text("partner", "Partner", true), text("mail", "Email", false), text("a", "", false)}},
		"seen": {Name: "seen", Class: lakeward.EventClass, Profile: true, Fields: []lakeward.Field{text("mail", "Email", true), text("cookie", "ECID", false), text("partner", "Partner", false)}},
	}
}

// history is a warehouse and, for each merge policy, the model of what it must hold.
type history struct {
	*home
	policies []warehouse.Policy
	models   []*people
	past     []warehouse.Step
	union    []lakeward.Leaf
}

func newHistory(t tester, dir string, policies ...lakeward.MergePolicy) *history {
	h := &history{home: newHome(t, dir)}
	var schemas []lakeward.Schema
	fields := map[lakeward.DatasetID][]lakeward.Leaf{}
	for _, id := range []lakeward.DatasetID{"crm", "web", "part", "seen"} {
		s := historySchemas()[id]
		schemas = append(schemas, s)
		if s.Class == lakeward.RecordClass {
			fields[id] = s.Leaves()
		}
	}
	h.union = lakeward.UnionSchema(schemas)
	for _, p := range policies {
		h.policies = append(h.policies, warehouse.Policy{MergePolicy: p, Union: h.union, Stitched: map[string]bool{"CRM": true, "ECID": true, "Email": true}, Fields: fields,
			Batches: func(ctx context.Context) ([]lakeward.Batch, error) { return h.store.AllBatches(ctx, sandbox) }})
		h.models = append(h.models, &people{policy: p, gone: map[uint32]bool{}})
	}
	return h
}

func (h *history) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *history) snapshot(policy int) *warehouse.Snapshot {
	h.t.Helper()
	s, err := h.Snapshot(ctx(), sandbox, h.policies[policy].ID, 0)
	h.must(err)
	return s
}

// batch uploads rows of a dataset; with an audience, it is an import.
func (h *history) batch(dataset lakeward.DatasetID, s lakeward.Schema, rows []row, audience *lakeward.Audience) {
	h.t.Helper()
	b, err := h.NewBatch(ctx(), sandbox, lakeward.Batch{ID: lakeward.BatchID(lakeward.NewID()), DatasetID: dataset, CreatedAt: time.Now().UTC()}, s, h.policies)
	h.must(err)
	c := &vector.Chunk{Len: len(rows), Columns: make([]vector.Vector, len(s.Fields))}
	for k := range c.Columns {
		c.Columns[k].Reset(vector.String)
		for _, r := range rows {
			if r[k] == "" {
				c.Columns[k].AppendNull()
			} else {
				c.Columns[k].AppendString([]byte(r[k]))
			}
		}
	}
	h.must(b.Write(ctx(), c))
	done, err := b.Commit(ctx(), audience)
	h.must(err)
	h.past = append(h.past, warehouse.Step{Batch: done, Schema: s})
	for i, m := range h.models {
		var listed []*person
		m.begin()
		for _, r := range rows {
			listed = append(listed, m.record(dataset, s, r))
		}
		for _, p := range m.all {
			if audience != nil && i == 0 {
				delete(p.member, audience.ID)
				if slices.Contains(listed, p) {
					p.member[audience.ID] = true
				}
			}
		}
	}
}

// delete deletes a profile of the first policy; the others lose its records.
func (h *history) delete(number uint32) {
	h.t.Helper()
	g, err := h.DeleteProfile(ctx(), h.snapshot(0), number, h.policies[1:], time.Now().UTC())
	h.must(err)
	deleted, err := h.store.Deletions(ctx(), sandbox)
	h.must(err)
	last := deleted[len(deleted)-1]
	if last.Generation != g {
		h.t.Fatalf("the deletion of generation %d is not noted: %+v", g, last)
	}
	h.past = append(h.past, warehouse.Step{Deletion: &last})
	m := h.models[0]
	gone := m.all[slices.IndexFunc(m.all, func(p *person) bool { return p.number == number })]
	m.remove(gone)
	for _, m := range h.models[1:] {
		for _, p := range slices.Clone(m.all) {
			p.fragments = slices.DeleteFunc(p.fragments, func(f *piece) bool { return gone.primary(f.ids[0]) })
			if len(p.fragments) == 0 {
				m.remove(p)
			}
		}
	}
}

// evaluate makes members of those whose field n is x, under each policy.
func (h *history) evaluate() {
	h.t.Helper()
	k := slices.IndexFunc(h.union, func(l lakeward.Leaf) bool { return l.Path == "n" })
	for i, m := range h.models {
		s, members := h.snapshot(i), roaring.New()
		for c, err := range h.Scan(ctx(), s, s.All(), h.union, "") {
			h.must(err)
			for i, n := range c.Numbers {
				if !c.Columns[k].IsNull(i) && string(c.Columns[k].Str(i)) == "x" {
					members.Add(n)
				}
			}
		}
		rule := ruleOf(i)
		_, err := h.SaveMemberships(ctx(), s, map[lakeward.AudienceID]*roaring.Bitmap{rule: members}, time.Now().UTC())
		h.must(err)
		for _, p := range m.all {
			delete(p.member, rule)
			if m.value(p, "n") == "x" {
				p.member[rule] = true
			}
		}
		h.exitedAreThere(i)
	}
}

func ruleOf(policy int) lakeward.AudienceID {
	return lakeward.AudienceID(fmt.Sprintf("rule%d", policy))
}

// exitedAreThere: what is written as exited is a profile that is there (DLV-121).
func (h *history) exitedAreThere(policy int) {
	h.t.Helper()
	raw, err := h.store.Snapshot(ctx(), sandbox, h.policies[policy].ID, 0, nil)
	h.must(err)
	all := h.snapshot(policy).All()
	for _, m := range raw.Memberships {
		if m.Audience != ruleOf(policy) {
			continue
		}
		exited := roaring.New()
		h.must(exited.UnmarshalBinary(m.Exited))
		if gone := roaring.AndNot(exited, all); !gone.IsEmpty() {
			h.t.Fatalf("exited holds %v, who are no profiles", gone)
		}
	}
}

// describe reads the profiles of a policy as the model describes them.
func (h *history) describe(policy int) []string {
	h.t.Helper()
	s := h.snapshot(policy)
	var out []string
	for c, err := range h.Scan(ctx(), s, s.All(), h.union, "") {
		h.must(err)
		for i, n := range c.Numbers {
			text := fmt.Sprint(n)
			for k, f := range h.union {
				text += " " + f.Path + "=" + string(c.Columns[k].Str(i))
			}
			list, _, err := h.ProfileOrigins(s, n)
			h.must(err)
			var ids []string
			for _, id := range list {
				ids = append(ids, id.Namespace+"="+id.Value)
			}
			slices.Sort(ids)
			out = append(out, text+" "+strings.Join(ids, ","))
		}
	}
	return out
}

// compare holds the warehouse against the models.
func (h *history) compare(when string) {
	h.t.Helper()
	for i, m := range h.models {
		h.comparePolicy(fmt.Sprintf("%s, policy %d", when, i), i, m)
	}
	h.sound(when)
}

func (h *history) comparePolicy(when string, policy int, model *people) {
	h.t.Helper()
	if got, want := h.describe(policy), model.describe(h.union); !slices.Equal(got, want) {
		h.t.Fatalf("%s:\n got %s\nwant %s", when, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
	s := h.snapshot(policy)
	for id, m := range s.Memberships {
		var want []uint32
		for _, p := range model.all {
			if p.member[id] {
				want = append(want, p.number)
			}
		}
		slices.Sort(want)
		if got := m.Members.ToArray(); !slices.Equal(got, want) {
			h.t.Fatalf("%s: members of %s are %v, want %v", when, id, got, want)
		}
		if m.Exited.Intersects(m.Members) || !roaring.AndNot(m.Exited, s.All()).IsEmpty() {
			h.t.Fatalf("%s: exited %v, members %v of %v", when, m.Exited.ToArray(), m.Members.ToArray(), s.All().ToArray())
		}
	}
	for it := s.All().Iterator(); it.HasNext(); {
		if n := it.Next(); model.gone[n] {
			h.t.Fatalf("%s: the number %d was given again", when, n)
		}
	}
}

// sound checks the files, the bitmaps and the identity index.
func (h *history) sound(when string) {
	h.t.Helper()
	named, err := h.store.Named(ctx())
	h.must(err)
	checked, err := h.CheckFiles(ctx(), named, nil)
	h.must(err)
	for _, p := range h.policies {
		h.must(h.CheckSnapshot(ctx(), sandbox, p.ID, &checked))
	}
	if len(checked.Problems) > 0 {
		h.t.Fatalf("%s: %+v", when, checked.Problems)
	}
}

func drawRows(t *rapid.T, s lakeward.Schema) []row {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) row {
		var r row
		for _, f := range s.Fields {
			values := []string{"", "x", "y"}
			if f.Identity != nil {
				values = []string{"", "1", "2", "3", "4", "5"}
				if f.Identity.Primary {
					values = values[1:]
				}
			}
			r = append(r, rapid.SampledFrom(values).Draw(t, f.Name))
		}
		return r
	}), 1, 6).Draw(t, "rows")
}

func historyPolicies() []lakeward.MergePolicy {
	order := []lakeward.DatasetID{"web", "part", "crm"}
	return []lakeward.MergePolicy{
		{ID: "default", Sandbox: sandbox, Method: lakeward.TimestampOrdered, Stitching: lakeward.NoStitching},
		{ID: "graph", Sandbox: sandbox, Method: lakeward.TimestampOrdered, Stitching: lakeward.PrivateGraph},
		{ID: "order", Sandbox: sandbox, Method: lakeward.DatasetPrecedence, Stitching: lakeward.NoStitching, Datasets: order},
		{ID: "both", Sandbox: sandbox, Method: lakeward.DatasetPrecedence, Stitching: lakeward.PrivateGraph, Datasets: order},
	}
}

// PRF-01, PRF-02, PRF-03, IDN-01: for random histories of batches, imports, deletions and evaluations the profiles,
// their fields and their memberships are those of a model that looks at everybody, under two policies at
// once; to make them anew from the datasets changes nothing; no number is given twice, and none that
// is gone ever exits.
func TestHistoriesEqualAModel(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		policies := rapid.Permutation(historyPolicies()).Draw(t, "policies")[:2]
		dir, err := os.MkdirTemp(base, "")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		h := newHistory(t, dir, policies...)
		defer h.close()
		for step := range rapid.IntRange(1, 8).Draw(t, "steps") {
			what := rapid.SampledFrom([]string{"crm", "web", "part", "seen", "crm", "web", "import", "delete", "evaluate"}).Draw(t, "step")
			h.step(t, what)
			h.compare(fmt.Sprintf("step %d, %s", step, what))
		}
		for _, p := range h.policies {
			_, err = h.Rebuild(ctx(), sandbox, p, h.past, nil, time.Now().UTC())
			h.must(err)
		}
		h.compare("made anew")
	})
}

func (h *history) step(t *rapid.T, what string) {
	switch what {
	case "import":
		s := lakeward.Schema{Class: lakeward.EventClass, Profile: true, Fields: []lakeward.Field{{Name: "mail", Type: lakeward.TypeString, Identity: &lakeward.FieldIdentity{Namespace: "Email", Primary: true}}}}
		h.batch("import", s, drawRows(t, s), &lakeward.Audience{ID: "import", Sandbox: sandbox, Name: "import", Origin: lakeward.UploadOrigin})
	case "delete":
		if all := h.snapshot(0).All(); !all.IsEmpty() {
			h.delete(rapid.SampledFrom(all.ToArray()).Draw(t, "number"))
		}
	case "evaluate":
		h.evaluate()
	default:
		s := historySchemas()[lakeward.DatasetID(what)]
		h.batch(lakeward.DatasetID(what), s, drawRows(t, s), nil)
	}
}

// PRF-02: a policy that is changed has the profiles that it would have had from the beginning, by their identities
// and fields; who was a member stays one.
func TestChangedPolicyEqualsOneFromTheBeginning(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		policies := rapid.Permutation(historyPolicies()).Draw(t, "policies")
		changed := policies[1]
		changed.ID = policies[0].ID
		dir, err := os.MkdirTemp(base, "")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		h := newHistory(t, dir, policies[0])
		defer h.close()
		other := &people{policy: changed, gone: map[uint32]bool{}}
		for range rapid.IntRange(1, 5).Draw(t, "steps") {
			datasets := []string{"crm", "web", "part", "seen"}
			if changed.Stitching == lakeward.NoStitching { // where several list an identity the first one counts, and numbers tell which that is
				datasets = []string{"crm", "seen"}
			}
			what := rapid.SampledFrom(datasets).Draw(t, "step")
			s := historySchemas()[lakeward.DatasetID(what)]
			rows := drawRows(t, s)
			h.batch(lakeward.DatasetID(what), s, rows, nil)
			other.begin()
			for _, r := range rows {
				other.record(lakeward.DatasetID(what), s, r)
			}
		}
		h.evaluate()
		had := map[string]bool{} // primary identities of members
		for _, p := range h.models[0].all {
			for _, id := range p.ids() {
				if p.primary(id) && p.member[ruleOf(0)] {
					had[id] = true
				}
			}
		}
		h.policies[0].MergePolicy = changed
		_, err = h.Rebuild(ctx(), sandbox, h.policies[0], h.past, nil, time.Now().UTC())
		h.must(err)
		h.sound("changed")
		if got, want := unnumbered(h.describe(0)), unnumbered(other.describe(h.union)); !slices.Equal(got, want) {
			t.Fatalf("got %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
		h.membersStay(had)
	})
}

// membersStay: a profile that holds a record of one that was a member is a member.
func (h *history) membersStay(had map[string]bool) {
	h.t.Helper()
	s := h.snapshot(0)
	for it := s.All().Iterator(); it.HasNext(); {
		n := it.Next()
		ids, _, err := h.ProfileOrigins(s, n)
		h.must(err)
		want := slices.ContainsFunc(ids, func(id lakeward.ProfileIdentity) bool { return id.Primary && had[id.Namespace+"="+id.Value] })
		if got := s.Memberships[ruleOf(0)].Members.Contains(n); got != want {
			h.t.Fatalf("profile %d with %+v: member %v, want %v", n, ids, got, want)
		}
	}
}

func unnumbered(list []string) []string {
	var out []string
	for _, text := range list {
		_, rest, _ := strings.Cut(text, " ")
		out = append(out, rest)
	}
	slices.Sort(out)
	return out
}

// PRF-01: in a batch that is larger than what is held in memory, a late record joins profiles of early ones; their
// fields come from rows of the same batch that were written before.
func TestLargeBatchJoinsItsOwnProfiles(t *testing.T) {
	t.Parallel()
	h := newHistory(t, t.TempDir(), lakeward.MergePolicy{ID: "default", Sandbox: sandbox, Method: lakeward.TimestampOrdered, Stitching: lakeward.PrivateGraph})
	defer h.close()
	const n, late = 268_000, 140_000 // three files of profiles, the second joins
	s := historySchemas()["crm"]
	b, err := h.NewBatch(ctx(), sandbox, lakeward.Batch{ID: "b", DatasetID: "crm", CreatedAt: time.Now().UTC()}, s, h.policies)
	h.must(err)
	for from := 0; from < n; from += 4000 {
		c := &vector.Chunk{Columns: make([]vector.Vector, len(s.Fields))}
		for k := range c.Columns {
			c.Columns[k].Reset(vector.String)
		}
		for i := from; i < from+4000; i++ {
			r := row{fmt.Sprint(i), fmt.Sprintf("m%d", i), "p", fmt.Sprintf("n%d", i), "a"}
			if i == late {
				r = row{"5", "m6", "q", "late", "b"} // 5 and 6 are one
			}
			for k, v := range r {
				c.Columns[k].AppendString([]byte(v))
			}
			c.Len++
		}
		h.must(b.Write(ctx(), c))
	}
	done, err := b.Commit(ctx(), nil)
	h.must(err)
	if len(done.Files) < 2 {
		t.Errorf("%d files of the dataset; the rows of the first had to be read again", len(done.Files))
	}
	see := func(when string) {
		t.Helper()
		snap := h.snapshot(0)
		if all := snap.All(); all.GetCardinality() != n-2 || all.Contains(6) {
			t.Errorf("%s: %d profiles", when, all.GetCardinality())
		}
		for c, err := range h.Scan(ctx(), snap, roaring.BitmapOf(4, 5, 7, n-2), h.union, "Email") {
			h.must(err)
			var got []string
			for i := range c.Len {
				var mails []string
				for k := c.First[i]; k < c.First[i+1]; k++ {
					mails = append(mails, string(c.Values.Str(int(k))))
				}
				got = append(got, fmt.Sprintf("%d %s %s %v", c.Numbers[i], c.Columns[0].Str(i), c.Columns[3].Str(i), mails))
			}
			want := []string{"4 4 n4 [m4]", "5 5 late [m6]", "7 7 n7 [m7]", fmt.Sprintf("%d %d n%d [m%d]", n-2, n-1, n-1, n-1)}
			if !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", when, got, want)
			}
		}
		h.sound(when)
	}
	see("uploaded")
	_, err = h.Rebuild(ctx(), sandbox, h.policies[0], []warehouse.Step{{Batch: done, Schema: s}}, nil, time.Now().UTC())
	h.must(err)
	see("made anew")
}
