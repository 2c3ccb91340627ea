// Package encode turns chunks into the bytes of a file format.
//
// It does not choose columns or rows. The one thing to know: a column is rendered as a whole, a
// dictionary's entries once for each dictionary, and rows only copy what is rendered.
package encode

import (
	"fmt"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
)

// maxRowBytes is the largest row that is written; a larger one fails the run (DLV-44).
const maxRowBytes = 16 << 20

// flushAt is how many bytes are collected before they go to the writer.
const flushAt = 256 << 10

// cells holds the rendered cells of a column of the current chunk: cell i is text[at[i]:at[i+1]].
type cells struct {
	text []byte
	at   []uint32

	dict     *vector.Dictionary // whose entries are rendered: entry 0 is null, entry k+1 is code k
	dictText []byte
	dictAt   []uint32
}

// appendCell copies the rendered cell of a row.
func (c *cells) appendCell(b []byte, v *vector.Vector, row int) []byte {
	if v.Dict == nil {
		return append(b, c.text[c.at[row]:c.at[row+1]]...)
	}
	k := v.Codes[row] + 1
	if v.IsNull(row) {
		k = 0
	}
	return append(b, c.dictText[c.dictAt[k]:c.dictAt[k+1]]...)
}

// tooLong fails the run for a row (DLV-44).
func tooLong(row int64) error {
	return &lakeward.Error{Kind: lakeward.Invalid, Code: lakeward.FailRow,
		Msg: fmt.Sprintf("row %d is longer than 16 MiB; map fewer or shorter fields", row)}
}
