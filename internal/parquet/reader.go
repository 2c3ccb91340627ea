package parquet

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/lakeward/lakeward/internal/vector"
)

// File is an open Parquet file.
type File struct {
	pf     *parquet.File
	leaves []leaf
}

// leaf is a column of the file and how its stored values become ours.
type leaf struct {
	Column
	index   int
	max     byte  // definition level of a present value
	divisor int64 // of stored times, to milliseconds; 0 for other kinds
	refused string
}

// Open reads the footer of a file of size bytes. It refuses a file without one.
func Open(r io.ReaderAt, size int64) (*File, error) {
	pf, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(128<<10))
	if err != nil {
		return nil, fmt.Errorf("open parquet: %w", err)
	}
	f := &File{pf: pf}
	f.walk(pf.Root())
	return f, nil
}

func (f *File) walk(c *parquet.Column) {
	for _, child := range c.Columns() {
		if child.Leaf() {
			f.leaves = append(f.leaves, f.describe(child))
		} else {
			f.walk(child)
		}
	}
}

func (f *File) describe(c *parquet.Column) leaf {
	l := leaf{Column: Column{Path: strings.Join(c.Path(), ".")}, index: c.Index(), max: byte(c.MaxDefinitionLevel())}
	l.Required = l.max == 0
	if c.MaxRepetitionLevel() > 0 {
		l.refused = "it is repeated"
		return l
	}
	logical := c.Type().LogicalType()
	switch c.Type().Kind() {
	case parquet.ByteArray:
		l.Kind = vector.String
	case parquet.Double:
		l.Kind = vector.Float
	case parquet.Boolean:
		l.Kind = vector.Bool
		if f.rleBooleans(c.Index()) {
			l.refused = "its booleans are RLE-encoded; write the file with data page version 1.0"
		}
	case parquet.Int32:
		l.Kind, l.Int32 = vector.Int, true
		if logical != nil {
			if _, ok := logical.Value.(*format.DateType); ok {
				l.Kind, l.Int32 = vector.Date, false
			}
		}
	case parquet.Int64:
		l.Kind = vector.Int
		if logical != nil {
			l.timestamp(logical)
		}
	default:
		l.refused = "its type is " + c.Type().String()
	}
	return l
}

// timestamp recognises stored times and their unit.
func (l *leaf) timestamp(logical *format.LogicalType) {
	t, ok := logical.Value.(*format.TimestampType)
	if !ok {
		return
	}
	l.Kind = vector.Time
	switch t.Unit.Value.(type) {
	case *format.MicroSeconds:
		l.divisor = 1000
	case *format.NanoSeconds:
		l.divisor = 1_000_000
	default:
		l.divisor = 1
	}
}

// rleBooleans reports whether a boolean column may hold RLE pages, which the library
// misreads without an error.
func (f *File) rleBooleans(index int) bool {
	for _, g := range f.pf.Metadata().RowGroups {
		meta := g.Columns[index].MetaData
		plain := false
		for _, e := range meta.Encoding {
			plain = plain || e == format.Plain
		}
		for _, s := range meta.EncodingStats {
			if s.PageType != format.DictionaryPage && s.Encoding == format.RLE {
				return true
			}
		}
		if !plain {
			return true
		}
	}
	return false
}

// Rows is the number of rows.
func (f *File) Rows() int64 { return f.pf.NumRows() }

// Columns lists the leaves that can be read, in the order of the file.
func (f *File) Columns() []Column {
	var out []Column
	for _, l := range f.leaves {
		if l.refused == "" {
			out = append(out, l.Column)
		}
	}
	return out
}

// Reader reads chosen rows of chosen columns, front to back.
type Reader struct {
	cursors []*cursor
	groups  []int64 // first row of each row group, and the number of rows at the end
}

// Reader starts reading columns by path; kinds[i] is the kind wanted for paths[i]. A path that the
// file lacks reads as null: the field is younger than the file.
func (f *File) Reader(paths []string, kinds []vector.Kind) (*Reader, error) {
	r := &Reader{groups: []int64{0}}
	for _, g := range f.pf.RowGroups() {
		r.groups = append(r.groups, r.groups[len(r.groups)-1]+g.NumRows())
	}
	for i, p := range paths {
		c := &cursor{file: f, kind: kinds[i], group: -1}
		for _, l := range f.leaves {
			if l.Path != p {
				continue
			}
			if l.refused != "" || l.Kind != kinds[i] {
				return nil, fmt.Errorf("read parquet: column %s cannot be read as kind %d: %s", p, kinds[i], l.refused)
			}
			c.leaf = &l
		}
		r.cursors = append(r.cursors, c)
	}
	return r, nil
}

