package warehouse

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/bits"
	"os"
	"sort"
	"syscall"

	"github.com/lakeward/lakeward/internal/vector"
)

// A run is one sorted file of the identity index. Blocks of entries come first, then a filter for each, which knows
// most hashes that are not in the block, then a directory with a line for each, then the footer:
//
//	block      the hashes of its entries, where each entry begins, the entries
//	filter     bits of the hashes
//	directory  first hash, offset, CRC-32C and number of entries of each block, CRC-32C of its filter
//	footer     offset of the filters, blocks, entries, CRC-32C of the directory, magic
//
// Every block and filter is held against its sum when it is first touched, so that nothing has to be synced: what a
// fall of the power left is found, and made anew.
const (
	runMagic      = "LWIX0002"
	blockEntries  = 128
	directoryLine = 28
	footerBytes   = 36
	entryHead     = 6 // number, kind, length of the namespace
)

var errIndexDamaged = errors.New("the identity index is damaged")

// entryKind says how a profile has an identity. The order is that of finding.
type entryKind uint8

const (
	primaryEntry entryKind = iota // a record is kept under it
	freeEntry                     // the profile has no primary identity of that namespace
	keyedEntry                    // it has one: a record kept under this value is somebody else's
	entryKinds
)

const deadEntry = 0x80

// indexEntry says that a profile has an identity or, if dead, that it has it no more.
type indexEntry struct {
	hash             uint64
	namespace, value []byte
	kind             entryKind
	number           uint32
	dead             bool
}

func (e indexEntry) compare(o indexEntry) int {
	if e.hash != o.hash { // nearly always
		return cmp.Compare(e.hash, o.hash)
	}
	return cmp.Or(bytes.Compare(e.namespace, o.namespace), bytes.Compare(e.value, o.value), cmp.Compare(e.kind, o.kind), cmp.Compare(e.number, o.number))
}

// same reports whether two entries are of one identity in one way.
func (e indexEntry) same(o indexEntry) bool {
	return e.hash == o.hash && e.kind == o.kind && bytes.Equal(e.namespace, o.namespace) && bytes.Equal(e.value, o.value)
}

// indexRun is an open run.
type indexRun struct {
	name      string
	data      []byte // mapped
	filters   []byte
	directory []byte
	blocks    int
	entries   int64
	checked   vector.Bits // blocks that equal their sums
	sieved    vector.Bits // blocks whose filters do
}

// openRun maps a run. The file may be closed and removed while the run is open.
func openRun(name string, f *os.File, size int64) (*indexRun, error) {
	if size < int64(len(runMagic)+footerBytes) {
		return nil, fmt.Errorf("%w: %s is too short", errIndexDamaged, name)
	}
	data, err := syscall.Mmap(int(f.Fd()), 0, int(size), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", name, err)
	}
	r := &indexRun{name: name, data: data}
	if err := r.readFooter(); err != nil {
		r.close()
		return nil, err
	}
	r.checked, r.sieved = vector.NewBits(r.blocks), vector.NewBits(r.blocks)
	return r, nil
}

func (r *indexRun) readFooter() error {
	foot := r.data[len(r.data)-footerBytes:]
	at, blocks, entries := binary.LittleEndian.Uint64(foot), binary.LittleEndian.Uint64(foot[8:]), binary.LittleEndian.Uint64(foot[16:])
	room := uint64(len(r.data) - footerBytes)
	if string(foot[28:]) != runMagic || blocks == 0 || at > room || blocks != (room-at)/(filterBytes+directoryLine) || (room-at)%(filterBytes+directoryLine) != 0 {
		return fmt.Errorf("%w: %s has no footer", errIndexDamaged, r.name)
	}
	r.filters, r.directory = r.data[at:at+blocks*filterBytes], r.data[at+blocks*filterBytes:room]
	if crc32.Checksum(r.directory, castagnoli()) != binary.LittleEndian.Uint32(foot[24:]) {
		return fmt.Errorf("%w: the directory of %s", errIndexDamaged, r.name)
	}
	r.blocks, r.entries = int(blocks), int64(entries)
	return nil
}

func (r *indexRun) close() {
	if r.data != nil {
		_ = syscall.Munmap(r.data)
		r.data, r.filters, r.directory = nil, nil, nil
	}
}

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

