package parquet

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/parquet-go/parquet-go/format"

	"github.com/lakeward/lakeward/internal/vector"
)

// columnWriter collects one leaf of the open row group.
type columnWriter struct {
	Column
	form   *form
	path   []string // of the leaf in the file
	levels levels   // of a present value
	nested bool     // below a list, a map or an optional group: every entry has levels of its own

	open  vector.Vector // entries of the open page; texts stand in codes instead, while the column has a dictionary
	reps  []byte        // their levels, if nested
	defs  []byte
	nulls int64 // of the open page

	dict      map[string]int32
	dictBytes []byte   // PLAIN, in code order
	dictAt    []uint32 // where entries begin in it
	longest   int      // of its texts
	dictOff   bool     // too many distinct values, or too long ones
	codes     []int32
	values    []byte             // scratch
	room      []byte             // for compression
	lastDict  *vector.Dictionary // of the last vector added, and its codes in ours
	recode    []int32

	pages     []byte // finished pages
	locations []format.PageLocation
	stats     columnStats
	rows      int64
	raw       int64
	dictPages int32
	plain     int32
}

func (c *columnWriter) add(v *vector.Vector, lo, hi int) error {
	if err := c.begin(v); err != nil {
		return err
	}
	if v.Valid == nil && (c.Kind != vector.String || c.dictOff && v.Dict == nil) { // nothing to look at one by one
		c.open.AppendRange(v, lo, hi)
		return nil
	}
	for i := lo; i < hi; i++ {
		if v.IsNull(i) {
			if c.Required {
				return fmt.Errorf("write parquet: null in required column %s", c.Path)
			}
			c.appendNull()
			continue
		}
		c.appendValue(v, i)
	}
	return nil
}

func (c *columnWriter) begin(v *vector.Vector) error {
	if v.Kind != c.Kind {
		return fmt.Errorf("write parquet: column %s has kind %d, not %d", c.Path, v.Kind, c.Kind)
	}
	if c.open.Kind == 0 {
		c.open.Reset(c.Kind)
	}
	return nil
}

func (c *columnWriter) appendValue(v *vector.Vector, i int) {
	switch c.Kind {
	case vector.String:
		c.addString(v, i)
	case vector.Float:
		c.open.AppendFloat(v.Floats[i])
	case vector.Bool:
		c.open.AppendBool(v.Bools.Get(i))
	default:
		c.open.AppendInt(v.Ints[i])
	}
}

func (c *columnWriter) appendNull() {
	c.nulls++
	if c.Kind != vector.String || c.dictOff {
		c.open.AppendNull()
		return
	}
	c.codes = append(c.codes, 0)
	c.open.Appended(1)
	c.open.SetNull(c.open.Len - 1)
}

// addString appends string i, or its code while the column has a dictionary.
func (c *columnWriter) addString(v *vector.Vector, i int) {
	if c.dictOff {
		c.open.AppendString(v.Str(i))
		return
	}
	if v.Dict != nil {
		if c.lastDict != v.Dict {
			c.lastDict, c.recode = v.Dict, make([]int32, v.Dict.Len())
		}
		if k := c.recode[v.Codes[i]]; k > 0 {
			c.addCode(k - 1)
			return
		}
	}
	s := v.Str(i)
	code, ok := c.dict[string(s)]
	if !ok {
		if len(c.dict) == maxDict || len(s) > maxDictText || len(c.dictBytes)+len(s) > maxDictBytes {
			c.endDictionary()
			c.open.AppendString(s)
			return
		}
		code = c.addEntry(s)
	}
	if v.Dict != nil {
		c.recode[v.Codes[i]] = code + 1
	}
	c.addCode(code)
}

func (c *columnWriter) addCode(code int32) {
	c.codes = append(c.codes, code)
	c.open.Appended(1)
}

