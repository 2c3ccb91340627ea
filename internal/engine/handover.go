package engine

import (
	"github.com/lakeward/lakeward/internal/together"
	"github.com/lakeward/lakeward/internal/vector"
)

// handover is an encoder that works in a goroutine of its own, so that reading and mapping go on beside encoding. The
// bytes are the same. It holds copies of two chunks: one is filled while the other one is worked on.
type handover struct {
	to    encoder
	belt  *together.Belt[*vector.Chunk]
	given int64 // rows
}

// newHandover hands chunks to an encoder. Close must be called, also after an error.
func newHandover(to encoder) *handover {
	return &handover{to: to, belt: together.NewBelt(to.Write, new(vector.Chunk), new(vector.Chunk))}
}

// Write copies the chunk. An error of the encoder comes with a later call or with Close.
func (h *handover) Write(chunk *vector.Chunk) error {
	c := h.belt.Take()
	c.CopyFrom(chunk)
	h.given += int64(c.Len)
	h.belt.Give(c)
	return h.belt.Err()
}

// Rows is the number of rows given, once it is closed that of those written.
func (h *handover) Rows() int64 {
	if h.belt.Stopped() {
		return h.to.Rows()
	}
	return h.given
}

// stop ends the goroutine; what was given is encoded then, or will never be.
func (h *handover) stop() { _ = h.belt.Stop() } // whoever does not close has an error already

// Close ends the goroutine and the encoder.
func (h *handover) Close() error {
	if err := h.belt.Stop(); err != nil {
		return err
	}
	return h.to.Close()
}
