package parquet

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/parquet-go/parquet-go/format"

	"github.com/lakeward/lakeward/internal/vector"
)

// maxBound is the length of the longest text that stands in the statistics. A column with a longer bound has none.
const maxBound = 256

// columnStats are the bounds of the values of a column in the open row group.
type columnStats struct {
	nulls      int64
	has        bool
	min, max   int64
	fmin       float64
	fmax       float64
	tmin, tmax []byte
}

func (s *columnStats) observeInt(n int64) {
	if !s.has || n < s.min {
		s.min = n
	}
	if !s.has || n > s.max {
		s.max = n
	}
	s.has = true
}

func (s *columnStats) observeText(b []byte) {
	if !s.has || bytes.Compare(b, s.tmin) < 0 {
		s.tmin = append(s.tmin[:0], b...)
	}
	if !s.has || bytes.Compare(b, s.tmax) > 0 {
		s.tmax = append(s.tmax[:0], b...)
	}
	s.has = true
}

// observeTexts takes the entries of a dictionary, PLAIN, all of which are used.
func (s *columnStats) observeTexts(dict []byte, want bool) {
	for want && len(dict) > 0 {
		n := binary.LittleEndian.Uint32(dict)
		s.observeText(dict[4 : 4+n])
		dict = dict[4+n:]
	}
}

func boolInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// observe takes the page's values into the statistics of the chunk. Texts by code are seen in the dictionary.
func (c *columnWriter) observe(encoding format.Encoding) {
	s := &c.stats
	if c.Kind == vector.String && (!c.form.texts || encoding == format.RLEDictionary) || c.Kind == vector.Bool && !c.form.texts {
		return
	}
	for i := range c.open.Len {
		if c.open.IsNull(i) {
			continue
		}
		switch c.Kind {
		case vector.String:
			s.observeText(c.open.Str(i))
		case vector.Bool:
			s.observeInt(boolInt(c.open.Bools.Get(i)))
		case vector.Int, vector.Date, vector.Time, vector.Decimal:
			s.observeInt(c.open.Ints[i])
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
	case format.ByteArray:
		if len(c.stats.tmin) <= maxBound && len(c.stats.tmax) <= maxBound {
			s.MinValue, s.MaxValue = append([]byte{}, c.stats.tmin...), append([]byte{}, c.stats.tmax...)
		}
	case format.Boolean:
		s.MinValue, s.MaxValue = []byte{byte(c.stats.min)}, []byte{byte(c.stats.max)}
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
