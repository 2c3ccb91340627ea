package decode

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
)

const maxJSONDepth = 64

// ndjson reads one JSON object from each line. An object in it is a group of fields; a key that stands twice,
// a key that is no field and a list are refused with their row.
type ndjson struct {
	builder
	in      *bufio.Reader
	line    int64
	current []byte         // the line
	fields  map[string]int // number of the field by the path in the object
	names   []string
	object  *objectReader
	found   []jsonValue // of the row, by field
	seen    []int64     // row in which the field was found last
}

// jsonValue is a value of a row: text without its escapes, or a number as it is written.
type jsonValue struct {
	kind       byte // 's' text, 'n' number, 't' true, 'f' false, '0' null
	start, end int  // in the reader's buffer
}

func openNDJSON(in *bufio.Reader, leaves []lakeward.Leaf, columns map[string]string) (*ndjson, error) {
	j := &ndjson{in: in, fields: map[string]int{}, found: make([]jsonValue, len(leaves)), seen: make([]int64, len(leaves))}
	if start, _ := in.Peek(3); bytes.Equal(start, []byte("\xef\xbb\xbf")) {
		_, _ = in.Discard(3)
	}
	for i, l := range leaves {
		j.fields[l.Path], j.names = i, append(j.names, l.Path)
	}
	all := maps.Clone(j.fields)
	for _, from := range slices.Sorted(maps.Keys(columns)) {
		to := columns[from]
		if _, ok := all[to]; !ok {
			return nil, upload("UPL-1005", "%s is no field of the schema; nothing was stored", lakeward.Quote(to))
		}
		if _, ok := j.fields[to]; !ok {
			return nil, upload("UPL-1005", "%s has two names; nothing was stored", lakeward.Quote(to))
		}
		delete(j.fields, to)
	}
	for _, from := range slices.Sorted(maps.Keys(columns)) {
		if _, taken := j.fields[from]; taken {
			return nil, upload("UPL-1005", "%s is a field itself and cannot stand for another one; nothing was stored", lakeward.Quote(from))
		}
		j.fields[from] = all[columns[from]]
	}
	j.object = &objectReader{take: j.value}
	j.begin(leaves)
	return j, nil
}

// Next returns the next rows that can be taken.
func (j *ndjson) Next() (*vector.Chunk, error) { return j.fill(j.row) }

// row reads a line and adds it to the chunk or to the rejected rows.
func (j *ndjson) row() error {
	if err := j.readLine(); err != nil {
		return err
	}
	if len(bytes.TrimSpace(j.current)) == 0 {
		return nil
	}
	j.total++
	j.bytes += len(j.current)
	if err := j.object.read(bytes.TrimRight(j.current, "\r\n")); err != nil {
		bad, ok := errors.AsType[*jsonError](err)
		if !ok {
			return err
		}
		j.reject(j.line, bad.field, "%s", bad.why)
		return nil
	}
	for i, l := range j.leaves {
		if reason := j.add(i, l); reason != "" {
			j.undo(i)
			j.reject(j.line, l.Path, "%s", reason)
			return nil
		}
	}
	j.chunk.Len++
	return nil
}

// readLine reads the next line, without its end; io.EOF when there is none.
func (j *ndjson) readLine() error {
	j.current = j.current[:0]
	j.line++
	for {
		part, err := j.in.ReadSlice('\n')
		j.current = append(j.current, part...)
		switch {
		case len(j.current) > maxRow:
			return upload("UPL-1007", "line %d is longer than 16 MiB; each line holds one object", j.line)
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(j.current) == 0:
			return io.EOF
		case err == nil || errors.Is(err, io.EOF):
			return nil
		default:
			return fmt.Errorf("read upload: %w", err)
		}
	}
}

