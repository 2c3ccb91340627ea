package engine

import (
	"context"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/expr"
	"github.com/lakeward/lakeward/internal/warehouse"
)

// selection is who is written, decided before the first byte: a function of the run's snapshot and
// plan alone, so that every attempt comes to the same files.
type selection struct {
	snap       *warehouse.Snapshot
	membership warehouse.Membership
	columns    []lakeward.Column
	formulas   *formulas // of the calculated ones
	payload    lakeward.Batch
	enriched   []lakeward.Leaf // read from payload
	gone       int64           // enrichment columns that the upload does not have any more
	run        expr.Run        // what calculated fields see of the run
	fields     []lakeward.Leaf // of the attributes among the columns, each once
	namespace  string          // mapped, "" for none
	counts     lakeward.Counts
	numbers    *roaring.Bitmap // profiles to write
	exited     *roaring.Bitmap // of these, who left; nil unless the run is incremental
	// levels[k] are the profiles with more than k+1 values of the namespace.
	levels []*roaring.Bitmap
	rows   int64
	parts  []part
}

// part is one file: a range of the selected profiles.
type part struct {
	numbers *roaring.Bitmap
	rows    int64
}

// selectMembers decides who is written: members, or those of the run's window, then those who may be for their consent, then
// those with all mandatory values, then the winners of the deduplication; each step counts whom it leaves out.
func (e *Engine) selectMembers(ctx context.Context, r *lakeward.Run) (*selection, error) {
	snap, err := e.warehouse.SnapshotOf(ctx, r.Sandbox, r.Plan.Audience.Policy(), r.ToGeneration, lakeward.AudienceID(r.Item))
	if err != nil {
		return nil, err
	}
	columns, formulas, err := e.columns(ctx, r.Sandbox, r.Plan.Dataflow.Mapping, r.Plan.Destination)
	if err != nil {
		return nil, err
	}
	m, ok := snap.Memberships[lakeward.AudienceID(r.Item)]
	if !ok {
		return nil, notEvaluated(r.Plan.Audience)
	}
	s := &selection{snap: snap, membership: m, columns: columns, formulas: formulas, numbers: m.Members.Clone(), run: expr.Run{ID: string(r.ID), At: now()}}
	if r.GeneratedAt != nil {
		s.run.At = *r.GeneratedAt
	}
	w, err := e.withheld(ctx, r, snap, m.Members)
	if err != nil {
		return nil, err
	}
	if r.FromGeneration == nil {
		s.withhold(roaring.And(s.numbers, w.end))
	} else if err := e.narrow(ctx, r, s, w); err != nil {
		return nil, err
	}
	for _, c := range columns {
		s.read(c.Leaves())
		if c.Kind == lakeward.IdentitySource {
			s.namespace = c.Namespace()
		}
	}
	s.read(formulas.fields())
	if err := e.enrich(ctx, r, s); err != nil {
		return nil, err
	}
	keys, err := e.filter(ctx, s)
	if err != nil {
		return nil, err
	}
	if err := e.deduplicate(ctx, s, keys); err != nil {
		return nil, err
	}
	s.counts.Activated = int64(s.numbers.GetCardinality())
	if s.exited == nil || !s.numbers.IsEmpty() { // nothing changed: no file (D12)
		s.cut(r.Plan.Destination.PartRows())
	}
	return s, nil
}

// withhold leaves out profiles for want of consent (CNS-03).
func (s *selection) withhold(out *roaring.Bitmap) {
	s.numbers.AndNot(out)
	s.counts.ExcludedConsent = int64(out.GetCardinality())
	s.counts.Received = int64(s.numbers.GetCardinality()) + s.counts.ExcludedConsent
}

func notEvaluated(a lakeward.Audience) error {
	return &lakeward.Error{Kind: lakeward.Conflict, Code: lakeward.FailSource,
		Msg: "the audience " + lakeward.Quote(a.Name) + " was never evaluated, so it has no members to export; evaluate it with: lakeward audience evaluate"}
}

func (s *selection) field(path string) int {
	for i, f := range s.fields {
		if f.Path == path {
			return i
		}
	}
	return -1
}

// read adds fields to those that are scanned.
func (s *selection) read(fields []lakeward.Leaf) {
	for _, l := range fields {
		if s.field(l.Path) < 0 {
			s.fields = append(s.fields, l)
		}
	}
}

// filter drops profiles without an identity of the namespace or without a mandatory value (MAN-01,
// MAN-03), notes how many values each has, and collects the deduplication keys of the rest.
func (e *Engine) filter(ctx context.Context, s *selection) (*keySet, error) {
	f := &memberFilter{selection: s, mandatory: s.marked(func(c lakeward.Column) bool { return c.Mandatory }), keyed: s.marked(func(c lakeward.Column) bool { return c.Key }), dropped: roaring.New()}
	var several *roaring.Bitmap
	if s.namespace != "" {
		several = s.numbers.Clone()
	}
	f.keys = newKeySet(e.dedup.keys, several)
	defer f.keys.done()
	if s.namespace == "" && len(f.mandatory) == 0 && len(f.keyed) == 0 {
		return f.keys, nil
	}
	if err := f.scan(ctx, e.warehouse, func(c lakeward.Column) bool { return c.Mandatory || c.Key }, f.decide); err != nil {
		return nil, err
	}
	s.numbers.AndNot(f.dropped)
	for f.keys.next() {
		if err := f.scan(ctx, e.warehouse, func(c lakeward.Column) bool { return c.Key }, f.collect); err != nil {
			return nil, err
		}
	}
	return f.keys, nil
}

