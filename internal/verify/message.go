package verify

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// The packets that an encrypted message is made of.
const (
	tagSessionKey = 1
	tagProtected  = 18
)

// checkMessage reads an encrypted file as far as anybody can: it must be one OpenPGP message to so many keys, with
// integrity protection, whole to its last byte (INV-24).
func checkMessage(r io.Reader, recipients int) error {
	b := bufio.NewReaderSize(r, 256<<10)
	for keys := 0; ; {
		h, err := b.ReadByte()
		if err != nil || h&0xc0 != 0xc0 {
			return errors.New("the file is no OpenPGP message")
		}
		switch h & 63 {
		case tagSessionKey:
			if _, err := skipPacket(b); err != nil {
				return err
			}
			keys++
		case tagProtected:
			if keys != recipients {
				return fmt.Errorf("the message is encrypted to %d keys, not %d", keys, recipients)
			}
			version, err := skipPacket(b)
			if err != nil {
				return err
			}
			if version != 1 && version != 2 {
				return errors.New("the message has an unknown kind of protection")
			}
			if _, err := b.ReadByte(); !errors.Is(err, io.EOF) {
				return errors.New("there is more behind the message")
			}
			return nil
		default:
			return fmt.Errorf("the message holds a packet of kind %d", h&63)
		}
	}
}

// skipPacket reads a packet, which may come in parts, to its end, and returns its first byte.
func skipPacket(b *bufio.Reader) (first byte, err error) {
	cut := errors.New("the message is cut")
	for begun := false; ; {
		size, last, err := packetLength(b)
		if err != nil {
			return first, cut
		}
		if !begun && size > 0 {
			if first, err = b.ReadByte(); err != nil {
				return first, cut
			}
			size, begun = size-1, true
		}
		if n, err := io.CopyN(io.Discard, b, size); err != nil || n != size {
			return first, cut
		}
		if last {
			return first, nil
		}
	}
}

// packetLength reads a length of the new form; last is false for one of several parts.
func packetLength(b *bufio.Reader) (size int64, last bool, err error) {
	c, err := b.ReadByte()
	switch {
	case err != nil:
		return 0, true, err
	case c < 192:
		return int64(c), true, nil
	case c < 224:
		d, err := b.ReadByte()
		return (int64(c)-192)<<8 + int64(d) + 192, true, err
	case c < 255:
		return 1 << (c & 31), false, nil
	}
	for range 4 {
		d, err := b.ReadByte()
		if err != nil {
			return 0, true, err
		}
		size = size<<8 | int64(d)
	}
	return size, true, nil
}
