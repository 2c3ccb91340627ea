package warehouse

import (
	"cmp"
	"math/bits"
	"slices"
)

// identityTable numbers identities from 0 on, in the order in which they are added. It is a hash table with open
// addressing whose texts lie one behind the other, so that it costs no allocation for an identity and nothing for the
// collector to follow. Hashes prove nothing: identities are compared.
type identityTable struct {
	// slots are positions in keys, from 1, below the upper half of the hash; 0 is free. Their number is a power of two, and
	// half of them at least are free.
	slots []uint64
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
	for s := t.slot(hash); t.slots[s] != 0; s = (s + 1) & (len(t.slots) - 1) {
		if t.slots[s]>>32 != hash>>32 { // so that the key, which lies elsewhere, is hardly ever looked at in vain
			continue
		}
		if at := int(uint32(t.slots[s])) - 1; t.keys[at].hash == hash && t.is(at, namespace, value) {
			return at
		}
	}
	return -1
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
	t.slots[s] = t.keys[at].hash>>32<<32 | uint64(at+1)
}

func (t *identityTable) grow() {
	t.slots = make([]uint64, max(leastSlots, 2*len(t.slots)))
	for at := range t.keys {
		t.occupy(at)
	}
}

// reset empties the table; its memory is kept.
func (t *identityTable) reset() {
	clear(t.slots)
	t.keys, t.texts = t.keys[:0], t.texts[:0]
}

// order lists the positions by hash, namespace and value. Hashes spread evenly, so their first bits part them into
// groups of a few at one go.
func (t *identityTable) order() []tableOrder {
	shift := 64 - min(16, bits.Len(uint(len(t.keys)))) // about an identity for each group
	next := make([]uint32, 1<<(64-shift)+1)            // where each group goes on
	for _, k := range t.keys {
		next[k.hash>>shift+1]++
	}
	for g := range next[1:] {
		next[g+1] += next[g]
	}
	out := make([]tableOrder, len(t.keys))
	for at, k := range t.keys {
		out[next[k.hash>>shift]] = tableOrder{k.hash, uint32(at)}
		next[k.hash>>shift]++
	}
	from := uint32(0)
	for _, to := range next[:len(next)-1] { // by now each group ends where the next one began
		if group := out[from:to]; len(group) > 1 {
			slices.SortFunc(group, t.compare)
		}
		from = to
	}
	return out
}

// tableOrder is the position of an identity beside its hash, so that they can be sorted without a look at the keys.
type tableOrder struct {
	hash uint64
	at   uint32
}

func (t *identityTable) compare(a, b tableOrder) int {
	if a.hash != b.hash {
		return cmp.Compare(a.hash, b.hash)
	}
	return t.entry(int(a.at)).compare(t.entry(int(b.at)))
}

// entry is the identity at a position as the entries of the index have it.
func (t *identityTable) entry(at int) indexEntry {
	ns, v := t.identity(at)
	return indexEntry{hash: t.keys[at].hash, namespace: ns, value: v}
}
