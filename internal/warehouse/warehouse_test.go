package warehouse_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"pgregory.net/rapid"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/store"
	"github.com/lakeward/lakeward/internal/vector"
	"github.com/lakeward/lakeward/internal/warehouse"
)

const sandbox = "prod"

type tester interface {
	Fatal(args ...any)
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
	Helper()
}

// home is a warehouse on a new folder, with the real catalog.
type home struct {
	*warehouse.Warehouse
	t     tester
	dir   string
	store *store.Store
	close func()
}

func newHome(t tester, dir string) *home {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(ctx(), store.Memory, store.NewKEK())
	if err != nil {
		t.Fatal(err)
	}
	return &home{warehouse.New(root, s), t, dir, s, func() { _ = s.Close(); _ = root.Close() }}
}

func schema() lakeward.Schema {
	return lakeward.Schema{Name: "s", Class: lakeward.RecordClass, Profile: true, Fields: []lakeward.Field{
		{Name: "id", Type: lakeward.TypeString, Identity: &lakeward.FieldIdentity{Namespace: "ECID", Primary: true}},
		{Name: "mail", Type: lakeward.TypeString, Identity: &lakeward.FieldIdentity{Namespace: "Email"}},
		{Name: "n", Type: lakeward.TypeLong}}}
}

// policy is that of a new sandbox.
func policy() warehouse.Policy {
	return warehouse.Policy{MergePolicy: lakeward.DefaultMergePolicy(sandbox), Union: schema().Leaves()}
}

// record is one row of an upload; a field may be empty.
type record struct {
	id, mail string
	n        int64
}

func (h *home) ingest(records []record) {
	h.t.Helper()
	b := h.batch()
	h.write(b, records)
	if _, err := b.Commit(ctx(), nil); err != nil {
		h.t.Fatal(err)
	}
}

func (h *home) batch() *warehouse.BatchWriter {
	h.t.Helper()
	b, err := h.NewBatch(ctx(), sandbox, lakeward.Batch{ID: lakeward.BatchID(lakeward.NewID()), DatasetID: "d", CreatedAt: time.Now().UTC()}, schema(), []warehouse.Policy{policy()})
	if err != nil {
		h.t.Fatal(err)
	}
	return b
}

func (h *home) write(b *warehouse.BatchWriter, records []record) {
	h.t.Helper()
	for chunk := range slices.Chunk(records, vector.MaxRows) {
		c := &vector.Chunk{Len: len(chunk), Columns: make([]vector.Vector, 3)}
		c.Columns[0].Reset(vector.String)
		c.Columns[1].Reset(vector.String)
		c.Columns[2].Reset(vector.Int)
		for _, r := range chunk {
			c.Columns[0].AppendString([]byte(r.id))
			if r.mail == "" {
				c.Columns[1].AppendNull()
			} else {
				c.Columns[1].AppendString([]byte(r.mail))
			}
			c.Columns[2].AppendInt(r.n)
		}
		if err := b.Write(ctx(), c); err != nil {
			h.t.Fatal(err)
		}
	}
}

// profiles reads the selected profiles as text, "number id mail n mails".
func (h *home) profiles(generation int64, selection *roaring.Bitmap) []string {
	h.t.Helper()
	snap, err := h.Snapshot(ctx(), sandbox, lakeward.FirstPolicy, generation)
	if err != nil {
		h.t.Fatal(err)
	}
	if selection == nil {
		selection = snap.All()
	}
	var out []string
	for p, err := range h.Scan(ctx(), snap, selection, schema().Leaves(), "Email") {
		if err != nil {
			h.t.Fatal(err)
		}
		for i, number := range p.Numbers {
			mail := "-"
			if !p.Columns[1].IsNull(i) {
				mail = string(p.Columns[1].Str(i))
			}
			var values []string
			for k := p.First[i]; k < p.First[i+1]; k++ {
				values = append(values, string(p.Values.Str(int(k))))
			}
			out = append(out, fmt.Sprintf("%d %s %s %d [%s]", number, p.Columns[0].Str(i), mail, p.Columns[2].Ints[i], strings.Join(values, " ")))
		}
	}
	return out
}

