package warehouse_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
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

// row is a record of a history: a value for each field of its schema, "" is null.
type row []string

// person is a profile of the model.
type person struct {
	number    uint32
	fragments []*piece
	member    map[lakeward.AudienceID]bool
	awaited   map[string]bool // identities that find the person while the current batch is read
	stored    map[string]bool // identities of this number before the batch
}

// piece is what a person has of one dataset under one primary identity.
type piece struct {
	dataset lakeward.DatasetID
	at      int // in the history
	ids     []string
	values  map[string]string
}

func (p *person) ids() []string {
	var out []string
	slices.SortFunc(p.fragments, func(a, b *piece) int { return b.at - a.at })
	for _, f := range p.fragments {
		for _, id := range f.ids {
			if !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
	}
	return out
}

func (p *person) primary(id string) bool {
	return slices.ContainsFunc(p.fragments, func(f *piece) bool { return f.ids[0] == id })
}

// people is the model: it looks at everybody for every record.
type people struct {
	policy lakeward.MergePolicy
	all    []*person
	next   uint32
	at     int
	gone   map[uint32]bool // numbers that must never come back
}

// begin starts a batch: what the store knew before it holds while it is read.
func (m *people) begin() {
	for _, p := range m.all {
		p.awaited, p.stored = map[string]bool{}, map[string]bool{}
		p.await(p.ids())
		for _, id := range p.ids() {
			p.stored[id] = true
		}
	}
}

func stitched(id string) bool { return !strings.HasPrefix(id, "Partner=") }

func namespaceOf(id string) string { ns, _, _ := strings.Cut(id, "="); return ns }

// find lists the persons that a record with these identities belongs to, the primary one first.
func (m *people) find(ids []string, class lakeward.SchemaClass) (found []*person) {
	var free, any, keyed *person
	for _, p := range m.all {
		have := p.ids()
		named := func(id string) bool { return slices.Contains(have, id) || p.awaited[id] }
		if m.policy.Stitching == lakeward.PrivateGraph {
			for i, id := range ids {
				if stitched(id) && named(id) || i == 0 && (p.primary(id) || p.awaited["!"+id]) {
					found = append(found, p)
					break
				}
			}
			continue
		}
		same := slices.ContainsFunc(have, func(o string) bool { return p.primary(o) && namespaceOf(o) == namespaceOf(ids[0]) })
		switch {
		case p.primary(ids[0]):
			keyed = p
		case slices.Contains(have, ids[0]):
			if any == nil {
				any = p
			}
			if free == nil && !same {
				free = p
			}
		}
	}
	if m.policy.Stitching == lakeward.PrivateGraph {
		return found
	}
	if any = cmp.Or(keyed, map[lakeward.SchemaClass]*person{lakeward.RecordClass: free, lakeward.EventClass: any}[class]); any != nil {
		found = append(found, any)
	}
	return found
}

func (m *people) record(dataset lakeward.DatasetID, s lakeward.Schema, r row) *person {
	m.at++
	f := &piece{dataset: dataset, at: m.at, values: map[string]string{}}
	for _, primary := range []bool{true, false} {
		for k, field := range s.Fields {
			if field.Identity != nil && field.Identity.Primary == primary && r[k] != "" {
				f.ids = append(f.ids, field.Identity.Namespace+"="+r[k])
			}
			f.values[field.Name] = r[k]
		}
	}
	found := m.find(f.ids, s.Class)
	if len(found) == 0 {
		p := &person{number: m.next, member: map[lakeward.AudienceID]bool{}, awaited: map[string]bool{}, stored: map[string]bool{}}
		m.next++
		m.all = append(m.all, p)
		found = []*person{p}
	} else if s.Class == lakeward.EventClass && (m.policy.Stitching == lakeward.NoStitching || len(found) == 1 && m.knows(found[0], f.ids)) {
		return found[0]
	}
	p := slices.MinFunc(found, func(a, b *person) int { return cmp.Compare(a.number, b.number) })
	for _, o := range found {
		if o != p {
			m.join(p, o)
		}
	}
	p.await(f.ids)
	i := slices.IndexFunc(p.fragments, func(o *piece) bool { return o.dataset == dataset && o.ids[0] == f.ids[0] })
	switch {
	case i < 0:
		p.fragments = append(p.fragments, f)
	case s.Class == lakeward.EventClass:
		for _, id := range f.ids {
			if o := p.fragments[i]; !slices.Contains(o.ids, id) {
				o.ids = append(o.ids, id)
			}
		}
		p.fragments[i].at = f.at
	default:
		p.fragments[i] = f
	}
	return p
}

func (p *person) await(ids []string) {
	for i, id := range ids {
		if stitched(id) {
			p.awaited[id] = true
		}
		if i == 0 || p.primary(id) {
			p.awaited["!"+id] = true
		}
	}
}

// knows reports whether an event says nothing new of a person.
func (m *people) knows(p *person, ids []string) bool {
	have := p.ids()
	return !slices.ContainsFunc(ids, func(id string) bool {
		if !stitched(id) {
			return !p.stored[id]
		}
		return !slices.Contains(have, id) && !p.awaited[id]
	})
}

func (m *people) join(p, o *person) {
	p.fragments = append(p.fragments, o.fragments...)
	for a := range o.member {
		p.member[a] = true
	}
	maps.Copy(p.awaited, o.awaited)
	m.remove(o)
}

func (m *people) remove(p *person) {
	m.gone[p.number] = true
	m.all = slices.DeleteFunc(m.all, func(o *person) bool { return o == p })
}

func (m *people) value(p *person, field string) string {
	p.ids() // sorts, the newest first
	list := slices.Clone(p.fragments)
	if m.policy.Method == lakeward.DatasetPrecedence {
		slices.SortStableFunc(list, func(a, b *piece) int {
			return slices.Index(m.policy.Datasets, a.dataset) - slices.Index(m.policy.Datasets, b.dataset)
		})
	}
	for _, f := range list {
		if historySchemas()[f.dataset].Class != lakeward.RecordClass {
			continue
		}
		if v, ok := f.values[field]; ok && (v != "" || m.policy.Method == lakeward.TimestampOrdered) {
			return v
		}
	}
	return ""
}

// describe lists the persons as text: number, fields, identities as a set.
func (m *people) describe(fields []lakeward.Leaf) []string {
	var out []string
	slices.SortFunc(m.all, func(a, b *person) int { return cmp.Compare(a.number, b.number) })
	for _, p := range m.all {
		text := fmt.Sprint(p.number)
		for _, f := range fields {
			text += " " + f.Path + "=" + m.value(p, f.Path)
		}
		ids := p.ids()
		slices.Sort(ids)
		out = append(out, text+" "+strings.Join(ids, ","))
	}
	return out
}

// history is a warehouse and the model of what it must hold.
type history struct {
	*home
	policy warehouse.Policy
	model  *people
	past   []warehouse.Step
	union  []lakeward.Leaf
}

func newHistory(t tester, dir string, policy lakeward.MergePolicy) *history {
	h := &history{home: newHome(t, dir), model: &people{policy: policy, gone: map[uint32]bool{}}}
	var schemas []lakeward.Schema
	h.policy = warehouse.Policy{MergePolicy: policy, Stitched: map[string]bool{"CRM": true, "ECID": true, "Email": true}, Fields: map[lakeward.DatasetID][]lakeward.Leaf{}}
	for _, id := range []lakeward.DatasetID{"crm", "web", "part", "seen"} {
		s := historySchemas()[id]
		schemas = append(schemas, s)
		if s.Class == lakeward.RecordClass {
			h.policy.Fields[id] = s.Leaves()
		}
	}
	h.union = lakeward.UnionSchema(schemas)
	h.policy.Union = h.union
	h.policy.Batches = func(ctx context.Context) ([]lakeward.Batch, error) { return h.store.AllBatches(ctx, sandbox) }
	return h
}

func (h *history) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *history) snapshot() *warehouse.Snapshot {
	h.t.Helper()
	s, err := h.Snapshot(ctx(), sandbox, 0)
	h.must(err)
	return s
}

