package compress

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"
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
