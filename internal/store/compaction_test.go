package store_test

import (
	"slices"
	"testing"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/store"
)

func file(path string) lakeward.DataFile { return lakeward.DataFile{Path: path, SHA256: "of " + path} }

// history makes six generations: p1, then an evaluation, p2, an evaluation, p3, a merge of p1 and p2 into m.
func history(t *testing.T, s *store.Store) {
	t.Helper()
	profile := func(name string) []lakeward.ProfileFile {
		return []lakeward.ProfileFile{{Table: file(name), Identities: file(name + "i"), Numbers: lakeward.Bitmap(name)}}
	}
	member := func(name string) []lakeward.Membership {
		return []lakeward.Membership{{Audience: "a", Table: file(name), EvaluatedAt: time.Now()}}
	}
	for base, c := range []lakeward.Change{
		{Kind: "ingest", Profiles: profile("p1")},
		{Kind: "evaluation", Memberships: member("a2")},
		{Kind: "ingest", Profiles: profile("p3")},
		{Kind: "evaluation", Memberships: member("a4")},
		{Kind: "evaluation", Memberships: member("a5")},
		{Kind: lakeward.CompactionChange, Profiles: profile("p6"), Replaced: []string{"p1", "p3"}, Place: 5},
		{Kind: "evaluation", Memberships: member("a7")},
	} {
		c.Base, c.NextNumber = int64(base), 10
		if _, err := s.Commit(t.Context(), "prod", c); err != nil {
			t.Fatal(err)
		}
	}
}

// DLV-114: what is needed stays, by whatever needs it, and everything else goes.
func TestForget(t *testing.T) {
	run := func(state string, owed, from, to int) string {
		fromText := "NULL"
		if from > 0 {
			fromText = string(rune('0' + from))
		}
		return `INSERT INTO run (id, sandbox, flow, item, slot, state, phase, attempt, rev, from_generation, to_generation, scheduled_at, created_at, counts, warnings, manifest, owed)
			VALUES ('r', 'prod', 'f', 'a', 's', '` + state + `', 'pinned', 1, 1, ` + fromText + `, ` + string(rune('0'+to)) + `, 0, 0, '{}', '{}', '', ` + string(rune('0'+owed)) + `)`
	}
	for _, test := range []struct {
		name string
		need string // a statement that makes somebody need something
		held []int64
		gone []string
	}{
		{name: "only the newest, and the evaluation before it", gone: []string{"a2", "a4", "p1", "p1i", "p3", "p3i"}},
		{name: "a pin", need: `INSERT INTO pin (run, sandbox, generation) VALUES ('r', 'prod', 2)`, gone: []string{"a4", "p3", "p3i"}},
		{name: "a pin of another sandbox", need: `INSERT INTO pin (run, sandbox, generation) VALUES ('r', 'dev', 2)`, gone: []string{"a2", "a4", "p1", "p1i", "p3", "p3i"}},
		{name: "an open run", need: run("retrying", 0, 2, 4), gone: nil},
		{name: "a closed run", need: run("failed", 0, 2, 4), gone: []string{"a2", "a4", "p1", "p1i", "p3", "p3i"}},
		{name: "a run that may have been committed", need: run("failed", 1, 0, 4), gone: []string{"a2", "p1", "p1i", "p3", "p3i"}},
		{name: "a run that is not pinned yet", need: run("queued", 0, 0, 0), gone: []string{"a2", "a4", "p1", "p1i", "p3", "p3i"}},
		{name: "a baseline", need: `INSERT INTO flow_item (sandbox, flow, item, baseline_generation) VALUES ('prod', 'f', 'a', 4)`, gone: []string{"a2", "p1", "p1i", "p3", "p3i"}},
		{name: "a reader", held: []int64{5}, gone: []string{"a2", "a4"}},
		{name: "a reader of the first generation", held: []int64{1}, gone: []string{"a2", "a4", "p3", "p3i"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := open(t, store.Memory, store.NewKEK())
			history(t, s)
			if test.need != "" {
				if err := s.Exec(t.Context(), test.need); err != nil {
					t.Fatal(err)
				}
			}
			files, err := s.Forget(t.Context(), "prod", test.held)
			if err != nil {
				t.Fatal(err)
			}
			var gone []string
			for _, f := range files {
				gone = append(gone, f.Path)
			}
			slices.Sort(gone)
			if !slices.Equal(gone, test.gone) {
				t.Errorf("Forget: %q, want %q", gone, test.gone)
			}
			named, err := s.Named(t.Context())
			if err != nil || len(named) != 10-len(gone) {
				t.Errorf("%d files are named, %d are gone, %v", len(named), len(gone), err)
			}
			if again, err := s.Forget(t.Context(), "prod", test.held); err != nil || len(again) > 0 {
				t.Errorf("Forget again: %v, %v", again, err)
			}
			reads(t, s, gone)
		})
	}
}

