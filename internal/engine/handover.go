package engine

import (
	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
)

// handoverChunks are the copies of chunks that a handover holds: one is filled while another one is worked on.
const handoverChunks = 2

// handover is an encoder that works in a goroutine of its own, so that reading and mapping go on beside encoding. The
// bytes are the same.
type handover struct {
	to     encoder
	full   chan *vector.Chunk
	free   chan *vector.Chunk
	broken chan struct{} // closed at the first error, which is err
	ended  chan struct{} // closed when the goroutine has ended
	err    error
	given  int64 // rows
	closed bool
}

// newHandover hands chunks to an encoder. Close must be called, also after an error.
func newHandover(to encoder) *handover {
	h := &handover{to: to, full: make(chan *vector.Chunk, handoverChunks), free: make(chan *vector.Chunk, handoverChunks), broken: make(chan struct{}), ended: make(chan struct{})}
	for range handoverChunks {
		h.free <- new(vector.Chunk)
	}
	go h.run()
	return h
}

func (h *handover) run() {
	defer close(h.ended)
	for c := range h.full {
		if h.err == nil {
			if h.err = h.encode(c); h.err != nil {
				close(h.broken)
			}
		}
		h.free <- c // never waits: there are as many places as chunks
	}
}

func (h *handover) encode(c *vector.Chunk) (err error) {
	defer lakeward.Rescue(&err)
	return h.to.Write(c)
}

// Write copies the chunk. An error of the encoder comes with a later call or with Close.
func (h *handover) Write(chunk *vector.Chunk) error {
	c := <-h.free
	select {
	case <-h.broken:
		h.free <- c
		return h.err
	default:
	}
	c.CopyFrom(chunk)
	h.given += int64(c.Len)
	h.full <- c // never waits either
	return nil
}

// Rows is the number of rows given, once it is closed that of those written.
func (h *handover) Rows() int64 {
	if h.closed {
		return h.to.Rows()
	}
	return h.given
}

// stop ends the goroutine; what was given is encoded then, or will never be.
func (h *handover) stop() {
	if !h.closed {
		h.closed = true
		close(h.full)
		<-h.ended
	}
}

// Close ends the goroutine and the encoder.
func (h *handover) Close() error {
	if h.stop(); h.err != nil {
		return h.err
	}
	return h.to.Close()
}
