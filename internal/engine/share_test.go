package engine

import (
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// However the workers take turns, each chunk is begun once; behind an error none is, and all before it are.
func TestSharesCoverTheChunksOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		chunks, workers := rapid.IntRange(0, 60).Draw(t, "chunks"), rapid.IntRange(1, 9).Draw(t, "workers")
		broken := rapid.IntRange(0, 120).Draw(t, "broken") // mostly none
		var reports []int64
		s := newShares(chunks, workers, int64(chunks), func(done, _ int64) { reports = append(reports, done) })
		begun := make([]int, chunks)
		at, idle := make([]int, workers), map[int]bool{}
		going := make([]bool, workers)
		for len(idle) < workers {
			i := rapid.IntRange(0, workers-1).Draw(t, "worker")
			if !going[i] {
				from, to := s.adjoining(i)
				if idle[i] = true; from < to {
					delete(idle, i)
					at[i], going[i] = from, true
				}
				continue
			}
			if going[i] = s.begin(i); !going[i] {
				continue
			}
			begun[at[i]]++
			if at[i] >= broken {
				s.fail(at[i], errors.New(fmt.Sprint(at[i])))
				going[i] = false
				continue
			}
			s.end(1)
			at[i]++
		}
		for c, n := range begun {
			if c < broken && n != 1 || n > 1 {
				t.Fatalf("chunk %d was begun %d times: %v", c, n, begun)
			}
		}
		if broken < chunks && (s.err == nil || s.err.Error() != fmt.Sprint(broken)) || broken >= chunks && s.err != nil {
			t.Fatalf("error %v, chunk %d of %d is broken", s.err, broken, chunks)
		}
		for i, done := range reports {
			if done != int64(i+1) {
				t.Fatalf("reports %v", reports)
			}
		}
	})
}
