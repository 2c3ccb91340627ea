package warehouse

import (
	"bytes"
	"testing"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
)

// What identityMaps name counts as memory also where the map itself is not kept, as that of an event.
func TestMappedIdentitiesFillADelta(t *testing.T) {
	leaves := []lakeward.Leaf{{Path: "who", Type: lakeward.TypeString}}
	d := newDelta(leaves, true, []idColumn{{0, "CRM"}})
	c := &vector.Chunk{Len: 1, Columns: make([]vector.Vector, 1)}
	c.Columns[0].Reset(vector.String)
	c.Columns[0].AppendString([]byte("w"))
	ids := []idValue{{namespace: "CRM", value: []byte("w")}}
	for range 64 {
		ids = append(ids, idValue{namespace: "Email", value: bytes.Repeat([]byte("v"), lakeward.MaxIdentityBytes)})
	}
	most := deltaBytes / (64 * lakeward.MaxIdentityBytes)
	for range 2 { // the second time behind a reset
		records := 0
		for ; !d.full() && records <= most; records++ {
			d.note(uint32(records), int64(records), ids)
			d.take(c, 0, 1)
		}
		if records > most {
			t.Errorf("%d records, of 64 KiB of identities each, do not fill a delta", records)
		}
		d.reset()
	}
}
