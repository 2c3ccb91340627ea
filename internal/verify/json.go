package verify

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxLine is more than the largest row that is written (DLV-44).
const maxLine = 17 << 20

// countJSON counts the lines of an NDJSON file; each must be one JSON object, and the last one must be ended.
func countJSON(r io.Reader) (int64, error) {
	b := bufio.NewReaderSize(r, 256<<10)
	var rows int64
	var line []byte
	for {
		piece, err := b.ReadSlice('\n')
		line = append(line, piece...)
		switch {
		case errors.Is(err, bufio.ErrBufferFull) && len(line) <= maxLine:
			continue
		case errors.Is(err, bufio.ErrBufferFull):
			return rows, fmt.Errorf("line %d is longer than %d bytes", rows+1, maxLine)
		case errors.Is(err, io.EOF) && len(line) == 0:
			return rows, nil
		case errors.Is(err, io.EOF):
			return rows, errors.New("the last line has no line feed: the file is cut")
		case err != nil:
			return rows, err
		}
		if !bytes.HasPrefix(line, []byte("{")) || !json.Valid(line) {
			return rows, fmt.Errorf("line %d is no JSON object", rows+1)
		}
		rows++
		line = line[:0]
	}
}
