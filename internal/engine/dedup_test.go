package engine_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	godiff "github.com/google/go-cmp/cmp"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/lake/emulator"
	"github.com/lakeward/lakeward/internal/lake/emulator/emulatortest"
)

// sharer is a row of people: who shares a key with somebody may lose.
type sharer struct {
	mails []string
	name  string
	age   int
}

// keepers are the rows that deduplication keeps: the smallest name, then the smallest age, then who came first, unless
// a key is taken (DED-05 to DED-08).
func keepers(people []sharer, keys func(p sharer) []string) []sharer {
	order := make([]int, len(people))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(people[a].name, people[b].name), cmp.Compare(people[a].age, people[b].age), cmp.Compare(a, b))
	})
	taken, kept := map[string]bool{}, make([]bool, len(people))
	for _, i := range order {
		if slices.ContainsFunc(keys(people[i]), func(k string) bool { return taken[k] }) {
			continue
		}
		kept[i] = true
		for _, k := range keys(people[i]) {
			taken[k] = true
		}
	}
	var out []sharer
	for i, p := range people {
		if kept[i] {
			out = append(out, p)
		}
	}
	return out
}

// DED-01 to DED-08: the winners are those of the rule, and the same when only few keys and few candidates are held in
// memory at once.
func TestDeduplicationInShares(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(5, 6))
	var people []sharer
	var rows []string
	for i := range 500 {
		p := sharer{mails: []string{fmt.Sprintf("m%d@x", rnd.IntN(260))}, name: fmt.Sprintf("N%d", rnd.IntN(20)), age: rnd.IntN(30)}
		second := ""
		if rnd.IntN(3) == 0 {
			second = fmt.Sprintf("s%d@x", rnd.IntN(100))
			p.mails = append(p.mails, second)
		}
		people, rows = append(people, p), append(rows, fmt.Sprintf("%d,%s,%s,%s,%d", i, p.mails[0], second, p.name, p.age))
	}
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.people(rows...)
	w.audience("all", "age >= 0")
	for _, test := range []struct {
		name    string
		mapping []lakeward.Mapping
		keys    func(p sharer) []string
		row     func(p sharer) []string
	}{
		{"several values of a namespace", []lakeward.Mapping{named("identityMap.Email", "mail"), named("name", "name"), named("age", "age")},
			func(p sharer) []string { return p.mails },
			func(p sharer) (out []string) {
				for _, m := range p.mails {
					out = append(out, fmt.Sprint(m, " ", p.name, " ", p.age))
				}
				return out
			}},
		{"an attribute", []lakeward.Mapping{{Source: "name", Target: "name", Key: true}, named("age", "age")},
			func(p sharer) []string { return []string{p.name} },
			func(p sharer) []string { return []string{fmt.Sprint(p.name, " ", p.age)} }},
		{"a calculated field that is the same for many", []lakeward.Mapping{{Source: "substr(name, 0, 2)", SourceType: lakeward.ExpressionSource, Target: "same", Key: true}, named("name", "name"), named("age", "age")},
			func(p sharer) []string { return []string{p.name[:2]} },
			func(p sharer) []string { return []string{fmt.Sprint(p.name[:2], " ", p.name, " ", p.age)} }},
	} {
		flow := w.flow(lakeward.Destination{Name: test.name, Folder: strings.ReplaceAll(test.name, " ", "_")}, "all", daily(), test.mapping...)
		kept := keepers(people, test.keys)
		var want []string
		for _, p := range kept {
			want = append(want, test.row(p)...)
		}
		for _, limit := range []struct{ keys, bytes int }{{1 << 20, 1 << 20}, {1 << 20, 3000}, {20, 1 << 20}, {20, 3000}} {
			t.Run(fmt.Sprintf("%s, %d keys, %d bytes", test.name, limit.keys, limit.bytes), func(t *testing.T) {
				w.LimitDedup(limit.keys, limit.bytes)
				r := w.export(flow)
				succeeded(t, r)
				var got []string
				for _, row := range w.rows(r)[1:] {
					got = append(got, strings.Join(row, " "))
				}
				if diff := godiff.Diff(want, got); diff != "" {
					t.Errorf("rows (-want +got):\n%s", diff)
				}
				if r.Counts.Deduplicated != int64(len(people)-len(kept)) {
					t.Errorf("%d were left out, want %d", r.Counts.Deduplicated, len(people)-len(kept))
				}
			})
		}
	}
}
