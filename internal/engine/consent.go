package engine

import (
	"context"
	"fmt"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/pql"
	"github.com/lakeward/lakeward/internal/warehouse"
)

// withheld are the members that a run leaves out for want of consent, at the beginning and at the end of its window.
type withheld struct {
	start, end *roaring.Bitmap
	unknown    bool // who they were at the beginning
	lost       bool // who they were at all; only an old run that nobody does again is so
}

// consent tells who in a sandbox may not be written. Consent policies will be asked here too.
type consent struct {
	engine *Engine
	scope  pql.Scope // of the rule of opt-outs
	silent bool      // no field can tell, so nobody has opted out
}

// consent prepares to ask the profiles of a sandbox.
func (e *Engine) consent(ctx context.Context, sandbox string) (consent, error) {
	union, err := e.store.Union(ctx, sandbox)
	return consent{engine: e, scope: pql.Scope{Union: union}, silent: lakeward.OptOutRule(union) == ""}, err
}

// optedOut are those of some profiles of a snapshot who have opted out of everything (CNS-05). It is the work of one thread:
// what bounds an evaluation does not count for the runs beside it.
func (c consent) optedOut(ctx context.Context, snap *warehouse.Snapshot, among *roaring.Bitmap) (*roaring.Bitmap, error) {
	if c.silent || among.IsEmpty() {
		return roaring.New(), nil
	}
	j, err := newJob(nil, c.scope, snap, now())
	if err != nil {
		return nil, err
	}
	j.among = roaring.And(among, snap.All())
	if err := j.match(ctx, c.engine.warehouse, 1, nil); err != nil {
		return nil, err
	}
	return j.optOut.members, nil
}

// addOptOuts appends the rule that finds whom no rule gives as a member, if the union schema can tell.
func (j *job) addOptOuts(scope pql.Scope) error {
	source := lakeward.OptOutRule(scope.Union)
	if source == "" {
		return nil
	}
	n, err := pql.Parse(source, scope)
	if err != nil {
		return err
	}
	j.optOut = &rule{node: n, place: len(j.rules), members: roaring.New()}
	j.rules = append(j.rules, j.optOut)
	return nil
}

// withholds decides whom a run leaves out that is pinned to a snapshot. Members of uploaded audiences may have opted out, and
// any since the evaluation: also after the snapshot, if that is not the newest state.
func (e *Engine) withholds(ctx context.Context, snap *warehouse.Snapshot, item string) (lakeward.Bitmap, error) {
	c, err := e.consent(ctx, snap.Sandbox)
	if err != nil || c.silent {
		return nil, err
	}
	m, ok := snap.Memberships[lakeward.AudienceID(item)]
	if !ok {
		return nil, nil
	}
	out, err := c.optedOut(ctx, snap, m.Members)
	if err != nil {
		return nil, err
	}
	later, err := c.optedOutLater(ctx, snap, m.Members)
	if err != nil {
		return nil, err
	}
	if out.Or(later); out.IsEmpty() {
		return nil, nil
	}
	out.RunOptimize()
	return out.ToBytes()
}

// optedOutLater are those of some profiles of a snapshot whose data says so now, under their own number or that of who
// carries them on.
func (c consent) optedOutLater(ctx context.Context, snap *warehouse.Snapshot, among *roaring.Bitmap) (*roaring.Bitmap, error) {
	newest, err := c.engine.warehouse.SnapshotOf(ctx, snap.Sandbox, snap.Policy, 0)
	if err != nil || newest.Generation == snap.Generation {
		return roaring.New(), err
	}
	list, err := c.engine.store.Heirs(ctx, snap.Sandbox, snap.Policy, snap.Generation, newest.Generation)
	if err != nil {
		return nil, err
	}
	heirs := among.Clone()
	warehouse.AddHeirs(heirs, list)
	out, err := c.optedOut(ctx, newest, heirs)
	if err != nil {
		return nil, err
	}
	warehouse.AddAncestors(out, list)
	out.And(among)
	return out, nil
}

