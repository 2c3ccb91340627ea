package warehouse

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"path"
	"runtime"
	"slices"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/together"
)

// IdentityIndex finds profiles by identity. It lies in sorted runs on disk, mapped into memory, so what it
// takes of the memory does not grow with the number of profiles; a change adds a small run, and small
// runs are merged as they become many. An entry holds the identity itself: a hash alone proves nothing.
//
// It is a cache: it says of which state of the profile store it is, and is made anew from the stored
// identities when it is missing, damaged or of another state.
type IdentityIndex struct {
	dir  *indexDir
	runs []*indexRun // oldest first
	own  []string    // files that no manifest names yet
	mem  *recent
	// spilling makes a run of what is in full; until it is settled, nobody looks at the runs.
	spilling together.Task
	full     *recent
	touched  int // blocks since the mapped memory was last given back, about
}

type identityKey struct{ namespace, value string }

// spillEntries and spillBytes are about as many entries, and bytes of their identities, as are held in memory; as many
// again may be on their way to a run.
const (
	spillEntries = 1 << 18
	spillBytes   = 32 << 20
)

// identitySum is the hash of an identity, which names it where its value must not stand.
func identitySum(namespace string, value []byte) [sha256.Size]byte {
	var room [256]byte
	return sha256.Sum256(append(append(append(room[:0], namespace...), 0), value...))
}

// identityHash is the part of the sum that the index sorts by.
func identityHash(namespace string, value []byte) uint64 {
	sum := identitySum(namespace, value)
	return binary.BigEndian.Uint64(sum[:])
}

// Find returns the profile with an identity: the one that has it as a primary identity, else the first that
// has it at all. With record, it is for a record that is kept under the identity: then a profile
// whose own primary identity is of the same namespace is somebody else.
func (x *IdentityIndex) Find(namespace string, value []byte, record bool) (number uint32, ok bool, err error) {
	return x.find(idValue{namespace: namespace, value: value}, record)
}

func (x *IdentityIndex) find(id idValue, record bool) (number uint32, ok bool, err error) {
	kinds := []entryKind{primaryEntry, freeEntry, keyedEntry}
	if record {
		kinds = kinds[:2]
	}
	found, err := x.lookup(id, kinds)
	if err != nil {
		return 0, false, err
	}
	if found[primaryEntry] != nil {
		return *found[primaryEntry], true, nil
	}
	for _, n := range found[freeEntry:] {
		if n != nil && (!ok || *n < number) {
			number, ok = *n, true
		}
	}
	return number, ok, nil
}

// any returns the first profile that has an identity in whatever way.
func (x *IdentityIndex) any(id idValue) (number uint32, ok bool, err error) {
	found, err := x.lookup(id, []entryKind{primaryEntry, freeEntry, keyedEntry})
	for _, n := range found {
		if n != nil && (!ok || *n < number) {
			number, ok = *n, true
		}
	}
	return number, ok, err
}

// lookup returns the smallest number of each kind of having an identity.
func (x *IdentityIndex) lookup(id idValue, kinds []entryKind) (found [entryKinds]*uint32, err error) {
	hash := id.sum()
	if err := x.spilling.Wait(); err != nil {
		return found, err
	}
	at := x.mem.find(hash, id.namespace, id.value)
	var runs []*indexRun // that know the hash, newest first
	for _, r := range slices.Backward(x.runs) {
		some, err := r.mayHave(hash)
		if err != nil {
			return found, err
		}
		if some {
			runs = append(runs, r)
		}
	}
	if at < 0 && len(runs) == 0 {
		return found, nil
	}
	x.touch(len(runs))
	for _, k := range kinds {
		w := walk{prefix: id.entry(k, 0)}
		w.live, w.dead = x.mem.of(at, k)
		if err := w.open(runs); err != nil {
			return found, err
		}
		number, ok, err := w.next()
		if err != nil {
			return found, err
		}
		if ok {
			found[k] = &number
		}
	}
	return found, nil
}

// with lists the profiles that have an identity, at most limit of them.
func (x *IdentityIndex) with(id idValue, limit int) ([]uint32, error) {
	var out []uint32
	if err := x.spilling.Wait(); err != nil {
		return nil, err
	}
	at := x.mem.find(id.sum(), id.namespace, id.value)
	for k := range entryKinds {
		w := walk{prefix: id.entry(k, 0)}
		w.live, w.dead = x.mem.of(at, k)
		if err := w.open(slices.Collect(newestFirst(x.runs))); err != nil {
			return nil, err
		}
		for len(out) < limit {
			number, ok, err := w.next()
			if err != nil {
				return nil, err
			}
			if !ok {
				break
			}
			out = append(out, number)
		}
	}
	slices.Sort(out)
	return out, nil
}