// value notes a value of the row that is read.
func (j *ndjson) value(path []byte, v jsonValue) error {
	i, ok := j.fields[string(path)]
	if !ok {
		why := "it is no field of the schema"
		if hint := lakeward.Suggestion(string(path), j.names); hint != "" {
			why += " (" + hint + ")"
		}
		return &jsonError{lakeward.Quote(string(path)), why}
	}
	if j.seen[i] == j.total {
		return &jsonError{j.leaves[i].Path, "the field stands twice"}
	}
	j.seen[i], j.found[i] = j.total, v
	return nil
}

// add adds the value of a field to the chunk.
func (j *ndjson) add(i int, l lakeward.Leaf) (reason string) {
	if j.seen[i] != j.total || j.found[i].kind == '0' {
		return j.null(i, l)
	}
	v := j.found[i]
	text := j.object.buf[v.start:v.end]
	switch quoted := v.kind == 's'; {
	case quoted && (l.Type == lakeward.TypeBoolean || l.Type == lakeward.TypeInteger || l.Type == lakeward.TypeLong || l.Type == lakeward.TypeDouble):
		return "the value stands in quotes; a number or a boolean does not"
	case !quoted && (l.Type == lakeward.TypeString || l.Type == lakeward.TypeDate || l.Type == lakeward.TypeDateTime):
		return "the value is not text in quotes"
	case v.kind == 'n' && l.Type == lakeward.TypeBoolean:
		return "the value is neither true nor false"
	case (v.kind == 't' || v.kind == 'f') && l.Type != lakeward.TypeBoolean:
		return "the value is not a number"
	}
	return j.builder.text(i, l, text)
}

// jsonError is what is wrong with a line.
type jsonError struct{ field, why string }

func (e *jsonError) Error() string { return e.why }

// objectReader reads one JSON object (RFC 8259) and hands each value that is no object to take, with its path.
type objectReader struct {
	take  func(path []byte, v jsonValue) error
	in    []byte
	at    int
	buf   []byte // texts without their escapes, and numbers
	path  []byte
	depth int
}

func (o *objectReader) read(in []byte) error {
	o.in, o.at, o.buf, o.path, o.depth = in, 0, o.buf[:0], o.path[:0], 0
	if !utf8.Valid(in) {
		return &jsonError{"", "the line is not UTF-8"}
	}
	if o.space() != '{' {
		return &jsonError{"", "the line is no JSON object"}
	}
	if err := o.members(); err != nil {
		return err
	}
	if o.space(); o.at != len(o.in) {
		return &jsonError{"", "something follows the object; each line holds one object"}
	}
	return nil
}

// space skips blanks and returns the next byte, 0 at the end.
func (o *objectReader) space() byte {
	for o.at < len(o.in) && (o.in[o.at] == ' ' || o.in[o.at] == '\t' || o.in[o.at] == '\n' || o.in[o.at] == '\r') {
		o.at++
	}
	if o.at == len(o.in) {
		return 0
	}
	return o.in[o.at]
}

func (o *objectReader) broken(what string) error {
	return &jsonError{"", fmt.Sprintf("it is no JSON: %s at character %d", what, utf8.RuneCount(o.in[:o.at])+1)}
}

// members reads an object from its brace on.
func (o *objectReader) members() error {
	if o.depth++; o.depth > maxJSONDepth {
		return &jsonError{"", "objects are nested deeper than 64"}
	}
	defer func() { o.depth-- }()
	o.at++
	if o.space() == '}' {
		o.at++
		return nil
	}
	outer := len(o.path)
	for {
		if o.space() != '"' {
			return o.broken("expected a key in double quotes")
		}
		key, err := o.text()
		if err != nil {
			return err
		}
		if o.depth > 1 {
			o.path = append(o.path, '.')
		}
		o.path = append(o.path, o.buf[key.start:key.end]...)
		if o.space() != ':' {
			return o.broken("expected :")
		}
		o.at++
		if err := o.value(); err != nil {
			return err
		}
		o.path = o.path[:outer]
		switch o.space() {
		case ',':
			o.at++
		case '}':
			o.at++
			return nil
		default:
			return o.broken("expected , or }")
		}
	}
}

