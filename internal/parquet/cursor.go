package parquet

import (
	"errors"
	"fmt"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"

	"github.com/lakeward/lakeward/internal/vector"
)

// cursor stands in one page of one leaf. Alone it is the source of a flat column.
type cursor struct {
	file  *File
	leaf  *leaf // nil if the file lacks the column
	group int   // open row group, -1 before the first

	pages *parquet.FilePages
	index parquet.OffsetIndex
	page  parquet.Page
	first int64 // row of the file at which the page starts
	rows  int64 // of the page

	def   []byte
	rep   []byte
	pos   int // entry of the page up to which present values are counted
	dense int // their number

	dict   *vector.Dictionary // of texts
	codes  []int32            // into the values below; nil if the page has the values themselves
	ints   []int64
	ints32 []int32
	each   []int32 // scratch: places of rows
	ints96 []deprecated.Int96
	floats []float64
	small  []float32
	bools  []byte
	bytes  []byte
	offs   []uint32
	width  int // of each of bytes, if they have no offsets
}

func (c *cursor) gather(rows, groups []int64, out *vector.Vector) error {
	if c.leaf == nil {
		for range rows {
			out.AppendNull()
		}
		return nil
	}
	for len(rows) > 0 {
		if c.page == nil || rows[0] >= c.first+c.rows {
			if err := c.seek(rows[0], groups); err != nil {
				return fmt.Errorf("read column %s: %w", c.leaf.path, err)
			}
		}
		n, _ := slices.BinarySearch(rows, c.first+c.rows)
		done, err := c.take(rows[:n], out)
		if err != nil {
			return fmt.Errorf("read column %s: row %d %w", c.leaf.path, rows[done]+1, err)
		}
		rows = rows[n:]
	}
	return nil
}

// seek opens the page that holds row, skipping pages by the offset index.
func (c *cursor) seek(row int64, groups []int64) error {
	g, err := groupOf(row, groups, c.group)
	if err != nil {
		return err
	}
	if g != c.group {
		if err := c.openGroup(g, groups[g]); err != nil {
			return err
		}
	}
	if err := c.skip(row, groups[g]); err != nil {
		return err
	}
	for row >= c.first+c.rows {
		if err := c.next(); err != nil {
			return err
		}
	}
	return nil
}

// groupOf is the row group that holds row, which lies in the open one or behind it.
func groupOf(row int64, groups []int64, open int) (int, error) {
	g := max(open, 0)
	for g+1 < len(groups) && row >= groups[g+1] {
		g++
	}
	if g+1 >= len(groups) {
		return g, fmt.Errorf("row %d lies behind the end", row)
	}
	return g, nil
}

func (c *cursor) openGroup(g int, first int64) error {
	if err := c.close(); err != nil {
		return err
	}
	chunk, ok := c.file.pf.RowGroups()[g].ColumnChunks()[c.leaf.index].(*parquet.FileColumnChunk)
	if !ok {
		return errors.New("not a file column")
	}
	c.group, c.dict = g, nil
	c.index = nil
	if index, err := chunk.OffsetIndex(); err == nil {
		c.index = index
	}
	c.pages = chunk.PagesFrom(c.file.pf)
	c.first, c.rows = first, 0
	return nil
}

// skip jumps to the page of row if that is not the next one.
func (c *cursor) skip(row, groupStart int64) error {
	if c.index == nil {
		return nil
	}
	end := c.first + c.rows
	target := int64(-1)
	for k := range c.index.NumPages() {
		if first := groupStart + c.index.FirstRowIndex(k); first <= row && first > end {
			target = first
		}
	}
	if target < 0 {
		return nil
	}
	c.release()
	c.first, c.rows = target, 0
	return c.pages.SeekToRow(target - groupStart)
}

// next reads the page behind the current one.
func (c *cursor) next() error {
	c.release()
	p, err := c.pages.ReadPage()
	if err != nil {
		return err // io.EOF here means that the file has fewer rows than its footer says
	}
	c.first += c.rows
	c.rows = p.NumRows()
	c.page, c.pos, c.dense = p, 0, 0
	c.def, c.rep, c.codes = nil, nil, nil
	if c.leaf.max.def > 0 {
		c.def = p.DefinitionLevels()
	}
	if c.leaf.max.rep > 0 {
		c.rep = p.RepetitionLevels()
	} else if c.def != nil && p.NumNulls() == 0 {
		c.def = nil // all are there
	}
	v := p.Data()
	if d := p.Dictionary(); d != nil {
		c.codes = v.Int32()
		if c.leaf.kind == vector.String && c.dict != nil {
			return nil
		}
		v = d.Page().Data()
	} else {
		c.dict = nil
	}
	switch c.leaf.physical {
	case parquet.ByteArray:
		c.bytes, c.offs = v.ByteArray()
		if c.codes != nil && c.leaf.kind == vector.String {
			c.dict = copyDictionary(c.bytes, c.offs)
		}
	case parquet.FixedLenByteArray:
		c.bytes, c.width = v.FixedLenByteArray()
	case parquet.Double:
		c.floats = v.Double()
	case parquet.Float:
		c.small = v.Float()
	case parquet.Boolean:
		c.bools = v.Boolean()
	case parquet.Int32:
		c.ints32 = v.Int32()
	case parquet.Int96:
		c.ints96 = v.Int96()
	default:
		c.ints = v.Int64()
	}
	return nil
}

