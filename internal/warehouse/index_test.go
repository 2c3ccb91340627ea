package warehouse

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func testIndex(t testing.TB, dir string) *IdentityIndex {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = root.Close() })
	return (&indexDir{root: root, path: "index", mu: new(sync.Mutex)}).empty()
}

// modelIndex holds the identities of all profiles and answers by looking at every one.
type modelIndex map[uint32][]identity

func kindOf(ids []identity, namespace, value string) (entryKind, bool) {
	for _, e := range entriesOf(ids) {
		if e.key == (identityKey{namespace, value}) {
			return e.kind, true
		}
	}
	return 0, false
}

func (m modelIndex) find(namespace, value string, kinds ...entryKind) (number uint32, ok bool) {
	for _, n := range m.with(namespace, value) {
		kind, _ := kindOf(m[n], namespace, value)
		if slices.Contains(kinds, kind) && (!ok || n < number) {
			number, ok = n, true
		}
	}
	return number, ok
}

func (m modelIndex) with(namespace, value string) (out []uint32) {
	for n, ids := range m {
		if _, ok := kindOf(ids, namespace, value); ok {
			out = append(out, n)
		}
	}
	slices.Sort(out)
	return out
}

// The index answers as a look at all profiles does, after random changes, runs and merges, and when it is opened again.
func TestIndexEqualsAModel(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	rapid.Check(t, func(r *rapid.T) {
		dir, err := os.MkdirTemp(base, "")
		if err != nil {
			r.Fatal(err)
		}
		x, model := testIndex(t, dir), modelIndex{}
		defer func() { x.Close() }()
		ids := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) identity {
			return identity{rapid.SampledFrom([]string{"A", "B"}).Draw(t, "ns"), rapid.SampledFrom([]string{"", "x", "y", "zz"}).Draw(t, "value"), rapid.Bool().Draw(t, "primary"), ""}
		}), 0, 4)
		for step := range rapid.IntRange(1, 60).Draw(r, "steps") {
			for range rapid.IntRange(1, 20).Draw(r, "changes") {
				n := uint32(rapid.IntRange(0, 300).Draw(r, "number"))
				now := ids.Draw(r, "ids")
				if err := x.change(n, model[n], now); err != nil {
					r.Fatal(err)
				}
				model[n] = now
			}
			spill := []func() error{func() error { return nil }, x.spill, func() error { return x.makeRoom(1) }}
			if err := rapid.SampledFrom(spill).Draw(r, "spill")(); err != nil {
				r.Fatal(err)
			}
			if rapid.IntRange(0, 9).Draw(r, "again") == 0 {
				state := fmt.Sprint(step + 1)
				if err := x.publish(state); err != nil {
					r.Fatal(err)
				}
				dir := x.dir
				x.Close()
				if x, err = dir.open(state); err != nil {
					r.Fatal(err)
				}
			}
		}
		compareIndex(r, x, model)
	})
}

func compareIndex(t *rapid.T, x *IdentityIndex, model modelIndex) {
	for _, ns := range []string{"A", "B", "C"} {
		for _, v := range []string{"", "x", "y", "zz", "unknown"} {
			want, known := model.find(ns, v, primaryEntry)
			if !known {
				want, known = model.find(ns, v, freeEntry)
			}
			if got, ok, err := x.Find(ns, []byte(v), true); err != nil || ok != known || got != want {
				t.Fatalf("a record under %s %q: %d %v %v, want %d %v", ns, v, got, ok, err, want, known)
			}
			if want, known = model.find(ns, v, primaryEntry); !known {
				want, known = model.find(ns, v, freeEntry, keyedEntry)
			}
			if got, ok, err := x.Find(ns, []byte(v), false); err != nil || ok != known || got != want {
				t.Fatalf("an event of %s %q: %d %v %v, want %d %v", ns, v, got, ok, err, want, known)
			}
			want, known = model.find(ns, v, primaryEntry, freeEntry, keyedEntry)
			if got, ok, err := x.any(idValue{namespace: ns, value: []byte(v)}); err != nil || ok != known || got != want {
				t.Fatalf("any of %s %q: %d %v %v, want %d %v", ns, v, got, ok, err, want, known)
			}
			all := model.with(ns, v)
			if got, err := x.with(idValue{namespace: ns, value: []byte(v)}, 1000); err != nil || !slices.Equal(got, all) {
				t.Fatalf("all of %s %q: %v %v, want %v", ns, v, got, err, all)
			}
			for n := range uint32(301) {
				if got, err := x.has(idValue{namespace: ns, value: []byte(v)}, n); err != nil || got != slices.Contains(all, n) {
					t.Fatalf("%d has %s %q: %v %v", n, ns, v, got, err)
				}
			}
		}
	}
}