// The store of profiles equals a map that keeps the newest record of each id, at every generation, for
// random histories and selections.
func TestProfilesEqualAModel(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(base, "")
		if err != nil {
			t.Fatal(err)
		}
		h := newHome(t, dir)
		defer h.close()
		numbers := map[string]int{}
		newest := map[string]record{}
		var history [][]string
		for range rapid.IntRange(1, 5).Draw(t, "batches") {
			batch := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) record {
				return record{fmt.Sprint(rapid.IntRange(0, 30).Draw(t, "id")), rapid.SampledFrom([]string{"", "a@x", "b@x"}).Draw(t, "mail"), rapid.Int64Range(0, 9).Draw(t, "n")}
			}), 1, 20).Draw(t, "records")
			h.ingest(batch)
			for _, r := range batch {
				if _, ok := numbers[r.id]; !ok {
					numbers[r.id] = len(numbers)
				}
				newest[r.id] = r
			}
			history = append(history, model(numbers, newest))
		}
		for g, want := range history {
			if got := h.profiles(int64(g+1), nil); !slices.Equal(got, want) {
				t.Fatalf("generation %d: %q, want %q", g+1, got, want)
			}
		}
		last := history[len(history)-1]
		selection := roaring.New()
		var want []string
		for n, text := range last {
			if rapid.Bool().Draw(t, "selected") {
				selection.Add(uint32(n))
				want = append(want, text)
			}
		}
		if got := h.profiles(0, selection); !slices.Equal(got, want) {
			t.Fatalf("selection %v: %q, want %q", selection, got, want)
		}
	})
}

func model(numbers map[string]int, newest map[string]record) []string {
	out := make([]string, len(numbers))
	for id, n := range numbers {
		r := newest[id]
		mail, values := "-", ""
		if r.mail != "" {
			mail, values = r.mail, r.mail
		}
		out[n] = fmt.Sprintf("%d %s %s %d [%s]", n, id, mail, r.n, values)
	}
	return out
}

