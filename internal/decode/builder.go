package decode

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
)

// builder makes chunks of the rows of an upload and reports those that cannot be taken.
type builder struct {
	leaves   []lakeward.Leaf
	chunk    *vector.Chunk // the open one of the ring
	ring     [3]vector.Chunk
	turn     int
	rejects  int64
	examples []lakeward.RejectedRow
	total    int64
	bytes    int  // of the open chunk
	proven   bool // the texts of the row are plain
}

func (b *builder) begin(leaves []lakeward.Leaf) {
	b.leaves = leaves
	for i := range b.ring {
		b.ring[i].Columns = make([]vector.Vector, len(leaves))
	}
	b.chunk = &b.ring[0]
}

// fill reads rows until the chunk is full; io.EOF when there is none.
func (b *builder) fill(row func() error) (*vector.Chunk, error) {
	b.turn = (b.turn + 1) % len(b.ring)
	b.chunk = &b.ring[b.turn]
	b.chunk.Len, b.bytes = 0, 0
	for i, l := range b.leaves {
		b.chunk.Columns[i].ResetTo(vector.ShapeOf(l))
	}
	for b.chunk.Len < vector.MaxRows && b.bytes < maxChunkBytes {
		err := row()
		if errors.Is(err, io.EOF) {
			if b.chunk.Len == 0 {
				return nil, io.EOF
			}
			break
		}
		if err != nil {
			return nil, err
		}
	}
	return b.chunk, nil
}

func (b *builder) reject(line int64, field, format string, args ...any) {
	b.rejects++
	if len(b.examples) < maxExamples {
		b.examples = append(b.examples, lakeward.RejectedRow{Line: line, Field: field, Reason: fmt.Sprintf(format, args...)})
	}
}

// undo takes back the values of the row that is rejected.
func (b *builder) undo() {
	for i := range b.chunk.Columns {
		b.chunk.Columns[i].Truncate(b.chunk.Len)
	}
}

// null adds a missing value of field i; a reason says why it cannot be missing.
func (b *builder) null(i int, l *lakeward.Leaf) (reason string) {
	if needed(l) {
		return "the value is missing"
	}
	b.chunk.Columns[i].AppendNull()
	return ""
}

// text adds a value of field i as it is written; a reason says why it cannot be taken.
func (b *builder) text(i int, l *lakeward.Leaf, s []byte) (reason string) {
	switch {
	case len(s) == 0 && needed(l):
		return "the value is missing"
	case l.Identity != nil && len(s) > lakeward.MaxIdentityBytes:
		return "the identity is longer than 1,024 bytes"
	case b.proven:
		return appendValue(&b.chunk.Columns[i], l.Type, s)
	case !utf8.Valid(s):
		return "the value is not UTF-8"
	}
	return appendText(&b.chunk.Columns[i], l.Type, s)
}

// isPlain reports whether a text is short, UTF-8 and without NUL characters; then so are its parts between ASCII characters.
func isPlain(text []byte) bool {
	return len(text) <= maxCell && utf8.Valid(text) && bytes.IndexByte(text, 0) < 0
}

// appendText adds a value as it is written; a reason says why it cannot be taken.
func appendText(v *vector.Vector, t lakeward.FieldType, text []byte) (reason string) {
	switch {
	case len(text) > maxCell:
		return "the value is longer than 1 MiB"
	case bytes.IndexByte(text, 0) >= 0:
		return "the value holds a NUL character"
	}
	return appendValue(v, t, text)
}

// appendValue is appendText for a text that is plain.
func appendValue(v *vector.Vector, t lakeward.FieldType, text []byte) (reason string) {
	if t == lakeward.TypeString {
		v.AppendString(text)
		return ""
	}
	s := string(text)
	switch t {
	case lakeward.TypeDecimal:
		n, reason := parseDecimal(s, v.Scale)
		if reason != "" {
			return reason
		}
		v.AppendInt(n)
	case lakeward.TypeInteger, lakeward.TypeLong:
		n, err := strconv.ParseInt(s, 10, 64)
		if errors.Is(err, strconv.ErrRange) {
			return "the value does not fit 64 bits"
		}
		if err != nil || s[0] == '+' {
			return "the value is not a whole number"
		}
		if t == lakeward.TypeInteger && (n > math.MaxInt32 || n < math.MinInt32) {
			return "the value does not fit 32 bits"
		}
		v.AppendInt(n)
	case lakeward.TypeDouble:
		f, err := strconv.ParseFloat(s, 64)
		if err != nil || !isDecimal(s) || s[0] == '+' {
			return "the value is not a number"
		}
		v.AppendFloat(f)
	case lakeward.TypeBoolean:
		if s != "true" && s != "false" {
			return "the value is neither true nor false"
		}
		v.AppendBool(s == "true")
	case lakeward.TypeDate:
		day, ok := parseDay(s)
		if !ok {
			return "the value is not a day as YYYY-MM-DD"
		}
		v.AppendInt(day)
	case lakeward.TypeDateTime:
		ms, ok := parseTime(s)
		if !ok {
			return "the value is not a time as YYYY-MM-DDThh:mm:ssZ"
		}
		v.AppendInt(ms)
	}
	return ""
}

// isDecimal reports whether a number is written with decimal digits: the library knows others, infinities and hexadecimal.
func isDecimal(s string) bool {
	for i := range len(s) {
		if c := s[i]; c-'0' > 9 && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E' {
			return false
		}
	}
	return true
}

// parseDecimal reads a decimal exactly, as units of 10 to the power of -scale.
func parseDecimal(s string, scale uint8) (n int64, reason string) {
	digits := strings.TrimPrefix(s, "-")
	whole, fraction, _ := strings.Cut(digits, ".")
	if whole == "" || strings.Trim(whole+fraction, "0123456789") != "" || strings.HasSuffix(s, ".") {
		return 0, "the value is not a decimal number"
	}
	if fraction = strings.TrimRight(fraction, "0"); len(fraction) > int(scale) {
		return 0, fmt.Sprintf("the value has more than %d digits behind the point", scale)
	}
	whole = strings.TrimLeft(whole, "0")
	if len(whole)+int(scale) > maxDecimalDigits {
		return 0, fmt.Sprintf("the value has more than %d digits", maxDecimalDigits)
	}
	n, err := strconv.ParseInt("0"+whole+fraction+strings.Repeat("0", int(scale)-len(fraction)), 10, 64)
	if err != nil {
		return 0, "the value is not a decimal number"
	}
	if s != digits {
		n = -n
	}
	return n, ""
}

const maxDecimalDigits = 18 // what 64 bits hold

// Rows is the number of rows read, the rejected ones included.
func (b *builder) Rows() int64 { return b.total }

// Rejected is the number of rejected rows and the first of them; they name no value.
func (b *builder) Rejected() (int64, []lakeward.RejectedRow) { return b.rejects, b.examples }
