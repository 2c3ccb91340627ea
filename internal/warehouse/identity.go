package warehouse

import (
	"context"
	"hash/maphash"
	"runtime"
	"slices"

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

// identityCursor reads an identities file front to back.
type identityCursor struct {
	table     *table
	reader    *parquet.Reader
	namespace string
	data      lakeward.DataFile
	cols      []vector.Vector
	rows      []int64
	start     int64 // row of the file at which cols starts
	at        int
}

// openIdentities starts reading; namespace "" means all.
func (w *Warehouse) openIdentities(d lakeward.DataFile, namespace string) (*identityCursor, error) {
	t, err := w.open(d)
	if err != nil {
		return nil, err
	}
	c := &identityCursor{table: t, namespace: namespace, data: d, cols: make([]vector.Vector, 3)}
	paths, kinds := []string{"number", "namespace", "value"}, []vector.Kind{vector.Int, vector.String, vector.String}
	if namespace == "" {
		paths, kinds, c.cols = append(paths, "primary", "source"), append(kinds, vector.Bool, vector.String), make([]vector.Vector, 5)
	}
	c.reader, err = t.Reader(paths, kinds)
	if err != nil {
		c.close()
		return nil, sourceError(d, err)
	}
	return c, nil
}

func (c *identityCursor) close() {
	if c.reader != nil {
		_ = c.reader.Close()
	}
	_ = c.table.Close()
}

// more makes sure that there is a current row; false at the end of the file.
func (c *identityCursor) more() (bool, error) {
	if c.at < len(c.rows) {
		return true, nil
	}
	c.start += int64(len(c.rows))
	n := min(vector.MaxRows, c.data.Rows-c.start)
	c.rows, c.at = c.rows[:0], 0
	for i := range n {
		c.rows = append(c.rows, c.start+i)
	}
	if n <= 0 {
		return false, nil
	}
	if err := c.reader.Gather(c.rows, c.cols); err != nil {
		return false, sourceError(c.data, err)
	}
	return true, nil
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

// IdentityIndex finds profiles by identity. It keeps a 128-bit hash of namespace and value for each
// identity, so no stored value is needed to confirm a hit.
type IdentityIndex struct {
	seeds     [2]maphash.Seed
	primaries map[identityHash]uint32
	others    map[identityHash]holder
}

type identityHash [2]uint64

// holder is a profile that has an identity, but not as a primary one.
type holder struct {
	number uint32
	// keyed says that the profile has a primary identity of the same namespace: another record is another person.
	keyed bool
}

func newIdentityIndex() *IdentityIndex {
	return &IdentityIndex{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, primaries: map[identityHash]uint32{}, others: map[identityHash]holder{}}
}

func (x *IdentityIndex) hash(namespace string, value []byte) identityHash {
	var h identityHash
	for i, seed := range x.seeds {
		var m maphash.Hash
		m.SetSeed(seed)
		_, _ = m.WriteString(namespace)
		_ = m.WriteByte(0)
		_, _ = m.Write(value)
		h[i] = m.Sum64()
	}
	return h
}

// Find returns the profile with an identity: the one that has it as a primary identity, else the first
// that has it at all. With record, it is for a record that is kept under the identity: then a profile
// whose own primary identity is of the same namespace is somebody else.
func (x *IdentityIndex) Find(namespace string, value []byte, record bool) (number uint32, ok bool) {
	h := x.hash(namespace, value)
	if number, ok = x.primaries[h]; ok {
		return number, true
	}
	other, ok := x.others[h]
	if !ok || record && other.keyed {
		return 0, false
	}
	return other.number, true
}

// add records the identities of a profile; of several profiles with one identity the oldest, which has the
// smallest number, keeps it: in which file its row stands, and so a compaction, must not decide.
func (x *IdentityIndex) add(number uint32, ids []identity) {
	for _, id := range ids {
		h := x.hash(id.namespace, []byte(id.value))
		if id.primary {
			if first, taken := x.primaries[h]; !taken || number < first {
				x.primaries[h] = number
			}
			continue
		}
		if first, taken := x.others[h]; taken && first.number < number {
			continue
		}
		keyed := slices.ContainsFunc(ids, func(o identity) bool { return o.primary && o.namespace == id.namespace })
		x.others[h] = holder{number, keyed}
	}
}

// IdentityIndex builds the index of a snapshot's identities.
func (w *Warehouse) IdentityIndex(ctx context.Context, s *Snapshot) (*IdentityIndex, error) {
	if err := s.checkProfiles(); err != nil {
		return nil, err
	}
	defer runtime.KeepAlive(s)
	x := newIdentityIndex()
	for i, live := range s.live(s.All()) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := w.eachProfile(s.Profiles[i].Identities, live, x.add); err != nil {
			return nil, err
		}
	}
	return x, nil
}

// eachProfile calls fn with the identities of each of the given profiles in one file.
func (w *Warehouse) eachProfile(d lakeward.DataFile, live *roaring.Bitmap, fn func(number uint32, ids []identity)) error {
	if live.IsEmpty() {
		return nil
	}
	c, err := w.openIdentities(d, "")
	if err != nil {
		return err
	}
	defer c.close()
	var ids []identity
	var current uint32
	for {
		ok, err := c.more()
		if err != nil {
			return err
		}
		if !ok || uint32(c.cols[0].Ints[c.at]) != current {
			if len(ids) > 0 && live.Contains(current) {
				fn(current, ids)
			}
			ids = nil
		}
		if !ok {
			return nil
		}
		current = uint32(c.cols[0].Ints[c.at])
		ids = append(ids, identity{string(c.cols[1].Str(c.at)), string(c.cols[2].Str(c.at)), c.cols[3].Bools.Get(c.at), string(c.cols[4].Str(c.at))})
		c.at++
	}
}
