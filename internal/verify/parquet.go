package verify

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	parquetMagic = "PAR1"
	// maxFooter bounds the memory of reading a footer: about 100,000 column chunks.
	maxFooter = 16 << 20
)

// countParquet reads the number of rows in the footer of a Parquet file, with a reader of its own for the few fields
// that it needs, and compares it with those of the row groups.
func countParquet(r io.Reader) (int64, error) {
	head := make([]byte, len(parquetMagic))
	if _, err := io.ReadFull(r, head); err != nil || string(head) != parquetMagic {
		return 0, errors.New("the file does not begin as Parquet does")
	}
	end, err := tail(r, maxFooter)
	if err != nil {
		return 0, err
	}
	if len(end) < 8 || string(end[len(end)-4:]) != parquetMagic {
		return 0, errors.New("the file does not end as Parquet does: it is cut")
	}
	end = end[:len(end)-4]
	size := int64(binary.LittleEndian.Uint32(end[len(end)-4:]))
	if end = end[:len(end)-4]; size > int64(len(end)) {
		return 0, fmt.Errorf("the footer has %d bytes, which are not there or too many", size)
	}
	c := &compact{b: end[int64(len(end))-size:]}
	rows, grouped := int64(-1), int64(0)
	c.fields(func(id int16, kind byte) {
		switch {
		case id == 3 && kind == compactI64:
			rows = c.zigzag()
		case id == 4 && kind == compactList:
			c.list(func(byte) { grouped += c.groupRows() })
		default:
			c.skip(kind, 0)
		}
	})
	switch {
	case c.bad || rows < 0:
		return 0, errors.New("the footer cannot be read")
	case rows != grouped:
		return 0, fmt.Errorf("the footer says %d rows, its row groups have %d", rows, grouped)
	}
	return rows, nil
}

// tail reads to the end and returns the last bytes, at most so many.
func tail(r io.Reader, most int) ([]byte, error) {
	var kept []byte
	buf := make([]byte, 256<<10)
	for {
		n, err := r.Read(buf)
		kept = append(kept, buf[:n]...)
		if len(kept) > 2*most {
			kept = append(kept[:0], kept[len(kept)-most:]...)
		}
		if errors.Is(err, io.EOF) {
			return bytes.Clone(kept[max(0, len(kept)-most):]), nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// The types of Thrift's compact protocol.
const (
	compactTrue   = 1
	compactFalse  = 2
	compactByte   = 3
	compactI16    = 4
	compactI32    = 5
	compactI64    = 6
	compactDouble = 7
	compactBytes  = 8
	compactList   = 9
	compactSet    = 10
	compactStruct = 12
)

// compact reads Thrift's compact protocol; bad is set at the first thing that is none.
type compact struct {
	b   []byte
	bad bool
}

func (c *compact) byte() byte {
	if len(c.b) == 0 {
		c.bad = true
		return 0
	}
	v := c.b[0]
	c.b = c.b[1:]
	return v
}

func (c *compact) varint() uint64 {
	v, n := binary.Uvarint(c.b)
	if n <= 0 {
		c.bad = true
		return 0
	}
	c.b = c.b[n:]
	return v
}

func (c *compact) zigzag() int64 {
	v := c.varint()
	return int64(v>>1) ^ -int64(v&1)
}

func (c *compact) drop(n uint64) {
	if n > uint64(len(c.b)) {
		c.bad = true
		return
	}
	c.b = c.b[n:]
}

// fields calls read for every field of a struct; read must take the field's value.
func (c *compact) fields(read func(id int16, kind byte)) {
	id := int16(0)
	for !c.bad {
		h := c.byte()
		if h == 0 {
			return
		}
		if delta := int16(h >> 4); delta != 0 {
			id += delta
		} else {
			id = int16(c.zigzag())
		}
		read(id, h&15)
	}
}

// list calls read for every item of a list.
func (c *compact) list(read func(kind byte)) {
	h := c.byte()
	n := uint64(h >> 4)
	if n == 15 {
		n = c.varint()
	}
	for range n {
		if c.bad {
			return
		}
		read(h & 15)
	}
}

// groupRows reads a row group and returns its number of rows.
func (c *compact) groupRows() (rows int64) {
	c.fields(func(id int16, kind byte) {
		if id == 3 && kind == compactI64 {
			rows = c.zigzag()
			return
		}
		c.skip(kind, 0)
	})
	return rows
}

func (c *compact) skip(kind byte, depth int) {
	if depth > 32 {
		c.bad = true
		return
	}
	switch kind {
	case compactTrue, compactFalse: // the value is the type
	case compactByte:
		c.byte()
	case compactI16, compactI32, compactI64:
		c.varint()
	case compactDouble:
		c.drop(8)
	case compactBytes:
		c.drop(c.varint())
	case compactList, compactSet:
		c.list(func(kind byte) {
			if kind == compactTrue || kind == compactFalse {
				c.byte() // in a list a boolean is a byte
				return
			}
			c.skip(kind, depth+1)
		})
	case compactStruct:
		c.fields(func(_ int16, kind byte) { c.skip(kind, depth+1) })
	default: // a map, of which the footer has none
		c.bad = true
	}
}
