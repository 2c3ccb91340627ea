package engine

import (
	"context"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/warehouse"
)

// shownOthers is how many further profiles with an identity are told.
const shownOthers = 100

// Profile shows a profile: attributes, identities, memberships and the records that it is made of.
func (e *Engine) Profile(ctx context.Context, sandbox string, ref lakeward.ProfileRef) (lakeward.Profile, error) {
	snap, number, others, err := e.findProfile(ctx, sandbox, ref)
	if err != nil {
		return lakeward.Profile{}, err
	}
	p := lakeward.Profile{Number: number, Generation: snap.Generation, Others: others}
	if p.Attributes, err = e.attributes(ctx, snap, number); err != nil {
		return p, err
	}
	if p.Identities, p.Sources, err = e.warehouse.ProfileOrigins(snap, number); err != nil {
		return p, err
	}
	if err := e.nameOrigins(ctx, sandbox, &p); err != nil {
		return p, err
	}
	p.Memberships, err = e.membershipsOf(ctx, snap, number)
	return p, err
}

// DeleteProfile takes a profile away, and its records out of the profiles of the other merge policies; it returns the
// generation that is without it. What runs have delivered stays where it is.
func (e *Engine) DeleteProfile(ctx context.Context, sandbox string, ref lakeward.ProfileRef) (number uint32, generation int64, err error) {
	snap, number, _, err := e.findProfile(ctx, sandbox, ref)
	if err != nil {
		return 0, 0, err
	}
	policies, err := e.policies(ctx, sandbox, snap.Policy)
	if err != nil {
		return 0, 0, err
	}
	if generation, err = e.warehouse.DeleteProfile(ctx, snap, number, policies[1:], now()); err != nil {
		return 0, 0, err
	}
	e.log.InfoContext(ctx, "profile deleted", "number", number, "generation", generation)
	return number, generation, nil
}

// findProfile finds a profile in the newest generation. No error names the value: it may be personal.
func (e *Engine) findProfile(ctx context.Context, sandbox string, ref lakeward.ProfileRef) (*warehouse.Snapshot, uint32, []uint32, error) {
	policy, err := e.store.MergePolicy(ctx, sandbox, ref.MergePolicy)
	if err != nil {
		return nil, 0, nil, err
	}
	snap, err := e.warehouse.Snapshot(ctx, sandbox, policy.ID, 0)
	if err != nil {
		return nil, 0, nil, err
	}
	if ref.Number != nil {
		if !snap.All().Contains(*ref.Number) {
			return nil, 0, nil, &lakeward.Error{Kind: lakeward.NotFound, Code: "PROFILE-1001", Msg: "there is no profile of this number; it may have been deleted, or joined with another one"}
		}
		return snap, *ref.Number, nil, nil
	}
	namespaces, err := e.store.Namespaces(ctx, sandbox)
	if err != nil {
		return nil, 0, nil, err
	}
	if err := lakeward.CheckNamespace(namespaces, ref.Namespace); err != nil {
		return nil, 0, nil, err
	}
	number, others, ok, err := e.warehouse.FindProfile(ctx, snap, ref.Namespace, ref.Value, shownOthers)
	if err == nil && !ok {
		err = &lakeward.Error{Kind: lakeward.NotFound, Code: "PROFILE-1001", Msg: "no profile has this identity in the namespace " + ref.Namespace + "; values are compared as they stand, upper and lower case too"}
	}
	return snap, number, others, err
}

func (e *Engine) attributes(ctx context.Context, snap *warehouse.Snapshot, number uint32) ([]lakeward.ProfileAttribute, error) {
	union, err := e.store.Union(ctx, snap.Sandbox)
	if err != nil {
		return nil, err
	}
	out := []lakeward.ProfileAttribute{}
	for p, err := range e.warehouse.Scan(ctx, snap, roaring.BitmapOf(number), union, "") {
		if err != nil {
			return nil, err
		}
		for k, l := range union {
			if !p.Columns[k].IsNull(0) {
				out = append(out, lakeward.ProfileAttribute{Field: l.Path, Type: l.Type, Value: cellText(&p.Columns[k], 0)})
			}
		}
	}
	return out, nil
}

// nameOrigins adds the names of datasets and imported audiences.
func (e *Engine) nameOrigins(ctx context.Context, sandbox string, p *lakeward.Profile) error {
	names := map[lakeward.DatasetID]string{}
	datasets, err := e.store.Datasets(ctx, sandbox)
	if err != nil {
		return err
	}
	for _, d := range datasets {
		names[d.ID] = d.Name
	}
	audiences, err := e.store.Audiences(ctx, sandbox)
	if err != nil {
		return err
	}
	for _, a := range audiences {
		names[lakeward.DatasetID(a.ID)] = a.Name
	}
	for i := range p.Identities {
		p.Identities[i].Name = names[p.Identities[i].Dataset]
	}
	for i := range p.Sources {
		p.Sources[i].Name = names[p.Sources[i].Dataset]
	}
	return nil
}

func (e *Engine) membershipsOf(ctx context.Context, snap *warehouse.Snapshot, number uint32) ([]lakeward.ProfileMembership, error) {
	audiences, err := e.store.Audiences(ctx, snap.Sandbox)
	if err != nil {
		return nil, err
	}
	out := []lakeward.ProfileMembership{}
	for _, a := range audiences {
		m, ok := snap.Memberships[a.ID]
		if !ok || !m.Members.Contains(number) && !m.Exited.Contains(number) {
			continue
		}
		at, err := e.qualifiedAt(m, number)
		if err != nil {
			return nil, err
		}
		status := lakeward.Exited
		if m.Members.Contains(number) {
			status = lakeward.Realized
		}
		out = append(out, lakeward.ProfileMembership{Audience: a.ID, Name: a.Name, Status: status, LastQualificationTime: at})
	}
	return out, nil
}

func (e *Engine) qualifiedAt(m warehouse.Membership, number uint32) (time.Time, error) {
	q, err := e.warehouse.OpenMembership(m)
	if err != nil {
		return time.Time{}, err
	}
	defer q.Close()
	times, err := q.Times([]uint32{number})
	if err != nil {
		return time.Time{}, err
	}
	return time.UnixMilli(times[0]).UTC(), nil
}
