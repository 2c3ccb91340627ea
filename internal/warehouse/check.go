package warehouse

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/lakeward/lakeward"
)

// Checked is what a check of the data at rest looked at, and what it found.
type Checked struct {
	Files    int                `json:"files"`
	Bytes    int64              `json:"bytes"`
	Rows     int64              `json:"rows"`
	Problems []lakeward.Problem `json:"problems"`
}

// CheckFiles reads every file that a row names: size, hash and rows must be as noted. A file that no row
// names is told too.
func (w *Warehouse) CheckFiles(ctx context.Context, named map[string]lakeward.DataFile, p func(done, total int64)) (Checked, error) {
	c := Checked{Problems: []lakeward.Problem{}}
	for _, path := range slices.Sorted(maps.Keys(named)) {
		if err := ctx.Err(); err != nil {
			return c, err
		}
		c.Files++
		t, err := w.open(named[path])
		if err != nil {
			c.problem(path, "%s", causeOf(err))
			continue
		}
		c.Bytes, c.Rows = c.Bytes+named[path].Bytes, c.Rows+named[path].Rows
		if err := t.Close(); err != nil {
			return c, err
		}
		if p != nil {
			p(int64(c.Files), int64(len(named)))
		}
	}
	strays, err := w.strays(named)
	for _, path := range strays {
		c.problem(path, "no row names this file; it was left by a process that died, or put there by hand, and the next command that writes removes it")
	}
	return c, err
}

func (c *Checked) problem(path, format string, args ...any) {
	c.Problems = append(c.Problems, lakeward.Problem{Path: path, What: fmt.Sprintf(format, args...)})
}

// causeOf is why a file cannot be used.
func causeOf(err error) string {
	e, ok := errors.AsType[*lakeward.Error](err)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "the file is missing"
	case ok && e.Err != nil:
		return e.Err.Error()
	}
	return err.Error()
}

// CheckSnapshot holds the bitmaps of the newest generation, as a merge policy sees it, against each other and the rows of their files.
func (w *Warehouse) CheckSnapshot(ctx context.Context, sandbox string, policy lakeward.MergePolicyID, c *Checked) error {
	s, err := w.Snapshot(ctx, sandbox, policy, 0)
	if lakeward.CodeOf(err) == lakeward.FailSource {
		c.problem("", "%v", err)
		return nil
	}
	if err != nil {
		return err
	}
	for _, f := range s.Profiles {
		if n := int64(f.Numbers.GetCardinality()); n != f.Table.Rows && !f.gone() {
			c.problem(f.Table.Path, "the bitmap has %d numbers, the file %d rows", n, f.Table.Rows)
		}
		if !f.Numbers.IsEmpty() && f.Numbers.Maximum() >= s.NextNumber {
			c.problem(f.Table.Path, "profile number %d is given, and %d is said to be the next new one", f.Numbers.Maximum(), s.NextNumber)
		}
	}
	c.memberships(s)
	return w.checkIndex(ctx, s, c)
}

// memberships holds the memberships of a snapshot against their files and the numbers that were ever given.
func (c *Checked) memberships(s *Snapshot) {
	for _, id := range slices.Sorted(maps.Keys(s.Memberships)) {
		m := s.Memberships[id]
		if rows := int64(m.rows.GetCardinality()); rows != m.Table.Rows {
			c.problem(m.Table.Path, "audience %s knows %d profiles, its file has %d rows", id, rows, m.Table.Rows)
		}
		if m.twice > 0 {
			c.problem(m.Table.Path, "%d profiles are members of audience %s and have left it", m.twice, id)
		}
		if !m.rows.IsEmpty() && m.rows.Maximum() >= s.NextNumber {
			c.problem(m.Table.Path, "number %d in audience %s is no profile", m.rows.Maximum(), id)
		}
	}
}