func copyDictionary(b []byte, off []uint32) *vector.Dictionary {
	d := &vector.Dictionary{Offsets: make([]uint32, len(off))}
	if len(off) == 0 {
		return d
	}
	base := off[0]
	for i, o := range off {
		d.Offsets[i] = o - base
	}
	d.Bytes = append([]byte(nil), b[base:off[len(off)-1]]...)
	return d
}

// appendRow adds entry i of the page, which lies behind the last one, to out.
func (c *cursor) appendRow(i int, out *vector.Vector) error {
	k := i
	if c.def != nil {
		c.countTo(i)
		if c.def[i] != c.leaf.max.def {
			out.AppendNull()
			return nil
		}
		k = c.dense
	}
	return c.appendValue(k, out)
}

// appendValue adds the k-th value of the page.
func (c *cursor) appendValue(k int, out *vector.Vector) error {
	if c.leaf.kind == vector.String {
		c.appendString(k, out)
		return nil
	}
	if c.codes != nil {
		k = int(c.codes[k])
	}
	switch c.leaf.physical {
	case parquet.Double:
		out.AppendFloat(c.floats[k])
		return nil
	case parquet.Float:
		out.AppendFloat(float64(c.small[k]))
		return nil
	case parquet.Boolean:
		out.AppendBool(c.bools[k/8]>>(k%8)&1 != 0)
		return nil
	}
	n, err := c.whole(k)
	if err == nil {
		n, err = c.leaf.number(n)
	}
	if err != nil {
		return err
	}
	if c.leaf.want == vector.Float {
		out.AppendFloat(float64(n))
		return nil
	}
	out.AppendInt(n)
	return nil
}

// whole is the k-th value as a whole number.
func (c *cursor) whole(k int) (int64, error) {
	switch c.leaf.physical {
	case parquet.Int32:
		if c.leaf.unsigned {
			return int64(uint32(c.ints32[k])), nil
		}
		return int64(c.ints32[k]), nil
	case parquet.Int96:
		v := c.ints96[k]
		return julian(v[2], v.Int64()), nil
	case parquet.FixedLenByteArray:
		return bigEndian(c.bytes[k*c.width : (k+1)*c.width])
	case parquet.ByteArray:
		return bigEndian(c.bytes[c.offs[k]:c.offs[k+1]])
	}
	if c.leaf.unsigned && c.ints[k] < 0 {
		return 0, errNotHeld
	}
	return c.ints[k], nil
}

func (c *cursor) appendString(k int, out *vector.Vector) {
	if c.dict != nil {
		c.adopt(out)
		if out.Dict == c.dict {
			out.AppendCode(c.codes[k])
			return
		}
		out.Plain()
		out.AppendString(c.dict.Value(c.codes[k]))
		return
	}
	out.Plain()
	out.AppendString(c.bytes[c.offs[k]:c.offs[k+1]])
}

// adopt lets a vector without a value take codes of the page's dictionary.
func (c *cursor) adopt(out *vector.Vector) {
	if out.Len == 0 || out.Dict == nil && len(out.Bytes) == 0 && allNull(out) {
		out.Dict = c.dict
		out.Codes = append(out.Codes[:0], make([]int32, out.Len)...)
	}
}

// allNull reports whether a plain vector holds no value yet, so that codes may follow its nulls.
func allNull(v *vector.Vector) bool {
	if v.Len > 64*len(v.Valid) {
		return false
	}
	return v.Valid.Count() == len(v.Valid)*64-v.Len
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func (c *cursor) release() {
	if c.page != nil {
		parquet.Release(c.page)
		c.page = nil
	}
}

func (c *cursor) close() error {
	c.release()
	if c.pages == nil {
		return nil
	}
	err := c.pages.Close()
	c.pages = nil
	return err
}
