package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/pql"
	"github.com/lakeward/lakeward/internal/warehouse"
)

// CreateAudience checks the rule against the union schema and stores the audience, published unless it is a draft; it has
// no members before it is evaluated.
func (e *Engine) CreateAudience(ctx context.Context, a lakeward.Audience) (lakeward.Audience, error) {
	a.ID, a.CreatedAt, a.Origin = lakeward.AudienceID(lakeward.NewID()), now(), lakeward.RuleOrigin
	if a.State != lakeward.Draft {
		a.State = lakeward.Published
	}
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
	if err := checkRule(scope, a); err != nil {
		return a, err
	}
	if _, err := newJob([]lakeward.Audience{a}, scope, &warehouse.Snapshot{}, now()); err != nil {
		return a, err
	}
	return a, e.store.CreateAudience(ctx, a)
}

// checkRule parses the rule of an audience. What a published one asks for is published too: what is not is not evaluated.
func checkRule(scope pql.Scope, a lakeward.Audience) error {
	n, err := pql.Parse(a.Rule, scope)
	if err != nil || a.State != lakeward.Published {
		return err
	}
	for _, o := range scope.Audiences {
		if o.State != lakeward.Published && slices.Contains(n.Segments(), string(o.ID)) {
			return &lakeward.Error{Kind: lakeward.Conflict, Code: "AUD-1001", Msg: fmt.Sprintf("the rule asks for the audience %s, which is %s; publish that first with: lakeward audience publish", lakeward.Quote(o.Name), o.State)}
		}
	}
	return nil
}

// policyID is the id of the merge policy that an audience names by name or id, or of the default one (SEG-01). It
// stays that of the audience when another policy becomes the default.
func (e *Engine) policyID(ctx context.Context, a lakeward.Audience) (lakeward.MergePolicyID, error) {
	p, err := e.store.MergePolicy(ctx, a.Sandbox, string(a.MergePolicy))
	return p.ID, err
}

// AudienceEdit is what changes of an audience: the fields that are not nil.
type AudienceEdit struct {
	Name, Description, Rule, Folder *string
	Tags                            *[]string
	ExpireDays                      *int // of an uploaded one
}

// set makes the changes.
func (x AudienceEdit) set(a *lakeward.Audience) error {
	if x.Rule != nil && a.Origin != lakeward.RuleOrigin {
		return uploadedHasNoRule(*a)
	}
	if x.ExpireDays != nil && a.Origin != lakeward.UploadOrigin {
		return &lakeward.Error{Kind: lakeward.Invalid, Code: "AUD-1005", Msg: "the audience " + lakeward.Quote(a.Name) + " has a rule and does not expire"}
	}
	for _, f := range []struct{ to, from *string }{{&a.Name, x.Name}, {&a.Description, x.Description}, {&a.Rule, x.Rule}, {&a.Folder, x.Folder}} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	if x.Tags != nil {
		a.Tags = *x.Tags
	}
	if x.ExpireDays != nil {
		a.ExpireDays = *x.ExpireDays
	}
	if at := now(); a.Origin == lakeward.UploadOrigin && !a.Expired(at) {
		if a.ExpireDays == 0 && x.ExpireDays == nil {
			a.ExpireDays = lakeward.DefaultExpireDays
		}
		a.Restart(at)
	}
	return nil
}