// A batch larger than one profile file, with upserts inside it.
func TestLargeBatch(t *testing.T) {
	h := newHome(t, t.TempDir())
	defer h.close()
	const n = 150_000
	records := make([]record, 0, n+1)
	for i := range n {
		records = append(records, record{fmt.Sprint(i), "", int64(i)})
	}
	h.ingest(append(records, record{"7", "late@x", 1}))
	got := h.profiles(0, roaring.BitmapOf(6, 7, 8, n-1))
	want := []string{"6 6 - 6 []", "7 7 late@x 1 [late@x]", "8 8 - 8 []", fmt.Sprintf("%d %d - %d []", n-1, n-1, n-1)}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// SEG-06, SEG-07: who stays keeps its time, who leaves or comes gets a new one.
func TestMembershipTimes(t *testing.T) {
	h := newHome(t, t.TempDir())
	defer h.close()
	h.ingest([]record{{"0", "", 0}, {"1", "", 0}, {"2", "", 0}, {"3", "", 0}})
	at := func(day int) time.Time { return time.Date(2025, 1, day, 0, 0, 0, 0, time.UTC) }
	save := func(day int, members ...uint32) {
		t.Helper()
		snap, err := h.Snapshot(ctx(), sandbox, lakeward.FirstPolicy, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.SaveMemberships(ctx(), snap, map[lakeward.AudienceID]*roaring.Bitmap{"a": roaring.BitmapOf(members...)}, at(day)); err != nil {
			t.Fatal(err)
		}
	}
	save(1, 0, 1, 2)
	save(2, 1, 2, 3)
	save(3, 0, 1, 2)
	snap, err := h.Snapshot(ctx(), sandbox, lakeward.FirstPolicy, 0)
	if err != nil {
		t.Fatal(err)
	}
	m := snap.Memberships["a"]
	if got := m.Members.ToArray(); !slices.Equal(got, []uint32{0, 1, 2}) || !slices.Equal(m.Exited.ToArray(), []uint32{3}) {
		t.Errorf("members %v, exited %v", got, m.Exited.ToArray())
	}
	q, err := h.OpenMembership(m)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	times, err := q.Times([]uint32{0, 1, 2, 3})
	if err != nil {
		t.Fatal(err)
	}
	for i, day := range []int{3, 1, 1, 3} {
		if times[i] != at(day).UnixMilli() {
			t.Errorf("profile %d qualified at %s, want day %d", i, time.UnixMilli(times[i]).UTC(), day)
		}
	}
	save(50, 0)
	snap, err = h.Snapshot(ctx(), sandbox, lakeward.FirstPolicy, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := snap.Memberships["a"].Exited.ToArray(); !slices.Equal(got, []uint32{1, 2}) {
		t.Errorf("exited %v; profile 3 left more than 30 days ago", got)
	}
}

// A stored file that is gone or cut fails the scan and is named.
func TestDamagedFileIsNamed(t *testing.T) {
	for name, damage := range map[string]func(string) error{
		"missing": os.Remove,
		"cut":     func(p string) error { return os.Truncate(p, 10) },
		"changed in place": func(p string) error {
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			b[len(b)/3] ^= 1
			return os.WriteFile(p, b, 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t, t.TempDir())
			defer h.close()
			h.ingest([]record{{"0", "a@x", 0}})
			files, err := filepath.Glob(filepath.Join(h.dir, "profiles", sandbox, "*.parquet"))
			if err != nil || len(files) != 3 {
				t.Fatalf("files %v, %v", files, err)
			}
			for _, f := range files {
				if err := damage(f); err != nil {
					t.Fatal(err)
				}
			}
			snap, err := h.Snapshot(ctx(), sandbox, lakeward.FirstPolicy, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, err := range h.Scan(ctx(), snap, snap.All(), schema().Leaves(), "") {
				if lakeward.CodeOf(err) != lakeward.FailSource || !strings.Contains(err.Error(), "profiles/prod/") {
					t.Errorf("Scan: %v", err)
				}
			}
		})
	}
}

// A batch that is discarded leaves no file and no generation.
func TestDiscardedBatchLeavesNothing(t *testing.T) {
	h := newHome(t, t.TempDir())
	defer h.close()
	b, err := h.NewBatch(ctx(), sandbox, lakeward.Batch{ID: "b", DatasetID: "d", CreatedAt: time.Now().UTC()}, schema(), []warehouse.Policy{policy()})
	if err != nil {
		t.Fatal(err)
	}
	b.Discard()
	found := map[string]bool{}
	err = filepath.WalkDir(h.dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found[path] = true
		}
		return err
	})
	if err != nil || len(found) > 0 {
		t.Errorf("left behind: %v, %v", slices.Collect(maps.Keys(found)), err)
	}
}

// What a killed process left behind is removed; what a row names stays.
func TestSweep(t *testing.T) {
	h := newHome(t, t.TempDir())
	defer h.close()
	h.ingest([]record{{"0", "a@x", 0}})
	stray := filepath.Join(h.dir, "profiles", sandbox, "stray.parquet")
	if err := os.WriteFile(stray, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	named, err := h.store.Named(ctx())
	if err != nil || len(named) != 4 {
		t.Fatalf("Named: %v, %v", named, err)
	}
	if n, err := h.Sweep(named); err != nil || n != 1 {
		t.Errorf("Sweep: %d, %v", n, err)
	}
	if _, err := os.Stat(stray); !os.IsNotExist(err) {
		t.Errorf("the stray file: %v", err)
	}
	if got := h.profiles(0, nil); !slices.Equal(got, []string{"0 0 a@x 0 [a@x]"}) {
		t.Errorf("profiles %q", got)
	}
}

// The identity index is a cache: one that is missing, damaged or of another state is made anew, and never finds a
// wrong profile.
func TestIndexIsMadeAnew(t *testing.T) {
	each := func(pattern string, change func(string) error) func(dir string) error {
		return func(dir string) error {
			files, err := filepath.Glob(filepath.Join(dir, "index", sandbox, "default", pattern))
			if err != nil || len(files) == 0 {
				return fmt.Errorf("no %s: %w", pattern, err)
			}
			for _, f := range files {
				if err := change(f); err != nil {
					return err
				}
			}
			return nil
		}
	}
	for name, damage := range map[string]func(dir string) error{
		"missing":            func(dir string) error { return os.RemoveAll(filepath.Join(dir, "index")) },
		"a run is missing":   each("*.run", os.Remove),
		"a run is cut":       each("*.run", func(f string) error { return os.Truncate(f, 50) }),
		"a run is empty":     each("*.run", func(f string) error { return os.Truncate(f, 0) }),
		"the manifest":       each("manifest.json", func(f string) error { return os.WriteFile(f, []byte("{"), 0o600) }),
		"a block is changed": each("*.run", func(f string) error { return flip(f, 30) }),
		"of another state": each("manifest.json", func(f string) error {
			b, err := os.ReadFile(f)
			if err != nil {
				return err
			}
			return os.WriteFile(f, []byte(strings.Replace(string(b), `"state":"`, `"state":"0`, 1)), 0o600)
		}),
	} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t, t.TempDir())
			defer h.close()
			h.ingest([]record{{"0", "a@x", 0}, {"1", "b@x", 1}})
			if err := damage(h.dir); err != nil {
				t.Fatal(err)
			}
			snap, err := h.Snapshot(ctx(), sandbox, lakeward.FirstPolicy, 0)
			if err != nil {
				t.Fatal(err)
			}
			number, _, ok, err := h.FindProfile(ctx(), snap, "ECID", "1", 0)
			if lakeward.CodeOf(err) == "DATA-1007" { // found while it was read; the next try is a new one
				number, _, ok, err = h.FindProfile(ctx(), snap, "ECID", "1", 0)
			}
			if err != nil || !ok || number != 1 {
				t.Fatalf("FindProfile: %d %v %v", number, ok, err)
			}
			h.ingest([]record{{"1", "c@x", 2}, {"2", "", 3}})
			if got, want := h.profiles(0, nil), []string{"0 0 a@x 0 [a@x]", "1 1 c@x 2 [c@x]", "2 2 - 3 []"}; !slices.Equal(got, want) {
				t.Errorf("profiles %q, want %q", got, want)
			}
		})
	}
}

