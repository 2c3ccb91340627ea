package engine

import (
	"bytes"
	"context"
	"fmt"
	"runtime"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/warehouse"
)

// maxExplained bounds how many profiles with one identity are explained.
const maxExplained = 20

// Explain says what became of profiles in a run, from stored facts alone: memberships at both ends of its window, changes of
// identities, and the values of the generation that it exported, as long as that is kept. An identity that several profiles
// have gives several explanations.
func (e *Engine) Explain(ctx context.Context, sandbox, run string, key lakeward.ProfileKey) ([]lakeward.Explanation, error) {
	r, err := e.store.Run(ctx, sandbox, run)
	if err != nil {
		return nil, err
	}
	switch {
	case r.Item == lakeward.DatasetsItem:
		return nil, &lakeward.Error{Kind: lakeward.Invalid, Code: "RUN-1003", Msg: "the run exported datasets; it knows records, not profiles"}
	case r.Plan == nil:
		return nil, &lakeward.Error{Kind: lakeward.Invalid, Code: "RUN-1003", Msg: fmt.Sprintf("run %s is %s and looked at no profile", r.ID, r.State)}
	}
	x := &explainer{e: e, r: &r}
	numbers, err := x.find(ctx, key)
	if err != nil {
		return nil, err
	}
	var out []lakeward.Explanation
	for _, n := range numbers {
		one, err := x.explain(ctx, n)
		if err != nil {
			return nil, err
		}
		out = append(out, one)
	}
	return out, nil
}

// explainer explains profiles of one run.
type explainer struct {
	e   *Engine
	r   *lakeward.Run
	out lakeward.Explanation
	s   *selection // of the whole run, once it was needed
}

// find lists the profiles that a key names, as of the run's generation or, if its rows are gone, the newest one. No error
// names the value: it may be personal.
func (x *explainer) find(ctx context.Context, key lakeward.ProfileKey) ([]uint32, error) {
	if key.Number != nil {
		return []uint32{*key.Number}, nil
	}
	namespaces, err := x.e.store.Namespaces(ctx, x.r.Sandbox)
	if err != nil {
		return nil, err
	}
	if err := lakeward.CheckNamespace(namespaces, key.Namespace); err != nil {
		return nil, err
	}
	snap, err := x.e.warehouse.SnapshotOf(ctx, x.r.Sandbox, x.r.Plan.Audience.Policy(), x.r.ToGeneration, lakeward.AudienceID(x.r.Item))
	if lakeward.KindOf(err) == lakeward.NotFound || err == nil && snap.ProfilesGone {
		snap, err = x.e.warehouse.SnapshotOf(ctx, x.r.Sandbox, x.r.Plan.Audience.Policy(), 0)
	}
	if err != nil {
		return nil, err
	}
	var out []uint32
	for p, err := range x.e.warehouse.Scan(ctx, snap, snap.All(), nil, key.Namespace) {
		if err != nil {
			return nil, err
		}
		for i, number := range p.Numbers {
			for k := p.First[i]; k < p.First[i+1] && len(out) < maxExplained; k++ {
				if string(p.Values.Str(int(k))) == key.Value {
					out = append(out, number)
					break
				}
			}
		}
	}
	if len(out) == 0 {
		return nil, &lakeward.Error{Kind: lakeward.NotFound, Code: "PROFILE-1001", Msg: "no profile has this identity in the namespace " + key.Namespace + "; values are compared as they stand, upper and lower case too"}
	}
	return out, nil
}

func (x *explainer) fact(format string, args ...any) {
	x.out.Facts = append(x.out.Facts, fmt.Sprintf(format, args...))
}

// explain goes through what the run looked at, in the same order.
func (x *explainer) explain(ctx context.Context, number uint32) (lakeward.Explanation, error) {
	x.out = lakeward.Explanation{Run: x.r.ID, State: x.r.State, Audience: lakeward.AudienceID(x.r.Item), Number: number, From: x.r.FromGeneration, To: x.r.ToGeneration, At: x.r.GeneratedAt}
	if x.r.State != lakeward.Succeeded {
		x.fact("the run is %s; what follows is what it would have delivered", x.r.State)
	}
	outcome, err := x.outcome(ctx, number)
	if x.out.Outcome = outcome; x.r.State != lakeward.Succeeded && (outcome == lakeward.WasWritten || outcome == lakeward.WasWrittenExited) {
		x.out.Outcome = lakeward.WasNotDelivered
	}
	return x.out, err
}

