package warehouse_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"pgregory.net/rapid"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/store"
	"github.com/lakeward/lakeward/internal/warehouse"
)

// compact merges whatever is due and reports how many merges that took.
func (h *home) compact(all bool) int {
	h.t.Helper()
	for merges := 0; ; merges++ {
		c, err := h.Compaction(ctx(), sandbox, lakeward.FirstPolicy, all)
		if err != nil {
			h.t.Fatal(err)
		}
		if c == nil {
			return merges
		}
		if _, err := c.Run(ctx(), schema().Leaves(), time.Now().UTC()); err != nil {
			h.t.Fatal(err)
		}
	}
}

// remove removes what nothing needs.
func (h *home) remove() []lakeward.DataFile {
	h.t.Helper()
	runtime.GC() // the snapshots of before are out of reach
	files, err := h.Remove(ctx(), h.store, sandbox)
	if err != nil {
		h.t.Fatal(err)
	}
	return files
}

func (h *home) snapshot(generation int64) *warehouse.Snapshot {
	h.t.Helper()
	s, err := h.Snapshot(ctx(), sandbox, lakeward.FirstPolicy, generation)
	if err != nil {
		h.t.Fatal(err)
	}
	return s
}

// state is everything that a reader can learn from a snapshot, as text.
func (h *home) state(s *warehouse.Snapshot) string {
	h.t.Helper()
	var b strings.Builder
	for p, err := range h.Scan(ctx(), s, s.All(), schema().Leaves(), "Email") {
		if err != nil {
			h.t.Fatal(err)
		}
		for i, n := range p.Numbers {
			fmt.Fprintf(&b, "%d %s %s %v %d", n, p.Columns[0].Str(i), p.Columns[1].Str(i), p.Columns[1].IsNull(i), p.Columns[2].Ints[i])
			for k := p.First[i]; k < p.First[i+1]; k++ {
				fmt.Fprintf(&b, " %s", p.Values.Str(int(k)))
			}
			b.WriteByte('\n')
		}
	}
	ids, err := h.IdentitiesOf(ctx(), s)
	if err != nil {
		h.t.Fatal(err)
	}
	times, err := h.IdentityTimes(ctx(), s, s.All())
	if err != nil {
		h.t.Fatal(err)
	}
	fmt.Fprintln(&b, ids, times)
	index, err := h.IdentityIndex(ctx(), s)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, mail := range []string{"a@x", "b@x"} {
		n, found, err := index.Find("Email", []byte(mail), false)
		if err != nil {
			h.t.Fatal(err)
		}
		fmt.Fprintln(&b, mail, n, found)
	}
	index.Close()
	for _, a := range []lakeward.AudienceID{"a", "b"} {
		m, ok := s.Memberships[a]
		if !ok {
			continue
		}
		q, err := h.OpenMembership(m)
		if err != nil {
			h.t.Fatal(err)
		}
		qualified, err := q.Times(roaring.Or(m.Members, m.Exited).ToArray())
		if err != nil {
			h.t.Fatal(err)
		}
		fmt.Fprintln(&b, a, m.Members.ToArray(), m.Exited.ToArray(), qualified)
		q.Close()
	}
	return b.String()
}

// pin makes a run that needs a generation.
func (h *home) pin(generation int64) *lakeward.Run {
	h.t.Helper()
	at := time.Now().UTC()
	flow := lakeward.DataflowID(lakeward.NewID())
	_, err := h.store.QueueRun(ctx(), lakeward.Run{ID: lakeward.NewRunID(flow, "a", "manual:1"), Sandbox: sandbox, DataflowID: flow, Item: "a", Slot: "manual:1",
		State: lakeward.Queued, Phase: lakeward.PhaseNew, Attempt: 1, ScheduledAt: at, CreatedAt: at})
	if err != nil {
		h.t.Fatal(err)
	}
	r, err := h.store.ClaimRun(ctx(), at, flow)
	if err != nil || r == nil {
		h.t.Fatalf("ClaimRun: %v, %v", r, err)
	}
	if err := h.store.PinRun(ctx(), r, at, lakeward.Plan{}, generation, nil); err != nil {
		h.t.Fatal(err)
	}
	return r
}

