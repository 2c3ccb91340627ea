package decode

import (
	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
)

// ahead reads the next chunk while the caller works on the last one.
type ahead struct {
	rows Rows
	next chan read
	stop chan struct{}
}

type read struct {
	chunk *vector.Chunk
	err   error
}

// Ahead reads rows one chunk ahead, beside the caller. Rows and Rejected may be called at the end only; done ends the
// reading and waits for it.
func Ahead(rows Rows) (ahead Rows, done func()) {
	a := newAhead(rows)
	return a, a.close
}

func newAhead(rows Rows) *ahead {
	a := &ahead{rows: rows, next: make(chan read), stop: make(chan struct{})}
	go func() {
		defer close(a.next)
		for {
			c, err := a.read()
			select {
			case a.next <- read{c, err}:
			case <-a.stop:
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return a
}

// read reads a chunk. A panic is an error of the upload (DLV-46).
func (a *ahead) read() (c *vector.Chunk, err error) {
	defer lakeward.Rescue(&err)
	return a.rows.Next()
}

func (a *ahead) close() {
	close(a.stop)
	for range a.next { // until the reader is gone
	}
}

func (a *ahead) Next() (*vector.Chunk, error) {
	r := <-a.next
	return r.chunk, r.err
}

func (a *ahead) Rows() int64 { return a.rows.Rows() }

func (a *ahead) Rejected() (int64, []lakeward.RejectedRow) { return a.rows.Rejected() }
