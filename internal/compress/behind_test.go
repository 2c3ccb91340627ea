package compress

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/lakeward/lakeward"
)

type kept struct {
	bytes.Buffer
	failAt, closed int
}

func (k *kept) Write(p []byte) (int, error) {
	if k.failAt > 0 && k.Len()+len(p) >= k.failAt {
		return 0, errors.New("disk full")
	}
	return k.Buffer.Write(p)
}

func (k *kept) Close() error { k.closed++; return nil }

// What is written behind arrives as it was written, whatever the sizes, and the writer below is closed once.
func TestBehindWritesTheSame(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, sizes := range [][]int{{}, {0}, {1}, {behindBlock}, {behindBlock + 1}, {3 * behindBlock, 5, 7 * behindBlock}, {100, 1 << 20, 100}, nil} {
		if sizes == nil {
			for range 200 {
				sizes = append(sizes, rnd.IntN(100_000))
			}
		}
		to, want := &kept{}, []byte{}
		w := Behind(to)
		for _, n := range sizes {
			p := make([]byte, n)
			for i := range p {
				p[i] = byte(rnd.Uint32())
			}
			if k, err := w.Write(p); k != n || err != nil {
				t.Fatalf("wrote %d of %d: %v", k, n, err)
			}
			want = append(want, p...)
			clear(p) // the caller goes on with it
		}
		if err := errors.Join(w.Close(), w.Close()); err != nil || to.closed != 1 || !bytes.Equal(to.Bytes(), want) {
			t.Errorf("%d bytes of %d, closed %d times: %v", to.Len(), len(want), to.closed, err)
		}
		if _, err := w.Write([]byte("x")); err == nil {
			t.Error("a closed writer took more")
		}
	}
}

// An error below is told by a later write or by Close, and nothing hangs.
func TestBehindTellsErrors(t *testing.T) {
	for _, total := range []int{10, behindBlock, 40 * behindBlock} {
		to := &kept{failAt: 1}
		w := Behind(to)
		var werr error
		for written := 0; written < total && werr == nil; written += 10 {
			_, werr = w.Write(make([]byte, 10))
		}
		if total > 20*behindBlock && werr == nil {
			t.Errorf("%d bytes were taken by a writer that is broken", total)
		}
		if err := w.Close(); err == nil || to.closed != 1 {
			t.Errorf("%d bytes: Close says %v, closed %d times", total, err, to.closed)
		}
	}
}

// Blocks that are given away arrive in their place among what is written, and what comes back may be filled at once.
func TestBehindTakesBlocks(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	to, want := &kept{}, []byte{}
	w := Behind(to)
	var block []byte
	for k := range 400 {
		n := rnd.IntN(50_000)
		if k%97 == 0 {
			n = 5 * behindBlock
		}
		p := make([]byte, n)
		for i := range p {
			p[i] = byte(rnd.Uint32())
		}
		want = append(want, p...)
		var err error
		if rnd.IntN(3) == 0 {
			_, err = w.Write(p)
		} else {
			block, err = w.Take(append(block, p...))
		}
		if err != nil || len(block) != 0 {
			t.Fatalf("%d bytes come back: %v", len(block), err)
		}
	}
	if err := w.Close(); err != nil || !bytes.Equal(to.Bytes(), want) {
		t.Errorf("%d bytes of %d: %v", to.Len(), len(want), err)
	}
	if _, err := w.Take([]byte("x")); err == nil {
		t.Error("a closed writer took a block")
	}
	broken := Behind(&kept{failAt: 1})
	var err error
	block = nil
	for range 100 {
		if block, err = broken.Take(append(block, 1)); err != nil {
			break
		}
	}
	if err == nil || broken.Close() == nil {
		t.Error("a writer that is broken took 100 blocks")
	}
}

type broken struct{ kept }

func (b *broken) Write([]byte) (int, error) { panic("an index out of range") }

// DLV-46: a panic below, where archives are made and sealed, is told as an error, and the process lives.
func TestBehindTellsPanics(t *testing.T) {
	w := Behind(&broken{})
	_, werr := w.Write(make([]byte, 40*behindBlock))
	for _, err := range []error{werr, w.Close()} {
		if lakeward.CodeOf(err) != lakeward.FailInternal {
			t.Errorf("a panic is told as %v", err)
		}
	}
}
