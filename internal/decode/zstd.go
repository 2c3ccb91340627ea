package decode

import (
	"bufio"
	"errors"
	"io"

	"github.com/klauspost/compress/zstd"
)

// zstdFrame passes on the first frame of a zstd file and nothing behind it, as the decoder would take any number of
// frames (RFC 8878, 3.1.1).
type zstdFrame struct {
	in   *bufio.Reader
	left int // bytes of the header or block at hand
	last bool
	sum  bool // a checksum ends the frame
}

func newZstdFrame(in *bufio.Reader) (*zstdFrame, error) {
	start, err := in.Peek(zstd.HeaderMaxSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	var h zstd.Header
	if err := h.Decode(start); err != nil {
		return nil, err
	}
	return &zstdFrame{in: in, left: h.HeaderSize, sum: h.HasCheckSum}, nil
}

func (f *zstdFrame) Read(p []byte) (int, error) {
	if f.left == 0 {
		if err := f.next(); err != nil {
			return 0, err
		}
	}
	n, err := f.in.Read(p[:min(len(p), f.left)])
	f.left -= n
	return n, err
}

// next begins the next block: last or not in one bit, its kind in two, its size in 21. A repeated byte stands once.
func (f *zstdFrame) next() error {
	switch {
	case f.last && f.sum:
		f.left, f.sum = 4, false
		return nil
	case f.last:
		return io.EOF
	}
	b, err := f.in.Peek(3)
	if err != nil {
		return io.ErrUnexpectedEOF
	}
	const repeated = 1
	h := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
	f.last, f.left = h&1 != 0, 3+int(h>>3)
	if h>>1&3 == repeated {
		f.left = 3 + 1
	}
	return nil
}
