package warehouse_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward/internal/warehouse"
)

// The triggers, and what is left alone.
func TestWhatIsMerged(t *testing.T) {
	repeat := func(n int, f [2]int64) [][2]int64 { return slices.Repeat([][2]int64{f}, n) }
	count := func(lists ...[][2]int64) [][2]int64 { return slices.Concat(lists...) }
	for _, test := range []struct {
		name  string
		files [][2]int64 // rows, live rows
		all   bool
		want  int // files
	}{
		{name: "nothing"},
		{name: "nothing, by hand", all: true},
		{name: "19 small files", files: repeat(19, [2]int64{50, 50})},
		{name: "20 small files", files: repeat(20, [2]int64{50, 50}), want: 20},
		{name: "20 small files on large bases", files: count(repeat(5, [2]int64{1_000_000, 990_000}), repeat(20, [2]int64{50, 50})), want: 20},
		{name: "a much larger small file waits for its like", files: count(repeat(19, [2]int64{50, 50}), [][2]int64{{100_000, 100_000}}), want: 19},
		{name: "one of twice the size joins", files: count(repeat(19, [2]int64{50, 50}), [][2]int64{{1_800, 1_800}}), want: 20},
		{name: "bases are no small files", files: repeat(40, [2]int64{500_000, 500_000})},
		{name: "a quarter superseded", files: [][2]int64{{1_000_000, 600_000}, {400_000, 400_000}}, want: 2},
		{name: "less than a quarter", files: [][2]int64{{1_000_000, 700_000}, {300_000, 300_000}}},
		{name: "bases with hardly a superseded row stay", files: [][2]int64{{1_000_000, 1_000_000}, {1_000_000, 200_000}, {1_000_000, 100_000}, {800_000, 799_999}}, want: 2},
		{name: "only the base that is superseded", files: [][2]int64{{1_000_000, 1_000_000}, {1_000_000, 100_000}, {900_000, 900_000}}, want: 1},
		{name: "few rows are no waste", files: [][2]int64{{100, 1}, {99, 99}}},
		{name: "few rows, by hand", files: [][2]int64{{100, 1}, {99, 99}}, all: true, want: 2},
		{name: "one small file, by hand", files: [][2]int64{{100, 100}}, all: true},
		{name: "one base with a superseded row, by hand", files: [][2]int64{{600_000, 599_999}, {600_000, 600_000}}, all: true, want: 1},
		{name: "not more at a time than the memory bears", files: repeat(100, [2]int64{50, 50}), want: 32},
		{name: "a file without live rows goes", files: count(repeat(19, [2]int64{50, 50}), [][2]int64{{400_000, 0}}), want: 20},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := warehouse.New(nil, nil).Choose(test.files, test.all)
			if len(got) != test.want {
				t.Errorf("%d files are merged, want %d: %v", len(got), test.want, got)
			}
		})
	}
}

// The work for each ingested row, the number of files and the superseded rows stay bounded, for many small batches of
// random profiles on a large base.
func TestWorkOfCompactionIsBounded(t *testing.T) {
	const base, batches, rows = 40_000, 3000, 40
	w := warehouse.New(nil, nil)
	w.SetSizes(8_000, 20, 32, 100)
	rnd := rand.New(rand.NewPCG(1, 2))
	first := roaring.New()
	first.AddRange(0, base)
	files := []*roaring.Bitmap{first}
	var work, most, ingested int64
	for range batches {
		delta := roaring.New()
		for range rows {
			delta.Add(rnd.Uint32N(base + base/10))
		}
		files, ingested = append(files, delta), ingested+rows
		for {
			live, newer := make([]*roaring.Bitmap, len(files)), roaring.New()
			var sizes [][2]int64
			for i := len(files) - 1; i >= 0; i-- {
				live[i] = roaring.AndNot(files[i], newer)
				newer.Or(files[i])
			}
			total := int64(0)
			for i := range files {
				sizes = append(sizes, [2]int64{int64(files[i].GetCardinality()), int64(live[i].GetCardinality())})
				total += sizes[i][0]
			}
			chosen := w.Choose(sizes, false)
			if len(chosen) == 0 {
				if total > 2*int64(newer.GetCardinality()) {
					t.Fatalf("%d rows are kept for %d profiles", total, newer.GetCardinality())
				}
				break
			}
			merged := roaring.New()
			for _, i := range chosen {
				merged.Or(live[i])
				work += sizes[i][1]
			}
			var left []*roaring.Bitmap
			for i := range files {
				if !slices.Contains(chosen, i) {
					left = append(left, files[i])
				}
			}
			files = left
			for at := merged.Iterator(); at.HasNext(); {
				out := roaring.New()
				for at.HasNext() && out.GetCardinality() < 8_000 {
					out.Add(at.Next())
				}
				files = append(files, out)
			}
		}
		most = max(most, int64(len(files)))
	}
	t.Logf("%.1f rows written again for each ingested one, at most %d files", float64(work)/float64(ingested), most)
	if work > 10*ingested || most > 40 {
		t.Errorf("%d rows were written again for %d ingested ones, with at most %d files", work, ingested, most)
	}
}
