package parquet

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/klauspost/compress/s2"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/lakeward/lakeward/internal/vector"
)

// magic stands at both ends of a file.
const magic = "PAR1"

// Writer writes one file: snappy, data pages V2 of 8,192 rows cut at the same rows in every
// column, row groups of 131,072 rows, an offset index, null counts, and min/max of numbers and times.
// It holds one row group, compressed. Equal input gives equal bytes.
type Writer struct {
	out     io.Writer
	offset  int64
	columns []*columnWriter
	rows    int64 // of the open row group
	page    int   // rows of the open pages
	total   int64
	groups  []format.RowGroup
	indexes [][]format.OffsetIndex // by row group and column
	err     error
}

// NewWriter starts a file. Paths that share a prefix share groups; they must stand next to each other.
func NewWriter(out io.Writer, columns []Column) *Writer {
	w := &Writer{out: out}
	for _, c := range columns {
		w.columns = append(w.columns, &columnWriter{Column: c})
	}
	w.write([]byte(magic))
	return w
}

func (w *Writer) write(b []byte) {
	if w.err != nil {
		return
	}
	n, err := w.out.Write(b)
	w.offset += int64(n)
	w.err = err
}

// Write adds the rows of a chunk; its columns stand in the order of NewWriter.
func (w *Writer) Write(c *vector.Chunk) error {
	if len(c.Columns) != len(w.columns) {
		return fmt.Errorf("write parquet: %d columns, want %d", len(c.Columns), len(w.columns))
	}
	for done := 0; done < c.Len; {
		n := min(c.Len-done, pageRows-w.page)
		for i, col := range w.columns {
			if err := col.add(&c.Columns[i], done, done+n); err != nil {
				return err
			}
		}
		done += n
		w.page += n
		w.rows += int64(n)
		if w.page == pageRows {
			w.endPage()
		}
		if w.rows == groupRows {
			w.endGroup()
		}
	}
	return w.err
}

func (w *Writer) endPage() {
	if w.page == 0 {
		return
	}
	for _, col := range w.columns {
		if err := col.endPage(w.rows - int64(w.page)); err != nil && w.err == nil {
			w.err = err
		}
	}
	w.page = 0
}

func (w *Writer) endGroup() {
	w.endPage()
	if w.rows == 0 {
		return
	}
	g := format.RowGroup{NumRows: w.rows, FileOffset: w.offset, Ordinal: int16(len(w.groups))}
	var indexes []format.OffsetIndex
	for _, col := range w.columns {
		chunk, index := col.endChunk(w)
		g.Columns = append(g.Columns, chunk)
		g.TotalByteSize += chunk.MetaData.TotalUncompressedSize
		g.TotalCompressedSize += chunk.MetaData.TotalCompressedSize
		indexes = append(indexes, index)
	}
	w.groups = append(w.groups, g)
	w.indexes = append(w.indexes, indexes)
	w.total += w.rows
	w.rows = 0
}

// Close ends the file. It does not close the writer below.
func (w *Writer) Close() error {
	w.endGroup()
	for g := range w.groups {
		for c := range w.groups[g].Columns {
			b, err := marshal(&w.indexes[g][c])
			if err != nil {
				return err
			}
			w.groups[g].Columns[c].OffsetIndexOffset = w.offset
			w.groups[g].Columns[c].OffsetIndexLength = int32(len(b))
			w.write(b)
		}
	}
	meta := format.FileMetaData{Version: 2, NumRows: w.total, RowGroups: w.groups, CreatedBy: "lakeward", Schema: schemaElements(w.columns)}
	for range w.columns {
		meta.ColumnOrders = append(meta.ColumnOrders, format.ColumnOrder{Value: new(format.TypeDefinedOrder)})
	}
	b, err := marshal(&meta)
	if err != nil {
		return err
	}
	w.write(b)
	w.write(binary.LittleEndian.AppendUint32(nil, uint32(len(b))))
	w.write([]byte(magic))
	return w.err
}

func marshal(v any) ([]byte, error) { return thrift.Marshal(new(thrift.CompactProtocol), v) }