// flip changes one byte of a file.
func flip(name string, at int) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	b[at] ^= 1
	return os.WriteFile(name, b, 0o600)
}

// The files of an index do not become many: small runs are merged, and what no manifest names is removed.
func TestIndexHasFewFiles(t *testing.T) {
	h := newHome(t, t.TempDir())
	defer h.close()
	for i := range 60 {
		h.ingest([]record{{fmt.Sprint(i), fmt.Sprintf("m%d@x", i), 0}, {fmt.Sprint(i / 2), "", 1}})
	}
	files, err := os.ReadDir(filepath.Join(h.dir, "index", sandbox, "default"))
	if err != nil || len(files) > 12 {
		t.Errorf("%d files after 60 batches, %v", len(files), err)
	}
	stray := filepath.Join(h.dir, "index", sandbox, "default", "stray.run")
	if err := os.WriteFile(stray, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	named, err := h.store.Named(ctx())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Sweep(named); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Join(h.dir, "index", sandbox, "default"))
	if err != nil || len(left) != len(files) {
		t.Errorf("%d files after the sweep, %d before the stray one, %v", len(left), len(files), err)
	}
}

// BenchmarkBatchOf5000 adds 5,000 records, new ones and known ones, to a store of 5 million profiles.
func BenchmarkBatchOf5000(b *testing.B) {
	const profiles, size = 5_000_000, 5_000
	h := newHome(b, b.TempDir())
	defer h.close()
	records := func(from, n, step int) (out []record) {
		for i := range n {
			id := from + i*step
			out = append(out, record{fmt.Sprintf("customer-%d", id), fmt.Sprintf("c%d@example.org", id), int64(i)})
		}
		return out
	}
	for from := 0; from < profiles; from += 1_000_000 {
		h.ingest(records(from, 1_000_000, 1))
	}
	next := profiles
	b.Run("new", func(b *testing.B) {
		for b.Loop() {
			h.ingest(records(next, size, 1))
			next += size
		}
	})
	b.Run("known", func(b *testing.B) {
		for b.Loop() {
			h.ingest(records(0, size, profiles/size))
		}
	})
}
