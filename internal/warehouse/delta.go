package warehouse

import (
	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
)

// A writer holds at most that many records, or about that many bytes of their values, in memory; they become one
// profile file. The bytes are counted now and then: a chunk has at most 16 MiB and a row.
const (
	deltaRows  = 131072
	deltaBytes = 128 << 20
	sizeEvery  = 64
)

// delta collects records of profiles: the fields they set and their identities.
type delta struct {
	fields  []lakeward.Leaf
	numbers []uint32 // of each record
	rows    []int64  // of the batch
	columns []vector.Vector
	idNames []string              // namespace of each identity column
	ids     []vector.Vector       // identity columns, the primary one first
	mapped  map[int][]identityKey // by record: what its identityMap names
}

func newDelta(fields []lakeward.Leaf, identities []idColumn) *delta {
	d := &delta{fields: fields, columns: make([]vector.Vector, len(fields)), ids: make([]vector.Vector, len(identities))}
	for i, l := range fields {
		d.columns[i].ResetTo(vector.ShapeOf(l))
	}
	for i, id := range identities {
		d.idNames = append(d.idNames, id.namespace)
		d.ids[i].Reset(vector.String)
	}
	return d
}

// add takes record i of a chunk, which is row of its batch. The columns of events set nothing and are not kept.
func (d *delta) add(number uint32, row int64, c *vector.Chunk, identities []idColumn, i int) {
	d.numbers, d.rows = append(d.numbers, number), append(d.rows, row)
	for k := range d.columns {
		d.columns[k].AppendFrom(&c.Columns[k], i)
	}
	for k, id := range identities {
		d.ids[k].AppendFrom(&c.Columns[id.column], i)
	}
}

// more notes what the identityMap of the last record names.
func (d *delta) more(ids []idValue) {
	if len(ids) == 0 {
		return
	}
	if d.mapped == nil {
		d.mapped = map[int][]identityKey{}
	}
	at := len(d.numbers) - 1
	for _, id := range ids {
		d.mapped[at] = append(d.mapped[at], identityKey{id.namespace, string(id.value)})
	}
}

// full reports whether the records fill a profile file.
func (d *delta) full() bool {
	if len(d.numbers) == deltaRows {
		return true
	}
	if len(d.numbers)%sizeEvery != 0 {
		return false
	}
	n := 0
	for i := range d.columns {
		n += d.columns[i].Size()
	}
	return n > deltaBytes
}

// identities lists what record i names, the primary identity first.
func (d *delta) identities(i int, dataset string) []identity {
	var out []identity
	for k, ns := range d.idNames {
		if v := d.ids[k].Str(i); !d.ids[k].IsNull(i) && len(v) > 0 {
			out = append(out, identity{ns, string(v), k == 0, dataset})
		}
	}
	for _, id := range d.mapped[i] {
		out = append(out, identity{id.namespace, id.value, false, dataset})
	}
	return out
}

// records maps each profile to its records, in order.
func (d *delta) records() map[uint32][]int {
	m := make(map[uint32][]int, len(d.numbers))
	for i, n := range d.numbers {
		m[n] = append(m[n], i)
	}
	return m
}