// Gather reads the given rows, ascending and behind those of the last call, into out, one vector a column.
func (r *Reader) Gather(rows []int64, out []vector.Vector) error {
	for i, c := range r.cursors {
		out[i].Reset(c.kind)
		if err := c.gather(rows, r.groups, &out[i]); err != nil {
			return err
		}
	}
	return nil
}

// Close releases the pages that are still held.
func (r *Reader) Close() error {
	var errs []error
	for _, c := range r.cursors {
		errs = append(errs, c.close())
	}
	return errors.Join(errs...)
}

// cursor stands in one page of one column.
type cursor struct {
	file  *File
	leaf  *leaf // nil if the file lacks the column
	kind  vector.Kind
	group int // open row group, -1 before the first

	pages *parquet.FilePages
	index parquet.OffsetIndex
	page  parquet.Page
	first int64 // row of the file at which the page starts
	rows  int64 // of the page

	def    []byte
	pos    int // row of the page up to which present values are counted
	dense  int // their number
	dict   *vector.Dictionary
	ints   []int64
	ints32 []int32
	floats []float64
	bools  []byte
	bytes  []byte
	offs   []uint32
}

func (c *cursor) gather(rows, groups []int64, out *vector.Vector) error {
	for _, row := range rows {
		if c.leaf == nil {
			out.AppendNull()
			continue
		}
		if c.page == nil || row >= c.first+c.rows {
			if err := c.seek(row, groups); err != nil {
				return fmt.Errorf("read column %s: %w", c.leaf.Path, err)
			}
		}
		c.appendRow(int(row-c.first), out)
	}
	return nil
}

// seek opens the page that holds row, skipping pages by the offset index.
func (c *cursor) seek(row int64, groups []int64) error {
	g := max(c.group, 0)
	for g+1 < len(groups) && row >= groups[g+1] {
		g++
	}
	if g+1 >= len(groups) {
		return fmt.Errorf("row %d lies behind the end", row)
	}
	if g != c.group {
		if err := c.openGroup(g); err != nil {
			return err
		}
		c.first, c.rows = groups[g], 0
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

func (c *cursor) openGroup(g int) error {
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
	c.def = nil
	if c.leaf.max > 0 {
		c.def = p.DefinitionLevels()
	}
	v := p.Data()
	if d := p.Dictionary(); d != nil {
		if c.dict == nil {
			dv := d.Page().Data()
			b, off := dv.ByteArray()
			c.dict = copyDictionary(b, off)
		}
		c.ints32 = v.Int32()
		return nil
	}
	c.dict = nil
	switch c.leaf.Kind {
	case vector.String:
		c.bytes, c.offs = v.ByteArray()
	case vector.Float:
		c.floats = v.Double()
	case vector.Bool:
		c.bools = v.Boolean()
	case vector.Date:
		c.ints32 = v.Int32()
	default:
		if c.leaf.Int32 {
			c.ints32 = v.Int32()
		} else {
			c.ints = v.Int64()
		}
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

// appendRow adds row i of the page to out.
func (c *cursor) appendRow(i int, out *vector.Vector) {
	k := i
	if c.def != nil {
		for ; c.pos < i; c.pos++ {
			if c.def[c.pos] == c.leaf.max {
				c.dense++
			}
		}
		if c.def[i] != c.leaf.max {
			out.AppendNull()
			return
		}
		k = c.dense
	}
	switch c.leaf.Kind {
	case vector.String:
		c.appendString(k, out)
	case vector.Float:
		out.AppendFloat(c.floats[k])
	case vector.Bool:
		out.AppendBool(c.bools[k/8]>>(k%8)&1 != 0)
	case vector.Date:
		out.AppendInt(int64(c.ints32[k]))
	case vector.Time:
		out.AppendInt(floorDiv(c.ints[k], c.leaf.divisor))
	default:
		if c.leaf.Int32 {
			out.AppendInt(int64(c.ints32[k]))
		} else {
			out.AppendInt(c.ints[k])
		}
	}
}

func (c *cursor) appendString(k int, out *vector.Vector) {
	if c.dict != nil {
		if out.Len == 0 || out.Dict == nil && len(out.Bytes) == 0 && allNull(out) {
			out.Dict = c.dict
			out.Codes = append(out.Codes[:0], make([]int32, out.Len)...)
		}
		if out.Dict == c.dict {
			out.AppendCode(c.ints32[k])
			return
		}
		out.Plain()
		out.AppendString(c.dict.Value(c.ints32[k]))
		return
	}
	out.Plain()
	out.AppendString(c.bytes[c.offs[k]:c.offs[k+1]])
}

// allNull reports whether a plain vector holds no value yet, so that codes may follow its nulls.
func allNull(v *vector.Vector) bool {
	return v.Valid != nil && v.Valid.Count() == len(v.Valid)*64-v.Len
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
