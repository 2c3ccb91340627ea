package parquet

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"strings"

	"github.com/lakeward/lakeward/internal/vector"
)

// levels are the repetition and definition level of a place in the tree: how many repeated, and how many
// repeated or optional nodes stand on the way to it.
type levels struct{ rep, def byte }

// branch writes one column: a leaf, or a list, map or struct with the leaves below it.
type branch struct {
	Column
	required bool
	at       levels // of a value that is present
	leaf     *columnWriter
	below    []*branch
}

// newBranch plans a column below a path; nil is the top, where dots in the name stand for groups that are always there.
func newBranch(c Column, path []string, at levels, required bool) *branch {
	nested := path != nil
	if nested {
		path = append(path[:len(path):len(path)], c.Path)
	} else {
		path = strings.Split(c.Path, ".")
	}
	b := &branch{Column: c, required: required, at: at}
	if !required {
		b.at.def++
	}
	item := levels{b.at.rep + 1, b.at.def + 1}
	switch c.Kind {
	case vector.List:
		e := c.Fields[0]
		e.Path = "element"
		b.below = []*branch{newBranch(e, append(path, "list"), item, false)}
	case vector.Map:
		key, value := c.Fields[0], c.Fields[1]
		key.Path, value.Path = "key", "value"
		b.below = []*branch{newBranch(key, append(path, "key_value"), item, true), newBranch(value, append(path, "key_value"), item, false)}
	case vector.Struct:
		for _, f := range c.Fields {
			b.below = append(b.below, newBranch(f, path, b.at, false))
		}
	default:
		b.leaf = &columnWriter{Column: c, path: path, levels: b.at, nested: nested}
	}
	return b
}

func (b *branch) addLeaves(out []*columnWriter) []*columnWriter {
	if b.leaf != nil {
		return append(out, b.leaf)
	}
	for _, f := range b.below {
		out = f.addLeaves(out)
	}
	return out
}

// add takes values lo to hi-1.
func (b *branch) add(v *vector.Vector, lo, hi int) error {
	if b.leaf != nil {
		return b.leaf.add(v, lo, hi)
	}
	for i := lo; i < hi; i++ {
		if err := b.shred(v, i, levels{}); err != nil {
			return err
		}
	}
	return nil
}

// shred adds value i to the leaves below; at is where it begins: the level at which it repeats, and that of its parent.
func (b *branch) shred(v *vector.Vector, i int, at levels) error {
	if v.Kind != b.Kind {
		return fmt.Errorf("write parquet: column %s has kind %d, not %d", b.Path, v.Kind, b.Kind)
	}
	if v.IsNull(i) {
		if b.required {
			return fmt.Errorf("write parquet: null in required column %s", b.Path)
		}
		return b.absent(at)
	}
	at.def = b.at.def
	if b.leaf != nil {
		return b.leaf.entry(at, v, i)
	}
	if b.Kind == vector.Struct {
		for f := range b.below {
			if err := b.below[f].shred(&v.Fields[f], i, at); err != nil {
				return err
			}
		}
		return nil
	}
	from, to := v.Items(i)
	if from == to {
		return b.absent(at)
	}
	at.def++
	for k := from; k < to; k++ {
		for f := range b.below {
			if err := b.below[f].shred(&v.Fields[f], k, at); err != nil {
				return err
			}
		}
		at.rep = b.at.rep + 1
	}
	return nil
}

// absent adds an entry without a value to every leaf below.
func (b *branch) absent(at levels) error {
	if b.leaf != nil {
		return b.leaf.entry(at, nil, 0)
	}
	for _, f := range b.below {
		if err := f.absent(at); err != nil {
			return err
		}
	}
	return nil
}

// entry adds value i, or none, with its levels.
func (c *columnWriter) entry(at levels, v *vector.Vector, i int) error {
	c.reps, c.defs = append(c.reps, at.rep), append(c.defs, at.def)
	if v == nil {
		if c.open.Kind == 0 {
			c.open.Reset(c.Kind)
		}
		c.appendNull()
		return nil
	}
	if err := c.begin(v); err != nil {
		return err
	}
	c.appendValue(v, i)
	return nil
}

// packLevels encodes levels of 0 to most in the hybrid of runs and packed groups of eight; nothing if all are 0 by nature.
func packLevels(list []byte, most byte) []byte {
	if most == 0 {
		return nil
	}
	width := bits.Len8(most)
	var out []byte
	for i := 0; i < len(list); {
		run := runOf(list[i:])
		if run >= 8 || i+run == len(list) {
			out = append(binary.AppendUvarint(out, uint64(run)<<1), list[i])
			i += run
			continue
		}
		end := i // groups of eight up to the next long run
		for end < len(list) && (end == i || runOf(list[end:]) < 16) {
			end += 8
		}
		groups := (end - i) / 8
		out = binary.AppendUvarint(out, uint64(groups)<<1|1)
		for ; groups > 0; groups-- {
			var word uint64
			for k := range 8 {
				if i+k < len(list) {
					word |= uint64(list[i+k]) << (k * width)
				}
			}
			for k := range width {
				out = append(out, byte(word>>(8*k)))
			}
			i += 8
		}
	}
	return out
}

// runOf is the number of equal levels at the start.
func runOf(list []byte) int {
	n := 1
	for n < len(list) && list[n] == list[0] {
		n++
	}
	return n
}
