// Package encode turns chunks into the bytes of a file format.
//
// It does not choose columns or rows. The one thing to know: columns are rendered in bands of rows, a dictionary's
// entries once for each dictionary and texts that need nothing not at all, and rows only copy what is there.
package encode

import (
	"encoding/binary"

	"github.com/lakeward/lakeward/internal/vector"
)

// cells holds the rendered cells of a column in the rows of a band: cell i is text[from[i]:to[i]] with what stands around it.
type cells struct {
	text     []byte
	from, to []uint32
	before   []byte // in front of each cell; some bytes may be read behind it
	lead     int    // its length
	behind   uint64 // the bytes behind each cell
	tail     int    // their number

	own []byte   // rendered one by one, or all that a boolean can be
	at  []uint32 // where each begins, and the end

	dict         *vector.Dictionary // whose entries are rendered: entry 0 is null, entry k+1 is code k
	dictText     []byte
	dictAt       []uint32
	starts, ends []uint32       // of the entries, or booleans, of the rows
	doubts       map[int32]bool // codes whose entry CSV without quotes cannot tell from several cells; nil for none
}

// pad is what may be read behind a text.
const pad = "                                " // wordBytes

// wordBytes is the length up to which a text is copied as words, with what stands behind it, which the next one covers.
const wordBytes = 32

// around makes text stand around the cells; behind has at most eight bytes.
func (c *cells) around(before []byte, behind string) {
	c.before, c.lead = append(append(c.before[:0], before...), pad...), len(before)
	var word [8]byte
	c.tail = copy(word[:], behind)
	c.behind = binary.LittleEndian.Uint64(word[:])
}

// renderDict renders the entries of a column's dictionary, unless it is that of the last chunk, and finds those of the rows.
func (c *cells) renderDict(v *vector.Vector, lo, hi int, null func(b []byte) []byte, entry func(b, s []byte) []byte) {
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
	for i, code := range v.Codes[lo:hi] {
		k := code + 1
		if v.Valid != nil && v.IsNull(lo+i) {
			k = 0
		}
		c.starts, c.ends = append(c.starts, c.dictAt[k]), append(c.ends, c.dictAt[k+1])
	}
	c.text, c.from, c.to = c.dictText, c.starts, c.ends
}

// renderBools finds the cells of a column of booleans among all that they can be.
func (c *cells) renderBools(v *vector.Vector, lo, hi int, null, no, yes string) {
	c.own = append(append(append(append(c.own[:0], null...), no...), yes...), pad...)
	at := [4]uint32{0, uint32(len(null)), uint32(len(null) + len(no)), uint32(len(null) + len(no) + len(yes))}
	c.starts, c.ends = c.starts[:0], c.ends[:0]
	for i := lo; i < hi; i++ {
		k := 0
		if !v.IsNull(i) {
			k = 1 + int(v.Bools[i>>6]>>(i&63)&1)
		}
		c.starts, c.ends = append(c.starts, at[k]), append(c.ends, at[k+1])
	}
	c.text, c.from, c.to = c.own, c.starts, c.ends
}

// render renders the cells of a column one by one.
func (c *cells) render(lo, hi int, cell func(b []byte, i int) []byte) {
	c.own, c.at = c.own[:0], append(c.at[:0], 0)
	for i := lo; i < hi; i++ {
		c.own = cell(c.own, i)
		c.at = append(c.at, uint32(len(c.own)))
	}
	c.own = append(c.own, pad...)
	c.text, c.from, c.to = c.own, c.at[:hi-lo], c.at[1:]
}

// asTheyAre takes the texts of a column as cells, without rendering them.
func (c *cells) asTheyAre(v *vector.Vector, lo, hi int) {
	c.text, c.from, c.to = v.Bytes, v.Offsets[lo:hi], v.Offsets[lo+1:hi+1]
}

// appendRow appends the cells of a row.
func appendRow(b []byte, columns []cells, row int) []byte {
	for i := range columns {
		c := &columns[i]
		if c.lead > 0 {
			b = appendWords(b, c.before, 0, c.lead)
		}
		b = appendWords(b, c.text, int(c.from[row]), int(c.to[row]))
		if c.tail > 0 {
			b = binary.LittleEndian.AppendUint64(b, c.behind)
			b = b[:len(b)-8+c.tail]
		}
	}
	return b
}

// appendWords appends text[from:to].
func appendWords(b, text []byte, from, to int) []byte {
	n := to - from
	if n > wordBytes || cap(b)-len(b) < wordBytes || len(text)-from < wordBytes {
		return append(b, text[from:to]...)
	}
	src, dst := text[from:from+wordBytes], b[len(b):len(b)+wordBytes]
	binary.LittleEndian.PutUint64(dst, binary.LittleEndian.Uint64(src))
	binary.LittleEndian.PutUint64(dst[8:], binary.LittleEndian.Uint64(src[8:]))
	if n > 16 {
		binary.LittleEndian.PutUint64(dst[16:], binary.LittleEndian.Uint64(src[16:]))
		binary.LittleEndian.PutUint64(dst[24:], binary.LittleEndian.Uint64(src[24:]))
	}
	return b[:len(b)+n]
}
