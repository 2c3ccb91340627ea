package warehouse

import (
	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
)

// A writer holds at most that many records, or about that many bytes of their values, in memory, and as many that
// are on their way to the disk; they become one profile file. The bytes are counted once for each chunk, which has at
// most 16 MiB and a row.
const (
	deltaRows  = 131072
	deltaBytes = 64 << 20
	// keptSegment is the size of the largest segment whose memory is used again, so that what is kept has a bound too.
	keptSegment = deltaBytes / (deltaRows / vector.MaxRows) * 3 / 2
)

// delta collects records of profiles: the fields they set and their identities. Columns of records come first, then
// those of identities alone; all lie in segments of vector.MaxRows records, which neither grow nor move.
type delta struct {
	fields   []lakeward.Leaf
	kept     []int          // columns of the chunks that are kept
	shapes   []vector.Shape // of each
	idNames  []string       // namespace of each identity column, the primary one first
	idAt     []int          // where it is kept
	numbers  []uint32       // of each record
	rows     []int64        // of the batch
	hashes   []uint64       // of each record's values in the identity columns
	mapped   map[int][]mappedID
	segments [][]vector.Vector
	taken    int // records whose columns are here
	bytes    int // that the columns of full segments and the mapped identities take
	spare    [][]vector.Vector
}

// mappedID is an identity that the identityMap of a record names; mappedBytes is what it takes besides its value.
type mappedID struct {
	identityKey
	hash uint64
}

const mappedBytes = 64

// newDelta starts a delta of records with such leaves; those of events set nothing, and only their identities are kept.
func newDelta(leaves []lakeward.Leaf, events bool, identities []idColumn) *delta {
	d := &delta{}
	keep := func(k int) {
		d.kept, d.shapes = append(d.kept, k), append(d.shapes, vector.ShapeOf(leaves[k]))
	}
	if !events {
		d.fields = leaves
		for k := range leaves {
			keep(k)
		}
	}
	for _, id := range identities {
		d.idNames = append(d.idNames, id.namespace)
		if events {
			keep(id.column)
			d.idAt = append(d.idAt, len(d.kept)-1)
			continue
		}
		d.idAt = append(d.idAt, id.column)
	}
	return d
}

// reset empties the delta for more records of the same batch; its memory is kept.
func (d *delta) reset() {
	d.numbers, d.rows, d.hashes, d.mapped = d.numbers[:0], d.rows[:0], d.hashes[:0], nil
	for _, columns := range d.segments {
		if sizeOf(columns) <= keptSegment {
			d.spare = append(d.spare, columns)
		}
	}
	d.segments = d.segments[:0]
	d.taken, d.bytes = 0, 0
}

// note adds a record, which is row of its batch, and its identities; take adds its columns.
func (d *delta) note(number uint32, row int64, ids []idValue) {
	at := len(d.numbers)
	d.numbers, d.rows = append(d.numbers, number), append(d.rows, row)
	for k := range ids {
		id := &ids[k]
		if k < len(d.idNames) {
			sum := uint64(0)
			if len(id.value) > 0 {
				sum = id.sum()
			}
			d.hashes = append(d.hashes, sum)
			continue
		}
		if d.mapped == nil {
			d.mapped = map[int][]mappedID{}
		}
		d.mapped[at] = append(d.mapped[at], mappedID{identityKey{id.namespace, string(id.value)}, id.sum()})
		d.bytes += len(id.value) + mappedBytes
	}
}

// take adds the columns of rows lo to hi-1 of a chunk.
func (d *delta) take(c *vector.Chunk, lo, hi int) {
	for lo < hi {
		at := d.taken % vector.MaxRows
		if at == 0 {
			d.addSegment()
		}
		n := min(hi-lo, vector.MaxRows-at)
		columns := d.segments[len(d.segments)-1]
		for i, k := range d.kept {
			columns[i].AppendRange(&c.Columns[k], lo, lo+n)
		}
		lo, d.taken = lo+n, d.taken+n
	}
}

func (d *delta) addSegment() {
	if n := len(d.segments); n > 0 {
		d.bytes += sizeOf(d.segments[n-1])
	}
	var columns []vector.Vector
	if n := len(d.spare); n > 0 {
		columns, d.spare = d.spare[n-1], d.spare[:n-1]
	} else {
		columns = make([]vector.Vector, len(d.kept))
	}
	for i, s := range d.shapes {
		columns[i].ResetTo(s)
	}
	d.segments = append(d.segments, columns)
}

func sizeOf(columns []vector.Vector) (n int) {
	for i := range columns {
		n += columns[i].Size()
	}
	return n
}

// full reports whether the records fill a profile file.
func (d *delta) full() bool {
	if d.taken == 0 {
		return false
	}
	return d.taken == deltaRows || d.bytes+sizeOf(d.segments[len(d.segments)-1]) > deltaBytes
}

// place is where the values of record i lie.
func (d *delta) place(i int) place {
	return place{d.segments[i/vector.MaxRows], i % vector.MaxRows}
}

// id returns the value of identity column k in record i, nothing if it has none.
func (d *delta) id(i, k int) []byte {
	v := &d.segments[i/vector.MaxRows][d.idAt[k]]
	if v.IsNull(i % vector.MaxRows) {
		return nil
	}
	return v.Str(i % vector.MaxRows)
}

// identities lists what record i names, the primary identity first.
func (d *delta) identities(i int, dataset string) []identity {
	var out []identity
	for k, ns := range d.idNames {
		if v := d.id(i, k); len(v) > 0 {
			out = append(out, identity{ns, string(v), k == 0, dataset})
		}
	}
	for _, id := range d.mapped[i] {
		out = append(out, identity{id.namespace, id.value, false, dataset})
	}
	return out
}

// names appends what record i names, and says whether the first one is its primary identity.
func (d *delta) names(i int, out []idValue) (ids []idValue, primary bool) {
	for k, ns := range d.idNames {
		if v := d.id(i, k); len(v) > 0 {
			primary = primary || k == 0
			out = append(out, idValue{ns, v, d.hashes[i*len(d.idNames)+k]})
		}
	}
	for _, id := range d.mapped[i] {
		out = append(out, idValue{id.namespace, []byte(id.value), id.hash})
	}
	return out, primary
}