// schemaElements lists the tree depth first. Groups are required, so a null leaf has definition
// level 0 and siblings never disagree about their group.
func schemaElements(columns []*columnWriter) []format.SchemaElement {
	elements := []format.SchemaElement{{Name: "schema"}}
	addChildren(&elements, 0, "", columns)
	return elements
}

func addChildren(elements *[]format.SchemaElement, parent int, prefix string, columns []*columnWriter) {
	children := int32(0)
	for i := 0; i < len(columns); {
		children++
		rest := strings.TrimPrefix(columns[i].Path, prefix)
		name, _, nested := strings.Cut(rest, ".")
		if !nested {
			*elements = append(*elements, columns[i].element(name))
			i++
			continue
		}
		group := prefix + name + "."
		end := i
		for end < len(columns) && strings.HasPrefix(columns[end].Path, group) {
			end++
		}
		*elements = append(*elements, format.SchemaElement{Name: name, RepetitionType: thrift.New(format.Required)})
		addChildren(elements, len(*elements)-1, group, columns[i:end])
		i = end
	}
	(*elements)[parent].NumChildren = thrift.New(children)
}

func (c Column) element(name string) format.SchemaElement {
	e := format.SchemaElement{Name: name, Type: thrift.New(c.physical()), RepetitionType: thrift.New(format.Optional)}
	if c.Required {
		e.RepetitionType = thrift.New(format.Required)
	}
	switch c.Kind {
	case vector.String:
		e.LogicalType.Value = new(format.StringType)
	case vector.Date:
		e.LogicalType.Value = new(format.DateType)
	case vector.Time:
		e.LogicalType.Value = &format.TimestampType{IsAdjustedToUTC: true, Unit: format.TimeUnit{Value: new(format.MilliSeconds)}}
	}
	return e
}

func (c Column) physical() format.Type {
	switch c.Kind {
	case vector.String:
		return format.ByteArray
	case vector.Float:
		return format.Double
	case vector.Bool:
		return format.Boolean
	case vector.Date:
		return format.Int32
	}
	if c.Int32 {
		return format.Int32
	}
	return format.Int64
}

