package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/store"
)

func open(t *testing.T, path string, kek *store.KEK) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), path, kek)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func account(name string) lakeward.Account {
	return lakeward.Account{ID: lakeward.AccountID(lakeward.NewID()), Sandbox: "prod", Name: name, URL: "abfss://c1x@acct123.dfs.core.windows.net", Key: lakeward.NewSecret("c4n4ry-secret"), CreatedAt: time.Now().UTC()}
}

// C1: a secret is sealed at rest, opens with its key file only, and cannot be moved to another row.
func TestSecretsAreSealed(t *testing.T) {
	dir := t.TempDir()
	kek, err := store.LoadKEK(filepath.Join(dir, "kek"))
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, filepath.Join(dir, "db"), kek)
	a, err := s.CreateAccount(t.Context(), account("a"))
	if err != nil || !a.KeyInfo.Set || a.KeyInfo.Version != 1 {
		t.Fatalf("CreateAccount: %+v, %v", a.KeyInfo, err)
	}
	if opened, err := s.OpenKeys(t.Context(), a); err != nil || opened.Key.Reveal() != "c4n4ry-secret" {
		t.Errorf("AccountKey: %v", err)
	}
	moved := a
	moved.ID = "other"
	if _, err := s.OpenKeys(t.Context(), moved); lakeward.KindOf(err) != lakeward.NotFound {
		t.Errorf("the key of another account: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"db", "db-wal"} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err == nil && strings.Contains(string(b), "c4n4ry") {
			t.Errorf("%s holds the secret", name)
		}
	}
	same, err := store.LoadKEK(filepath.Join(dir, "kek"))
	if err != nil {
		t.Fatal(err)
	}
	if opened, err := open(t, filepath.Join(dir, "db"), same).OpenKeys(t.Context(), a); err != nil || opened.Key.Reveal() != "c4n4ry-secret" {
		t.Errorf("with the key file read again: %v", err)
	}
	if _, err := open(t, filepath.Join(dir, "db"), store.NewKEK()).OpenKeys(t.Context(), a); lakeward.CodeOf(err) != "KEY-1003" {
		t.Errorf("with another key file: %v", err)
	}
}

