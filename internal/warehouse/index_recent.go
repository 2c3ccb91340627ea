package warehouse

import (
	"cmp"
	"slices"
)

// recent are the entries of the index that are in no run yet. Nearly every identity has one entry; those of an
// identity with more are kept in order, however many they are.
type recent struct {
	identityTable
	first []recentEntry // of each identity
	many  map[int]*holders
	size  int // entries
}

// recentEntry says how a profile has an identity, or that it has it no more.
type recentEntry struct {
	number [1]uint32 // in an array, so that it can stand for a list
	kind   entryKind
	dead   bool
	more   bool // all entries of the identity are in many
}

// holders are the profiles that have an identity, and those that have it no more, in ascending order.
type holders [entryKinds]struct{ live, dead []uint32 }

// put notes an entry in the place of the one of its profile and kind, if there is one.
func (r *recent) put(id *idValue, kind entryKind, number uint32, dead bool) {
	at := r.find(id.sum(), id.namespace, id.value)
	if at < 0 {
		r.identityTable.add(id.sum(), id.namespace, id.value)
		r.first = append(r.first, recentEntry{number: [1]uint32{number}, kind: kind, dead: dead})
		r.size++
		return
	}
	f := &r.first[at]
	if !f.more {
		if f.kind == kind && f.number[0] == number {
			f.dead = dead
			return
		}
		f.more = true
		h := &holders{}
		h.put(f.kind, f.number[0], f.dead)
		if r.many == nil {
			r.many = map[int]*holders{}
		}
		r.many[at] = h
	}
	r.size += r.many[at].put(kind, number, dead)
}

// put returns how many entries there are more.
func (h *holders) put(kind entryKind, number uint32, dead bool) (more int) {
	in, out := &h[kind].live, &h[kind].dead
	if dead {
		in, out = out, in
	}
	if i, found := slices.BinarySearch(*out, number); found {
		*out = slices.Delete(*out, i, i+1)
		more--
	}
	if i, found := slices.BinarySearch(*in, number); !found {
		*in = slices.Insert(*in, i, number)
		more++
	}
	return more
}

// of lists the profiles that have the identity at a position in one way, and those that have it so no more. The lists
// hold until the next entry.
func (r *recent) of(at int, kind entryKind) (live, dead []uint32) {
	if at < 0 {
		return nil, nil
	}
	switch f := &r.first[at]; {
	case f.more:
		return r.many[at][kind].live, r.many[at][kind].dead
	case f.kind != kind:
		return nil, nil
	case f.dead:
		return nil, f.number[:]
	default:
		return f.number[:], nil
	}
}

// each calls fn with the entries in their order.
func (r *recent) each(fn func(indexEntry) error) error {
	var list []indexEntry
	for _, o := range r.order() {
		at := int(o.at)
		e := r.entry(at)
		list = list[:0]
		for e.kind = range entryKinds {
			live, dead := r.of(at, e.kind)
			from := len(list)
			for _, e.number = range live {
				list = append(list, e)
			}
			e.dead = true
			for _, e.number = range dead {
				list = append(list, e)
			}
			e.dead = false
			if len(live) > 0 && len(dead) > 0 {
				slices.SortFunc(list[from:], func(a, b indexEntry) int { return cmp.Compare(a.number, b.number) })
			}
		}
		for _, e := range list {
			if err := fn(e); err != nil {
				return err
			}
		}
	}
	return nil
}

// reset empties it; its memory is kept.
func (r *recent) reset() {
	r.identityTable.reset()
	r.first, r.many, r.size = r.first[:0], nil, 0
}
