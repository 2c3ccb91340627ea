package verify

import (
	"bufio"
	"errors"
	"io"

	"github.com/lakeward/lakeward"
)

// countCSV counts the records of a CSV file, the header not counted, under the options that it was
// written with: a record ends at a line feed outside quotes. It knows nothing of the encoder.
func countCSV(r io.Reader, opt lakeward.CSVOptions) (int64, error) {
	b := bufio.NewReaderSize(r, 256<<10)
	var records int64
	if mark, err := b.Peek(3); err == nil && opt.BOM {
		if string(mark) != "\xef\xbb\xbf" {
			return 0, errors.New("the byte order mark is missing")
		}
		_, _ = b.Discard(3)
	}
	open := false // bytes since the last record's end
	for {
		c, err := b.ReadByte()
		if errors.Is(err, io.EOF) {
			if open {
				return records, errors.New("the last record has no line feed: the file is cut")
			}
			if opt.HeaderOff {
				return records, nil
			}
			if records == 0 {
				return 0, errors.New("the header is missing")
			}
			return records - 1, nil
		}
		if err != nil {
			return records, err
		}
		switch {
		case c == '\n':
			records++
			open = false
			continue
		case opt.Quote != "" && c == opt.Quote[0] && !open: // a quote in the middle of a bare value is a character
			if err := skipQuoted(b, opt); err != nil {
				return records, err
			}
		case c == opt.Delimiter[0]:
			// The next byte starts a field: a quote there opens it.
			if next, err := b.Peek(1); err == nil && opt.Quote != "" && next[0] == opt.Quote[0] {
				_, _ = b.ReadByte()
				if err := skipQuoted(b, opt); err != nil {
					return records, err
				}
			}
		}
		open = true
	}
}

// skipQuoted reads up to the quote that closes a field.
func skipQuoted(b *bufio.Reader, opt lakeward.CSVOptions) error {
	quote, escape := opt.Quote[0], opt.Escape[0]
	for {
		c, err := b.ReadByte()
		if err != nil {
			return errors.New("a quoted value has no end: the file is cut")
		}
		next, _ := b.Peek(1)
		switch {
		case c == quote:
			if len(next) == 0 || next[0] == '\n' || opt.CRLF && next[0] == '\r' || next[0] == opt.Delimiter[0] {
				return nil
			}
		case c == '\\' && len(next) == 1 && (escape == '\\' || next[0] == escape), c == escape && len(next) == 1 && next[0] == quote:
			_, _ = b.ReadByte()
		}
	}
}
