package dataprep_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/lakeward/lakeward/internal/vector"
)

// chunkOf makes a chunk of profiles in JSON.
func chunkOf(t testing.TB, text string) *vector.Chunk {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var profiles []map[string]any
	if err := d.Decode(&profiles); err != nil {
		t.Fatal(err)
	}
	return chunkFrom(profiles)
}

func chunkFrom(profiles []map[string]any) *vector.Chunk {
	c := &vector.Chunk{Len: len(profiles)}
	all := map[string]int{}
	for k, l := range leaves() {
		all[l.Path] = k
		v := vector.Vector{}
		v.ResetTo(vector.ShapeOf(l))
		c.Columns = append(c.Columns, v)
	}
	for i, p := range profiles {
		c.Numbers = append(c.Numbers, uint32(i+7))
		for _, l := range leaves() {
			f := fieldOf(l)
			appendJSON(&c.Columns[all[l.Path]], f, at(p, strings.Split(l.Path, ".")...))
		}
	}
	return c
}

func number(s string) json.Number { return json.Number(s) }

// dictionaries turns the text columns into codes.
func dictionaries(c *vector.Chunk) {
	for k := range c.Columns {
		v := &c.Columns[k]
		if v.Kind != vector.String {
			continue
		}
		codes := map[string]int32{}
		out := vector.Vector{Kind: vector.String, Len: v.Len, Valid: v.Valid, Dict: &vector.Dictionary{Offsets: []uint32{0}}}
		for i := range v.Len {
			s := string(v.Str(i))
			code, known := codes[s]
			if !known {
				code = int32(len(codes))
				codes[s] = code
				out.Dict.Bytes = append(out.Dict.Bytes, s...)
				out.Dict.Offsets = append(out.Dict.Offsets, uint32(len(out.Dict.Bytes)))
			}
			out.Codes = append(out.Codes, code)
		}
		*v = out
	}
}
