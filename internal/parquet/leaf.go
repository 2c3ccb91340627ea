package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/lakeward/lakeward/internal/vector"
)

// leaf is a column of the file and how its stored values become ours.
type leaf struct {
	path     string
	index    int
	max      levels // of a present value
	physical parquet.Kind
	kind     vector.Kind // of what is stored
	want     vector.Kind
	unsigned bool
	divisor  int64 // of stored times, to milliseconds
	day      bool  // a stored time of 12 bytes: nanoseconds and a Julian day
	scale    uint8 // of a stored decimal
	factor   int64 // to the wanted decimal
}

var errNotHeld = errors.New("holds a number that does not fit")

// leafOf describes how a leaf of the file gives values of the wanted kind; the error says why it cannot.
func (f *File) leafOf(c *parquet.Column, want Column) (*leaf, error) {
	l := &leaf{path: want.Path, index: c.Index(), max: levels{byte(c.MaxRepetitionLevel()), byte(c.MaxDefinitionLevel())},
		physical: c.Type().Kind(), want: want.Kind, divisor: 1, factor: 1}
	if err := l.understand(c); err != nil {
		return nil, err
	}
	if codec, ok := f.readable(l.index); !ok {
		return nil, fmt.Errorf("is compressed with %s, which is not available; write the file with zstd, snappy, gzip, brotli or without compression", codec)
	}
	if l.physical == parquet.Int32 && !f.safeDeltas(l.index) {
		return nil, errors.New("has 32-bit numbers in DELTA_BINARY_PACKED whose differences may need more than 32 bits, which cannot be read safely; write the file with format version 1 (data page version 1.0)")
	}
	if l.physical == parquet.Boolean && f.rleBooleans(l.index) {
		return nil, errors.New("has booleans encoded as RLE, which cannot be read safely; write the file with data page version 1.0")
	}
	switch {
	case l.kind == vector.Decimal && want.Kind == vector.Decimal && l.scale > want.Scale:
		return nil, fmt.Errorf("has %d digits behind the point, the field %d", l.scale, want.Scale)
	case want.Kind == vector.Decimal && (l.kind == vector.Decimal || l.kind == vector.Int):
		for range want.Scale - l.scale {
			l.factor *= 10
		}
	case l.kind == vector.Int && want.Kind == vector.Float, l.kind == want.Kind:
	default:
		return nil, fmt.Errorf("holds %s, the field %s", kindName(l.kind), kindName(want.Kind))
	}
	return l, nil
}

func kindName(k vector.Kind) string {
	return [...]string{"something else", "text", "whole numbers", "doubles", "booleans", "dates", "times", "decimals", "a list", "a map", "an object"}[k]
}

// understand finds out what is stored.
func (l *leaf) understand(c *parquet.Column) error {
	var logical any
	if t := c.Type().LogicalType(); t != nil {
		logical = t.Value
	}
	switch t := logical.(type) {
	case *format.DecimalType:
		if t.Scale < 0 || t.Scale > decimalDigits {
			return fmt.Errorf("has decimals of %d digits behind the point; at most %d", t.Scale, decimalDigits)
		}
		l.kind, l.scale = vector.Decimal, uint8(t.Scale)
		return nil
	case *format.DateType:
		l.kind = vector.Date
		return nil
	case *format.TimestampType:
		l.kind, l.divisor = vector.Time, unitDivisor(t)
		return nil
	case *format.IntType:
		l.kind, l.unsigned = vector.Int, !t.IsSigned
		return nil
	case *format.StringType, *format.EnumType, *format.JsonType, nil:
	default:
		return fmt.Errorf("has the type %s, which is not available", c.Type())
	}
	switch l.physical {
	case parquet.ByteArray:
		l.kind = vector.String
	case parquet.Double, parquet.Float:
		l.kind = vector.Float
	case parquet.Boolean:
		l.kind = vector.Bool
	case parquet.Int32, parquet.Int64:
		l.kind = vector.Int
	case parquet.Int96:
		l.kind, l.day = vector.Time, true
	default:
		return fmt.Errorf("has the type %s, which is not available", c.Type())
	}
	return nil
}

func unitDivisor(t *format.TimestampType) int64 {
	switch t.Unit.Value.(type) {
	case *format.MicroSeconds:
		return 1000
	case *format.NanoSeconds:
		return 1_000_000
	}
	return 1
}

// readable reports whether the codecs of a column can be read. The library decodes LZ4 into memory that it does not look at.
func (f *File) readable(index int) (codec format.CompressionCodec, ok bool) {
	for _, g := range f.pf.Metadata().RowGroups {
		switch codec = g.Columns[index].MetaData.Codec; codec {
		case format.Uncompressed, format.Snappy, format.Gzip, format.Zstd, format.Brotli:
		default:
			return codec, false
		}
	}
	return codec, true
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

// safeDeltas reports whether a column of 32-bit numbers can be read. Some writers keep differences of 33 bits, of which the
// library drops the highest without an error; differences are smaller where least and greatest value lie near enough.
func (f *File) safeDeltas(index int) bool {
	for _, g := range f.pf.Metadata().RowGroups {
		meta := g.Columns[index].MetaData
		if !slices.Contains(meta.Encoding, format.DeltaBinaryPacked) || meta.Statistics.NullCount == meta.NumValues {
			continue
		}
		lo, hi := meta.Statistics.MinValue, meta.Statistics.MaxValue
		if len(lo) != 4 || len(hi) != 4 {
			return false
		}
		span := int64(int32(binary.LittleEndian.Uint32(hi))) - int64(int32(binary.LittleEndian.Uint32(lo)))
		if span < 0 || span > math.MaxInt32 {
			return false
		}
	}
	return true
}

// number turns a stored whole number into the wanted one.
func (l *leaf) number(n int64) (int64, error) {
	if l.divisor != 1 {
		return floorDiv(n, l.divisor), nil
	}
	if l.factor == 1 {
		return n, nil
	}
	hi, lo := bits.Mul64(uint64(max(n, -n)), uint64(l.factor))
	if n == math.MinInt64 || hi != 0 || lo > math.MaxInt64 {
		return 0, errNotHeld
	}
	return n * l.factor, nil
}

// bigEndian is the whole number in two's complement bytes.
func bigEndian(b []byte) (int64, error) {
	if len(b) == 0 {
		return 0, nil
	}
	sign := byte(int8(b[0]) >> 7)
	for len(b) > 8 {
		if b[0] != sign || (b[1]^sign)&0x80 != 0 {
			return 0, errNotHeld
		}
		b = b[1:]
	}
	n := int64(int8(b[0]))
	for _, c := range b[1:] {
		n = n<<8 | int64(c)
	}
	return n, nil
}

const julian1970 = 2_440_588 // the Julian day of 1970-01-01

// julian is the time in milliseconds of a Julian day and nanoseconds in it.
func julian(day uint32, nanos int64) int64 {
	return (int64(day)-julian1970)*86_400_000 + floorDiv(nanos, 1_000_000)
}
