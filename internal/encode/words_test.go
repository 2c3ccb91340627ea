package encode

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// Looking at eight bytes at a time finds what looking at each finds.
func TestWords(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	set := newByteSet(",\"\r\n")
	others := []byte("abcz09 ,\"\\\r\n\x1f\x7f\x80\xff\x00!#[]-+.\xc3\xa9")
	hits := 0
	for range 200_000 {
		s := make([]byte, rnd.IntN(30))
		for i := range s {
			if s[i] = 'a' + byte(rnd.IntN(26)); rnd.IntN(12) == 0 {
				s[i] = others[rnd.IntN(len(others))]
			}
		}
		want := bytes.ContainsAny(s, ",\"\r\n")
		if set.in(s) != want {
			t.Fatalf("%q: found %t, want %t", s, !want, want)
		}
		if want {
			hits++
		}
		plain := 0
		for plain < len(s) && s[plain] >= ' ' && s[plain] < 0x80 && s[plain] != '"' && s[plain] != '\\' {
			plain++
		}
		if got := plainWords(s); got != plain/8*8 {
			t.Fatalf("%q: %d plain bytes in words, want %d", s, got, plain/8*8)
		}
	}
	if hits < 10_000 || hits > 190_000 {
		t.Errorf("%d texts have one: they tell nothing apart", hits)
	}
}
