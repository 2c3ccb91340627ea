package warehouse_test

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
)

// DLV-124: who reads a generation without a pin loses no file while others write, merge and remove.
func TestReadersKeepTheirFiles(t *testing.T) {
	h := newHome(t, t.TempDir())
	defer h.close()
	h.SetSizes(20, 3, 8, 5)
	h.ingest([]record{{"0", "a@x", 0}, {"1", "", 0}})
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				s := h.snapshot(0)
				first := h.state(s)
				time.Sleep(time.Millisecond)
				if again := h.state(s); again != first {
					t.Errorf("generation %d read %q, then %q", s.Generation, first, again)
				}
			}
		})
	}
	removed := 0
	for i := range 40 {
		h.ingest([]record{{fmt.Sprint(i % 7), "b@x", int64(i)}, {fmt.Sprint(i), "", int64(i)}})
		h.compact(i%5 == 0)
		removed += len(h.remove())
	}
	close(stop)
	readers.Wait()
	removed += len(h.remove())
	if s := h.snapshot(0); len(h.files()) != 3*len(s.Profiles) {
		t.Errorf("%d files lie there, %d are of the newest generation", len(h.files()), 3*len(s.Profiles))
	}
	if removed == 0 {
		t.Error("nothing was removed")
	}
	h.sound()
}

// A hold lasts as long as the snapshot or a part of it is in use, and no longer.
func TestHolds(t *testing.T) {
	h := newHome(t, t.TempDir())
	defer h.close()
	h.ingest([]record{{"0", "a@x", 0}})
	s := h.snapshot(0)
	if _, err := h.SaveMemberships(ctx(), s, map[lakeward.AudienceID]*roaring.Bitmap{"a": roaring.BitmapOf(0)}, time.Now()); err != nil {
		t.Fatal(err)
	}
	held := func(what string, want ...int64) {
		t.Helper()
		runtime.GC()
		if got := h.Held(sandbox); !slices.Equal(got, want) {
			t.Errorf("%s: generations %v are held, want %v", what, got, want)
		}
	}
	held("a snapshot", 1)
	runtime.KeepAlive(s)
	m := h.snapshot(0).Memberships["a"]
	held("a membership out of one", 2)
	q, err := h.OpenMembership(m)
	if err != nil {
		t.Fatal(err)
	}
	q.Close()
	held("nothing")
}

// What was removed of an old generation is told; it never reads as if it were all.
func TestRemovedGenerations(t *testing.T) {
	h := newHome(t, t.TempDir())
	defer h.close()
	for day := 1; day <= 4; day++ {
		h.ingest([]record{{fmt.Sprint(day), "a@x", 0}})
		if _, err := h.SaveMemberships(ctx(), h.snapshot(0), map[lakeward.AudienceID]*roaring.Bitmap{"a": roaring.BitmapOf(uint32(day - 1))}, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	h.compact(true)
	if n := len(h.remove()); n != 14 { // 4 times profiles, identities and fragments, the two oldest memberships
		t.Errorf("%d files were removed", n)
	}
	for g := int64(1); g <= 9; g++ {
		s, err := h.Snapshot(ctx(), sandbox, lakeward.FirstPolicy, g)
		switch {
		case g == 1: // nobody was evaluated
			if err != nil {
				t.Errorf("generation 1: %v", err)
			}
		case g < 6:
			if lakeward.CodeOf(err) != "DATA-1007" {
				t.Errorf("generation %d: %v, want DATA-1007", g, err)
			}
		case err != nil || s.ProfilesGone != (g < 9) || s.Memberships["a"].Members.GetCardinality() != 1:
			t.Errorf("generation %d: %+v, %v", g, s, err)
		}
		if s == nil || !s.ProfilesGone {
			continue
		}
		for _, err := range h.Scan(ctx(), s, roaring.BitmapOf(0), schema().Leaves(), "") {
			if lakeward.CodeOf(err) != "DATA-1007" {
				t.Errorf("Scan of generation %d: %v, want DATA-1007", g, err)
			}
		}
		if _, err := h.IdentityIndex(ctx(), s); lakeward.CodeOf(err) != "DATA-1007" {
			t.Errorf("IdentityIndex of generation %d: %v, want DATA-1007", g, err)
		}
	}
	h.sound()
}