func (r *indexRun) firstHash(b int) uint64 {
	return binary.LittleEndian.Uint64(r.directory[b*directoryLine:])
}

// block returns the bytes of a block and the number of its entries, once they are proven.
func (r *indexRun) block(b int) ([]byte, int, error) {
	line := r.directory[b*directoryLine:]
	start, n := binary.LittleEndian.Uint64(line[8:]), int(binary.LittleEndian.Uint32(line[20:]))
	end := uint64(len(r.data) - footerBytes - len(r.directory) - len(r.filters))
	if b+1 < r.blocks {
		end = binary.LittleEndian.Uint64(line[directoryLine+8:])
	}
	if r.checked.Get(b) {
		return r.data[start:end], n, nil
	}
	if start > end || end > uint64(len(r.data)) || uint64(n*12) > end-start || crc32.Checksum(r.data[start:end], castagnoli()) != binary.LittleEndian.Uint32(line[16:]) {
		return nil, 0, fmt.Errorf("%w: block %d of %s", errIndexDamaged, b, r.name)
	}
	r.checked.Set(b)
	return r.data[start:end], n, nil
}

// entryAt decodes entry i of a block of n.
func entryAt(block []byte, n, i int) indexEntry {
	from, to := binary.LittleEndian.Uint32(block[n*8+i*4:]), uint32(len(block))
	if i+1 < n {
		to = binary.LittleEndian.Uint32(block[n*8+i*4+4:])
	}
	b := block[from:to]
	ns := int(b[5])
	return indexEntry{hash: binary.LittleEndian.Uint64(block[i*8:]), number: binary.LittleEndian.Uint32(b), kind: entryKind(b[4] &^ deadEntry),
		dead: b[4]&deadEntry != 0, namespace: b[entryHead : entryHead+ns], value: b[entryHead+ns:]}
}

// runCursor stands at an entry of a run.
type runCursor struct {
	run   *indexRun
	block int
	bytes []byte
	n, at int
}

// seek puts the cursor at the first entry that is not less than e.
func (r *indexRun) seek(e indexEntry) (runCursor, error) {
	// The first block that begins behind e; equal hashes may fill several blocks, so its first entry decides.
	var failed error
	b := searchFrom(r.guess(e.hash), r.blocks, func(b int) bool {
		h := r.firstHash(b)
		if h != e.hash || failed != nil {
			return h > e.hash
		}
		block, n, err := r.block(b)
		if err != nil {
			failed = err
			return true
		}
		return entryAt(block, n, 0).compare(e) > 0
	})
	c := runCursor{run: r, block: max(b-1, 0)}
	if err := errors.Join(failed, c.load()); err != nil {
		return c, err
	}
	c.at = searchFrom(c.guess(e.hash), c.n, func(i int) bool {
		h := binary.LittleEndian.Uint64(c.bytes[i*8:])
		return h > e.hash || h == e.hash && entryAt(c.bytes, c.n, i).compare(e) >= 0
	})
	return c, c.settle()
}

// guess is about the number of blocks that begin before a hash: hashes spread evenly.
func (r *indexRun) guess(hash uint64) int {
	share, _ := bits.Mul64(hash, uint64(r.blocks))
	return int(share)
}

// guess is about the number of entries of the block that stand before a hash.
func (c *runCursor) guess(hash uint64) int {
	if c.n == 0 {
		return 0
	}
	first, last := binary.LittleEndian.Uint64(c.bytes), binary.LittleEndian.Uint64(c.bytes[(c.n-1)*8:])
	if hash <= first {
		return 0
	}
	if hash >= last {
		return c.n - 1
	}
	return int(float64(hash-first) / float64(last-first) * float64(c.n-1))
}

// searchFrom is sort.Search in steps that double, from a place near which the result is believed to be.
func searchFrom(guess, n int, f func(int) bool) int {
	if n == 0 {
		return 0
	}
	lo := max(0, min(guess, n-1))
	hi := lo // the result is one of lo to hi once the loop ends
	if f(lo) {
		for step := 1; lo > 0 && f(lo-1); step *= 2 {
			lo, hi = max(0, lo-step), lo-1
		}
	} else {
		lo, hi = lo+1, lo+1
		for step := 1; hi < n && !f(hi); step *= 2 {
			lo, hi = hi+1, min(n, hi+step)
		}
	}
	return lo + sort.Search(hi-lo, func(i int) bool { return f(lo + i) })
}

