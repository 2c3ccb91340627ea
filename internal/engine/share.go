package engine

import "sync"

// shares deals out the chunks of a job. Each worker goes through adjoining ones from the front to the end, because to
// begin elsewhere means to open files; one that has none left takes the rear half of the largest share.
type shares struct {
	mu    sync.Mutex
	open  []share
	limit int   // nobody begins with a chunk from here on: one has failed
	err   error // of the chunk at the limit

	progress    Progress
	done, total int64 // rows
}

// share are the chunks that a worker is to do.
type share struct{ next, end int }

// stealable is how many chunks the largest share must have left to be halved.
const stealable = 4

func newShares(chunks, workers int, total int64, p Progress) *shares {
	s := &shares{limit: chunks, progress: p, total: total}
	for i := range workers {
		s.open = append(s.open, share{chunks * i / workers, chunks * (i + 1) / workers})
	}
	return s
}

// adjoining are the chunks that a worker goes through next; none if all are done or in other hands.
func (s *shares) adjoining(worker int) (from, to int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := &s.open[worker]
	if own.left(s.limit) == 0 {
		largest := own
		for i := range s.open {
			if s.open[i].left(s.limit) > largest.left(s.limit) {
				largest = &s.open[i]
			}
		}
		if largest.left(s.limit) < stealable {
			return 0, 0
		}
		end := min(largest.end, s.limit)
		middle := (largest.next + end + 1) / 2
		*own = share{middle, end}
		largest.end = middle
	}
	return own.next, min(own.end, s.limit)
}

func (s share) left(limit int) int { return max(0, min(s.end, limit)-s.next) }

// begin tells a worker whether it is to do the next chunk of its share.
func (s *shares) begin(worker int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := &s.open[worker]
	if own.left(s.limit) == 0 {
		return false
	}
	own.next++
	return true
}

// end notes rows that are decided.
func (s *shares) end(rows int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done += int64(rows)
	s.progress.report(s.done, s.total)
}

// fail notes an error at a chunk. Of several the first in the order of the chunks counts.
func (s *shares) fail(chunk int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if chunk < s.limit || s.err == nil {
		s.limit, s.err = min(chunk, s.limit), err
	}
}
