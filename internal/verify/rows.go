package verify

import (
	"compress/gzip"
	"io"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/lakeward/lakeward"
)

// rows counts the rows in the stored bytes. Those of an encrypted file are nobody's to count without the private key.
func (v *verification) rows(stored io.Reader, f lakeward.File) (int64, error) {
	d := v.run.Plan.Destination
	if f.Success {
		return 0, nil
	}
	if v.closed(f) {
		return 0, checkMessage(stored, len(f.Recipients))
	}
	if len(f.Recipients) == 0 {
		return countRows(stored, d)
	}
	plain, err := v.keys.Open(stored)
	if err != nil {
		return 0, err
	}
	rows, err := countRows(plain, d)
	if err != nil {
		return rows, err
	}
	_, err = io.Copy(io.Discard, plain) // its end proves it
	return rows, err
}

// closed reports whether nobody here can read a file.
func (v *verification) closed(f lakeward.File) bool { return len(f.Recipients) > 0 && v.keys == nil }

func countRows(stored io.Reader, d lakeward.Destination) (int64, error) {
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

// countable reports whether the bytes alone tell where records end: those of a closed file do not, nor does CSV
// without a quote character (FMT-12).
func (v *verification) countable(f lakeward.File) bool {
	d := v.run.Plan.Destination
	return !v.closed(f) && (d.FileType != lakeward.CSV || d.CSV.Quote != "")
}

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
