package decode

import (
	"math/rand/v2"
	"testing"
)

// Looking at texts together says of them what looking at each says, also where one ends inside a character that the next
// one completes.
func TestCleanTexts(t *testing.T) {
	pieces := []string{"", "a", "plain text", "é", "\xc3", "\xa9", "\xe2\x82", "\xac", "€", "\x00", "\U0001F600", "\xff"}
	rnd := rand.New(rand.NewPCG(7, 8))
	clean, dirty := 0, 0
	for range 20000 {
		all, offsets := []byte("\xa9before"), []uint32{7}
		want := true
		for range rnd.IntN(6) {
			s := pieces[rnd.IntN(len(pieces))]
			all, want = append(all, s...), want && badText([]byte(s)) == ""
			offsets = append(offsets, uint32(len(all)))
		}
		if got := cleanTexts(all, offsets); got != want {
			t.Fatalf("%q by %v: %t, want %t", all, offsets, got, want)
		}
		if want {
			clean++
		} else {
			dirty++
		}
	}
	if clean < 1000 || dirty < 1000 {
		t.Errorf("%d clean, %d dirty", clean, dirty)
	}
	long := make([]byte, 2*maxCell+1)
	if cleanTexts(long[:0], []uint32{0}) != true || cleanTexts([]byte(string(long[:maxCell])), []uint32{0, maxCell}) {
		t.Error("no text is clean, and one of NULs is not")
	}
	for i := range long {
		long[i] = 'x'
	}
	if !cleanTexts(long, []uint32{0, maxCell, 2 * maxCell}) || cleanTexts(long, []uint32{0, maxCell, 2*maxCell + 1}) {
		t.Error("a text may have 1 MiB and no more")
	}
}
