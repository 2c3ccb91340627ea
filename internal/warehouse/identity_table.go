package warehouse

import "slices"

// identityTable numbers identities from 0 on, in the order in which they are added. It is a hash table with open
// addressing whose texts lie one behind the other, so that it costs no allocation for an identity and nothing for the
// collector to follow. Hashes prove nothing: identities are compared.
type identityTable struct {
	slots []uint32 // position in keys, from 1; 0 is free. Their number is a power of two, and half of them are free.
	keys  []tableKey
	texts []byte // namespace and value of each identity
}

// tableKey is one identity; its text ends where the next one begins.
type tableKey struct {
	hash      uint64
	from      uint32
	namespace uint32 // its length
}

const leastSlots = 1 << 10

// find returns the position of an identity, -1 if it is not there.
func (t *identityTable) find(hash uint64, namespace string, value []byte) int {
	if len(t.slots) == 0 {
		return -1
	}
	for s := t.slot(hash); ; s = (s + 1) & (len(t.slots) - 1) {
		at := int(t.slots[s]) - 1
		if at < 0 || t.keys[at].hash == hash && t.is(at, namespace, value) {
			return at
		}
	}
}

func (t *identityTable) slot(hash uint64) int { return int(hash & uint64(len(t.slots)-1)) }

func (t *identityTable) is(at int, namespace string, value []byte) bool {
	ns, v := t.identity(at)
	return string(ns) == namespace && string(v) == string(value)
}

// identity returns the namespace and the value at a position.
func (t *identityTable) identity(at int) (namespace, value []byte) {
	k, end := t.keys[at], len(t.texts)
	if at+1 < len(t.keys) {
		end = int(t.keys[at+1].from)
	}
	return t.texts[k.from : k.from+k.namespace], t.texts[k.from+k.namespace : end]
}

// add puts an identity that is not there behind the others and returns its position.
func (t *identityTable) add(hash uint64, namespace string, value []byte) int {
	at := len(t.keys)
	if 2*(at+1) > len(t.slots) {
		t.grow()
	}
	t.keys = append(t.keys, tableKey{hash, uint32(len(t.texts)), uint32(len(namespace))})
	t.texts = append(append(t.texts, namespace...), value...)
	t.occupy(at)
	return at
}

func (t *identityTable) occupy(at int) {
	s := t.slot(t.keys[at].hash)
	for t.slots[s] != 0 {
		s = (s + 1) & (len(t.slots) - 1)
	}
	t.slots[s] = uint32(at) + 1
}

func (t *identityTable) grow() {
	t.slots = make([]uint32, max(leastSlots, 4*len(t.slots)))
	for at := range t.keys {
		t.occupy(at)
	}
}

// reset empties the table; its memory is kept.
func (t *identityTable) reset() {
	clear(t.slots)
	t.keys, t.texts = t.keys[:0], t.texts[:0]
}

// order lists the positions by hash, namespace and value: by the first bits of the hash at one go, which spread evenly.
func (t *identityTable) order() []uint32 {
	const buckets = 1 << 14
	ends := make([]uint32, buckets+1)
	bucket := func(at int) uint64 { return t.keys[at].hash / (1 << 50) }
	for at := range t.keys {
		ends[bucket(at)+1]++
	}
	for b := range buckets {
		ends[b+1] += ends[b]
	}
	out := make([]uint32, len(t.keys))
	next := slices.Clone(ends)
	for at := range t.keys {
		b := bucket(at)
		out[next[b]] = uint32(at)
		next[b]++
	}
	for b := range buckets {
		if part := out[ends[b]:ends[b+1]]; len(part) > 1 {
			slices.SortFunc(part, t.compare)
		}
	}
	return out
}

func (t *identityTable) compare(a, b uint32) int {
	x, y := t.entry(int(a)), t.entry(int(b))
	return x.compare(y)
}

// entry is the identity at a position as the entries of the index have it.
func (t *identityTable) entry(at int) indexEntry {
	ns, v := t.identity(at)
	return indexEntry{hash: t.keys[at].hash, namespace: ns, value: v}
}