func (h *home) unpin(r *lakeward.Run) {
	h.t.Helper()
	if err := h.store.CloseRun(ctx(), r, time.Now().UTC(), func(r *lakeward.Run) { r.State = lakeward.Failed }); err != nil {
		h.t.Fatal(err)
	}
}

// sound checks the files, bitmaps and hashes of the whole store.
func (h *home) sound() {
	h.t.Helper()
	named, err := h.store.Named(ctx())
	if err != nil {
		h.t.Fatal(err)
	}
	c, err := h.CheckFiles(ctx(), named, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := h.CheckSnapshot(ctx(), sandbox, lakeward.FirstPolicy, &c); err != nil {
		h.t.Fatal(err)
	}
	broken, err := h.store.CheckChain(ctx(), sandbox)
	if problems := append(c.Problems, broken...); err != nil || len(problems) > 0 {
		h.t.Fatalf("%v, %v", problems, err)
	}
}

// seen is a generation that somebody needs, and what it looked like.
type seen struct {
	run   *lakeward.Run       // nil if it is held
	snap  *warehouse.Snapshot // nil if it is pinned
	at    int64
	state string
}

// check reads the generation again.
func (s seen) check(h *home) {
	h.t.Helper()
	snap := s.snap
	if snap == nil {
		snap = h.snapshot(s.at)
	}
	if got := h.state(snap); got != s.state {
		h.t.Fatalf("generation %d reads\n%s\nwant\n%s", s.at, got, s.state)
	}
}

// DLV-114, DLV-124: random histories of batches and evaluations with merges and removals in between: no reader
// sees a difference, not at the newest generation, nor at one that a run pins or that somebody still reads.
func TestCompactionChangesNothing(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp(base, "")
		if err != nil {
			t.Fatal(err)
		}
		h := newHome(t, dir)
		defer h.close()
		h.SetSizes(rapid.Int64Range(1, 6).Draw(t, "base")*2, rapid.IntRange(2, 4).Draw(t, "small"), rapid.IntRange(2, 5).Draw(t, "inputs"), 2)
		numbers, newest := map[string]int{}, map[string]record{}
		var needed []seen
		unchanged := func(what string, fn func()) {
			next := h.snapshot(0).NextNumber
			before := h.state(h.snapshot(0))
			fn()
			if after := h.state(h.snapshot(0)); after != before || h.snapshot(0).NextNumber != next {
				t.Fatalf("%s: the newest generation reads\n%s\nwant\n%s", what, after, before)
			}
		}
		ingest := func() {
			batch := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) record {
				return record{fmt.Sprint(rapid.IntRange(0, 20).Draw(t, "id")), rapid.SampledFrom([]string{"", "a@x", "b@x"}).Draw(t, "mail"), rapid.Int64Range(0, 9).Draw(t, "n")}
			}), 1, 8).Draw(t, "records")
			h.ingest(batch)
			for _, r := range batch {
				if _, ok := numbers[r.id]; !ok {
					numbers[r.id] = len(numbers)
				}
				newest[r.id] = r
			}
		}
		for range rapid.IntRange(3, 14).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"ingest", "ingest", "ingest", "overtake", "evaluate", "compact", "compact", "remove", "need", "release"}).Draw(t, "step") {
			case "ingest":
				ingest()
			case "overtake": // a batch comes between the choice of a merge and its commit
				due, err := h.Compaction(ctx(), sandbox, lakeward.FirstPolicy, true)
				if err != nil {
					t.Fatal(err)
				}
				ingest()
				if due != nil {
					unchanged("overtaken merge", func() {
						if _, err := due.Run(ctx(), schema().Leaves(), time.Now().UTC()); err != nil {
							t.Fatal(err)
						}
					})
				}
			case "evaluate":
				members := roaring.New()
				for n := range numbers {
					if rapid.Bool().Draw(t, "member") {
						members.Add(uint32(numbers[n]))
					}
				}
				audience := rapid.SampledFrom([]lakeward.AudienceID{"a", "b"}).Draw(t, "audience")
				if _, err := h.SaveMemberships(ctx(), h.snapshot(0), map[lakeward.AudienceID]*roaring.Bitmap{audience: members}, time.Now().UTC()); err != nil {
					t.Fatal(err)
				}
			case "compact":
				all := rapid.Bool().Draw(t, "all")
				unchanged("compact", func() { h.compact(all) })
			case "remove":
				unchanged("remove", func() { h.remove() })
			case "need":
				s := seen{snap: h.snapshot(0)}
				s.at, s.state = s.snap.Generation, h.state(s.snap)
				if s.at > 0 && rapid.Bool().Draw(t, "pinned") {
					s.run, s.snap = h.pin(s.at), nil
				}
				needed = append(needed, s)
			case "release":
				if len(needed) > 0 {
					if r := needed[0].run; r != nil {
						h.unpin(r)
					}
					needed = needed[1:]
				}
			}
			for _, s := range needed {
				s.check(h)
			}
		}
		h.sound()
		if got, want := h.profiles(0, nil), model(numbers, newest); !slices.Equal(got, want) {
			t.Fatalf("profiles %q, want %q", got, want)
		}
	})
}

