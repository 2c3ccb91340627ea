package parquet

import (
	"github.com/klauspost/compress/s2"
	"github.com/parquet-go/parquet-go/compress/snappy"
)

// fastSnappy compresses Snappy at the speed of its kind; the library's codec looks longer for a smaller file.
type fastSnappy struct{ snappy.Codec }

// Encode appends nothing: dst is room for the result.
func (c *fastSnappy) Encode(dst, src []byte) ([]byte, error) {
	return s2.EncodeSnappy(dst[:cap(dst)], src), nil
}
