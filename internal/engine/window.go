package engine

import (
	"context"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/warehouse"
)

// window is what an incremental run is about: who is in it at both ends. A member who is withheld counts as none at either
// end: who lost consent leaves (CNS-04), who gives it again enters.
type window struct {
	old, now *roaring.Bitmap // members whom the run before may have told, and whom this one may tell
	told     *roaring.Bitmap // of the old ones, whom it is known to have told
	changed  *roaring.Bitmap // whose identities changed
	joined   *roaring.Bitmap // who carry on old ones and are none themselves
}

// window finds what the window (from, to] of a run is about (RUN-03, DLV-121).
func (e *Engine) window(ctx context.Context, r *lakeward.Run, snap *warehouse.Snapshot, members *roaring.Bitmap, w withheld) (*window, error) {
	before, err := e.membersAt(ctx, r)
	if err != nil {
		return nil, err
	}
	x := &window{old: roaring.AndNot(before, w.start), now: roaring.AndNot(members, w.end)}
	if x.told = x.old; w.unknown {
		x.told = roaring.New()
	}
	if x.changed, err = e.changedIdentities(ctx, snap, *r.FromGeneration); err != nil {
		return nil, err
	}
	list, err := e.store.Heirs(ctx, snap.Sandbox, snap.Policy, *r.FromGeneration, snap.Generation)
	if err != nil {
		return nil, err
	}
	x.joined = x.old.Clone()
	warehouse.AddHeirs(x.joined, list)
	x.joined.AndNot(x.old)
	return x, nil
}

// narrow leaves, of an incremental run's members, those that its window is about: who entered, who left if the status is
// mapped, and whose identities changed (RUN-03, RUN-05, DLV-121). Who is in both ends of the window and changed nothing but
// attributes is not (RUN-04); nor is who came and went within it. It is algebra of bitmaps: no row is compared. A profile that
// is not there any more, because it was deleted or joined with another one, gives no exited; but one that was joined with
// somebody who has opted out leaves under the number of that one (CNS-04).
//
// Who is still withheld is not counted again, unless something about them changed.
func (e *Engine) narrow(ctx context.Context, r *lakeward.Run, s *selection, w withheld) error {
	x, err := e.window(ctx, r, s.snap, s.membership.Members, w)
	if err != nil {
		return err
	}
	there := s.snap.All()
	written := roaring.AndNot(x.now, x.told)
	written.Or(roaring.And(x.now, x.changed))
	s.exited = roaring.New()
	if r.Plan.Dataflow.MapsStatus() {
		c, err := e.consent(ctx, r.Sandbox)
		if err != nil {
			return err
		}
		out, err := c.optedOut(ctx, s.snap, x.joined)
		if err != nil {
			return err
		}
		s.exited = roaring.AndNot(x.old, x.now)
		s.exited.Or(out)
		s.exited.Or(roaring.And(x.joined, w.end))
		s.exited.And(there)
		written.Or(s.exited)
	}
	written.And(there)
	out := roaring.AndNot(w.end, w.start)
	out.Or(roaring.And(w.end, x.changed))
	out.AndNot(s.exited)
	s.numbers = written
	s.withhold(out)
	return nil
}

// membersAt are the members at the beginning of the run's window; before the first generation there are none.
func (e *Engine) membersAt(ctx context.Context, r *lakeward.Run) (*roaring.Bitmap, error) {
	if *r.FromGeneration == 0 {
		return roaring.New(), nil
	}
	before, err := e.warehouse.SnapshotOf(ctx, r.Sandbox, r.Plan.Audience.Policy(), *r.FromGeneration, lakeward.AudienceID(r.Item))
	if err != nil {
		return nil, err
	}
	if m, ok := before.Memberships[lakeward.AudienceID(r.Item)]; ok {
		return m.Members, nil
	}
	return roaring.New(), nil
}

// changedIdentities are the profiles whose identities changed after a generation, up to that of a snapshot.
func (e *Engine) changedIdentities(ctx context.Context, snap *warehouse.Snapshot, after int64) (*roaring.Bitmap, error) {
	list, err := e.store.ChangedIdentities(ctx, snap.Sandbox, snap.Policy, after, snap.Generation)
	if err != nil {
		return nil, err
	}
	out := roaring.New()
	for _, b := range list {
		changed, err := storedBitmap(b, "changed identities")
		if err != nil {
			return nil, err
		}
		out.Or(changed)
	}
	return out, nil
}

// storedBitmap reads a set of profiles from the database, where no bytes are nobody.
func storedBitmap(b lakeward.Bitmap, of string) (*roaring.Bitmap, error) {
	set := roaring.New()
	if len(b) == 0 {
		return set, nil
	}
	if err := set.UnmarshalBinary(b); err != nil {
		return nil, &lakeward.Error{Kind: lakeward.Internal, Code: lakeward.FailSource, Msg: "the stored list of " + of + " is damaged; restore the database from a backup", Err: err}
	}
	return set, nil
}

// left reports whether a selected profile is written because it left.
func (s *selection) left(number uint32) bool { return s.exited != nil && s.exited.Contains(number) }

// times are the times, in milliseconds, at which profiles entered or, of those that left, at which they did. An audience
// forgets who left long ago (SEG-06); if such a one is still to be told, its time is that of the evaluation. Of a member who
// lost consent it is that of the run.
func (s *selection) times(q *warehouse.Qualified, numbers []uint32) ([]int64, error) {
	if s.exited == nil || s.exited.IsEmpty() {
		return q.Times(numbers)
	}
	forgotten := func(n uint32) bool { return s.left(n) && !s.membership.Exited.Contains(n) }
	var known []uint32
	for _, n := range numbers {
		if !forgotten(n) {
			known = append(known, n)
		}
	}
	times, err := q.Times(known)
	if err != nil || len(known) == len(numbers) {
		return times, err
	}
	out := make([]int64, len(numbers))
	for i, n := range numbers {
		switch {
		case !forgotten(n):
			out[i], times = times[0], times[1:]
		case s.membership.Members.Contains(n):
			out[i] = s.run.At.UnixMilli()
		default:
			out[i] = s.membership.EvaluatedAt.UnixMilli()
		}
	}
	return out, nil
}
