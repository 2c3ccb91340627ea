package engine

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/expr"
	"github.com/lakeward/lakeward/internal/pql"
	"github.com/lakeward/lakeward/internal/vector"
	"github.com/lakeward/lakeward/internal/warehouse"
)

// rule is an audience with its condition.
type rule struct {
	audience lakeward.Audience
	node     *expr.Node
	filter   *expr.Filter
	members  *roaring.Bitmap
	bits     vector.Bits // members among the rows of the current chunk
}

// job evaluates rules in one pass: each row is decided for a rule after the rules that it asks for.
type job struct {
	snap   *warehouse.Snapshot
	rules  []*rule // in order: behind what they ask for
	byID   map[string]*rule
	fields []lakeward.Leaf
	events []lakeward.Leaf            // fields of events that rules look at
	beside []string                   // what else they look at: events, identities, memberships, in the order of their columns
	memo   *expr.Memo                 // what the rules have in common
	others map[string]*roaring.Bitmap // members of audiences that the job does not evaluate
	chunk  *warehouse.Profiles
}

// runJob decides the profiles of the newest generation for the rules of audiences, all of one merge policy, as of a time.
func (e *Engine) runJob(ctx context.Context, sandbox string, audiences []lakeward.Audience, at time.Time, p Progress) (*job, error) {
	scope, err := e.scope(ctx, sandbox)
	if err != nil {
		return nil, err
	}
	snap, err := e.warehouse.Snapshot(ctx, sandbox, audiences[0].Policy(), 0)
	if err != nil {
		return nil, err
	}
	j, err := newJob(audiences, scope, snap, at)
	if err != nil {
		return nil, err
	}
	return j, j.match(ctx, e.warehouse, p)
}

// newJob parses the rules, adds those that they ask for, and puts them into order.
func newJob(audiences []lakeward.Audience, scope pql.Scope, snap *warehouse.Snapshot, at time.Time) (*job, error) {
	j := &job{snap: snap, byID: map[string]*rule{}, others: map[string]*roaring.Bitmap{}}
	for _, a := range audiences {
		if err := j.add(a, scope, nil); err != nil {
			return nil, err
		}
	}
	paths := j.choose(scope)
	memo := expr.NewMemo()
	j.memo = memo
	for _, r := range j.rules {
		r.filter = memo.Filter(r.node, paths, at)
		r.filter.Members = j.rows
	}
	return j, nil
}

// add appends a rule behind those that it asks for; above are the audiences that ask for it.
func (j *job) add(a lakeward.Audience, scope pql.Scope, above []lakeward.Audience) error {
	if i := slices.IndexFunc(above, func(u lakeward.Audience) bool { return u.ID == a.ID }); i >= 0 {
		var names []string
		for _, u := range append(above[i:], a) {
			names = append(names, lakeward.Quote(u.Name))
		}
		return &lakeward.Error{Kind: lakeward.Invalid, Code: "RULE-1002", Msg: "the audience refers to itself: " + strings.Join(names, " -> ")}
	}
	if len(above) > 0 && above[0].Policy() != a.Policy() {
		return &lakeward.Error{Kind: lakeward.Invalid, Code: "RULE-1005", Msg: "the audience " + lakeward.Quote(a.Name) + " has another merge policy than " + lakeward.Quote(above[0].Name) + ", which asks for it; their members are not the same profiles"}
	}
	id := string(a.ID)
	if j.byID[id] != nil || j.others[id] != nil {
		return nil
	}
	if a.Origin != lakeward.RuleOrigin {
		j.others[id] = roaring.New()
		if m, ok := j.snap.Memberships[a.ID]; ok {
			j.others[id] = m.Members
		}
		return nil
	}
	n, err := pql.Parse(a.Rule, scope)
	if err != nil {
		return err
	}
	for _, asked := range n.Segments() {
		i := slices.IndexFunc(scope.Audiences, func(x lakeward.Audience) bool { return string(x.ID) == asked })
		if err := j.add(scope.Audiences[i], scope, append(slices.Clone(above), a)); err != nil {
			return err
		}
	}
	r := &rule{audience: a, node: n, members: roaring.New()}
	j.rules, j.byID[id] = append(j.rules, r), r
	return nil
}

// rows tells which rows of the current chunk are members of an audience.
func (j *job) rows(audience string) vector.Bits {
	if r := j.byID[audience]; r != nil {
		return r.bits
	}
	out := vector.NewBits(j.chunk.Len)
	for i, number := range j.chunk.Numbers {
		if j.others[audience].Contains(number) {
			out.Set(i)
		}
	}
	return out
}

// match decides every profile for every rule.
func (j *job) match(ctx context.Context, w *warehouse.Warehouse, p Progress) error {
	all := j.snap.All()
	total, done := int64(all.GetCardinality()), int64(0)
	more, err := j.openBeside(w)
	defer func() {
		for _, c := range more {
			c.close()
		}
	}()
	if err != nil {
		return err
	}
	var seen vector.Chunk
	columns := make([]vector.Vector, len(more))
	for chunk, err := range w.Scan(ctx, j.snap, all, j.fields, "") {
		if err != nil {
			return err
		}
		j.chunk, seen = chunk, chunk.Chunk
		for i, c := range more {
			columns[i].ResetTo(c.shape())
			if err := c.append(chunk.Numbers, &columns[i]); err != nil {
				return err
			}
		}
		seen.Columns = append(slices.Clip(chunk.Columns), columns...)
		j.memo.Begin(&seen)
		for _, r := range j.rules {
			r.bits = r.filter.Match(&seen)
			for i, number := range chunk.Numbers {
				if r.bits.Get(i) {
					r.members.Add(number)
				}
			}
		}
		done += int64(chunk.Len)
		p.report(done, total)
	}
	return nil
}

// openBeside opens what the rules look at beside the fields of the profiles. What it returns is closed also after an error.
func (j *job) openBeside(w *warehouse.Warehouse) (out []beside, err error) {
	for _, path := range j.beside {
		var c beside
		switch path {
		case eventsPath:
			var events *warehouse.Events
			events, err = w.ScanEvents(j.snap, j.events)
			c = eventColumn{events}
		case identityMapPath:
			var ids *warehouse.Identities
			ids, err = w.ScanIdentities(j.snap)
			c = identityColumn{ids}
		default:
			c, err = openMemberships(w, j.snap)
		}
		if err != nil {
			return out, err
		}
		out = append(out, c)
	}
	return out, nil
}