// addEntry puts a text into the dictionary and returns its code.
func (c *columnWriter) addEntry(s []byte) int32 {
	if c.dict == nil {
		c.dict = map[string]int32{}
	}
	code := int32(len(c.dict))
	c.dict[string(s)] = code
	c.dictAt = append(c.dictAt, uint32(len(c.dictBytes)))
	c.dictBytes = binary.LittleEndian.AppendUint32(c.dictBytes, uint32(len(s)))
	c.dictBytes = append(c.dictBytes, s...)
	c.longest = max(c.longest, len(s))
	return code
}

// endDictionary turns the codes of the open page into texts; from here on the row group has texts.
func (c *columnWriter) endDictionary() {
	c.dictOff = true
	nulls := c.open
	c.open.Reset(c.Kind)
	for i, code := range c.codes {
		if nulls.IsNull(i) {
			c.open.AppendNull()
			continue
		}
		at := c.dictAt[code]
		n := binary.LittleEndian.Uint32(c.dictBytes[at:])
		c.open.AppendString(c.dictBytes[at+4 : at+4+n])
	}
	c.codes = c.codes[:0]
}

// endPage encodes the open page, of so many rows, and appends it to the finished ones.
func (c *columnWriter) endPage(firstRow int64, rows int) error {
	n := c.open.Len
	var reps, defs []byte
	if c.nested {
		reps, defs = packLevels(c.reps, c.levels.rep), packLevels(c.defs, c.levels.def)
		c.reps, c.defs = c.reps[:0], c.defs[:0]
	} else {
		defs = c.validity(n)
	}
	var values []byte
	encoding := format.Plain
	if c.Kind == vector.String && !c.dictOff && c.dict == nil { // no value so far
		c.endDictionary()
		c.dictOff = false
	}
	if c.Kind == vector.String && !c.dictOff && c.dict != nil {
		encoding = format.RLEDictionary
		values = c.packCodes()
		c.dictPages++
	} else {
		values = c.plainValues()
		c.plain++
	}
	c.observe(encoding)
	page, err := c.form.page(pageParts{reps: reps, defs: defs, values: values, entries: n, rows: rows, nulls: c.nulls, encoding: encoding, room: &c.room})
	if err != nil {
		return err
	}
	c.locations = append(c.locations, format.PageLocation{
		Offset: int64(len(c.pages)), CompressedPageSize: int32(len(page.header) + len(page.levels) + len(page.body)), FirstRowIndex: firstRow,
	})
	c.pages = append(append(append(c.pages, page.header...), page.levels...), page.body...)
	c.raw += int64(len(page.header) + page.raw)
	c.rows += int64(n)
	c.stats.nulls += c.nulls
	c.nulls, c.codes = 0, c.codes[:0]
	c.open.Reset(c.Kind)
	return nil
}

// validity encodes the definition levels of a flat column: one run where nothing is null, else the validity bits as they are.
func (c *columnWriter) validity(n int) []byte {
	if c.Required {
		return nil
	}
	if c.nulls == 0 {
		return append(binary.AppendUvarint(nil, uint64(n)<<1), 1)
	}
	groups := (n + 7) / 8
	out := binary.AppendUvarint(nil, uint64(groups)<<1|1)
	for i := range groups {
		bits := byte(0xff)
		if i/8 < len(c.open.Valid) {
			bits = byte(c.open.Valid[i/8] >> (i % 8 * 8))
		}
		out = append(out, bits)
	}
	if n%8 != 0 { // the bits behind the last row are not part of the page
		out[len(out)-1] &= 1<<(n%8) - 1
	}
	return out
}

func (c *columnWriter) packCodes() []byte {
	width := 0
	for 1<<width < len(c.dict) {
		width++
	}
	n := c.open.Len - int(c.nulls)
	out := binary.AppendUvarint(append(c.values[:0], byte(width)), uint64((n+7)/8)<<1|1)
	var word uint64
	have, packed := 0, 0
	for i, k := range c.codes {
		if c.open.IsNull(i) {
			continue
		}
		word |= uint64(k) << have
		have += width
		packed++
		for have >= 8 {
			out = append(out, byte(word))
			word >>= 8
			have -= 8
		}
	}
	for ; packed%8 != 0; packed++ {
		have += width
		for have >= 8 {
			out = append(out, byte(word))
			word >>= 8
			have -= 8
		}
	}
	c.values = out
	return out
}

