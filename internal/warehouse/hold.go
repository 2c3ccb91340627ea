package warehouse

import (
	"context"
	"slices"
	"sync"
	"weak"

	"github.com/lakeward/lakeward"
)

// hold stands for somebody who may still read the files of a generation. A snapshot and what is taken out of it
// share one; while the garbage collector finds it in use, the files stay, and nobody has to give them back.
type hold struct {
	sandbox    string
	generation int64
}

// holds knows the holds of this process. Another process cannot have any: one has the data directory.
type holds struct {
	// gate keeps a removal from coming between the read of a snapshot and its hold.
	gate sync.RWMutex

	mu  sync.Mutex
	all map[weak.Pointer[hold]]struct{}
}

// take reads a snapshot and holds its generation.
func (h *holds) take(ctx context.Context, c Catalog, sandbox string, policy lakeward.MergePolicyID, generation int64, only []lakeward.AudienceID) (lakeward.Snapshot, *hold, error) {
	h.gate.RLock()
	defer h.gate.RUnlock()
	snap, err := c.Snapshot(ctx, sandbox, policy, generation, only)
	if err != nil {
		return snap, nil, err
	}
	taken := &hold{sandbox, snap.Generation}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.prune()
	h.all[weak.Make(taken)] = struct{}{}
	return snap, taken, nil
}

// drop ends a hold before the garbage collector would.
func (h *holds) drop(taken *hold) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.all, weak.Make(taken))
}

// prune forgets the holds that nobody can reach any more; the caller holds mu.
func (h *holds) prune() {
	for p := range h.all {
		if p.Value() == nil {
			delete(h.all, p)
		}
	}
}

// generations lists those of a sandbox that are held.
func (h *holds) generations(sandbox string) []int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []int64
	for p := range h.all {
		if taken := p.Value(); taken != nil && taken.sandbox == sandbox {
			out = append(out, taken.generation)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Forgetter removes the rows of files that no needed generation names. The store implements it.
type Forgetter interface {
	Forget(ctx context.Context, sandbox string, held []int64) ([]lakeward.DataFile, error)
}

// Remove removes the files of old generations that nothing needs: no run, no window, no snapshot of this process.
// First their rows go, in one transaction; a process that dies before the files are gone leaves them to Sweep.
func (w *Warehouse) Remove(ctx context.Context, f Forgetter, sandbox string) ([]lakeward.DataFile, error) {
	w.holds.gate.Lock()
	files, err := f.Forget(ctx, sandbox, w.holds.generations(sandbox))
	w.holds.gate.Unlock()
	if err != nil {
		return nil, err
	}
	w.discard(files...)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range files {
		delete(w.proven, d.Path)
	}
	return files, nil
}

// checkProfiles refuses an old generation whose profile files are gone.
func (s *Snapshot) checkProfiles() error {
	if !s.ProfilesGone {
		return nil
	}
	return &lakeward.Error{Kind: lakeward.NotFound, Code: "DATA-1007", Msg: "the profiles of this old generation were removed, because no run needed them any more"}
}
