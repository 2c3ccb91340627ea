package engine

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"math"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
)

// attributeKey joins the values of one or two columns; a null component means that the profile is
// never collapsed with another (DED-08).
func attributeKey(x *sources, columns []int, i int) ([]byte, bool) {
	var key []byte
	for _, c := range columns {
		v := &x.values[c]
		if v.IsNull(i) {
			return nil, false
		}
		part := sortable(nil, v, i)
		key = append(binary.AppendUvarint(key, uint64(len(part))), part...)
	}
	return key, true
}

// candidate is a profile that shares a key with another one.
type candidate struct {
	number uint32
	left   bool   // it is written as exited
	at     int64  // reference time: last change of its membership or of its identities (DED-04)
	values []byte // of the other columns, so that bytes compare as values do
	keys   []keyHash
}

// size is about what a candidate takes in memory.
func (c candidate) size() int { return len(c.values) + 16*len(c.keys) + 128 }

// deduplicate keeps, of profiles that share a key, the one with the latest reference time, then the
// one with the smallest values, then the smallest number (DED-04 to DED-08, D11). A profile that shares
// any key with a winner goes, with all its rows (DED-06). A member wins over a profile that left: the key is still there.
// Profiles that no chain of keys connects do not meet, so many of them are compared in shares.
func (e *Engine) deduplicate(ctx context.Context, s *selection, keys *keySet) error {
	if keys.shared.IsEmpty() {
		return nil
	}
	for at := (keyShare{of: 1}); at.index < at.of; at.index++ {
		list, err := e.candidates(ctx, s, keys, &at)
		if err != nil {
			return err
		}
		if _, err := e.winners(ctx, s, list); err != nil {
			return err
		}
	}
	return nil
}

// winners leaves the others of a list out of the selection.
func (e *Engine) winners(ctx context.Context, s *selection, list []candidate) ([]candidate, error) {
	if err := e.identityTimes(ctx, s, list); err != nil {
		return nil, err
	}
	slices.SortFunc(list, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(boolInt(a.left), boolInt(b.left)), cmp.Compare(b.at, a.at), bytes.Compare(a.values, b.values), cmp.Compare(a.number, b.number))
	})
	taken := map[keyHash]bool{}
	return slices.DeleteFunc(list, func(c candidate) bool {
		if slices.ContainsFunc(c.keys, func(k keyHash) bool { return taken[k] }) {
			s.numbers.Remove(c.number)
			s.counts.Deduplicated++
			return true
		}
		for _, k := range c.keys {
			taken[k] = true
		}
		return false
	}), nil
}

// candidates reads those of a share. The first share becomes smaller when they take too much memory.
func (e *Engine) candidates(ctx context.Context, s *selection, keys *keySet, at *keyShare) ([]candidate, error) {
	qualified, err := e.warehouse.OpenMembership(s.membership)
	if err != nil {
		return nil, err
	}
	defer qualified.Close()
	keyed, values := s.marked(func(c lakeward.Column) bool { return c.Key }), s.sources(func(lakeward.Column) bool { return true })
	var list []candidate
	size, limit := 0, e.dedup.bytes
	open := roaring.And(keys.shared, s.numbers) // others have lost already
	for p, err := range e.warehouse.Scan(ctx, s.snap, open, s.fields, s.namespace) {
		if err != nil {
			return nil, err
		}
		times, err := s.times(qualified, p.Numbers)
		if err != nil {
			return nil, err
		}
		values.begin(p)
		for i, number := range p.Numbers {
			c := candidate{number: number, left: s.left(number), at: times[i]}
			s.eachKey(values, keyed, p, i, func(key []byte) { c.keys = append(c.keys, keys.hash(key)) })
			if !at.holds(keys.group(c)) {
				continue
			}
			c.values = s.others(values, i, times[i])
			list, size = append(list, c), size+c.size()
		}
		if size > limit && keys.chains == nil {
			// With one key each, who has lost to one has lost to all: few keys of many profiles need no more than the winners so far.
			if list, err = e.winners(ctx, s, list); err != nil {
				return nil, err
			}
			list, size = kept(list, func(candidate) bool { return true })
			limit = e.dedup.bytes + size/2 // so that much comes before they are compared again
		}
		for size > e.dedup.bytes && at.halve() {
			list, size = kept(list, func(c candidate) bool { return at.holds(keys.group(c)) })
		}
	}
	return list, nil
}

// kept are the candidates that are held, and their size.
func kept(list []candidate, holds func(c candidate) bool) ([]candidate, int) {
	list = slices.DeleteFunc(list, func(c candidate) bool { return !holds(c) })
	size := 0
	for _, c := range list {
		size += c.size()
	}
	return list, size
}

// identityTimes moves the reference times of candidates to the last change of their identities, where that is later.
func (e *Engine) identityTimes(ctx context.Context, s *selection, list []candidate) error {
	numbers := roaring.New()
	for _, c := range list {
		numbers.Add(c.number)
	}
	changed, err := e.warehouse.IdentityTimes(ctx, s.snap, numbers)
	if err != nil {
		return err
	}
	for i := range list {
		if t, ok := changed[list[i].number]; ok {
			list[i].at = max(list[i].at, t.UnixMilli())
		}
	}
	return nil
}

// others are the values that decide a tie: those of the columns that are no key, single ones only, in the order of the mapping
// (DED-05, DED-07).
func (s *selection) others(values *sources, i int, qualified int64) (b []byte) {
	for k, c := range s.columns {
		switch {
		case c.Key || !c.Type.Scalar():
		case c.Kind == lakeward.AttributeSource, c.Kind == lakeward.CalculatedSource:
			b = sortable(b, &values.values[k], i)
		case c.Kind == lakeward.QualifiedSource:
			b = binary.BigEndian.AppendUint64(b, uint64(qualified)^1<<63)
		}
	}
	return b
}

// sortable appends a value so that bytes compare as the values do: nulls first, strings by code point (DED-07).
func sortable(b []byte, v *vector.Vector, i int) []byte {
	if v.IsNull(i) {
		return append(b, 0)
	}
	b = append(b, 1)
	switch v.Kind {
	case vector.String: // ended by 0, which no string holds
		return append(append(b, v.Str(i)...), 0)
	case vector.Bool:
		if v.Bools.Get(i) {
			return append(b, 1)
		}
		return append(b, 0)
	case vector.Float:
		bits := math.Float64bits(v.Floats[i])
		if bits>>63 != 0 {
			return binary.BigEndian.AppendUint64(b, ^bits)
		}
		return binary.BigEndian.AppendUint64(b, bits|1<<63)
	}
	return binary.BigEndian.AppendUint64(b, uint64(v.Ints[i])^1<<63)
}