// plainValues encodes the values of the open page; the bytes are good until the next call.
func (c *columnWriter) plainValues() []byte {
	out := c.values[:0]
	switch c.physical() {
	case format.ByteArray:
		out = slices.Grow(out, len(c.open.Bytes)+4*c.open.Len)
		for i := range c.open.Len {
			if !c.open.IsNull(i) {
				s := c.open.Str(i)
				out = append(binary.LittleEndian.AppendUint32(out, uint32(len(s))), s...)
			}
		}
	case format.Double:
		out = slices.Grow(out, 8*c.open.Len)
		for i, f := range c.open.Floats {
			if !c.open.IsNull(i) {
				out = binary.LittleEndian.AppendUint64(out, math.Float64bits(f))
			}
		}
	case format.Int32:
		out = slices.Grow(out, 4*c.open.Len)
		for i, n := range c.open.Ints {
			if !c.open.IsNull(i) {
				out = binary.LittleEndian.AppendUint32(out, uint32(n))
			}
		}
	case format.Int64:
		out = slices.Grow(out, 8*c.open.Len)
		for i, n := range c.open.Ints {
			if !c.open.IsNull(i) {
				out = binary.LittleEndian.AppendUint64(out, uint64(n))
			}
		}
	case format.Boolean:
		out = c.packBools(out)
	}
	c.values = out
	return out
}

func (c *columnWriter) packBools(out []byte) []byte {
	count := 0
	for i := range c.open.Len {
		if c.open.IsNull(i) {
			continue
		}
		if count%8 == 0 {
			out = append(out, 0)
		}
		if c.open.Bools.Get(i) {
			out[len(out)-1] |= 1 << (count % 8)
		}
		count++
	}
	return out
}

// endChunk writes the column's part of the row group and starts the next one.
func (c *columnWriter) endChunk(w *Writer) (format.ColumnChunk, format.OffsetIndex) {
	start := w.offset
	c.stats.observeTexts(c.dictBytes, c.form.texts && c.dictPages > 0)
	meta := format.ColumnMetaData{Type: c.physical(), PathInSchema: c.path, Codec: c.form.codec.CompressionCodec(),
		NumValues: c.rows, Statistics: c.statistics(), Encoding: []format.Encoding{format.RLE}}
	if c.dictPages > 0 {
		page, err := c.form.dictionary(c.dictBytes, len(c.dict))
		if err != nil && w.err == nil {
			w.err = err
		}
		meta.DictionaryPageOffset = start
		meta.Encoding = append(meta.Encoding, format.RLEDictionary)
		meta.EncodingStats = append(meta.EncodingStats, format.PageEncodingStats{PageType: c.form.pageType(), Encoding: format.RLEDictionary, Count: c.dictPages})
		w.write(page.header)
		w.write(page.body)
		c.raw += int64(len(page.header) + page.raw)
	}
	if c.plain > 0 || c.dictPages > 0 {
		meta.Encoding = append(meta.Encoding, format.Plain)
	}
	if c.plain > 0 {
		meta.EncodingStats = append(meta.EncodingStats, format.PageEncodingStats{PageType: c.form.pageType(), Encoding: format.Plain, Count: c.plain})
	}
	meta.DataPageOffset = w.offset
	index := format.OffsetIndex{PageLocations: c.locations}
	for i := range index.PageLocations {
		index.PageLocations[i].Offset += w.offset
	}
	w.write(c.pages)
	meta.TotalCompressedSize, meta.TotalUncompressedSize = w.offset-start, c.raw
	*c = columnWriter{Column: c.Column, form: c.form, path: c.path, levels: c.levels, nested: c.nested,
		open: c.open, reps: c.reps, defs: c.defs, codes: c.codes[:0], values: c.values, room: c.room, pages: c.pages[:0]}
	return format.ColumnChunk{FileOffset: start, MetaData: meta}, index
}
