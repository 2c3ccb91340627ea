package engine

import (
	"hash/maphash"
	"maps"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward/internal/vector"
)

// dedupLimits bound what deduplication holds in memory; what is more takes more passes over the profiles.
type dedupLimits struct {
	keys  int // at once
	bytes int // of candidates at once
}

func defaultDedupLimits() dedupLimits { return dedupLimits{keys: 1 << 19, bytes: 32 << 20} }

// keyHash stands for a deduplication key.
type keyHash [2]uint64

// maxShares bounds the passes over the profiles.
const maxShares = 256

// keyShare is one of several equal parts of what hashes spread; of is a power of two.
type keyShare struct{ index, of uint64 }

// halve makes the first share smaller; false if it cannot be.
func (s *keyShare) halve() bool {
	if s.index > 0 || s.of >= maxShares {
		return false
	}
	s.of *= 2
	return true
}

func (s keyShare) holds(hash uint64) bool { return hash&(s.of-1) == s.index }

// keySet finds deduplication keys that several profiles share. It keeps a 128-bit hash of each key. If they are too many,
// it only marks places that more than one key falls on, and the keys are given again: those at such places are few, and
// if they are too many too, they are given for one share after the other.
type keySet struct {
	seeds  [2]maphash.Seed
	limit  int
	marks  *marks // once the keys were too many
	first  bool   // the keys are given for the first time
	at     keyShare
	owner  map[keyHash]uint32
	shared *roaring.Bitmap // profiles that share a key with another one
	chains *chains         // of profiles that have several keys; nil if each has one
}

// newKeySet returns a set for keys of which a profile has one, or several if those that may have them are given.
func newKeySet(limit int, several *roaring.Bitmap) *keySet {
	k := &keySet{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, limit: limit, first: true, at: keyShare{of: 1}, owner: map[keyHash]uint32{}, shared: roaring.New()}
	if several != nil {
		k.chains = &chains{all: several}
	}
	return k
}

func (k *keySet) hash(key []byte) keyHash {
	return keyHash{maphash.Bytes(k.seeds[0], key), maphash.Bytes(k.seeds[1], key)}
}

// add takes a key of a profile.
func (k *keySet) add(number uint32, key []byte) {
	h := k.hash(key)
	switch {
	case k.marks != nil && k.first:
		k.marks.add(h)
		return
	case k.marks != nil && !k.marks.several(h), !k.at.holds(h[0]):
		return
	}
	switch first, ok := k.owner[h]; {
	case !ok:
		k.owner[h] = number
	case first != number:
		k.shared.Add(first)
		k.shared.Add(number)
		k.chains.join(first, number)
	}
	if len(k.owner) > k.limit {
		k.relieve()
	}
}

// relieve makes room: by marks the first time, then by smaller shares.
func (k *keySet) relieve() {
	if k.first {
		k.marks = newMarks()
		for h := range k.owner {
			k.marks.add(h)
		}
		clear(k.owner)
		return
	}
	for len(k.owner) > k.limit && k.at.halve() {
		maps.DeleteFunc(k.owner, func(h keyHash, _ uint32) bool { return !k.at.holds(h[0]) })
	}
}

// next begins the next time that the keys are given; false if they need not be.
func (k *keySet) next() bool {
	clear(k.owner)
	if k.first && k.marks != nil {
		k.first = false
		return true
	}
	k.at.index++
	return k.at.index < k.at.of
}

// marks are places of hashes, each with whether one key fell on it, and whether several did.
type marks struct{ one, more vector.Bits }

// markedPlaces leaves one in fifteen of ten million keys at a place that another one fell on; it takes 32 MiB.
const markedPlaces = 1 << 27

func newMarks() *marks { return &marks{vector.NewBits(markedPlaces), vector.NewBits(markedPlaces)} }

func (m *marks) add(h keyHash) {
	at := int(h[1] % markedPlaces)
	if m.one.Get(at) {
		m.more.Set(at)
	}
	m.one.Set(at)
}

func (m *marks) several(h keyHash) bool { return m.more.Get(int(h[1] % markedPlaces)) }

// done gives the memory of the keys back.
func (k *keySet) done() { k.owner, k.marks = nil, nil }

// group is a hash that is the same for candidates that keys connect.
func (k *keySet) group(c candidate) uint64 {
	if k.chains == nil {
		return c.keys[0][1]
	}
	return k.chains.group(c.number)
}

// chains are sets of profiles that keys connect: each but the first of a chain points to one before it.
type chains struct {
	all    *roaring.Bitmap
	before []uint32 // by the rank of the number; made with the first chain
}

// join puts the chains of two profiles together.
func (c *chains) join(a, b uint32) {
	if c == nil {
		return
	}
	if c.before == nil {
		c.before = make([]uint32, c.all.GetCardinality())
		for i := range c.before {
			c.before[i] = uint32(i)
		}
	}
	x, y := c.first(a), c.first(b)
	c.before[max(x, y)] = min(x, y)
}

// first is the rank of the first of a profile's chain.
func (c *chains) first(number uint32) uint32 {
	at := uint32(c.all.Rank(number)) - 1
	for c.before[at] != at {
		c.before[at] = c.before[c.before[at]]
		at = c.before[at]
	}
	return at
}

// group spreads chains evenly.
func (c *chains) group(number uint32) uint64 {
	h := uint64(c.first(number)) * 0x9e3779b97f4a7c15
	return h ^ h>>32
}
