package warehouse

import (
	"context"
	"fmt"
)

// SetSizes makes merges of small stores due.
func (w *Warehouse) SetSizes(base int64, small, inputs int, stale int64) {
	w.sizes = mergeSizes{base: base, small: small, inputs: inputs, stale: stale}
}

// Choose is the choice of files with given rows and live rows.
func (w *Warehouse) Choose(files [][2]int64, all bool) []int {
	var list []fileSize
	for _, f := range files {
		list = append(list, fileSize{f[0], f[1]})
	}
	return w.sizes.choose(list, all)
}

// IdentitiesOf lists every identity of every profile of a snapshot.
func (w *Warehouse) IdentitiesOf(ctx context.Context, s *Snapshot) (map[uint32]string, error) {
	out := map[uint32]string{}
	for i, live := range s.live(s.All()) {
		err := w.eachProfile(s.Profiles[i].Identities, live, func(n uint32, ids []identity) { out[n] += fmt.Sprint(ids) })
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Held lists the generations of a sandbox that somebody reads.
func (w *Warehouse) Held(sandbox string) []int64 { return w.holds.generations(sandbox) }