// Equal hashes prove nothing: identities that share one are told apart by what they are, over the borders of blocks too.
func TestEqualHashesAreToldApart(t *testing.T) {
	var entries []indexEntry
	for i := range uint32(5 * blockEntries) {
		entries = append(entries, indexEntry{hash: 7, namespace: []byte("N"), value: fmt.Appendf(nil, "%04d", i/3), kind: entryKind(i % 3), number: i})
	}
	x := testIndex(t, t.TempDir())
	run, err := x.dir.write(func(w *runWriter) error {
		for _, e := range entries {
			if err := w.add(e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer run.close()
	for i, want := range entries {
		c, err := run.seek(want)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := c.entry(); !ok || got.compare(want) != 0 {
			t.Fatalf("entry %d: got %+v", i, got)
		}
	}
	if c, err := run.seek(indexEntry{hash: 8}); err != nil {
		t.Fatal(err)
	} else if e, ok := c.entry(); ok {
		t.Errorf("behind the last entry stands %+v", e)
	}
}

// A search finds what sort.Search does, wherever it begins.
func TestSearchFrom(t *testing.T) {
	for n := range 40 {
		for want := range n + 1 {
			for guess := -1; guess <= n+1; guess++ {
				if got := searchFrom(guess, n, func(i int) bool { return i >= want }); got != want {
					t.Fatalf("the first of %d from %d on is %d, want %d", n, guess, got, want)
				}
			}
		}
	}
}

// A run that cannot be written beside the caller is an error of the next one who looks for an identity.
func TestErrorOfARunBeside(t *testing.T) {
	x := testIndex(t, t.TempDir())
	defer x.Close()
	if err := x.dir.root.Close(); err != nil {
		t.Fatal(err)
	}
	id := idValue{namespace: "N", value: []byte("v")}
	for name, look := range map[string]func() error{
		"lookup":  func() error { _, _, err := x.find(id, true); return err },
		"with":    func() error { _, err := x.with(id, 1); return err },
		"has":     func() error { _, err := x.has(id, 1); return err },
		"named":   func() error { _, err := x.named([32]byte{}); return err },
		"publish": func() error { return x.publish("s") },
		"room":    func() error { return x.change(2, nil, []identity{{"N", "w", true, ""}}) },
	} {
		if err := x.change(1, nil, []identity{{"N", "v", true, ""}}); err != nil {
			t.Fatal(err)
		}
		if err := x.makeRoom(1); err != nil {
			t.Fatal(err)
		}
		err := look()
		if name == "room" && err == nil {
			err = x.makeRoom(1)
		}
		if !errors.Is(err, fs.ErrClosed) {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
}

// A file that is not what was written is found when it is read, whichever byte it is.
func TestDamagedRunIsFound(t *testing.T) {
	dir := t.TempDir()
	x := testIndex(t, dir)
	defer x.Close()
	for n := range uint32(300) {
		if err := x.change(n, nil, []identity{{"N", fmt.Sprint(n), true, ""}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := x.publish("s"); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "index", "*.run"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v, %v", files, err)
	}
	whole, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(whole); at += 13 {
		b := bytes.Clone(whole)
		b[at] ^= 0x40
		if err := os.WriteFile(files[0], b, 0o600); err != nil {
			t.Fatal(err)
		}
		damaged := false
		y, err := x.dir.open("s")
		if err == nil {
			for n := range 300 {
				if _, _, err = y.Find("N", fmt.Append(nil, n), true); err != nil {
					damaged = true
				}
			}
			y.Close()
		} else {
			damaged = errors.Is(err, errIndexDamaged)
		}
		if !damaged && at < len(whole)-8-8-8 { // the number of entries is for people
			t.Fatalf("byte %d of %d changed and nobody saw it", at, len(whole))
		}
	}
}

func benchIndex(b *testing.B, profiles int) *IdentityIndex {
	x := testIndex(b, b.TempDir())
	fillBench(b, x, 0, profiles)
	return x
}

func fillBench(b *testing.B, x *IdentityIndex, from, to int) {
	for n := from; n < to; n++ {
		if err := x.change(uint32(n), nil, []identity{{"CRM", fmt.Sprintf("customer-%d", n), true, ""}, {"Email", fmt.Sprintf("c%d@example.org", n), false, ""}}); err != nil {
			b.Fatal(err)
		}
	}
	if err := x.publish(fmt.Sprint(to)); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkIndexBuild builds the index of a million profiles with two identities each.
func BenchmarkIndexBuild(b *testing.B) {
	for b.Loop() {
		benchIndex(b, 1_000_000).Close()
	}
}

// BenchmarkIndexFind looks up identities among 10 million.
func BenchmarkIndexFind(b *testing.B) {
	const profiles = 5_000_000
	x := benchIndex(b, profiles)
	defer x.Close()
	b.Run("hit", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if _, ok, err := x.Find("CRM", fmt.Appendf(nil, "customer-%d", i*7919%profiles), true); !ok || err != nil {
				b.Fatal(ok, err)
			}
		}
	})
	b.Run("miss", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if _, ok, err := x.Find("CRM", fmt.Appendf(nil, "nobody-%d", i), true); ok || err != nil {
				b.Fatal(ok, err)
			}
		}
	})
	b.Run("open and hit", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			y, err := x.dir.open(fmt.Sprint(profiles))
			if err != nil {
				b.Fatal(err)
			}
			if _, ok, err := y.Find("CRM", fmt.Appendf(nil, "customer-%d", i*7919%profiles), true); !ok || err != nil {
				b.Fatal(ok, err)
			}
			y.Close()
		}
	})
	next := profiles
	b.Run("batch of 5000", func(b *testing.B) {
		for b.Loop() {
			fillBench(b, x, next, next+5000)
			next += 5000
		}
	})
}