// files lists the profile files on the disk.
func (h *home) files() []string {
	h.t.Helper()
	var out []string
	err := filepath.WalkDir(filepath.Join(h.dir, "profiles"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

// A merge is cut into files of equal size, none too large, and all small files become one.
func TestCompactedFilesHaveABound(t *testing.T) {
	h := newHome(t, t.TempDir())
	defer h.close()
	h.SetSizes(10_000, 20, 32, 100)
	for k := range 6 {
		records := make([]record, 4001)
		for i := range records {
			records[i] = record{fmt.Sprint(k*4001 + i), "", int64(k)}
		}
		h.ingest(records)
	}
	want := h.state(h.snapshot(0))
	h.compact(true)
	s := h.snapshot(0)
	if len(s.Profiles) != 3 {
		t.Errorf("%d files", len(s.Profiles))
	}
	for _, f := range s.Profiles {
		if f.Table.Rows != 8002 {
			t.Errorf("a file has %d rows", f.Table.Rows)
		}
	}
	if h.state(s) != want {
		t.Error("the profiles changed")
	}
	if n := h.compact(true); n != 0 {
		t.Errorf("%d more merges are due", n)
	}
}

// A batch that began before a merge, and evaluations, are committed after it as if nothing had happened; and a merge
// that was overtaken by a batch leaves what is newer on top.
func TestCompactionAndWritersDoNotMeet(t *testing.T) {
	h := newHome(t, t.TempDir())
	defer h.close()
	h.ingest([]record{{"0", "a@x", 0}, {"1", "", 0}})
	h.ingest([]record{{"1", "", 1}, {"2", "", 1}})
	slow := h.batch()
	h.write(slow, []record{{"2", "b@x", 2}, {"3", "", 2}})
	evaluated := h.snapshot(0)
	h.compact(true)
	if _, err := slow.Commit(ctx(), nil); err != nil {
		t.Fatalf("a batch that began before the merge: %v", err)
	}
	if got, want := h.profiles(0, nil), []string{"0 0 a@x 0 [a@x]", "1 1 - 1 []", "2 2 b@x 2 [b@x]", "3 3 - 2 []"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if _, err := h.SaveMemberships(ctx(), evaluated, map[lakeward.AudienceID]*roaring.Bitmap{"a": roaring.BitmapOf(0)}, time.Now()); lakeward.CodeOf(err) != "DATA-1002" {
		t.Errorf("an evaluation of before the batch: %v, want DATA-1002", err)
	}
	evaluated = h.snapshot(0)
	late, err := h.Compaction(ctx(), sandbox, lakeward.FirstPolicy, true)
	if err != nil || late == nil {
		t.Fatalf("Compaction: %v, %v", late, err)
	}
	void, err := h.Compaction(ctx(), sandbox, lakeward.FirstPolicy, true)
	if err != nil {
		t.Fatal(err)
	}
	h.compact(false)
	if _, err := h.SaveMemberships(ctx(), evaluated, map[lakeward.AudienceID]*roaring.Bitmap{"a": roaring.BitmapOf(0)}, time.Now()); err != nil {
		t.Fatal(err)
	}
	h.ingest([]record{{"0", "", 9}, {"4", "", 9}})
	if _, err := late.Run(ctx(), schema().Leaves(), time.Now()); err != nil {
		t.Fatalf("a merge that a batch overtook: %v", err)
	}
	want := []string{"0 0 - 9 []", "1 1 - 1 []", "2 2 b@x 2 [b@x]", "3 3 - 2 []", "4 4 - 9 []"}
	if got := h.profiles(0, nil); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	before := h.files()
	if _, err := void.Run(ctx(), schema().Leaves(), time.Now()); lakeward.CodeOf(err) != "DATA-1002" {
		t.Errorf("a merge of files that were merged meanwhile: %v, want DATA-1002", err)
	}
	if after := h.files(); !slices.Equal(after, before) {
		t.Errorf("the void merge left %d files behind", len(after)-len(before))
	}
	h.ingest([]record{{"5", "", 5}})
	if got := h.profiles(0, nil); !slices.Equal(got, append(want, "5 5 - 5 []")) {
		t.Errorf("%q: a number was given twice", got)
	}
	h.sound()
}

// A merge never drops a column that it was not told of.
func TestCompactionKeepsEveryColumn(t *testing.T) {
	h := newHome(t, t.TempDir())
	defer h.close()
	h.ingest([]record{{"0", "a@x", 0}})
	h.ingest([]record{{"1", "a@x", 0}})
	c, err := h.Compaction(ctx(), sandbox, lakeward.FirstPolicy, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Run(ctx(), schema().Leaves()[:2], time.Now()); err == nil || !strings.Contains(err.Error(), "column n") {
		t.Errorf("Run without a field: %v", err)
	}
	if n := len(h.files()); n != 6 {
		t.Errorf("%d files", n)
	}
}

// brokenCatalog reports an error instead of a commit, or after one.
type brokenCatalog struct {
	*store.Store
	made bool
}

func (c brokenCatalog) Commit(ctx context.Context, sandbox string, change lakeward.Change) (int64, error) {
	if c.made {
		if _, err := c.Store.Commit(ctx, sandbox, change); err != nil {
			return 0, err
		}
	}
	return 0, errors.New("the disk went away")
}

// A merge whose commit reports an error leaves nothing behind, and never removes files that were made current.
func TestCompactionWithABrokenCommit(t *testing.T) {
	for _, made := range []bool{false, true} {
		h := newHome(t, t.TempDir())
		defer h.close()
		h.ingest([]record{{"0", "a@x", 0}})
		h.ingest([]record{{"1", "a@x", 0}})
		root, err := os.OpenRoot(h.dir)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		c, err := warehouse.New(root, brokenCatalog{h.store, made}).Compaction(ctx(), sandbox, lakeward.FirstPolicy, true)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Run(ctx(), schema().Leaves(), time.Now()); err == nil {
			t.Error("Run says nothing of the error")
		}
		if n := len(h.snapshot(0).Profiles); made != (n == 1) {
			t.Errorf("made %v: %d files", made, n)
		}
		h.sound()
	}
}

// BenchmarkCompact merges twenty deltas of 5,000 profiles into a base of 200,000.
func BenchmarkCompact(b *testing.B) {
	rnd := rand.New(rand.NewPCG(3, 4))
	profiles := int64(0)
	for b.Loop() {
		b.StopTimer()
		h := newHome(b, b.TempDir())
		load := func(ids []int) {
			records := make([]record, len(ids))
			for i, id := range ids {
				records[i] = record{fmt.Sprint(id), fmt.Sprintf("%d@example.com", id), int64(i)}
			}
			h.ingest(records)
		}
		load(rnd.Perm(200_000))
		for range 20 {
			load(rnd.Perm(200_000)[:5000])
		}
		c, err := h.Compaction(ctx(), sandbox, lakeward.FirstPolicy, true)
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		done, err := c.Run(ctx(), schema().Leaves(), time.Now())
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		profiles += done.Profiles
		h.close()
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(profiles), "µs/profile")
}
