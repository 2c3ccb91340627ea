package warehouse

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
)

// FindProfile returns the profile that has an identity, and at most limit others that have it too. ok is false if
// nobody has it.
func (w *Warehouse) FindProfile(ctx context.Context, s *Snapshot, namespace, value string, limit int) (number uint32, others []uint32, ok bool, err error) {
	x, err := w.IdentityIndex(ctx, s)
	if err != nil {
		return 0, nil, false, err
	}
	defer x.Close()
	if number, ok, err = x.Find(namespace, []byte(value), false); err == nil {
		others, err = x.with(idValue{namespace: namespace, value: []byte(value)}, limit+1)
	}
	others = slices.DeleteFunc(others, func(n uint32) bool { return n == number })
	return number, others[:min(len(others), limit)], ok, x.damaged(err)
}

// ProfileOrigins returns the identities of a profile and the records that it is made of.
func (w *Warehouse) ProfileOrigins(s *Snapshot, number uint32) ([]lakeward.ProfileIdentity, []lakeward.ProfileSource, error) {
	defer runtime.KeepAlive(s)
	ids, sources := []lakeward.ProfileIdentity{}, []lakeward.ProfileSource{}
	one := roaring.BitmapOf(number)
	fragments, err := w.fragments(s, one)
	if err != nil {
		return nil, nil, err
	}
	for _, f := range fragments[number] {
		sources = append(sources, lakeward.ProfileSource{Dataset: lakeward.DatasetID(f.dataset), Batch: lakeward.BatchID(f.batch), Row: f.row})
	}
	for i, live := range s.live(one) {
		err := w.eachProfile(s.Profiles[i].Identities, live, func(_ uint32, list []identity) {
			for _, id := range list {
				ids = append(ids, lakeward.ProfileIdentity{Namespace: id.namespace, Value: id.value, Primary: id.primary, Dataset: lakeward.DatasetID(id.source)})
			}
		})
		if err != nil {
			return nil, nil, err
		}
	}
	return ids, sources, nil
}

// DeleteProfile takes a profile away, in one generation: a bitmap without rows. It leaves its audiences without having
// exited, its number is never given again, and its identities are free for a new profile. The records that
// it is made of count under no other policy either; the sums of the identities that they are kept under
// are noted, so that a rebuild leaves them out.
func (w *Warehouse) DeleteProfile(ctx context.Context, s *Snapshot, number uint32, others []Policy, at time.Time) (int64, error) {
	fragments, err := w.fragments(s, roaring.BitmapOf(number))
	if err != nil {
		return 0, err
	}
	ids := unionOf(fragments[number])
	gone, err := ProfileFile{Numbers: roaring.BitmapOf(number)}.catalogued()
	if err != nil {
		return 0, err
	}
	x, err := w.IdentityIndex(ctx, s)
	if err != nil {
		return 0, err
	}
	stores := []*profileWriter{newProfileWriter(w, s, x, Policy{MergePolicy: lakeward.MergePolicy{ID: s.Policy}})}
	defer func() { discardAll(stores) }()
	change := lakeward.Change{Base: s.Generation, Kind: "delete", At: at, Of: s.Policy, NextNumber: s.NextNumber, Profiles: []lakeward.ProfileFile{gone}, Deleted: sumsOf(ids)}
	if err := x.change(number, ids, nil); err != nil {
		return 0, x.damaged(err)
	}
	for _, o := range others {
		p, err := w.openPolicy(ctx, s.Sandbox, o, s.Generation)
		if err != nil {
			return 0, err
		}
		stores = append(stores, p)
		if err := p.forget(ctx, change.Deleted); err != nil {
			return 0, p.index.damaged(err)
		}
		more, err := p.change()
		if err != nil {
			return 0, err
		}
		change.Others = append(change.Others, more)
	}
	generation, err := w.catalog.Commit(ctx, s.Sandbox, change)
	if err == nil {
		w.keepIndexes(ctx, stores, generation)
		stores = nil
	}
	return generation, err
}

// sumsOf are the sums of the identities that records are kept under.
func sumsOf(ids []identity) (sums []byte) {
	for _, id := range ids {
		if id.primary {
			sum := identitySum(id.namespace, []byte(id.value))
			sums = append(sums, sum[:]...)
		}
	}
	return sums
}

// checkIndex holds the identity index against the stored identities, if it is that of the snapshot.
func (w *Warehouse) checkIndex(ctx context.Context, s *Snapshot, c *Checked) error {
	x, err := w.indexDir(s.Sandbox, s.Policy).open(s.IdentityState)
	if errors.Is(err, errIndexDamaged) {
		return nil // it is made anew before it is used
	}
	if err != nil {
		return err
	}
	defer x.Close()
	entries, want, err := x.digest()
	if err != nil {
		c.problem(x.dir.path, "%v; remove the folder, it is made anew", err)
		return nil
	}
	known, got := int64(0), uint64(0)
	for i, live := range s.live(s.All()) {
		err := w.eachProfile(s.Profiles[i].Identities, live, func(n uint32, ids []identity) {
			for _, e := range entriesOf(ids) {
				known, got = known+1, got+entryDigest([]byte(e.key.namespace), []byte(e.key.value), e.kind, n)
			}
		})
		if lakeward.CodeOf(err) == lakeward.FailSource {
			return nil // told with the files
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
	}
	if entries != known || got != want {
		c.problem(x.dir.path, "the identity index has %d entries, the stored identities make %d, and they are not the same; remove the folder, it is made anew", entries, known)
	}
	return nil
}
