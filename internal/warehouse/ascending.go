package warehouse

import "github.com/RoaringBitmap/roaring/v2"

// ascending goes through the numbers of a bitmap beside others that ascend too: asking the bitmap itself searches for
// each number anew.
type ascending struct {
	numbers roaring.ManyIntIterable
	window  []uint32
	at      int
	before  int64 // numbers in the windows before
	memory  [1024]uint32
}

func newAscending(b *roaring.Bitmap) *ascending { return &ascending{numbers: b.ManyIterator()} }

// has reports whether the bitmap holds a number, which is not less than the last one asked for.
func (a *ascending) has(number uint32) bool {
	for {
		for a.at < len(a.window) {
			if n := a.window[a.at]; n >= number {
				return n == number
			}
			a.at++
		}
		a.before += int64(len(a.window))
		a.window, a.at = a.memory[:a.numbers.NextMany(a.memory[:])], 0
		if len(a.window) == 0 {
			return false
		}
	}
}

// rank is how many numbers of the bitmap are less than the last one asked for.
func (a *ascending) rank() int64 { return a.before + int64(a.at) }
