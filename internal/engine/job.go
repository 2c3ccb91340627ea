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
	"github.com/lakeward/lakeward/internal/warehouse"
)

// rule is an audience with its condition.
type rule struct {
	audience lakeward.Audience
	node     *expr.Node
	place    int // among the rules of the job
	members  *roaring.Bitmap
}

// job evaluates rules in one pass: each row is decided for a rule after the rules that it asks for.
type job struct {
	snap   *warehouse.Snapshot
	rules  []*rule // in order: behind what they ask for
	byID   map[string]*rule
	fields []lakeward.Leaf
	events []lakeward.Leaf // fields of events that rules look at
	beside []string        // what else they look at: events, identities, memberships, in the order of their columns
	paths  []string        // of the columns that they get
	at     time.Time
	others map[string]*roaring.Bitmap // members of audiences that the job does not evaluate
	optOut *rule                      // finds who is no member of anything (CNS-05); nil if no field tells
	among  *roaring.Bitmap            // the profiles that are decided
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
	return j, j.match(ctx, e.warehouse, e.cfg.Evaluators, p)
}

// newJob parses the rules, adds those that they ask for and the one of opt-outs, and puts them into order.
func newJob(audiences []lakeward.Audience, scope pql.Scope, snap *warehouse.Snapshot, at time.Time) (*job, error) {
	j := &job{snap: snap, at: at, byID: map[string]*rule{}, others: map[string]*roaring.Bitmap{}, among: snap.All()}
	for _, a := range audiences {
		if err := j.add(a, scope, nil); err != nil {
			return nil, err
		}
	}
	if err := j.addOptOuts(scope); err != nil {
		return nil, err
	}
	j.paths = j.choose(scope)
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
	r := &rule{audience: a, node: n, place: len(j.rules), members: roaring.New()}
	j.rules, j.byID[id] = append(j.rules, r), r
	return nil
}
