package compress

import (
	"errors"
	"io"

	"github.com/lakeward/lakeward/internal/together"
)

// A writer behind holds at most behindBlocks blocks, one of which is being filled: more than a chunk of rows of
// usual length makes, so that packing one and encoding the next do not wait for each other.
const (
	behindBlock  = 256 << 10
	behindBlocks = 12
)

// Writer hands what is written to another writer in a goroutine of its own, so that packing goes on beside encoding. The
// bytes are the same.
type Writer struct {
	to    io.WriteCloser
	belt  *together.Belt[[]byte]
	block []byte
}

// Behind returns a writer that writes to w in a goroutine of its own. Errors of w come with a later Write or with Close,
// which writes the rest and closes w. Close must be called, also after an error; only the first counts.
func Behind(w io.WriteCloser) *Writer {
	pack := func(block []byte) error {
		_, err := w.Write(block)
		return err
	}
	return &Writer{to: w, belt: together.NewBelt(pack, make([][]byte, behindBlocks-1)...)}
}

// Write copies p.
func (b *Writer) Write(p []byte) (int, error) {
	if b.belt.Stopped() {
		return 0, io.ErrClosedPipe
	}
	n := len(p)
	for len(p) > 0 {
		if err := b.belt.Err(); err != nil {
			return 0, err
		}
		if b.block == nil {
			b.block = make([]byte, 0, behindBlock)
		}
		k := min(len(p), behindBlock-len(b.block))
		b.block, p = append(b.block, p[:k]...), p[k:]
		if len(b.block) == behindBlock {
			b.pass()
		}
	}
	return n, nil
}

// pass gives the open block away and opens another one.
func (b *Writer) pass() {
	b.belt.Give(b.block)
	b.block = b.belt.Take()[:0]
}

// Take is Write without a copy: the block is given away, and an empty one with some room comes back for what follows.
func (b *Writer) Take(block []byte) (empty []byte, err error) {
	if b.belt.Stopped() || cap(block) > 4*behindBlock { // one that a long row made keeps its owner, so that few blocks are long
		_, err := b.Write(block)
		return block[:0], err
	}
	if len(b.block) > 0 { // came before
		b.pass()
	}
	if err := b.belt.Err(); err != nil {
		return block[:0], err
	}
	b.belt.Give(block)
	return b.belt.Take()[:0], nil
}

// Close ends the goroutine and closes the writer below, which has everything then.
func (b *Writer) Close() error {
	if b.belt.Stopped() {
		return nil
	}
	if len(b.block) > 0 {
		b.belt.Give(b.block)
	}
	return errors.Join(b.belt.Stop(), b.to.Close())
}
