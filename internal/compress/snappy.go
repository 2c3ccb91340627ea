package compress

import (
	"io"

	"github.com/klauspost/compress/s2"
)

// snappyHeader begins every stream of the framing format.
const snappyHeader = "\xff\x06\x00\x00sNaPpY"

// newSnappy writes the framing format of Snappy, with checksums; a reader of bare blocks, such as Hadoop's, does not know it.
func newSnappy(w io.Writer) (io.WriteCloser, error) {
	return &snappyWriter{out: w, Writer: s2.NewWriter(w, s2.WriterSnappyCompat(), s2.WriterConcurrency(1))}, nil
}

// snappyWriter gives an empty file its header too, which the library leaves out.
type snappyWriter struct {
	*s2.Writer
	out   io.Writer
	begun bool
}

// Write compresses p.
func (s *snappyWriter) Write(p []byte) (int, error) {
	s.begun = s.begun || len(p) > 0
	return s.Writer.Write(p)
}

// Close ends the stream.
func (s *snappyWriter) Close() error {
	if err := s.Writer.Close(); err != nil || s.begun {
		return err
	}
	_, err := io.WriteString(s.out, snappyHeader)
	return err
}
