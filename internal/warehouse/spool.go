package warehouse

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/lakeward/lakeward"
)

const (
	spoolSegment = 64 << 10
	spoolFolder  = "incoming"
)

// Spool is a copy of a stream that can be read anywhere. It lies below the data directory without a name and
// encrypted under a key that only this process has, so that nothing of it is left when the process ends (C20).
type Spool struct {
	file   *os.File
	aead   cipher.AEAD
	size   int64
	sealed []byte
	plain  []byte // of segment at
	at     int64
}

// NewSpool copies a stream of at most limit bytes. The caller closes it.
func (w *Warehouse) NewSpool(r io.Reader, limit int64) (*Spool, error) {
	if err := w.root.MkdirAll(spoolFolder, 0o700); err != nil {
		return nil, fmt.Errorf("create %s: %w", spoolFolder, err)
	}
	name := spoolFolder + "/" + lakeward.NewID()
	f, err := w.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", name, err)
	}
	s := &Spool{file: f, at: -1}
	err = w.root.Remove(name)
	if err == nil {
		s.aead, err = newSpoolCipher()
	}
	if err == nil {
		err = s.fill(r, limit)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return s, nil
}

func newSpoolCipher() (cipher.AEAD, error) {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func (s *Spool) fill(r io.Reader, limit int64) error {
	segment := make([]byte, spoolSegment)
	for i := int64(0); ; i++ {
		n, err := io.ReadFull(r, segment)
		if s.size += int64(n); s.size > limit {
			return &lakeward.Error{Kind: lakeward.Invalid, Code: "UPL-1010", Msg: fmt.Sprintf("the file has more than %d GiB; split it", limit>>30)}
		}
		if n > 0 {
			s.sealed = s.aead.Seal(s.sealed[:0], spoolNonce(i), segment[:n], nil)
			if _, werr := s.file.Write(s.sealed); werr != nil {
				return fmt.Errorf("keep the upload: %w", werr)
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return fmt.Errorf("read upload: %w", err)
		}
	}
}

func spoolNonce(segment int64) []byte {
	return binary.BigEndian.AppendUint64(make([]byte, 4, 12), uint64(segment))
}

// Size is the number of bytes.
func (s *Spool) Size() int64 { return s.size }

// ReadAt reads from an offset; one goroutine at a time.
func (s *Spool) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		if off >= s.size {
			return n, io.EOF
		}
		if err := s.load(off / spoolSegment); err != nil {
			return n, err
		}
		k := copy(p[n:], s.plain[off%spoolSegment:])
		n, off = n+k, off+int64(k)
	}
	return n, nil
}

// load decrypts a segment, if it is not the one at hand.
func (s *Spool) load(i int64) error {
	if s.at == i {
		return nil
	}
	n := min(spoolSegment, s.size-i*spoolSegment) + int64(s.aead.Overhead())
	s.sealed = append(s.sealed[:0], make([]byte, n)...)
	if _, err := s.file.ReadAt(s.sealed, i*int64(spoolSegment+s.aead.Overhead())); err != nil {
		return fmt.Errorf("read the kept upload: %w", err)
	}
	plain, err := s.aead.Open(s.plain[:0], spoolNonce(i), s.sealed, nil)
	if err != nil {
		s.at = -1
		return fmt.Errorf("read the kept upload: %w", err)
	}
	s.plain, s.at = plain, i
	return nil
}

// Close lets the copy go.
func (s *Spool) Close() error { return s.file.Close() }