// has reports whether a profile has an identity.
func (x *IdentityIndex) has(id idValue, number uint32) (bool, error) {
	if err := x.spilling.Wait(); err != nil {
		return false, err
	}
	at := x.mem.find(id.sum(), id.namespace, id.value)
	for k := range entryKinds {
		w := walk{prefix: id.entry(k, number)}
		w.live, w.dead = x.mem.of(at, k)
		i, _ := slices.BinarySearch(w.live, number)
		w.live = w.live[i:]
		if err := w.open(slices.Collect(newestFirst(x.runs))); err != nil {
			return false, err
		}
		if n, ok, err := w.next(); err != nil || ok && n == number {
			return ok, err
		}
	}
	return false, nil
}

func newestFirst(runs []*indexRun) func(func(*indexRun) bool) {
	return func(yield func(*indexRun) bool) {
		for _, r := range slices.Backward(runs) {
			if !yield(r) {
				return
			}
		}
	}
}

// walk goes through the numbers of one identity and kind, ascending; what is newer hides what is older.
type walk struct {
	prefix     indexEntry
	live, dead []uint32 // in memory: the newest
	runs       []runCursor
}

func (w *walk) open(runs []*indexRun) error {
	for _, r := range runs {
		c, err := r.seek(w.prefix)
		if err != nil {
			return err
		}
		w.runs = append(w.runs, c)
	}
	return nil
}

// next returns the next number that has the identity.
func (w *walk) next() (number uint32, ok bool, err error) {
	for {
		newest, dead := -1, false
		for i := range w.runs {
			e, some := w.runs[i].entry()
			if some && e.same(w.prefix) && (newest < 0 || e.number < number) {
				newest, number, dead = i, e.number, e.dead
			}
		}
		if len(w.live) > 0 && (newest < 0 || w.live[0] <= number) {
			newest, number, dead = len(w.runs), w.live[0], false
			w.live = w.live[1:]
		}
		if newest < 0 {
			return 0, false, nil
		}
		for i := range w.runs {
			if e, some := w.runs[i].entry(); some && e.same(w.prefix) && e.number == number {
				if err := w.runs[i].next(); err != nil {
					return 0, false, err
				}
			}
		}
		if _, gone := slices.BinarySearch(w.dead, number); !dead && !gone {
			return number, true, nil
		}
	}
}

