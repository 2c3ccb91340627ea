package encode

import (
	"fmt"
	"io"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
)

// maxRowBytes is the largest row that is written; a larger one fails the run (DLV-44).
const maxRowBytes = 16 << 20

const (
	// flushAt is how many bytes are collected before they go to the writer.
	flushAt = 256 << 10
	// flushRoom is the room for that and a row behind it, so that the buffer seldom grows.
	flushRoom = flushAt + 64<<10
	// band is how many rows are rendered before they are joined, so that what is rendered is still in the cache then.
	band = 512
)

// Taker is a writer that can take a block over instead of copying it, and gives an empty one back.
type Taker interface {
	Take(block []byte) (empty []byte, err error)
}

// lines writes rows as lines of text, a band at a time: first the cells of each column, then row by row what they give.
type lines struct {
	out     io.Writer
	columns []cells
	buf     []byte
	rows    int64
}

func newLines(out io.Writer, columns int) lines {
	return lines{out: out, columns: make([]cells, columns), buf: make([]byte, 0, flushRoom)}
}

// write adds the rows of a chunk. render makes the cells of column i for the rows from lo to before hi; appendRow appends a
// row of those.
func (l *lines) write(chunk *vector.Chunk, render func(i int, v *vector.Vector, lo, hi int), appendRow func(b []byte, row int) []byte) error {
	if len(chunk.Columns) != len(l.columns) {
		return fmt.Errorf("encode: %d columns, want %d", len(chunk.Columns), len(l.columns))
	}
	for lo := 0; lo < chunk.Len; lo += band {
		hi := min(lo+band, chunk.Len)
		for i := range l.columns {
			render(i, &chunk.Columns[i], lo, hi)
		}
		for row := range hi - lo {
			start := len(l.buf)
			l.buf = appendRow(l.buf, row)
			if len(l.buf)-start > maxRowBytes {
				return tooLong(l.rows + 1)
			}
			l.rows++
			if len(l.buf) >= flushAt {
				if err := l.flush(); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// Close writes what is left. It does not close the writer below.
func (l *lines) Close() error { return l.flush() }

// Rows is the number of rows written; the header of a CSV file is none.
func (l *lines) Rows() int64 { return l.rows }

// flush hands on what is collected.
func (l *lines) flush() (err error) {
	if len(l.buf) == 0 {
		return nil
	}
	t, ok := l.out.(Taker)
	if !ok {
		_, err := l.out.Write(l.buf)
		l.buf = l.buf[:0]
		return err
	}
	l.buf, err = t.Take(l.buf)
	if cap(l.buf) < flushRoom {
		l.buf = make([]byte, 0, flushRoom)
	}
	return err
}

// tooLong fails the run for a row (DLV-44).
func tooLong(row int64) error {
	return &lakeward.Error{Kind: lakeward.Invalid, Code: lakeward.FailRow,
		Msg: fmt.Sprintf("row %d is longer than 16 MiB; map fewer or shorter fields", row)}
}