func (x *explainer) outcome(ctx context.Context, number uint32) (lakeward.Outcome, error) {
	snap, err := x.e.warehouse.SnapshotOf(ctx, x.r.Sandbox, x.r.Plan.Audience.Policy(), x.r.ToGeneration, lakeward.AudienceID(x.r.Item))
	if lakeward.KindOf(err) == lakeward.NotFound {
		x.fact("the memberships of generation %d were removed since", x.r.ToGeneration)
		return lakeward.WasForgotten, nil
	}
	if err != nil {
		return "", err
	}
	defer runtime.KeepAlive(snap)
	m, ok := snap.Memberships[lakeward.AudienceID(x.r.Item)]
	if !ok {
		x.fact("the audience was never evaluated at generation %d", x.r.ToGeneration)
		return lakeward.WasNoMember, nil
	}
	w, err := x.e.withheld(ctx, x.r, snap, m.Members)
	if err != nil {
		return "", err
	}
	if w.lost {
		x.fact("whom the run left out for want of consent was removed since")
		return lakeward.WasForgotten, nil
	}
	if x.r.FromGeneration != nil {
		return x.window(ctx, snap, m, w, number)
	}
	x.fact("a full run: it exports every member at generation %d", x.r.ToGeneration)
	if !m.Members.Contains(number) {
		x.fact("the profile was no member then")
		_, err := x.optedOut(ctx, snap, number)
		return lakeward.WasNoMember, err
	}
	x.fact("the profile was a member then")
	if w.end.Contains(number) {
		x.fact("it had opted out of everything, so it is in no file")
		return lakeward.WasOptedOut, nil
	}
	return x.values(ctx, snap, number, lakeward.WasWritten)
}

// optedOut reports, and notes, whether a profile had opted out at the run's generation, as far as its values are still there.
func (x *explainer) optedOut(ctx context.Context, snap *warehouse.Snapshot, number uint32) (bool, error) {
	if snap.ProfilesGone {
		return false, nil
	}
	c, err := x.e.consent(ctx, x.r.Sandbox)
	if err != nil {
		return false, err
	}
	out, err := c.optedOut(ctx, snap, roaring.BitmapOf(number))
	if err != nil || out.IsEmpty() {
		return false, err
	}
	x.fact("it had opted out of everything, and no rule takes such a profile in")
	return true, nil
}

// window decides whether an incremental run looked at the profile.
func (x *explainer) window(ctx context.Context, snap *warehouse.Snapshot, m warehouse.Membership, w withheld, number uint32) (lakeward.Outcome, error) {
	x.fact("an incremental run: it exports what changed after generation %d, up to generation %d", *x.r.FromGeneration, x.r.ToGeneration)
	y, err := x.e.window(ctx, x.r, snap, m.Members, w)
	if lakeward.KindOf(err) == lakeward.NotFound {
		x.fact("the memberships of generation %d were removed since", *x.r.FromGeneration)
		return lakeward.WasForgotten, nil
	}
	if err != nil {
		return "", err
	}
	x.fact("a member at its beginning: %s; at its end: %s", yes(y.old.Contains(number) || w.start.Contains(number)), yes(m.Members.Contains(number)))
	if w.start.Contains(number) || w.end.Contains(number) {
		x.fact("left out because it had opted out of everything: at the beginning %s; at the end %s", yes(w.start.Contains(number)), yes(w.end.Contains(number)))
	}
	was, is := y.old.Contains(number), y.now.Contains(number)
	if is {
		x.fact("its identities changed in between: %s", yes(y.changed.Contains(number)))
	}
	switch {
	case !was && !is:
		return x.neither(ctx, snap, y, w, number)
	case is && was && w.unknown:
		x.fact("the database was restored and does not know whom the run before left out, so every member is told again")
	case is && was && !y.changed.Contains(number):
		x.fact("a change of attributes alone is not exported")
		return lakeward.WasUnchanged, nil
	}
	if is {
		return x.values(ctx, snap, number, lakeward.WasWritten)
	}
	return x.left(ctx, snap, w, number)
}

// neither decides about a profile that the run before did not tell and that is no member to be told now.
func (x *explainer) neither(ctx context.Context, snap *warehouse.Snapshot, y *window, w withheld, number uint32) (lakeward.Outcome, error) {
	optedOut := w.end.Contains(number)
	if !optedOut {
		if snap.ProfilesGone && y.joined.Contains(number) {
			x.fact("it carries on a member of before; the values that would tell whether it had opted out were removed since")
			return lakeward.WasForgotten, nil
		}
		var err error
		if optedOut, err = x.optedOut(ctx, snap, number); err != nil {
			return "", err
		}
	}
	switch {
	case optedOut && y.joined.Contains(number):
		x.fact("it carries on a member of before")
		return x.left(ctx, snap, w, number)
	case w.end.Contains(number):
		return lakeward.WasOptedOut, nil
	}
	return lakeward.WasNoMember, nil
}