func (c *runCursor) load() (err error) {
	c.bytes, c.n, err = c.run.block(c.block)
	c.at = 0
	return err
}

// settle goes on to the next block from the end of one.
func (c *runCursor) settle() error {
	if c.at < c.n || c.block+1 >= c.run.blocks {
		return nil
	}
	c.block++
	return c.load()
}

// has reports whether the current entry has a hash.
func (c *runCursor) has(hash uint64) bool { return c.at < c.n && c.hash() == hash }

// hash is that of the current entry, of which there is one.
func (c *runCursor) hash() uint64 { return binary.LittleEndian.Uint64(c.bytes[c.at*8:]) }

// entry returns the current entry; ok is false at the end of the run.
func (c *runCursor) entry() (e indexEntry, ok bool) {
	if c.at >= c.n {
		return e, false
	}
	return entryAt(c.bytes, c.n, c.at), true
}

func (c *runCursor) next() error {
	c.at++
	return c.settle()
}

// runWriter writes a run; entries come in their order, each once. It holds one block, the filters and the directory.
type runWriter struct {
	out       *bufio.Writer
	offset    uint64
	entries   uint64
	directory []byte
	filters   []byte
	hashes    []byte
	starts    []uint32
	body      []byte
}

func newRunWriter(w io.Writer) *runWriter {
	return &runWriter{out: bufio.NewWriterSize(w, 1<<18)}
}

func (w *runWriter) add(e indexEntry) error {
	w.hashes = binary.LittleEndian.AppendUint64(w.hashes, e.hash)
	w.starts = append(w.starts, uint32(len(w.body)))
	meta := byte(e.kind)
	if e.dead {
		meta |= deadEntry
	}
	w.body = binary.LittleEndian.AppendUint32(w.body, e.number)
	w.body = append(w.body, meta, byte(len(e.namespace)))
	w.body = append(append(w.body, e.namespace...), e.value...)
	w.entries++
	if len(w.starts) == blockEntries {
		return w.endBlock()
	}
	return nil
}

func (w *runWriter) endBlock() error {
	n := uint32(len(w.starts))
	if n == 0 {
		return nil
	}
	head := w.hashes // grows behind the hashes
	for _, s := range w.starts {
		head = binary.LittleEndian.AppendUint32(head, n*12+s)
	}
	sum := crc32.Update(crc32.Checksum(head, castagnoli()), castagnoli(), w.body)
	w.directory = append(w.directory, w.hashes[:8]...)
	w.directory = binary.LittleEndian.AppendUint64(w.directory, w.offset)
	w.directory = binary.LittleEndian.AppendUint32(w.directory, sum)
	w.directory = binary.LittleEndian.AppendUint32(w.directory, n)
	f := filterOf(w.hashes)
	w.filters = append(w.filters, f[:]...)
	w.directory = binary.LittleEndian.AppendUint32(w.directory, crc32.Checksum(f[:], castagnoli()))
	_, err := w.out.Write(head)
	if err == nil {
		_, err = w.out.Write(w.body)
	}
	w.offset += uint64(len(head) + len(w.body))
	w.hashes, w.starts, w.body = head[:0], w.starts[:0], w.body[:0]
	return err
}

// finish writes the directory and the footer.
func (w *runWriter) finish() error {
	if err := w.endBlock(); err != nil {
		return err
	}
	foot := binary.LittleEndian.AppendUint64(nil, w.offset)
	foot = binary.LittleEndian.AppendUint64(foot, uint64(len(w.directory)/directoryLine))
	foot = binary.LittleEndian.AppendUint64(foot, w.entries)
	foot = binary.LittleEndian.AppendUint32(foot, crc32.Checksum(w.directory, castagnoli()))
	foot = append(foot, runMagic...)
	for _, b := range [][]byte{w.filters, w.directory, foot} {
		if _, err := w.out.Write(b); err != nil {
			return err
		}
	}
	return w.out.Flush()
}
