package parquet

import (
	"encoding/binary"
	"errors"
	"io"
	"math"

	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/compress/gzip"
	"github.com/parquet-go/parquet-go/compress/uncompressed"
	"github.com/parquet-go/parquet-go/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/lakeward/lakeward"
)

// form is what a file is like beside its columns.
type form struct {
	v2         bool // data pages V2, whose levels and incompressible values stay as they are
	codec      compress.Codec
	groupRows  int64
	groupBytes int  // of finished pages: a row group ends early when it has more
	texts      bool // bounds of texts and booleans in the statistics
}

func atRest() *form {
	return &form{v2: true, codec: new(fastSnappy), groupRows: 131_072, groupBytes: 32 << 20}
}

// codecs are the compressions inside a file (FMT-17). The fastest level of each: a delivery is written once by us and
// waits for the CPU.
func codecs() map[lakeward.Compression]compress.Codec {
	return map[lakeward.Compression]compress.Codec{
		lakeward.NoCompression: new(uncompressed.Codec),
		lakeward.Gzip:          &gzip.Codec{Level: gzip.BestSpeed},
		lakeward.Snappy:        new(fastSnappy),
		lakeward.Zstd:          &zstd.Codec{Level: zstd.SpeedFastest},
	}
}

// NewDelivery starts a file for others to read: data pages V1, which every reader knows, and row groups large enough
// for readers that share a file out by them, of at most a million rows or 24 MiB. The order of the columns stays.
func NewDelivery(out io.Writer, columns []Column, packed lakeward.Compression) (*Writer, error) {
	codec, ok := codecs()[packed]
	if !ok {
		return nil, &lakeward.Error{Kind: lakeward.Invalid, Code: "CSV-1011", Msg: "there is no compression " + lakeward.Quote(string(packed)) + " in Parquet"}
	}
	return newWriter(out, columns, &form{codec: codec, groupRows: 1 << 20, groupBytes: 24 << 20, texts: true}), nil
}

// errPageSize says that one row, or a dictionary, is too large for a page.
var errPageSize = errors.New("write parquet: a page of more than 2 GiB")

// pageParts are what a data page is put together from.
type pageParts struct {
	reps, defs, values []byte
	entries, rows      int
	nulls              int64
	encoding           format.Encoding
	room               *[]byte // for what is compressed
}

// page is a finished page, whose body may lie in the room or in the values that it was made of; raw is the length of
// its body before compression.
type page struct {
	header, levels, body []byte
	raw                  int
}

func (f *form) pageType() format.PageType {
	if f.v2 {
		return format.DataPageV2
	}
	return format.DataPage
}

func (f *form) page(p pageParts) (page, error) {
	if f.v2 {
		return f.pageV2(p)
	}
	body := p.values
	if len(p.reps)+len(p.defs) > 0 {
		body = append(appendLevels(appendLevels(make([]byte, 0, len(p.reps)+len(p.defs)+8+len(p.values)), p.reps), p.defs), p.values...)
	}
	return f.pack(body, p.room, format.PageHeader{Type: format.DataPage, DataPageHeader: thrift.New(format.DataPageHeader{
		NumValues: int32(p.entries), Encoding: p.encoding, DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE})})
}

// appendLevels writes levels as V1 has them: behind their length, nothing if the column has none.
func appendLevels(b, levels []byte) []byte {
	if levels == nil {
		return b
	}
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(levels))), levels...)
}

func (f *form) pageV2(p pageParts) (page, error) {
	levels := append(p.reps, p.defs...)
	packed, err := f.encode(p.values, p.room)
	if err != nil {
		return page{}, err
	}
	compressed := len(packed) < len(p.values)
	if !compressed {
		packed = p.values
	}
	header, err := marshal(&format.PageHeader{
		Type:                 format.DataPageV2,
		UncompressedPageSize: int32(len(levels) + len(p.values)),
		CompressedPageSize:   int32(len(levels) + len(packed)),
		DataPageHeaderV2: thrift.New(format.DataPageHeaderV2{
			NumValues: int32(p.entries), NumNulls: int32(p.nulls), NumRows: int32(p.rows), Encoding: p.encoding,
			RepetitionLevelsByteLength: int32(len(p.reps)), DefinitionLevelsByteLength: int32(len(p.defs)), IsCompressed: thrift.New(compressed),
		}),
	})
	return page{header: header, levels: levels, body: packed, raw: len(levels) + len(p.values)}, err
}

// dictionary is the page of a dictionary of so many entries.
func (f *form) dictionary(entries []byte, n int) (page, error) {
	return f.pack(entries, new([]byte), format.PageHeader{Type: format.DictionaryPage,
		DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{NumValues: int32(n), Encoding: format.Plain})})
}

// encode compresses into room, which grows as needed.
func (f *form) encode(b []byte, room *[]byte) ([]byte, error) {
	packed, err := f.codec.Encode((*room)[:0], b)
	*room = packed
	return packed, err
}

// pack compresses the whole body of a page.
func (f *form) pack(body []byte, room *[]byte, h format.PageHeader) (page, error) {
	packed, err := f.encode(body, room)
	if err != nil {
		return page{}, err
	}
	if len(body) > math.MaxInt32 || len(packed) > math.MaxInt32 {
		return page{}, errPageSize
	}
	h.UncompressedPageSize, h.CompressedPageSize = int32(len(body)), int32(len(packed))
	header, err := marshal(&h)
	return page{header: header, body: packed, raw: len(body)}, err
}
