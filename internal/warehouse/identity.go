package warehouse

import (
	"context"
	"hash/maphash"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/parquet"
	"github.com/lakeward/lakeward/internal/vector"
)

// identityColumns are the columns of an identities file: one row for each value, sorted by
// number, then by the order of the values on the profile.
func identityColumns() []parquet.Column {
	return []parquet.Column{
		{Path: "number", Kind: vector.Int, Int32: true, Required: true},
		{Path: "namespace", Kind: vector.String, Required: true},
		{Path: "value", Kind: vector.String, Required: true},
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
	c.reader, err = t.Reader([]string{"number", "namespace", "value"}, []vector.Kind{vector.Int, vector.String, vector.String})
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
// identity, 20 bytes, so no stored value is needed to confirm a hit.
type IdentityIndex struct {
	seeds   [2]maphash.Seed
	numbers map[identityHash]uint32
}

type identityHash [2]uint64

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

// Find returns the number of the profile with an identity.
func (x *IdentityIndex) Find(namespace string, value []byte) (number uint32, ok bool) {
	number, ok = x.numbers[x.hash(namespace, value)]
	return number, ok
}

// add records an identity; the first profile that has it keeps it.
func (x *IdentityIndex) add(namespace string, value []byte, number uint32) {
	h := x.hash(namespace, value)
	if _, taken := x.numbers[h]; !taken {
		x.numbers[h] = number
	}
}

// IdentityIndex builds the index of a snapshot's identities.
func (w *Warehouse) IdentityIndex(ctx context.Context, s *Snapshot) (*IdentityIndex, error) {
	x := &IdentityIndex{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, numbers: map[identityHash]uint32{}}
	for i, live := range s.live(s.All()) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		err := w.eachIdentity(s.Profiles[i].Identities, live, func(number uint32, namespace string, value []byte) {
			x.add(namespace, value, number)
		})
		if err != nil {
			return nil, err
		}
	}
	return x, nil
}

// eachIdentity calls fn for the identities of the given profiles in one file.
func (w *Warehouse) eachIdentity(d lakeward.DataFile, live *roaring.Bitmap, fn func(number uint32, namespace string, value []byte)) error {
	if live.IsEmpty() {
		return nil
	}
	c, err := w.openIdentities(d, "")
	if err != nil {
		return err
	}
	defer c.close()
	for {
		ok, err := c.more()
		if err != nil || !ok {
			return err
		}
		if n := uint32(c.cols[0].Ints[c.at]); live.Contains(n) {
			fn(n, string(c.cols[1].Str(c.at)), c.cols[2].Str(c.at))
		}
		c.at++
	}
}
