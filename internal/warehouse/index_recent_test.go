package warehouse

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// drawnKey is an identity under a hash of few bits, so that many share one.
func drawnKey(t *rapid.T) indexEntry {
	e := indexEntry{namespace: []byte(rapid.SampledFrom([]string{"A", "AB", "B"}).Draw(t, "ns")), value: []byte(rapid.SampledFrom([]string{"", "B", "x", "Bx"}).Draw(t, "value"))}
	e.hash = uint64(rapid.IntRange(0, 2).Draw(t, "hash"))*(1<<63+1) + 1<<62
	return e
}

// The table numbers identities as a map does, also those that share a hash, or whose texts end alike.
func TestIdentityTableEqualsAMap(t *testing.T) {
	var table identityTable
	rapid.Check(t, func(t *rapid.T) {
		table.reset()
		model := map[string]int{}
		name := func(e indexEntry) string { return fmt.Sprintf("%020d %q %q", e.hash, e.namespace, e.value) }
		for range rapid.IntRange(0, 40).Draw(t, "identities") {
			e := drawnKey(t)
			want, known := model[name(e)]
			if !known {
				want = -1
			}
			if got := table.find(e.hash, string(e.namespace), e.value); got != want {
				t.Fatalf("%s is at %d, want %d", name(e), got, want)
			}
			if !known {
				model[name(e)] = len(model)
				if got := table.add(e.hash, string(e.namespace), e.value); got != len(model)-1 {
					t.Fatalf("%s was put at %d, want %d", name(e), got, len(model)-1)
				}
			}
		}
		var order []string
		for _, o := range table.order() {
			order = append(order, name(table.entry(int(o.at))))
		}
		if want := slices.Sorted(maps.Keys(model)); !slices.Equal(order, want) { // the numbers of the hashes sort as their texts
			t.Fatalf("the order is %v, want %v", order, want)
		}
	})
}

// A table that grows, and is used again, finds all that it holds and nothing else.
func TestIdentityTableGrows(t *testing.T) {
	var table identityTable
	for round, n := range []uint64{3 * leastSlots, 10, 20 * leastSlots} {
		table.reset()
		value := func(i uint64) []byte { return fmt.Appendf(nil, "%d/%d", round, i) }
		for i := range n {
			table.add(i*i, "N", value(i))
		}
		for i := range n {
			if at := table.find(i*i, "N", value(i)); at != int(i) {
				t.Fatalf("round %d: %s is at %d", round, value(i), at)
			}
			if at := table.find(i*i, "N", fmt.Appendf(nil, "no %d", i)); at >= 0 {
				t.Fatalf("round %d: what is not there is at %d", round, at)
			}
		}
	}
}

// What is in no run yet is what was noted last of each profile, identity and kind, and comes out in order.
func TestRecentEqualsAMap(t *testing.T) {
	var r recent
	rapid.Check(t, func(t *rapid.T) {
		r.reset()
		model := map[string]indexEntry{}
		for range rapid.IntRange(0, 60).Draw(t, "entries") {
			e := drawnKey(t)
			e.kind, e.number = entryKind(rapid.IntRange(0, 2).Draw(t, "kind")), uint32(rapid.IntRange(0, 5).Draw(t, "number"))
			e.dead = rapid.Bool().Draw(t, "dead")
			r.put(&idValue{namespace: string(e.namespace), value: e.value, hash: e.hash}, e.kind, e.number, e.dead)
			model[fmt.Sprint(e.hash, e.namespace, e.value, e.kind, e.number)] = e
		}
		if r.size != len(model) {
			t.Fatalf("there are %d entries, want %d", r.size, len(model))
		}
		want := slices.SortedFunc(maps.Values(model), indexEntry.compare)
		var got []indexEntry
		if err := r.each(func(e indexEntry) error { got = append(got, e); return nil }); err != nil {
			t.Fatal(err)
		}
		if !slices.EqualFunc(got, want, func(a, b indexEntry) bool { return a.compare(b) == 0 && a.dead == b.dead }) {
			t.Fatalf("the entries are %v, want %v", got, want)
		}
		e := drawnKey(t)
		at := r.find(e.hash, string(e.namespace), e.value)
		for e.kind = range entryKinds {
			var live, dead []uint32
			for _, o := range want {
				switch {
				case !o.same(e):
				case o.dead:
					dead = append(dead, o.number)
				default:
					live = append(live, o.number)
				}
			}
			if l, d := r.of(at, e.kind); !slices.Equal(l, live) || !slices.Equal(d, dead) {
				t.Fatalf("kind %d: %v, not %v, want %v, not %v", e.kind, l, d, live, dead)
			}
		}
	})
}
