package compress

import (
	"errors"
	"io"

	"github.com/lakeward/lakeward"
)

// A writer behind holds at most behindBlocks blocks, one of which is being filled.
const (
	behindBlock  = 256 << 10
	behindBlocks = 4
)

// behind hands what is written to another writer in a goroutine of its own, so that packing goes on beside encoding. The
// bytes are the same.
type behind struct {
	to      io.WriteCloser
	full    chan []byte
	free    chan []byte
	ended   chan struct{} // closed when the goroutine has ended
	broken  chan struct{} // closed at the first error, which is err
	err     error
	block   []byte
	stopped bool
}

// Behind returns a writer that writes to w in a goroutine of its own. Errors of w come with a later Write or with Close,
// which writes the rest and closes w. Close must be called, also after an error; only the first counts. It has Take.
func Behind(w io.WriteCloser) io.WriteCloser {
	b := &behind{to: w, full: make(chan []byte, behindBlocks+1), free: make(chan []byte, behindBlocks+1), ended: make(chan struct{}), broken: make(chan struct{})}
	for range behindBlocks {
		b.free <- nil
	}
	b.block = <-b.free
	go b.run()
	return b
}

func (b *behind) run() {
	defer close(b.ended)
	for block := range b.full {
		if b.err == nil {
			if err := b.pack(block); err != nil {
				b.err = err
				close(b.broken)
			}
		}
		b.free <- block[:0] // never waits: there are as many places as blocks
	}
}

func (b *behind) pack(block []byte) (err error) {
	defer lakeward.Rescue(&err)
	_, err = b.to.Write(block)
	return err
}

// Write copies p.
func (b *behind) Write(p []byte) (int, error) {
	if b.stopped {
		return 0, io.ErrClosedPipe
	}
	n := len(p)
	for len(p) > 0 {
		select {
		case <-b.broken:
			return 0, b.err
		default:
		}
		if b.block == nil {
			b.block = make([]byte, 0, behindBlock)
		}
		k := min(len(p), behindBlock-len(b.block))
		b.block, p = append(b.block, p[:k]...), p[k:]
		if len(b.block) == behindBlock {
			b.full <- b.block // never waits either
			b.block = <-b.free
		}
	}
	return n, nil
}

// Take is Write without a copy: the block is given away, and an empty one with some room comes back for what follows.
func (b *behind) Take(block []byte) (empty []byte, err error) {
	if b.stopped || cap(block) > 4*behindBlock { // one that a long row made keeps its owner, so that few blocks are long
		_, err := b.Write(block)
		return block[:0], err
	}
	if len(b.block) > 0 { // came before
		b.full <- b.block
		b.block = <-b.free
	}
	select {
	case <-b.broken:
		return block[:0], b.err
	default:
	}
	b.full <- block // never waits: the caller has one block more
	return (<-b.free)[:0], nil
}

// Close ends the goroutine and closes the writer below, which has everything then.
func (b *behind) Close() error {
	if b.stopped {
		return nil
	}
	b.stopped = true
	if len(b.block) > 0 {
		b.full <- b.block
	}
	close(b.full)
	<-b.ended
	return errors.Join(b.err, b.to.Close())
}