// batch uploads rows of a dataset; with an audience, it is an import.
func (h *history) batch(dataset lakeward.DatasetID, s lakeward.Schema, rows []row, audience *lakeward.Audience) {
	h.t.Helper()
	b, err := h.NewBatch(ctx(), sandbox, lakeward.Batch{ID: lakeward.BatchID(lakeward.NewID()), DatasetID: dataset, CreatedAt: time.Now().UTC()}, s, h.policy)
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
	var listed []*person
	h.model.begin()
	for _, r := range rows {
		listed = append(listed, h.model.record(dataset, s, r))
	}
	for _, p := range h.model.all {
		if audience != nil {
			delete(p.member, audience.ID)
			if slices.Contains(listed, p) {
				p.member[audience.ID] = true
			}
		}
	}
}

func (h *history) delete(number uint32) {
	h.t.Helper()
	g, err := h.DeleteProfile(ctx(), h.snapshot(), number, time.Now().UTC())
	h.must(err)
	deleted, err := h.store.Deletions(ctx(), sandbox)
	h.must(err)
	last := deleted[len(deleted)-1]
	if last.Generation != g {
		h.t.Fatalf("the deletion of generation %d is not noted: %+v", g, last)
	}
	h.past = append(h.past, warehouse.Step{Deletion: &last})
	for _, p := range slices.Clone(h.model.all) {
		if p.number == number {
			h.model.remove(p)
		}
	}
}

