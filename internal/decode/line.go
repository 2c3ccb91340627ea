package decode

import (
	"bytes"
	"encoding/binary"
	"math/bits"
)

// wholeLine reads a row that is one line, all of which is read and nothing of which has to be changed: its cells stay
// where they are. Any other is left to be read byte by byte, which says what is wrong with it.
func (r *rowReader) wholeLine() bool {
	n := bytes.IndexByte(r.buf[r.pos:r.size], '\n')
	if n < 0 {
		return false
	}
	line := bytes.TrimSuffix(r.buf[r.pos:r.pos+n], []byte("\r"))
	if !r.split(line) {
		return false
	}
	r.data = line
	r.pos, r.read, r.line = r.pos+n+1, n+1, r.line+1
	return true
}

// split finds the cells of a line; false if it is no row by itself, or one with quotes inside of quotes.
func (r *rowReader) split(line []byte) bool {
	for at := 0; ; at++ {
		from, quoted := at, at < len(line) && line[at] == '"'
		if quoted {
			n := bytes.IndexByte(line[at+1:], '"')
			if n < 0 {
				return false
			}
			from, at = at+1, at+1+n
			r.cells = append(r.cells, span{from, at, true})
			at++
		} else {
			at = cellEnd(line, at)
			r.cells = append(r.cells, span{from, at, false})
		}
		if at == len(line) {
			return true
		}
		if line[at] != ',' {
			return false
		}
	}
}

// cellEnd is the place of the first comma or quote from a place on, or the end.
func cellEnd(line []byte, at int) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for ; at+8 <= len(line); at += 8 {
		word := binary.LittleEndian.Uint64(line[at:])
		comma, quote := word^(ones*','), word^(ones*'"')
		// A byte that was 0 is the lowest one whose high bit the difference sets; those above it may be wrong.
		if found := ((comma-ones)&^comma | (quote-ones)&^quote) & highs; found != 0 {
			return at + bits.TrailingZeros64(found)/8
		}
	}
	for at < len(line) && line[at] != ',' && line[at] != '"' {
		at++
	}
	return at
}
