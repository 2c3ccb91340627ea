package decode

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
)

// Limits of packed uploads (C15).
const (
	maxUnpacked = 10 << 30
	maxRatio    = 100
	freeRatio   = 1 << 20 // unpacked bytes that any file may have
)

// Rows are the rows of an upload as chunks of a schema's columns.
type Rows interface {
	// Next returns the next rows that can be taken; io.EOF at the end. The chunk is valid until the next call but one.
	Next() (*vector.Chunk, error)
	// Rows is the number of rows read, the rejected ones included.
	Rows() int64
	// Rejected is the number of rejected rows and the first of them; they name no value.
	Rejected() (int64, []lakeward.RejectedRow)
}

// Open reads a CSV or NDJSON file, plain or packed by gzip or zstd, told by its first bytes. columns names the
// fields of columns, or of paths in the objects, that have another name.
func Open(r io.Reader, leaves []lakeward.Leaf, columns map[string]string) (Rows, error) {
	plain, err := unpack(r)
	if err != nil {
		return nil, err
	}
	b := bufio.NewReaderSize(plain, 64<<10)
	start, err := b.Peek(512)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read upload: %w", err)
	}
	if text := bytes.TrimLeft(bytes.TrimPrefix(start, []byte("\xef\xbb\xbf")), " \t\r\n"); len(text) > 0 && text[0] == '{' {
		return openNDJSON(b, leaves, columns)
	}
	c, err := OpenCSV(b)
	if err != nil {
		return nil, err
	}
	return c, c.Bind(leaves, columns)
}

// unpack opens gzip and zstd; one level, one member.
func unpack(r io.Reader) (io.Reader, error) {
	counted := &counter{r: r}
	b := bufio.NewReaderSize(counted, 64<<10)
	start, err := b.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read upload: %w", err)
	}
	switch {
	case bytes.HasPrefix(start, []byte("\x1f\x8b")):
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, upload("UPL-1002", "the file begins like gzip and is none: %v", err)
		}
		z.Multistream(false)
		return &unpacked{in: z, rest: b, packed: counted}, nil
	case bytes.HasPrefix(start, []byte("\x28\xb5\x2f\xfd")):
		frame, err := newZstdFrame(b)
		if err != nil {
			return nil, upload("UPL-1002", "the file begins like zstd and is none: %v", err)
		}
		z, err := zstd.NewReader(frame, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20))
		if err != nil {
			return nil, upload("UPL-1002", "the file begins like zstd and is none: %v", err)
		}
		return &unpacked{in: z.IOReadCloser(), rest: b, packed: counted}, nil
	}
	return b, nil
}

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// unpacked bounds what comes out of a packed file.
type unpacked struct {
	in     io.Reader
	rest   *bufio.Reader
	packed *counter
	n      int64
}

func (u *unpacked) Read(p []byte) (int, error) {
	n, err := u.in.Read(p)
	u.n += int64(n)
	switch {
	case u.n > maxUnpacked:
		return n, upload("UPL-1010", "the file has more than 10 GiB unpacked; split it")
	case u.n > freeRatio && u.n/maxRatio > u.packed.n:
		return n, upload("UPL-1010", "the file is packed more than 100 to 1; that is no data, or it must be sent unpacked")
	case errors.Is(err, io.EOF):
		if _, more := u.rest.Peek(1); more == nil {
			return n, upload("UPL-1002", "something follows the packed data; a file with one member is needed")
		}
		return n, io.EOF
	case err != nil:
		return n, upload("UPL-1002", "the packed file is damaged or cut: %v", err)
	}
	return n, nil
}

// isText reports whether the first bytes of a file may be text.
func isText(start []byte) bool {
	return bytes.IndexByte(start, 0) < 0 && !bytes.HasPrefix(start, []byte("PK\x03\x04")) && !bytes.HasPrefix(start, []byte("\x1f\x8b")) && !bytes.HasPrefix(start, []byte("PAR1"))
}
