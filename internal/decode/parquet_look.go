package decode

import (
	"bytes"
	"math"
	"unicode/utf8"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
)

// look examines the columns that were read as a whole, which takes a fraction of what the same takes value by value. Only
// what it does not find good is looked at again, row by row.
func (p *parquetRows) look() {
	before := p.texts // of the dictionaries of the last chunk, which often go on
	p.texts, p.clean, p.fine = map[*vector.Dictionary]bool{}, map[*vector.Vector]bool{}, make([]bool, len(p.leaves))
	for i, l := range p.leaves {
		p.lookAt(&p.read[i], before)
		p.fine[i] = p.allFine(lakeward.Field{Type: l.Type, Item: l.Item}, &p.read[i])
	}
}

// lookAt notes the texts of a vector that are all good.
func (p *parquetRows) lookAt(v *vector.Vector, before map[*vector.Dictionary]bool) {
	for i := range v.Fields {
		p.lookAt(&v.Fields[i], before)
	}
	if v.Kind != vector.String {
		return
	}
	if v.Dict == nil {
		p.clean[v] = cleanTexts(v.Bytes, v.Offsets)
		return
	}
	good, known := before[v.Dict]
	if !known {
		good, known = p.texts[v.Dict]
	}
	if !known {
		good = cleanTexts(v.Dict.Bytes, v.Dict.Offsets)
	}
	p.texts[v.Dict], p.clean[v] = good, good
}

// allFine says that wrong finds nothing in any row of a column.
func (p *parquetRows) allFine(f lakeward.Field, v *vector.Vector) bool {
	switch f.Type {
	case lakeward.TypeString:
		return p.clean[v]
	case lakeward.TypeInteger:
		for _, n := range v.Ints {
			if n > math.MaxInt32 || n < math.MinInt32 {
				return false
			}
		}
		return true
	case lakeward.TypeArray:
		return p.allFine(*f.Item, &v.Fields[0])
	case lakeward.TypeObject:
		for i, below := range f.Fields {
			if below.Required || !p.allFine(below, &v.Fields[i]) {
				return false
			}
		}
		return true
	}
	return f.Type != lakeward.TypeMap // whose keys are compared row by row
}

// cleanTexts says that texts that stand one behind another are all good: together they are UTF-8 without a NUL, each begins
// where a character does, and none is too long.
func cleanTexts(all []byte, offsets []uint32) bool {
	if len(offsets) == 0 {
		return true
	}
	from, to := offsets[0], offsets[len(offsets)-1]
	if !utf8.Valid(all[from:to]) || bytes.IndexByte(all[from:to], 0) >= 0 {
		return false
	}
	for i, o := range offsets {
		if o < to && !utf8.RuneStart(all[o]) || i > 0 && o-offsets[i-1] > maxCell {
			return false
		}
	}
	return true
}
