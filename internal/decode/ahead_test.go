package decode

import (
	"testing"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
)

// broken panics at its second chunk.
type broken struct{ chunks int }

func (b *broken) Next() (*vector.Chunk, error) {
	if b.chunks++; b.chunks == 2 {
		panic("a bug")
	}
	return &vector.Chunk{}, nil
}

func (b *broken) Rows() int64                               { return 0 }
func (b *broken) Rejected() (int64, []lakeward.RejectedRow) { return 0, nil }

// DLV-46: a panic of what reads ahead is an error of the upload; the process lives.
func TestPanicAheadIsAnError(t *testing.T) {
	rows, done := Ahead(&broken{})
	defer done()
	if _, err := rows.Next(); err != nil {
		t.Fatal(err)
	}
	if _, err := rows.Next(); lakeward.CodeOf(err) != lakeward.FailInternal {
		t.Errorf("a panic is told as %v", err)
	}
}
