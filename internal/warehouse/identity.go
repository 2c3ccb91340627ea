package warehouse

import (
	"context"
	"fmt"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/parquet"
	"github.com/lakeward/lakeward/internal/vector"
)

// identityColumns are the columns of an identities file: one row for each value, sorted by
// number, then by the order of the values on the profile. source is the dataset whose records name the
// identity; primary says that a record is kept under it.
func identityColumns() []parquet.Column {
	return []parquet.Column{
		{Path: "number", Kind: vector.Int, Int32: true, Required: true},
		{Path: "namespace", Kind: vector.String, Required: true},
		{Path: "value", Kind: vector.String, Required: true},
		{Path: "primary", Kind: vector.Bool, Required: true},
		{Path: "source", Kind: vector.String, Required: true},
	}
}

// addIdentity adds a row to an identities file.
func (t *tableChunk) addIdentity(number uint32, namespace string, value []byte, primary bool, source string) error {
	if err := t.ready(); err != nil {
		return err
	}
	t.Columns[0].AppendInt(int64(number))
	t.appendName(1, namespace)
	t.Columns[2].AppendString(value)
	t.Columns[3].AppendBool(primary)
	t.appendName(4, source)
	t.Len++
	return nil
}

// identity is one identity of a profile: primary if a record is kept under it, source is the dataset that names it.
type identity struct {
	namespace, value string
	primary          bool
	source           string
}

// identityCursor reads the values of a namespace.
type identityCursor struct {
	fileCursor
	namespace string
}

// openIdentities starts reading the values of a namespace.
func (w *Warehouse) openIdentities(d lakeward.DataFile, namespace string) (*identityCursor, error) {
	c := &identityCursor{namespace: namespace}
	if err := c.open(w, d, identityColumns()[:3]); err != nil {
		c.close()
		return nil, err
	}
	return c, nil
}

// appendValues adds the values of a profile in the cursor's namespace; numbers ascend from call to call.
func (c *identityCursor) appendValues(number uint32, out *vector.Vector) error {
	for {
		ok, err := c.more()
		if err != nil || !ok {
			return err
		}
		n := uint32(c.cols[0].Ints[c.at])
		if n > number {
			return nil
		}
		if n == number && string(c.cols[1].Str(c.at)) == c.namespace {
			out.AppendString(c.cols[2].Str(c.at))
		}
		c.at++
	}
}

// eachProfile calls fn with the identities of each of the given profiles in one file.
func (w *Warehouse) eachProfile(d lakeward.DataFile, live *roaring.Bitmap, fn func(number uint32, ids []identity)) error {
	var ids []identity
	var current uint32
	end := func() {
		if len(ids) > 0 {
			fn(current, ids)
		}
		ids = nil
	}
	err := w.eachRow(d, live, identityColumns(), func(cols []vector.Vector, i int) {
		if n := uint32(cols[0].Ints[i]); n != current {
			end()
			current = n
		}
		ids = append(ids, identity{string(cols[1].Str(i)), string(cols[2].Str(i)), cols[3].Bools.Get(i), string(cols[4].Str(i))})
	})
	if err == nil {
		end()
	}
	return err
}

// eachRow calls fn with the rows of the given profiles in a file whose first column is their number, ascending.
// Of the other columns it reads the pages of these rows only.
func (w *Warehouse) eachRow(d lakeward.DataFile, live *roaring.Bitmap, columns []parquet.Column, fn func(cols []vector.Vector, i int)) error {
	if live.IsEmpty() || d.Path == "" {
		return nil
	}
	var c fileCursor
	defer c.close()
	if err := c.open(w, d, columns[:1]); err != nil {
		return err
	}
	values, err := c.table.ReaderOf(columns)
	if err != nil {
		return sourceError(d, err)
	}
	defer values.Close()
	r := rowPicker{live: live.Iterator(), last: live.Maximum(), cols: make([]vector.Vector, len(columns)), values: values, fn: fn}
	for ; !r.done; c.at = len(c.rows) {
		if ok, err := c.more(); err != nil {
			return err
		} else if !ok {
			break
		}
		if err := r.pick(c.rows, c.cols[0].Ints); err != nil {
			return sourceError(d, err)
		}
	}
	if err := r.flush(); err != nil {
		return sourceError(d, err)
	}
	return nil
}

// rowPicker collects the rows of live numbers and hands them out, a chunk at a time.
type rowPicker struct {
	live   roaring.IntPeekable
	last   uint32
	done   bool // no further row can be live
	want   []int64
	cols   []vector.Vector
	values *parquet.Reader
	fn     func(cols []vector.Vector, i int)
}

func (r *rowPicker) pick(rows, numbers []int64) error {
	for i, n := range numbers {
		number := uint32(n)
		if number > r.last {
			r.done = true
			return nil
		}
		r.live.AdvanceIfNeeded(number)
		if !r.live.HasNext() || r.live.PeekNext() != number {
			continue
		}
		if r.want = append(r.want, rows[i]); len(r.want) == vector.MaxRows {
			if err := r.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *rowPicker) flush() error {
	if len(r.want) == 0 {
		return nil
	}
	if err := r.values.Gather(r.want, r.cols); err != nil {
		return err
	}
	for i := range r.want {
		r.fn(r.cols, i)
	}
	r.want = r.want[:0]
	return nil
}

// IdentityTimes returns when the identities of each of the numbers last changed.
func (w *Warehouse) IdentityTimes(ctx context.Context, s *Snapshot, numbers *roaring.Bitmap) (map[uint32]time.Time, error) {
	changes, err := w.catalog.IdentityChanges(ctx, s.Sandbox, s.Policy, s.Generation)
	if err != nil {
		return nil, err
	}
	out := map[uint32]time.Time{}
	for _, c := range changes {
		changed, err := decodeBitmap(c.Numbers)
		if err != nil {
			return nil, fmt.Errorf("read changes of identities: %w", err)
		}
		for it := roaring.And(changed, numbers).Iterator(); it.HasNext(); {
			if n := it.Next(); out[n].IsZero() {
				out[n] = c.At
			}
		}
	}
	return out, nil
}
