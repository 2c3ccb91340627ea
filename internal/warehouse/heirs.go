package warehouse

import (
	"encoding/binary"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
)

// AddHeirs adds to a set of profiles those who carry them on, generation by generation.
func AddHeirs(set *roaring.Bitmap, list []lakeward.Heirs) {
	for _, h := range list {
		carry(set, h.Pairs, false)
	}
}

// AddAncestors adds to a set of profiles those whom they carry on.
func AddAncestors(set *roaring.Bitmap, list []lakeward.Heirs) {
	for _, h := range slices.Backward(list) {
		carry(set, h.Pairs, true)
	}
}

// carry goes through the pairs of one generation, from profiles to their heirs or back.
func carry(set *roaring.Bitmap, pairs []byte, back bool) {
	were := set.Clone()
	for ; len(pairs) >= 8; pairs = pairs[8:] {
		from, to := binary.LittleEndian.Uint32(pairs), binary.LittleEndian.Uint32(pairs[4:])
		if back {
			from, to = to, from
		}
		if were.Contains(from) {
			set.Add(to)
		}
	}
}