// named returns the primary identities in the runs that have a sum, as keys.
func (x *IdentityIndex) named(sum [sha256.Size]byte) ([]identityKey, error) {
	if err := x.spilling.Wait(); err != nil {
		return nil, err
	}
	var out []identityKey
	hash := binary.BigEndian.Uint64(sum[:])
	for _, r := range x.runs {
		c, err := r.seek(indexEntry{hash: hash})
		for ; err == nil; err = c.next() {
			e, ok := c.entry()
			if !ok || e.hash != hash {
				break
			}
			key := identityKey{string(e.namespace), string(e.value)}
			if identitySum(key.namespace, e.value) == sum && !slices.Contains(out, key) {
				out = append(out, key)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// entry is how a profile has an identity.
type entry struct {
	key  identityKey
	kind entryKind
}

// entriesOf lists how a profile has its identities, each once.
func entriesOf(ids []identity) []entry {
	out := make([]entry, 0, len(ids))
	for _, id := range ids {
		e := entry{identityKey{id.namespace, id.value}, freeEntry}
		switch {
		case id.primary:
			e.kind = primaryEntry
		case slices.ContainsFunc(ids, func(o identity) bool { return o.primary && o.namespace == id.namespace }):
			e.kind = keyedEntry
		}
		if i := slices.IndexFunc(out, func(o entry) bool { return o.key == e.key }); i >= 0 {
			out[i].kind = min(out[i].kind, e.kind)
			continue
		}
		out = append(out, e)
	}
	return out
}

// change notes that a profile had some identities and has others now.
func (x *IdentityIndex) change(number uint32, before, after []identity) error {
	was, is := entriesOf(before), entriesOf(after)
	for _, e := range was {
		if !slices.Contains(is, e) {
			x.note(e, number, true)
		}
	}
	for _, e := range is {
		if !slices.Contains(was, e) {
			x.note(e, number, false)
		}
	}
	return x.bound()
}

func (x *IdentityIndex) note(e entry, number uint32, dead bool) {
	x.mem.put(&idValue{namespace: e.key.namespace, value: []byte(e.key.value)}, e.kind, number, dead)
}

// bound begins to turn what is in memory into a run if there is too much of it.
func (x *IdentityIndex) bound() error {
	if x.mem.size < spillEntries+spillEntries/2 && len(x.mem.texts) < spillBytes {
		return nil
	}
	return x.makeRoom(1)
}

// makeRoom begins to turn what is in memory into a run if it has at least so many entries. That goes on beside the
// caller, until somebody looks for an identity.
func (x *IdentityIndex) makeRoom(entries int) error {
	if x.mem.size < entries {
		return nil
	}
	if err := x.spilling.Wait(); err != nil {
		return err
	}
	x.mem, x.full = x.full, x.mem
	x.spilling.Start(func() error { return x.write(x.full) })
	return nil
}

// spill turns what is in memory into a run.
func (x *IdentityIndex) spill() error {
	if err := x.spilling.Wait(); err != nil || x.mem.size == 0 {
		return err
	}
	return x.write(x.mem)
}

func (x *IdentityIndex) write(r *recent) error {
	err := x.addRun(func(w *runWriter) error { return r.each(w.add) })
	r.reset()
	return err
}

// addEntries writes entries, each once, as a run.
func (x *IdentityIndex) addEntries(entries []indexEntry) error {
	slices.SortFunc(entries, indexEntry.compare)
	return x.addRun(func(w *runWriter) error {
		for _, e := range entries {
			if err := w.add(e); err != nil {
				return err
			}
		}
		return nil
	})
}

func (x *IdentityIndex) addRun(fill func(*runWriter) error) error {
	run, err := x.dir.write(fill)
	if err != nil || run == nil {
		return err
	}
	x.runs, x.own = append(x.runs, run), append(x.own, run.name)
	return x.tidy()
}

// damaged turns an index that is damaged into an error that says what helps, and drops it so that it is made anew.
func (x *IdentityIndex) damaged(err error) error {
	if !errors.Is(err, errIndexDamaged) {
		return err
	}
	x.dir.remove([]string{indexManifest})
	return &lakeward.Error{Kind: lakeward.Unavailable, Code: "DATA-1007", Msg: "the identity index was damaged; nothing was changed, and it is made anew when the command is run again", Err: err}
}

// Close releases the index and removes the files that no manifest names.
func (x *IdentityIndex) Close() {
	_ = x.spilling.Wait() // of a file that is removed
	for _, r := range x.runs {
		r.close()
	}
	x.dir.remove(x.own)
	x.runs, x.own = nil, nil
}

// IdentityIndex opens the index of a snapshot's identities; it is made anew if there is no index of this
// state. The caller closes it.
func (w *Warehouse) IdentityIndex(ctx context.Context, s *Snapshot) (*IdentityIndex, error) {
	if err := s.checkProfiles(); err != nil {
		return nil, err
	}
	defer runtime.KeepAlive(s)
	dir := w.indexDir(s.Sandbox, s.Policy)
	x, err := dir.open(s.IdentityState)
	if err == nil || !errors.Is(err, errIndexDamaged) {
		return x, err
	}
	x = dir.empty()
	if err := w.fillIndex(ctx, s, x); err != nil {
		x.Close()
		return nil, err
	}
	return x, nil
}

// fillIndex builds the index of a snapshot and keeps it.
func (w *Warehouse) fillIndex(ctx context.Context, s *Snapshot, x *IdentityIndex) error {
	var entries []indexEntry
	for i, live := range s.live(s.All()) {
		var failed error
		err := w.eachProfile(s.Profiles[i].Identities, live, func(n uint32, ids []identity) {
			for _, has := range entriesOf(ids) {
				e := indexEntry{namespace: []byte(has.key.namespace), value: []byte(has.key.value), kind: has.kind, number: n}
				e.hash = identityHash(has.key.namespace, e.value)
				entries = append(entries, e)
			}
			if len(entries) >= spillEntries && failed == nil {
				failed = errors.Join(x.addEntries(entries), ctx.Err())
				entries = entries[:0]
			}
		})
		if err = errors.Join(err, failed, ctx.Err()); err != nil {
			return err
		}
	}
	if err := x.addEntries(entries); err != nil {
		return err
	}
	return x.publish(s.IdentityState)
}

func (w *Warehouse) indexDir(sandbox string, policy lakeward.MergePolicyID) *indexDir {
	return &indexDir{root: w.root, path: path.Join(indexFolder, sandbox, string(policy)), mu: &w.indexes}
}

// empty returns an index of nobody, whose runs will lie in the folder.
func (d *indexDir) empty() *IdentityIndex {
	return &IdentityIndex{dir: d, mem: new(recent), full: new(recent)}
}
