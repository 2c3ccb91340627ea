package warehouse

import "github.com/lakeward/lakeward/internal/vector"

// manyTexts is how many different texts of a column a dictionary keeps for the next window.
const manyTexts = 4096

// texts gives texts out of the dictionaries of many files one dictionary, so that a condition looks at each text once.
type texts struct {
	codes   map[string]int32
	offsets []uint32
	bytes   []byte
	dict    *vector.Dictionary // of all texts so far; its entries keep their codes as it grows
}

func newTexts() *texts {
	return &texts{codes: map[string]int32{}, offsets: []uint32{0}, dict: &vector.Dictionary{}}
}

// code is the code of a text.
func (t *texts) code(text []byte) int32 {
	if code, ok := t.codes[string(text)]; ok {
		return code
	}
	code := int32(len(t.codes))
	t.codes[string(text)] = code
	t.bytes = append(t.bytes, text...)
	t.offsets = append(t.offsets, uint32(len(t.bytes)))
	return code
}

// dictionary holds all texts so far.
func (t *texts) dictionary() *vector.Dictionary {
	if t.dict.Len() < len(t.codes) {
		t.dict = &vector.Dictionary{Offsets: t.offsets, Bytes: t.bytes} // what is added later stands behind both
	}
	return t.dict
}

// recoding are the codes of a file's dictionary in that of all texts.
type recoding struct {
	from  *vector.Dictionary
	to    *texts
	codes []int32 // -1 for what was not needed yet
}

// begin makes a vector ready for texts: codes, as long as no text comes without one.
func (t *texts) begin(v *vector.Vector) { v.Dict = t.dict }

// add appends texts lo to hi-1 of a column.
func (t *texts) add(v, src *vector.Vector, lo, hi int, r *recoding) {
	if lo >= hi {
		return
	}
	if v.Dict == nil || src.Dict == nil {
		if v.Dict != nil {
			t.end(v)
		}
		v.AppendRange(src, lo, hi)
		return
	}
	if r.from != src.Dict || r.to != t {
		*r = recoding{from: src.Dict, to: t, codes: make([]int32, src.Dict.Len())}
		for i := range r.codes {
			r.codes[i] = -1
		}
	}
	if src.Valid == nil {
		for _, from := range src.Codes[lo:hi] {
			v.Codes = append(v.Codes, r.code(from))
		}
		v.Len += hi - lo
		return
	}
	for i := lo; i < hi; i++ {
		if src.IsNull(i) {
			v.AppendNull()
			continue
		}
		v.AppendCode(r.code(src.Codes[i]))
	}
}

// code is the code among all texts for one of the file.
func (r *recoding) code(from int32) int32 {
	if r.codes[from] < 0 {
		r.codes[from] = r.to.code(r.from.Value(from))
	}
	return r.codes[from]
}

// end gives a vector of codes the dictionary that they stand for; one without any text gets none.
func (t *texts) end(v *vector.Vector) {
	if v.Dict == nil {
		return
	}
	if v.Dict = t.dictionary(); v.Dict.Len() == 0 {
		v.Plain()
	}
}
