package verify

import (
	"compress/gzip"
	"io"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/lakeward/lakeward"
)

// rows counts the rows in the stored bytes.
func (v *verification) rows(stored io.Reader) (int64, error) {
	d := v.run.Plan.Destination
	if d.FileType == lakeward.Parquet {
		return countParquet(stored)
	}
	plain, err := unpack(stored, d.Compression)
	if err != nil {
		return 0, err
	}
	if d.FileType == lakeward.JSON {
		return countJSON(plain)
	}
	return countCSV(plain, d.CSV)
}

// countable reports whether the bytes alone tell where records end: CSV without a quote character does not (FMT-12).
func countable(d lakeward.Destination) bool { return d.FileType != lakeward.CSV || d.CSV.Quote != "" }

func unpack(stored io.Reader, c lakeward.Compression) (io.Reader, error) {
	switch c {
	case lakeward.Gzip:
		return gzip.NewReader(stored)
	case lakeward.Zstd:
		z, err := zstd.NewReader(stored, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	case lakeward.Snappy:
		return s2.NewReader(stored), nil
	case lakeward.LZ4:
		return lz4.NewReader(stored), nil
	}
	return stored, nil
}
