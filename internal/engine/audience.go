package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/pql"
	"github.com/lakeward/lakeward/internal/warehouse"
)

// CreateAudience checks the rule against the union schema and stores the audience; it has no members
// before it is evaluated.
func (e *Engine) CreateAudience(ctx context.Context, a lakeward.Audience) (lakeward.Audience, error) {
	a.ID, a.CreatedAt, a.Origin = lakeward.AudienceID(lakeward.NewID()), now(), lakeward.RuleOrigin
	if err := a.Validate(); err != nil {
		return a, err
	}
	var err error
	if a.MergePolicy, err = e.policyID(ctx, a); err != nil {
		return a, err
	}
	scope, err := e.scope(ctx, a.Sandbox)
	if err != nil {
		return a, err
	}
	if _, err := newJob([]lakeward.Audience{a}, scope, &warehouse.Snapshot{}, now()); err != nil {
		return a, err
	}
	return a, e.store.CreateAudience(ctx, a)
}

// policyID is the id of the merge policy that an audience names by name or id, or of the default one (SEG-01). It
// stays that of the audience when another policy becomes the default.
func (e *Engine) policyID(ctx context.Context, a lakeward.Audience) (lakeward.MergePolicyID, error) {
	p, err := e.store.MergePolicy(ctx, a.Sandbox, string(a.MergePolicy))
	return p.ID, err
}

// AudienceEdit is what changes of an audience: the fields that are not nil.
type AudienceEdit struct{ Name, Description, Rule *string }

// EditAudience changes an audience. Its members stay as they are until it is evaluated with the new rule. Rules
// ask for other audiences by id, so that a new name breaks none; a rule that would ask for itself is refused (K8).
func (e *Engine) EditAudience(ctx context.Context, sandbox, ref string, x AudienceEdit) (lakeward.Audience, error) {
	a, err := e.store.Audience(ctx, sandbox, ref)
	if err != nil {
		return a, err
	}
	for _, f := range []struct{ to, from *string }{{&a.Name, x.Name}, {&a.Description, x.Description}, {&a.Rule, x.Rule}} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	if x.Rule != nil && a.Origin != lakeward.RuleOrigin {
		return a, uploadedHasNoRule(a)
	}
	if err := a.Validate(); err != nil {
		return a, err
	}
	if x.Rule != nil {
		scope, err := e.scope(ctx, sandbox)
		if err != nil {
			return a, err
		}
		i := slices.IndexFunc(scope.Audiences, func(o lakeward.Audience) bool { return o.ID == a.ID })
		scope.Audiences[i] = a
		if _, err := newJob([]lakeward.Audience{a}, scope, &warehouse.Snapshot{}, now()); err != nil {
			return a, err
		}
	}
	return a, e.store.UpdateAudience(ctx, a)
}

// Estimate counts the profiles that a rule gives now, exactly (SEG-09), and all profiles; nothing is stored.
func (e *Engine) Estimate(ctx context.Context, sandbox, rule string, p Progress) (members, profiles int64, err error) {
	a := lakeward.Audience{ID: lakeward.AudienceID(lakeward.NewID()), Sandbox: sandbox, Name: "estimate", Origin: lakeward.RuleOrigin, Rule: rule}
	if err := a.Validate(); err != nil {
		return 0, 0, err
	}
	if a.MergePolicy, err = e.policyID(ctx, a); err != nil {
		return 0, 0, err
	}
	j, err := e.runJob(ctx, sandbox, []lakeward.Audience{a}, now(), p)
	if err != nil {
		return 0, 0, err
	}
	return int64(j.byID[string(a.ID)].members.GetCardinality()), int64(j.snap.All().GetCardinality()), nil
}

// Audience returns an audience with the breakdown of its latest evaluation or import.
func (e *Engine) Audience(ctx context.Context, sandbox, ref string) (lakeward.Audience, error) {
	a, err := e.store.Audience(ctx, sandbox, ref)
	if err != nil || a.EvaluatedAt == nil {
		return a, err
	}
	after, err := e.warehouse.Snapshot(ctx, sandbox, a.Policy(), a.Generation)
	if err != nil {
		return a, err
	}
	before := &warehouse.Snapshot{}
	if a.Generation > 1 { // 0 asks for the newest
		if before, err = e.warehouse.Snapshot(ctx, sandbox, a.Policy(), a.Generation-1); err != nil {
			return a, err
		}
	}
	a.Breakdown = breakdown(before.Memberships[a.ID].Members, after.Memberships[a.ID].Members)
	return a, nil
}

// breakdown compares the members before and after; nil is nobody.
func breakdown(before, after *roaring.Bitmap) *lakeward.Breakdown {
	if before == nil {
		before = roaring.New()
	}
	existing := after.AndCardinality(before)
	return &lakeward.Breakdown{Realized: int64(after.GetCardinality() - existing), Existing: int64(existing), Exiting: int64(before.GetCardinality() - existing)}
}

// DeleteAudience removes an audience that no dataflow and no other audience uses (AUD-06, SEG-10). What runs have
// delivered of it stays in their history.
func (e *Engine) DeleteAudience(ctx context.Context, sandbox, ref string) error {
	a, err := e.store.Audience(ctx, sandbox, ref)
	if err != nil {
		return err
	}
	scope, err := e.scope(ctx, sandbox)
	if err != nil {
		return err
	}
	var users []string
	for _, o := range scope.Audiences {
		if o.Origin != lakeward.RuleOrigin || o.ID == a.ID {
			continue
		}
		n, err := pql.Parse(o.Rule, scope)
		if err != nil {
			return fmt.Errorf("the rule of the audience %s: %w", lakeward.Quote(o.Name), err)
		}
		if slices.Contains(n.Segments(), string(a.ID)) {
			users = append(users, "audience "+lakeward.Quote(o.Name))
		}
	}
	flows, err := e.store.Dataflows(ctx, sandbox)
	if err != nil {
		return err
	}
	for _, d := range flows {
		if slices.ContainsFunc(d.Items, func(it lakeward.DataflowItem) bool { return it.AudienceID == a.ID }) {
			users = append(users, "dataflow "+lakeward.Quote(d.Name))
		}
	}
	if len(users) > 0 {
		return &lakeward.Error{Kind: lakeward.Conflict, Code: "USE-1001", Msg: fmt.Sprintf("the audience %s is in use by %s; take it out there first", lakeward.Quote(a.Name), strings.Join(users, ", "))}
	}
	return e.store.DeleteAudience(ctx, a)
}

func uploadedHasNoRule(a lakeward.Audience) error {
	return &lakeward.Error{Kind: lakeward.Invalid, Code: "RULE-1004", Msg: "the audience " + lakeward.Quote(a.Name) + " was uploaded and has no rule; import it again to change its members"}
}

// scope is what the rules of a sandbox may speak of.
func (e *Engine) scope(ctx context.Context, sandbox string) (pql.Scope, error) {
	union, err := e.store.Union(ctx, sandbox)
	if err != nil {
		return pql.Scope{}, err
	}
	audiences, err := e.store.Audiences(ctx, sandbox)
	return pql.Scope{Union: union, Audiences: audiences}, err
}
