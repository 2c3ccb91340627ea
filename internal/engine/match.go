package engine

import (
	"context"
	"slices"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/expr"
	"github.com/lakeward/lakeward/internal/vector"
	"github.com/lakeward/lakeward/internal/warehouse"
)

// What bounds the workers of a job: each has pages of every file in memory, about a megabyte.
const (
	maxEvaluators = 8
	maxOpen       = 800 // files of all workers
)

// match decides every profile for every rule, by several workers. Who has opted out is then taken from all members; that
// rules which ask for others still saw them there changes nothing for anybody else.
func (j *job) match(ctx context.Context, w *warehouse.Warehouse, workers int, p Progress) error {
	all := j.among
	total := all.GetCardinality()
	chunks := int((total + vector.MaxRows - 1) / vector.MaxRows)
	more, err := j.openBeside(w)
	defer func() {
		for _, c := range more {
			c.close()
		}
	}()
	if err != nil {
		return err
	}
	files := len(j.snap.Profiles) + len(j.snap.Events)
	workers = min(workers, maxEvaluators, max(1, maxOpen/max(1, files)), chunks)
	open := newShares(chunks, workers, int64(total), p)
	matchers := make([]*matcher, workers)
	var wg sync.WaitGroup
	for i := range matchers {
		m := j.matcher(i)
		matchers[i] = m
		wg.Go(func() {
			for from, to := open.adjoining(i); from < to; from, to = open.adjoining(i) {
				if err := m.decide(ctx, w, open, all, from, to, more); err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	for i, r := range j.rules {
		for _, m := range matchers {
			r.members.Or(m.members[i])
			m.members[i] = nil
		}
	}
	if j.optOut != nil {
		for _, r := range j.byID {
			r.members.AndNot(j.optOut.members)
		}
	}
	return open.err
}

// openBeside opens what the rules look at beside the fields of the profiles. What it returns is closed also after an error.
func (j *job) openBeside(w *warehouse.Warehouse) (out []beside, err error) {
	for _, path := range j.beside {
		var c beside
		switch path {
		case eventsPath:
			var events *warehouse.Events
			events, err = w.ScanEvents(j.snap, j.events)
			c = eventColumn{events}
		case identityMapPath:
			var ids *warehouse.Identities
			ids, err = w.ScanIdentities(j.snap)
			c = identityColumn{ids}
		default:
			c, err = openMemberships(w, j.snap)
		}
		if err != nil {
			return out, err
		}
		out = append(out, c)
	}
	return out, nil
}

// matcher is a worker of a job: filters and columns are its own.
type matcher struct {
	job     *job
	worker  int
	memo    *expr.Memo // what the rules have in common
	filters []*expr.Filter
	bits    []vector.Bits // of each rule: members among the rows of the chunk
	members []*roaring.Bitmap
	chunk   *warehouse.Profiles
	seen    vector.Chunk // the chunk with the columns beside it
	beside  []vector.Vector
	found   []uint32
}

func (j *job) matcher(worker int) *matcher {
	m := &matcher{job: j, worker: worker, memo: expr.NewMemo(), bits: make([]vector.Bits, len(j.rules)), beside: make([]vector.Vector, len(j.beside))}
	for _, r := range j.rules {
		f := m.memo.Filter(r.node, j.paths, j.at)
		f.Members = m.rows
		m.filters, m.members = append(m.filters, f), append(m.members, roaring.New())
	}
	return m
}

// rows tells which rows of the current chunk are members of an audience.
func (m *matcher) rows(audience string) vector.Bits {
	if r := m.job.byID[audience]; r != nil {
		return m.bits[r.place]
	}
	out := vector.NewBits(m.chunk.Len)
	others := m.job.others[audience]
	for i, number := range m.chunk.Numbers {
		if others.Contains(number) {
			out.Set(i)
		}
	}
	return out
}

// decide goes through adjoining chunks, as far as nobody else takes them. It notes its error.
func (m *matcher) decide(ctx context.Context, w *warehouse.Warehouse, open *shares, all *roaring.Bitmap, from, to int, more []beside) (err error) {
	chunk := from
	defer func() {
		if err != nil {
			open.fail(chunk, err)
		}
	}()
	defer lakeward.Rescue(&err)
	part, first := partOf(all, from, to)
	var own []beside
	defer func() {
		for _, c := range own {
			c.close()
		}
	}()
	for _, c := range more {
		c, err := c.from(first)
		if err != nil {
			return err
		}
		own = append(own, c)
	}
	for profiles, err := range w.ScanFull(ctx, m.job.snap, part, m.job.fields, "") {
		if err != nil {
			return err
		}
		if !open.begin(m.worker) {
			return nil
		}
		if err := m.match(profiles, own); err != nil {
			return err
		}
		open.end(profiles.Len)
		chunk++
	}
	return nil
}

// partOf are the profiles of some chunks, at least one, and the number to begin at.
func partOf(all *roaring.Bitmap, from, to int) (part *roaring.Bitmap, first uint32) {
	_, rest := parted(all, int64(from)*vector.MaxRows)
	part, _ = parted(rest, int64(to-from)*vector.MaxRows)
	if from > 0 {
		first = part.Minimum()
	}
	return part, first
}

// match decides the profiles of a chunk for every rule.
func (m *matcher) match(chunk *warehouse.Profiles, more []beside) error {
	m.chunk, m.seen = chunk, chunk.Chunk
	for i, c := range more {
		m.beside[i].ResetTo(c.shape())
		if err := c.append(chunk.Numbers, &m.beside[i]); err != nil {
			return err
		}
	}
	m.seen.Columns = append(slices.Clip(chunk.Columns), m.beside...)
	m.memo.Begin(&m.seen)
	for i, f := range m.filters {
		m.bits[i] = f.Match(&m.seen)
		m.found = m.bits[i].Select(chunk.Numbers, m.found[:0])
		m.members[i].AddMany(m.found)
	}
	return nil
}