// C1a: a key file that others may read, that is cut or zero is refused.
func TestKeyFileIsChecked(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct {
		name string
		data []byte
		mode os.FileMode
	}{
		{"readable by the group", []byte(strings.Repeat("k", 32)), 0o640}, {"too short", []byte("k"), 0o600}, {"all zero", make([]byte, 32), 0o600},
	} {
		path := filepath.Join(dir, test.name)
		if err := os.WriteFile(path, test.data, test.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := store.LoadKEK(path); lakeward.CodeOf(err) != "KEY-1001" {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// D20: names are not unique; an ambiguous one lists the ids.
func TestNamesAndIDs(t *testing.T) {
	s := open(t, store.Memory, store.NewKEK())
	a, err := s.CreateAccount(t.Context(), account("same"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Account(t.Context(), "prod", "same"); err != nil || got.ID != a.ID {
		t.Errorf("by name: %+v, %v", got, err)
	}
	b, err := s.CreateAccount(t.Context(), account("same"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Account(t.Context(), "prod", "same")
	if lakeward.KindOf(err) != lakeward.Conflict || !strings.Contains(err.Error(), string(a.ID)) || !strings.Contains(err.Error(), string(b.ID)) {
		t.Errorf("ambiguous name: %v", err)
	}
	if got, err := s.Account(t.Context(), "prod", string(b.ID)); err != nil || got.ID != b.ID {
		t.Errorf("by id: %+v, %v", got, err)
	}
	if _, err := s.Account(t.Context(), "dev", string(b.ID)); lakeward.KindOf(err) != lakeward.NotFound {
		t.Errorf("OBJ-09: from another sandbox: %v", err)
	}
}

func queue(t *testing.T, s *store.Store, item, slot string, at time.Time) lakeward.Run {
	t.Helper()
	r := lakeward.Run{ID: lakeward.NewRunID("f", item, slot), Sandbox: "prod", DataflowID: "f", Item: item, Slot: slot, State: lakeward.Queued, Phase: lakeward.PhaseNew, Attempt: 1, ScheduledAt: at, CreatedAt: at}
	r, err := s.QueueRun(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// DLV-30, DLV-81, INV-01: one run a slot; runs of one item are claimed one after the other, items independently.
func TestQueue(t *testing.T) {
	s := open(t, store.Memory, store.NewKEK())
	at := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	one := queue(t, s, "a", "manual:1", at)
	if again := queue(t, s, "a", "manual:1", at.Add(time.Hour)); again.ID != one.ID || !again.CreatedAt.Equal(one.CreatedAt) {
		t.Errorf("a second run for the slot: %+v", again)
	}
	two := queue(t, s, "a", "manual:2", at.Add(time.Second))
	other := queue(t, s, "b", "manual:1", at.Add(time.Minute))
	claim := func(want lakeward.RunID) *lakeward.Run {
		t.Helper()
		r, err := s.ClaimRun(t.Context(), at.Add(time.Hour), "")
		if err != nil {
			t.Fatal(err)
		}
		if r == nil && want == "" {
			return nil
		}
		if r == nil || r.ID != want || r.State != lakeward.Running || len(r.Nonce) != 32 {
			t.Fatalf("claimed %+v, want %s", r, want)
		}
		return r
	}
	first := claim(one.ID)
	claim(other.ID)
	claim("")
	if err := s.CloseRun(t.Context(), first, at, func(r *lakeward.Run) { r.State = lakeward.Failed }); err != nil {
		t.Fatal(err)
	}
	claim(two.ID)
}

// DLV-31, DLV-33: a write of an older attempt, or an illegal step, changes nothing.
func TestFencing(t *testing.T) {
	s := open(t, store.Memory, store.NewKEK())
	at := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	queue(t, s, "a", "manual:1", at)
	zombie, err := s.ClaimRun(t.Context(), at, "")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.RecoverRuns(t.Context(), at); err != nil || n != 1 {
		t.Fatalf("RecoverRuns: %d, %v", n, err)
	}
	taken, err := s.ClaimRun(t.Context(), at, "")
	if err != nil || taken.Attempt != 2 || taken.Nonce == zombie.Nonce {
		t.Fatalf("the next attempt: %+v, %v", taken, err)
	}
	before := *zombie
	err = s.AdvanceRun(t.Context(), zombie, at, func(r *lakeward.Run) { r.Phase = lakeward.PhasePinned })
	if lakeward.CodeOf(err) != "RUN-1002" || zombie.Phase != before.Phase {
		t.Errorf("a write of the zombie: %v, phase %s", err, zombie.Phase)
	}
	if err := s.SaveFile(t.Context(), zombie, lakeward.File{Index: 0}); lakeward.CodeOf(err) != "RUN-1002" {
		t.Errorf("a file of the zombie: %v", err)
	}
	if err := s.AdvanceRun(t.Context(), taken, at, func(r *lakeward.Run) { r.State = lakeward.Succeeded }); err != nil {
		t.Fatal(err)
	}
	if err := s.AdvanceRun(t.Context(), taken, at, func(r *lakeward.Run) { r.State = lakeward.Running }); lakeward.CodeOf(err) != "RUN-1001" {
		t.Errorf("a step out of a final state: %v", err)
	}
}

// DLV-120: a commit that was computed from an older generation is refused; the chain of hashes grows.
func TestCommitOfAStaleBaseIsRefused(t *testing.T) {
	s := open(t, store.Memory, store.NewKEK())
	change := lakeward.Change{Kind: "ingest", NextNumber: 3, Profiles: []lakeward.ProfileFile{{Table: lakeward.DataFile{Path: "p"}, Numbers: lakeward.Bitmap{1}}}}
	if no, err := s.Commit(t.Context(), "prod", change); err != nil || no != 1 {
		t.Fatalf("Commit: %d, %v", no, err)
	}
	if _, err := s.Commit(t.Context(), "prod", change); lakeward.KindOf(err) != lakeward.Conflict {
		t.Errorf("a stale commit: %v", err)
	}
	change.Base = 1
	if no, err := s.Commit(t.Context(), "prod", change); err != nil || no != 2 {
		t.Fatalf("Commit: %d, %v", no, err)
	}
	var hashes []string
	for g := int64(1); g <= 2; g++ {
		snap, err := s.Snapshot(t.Context(), "prod", lakeward.FirstPolicy, g, nil)
		if err != nil || len(snap.Profiles) != int(g) {
			t.Fatalf("Snapshot(%d): %+v, %v", g, snap, err)
		}
		hashes = append(hashes, snap.Hash)
	}
	if hashes[0] == hashes[1] || len(hashes[0]) != 64 {
		t.Errorf("hashes %v", hashes)
	}
	if snap, err := s.Snapshot(t.Context(), "dev", lakeward.FirstPolicy, 0, nil); err != nil || snap.Generation != 0 || len(snap.Profiles) != 0 {
		t.Errorf("another sandbox sees %+v, %v", snap, err)
	}
}

// KP-20: a database of a newer program is refused.
func TestNewerDatabaseIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	s := open(t, path, store.NewKEK())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := store.Newer(context.Background(), path); err != nil {
		t.Fatal(err)
	}
	_, err := store.Open(t.Context(), path, store.NewKEK())
	if e, ok := errors.AsType[*lakeward.Error](err); !ok || e.Code != "DATA-1001" {
		t.Errorf("Open: %v", err)
	}
}

// AUD-05: an audience that was stored before there were states is published.
func TestStoredAudienceIsPublished(t *testing.T) {
	s := open(t, store.Memory, store.NewKEK())
	if err := s.CreateAudience(t.Context(), lakeward.Audience{ID: "a", Sandbox: "prod", Name: "old", Origin: lakeward.UploadOrigin}); err != nil {
		t.Fatal(err)
	}
	a, err := s.Audience(t.Context(), "prod", "old")
	list, lerr := s.Audiences(t.Context(), "prod")
	if err != nil || lerr != nil || a.State != lakeward.Published || len(list) != 1 || list[0].State != lakeward.Published || a.Expired(time.Now()) {
		t.Errorf("%+v, %+v, %v, %v", a, list, err, lerr)
	}
}