// evaluate makes members of those whose field n is x.
func (h *history) evaluate() {
	h.t.Helper()
	s := h.snapshot()
	members := roaring.New()
	k := slices.IndexFunc(h.union, func(l lakeward.Leaf) bool { return l.Path == "n" })
	for c, err := range h.Scan(ctx(), s, s.All(), h.union, "") {
		h.must(err)
		for i, n := range c.Numbers {
			if !c.Columns[k].IsNull(i) && string(c.Columns[k].Str(i)) == "x" {
				members.Add(n)
			}
		}
	}
	_, err := h.SaveMemberships(ctx(), s, map[lakeward.AudienceID]*roaring.Bitmap{"rule": members}, time.Now().UTC())
	h.must(err)
	for _, p := range h.model.all {
		delete(p.member, "rule")
		if h.model.value(p, "n") == "x" {
			p.member["rule"] = true
		}
	}
	h.exitedAreThere()
}

// exitedAreThere: what is written as exited is a profile that is there (DLV-121).
func (h *history) exitedAreThere() {
	h.t.Helper()
	raw, err := h.store.Snapshot(ctx(), sandbox, 0)
	h.must(err)
	all := h.snapshot().All()
	for _, m := range raw.Memberships {
		if m.Audience != "rule" {
			continue
		}
		exited := roaring.New()
		h.must(exited.UnmarshalBinary(m.Exited))
		if gone := roaring.AndNot(exited, all); !gone.IsEmpty() {
			h.t.Fatalf("exited holds %v, who are no profiles", gone)
		}
	}
}

