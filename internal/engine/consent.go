package engine

import (
	"context"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/pql"
	"github.com/lakeward/lakeward/internal/warehouse"
)

// withheld are the members that a run leaves out for want of consent, at the beginning and at the end of its window.
type withheld struct {
	start, end *roaring.Bitmap
	unknown    bool // who they were at the beginning
}

// optedOut are those of some profiles of a snapshot who have opted out of everything (CNS-05). Consent policies will add
// theirs here.
func (e *Engine) optedOut(ctx context.Context, snap *warehouse.Snapshot, among *roaring.Bitmap) (*roaring.Bitmap, error) {
	scope, err := e.scope(ctx, snap.Sandbox)
	if err != nil || among.IsEmpty() || lakeward.OptOutRule(scope.Union) == "" {
		return roaring.New(), err
	}
	j, err := newJob(nil, scope, snap, now())
	if err != nil {
		return nil, err
	}
	j.among = roaring.And(among, snap.All())
	if err := j.match(ctx, e.warehouse, e.cfg.Evaluators, nil); err != nil {
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
// any since the evaluation.
func (e *Engine) withholds(ctx context.Context, snap *warehouse.Snapshot, item string) (lakeward.Bitmap, error) {
	m, ok := snap.Memberships[lakeward.AudienceID(item)]
	if !ok {
		return nil, nil
	}
	out, err := e.optedOut(ctx, snap, m.Members)
	if err != nil || out.IsEmpty() {
		return nil, err
	}
	out.RunOptimize()
	return out.ToBytes()
}

// withheld is what was noted when the run was pinned. For a run that no book knows it is decided now; its window begins
// behind what runs of the item have delivered, or where the values can still tell.
func (e *Engine) withheld(ctx context.Context, r *lakeward.Run, snap *warehouse.Snapshot, members *roaring.Bitmap) (withheld, error) {
	noted, ok, err := e.store.Withheld(ctx, r)
	if err != nil {
		return withheld{}, err
	}
	if ok {
		return decodeWithheld(noted.Start, noted.End, noted.StartUnknown)
	}
	end, err := e.optedOut(ctx, snap, members)
	out := withheld{start: roaring.New(), end: end}
	if err != nil || r.FromGeneration == nil || *r.FromGeneration == 0 {
		return out, err
	}
	before, ok, err := e.store.WithheldAt(ctx, r.DataflowID, r.Item, *r.FromGeneration)
	if err != nil {
		return out, err
	}
	if ok {
		old, err := decodeWithheld(before.End, nil, before.EndUnknown)
		out.start, out.unknown = old.start, old.unknown
		return out, err
	}
	out.start, out.unknown, err = e.optedOutAt(ctx, r, *r.FromGeneration)
	return out, err
}

// optedOutAt are the members of a run's audience who had opted out at an earlier generation; unknown if its values are gone.
func (e *Engine) optedOutAt(ctx context.Context, r *lakeward.Run, generation int64) (out *roaring.Bitmap, unknown bool, err error) {
	scope, err := e.scope(ctx, r.Sandbox)
	if err != nil || lakeward.OptOutRule(scope.Union) == "" {
		return roaring.New(), false, err
	}
	policy, err := e.policyOfItem(ctx, r.Sandbox, r.Item)
	if err != nil {
		return nil, false, err
	}
	snap, err := e.warehouse.SnapshotOf(ctx, r.Sandbox, policy, generation, lakeward.AudienceID(r.Item))
	if lakeward.KindOf(err) == lakeward.NotFound || err == nil && snap.ProfilesGone {
		return roaring.New(), true, nil
	}
	if err != nil {
		return nil, false, err
	}
	m, ok := snap.Memberships[lakeward.AudienceID(r.Item)]
	if !ok {
		return roaring.New(), false, nil
	}
	out, err = e.optedOut(ctx, snap, m.Members)
	return out, false, err
}

func decodeWithheld(start, end lakeward.Bitmap, unknown bool) (withheld, error) {
	w := withheld{start: roaring.New(), end: roaring.New(), unknown: unknown}
	for _, x := range []struct {
		from lakeward.Bitmap
		to   *roaring.Bitmap
	}{{start, w.start}, {end, w.end}} {
		if len(x.from) == 0 {
			continue
		}
		if err := x.to.UnmarshalBinary(x.from); err != nil {
			return w, &lakeward.Error{Kind: lakeward.Internal, Code: lakeward.FailSource, Msg: "the stored list of those who are left out for want of consent is damaged; restore the database from a backup", Err: err}
		}
	}
	return w, nil
}

// adoptWithheld notes whom a run left out that was found delivered before it was pinned here: the database is older than the
// lake. What cannot be told any more makes the next window tell everybody anew.
func (e *Engine) adoptWithheld(ctx context.Context, r *lakeward.Run, to int64) error {
	if r.Item == lakeward.DatasetsItem {
		return nil
	}
	out, unknown, err := e.optedOutAt(ctx, r, to)
	if err != nil {
		if ctx.Err() != nil {
			return err
		}
		e.log.WarnContext(ctx, "whom a run left out is not known", "run_id", r.ID, "err", err) // what was delivered is booked nevertheless
		out, unknown = roaring.New(), true
	}
	w := lakeward.Withheld{EndUnknown: unknown}
	if !out.IsEmpty() {
		if w.End, err = out.ToBytes(); err != nil {
			return err
		}
	}
	return e.store.KeepWithheld(ctx, r.ID, w)
}