// columnWriter collects one column of the open row group.
type columnWriter struct {
	Column
	open  vector.Vector // values of the open page
	nulls int64         // of the open page

	dict      map[string]int32
	dictBytes []byte // PLAIN, in code order
	dictOff   bool   // too many distinct values
	codes     []int32
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

type columnStats struct {
	nulls    int64
	has      bool
	min, max int64
	fmin     float64
	fmax     float64
}

func (c *columnWriter) add(v *vector.Vector, lo, hi int) error {
	if v.Kind != c.Kind {
		return fmt.Errorf("write parquet: column %s has kind %d, not %d", c.Path, v.Kind, c.Kind)
	}
	if c.open.Kind == 0 {
		c.open.Reset(c.Kind)
	}
	for i := lo; i < hi; i++ {
		if v.IsNull(i) {
			if c.Required {
				return fmt.Errorf("write parquet: null in required column %s", c.Path)
			}
			c.appendNull()
			continue
		}
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
	return nil
}

func (c *columnWriter) appendNull() {
	if c.open.Valid == nil {
		c.open.Valid = vector.NewBits(pageRows)
		c.open.Valid.Fill(pageRows)
	}
	c.nulls++
	c.open.AppendNull()
	if c.Kind == vector.String && !c.dictOff {
		c.codes = append(c.codes, 0)
	}
}

// addString appends string i and, while the column has a dictionary, its code.
func (c *columnWriter) addString(v *vector.Vector, i int) {
	c.open.AppendString(v.Str(i))
	if c.dictOff {
		return
	}
	if v.Dict != nil {
		if c.lastDict != v.Dict {
			c.lastDict, c.recode = v.Dict, make([]int32, v.Dict.Len())
		}
		if k := c.recode[v.Codes[i]]; k > 0 {
			c.codes = append(c.codes, k-1)
			return
		}
	}
	s := v.Str(i)
	code, ok := c.dict[string(s)]
	if !ok {
		if len(c.dict) == maxDict {
			c.dictOff = true
			return
		}
		if c.dict == nil {
			c.dict = map[string]int32{}
		}
		code = int32(len(c.dict))
		c.dict[string(s)] = code
		c.dictBytes = binary.LittleEndian.AppendUint32(c.dictBytes, uint32(len(s)))
		c.dictBytes = append(c.dictBytes, s...)
	}
	if v.Dict != nil {
		c.recode[v.Codes[i]] = code + 1
	}
	c.codes = append(c.codes, code)
}

// endPage encodes the open page and appends it to the finished ones.
func (c *columnWriter) endPage(firstRow int64) error {
	n := c.open.Len
	levels := c.levels(n)
	var values []byte
	encoding := format.Plain
	if c.Kind == vector.String && !c.dictOff && c.dict != nil {
		encoding = format.RLEDictionary
		values = c.packCodes()
		c.dictPages++
	} else {
		values = c.plainValues()
		c.plain++
	}
	c.observe()
	packed := s2.EncodeSnappy(nil, values)
	compressed := len(packed) < len(values)
	if !compressed {
		packed = values
	}
	header, err := marshal(&format.PageHeader{
		Type:                 format.DataPageV2,
		UncompressedPageSize: int32(len(levels) + len(values)),
		CompressedPageSize:   int32(len(levels) + len(packed)),
		DataPageHeaderV2: thrift.New(format.DataPageHeaderV2{
			NumValues: int32(n), NumNulls: int32(c.nulls), NumRows: int32(n), Encoding: encoding,
			DefinitionLevelsByteLength: int32(len(levels)), IsCompressed: thrift.New(compressed),
		}),
	})
	if err != nil {
		return err
	}
	c.locations = append(c.locations, format.PageLocation{
		Offset: int64(len(c.pages)), CompressedPageSize: int32(len(header) + len(levels) + len(packed)), FirstRowIndex: firstRow,
	})
	c.pages = append(append(append(c.pages, header...), levels...), packed...)
	c.raw += int64(len(header) + len(levels) + len(values))
	c.rows += int64(n)
	c.stats.nulls += c.nulls
	c.nulls, c.codes = 0, c.codes[:0]
	c.open.Reset(c.Kind)
	return nil
}

// levels encodes the definition levels: one run where nothing is null, else the validity bits as they are.
func (c *columnWriter) levels(n int) []byte {
	if c.Required {
		return nil
	}
	if c.nulls == 0 {
		return append(binary.AppendUvarint(nil, uint64(n)<<1), 1)
	}
	groups := (n + 7) / 8
	out := binary.AppendUvarint(nil, uint64(groups)<<1|1)
	for i := range groups {
		out = append(out, byte(c.open.Valid[i/8]>>(i%8*8)))
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
	out := binary.AppendUvarint([]byte{byte(width)}, uint64((n+7)/8)<<1|1)
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
	return out
}

func (c *columnWriter) plainValues() []byte {
	var out []byte
	var bits byte
	count := 0
	for i := range c.open.Len {
		if c.open.IsNull(i) {
			continue
		}
		switch c.physical() {
		case format.ByteArray:
			s := c.open.Str(i)
			out = binary.LittleEndian.AppendUint32(out, uint32(len(s)))
			out = append(out, s...)
		case format.Double:
			out = binary.LittleEndian.AppendUint64(out, math.Float64bits(c.open.Floats[i]))
		case format.Int32:
			out = binary.LittleEndian.AppendUint32(out, uint32(c.open.Ints[i]))
		case format.Int64:
			out = binary.LittleEndian.AppendUint64(out, uint64(c.open.Ints[i]))
		case format.Boolean:
			if c.open.Bools.Get(i) {
				bits |= 1 << (count % 8)
			}
			if count++; count%8 == 0 {
				out, bits = append(out, bits), 0
			}
		}
	}
	if count%8 != 0 {
		out = append(out, bits)
	}
	return out
}

// observe takes the page's values into the statistics of the chunk.
func (c *columnWriter) observe() {
	s := &c.stats
	for i := range c.open.Len {
		if c.open.IsNull(i) {
			continue
		}
		switch c.Kind {
		case vector.Int, vector.Date, vector.Time:
			n := c.open.Ints[i]
			if !s.has || n < s.min {
				s.min = n
			}
			if !s.has || n > s.max {
				s.max = n
			}
			s.has = true
		case vector.Float:
			f := c.open.Floats[i]
			if math.IsNaN(f) {
				continue
			}
			if !s.has || f < s.fmin {
				s.fmin = f
			}
			if !s.has || f > s.fmax {
				s.fmax = f
			}
			s.has = true
		}
	}
}

func (c *columnWriter) statistics() format.Statistics {
	s := format.Statistics{NullCount: c.stats.nulls}
	if !c.stats.has {
		return s
	}
	switch c.physical() {
	case format.Int32:
		s.MinValue = binary.LittleEndian.AppendUint32(nil, uint32(c.stats.min))
		s.MaxValue = binary.LittleEndian.AppendUint32(nil, uint32(c.stats.max))
	case format.Int64:
		s.MinValue = binary.LittleEndian.AppendUint64(nil, uint64(c.stats.min))
		s.MaxValue = binary.LittleEndian.AppendUint64(nil, uint64(c.stats.max))
	case format.Double: // zero has two signs; the bounds cover both
		lo, hi := c.stats.fmin, c.stats.fmax
		if lo == 0 {
			lo = math.Copysign(0, -1)
		}
		if hi == 0 {
			hi = 0
		}
		s.MinValue = binary.LittleEndian.AppendUint64(nil, math.Float64bits(lo))
		s.MaxValue = binary.LittleEndian.AppendUint64(nil, math.Float64bits(hi))
	}
	return s
}

// endChunk writes the column's part of the row group and starts the next one.
func (c *columnWriter) endChunk(w *Writer) (format.ColumnChunk, format.OffsetIndex) {
	start := w.offset
	meta := format.ColumnMetaData{Type: c.physical(), PathInSchema: strings.Split(c.Path, "."), Codec: format.Snappy,
		NumValues: c.rows, Statistics: c.statistics(), Encoding: []format.Encoding{format.RLE}}
	if c.dictPages > 0 {
		packed := s2.EncodeSnappy(nil, c.dictBytes)
		header, err := marshal(&format.PageHeader{
			Type: format.DictionaryPage, UncompressedPageSize: int32(len(c.dictBytes)), CompressedPageSize: int32(len(packed)),
			DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{NumValues: int32(len(c.dict)), Encoding: format.Plain}),
		})
		if err != nil && w.err == nil {
			w.err = err
		}
		meta.DictionaryPageOffset = start
		meta.Encoding = append(meta.Encoding, format.RLEDictionary)
		meta.EncodingStats = append(meta.EncodingStats, format.PageEncodingStats{PageType: format.DataPageV2, Encoding: format.RLEDictionary, Count: c.dictPages})
		w.write(header)
		w.write(packed)
		c.raw += int64(len(header) + len(c.dictBytes))
	}
	if c.plain > 0 || c.dictPages > 0 {
		meta.Encoding = append(meta.Encoding, format.Plain)
	}
	if c.plain > 0 {
		meta.EncodingStats = append(meta.EncodingStats, format.PageEncodingStats{PageType: format.DataPageV2, Encoding: format.Plain, Count: c.plain})
	}
	meta.DataPageOffset = w.offset
	index := format.OffsetIndex{PageLocations: c.locations}
	for i := range index.PageLocations {
		index.PageLocations[i].Offset += w.offset
	}
	w.write(c.pages)
	meta.TotalCompressedSize, meta.TotalUncompressedSize = w.offset-start, c.raw
	*c = columnWriter{Column: c.Column, open: c.open, codes: c.codes[:0], pages: c.pages[:0]}
	return format.ColumnChunk{FileOffset: start, MetaData: meta}, index
}