// memberFilter looks at members one by one before any is written.
type memberFilter struct {
	*selection
	mandatory, keyed []int // columns
	keys             *keySet
	dropped          *roaring.Bitmap
}

// scan calls fn with each member and the columns that want chooses, reading nothing else.
func (f *memberFilter) scan(ctx context.Context, w *warehouse.Warehouse, want func(c lakeward.Column) bool, fn func(values *sources, p *warehouse.Profiles, i int)) error {
	s := f.narrowed(want)
	values := s.sources(want)
	for p, err := range w.Scan(ctx, s.snap, s.numbers, s.fields, s.namespace) {
		if err != nil {
			return err
		}
		values.begin(p)
		for i := range p.Numbers {
			fn(values, p, i)
		}
	}
	return nil
}

// decide drops a member or notes its values and keys.
func (f *memberFilter) decide(values *sources, p *warehouse.Profiles, i int) {
	number := p.Numbers[i]
	switch {
	case f.namespace != "" && p.First[i] == p.First[i+1]:
		f.counts.ExcludedIdentity++
		f.dropped.Add(number)
	case slices.ContainsFunc(f.mandatory, func(c int) bool { return lacks(&values.values[c], i) }):
		f.counts.ExcludedMandatory++
		f.dropped.Add(number)
	default:
		if f.namespace != "" {
			f.addLevels(number, int(p.First[i+1]-p.First[i]))
		}
		f.collect(values, p, i)
	}
}

// collect notes the keys of a member.
func (f *memberFilter) collect(values *sources, p *warehouse.Profiles, i int) {
	f.eachKey(values, f.keyed, p, i, func(key []byte) { f.keys.add(p.Numbers[i], key) })
}

// eachKey calls fn with the deduplication keys of profile i of a chunk: its values in the mapped namespace, or those of
// the key columns together.
func (s *selection) eachKey(values *sources, keyed []int, p *warehouse.Profiles, i int, fn func(key []byte)) {
	if s.namespace != "" {
		for k := p.First[i]; k < p.First[i+1]; k++ {
			fn(p.Values.Str(int(k)))
		}
	} else if len(keyed) > 0 {
		if key, ok := attributeKey(values, keyed, i); ok {
			fn(key)
		}
	}
}

// narrowed is the selection with only the fields that the chosen columns read.
func (s *selection) narrowed(want func(c lakeward.Column) bool) *selection {
	n := *s
	n.fields = nil
	for i, c := range s.columns {
		if !want(c) {
			continue
		}
		n.read(c.Leaves())
		if c.Kind == lakeward.CalculatedSource {
			n.read(s.formulas.read(s.formulas.found[i]))
		}
	}
	return &n
}

// marked are the attribute and calculated columns that have a mark.
func (s *selection) marked(has func(c lakeward.Column) bool) []int {
	var out []int
	for i, c := range s.columns {
		if (c.Kind == lakeward.AttributeSource || c.Kind == lakeward.CalculatedSource) && has(c) {
			out = append(out, i)
		}
	}
	return out
}

func (s *selection) addLevels(number uint32, values int) {
	for k := 1; k < values; k++ {
		if len(s.levels) < k {
			s.levels = append(s.levels, roaring.New())
		}
		s.levels[k-1].Add(number)
	}
}

// values is the number of rows that a profile gives.
func (s *selection) values(number uint32) int64 {
	n := int64(1)
	for _, l := range s.levels {
		if !l.Contains(number) {
			break
		}
		n++
	}
	return n
}

// cut sets the borders of the parts: at most limit rows each, a profile is never split (SPL-01). With
// nobody selected there is one part without rows, so that a file is written (D12).
func (s *selection) cut(limit int64) {
	for i := range s.levels {
		s.levels[i].And(s.numbers)
	}
	if len(s.levels) == 0 {
		s.cutEvenly(limit)
		return
	}
	open := part{numbers: roaring.New()}
	for it := s.numbers.Iterator(); it.HasNext(); {
		number := it.Next()
		n := s.values(number)
		if open.rows > 0 && open.rows+n > limit {
			s.parts = append(s.parts, open)
			open = part{numbers: roaring.New()}
		}
		open.numbers.Add(number)
		open.rows += n
		s.rows += n
	}
	s.parts = append(s.parts, open)
}

// cutEvenly is cut for profiles that give one row each.
func (s *selection) cutEvenly(limit int64) {
	s.rows = int64(s.numbers.GetCardinality())
	for head, rest := parted(s.numbers, limit); ; head, rest = parted(rest, limit) {
		s.parts = append(s.parts, part{numbers: head, rows: int64(head.GetCardinality())})
		if rest.IsEmpty() {
			return
		}
	}
}

// parted is a set in two: its first n, and the rest.
func parted(set *roaring.Bitmap, n int64) (head, rest *roaring.Bitmap) {
	if int64(set.GetCardinality()) <= n {
		return set.Clone(), roaring.New()
	}
	first, err := set.Select(uint32(n)) // of the rest
	if err != nil {
		return set.Clone(), roaring.New() // it has one, since it has more than n
	}
	head, rest = set.Clone(), set.Clone()
	head.RemoveRange(uint64(first), 1<<32)
	rest.RemoveRange(0, uint64(first))
	return head, rest
}
