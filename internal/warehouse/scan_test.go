package warehouse_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
)

// Long values make chunks of few rows, so that memory does not depend on them; short ones make full chunks. The same scan
// has the same chunks.
func TestChunksFollowTheLengthOfValues(t *testing.T) {
	h := newHome(t, t.TempDir())
	defer h.close()
	const people = 12_000
	var records []record
	for i := range people {
		records = append(records, record{fmt.Sprint(i), fmt.Sprintf("%d@%s", i, strings.Repeat("x", 900)), int64(i)})
	}
	h.ingest(records)
	s := h.snapshot(0)
	leaves := schema().Leaves()
	scan := func(fields []lakeward.Leaf) (sizes []int, most int) {
		numbers := uint32(0)
		for c, err := range h.Scan(ctx(), s, s.All(), fields, "") {
			if err != nil {
				t.Fatal(err)
			}
			size := 0
			for i := range c.Columns {
				size += c.Columns[i].Size()
			}
			for _, n := range c.Numbers {
				if n != numbers {
					t.Fatalf("profile %d stands where %d belongs", n, numbers)
				}
				numbers++
			}
			sizes, most = append(sizes, c.Len), max(most, size)
		}
		if numbers != people {
			t.Fatalf("%d profiles", numbers)
		}
		return sizes, most
	}
	if sizes, _ := scan(leaves[2:]); slices.Max(sizes) != vector.MaxRows {
		t.Errorf("short values come in chunks of %d rows", sizes)
	}
	long := slices.Repeat(leaves[1:2], 100)
	sizes, most := scan(long)
	if most > 16<<20 {
		t.Errorf("long values come in chunks of %d rows, the largest has %d MiB", sizes, most>>20)
	}
	if again, _ := scan(long); !slices.Equal(sizes, again) {
		t.Errorf("chunks of %d rows, then of %d", sizes, again)
	}
	full := 0
	for c, err := range h.ScanFull(ctx(), s, s.All(), leaves, "") {
		if err != nil || c.Len != min(vector.MaxRows, people-full) {
			t.Fatalf("%d rows behind %d: %v", c.Len, full, err)
		}
		full += c.Len
	}
}
