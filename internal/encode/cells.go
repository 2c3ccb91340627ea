// Package encode turns chunks into the bytes of a file format.
//
// It does not choose columns or rows. The one thing to know: a column is rendered as a whole, a
// dictionary's entries once for each dictionary, and rows only copy what is rendered.
package encode

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
)

// maxRowBytes is the largest row that is written; a larger one fails the run (DLV-44).
const maxRowBytes = 16 << 20

// flushAt is how many bytes are collected before they go to the writer.
const flushAt = 256 << 10

// Taker is a writer that can take a block over instead of copying it, and gives an empty one back.
type Taker interface {
	Take(block []byte) (empty []byte, err error)
}

// flush writes what is collected and returns an empty buffer.
func flush(out io.Writer, b []byte) ([]byte, error) {
	if len(b) == 0 {
		return b, nil
	}
	t, ok := out.(Taker)
	if !ok {
		_, err := out.Write(b)
		return b[:0], err
	}
	b, err := t.Take(b)
	if cap(b) < flushRoom {
		b = make([]byte, 0, flushRoom)
	}
	return b, err
}

// flushRoom is the room for that and a row behind it, so that the buffer seldom grows.
const flushRoom = flushAt + 64<<10

// cells holds the rendered cells of a column of the current chunk, each with what stands behind it in a row: cell i is
// text[from[i]:to[i]], and some bytes may be read behind the last one.
type cells struct {
	text     []byte
	from, to []uint32

	own []byte   // rendered one by one
	at  []uint32 // where each begins, and the end

	dict         *vector.Dictionary // whose entries are rendered: entry 0 is null, entry k+1 is code k
	dictText     []byte
	dictAt       []uint32
	starts, ends []uint32       // of the entries of the rows
	doubts       map[int32]bool // codes whose entry CSV without quotes cannot tell from several cells; nil for none
}

// pad is what may be read behind the last cell.
const pad = "                                " // wordBytes

// wordBytes is the length up to which a cell is copied as words, with what stands behind it, which the next one covers.
const wordBytes = 32

// renderDict renders the entries of a column's dictionary, unless it is that of the last chunk, and finds those of its rows.
func (c *cells) renderDict(v *vector.Vector, null func(b []byte) []byte, entry func(b, s []byte) []byte) {
	if c.dict != v.Dict {
		c.dict = v.Dict
		c.dictText = null(c.dictText[:0])
		c.dictAt = append(c.dictAt[:0], 0, uint32(len(c.dictText)))
		for k := range v.Dict.Len() {
			c.dictText = entry(c.dictText, v.Dict.Value(int32(k)))
			c.dictAt = append(c.dictAt, uint32(len(c.dictText)))
		}
		c.dictText = append(c.dictText, pad...)
	}
	c.starts, c.ends = c.starts[:0], c.ends[:0]
	for i, code := range v.Codes[:v.Len] {
		k := code + 1
		if v.Valid != nil && v.IsNull(i) {
			k = 0
		}
		c.starts, c.ends = append(c.starts, c.dictAt[k]), append(c.ends, c.dictAt[k+1])
	}
	c.text, c.from, c.to = c.dictText, c.starts, c.ends
}

// render renders the cells of a column one by one.
func (c *cells) render(n int, cell func(b []byte, i int) []byte) {
	c.own, c.at = c.own[:0], append(c.at[:0], 0)
	for i := range n {
		c.own = cell(c.own, i)
		c.at = append(c.at, uint32(len(c.own)))
	}
	c.own = append(c.own, pad...)
	c.text, c.from, c.to = c.own, c.at[:n], c.at[1:]
}

// appendRow appends the cells of a row.
func appendRow(b []byte, columns []cells, row int) []byte {
	for i := range columns {
		c := &columns[i]
		from, to := c.from[row], c.to[row]
		n := int(to - from)
		if n > wordBytes || cap(b)-len(b) < wordBytes {
			b = append(b, c.text[from:to]...)
			continue
		}
		src, dst := c.text[from:from+wordBytes], b[len(b):len(b)+wordBytes]
		binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(src))
		binary.LittleEndian.PutUint64(dst[8:], binary.LittleEndian.Uint64(src[8:]))
		if n > 16 {
			binary.LittleEndian.PutUint64(dst[16:], binary.LittleEndian.Uint64(src[16:]))
			binary.LittleEndian.PutUint64(dst[24:], binary.LittleEndian.Uint64(src[24:]))
		}
		b = b[:len(b)+n]
	}
	return b
}

// tooLong fails the run for a row (DLV-44).
func tooLong(row int64) error {
	return &lakeward.Error{Kind: lakeward.Invalid, Code: lakeward.FailRow,
		Msg: fmt.Sprintf("row %d is longer than 16 MiB; map fewer or shorter fields", row)}
}
