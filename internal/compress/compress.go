// Package compress makes the compressed form of a file, one file for each format.
//
// It writes archives without names or times, so equal input gives equal bytes (DLV-15).
package compress

import (
	"io"

	"github.com/lakeward/lakeward"
)

// formats maps a compression to its writer; a new format is a file beside this one and a line here.
func formats() map[lakeward.Compression]func(io.Writer) (io.WriteCloser, error) {
	return map[lakeward.Compression]func(io.Writer) (io.WriteCloser, error){
		lakeward.NoCompression: plain,
		lakeward.Gzip:          newGzip,
		lakeward.Zstd:          newZstd,
		lakeward.Snappy:        newSnappy,
		lakeward.LZ4:           newLZ4,
	}
}

// New returns a writer that compresses into w. Close ends the archive, not w.
func New(w io.Writer, c lakeward.Compression) (io.WriteCloser, error) {
	make, ok := formats()[c]
	if !ok {
		return nil, &lakeward.Error{Kind: lakeward.Invalid, Code: "CSV-1011", Msg: "there is no compression " + lakeward.Quote(string(c))}
	}
	return make(w)
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

func plain(w io.Writer) (io.WriteCloser, error) { return nopCloser{w}, nil }
