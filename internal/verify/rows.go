package verify

import (
	"compress/gzip"
	"io"

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
	if c == lakeward.Gzip {
		return gzip.NewReader(stored)
	}
	return stored, nil
}
