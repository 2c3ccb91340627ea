package encode

import "encoding/binary"

// What follows looks at eight bytes at a time. With y = x ^ a byte in all places, (y - ones) & ^y & tops is 0 only if none of
// the eight is that byte.
const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// byteSet are some bytes that texts are searched for.
type byteSet struct {
	each  []uint64 // in all eight places
	holds [256]bool
}

func newByteSet(bytes string) (b byteSet) {
	for _, c := range []byte(bytes) {
		if !b.holds[c] {
			b.holds[c], b.each = true, append(b.each, uint64(c)*ones)
		}
	}
	return b
}

// in reports whether a text has one of the bytes.
func (b *byteSet) in(s []byte) bool {
	for ; len(s) >= 8; s = s[8:] {
		x, found := binary.LittleEndian.Uint64(s), uint64(0)
		for _, e := range b.each {
			y := x ^ e
			found |= (y - ones) & ^y
		}
		if found&tops != 0 {
			return true
		}
	}
	for _, c := range s {
		if b.holds[c] {
			return true
		}
	}
	return false
}

// plainWords is the length of the words of eight bytes at the start of a text that stand in JSON as they are: ASCII without
// control characters, quotes and backslashes.
func plainWords(s []byte) int {
	i := 0
	for ; i+8 <= len(s); i += 8 {
		x := binary.LittleEndian.Uint64(s[i:])
		quote, slash := x^'"'*ones, x^'\\'*ones
		if (x|(x-' '*ones)&^x|(quote-ones)&^quote|(slash-ones)&^slash)&tops != 0 {
			break
		}
	}
	return i
}