// EditAudience changes an audience. Its members stay as they are until it is evaluated with the new rule. Rules
// ask for other audiences by id, so that a new name breaks none; a rule that would ask for itself is refused (K8). The life
// of an uploaded one begins anew, unless it is over (CSV-UP-05).
func (e *Engine) EditAudience(ctx context.Context, sandbox, ref string, x AudienceEdit) (lakeward.Audience, error) {
	a, err := e.store.Audience(ctx, sandbox, ref)
	if err != nil {
		return a, err
	}
	if err := x.set(&a); err != nil {
		return a, err
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
		if err := checkRule(scope, a); err != nil {
			return a, err
		}
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

// Audiences lists the audiences that a filter picks.
func (e *Engine) Audiences(ctx context.Context, sandbox string, f lakeward.AudienceFilter) ([]lakeward.Audience, error) {
	if err := e.expire(ctx, sandbox, now()); err != nil {
		return nil, err
	}
	list, err := e.store.Audiences(ctx, sandbox)
	return slices.DeleteFunc(list, func(a lakeward.Audience) bool { return !f.Match(a) }), err
}

// Audience returns an audience with the breakdown of its latest evaluation or import and, of an uploaded one, how the
// latest upload went.
func (e *Engine) Audience(ctx context.Context, sandbox, ref string) (lakeward.Audience, error) {
	if err := e.expire(ctx, sandbox, now()); err != nil {
		return lakeward.Audience{}, err
	}
	a, err := e.store.Audience(ctx, sandbox, ref)
	if err != nil || a.EvaluatedAt == nil {
		return a, err
	}
	if a.Origin == lakeward.UploadOrigin {
		if a.Ingested, err = e.ingested(ctx, a); err != nil {
			return a, err
		}
	}
	after, err := e.warehouse.SnapshotOf(ctx, sandbox, a.Policy(), a.Generation, a.ID)
	if err != nil {
		return a, err
	}
	before := &warehouse.Snapshot{}
	if a.Generation > 1 { // 0 asks for the newest
		if before, err = e.warehouse.SnapshotOf(ctx, sandbox, a.Policy(), a.Generation-1, a.ID); err != nil {
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

// CopyAudience makes a draft that is like another audience (AUD-08). Of an uploaded one the members come along, and live
// for as many days from now.
func (e *Engine) CopyAudience(ctx context.Context, sandbox, ref, name string) (lakeward.Audience, error) {
	from, err := e.store.Audience(ctx, sandbox, ref)
	if err != nil {
		return from, err
	}
	at := now()
	a := lakeward.Audience{Sandbox: sandbox, Name: name, Description: from.Description, Tags: from.Tags, Folder: from.Folder, Rule: from.Rule, State: lakeward.Draft}
	if from.Origin == lakeward.RuleOrigin {
		return e.CreateAudience(ctx, a)
	}
	if from.Expired(at) || len(from.Columns) == 0 {
		return a, &lakeward.Error{Kind: lakeward.Conflict, Code: "AUD-1003", Msg: "the audience " + lakeward.Quote(from.Name) + " has no upload that can be copied; import it again"}
	}
	a.ID, a.CreatedAt, a.Origin = lakeward.AudienceID(lakeward.NewID()), at, lakeward.UploadOrigin
	a.Namespace, a.Identity, a.Columns, a.ExpireDays = from.Namespace, from.Identity, from.Columns, from.ExpireDays
	a.Restart(at)
	if err := a.Validate(); err != nil {
		return a, err
	}
	if same, err := e.sameAudience(ctx, &a); err != nil || same {
		return a, errors.Join(err, nameTaken(name, same))
	}
	return e.uploadAgain(ctx, from, a)
}

// nameTaken is the error of a copy with the name of an uploaded audience, which an import of that name would replace.
func nameTaken(name string, taken bool) error {
	if !taken {
		return nil
	}
	return &lakeward.Error{Kind: lakeward.Conflict, Code: "NAME-1020", Msg: "an uploaded audience is named " + lakeward.Quote(name) + " already; choose another name"}
}

// PublishAudience lets an audience be evaluated and put into dataflows (AUD-05).
func (e *Engine) PublishAudience(ctx context.Context, sandbox, ref string) (lakeward.Audience, error) {
	a, err := e.store.Audience(ctx, sandbox, ref)
	if err != nil {
		return a, err
	}
	if a.State, err = a.State.To(lakeward.Published); err != nil {
		return a, err
	}
	if a.Origin == lakeward.RuleOrigin {
		scope, err := e.scope(ctx, sandbox)
		if err != nil {
			return a, err
		}
		if err := checkRule(scope, a); err != nil {
			return a, err
		}
	}
	return a, e.store.UpdateAudience(ctx, a)
}

// DeactivateAudience puts aside an audience that no dataflow and no published audience uses (AUD-06).
func (e *Engine) DeactivateAudience(ctx context.Context, sandbox, ref string) (lakeward.Audience, error) {
	a, err := e.store.Audience(ctx, sandbox, ref)
	if err != nil {
		return a, err
	}
	if a.State, err = a.State.To(lakeward.Inactive); err != nil {
		return a, err
	}
	if err := e.refuseUsed(ctx, a, func(o lakeward.Audience) bool { return o.State == lakeward.Published }); err != nil {
		return a, err
	}
	return a, e.store.UpdateAudience(ctx, a)
}

// DeleteAudience removes an audience that no dataflow and no other audience uses (AUD-06, SEG-10). What runs have
// delivered of it stays in their history.
func (e *Engine) DeleteAudience(ctx context.Context, sandbox, ref string) error {
	a, err := e.store.Audience(ctx, sandbox, ref)
	if err != nil {
		return err
	}
	if err := e.refuseUsed(ctx, a, func(lakeward.Audience) bool { return true }); err != nil {
		return err
	}
	return e.store.DeleteAudience(ctx, a)
}

// refuseUsed fails if a dataflow has the audience or the rule of another one that counts asks for it.
func (e *Engine) refuseUsed(ctx context.Context, a lakeward.Audience, counts func(lakeward.Audience) bool) error {
	scope, err := e.scope(ctx, a.Sandbox)
	if err != nil {
		return err
	}
	var users []string
	for _, o := range scope.Audiences {
		if o.Origin != lakeward.RuleOrigin || o.ID == a.ID || !counts(o) {
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
	flows, err := e.store.Dataflows(ctx, a.Sandbox)
	if err != nil {
		return err
	}
	for _, d := range flows {
		if slices.ContainsFunc(d.Items, func(it lakeward.DataflowItem) bool { return it.AudienceID == a.ID }) {
			users = append(users, "dataflow "+lakeward.Quote(d.Name))
		}
	}
	if len(users) == 0 {
		return nil
	}
	return &lakeward.Error{Kind: lakeward.Conflict, Code: "USE-1001", Msg: fmt.Sprintf("the audience %s is in use by %s; take it out there first", lakeward.Quote(a.Name), strings.Join(users, ", "))}
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
	events, err := e.store.EventUnion(ctx, sandbox)
	if err != nil {
		return pql.Scope{}, err
	}
	audiences, err := e.store.Audiences(ctx, sandbox)
	return pql.Scope{Union: append(union, virtualFields()...), Events: events, Audiences: audiences}, err
}
