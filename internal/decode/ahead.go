package decode

import (
	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/together"
	"github.com/lakeward/lakeward/internal/vector"
)

// ahead reads the next chunk while the caller works on the last one.
type ahead struct {
	rows Rows
	next together.Task
	read *vector.Chunk // by next
}

// Ahead reads rows one chunk ahead, beside the caller. Rows and Rejected may be called at the end only; done ends the
// reading and waits for it.
func Ahead(rows Rows) (ahead Rows, done func()) {
	a := newAhead(rows)
	return a, a.close
}

func newAhead(rows Rows) *ahead {
	a := &ahead{rows: rows}
	a.start()
	return a
}

func (a *ahead) start() {
	a.next.Start(func() (err error) {
		a.read, err = a.rows.Next()
		return err
	})
}

func (a *ahead) close() { _ = a.next.Wait() } // nobody asks for that chunk any more

func (a *ahead) Next() (*vector.Chunk, error) {
	if err := a.next.Wait(); err != nil {
		return nil, err
	}
	c := a.read
	a.start()
	return c, nil
}

func (a *ahead) Rows() int64 { return a.rows.Rows() }

func (a *ahead) Rejected() (int64, []lakeward.RejectedRow) { return a.rows.Rejected() }