// reads checks that each generation is whole, or says what it lacks.
func reads(t *testing.T, s *store.Store, gone []string) {
	t.Helper()
	profiles := [][]string{1: {"p1"}, 2: {"p1"}, 3: {"p1", "p3"}, 4: {"p1", "p3"}, 5: {"p1", "p3"}, 6: {"p6"}, 7: {"p6"}}
	members := []string{2: "a2", 3: "a2", 4: "a4", 5: "a5", 6: "a5", 7: "a7"}
	for g := int64(1); g <= 7; g++ {
		snap, err := s.Snapshot(t.Context(), "prod", lakeward.FirstPolicy, g, nil)
		if slices.Contains(gone, members[g]) {
			if lakeward.CodeOf(err) != "DATA-1007" || lakeward.KindOf(err) != lakeward.NotFound {
				t.Errorf("Snapshot(%d): %v, want DATA-1007", g, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("Snapshot(%d): %v", g, err)
			continue
		}
		if wantGone := slices.ContainsFunc(profiles[g], func(p string) bool { return slices.Contains(gone, p) }); snap.ProfilesGone != wantGone {
			t.Errorf("Snapshot(%d): profiles gone %v, want %v", g, snap.ProfilesGone, wantGone)
		}
		var got []string
		for _, f := range snap.Profiles {
			got = append(got, f.Table.Path)
		}
		if !snap.ProfilesGone && !slices.Equal(got, profiles[g]) || snap.ProfilesGone && got != nil {
			t.Errorf("Snapshot(%d): profile files %q, want %q", g, got, profiles[g])
		}
		if members[g] != "" && (len(snap.Memberships) != 1 || snap.Memberships[0].Table.Path != members[g]) {
			t.Errorf("Snapshot(%d): memberships %+v, want %s", g, snap.Memberships, members[g])
		}
	}
}

// DLV-125: the chain of hashes is checked without the files, and each change of it is found.
func TestChainOutlivesTheFiles(t *testing.T) {
	for name, test := range map[string]struct {
		damage string
		want   int
	}{
		"nothing":                   {},
		"a hash":                    {`UPDATE generation SET hash = 'x' WHERE no = 3`, 2}, // and the next one, which was made from it
		"what a generation added":   {`UPDATE generation SET links = links || 'x' WHERE no = 6`, 1},
		"a generation is gone":      {`DELETE FROM generation WHERE no = 4`, 1},
		"one of an earlier program": {`UPDATE generation SET links = '' WHERE no = 4`, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, store.Memory, store.NewKEK())
			history(t, s)
			before, err := s.GenerationHash(t.Context(), "prod", 2)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Forget(t.Context(), "prod", nil); err != nil {
				t.Fatal(err)
			}
			if after, err := s.GenerationHash(t.Context(), "prod", 2); err != nil || after != before || len(after) != 64 {
				t.Errorf("the hash of a removed generation: %q, %v, want %q", after, err, before)
			}
			if test.damage != "" {
				if err := s.Exec(t.Context(), test.damage); err != nil {
					t.Fatal(err)
				}
			}
			if problems, err := s.CheckChain(t.Context(), "prod"); err != nil || len(problems) != test.want {
				t.Errorf("CheckChain: %v, %v, want %d problems", problems, err, test.want)
			}
		})
	}
	s := open(t, store.Memory, store.NewKEK())
	if _, err := s.GenerationHash(t.Context(), "prod", 1); lakeward.KindOf(err) != lakeward.NotFound {
		t.Errorf("GenerationHash of none: %v", err)
	}
}

// DLV-120: what was computed before a merge is committed after it; a merge itself needs the newest generation and
// files that are still there.
func TestCommitAroundACompaction(t *testing.T) {
	s := open(t, store.Memory, store.NewKEK())
	history(t, s) // the merge made generation 6
	commit := func(c lakeward.Change) string {
		c.NextNumber = 10
		_, err := s.Commit(t.Context(), "prod", c)
		return lakeward.CodeOf(err)
	}
	merge := lakeward.Change{Kind: lakeward.CompactionChange, Replaced: []string{"p6"}, Base: 7, Place: 7}
	for _, test := range []struct {
		name   string
		change lakeward.Change
		want   string
	}{
		{"a batch of before a merge and an evaluation", lakeward.Change{Kind: "ingest", Base: 5}, "DATA-1002"},
		{"a merge of an older generation", lakeward.Change{Kind: lakeward.CompactionChange, Replaced: []string{"p6"}, Base: 6}, "DATA-1002"},
		{"a merge of files that were merged", lakeward.Change{Kind: lakeward.CompactionChange, Replaced: []string{"p1"}, Base: 7}, "DATA-1002"},
		{"a merge", merge, ""},
		{"a batch of before it", lakeward.Change{Kind: "ingest", Base: 7}, ""},
		{"another one of before both", lakeward.Change{Kind: "ingest", Base: 7}, "DATA-1002"},
		{"a batch of a generation that is yet to come", lakeward.Change{Kind: "ingest", Base: 99}, "DATA-1002"},
	} {
		if got := commit(test.change); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}