// describe reads the profiles as the model describes them.
func (h *history) describe() []string {
	h.t.Helper()
	s := h.snapshot()
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

// compare holds the warehouse against the model.
func (h *history) compare(when string) {
	h.t.Helper()
	if got, want := h.describe(), h.model.describe(h.union); !slices.Equal(got, want) {
		h.t.Fatalf("%s:\n got %s\nwant %s", when, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
	s := h.snapshot()
	for id, m := range s.Memberships {
		var want []uint32
		for _, p := range h.model.all {
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
		if n := it.Next(); h.model.gone[n] {
			h.t.Fatalf("%s: the number %d was given again", when, n)
		}
	}
	h.sound(when)
}

// sound checks the files, the bitmaps and the identity index.
func (h *history) sound(when string) {
	h.t.Helper()
	named, err := h.store.Named(ctx())
	h.must(err)
	checked, err := h.CheckFiles(ctx(), named, nil)
	h.must(err)
	h.must(h.CheckSnapshot(ctx(), sandbox, &checked))
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

// PRF-01, PRF-02, PRF-03, IDN-01: for random histories of batches, imports, deletions and evaluations the profiles,
// their fields and their memberships are those of a model that looks at everybody; to make them anew
// from the datasets changes nothing; no number is given twice, and none that is gone ever exits.
func TestHistoriesEqualAModel(t *testing.T) {
	base := t.TempDir()
	order := []lakeward.DatasetID{"web", "part", "crm"}
	rapid.Check(t, func(t *rapid.T) {
		policy := rapid.SampledFrom([]lakeward.MergePolicy{
			{Method: lakeward.TimestampOrdered, Stitching: lakeward.NoStitching},
			{Method: lakeward.TimestampOrdered, Stitching: lakeward.PrivateGraph},
			{Method: lakeward.DatasetPrecedence, Stitching: lakeward.NoStitching, Datasets: order},
			{Method: lakeward.DatasetPrecedence, Stitching: lakeward.PrivateGraph, Datasets: order},
		}).Draw(t, "policy")
		policy.ID, policy.Sandbox = "default", sandbox
		dir, err := os.MkdirTemp(base, "")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		h := newHistory(t, dir, policy)
		defer h.close()
		for step := range rapid.IntRange(1, 8).Draw(t, "steps") {
			what := rapid.SampledFrom([]string{"crm", "web", "part", "seen", "crm", "web", "import", "delete", "evaluate"}).Draw(t, "step")
			h.step(t, what)
			h.compare(fmt.Sprintf("step %d, %s", step, what))
		}
		_, err = h.Rebuild(ctx(), sandbox, h.policy, h.past, time.Now().UTC())
		h.must(err)
		h.compare("made anew")
	})
}

func (h *history) step(t *rapid.T, what string) {
	switch what {
	case "import":
		s := lakeward.Schema{Class: lakeward.EventClass, Profile: true, Fields: []lakeward.Field{{Name: "mail", Type: lakeward.TypeString, Identity: &lakeward.FieldIdentity{Namespace: "Email", Primary: true}}}}
		h.batch("import", s, drawRows(t, s), &lakeward.Audience{ID: "import", Sandbox: sandbox, Name: "import", Origin: lakeward.UploadOrigin})
	case "delete":
		if all := h.snapshot().All(); !all.IsEmpty() {
			h.delete(rapid.SampledFrom(all.ToArray()).Draw(t, "number"))
		}
	case "evaluate":
		h.evaluate()
	default:
		s := historySchemas()[lakeward.DatasetID(what)]
		h.batch(lakeward.DatasetID(what), s, drawRows(t, s), nil)
	}
}

// PRF-02: a sandbox whose policy is changed has the profiles that it would have had under the new policy from the
// beginning, by their identities and fields; who was a member stays one.
func TestChangedPolicyEqualsOneFromTheBeginning(t *testing.T) {
	base := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		policies := []lakeward.MergePolicy{
			{ID: "default", Sandbox: sandbox, Method: lakeward.TimestampOrdered, Stitching: lakeward.NoStitching},
			{ID: "default", Sandbox: sandbox, Method: lakeward.DatasetPrecedence, Stitching: lakeward.PrivateGraph, Datasets: []lakeward.DatasetID{"part", "web", "crm"}},
		}
		if rapid.Bool().Draw(t, "reversed") {
			slices.Reverse(policies)
		}
		dir, err := os.MkdirTemp(base, "")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		h := newHistory(t, dir, policies[0])
		defer h.close()
		other := &people{policy: policies[1], gone: map[uint32]bool{}}
		for range rapid.IntRange(1, 5).Draw(t, "steps") {
			what := rapid.SampledFrom([]string{"crm", "web", "part", "seen"}).Draw(t, "step")
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
		for _, p := range h.model.all {
			for _, id := range p.ids() {
				if p.primary(id) && p.member["rule"] {
					had[id] = true
				}
			}
		}
		h.policy.MergePolicy = policies[1]
		_, err = h.Rebuild(ctx(), sandbox, h.policy, h.past, time.Now().UTC())
		h.must(err)
		h.sound("changed")
		if got, want := unnumbered(h.describe()), unnumbered(other.describe(h.union)); !slices.Equal(got, want) {
			t.Fatalf("got %s\nwant %s", strings.Join(got, "\n     "), strings.Join(want, "\n     "))
		}
		h.membersStay(had)
	})
}

// membersStay: a profile that holds a record of one that was a member is a member.
func (h *history) membersStay(had map[string]bool) {
	h.t.Helper()
	s := h.snapshot()
	for it := s.All().Iterator(); it.HasNext(); {
		n := it.Next()
		ids, _, err := h.ProfileOrigins(s, n)
		h.must(err)
		want := slices.ContainsFunc(ids, func(id lakeward.ProfileIdentity) bool { return id.Primary && had[id.Namespace+"="+id.Value] })
		if got := s.Memberships["rule"].Members.Contains(n); got != want {
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
	h := newHistory(t, t.TempDir(), lakeward.MergePolicy{ID: "default", Sandbox: sandbox, Method: lakeward.TimestampOrdered, Stitching: lakeward.PrivateGraph})
	defer h.close()
	const n, late = 268_000, 140_000 // three files of profiles, the second joins
	s := historySchemas()["crm"]
	b, err := h.NewBatch(ctx(), sandbox, lakeward.Batch{ID: "b", DatasetID: "crm", CreatedAt: time.Now().UTC()}, s, h.policy)
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
		snap := h.snapshot()
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
	_, err = h.Rebuild(ctx(), sandbox, h.policy, []warehouse.Step{{Batch: done, Schema: s}}, time.Now().UTC())
	h.must(err)
	see("made anew")
}
