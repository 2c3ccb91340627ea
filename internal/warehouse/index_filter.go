package warehouse

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// The filter of a block is three lines of 64 bytes. A hash chooses a line and four of its bits, so that of the hashes
// that are not in a full block about one in a hundred passes, and a look costs one line of the memory.
const (
	filterLine  = 64
	filterLines = 3
	filterBytes = filterLines * filterLine
)

// filterBits is the line of a hash and its bits in there. Hashes of one block begin alike: the product spreads what they
// differ in.
func filterBits(hash uint64) (line int, at [4]uint32) {
	m := hash * 0x9E3779B97F4A7C15
	for k := range at {
		at[k] = uint32(m>>(28+9*k)) & (8*filterLine - 1)
	}
	return int(m&0xFFFFFF) % filterLines, at
}

// filterOf makes the filter of a block with the given hashes.
func filterOf(hashes []byte) (f [filterBytes]byte) {
	for ; len(hashes) > 0; hashes = hashes[8:] {
		line, at := filterBits(binary.LittleEndian.Uint64(hashes))
		for _, bit := range at {
			f[line*filterLine+int(bit/8)] |= 1 << (bit % 8)
		}
	}
	return f
}

func passes(filter []byte, hash uint64) bool {
	line, at := filterBits(hash)
	for _, bit := range at {
		if filter[line*filterLine+int(bit/8)]>>(bit%8)&1 == 0 {
			return false
		}
	}
	return true
}

// mayHave reports whether the run may have entries under a hash; false is certain.
func (r *indexRun) mayHave(hash uint64) (bool, error) {
	b := searchFrom(r.guess(hash), r.blocks, func(b int) bool { return r.firstHash(b) >= hash })
	if b < r.blocks && r.firstHash(b) == hash {
		return true, nil
	}
	if b == 0 {
		return false, nil
	}
	filter := r.filters[(b-1)*filterBytes : b*filterBytes]
	if !r.sieved.Get(b - 1) {
		if crc32.Checksum(filter, castagnoli()) != binary.LittleEndian.Uint32(r.directory[(b-1)*directoryLine+24:]) {
			return false, fmt.Errorf("%w: filter %d of %s", errIndexDamaged, b-1, r.name)
		}
		r.sieved.Set(b - 1)
	}
	return passes(filter, hash), nil
}

// Pages of the runs that were looked at stay mapped, and count as memory of the process, until they are released: after
// so many blocks or entries, if there are enough to be worth it.
const (
	releaseBlocks = 512
	releaseEvery  = 1 << 17
	releaseBytes  = 64 << 20
)

// touch notes a look at blocks of the runs.
func (x *IdentityIndex) touch(blocks int) {
	if x.touched += blocks; x.touched < releaseBlocks {
		return
	}
	x.touched = 0
	release(x.runs)
}

// release gives the pages of runs back to the system if they are many; it keeps them at hand if it has room.
func release(runs []*indexRun) {
	size := 0
	for _, r := range runs {
		size += len(r.data)
	}
	if size < releaseBytes {
		return
	}
	for _, r := range runs {
		unload(r.data)
	}
}
