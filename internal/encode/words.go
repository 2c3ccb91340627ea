package encode

import "encoding/binary"

// What follows looks at eight bytes at a time. With y = x ^ a byte in all places, (y - ones) & ^y & tops is 0 only if none of
// the eight is that byte.
const (
	ones = 0x0101010101010101
	tops = 0x8080808080808080
)

// byteSet are up to four bytes that texts are searched for.
type byteSet struct {
	each  [4]uint64 // in all eight places; the first one again where there are fewer
	holds [256]bool
}

func newByteSet(bytes string) (b byteSet) {
	for i := range b.each {
		c := bytes[0]
		if i < len(bytes) {
			c = bytes[i]
		}
		b.holds[c], b.each[i] = true, uint64(c)*ones
	}
	return b
}

// in reports whether a text has one of the bytes.
func (b *byteSet) in(s []byte) bool {
	for ; len(s) >= 8; s = s[8:] {
		x := binary.LittleEndian.Uint64(s)
		p, q, r, t := x^b.each[0], x^b.each[1], x^b.each[2], x^b.each[3]
		if ((p-ones)&^p|(q-ones)&^q|(r-ones)&^r|(t-ones)&^t)&tops != 0 {
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