func (o *objectReader) value() error {
	switch c := o.space(); {
	case c == '{':
		return o.members()
	case c == '[':
		return &jsonError{lakeward.Quote(string(o.path)), "lists are not supported yet"}
	case c == '"':
		v, err := o.text()
		if err != nil {
			return err
		}
		return o.take(o.path, v)
	case c == '-' || c >= '0' && c <= '9':
		return o.number()
	}
	for word, kind := range map[string]byte{"true": 't', "false": 'f', "null": '0'} {
		if bytes.HasPrefix(o.in[o.at:], []byte(word)) {
			o.at += len(word)
			return o.take(o.path, o.keep(kind, []byte(word)))
		}
	}
	return o.broken("expected a value")
}

func (o *objectReader) keep(kind byte, text []byte) jsonValue {
	start := len(o.buf)
	o.buf = append(o.buf, text...)
	return jsonValue{kind, start, len(o.buf)}
}

// number reads a number; leading zeros and bare points are no JSON.
func (o *objectReader) number() error {
	from := o.at
	digits := func() int {
		n := o.at
		for o.at < len(o.in) && o.in[o.at] >= '0' && o.in[o.at] <= '9' {
			o.at++
		}
		return o.at - n
	}
	skip := func(set string) bool {
		if o.at < len(o.in) && bytes.IndexByte([]byte(set), o.in[o.at]) >= 0 {
			o.at++
			return true
		}
		return false
	}
	skip("-")
	whole := o.at
	ok := digits() > 0 && (o.in[whole] != '0' || o.at == whole+1)
	if ok && skip(".") {
		ok = digits() > 0
	}
	if ok && skip("eE") {
		skip("+-")
		ok = digits() > 0
	}
	if !ok {
		return o.broken("a number is not complete")
	}
	return o.take(o.path, o.keep('n', o.in[from:o.at]))
}

// text reads a string from its quote on, without its escapes.
func (o *objectReader) text() (jsonValue, error) {
	v := jsonValue{kind: 's', start: len(o.buf)}
	for o.at++; o.at < len(o.in); o.at++ {
		switch c := o.in[o.at]; {
		case c == '"':
			o.at++
			v.end = len(o.buf)
			return v, nil
		case c < 0x20:
			return v, o.broken("a control character stands in a text")
		case c == '\\':
			if err := o.escape(); err != nil {
				return v, err
			}
		default:
			o.buf = append(o.buf, c)
		}
	}
	return v, o.broken("a text has no closing quote")
}

// escape decodes what stands behind a back slash; the reader is left on its last byte.
func (o *objectReader) escape() error {
	o.at++
	if o.at == len(o.in) {
		return o.broken("a text has no closing quote")
	}
	if i := bytes.IndexByte([]byte(`"\/bfnrt`), o.in[o.at]); i >= 0 {
		o.buf = append(o.buf, "\"\\/\b\f\n\r\t"[i])
		return nil
	}
	r, ok := o.unit()
	if !ok {
		return o.broken("an escape is unknown")
	}
	if utf16.IsSurrogate(r) {
		o.at++
		low, ok := rune(0), false
		if o.at+1 < len(o.in) && o.in[o.at] == '\\' {
			o.at++
			low, ok = o.unit()
		}
		if r = utf16.DecodeRune(r, low); !ok || r == utf8.RuneError {
			return o.broken("half a character is escaped")
		}
	}
	o.buf = utf8.AppendRune(o.buf, r)
	return nil
}

// unit reads u and four digits, and stays on the last one.
func (o *objectReader) unit() (rune, bool) {
	if o.at+4 >= len(o.in) || o.in[o.at] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(o.in[o.at+1:o.at+5]), 16, 16)
	o.at += 4
	return rune(n), err == nil
}