// withheld is what was noted when the run was pinned. For a run that no book knows it is decided now; its window begins
// behind a run of the item that delivered, or where the values can still tell.
func (e *Engine) withheld(ctx context.Context, r *lakeward.Run, snap *warehouse.Snapshot, members *roaring.Bitmap) (withheld, error) {
	noted, ok, err := e.store.Withheld(ctx, r)
	if err != nil {
		return withheld{}, err
	}
	if ok {
		return decodeWithheld(noted)
	}
	c, err := e.consent(ctx, r.Sandbox)
	if err != nil {
		return withheld{}, err
	}
	end, err := c.optedOut(ctx, snap, members)
	if err != nil {
		return withheld{}, err
	}
	out := withheld{start: roaring.New(), end: end}
	if r.FromGeneration == nil || *r.FromGeneration == 0 {
		return out, nil
	}
	before, ok, err := e.store.WithheldAt(ctx, r.DataflowID, r.Item, *r.FromGeneration)
	if err != nil {
		return out, err
	}
	if !ok {
		out.start, err = c.optedOutAt(ctx, r, snap.Policy, *r.FromGeneration)
		return out, err
	}
	if before.EndUnknown {
		base, err := e.store.Baseline(ctx, r.DataflowID, r.Item)
		if err == nil && (base == nil || *base != *r.FromGeneration) {
			err = untold(*r.FromGeneration) // it was forgotten; a window of the schedule never begins there
		}
		if err != nil {
			return out, err
		}
	}
	old, err := decodeWithheld(lakeward.Withheld{Start: before.End, StartUnknown: before.EndUnknown})
	out.start, out.unknown = old.start, old.unknown
	return out, err
}

func untold(generation int64) error {
	return &lakeward.Error{Kind: lakeward.NotFound, Code: "DATA-1007",
		Msg: fmt.Sprintf("nobody can tell any more who had opted out at generation %d; give a later one at which a run of this audience ended, or export everybody", generation)}
}

// optedOutAt are the members of a run's audience who had opted out at an earlier generation.
func (c consent) optedOutAt(ctx context.Context, r *lakeward.Run, policy lakeward.MergePolicyID, generation int64) (*roaring.Bitmap, error) {
	if c.silent {
		return roaring.New(), nil
	}
	snap, err := c.engine.warehouse.SnapshotOf(ctx, r.Sandbox, policy, generation, lakeward.AudienceID(r.Item))
	if err != nil {
		return nil, err
	}
	if snap.ProfilesGone {
		return nil, untold(generation)
	}
	m, ok := snap.Memberships[lakeward.AudienceID(r.Item)]
	if !ok {
		return roaring.New(), nil
	}
	return c.optedOut(ctx, snap, m.Members)
}

func decodeWithheld(noted lakeward.Withheld) (withheld, error) {
	const what = "those who are left out for want of consent"
	start, err := storedBitmap(noted.Start, what)
	if err != nil {
		return withheld{}, err
	}
	end, err := storedBitmap(noted.End, what)
	return withheld{start: start, end: end, unknown: noted.StartUnknown, lost: noted.EndUnknown}, err
}

// adoptWithheld notes whom a run left out that was found delivered up to a generation before it was pinned here: the database
// is older than the lake. If the values cannot tell any more, the next window tells every member anew.
func (e *Engine) adoptWithheld(ctx context.Context, r *lakeward.Run, to int64) error {
	if r.Item == lakeward.DatasetsItem {
		return nil
	}
	var noted lakeward.Withheld
	out, err := e.deliveredWithout(ctx, r, to)
	if err == nil && !out.IsEmpty() {
		noted.End, err = out.ToBytes()
	}
	if ctx.Err() != nil {
		return err
	}
	if err != nil { // what was delivered is booked nevertheless
		e.log.WarnContext(ctx, "whom a run left out is not known", "run_id", r.ID, "err", err)
		noted = lakeward.Withheld{StartUnknown: true, EndUnknown: true}
	}
	return e.store.SetWithheld(ctx, r.ID, noted)
}

// deliveredWithout are the members whom a run that delivered up to a generation left out, as far as the values can still tell.
func (e *Engine) deliveredWithout(ctx context.Context, r *lakeward.Run, to int64) (*roaring.Bitmap, error) {
	c, err := e.consent(ctx, r.Sandbox)
	if err != nil {
		return nil, err
	}
	policy, err := e.policyOfItem(ctx, r.Sandbox, r.Item)
	if err != nil {
		return nil, err
	}
	return c.optedOutAt(ctx, r, policy, to)
}