// left decides about a profile that a run before told as a member and that is none any more.
func (x *explainer) left(ctx context.Context, snap *warehouse.Snapshot, w withheld, number uint32) (lakeward.Outcome, error) {
	mapped := x.r.Plan.Dataflow.MapsStatus()
	x.fact("the status is mapped, so that who left is told: %s", yes(mapped))
	switch {
	case mapped:
		return x.values(ctx, snap, number, lakeward.WasWrittenExited)
	case w.end.Contains(number):
		return lakeward.WasOptedOut, nil
	}
	return lakeward.WasLeftUntold, nil
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// values decides whether a profile that the run looked at was written, by its values at the run's generation.
func (x *explainer) values(ctx context.Context, snap *warehouse.Snapshot, number uint32, written lakeward.Outcome) (lakeward.Outcome, error) {
	if snap.ProfilesGone {
		x.fact("the values of generation %d were removed since, so that nobody can tell whether one was missing or another profile had the key", x.r.ToGeneration)
		return lakeward.WasForgotten, nil
	}
	if !snap.All().Contains(number) {
		x.fact("the profile was not there any more: it was deleted, or joined with another one")
		return lakeward.WasGone, nil
	}
	if x.s == nil {
		s, err := x.e.selectMembers(ctx, x.r)
		if err != nil {
			return "", err
		}
		x.s = s
	}
	if x.s.numbers.Contains(number) {
		x.file(number)
		return written, nil
	}
	return x.dropped(ctx, number)
}

// file notes which file holds the profile's rows.
func (x *explainer) file(number uint32) {
	for k, p := range x.s.parts {
		if !p.numbers.Contains(number) {
			continue
		}
		x.out.File, x.out.Rows = x.r.Plan.FilePath(k), x.s.values(number)
		x.fact("all mandatory values are there, and no other profile has its key; it gives %d rows of file %d", x.out.Rows, k+1)
	}
}

// dropped finds out why a profile was not written although it belongs to the run.
func (x *explainer) dropped(ctx context.Context, number uint32) (lakeward.Outcome, error) {
	var me *ownValues
	values := x.s.sources(func(c lakeward.Column) bool { return c.Mandatory || c.Key })
	for p, err := range x.e.warehouse.Scan(ctx, x.s.snap, roaring.BitmapOf(number), x.s.fields, x.s.namespace) {
		if err != nil {
			return "", err
		}
		values.begin(p)
		me = x.own(p, values, 0)
	}
	switch {
	case me == nil:
		return lakeward.WasGone, nil
	case x.s.namespace != "" && len(me.keys) == 0:
		x.fact("it has no identity in the namespace %s", x.s.namespace)
		return lakeward.WasWithoutID, nil
	case len(me.missing) > 0:
		for _, field := range me.missing {
			x.fact("the mandatory field %s has no value", field)
		}
		return lakeward.WasIncomplete, nil
	}
	for p, err := range x.e.warehouse.Scan(ctx, x.s.snap, x.s.numbers, x.s.fields, x.s.namespace) {
		if err != nil {
			return "", err
		}
		values.begin(p)
		for i, other := range p.Numbers {
			if me.shares(x.own(p, values, i)) {
				x.out.Winner = &other
				x.fact("profile %d has the same deduplication key and was written: its membership or identities changed later, or its values come first", other)
				return lakeward.WasDuplicate, nil
			}
		}
	}
	return "", fmt.Errorf("explain run %s: profile %d was dropped for no reason that is known", x.r.ID, number)
}

// ownValues are what decides whether a profile is dropped.
type ownValues struct {
	missing []string // mandatory fields
	keys    [][]byte
}

func (a *ownValues) shares(b *ownValues) bool {
	for _, k := range a.keys {
		for _, other := range b.keys {
			if bytes.Equal(k, other) {
				return true
			}
		}
	}
	return false
}

// own reads them from a chunk for which the sources are worked out, as filter does.
func (x *explainer) own(p *warehouse.Profiles, values *sources, i int) *ownValues {
	v := &ownValues{}
	for _, c := range x.s.marked(func(c lakeward.Column) bool { return c.Mandatory }) {
		if column := x.s.columns[c]; lacks(&values.values[c], i) {
			name := column.Source
			if column.SourceType != lakeward.PathSource {
				name = column.Target
			}
			v.missing = append(v.missing, name)
		}
	}
	keyed := x.s.marked(func(c lakeward.Column) bool { return c.Key })
	if x.s.namespace != "" {
		for k := p.First[i]; k < p.First[i+1]; k++ {
			v.keys = append(v.keys, bytes.Clone(p.Values.Str(int(k))))
		}
	} else if key, ok := attributeKey(values, keyed, i); ok && len(keyed) > 0 {
		v.keys = append(v.keys, key)
	}
	return v
}
