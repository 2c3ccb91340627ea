package warehouse

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/lakeward/lakeward/internal/vector"
)

// The texts of columns with dictionaries of their own, without any, and with nulls stay what they are, and share one
// dictionary as long as all have one.
func TestTextsOfManyDictionaries(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all, used := newTexts(), make([]recoding, 3)
		for range rapid.IntRange(1, 4).Draw(t, "windows") {
			if rapid.Bool().Draw(t, "begins anew") {
				all = newTexts()
			}
			var got vector.Vector
			var want []string
			got.Reset(vector.String)
			all.begin(&got)
			plain := false
			for range rapid.IntRange(0, 6).Draw(t, "columns") {
				file := rapid.IntRange(0, 2).Draw(t, "file")
				coded := rapid.Bool().Draw(t, "coded")
				src, list := drawTexts(t, file, coded)
				lo := rapid.IntRange(0, src.Len).Draw(t, "lo")
				all.add(&got, &src, lo, src.Len, &used[file])
				want = append(want, list[lo:]...)
				plain = plain || !coded
			}
			all.end(&got)
			var have []string
			for i := range got.Len {
				have = append(have, fmt.Sprint(got.IsNull(i), string(got.Str(i))))
			}
			if !slices.Equal(have, want) {
				t.Fatalf("%q, want %q", have, want)
			}
			filled := slices.ContainsFunc(want, func(s string) bool { return s != "true" })
			if filled && !plain && got.Dict == nil {
				t.Fatalf("no dictionary for %q", want)
			}
		}
	})
}

// drawTexts draws a column of a file, and what it holds.
func drawTexts(t *rapid.T, file int, coded bool) (v vector.Vector, list []string) {
	words := []string{"a", "bb", fmt.Sprint("file ", file)}
	v.Reset(vector.String)
	if coded {
		v.Dict = &vector.Dictionary{Offsets: []uint32{0}}
		for i := range words { // each file in an order of its own
			v.Dict.Bytes = append(v.Dict.Bytes, words[(i+file)%3]...)
			v.Dict.Offsets = append(v.Dict.Offsets, uint32(len(v.Dict.Bytes)))
		}
	}
	for range rapid.IntRange(0, 5).Draw(t, "rows") {
		k := rapid.IntRange(-1, 2).Draw(t, "word")
		switch {
		case k < 0:
			v.AppendNull()
		case coded:
			v.AppendCode(int32(k))
			k = (k + file) % 3
		default:
			v.AppendString([]byte(words[k]))
		}
		if k < 0 {
			list = append(list, "true")
		} else {
			list = append(list, fmt.Sprint(false, words[k]))
		}
	}
	return v, list
}
