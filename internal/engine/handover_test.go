package engine

import (
	"errors"
	"testing"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
)

// slowEncoder keeps the numbers that it is given, and fails at a chunk.
type slowEncoder struct {
	got    []int64
	chunks int
	failAt int
	panics bool // instead
	closed bool
}

var errFull = errors.New("disk full")

func (e *slowEncoder) Write(c *vector.Chunk) error {
	if e.chunks++; e.chunks == e.failAt {
		if e.panics {
			panic(errFull)
		}
		return errFull
	}
	e.got = append(e.got, c.Columns[0].Ints[:c.Len]...)
	return nil
}

func (e *slowEncoder) Rows() int64 { return int64(len(e.got)) }

func (e *slowEncoder) Close() error { e.closed = true; return nil }

// What is handed over arrives in order, though the giver goes on with its chunk.
func TestHandover(t *testing.T) {
	to := &slowEncoder{}
	h, chunk := newHandover(to), &vector.Chunk{Columns: make([]vector.Vector, 1)}
	const chunks, rows = 50, 7
	for k := range int64(chunks) {
		chunk.Columns[0].Reset(vector.Int)
		for i := range int64(rows) {
			chunk.Columns[0].AppendInt(k*rows + i)
		}
		chunk.Len = rows
		if err := h.Write(chunk); err != nil {
			t.Fatal(err)
		}
		if h.Rows() != (k+1)*rows {
			t.Fatalf("%d rows are given, want %d", h.Rows(), (k+1)*rows)
		}
	}
	if err := h.Close(); err != nil || !to.closed || h.Rows() != chunks*rows {
		t.Fatalf("closed %t with %d rows: %v", to.closed, h.Rows(), err)
	}
	for i, n := range to.got {
		if n != int64(i) {
			t.Fatalf("row %d is %d", i, n)
		}
	}
}

// An error of the encoder is told by a later write or by Close; after it nothing is encoded and nothing hangs.
func TestHandoverTellsErrors(t *testing.T) {
	for _, chunks := range []int{1, 2, 3, 50} {
		to := &slowEncoder{failAt: 1}
		h, chunk := newHandover(to), &vector.Chunk{Len: 1, Columns: []vector.Vector{{Kind: vector.Int, Len: 1, Ints: []int64{1}}}}
		var werr error
		for k := 0; k < chunks && werr == nil; k++ {
			werr = h.Write(chunk)
		}
		if chunks > 10 && !errors.Is(werr, errFull) {
			t.Errorf("%d chunks were taken by an encoder that failed: %v", chunks, werr)
		}
		if err := h.Close(); !errors.Is(err, errFull) || to.closed || to.chunks != 1 {
			t.Errorf("after %d chunks Close says %v, the encoder got %d, closed %t", chunks, err, to.chunks, to.closed)
		}
	}
}

// DLV-46: a panic of the encoder, which works in a goroutine of its own, is an error of the attempt; the process lives.
func TestHandoverTellsPanics(t *testing.T) {
	to := &slowEncoder{failAt: 2, panics: true}
	h, chunk := newHandover(to), &vector.Chunk{Len: 1, Columns: []vector.Vector{{Kind: vector.Int, Len: 1, Ints: []int64{1}}}}
	var werr error
	for k := 0; k < 50 && werr == nil; k++ {
		werr = h.Write(chunk)
	}
	for _, err := range []error{werr, h.Close()} {
		if lakeward.CodeOf(err) != lakeward.FailInternal || to.chunks != 2 || to.closed {
			t.Errorf("%v behind %d chunks, closed %t", err, to.chunks, to.closed)
		}
	}
}
