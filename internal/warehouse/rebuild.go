package warehouse

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
)

// before is the store that is being rebuilt.
type before struct {
	snap  *Snapshot
	index *IdentityIndex
	given *roaring.Bitmap // numbers that profiles got again
	// doomed counts the deletions to come of records under a primary identity; they get no number of those that stay.
	doomed map[[sha256.Size]byte]int
}

// expect notes a deletion to come, or that it came.
func (b *before) expect(sums []byte, times int) {
	for ; len(sums) >= sha256.Size; sums = sums[sha256.Size:] {
		b.doomed[[sha256.Size]byte(sums)] += times
	}
}

// number returns the number that the profile with a primary identity had; nil had none.
func (b *before) number(namespace string, value []byte) (uint32, bool, error) {
	if b == nil || len(b.doomed) > 0 && b.doomed[identitySum(namespace, value)] > 0 {
		return 0, false, nil
	}
	return b.index.Find(namespace, value, false)
}

// same reports whether the identities of a profile are what they were. While a store is rebuilt that is decided at the end.
func (b *before) same(_ uint32, now, was []identity) bool {
	return b != nil || sameIdentities(now, was)
}

// Step is one thing of the past that a rebuild does again: a batch with the schema of its records, or a deletion.
type Step struct {
	Batch    lakeward.Batch
	Schema   lakeward.Schema
	Deletion *lakeward.Deletion
}

// Rebuild makes the profiles of a policy anew out of the records of the datasets, and makes them current in one
// generation, together with policies that are stored then. A profile keeps the number it had; where several become
// one the smallest survives, and of one that falls apart the first part keeps it. Memory does not depend on
// the number of profiles.
func (w *Warehouse) Rebuild(ctx context.Context, sandbox string, policy Policy, past []Step, with []lakeward.MergePolicy, at time.Time) (int64, error) {
	old, err := w.openPolicy(ctx, sandbox, policy, 0)
	if err != nil {
		return 0, err
	}
	defer old.index.Close()
	bare := &Snapshot{Sandbox: sandbox, Policy: policy.ID, Generation: old.snap.Generation, NextNumber: old.snap.NextNumber}
	p := newProfileWriter(w, bare, w.indexDir(sandbox, policy.ID).empty(), policy)
	p.before = &before{snap: old.snap, index: old.index, given: roaring.New(), doomed: map[[sha256.Size]byte]int{}}
	change := lakeward.Change{Base: bare.Generation, Kind: "rebuild", At: at, Policies: with, Rebuilt: true}
	if err = p.repeat(ctx, past); err == nil {
		err = p.compare()
	}
	if err == nil {
		err = p.repeatEvents(ctx, past)
	}
	var first lakeward.ProfileChange
	if err == nil {
		first, err = p.change()
	}
	var generation int64
	if err == nil {
		into(&change, first)
		generation, err = w.catalog.Commit(ctx, sandbox, change)
	}
	if err != nil {
		p.discard()
		return 0, old.index.damaged(err)
	}
	w.keepIndexes(ctx, []*profileWriter{p}, generation)
	return generation, nil
}

// DropPolicy removes a policy and ends its profiles, in one generation.
func (w *Warehouse) DropPolicy(ctx context.Context, sandbox string, id lakeward.MergePolicyID, at time.Time) error {
	s, err := w.SnapshotOf(ctx, sandbox, id, 0)
	if err != nil {
		return err
	}
	_, err = w.catalog.Commit(ctx, sandbox, lakeward.Change{Base: s.Generation, Kind: "rebuild", At: at, Dropped: id, Of: id, NextNumber: s.NextNumber, Rebuilt: true})
	if err == nil {
		_ = w.root.RemoveAll(w.indexDir(sandbox, id).path)
	}
	return err
}

