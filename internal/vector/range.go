package vector

import (
	"math/bits"
	"slices"
)

// AppendRange adds values lo to hi-1 of src, as AppendFrom adds one.
func (v *Vector) AppendRange(src *Vector, lo, hi int) {
	if lo >= hi {
		return
	}
	switch v.Kind {
	case List, Map, Struct:
		for i := lo; i < hi; i++ {
			v.AppendFrom(src, i)
		}
		return
	case String:
		if v.Len == 0 && src.Dict != nil {
			v.Dict = src.Dict
		}
		if src.Dict != nil && v.Dict != src.Dict {
			for i := lo; i < hi; i++ {
				v.AppendFrom(src, i)
			}
			return
		}
		if src.Dict != nil {
			v.Codes = append(v.Codes, src.Codes[lo:hi]...)
			break
		}
		v.appendTexts(src.Bytes, src.Offsets[lo:hi+1])
	case Float:
		v.Floats = append(v.Floats, src.Floats[lo:hi]...)
	case Bool:
		v.appendBools(src.Bools, lo, hi)
	default:
		v.Ints = append(v.Ints, src.Ints[lo:hi]...)
	}
	v.appendNulls(src, lo, hi)
	v.Len += hi - lo
}

// AppendTexts adds texts that lie one behind the other: text k is bytes[offsets[k]:offsets[k+1]].
func (v *Vector) AppendTexts(bytes []byte, offsets []uint32) {
	v.appendTexts(bytes, offsets)
	v.Len += len(offsets) - 1
}

// appendTexts is AppendTexts for a caller that counts.
func (v *Vector) appendTexts(bytes []byte, offsets []uint32) {
	v.Plain()
	from, ends := offsets[0], offsets[1:]
	shift := uint32(len(v.Bytes)) - from // wraps around, as the sum below does
	v.Bytes = append(v.Bytes, bytes[from:offsets[len(ends)]]...)
	v.Offsets = slices.Grow(v.Offsets, len(ends))
	for _, end := range ends {
		v.Offsets = append(v.Offsets, end+shift)
	}
}

// appendBools adds bits lo to hi-1, a word at a time.
func (v *Vector) appendBools(src Bits, lo, hi int) {
	for at := v.Len; lo < hi; {
		n := min(64-at&63, hi-lo)
		if at&63 == 0 {
			v.Bools = append(v.Bools, 0)
		}
		v.Bools[at>>6] |= src.word(lo, n, 0) << (at & 63)
		lo, at = lo+n, at+n
	}
}

// appendNulls takes over which of the values that are about to be added are absent.
func (v *Vector) appendNulls(src *Vector, lo, hi int) {
	for at := lo; at < hi && src.Valid != nil && at>>6 < len(src.Valid); at += 64 {
		n := min(64, hi-at)
		for absent := ^src.Valid.word(at, n, ^uint64(0)) & (^uint64(0) >> (64 - n)); absent != 0; absent &= absent - 1 {
			v.SetNull(v.Len + at - lo + bits.TrailingZeros64(absent))
		}
	}
}

// SetNull marks value i, which is there or about to be added, as absent.
func (v *Vector) SetNull(i int) {
	if v.Valid == nil {
		v.Valid = make(Bits, 0, MaxRows/64)
	}
	for i>>6 >= len(v.Valid) {
		v.Valid = append(v.Valid, ^uint64(0))
	}
	v.Valid.Clear(i)
}

// word returns n bits, at most 64, from bit i on; those behind the bitmap are the bits of behind.
func (b Bits) word(i, n int, behind uint64) uint64 {
	at := func(k int) uint64 {
		if k < len(b) {
			return b[k]
		}
		return behind
	}
	w := at(i>>6) >> (i & 63)
	if i&63 != 0 {
		w |= at(i>>6+1) << (64 - i&63)
	}
	return w & (^uint64(0) >> (64 - n))
}