// repeat does the steps of the past again.
func (p *profileWriter) repeat(ctx context.Context, past []Step) error {
	for _, s := range past {
		if s.Deletion != nil {
			p.before.expect(s.Deletion.Sums, 1)
		}
	}
	for _, s := range past {
		if s.Deletion != nil {
			p.before.expect(s.Deletion.Sums, -1)
			if err := p.forget(ctx, s.Deletion.Sums); err != nil {
				return err
			}
			continue
		}
		leaves := s.Schema.Leaves()
		if s.Schema.Class == lakeward.EventClass { // the rest sets nothing
			leaves = slices.DeleteFunc(leaves, func(l lakeward.Leaf) bool { return l.Identity == nil && l.Path != lakeward.IdentityMapPath })
		}
		p.begin(s.Batch, s.Schema.Class, leaves, func() ([]lakeward.DataFile, error) { return s.Batch.Files, nil })
		first := int64(0)
		for c, err := range p.w.ReadFiles(ctx, s.Batch.Files, p.leaves) {
			if err == nil {
				err = p.add(ctx, c, first)
			}
			if err != nil {
				return err
			}
			first += int64(c.Len)
		}
		if err := p.flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

// repeatEvents writes the events of all batches anew, under the numbers that their profiles have at the end.
func (p *profileWriter) repeatEvents(ctx context.Context, past []Step) error {
	for _, s := range past {
		if s.Deletion != nil || s.Schema.Class != lakeward.EventClass {
			continue
		}
		p.begin(s.Batch, s.Schema.Class, s.Schema.Leaves(), nil)
		if p.events == nil {
			continue
		}
		for c, err := range p.w.ReadFiles(ctx, s.Batch.Files, p.leaves) {
			if err == nil {
				err = p.addEvents(ctx, c)
			}
			if err != nil {
				return err
			}
		}
		if err := p.flushEvents(ctx); err != nil {
			return err
		}
	}
	return nil
}

// addEvents takes the events of a chunk whose profiles are there.
func (p *profileWriter) addEvents(ctx context.Context, c *vector.Chunk) error {
	for i := range c.Len {
		if err := p.identify(c, i); err != nil {
			return err
		}
		number, ok, err := p.whose()
		if err != nil {
			return err
		}
		if ok {
			p.events.numbers = append(p.events.numbers, number)
			p.events.take(c, i, i+1)
		}
	}
	if p.events.full() {
		return p.flushEvents(ctx)
	}
	return nil
}

// whose returns the profile that the stored record whose identities are p.ids belongs to; ok is false if it was deleted.
func (p *profileWriter) whose() (number uint32, ok bool, err error) {
	for k := range p.ids {
		id := &p.ids[k]
		if len(id.value) == 0 || !p.joins(*id, k == 0) {
			continue
		}
		if number, ok, err = p.holder(id, k == 0); ok || err != nil {
			return number, ok, err
		}
	}
	return 0, false, nil
}

// forget takes the records out that are kept under the primary identities with the given sums; a profile of which
// none is left goes.
func (p *profileWriter) forget(ctx context.Context, sums []byte) error {
	if err := p.index.spill(); err != nil {
		return err
	}
	m := &merger{p: p, numbers: roaring.New(), retired: roaring.New(), dropped: map[identityKey]bool{}}
	for ; len(sums) >= sha256.Size; sums = sums[sha256.Size:] {
		keys, err := p.index.named([sha256.Size]byte(sums))
		if err != nil {
			return err
		}
		for _, key := range keys {
			found, err := p.index.lookup(idValue{namespace: key.namespace, value: []byte(key.value)}, []entryKind{primaryEntry})
			if err != nil {
				return err
			}
			if found[primaryEntry] != nil {
				m.numbers.Add(*found[primaryEntry])
				m.dropped[key] = true
			}
		}
	}
	return p.write(ctx, m)
}

// compare notes, file by file, which profiles have other identities than before the rebuild, and which carry on
// profiles of other numbers.
func (p *profileWriter) compare() error {
	if err := p.ending.Wait(); err != nil {
		return err
	}
	p.linked = roaring.New()
	for i, live := range p.snap.live(p.all) {
		was := map[uint32][]identity{}
		for k, old := range p.before.snap.live(live) {
			if err := p.w.eachProfile(p.before.snap.Profiles[k].Identities, old, func(n uint32, ids []identity) { was[n] = ids }); err != nil {
				return err
			}
		}
		var failed error
		err := p.w.eachProfile(p.snap.Profiles[i].Identities, live, func(n uint32, ids []identity) {
			if !sameIdentities(was[n], ids) {
				p.linked.Add(n)
			}
			if !sameIdentities(primaries(was[n]), primaries(ids)) { // else all its records were its own
				failed = errors.Join(failed, p.inherit(n, ids))
			}
		})
		if err = errors.Join(err, failed); err != nil {
			return err
		}
	}
	return nil
}

// inherit notes the profiles of before whose records a profile has now.
func (p *profileWriter) inherit(number uint32, ids []identity) error {
	for _, id := range ids {
		if !id.primary {
			continue
		}
		had, known, err := p.before.index.Find(id.namespace, []byte(id.value), false)
		if err != nil {
			return err
		}
		if h := (heir{had, number}); known && had != number && !slices.Contains(p.heirs[max(0, len(p.heirs)-len(ids)):], h) {
			p.heirs = append(p.heirs, h)
		}
	}
	return nil
}

func primaries(ids []identity) (out []identity) {
	for _, id := range ids {
		if id.primary {
			out = append(out, id)
		}
	}
	return out
}
