package decode

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
)

const maxJSONDepth = 64

// ndjson reads one JSON object from each line. An object in it is a group of fields, or a map where the schema
// says so; a key that stands twice and a key that is no field are refused with their row.
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
	kind       byte // 's' text, 'n' number, 't' true, 'f' false, '0' null, '[' a nested value that is in its column already
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
	j.object = &objectReader{take: j.value, nested: j.nested}
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
		j.undo()
		j.reject(j.line, bad.field, "%s", bad.why)
		return nil
	}
	for i := range j.leaves {
		l := &j.leaves[i]
		if reason := j.add(i, l); reason != "" {
			j.undo()
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
func (j *ndjson) add(i int, l *lakeward.Leaf) (reason string) {
	if j.seen[i] != j.total || j.found[i].kind == '0' {
		return j.null(i, l)
	}
	v := j.found[i]
	if v.kind == '[' {
		return ""
	}
	text := j.object.buf[v.start:v.end]
	if reason := misquoted(l.Type, v); reason != "" {
		return reason
	}
	return j.builder.text(i, l, text)
}

// misquoted says why a value is not written as its type is.
func misquoted(t lakeward.FieldType, v jsonValue) (reason string) {
	texts := t == lakeward.TypeString || t == lakeward.TypeDate || t == lakeward.TypeDateTime
	switch quoted := v.kind == 's'; {
	case !t.Scalar():
		return "the value is no " + string(t)
	case quoted && !texts:
		return "the value stands in quotes; a number or a boolean does not"
	case !quoted && texts:
		return "the value is not text in quotes"
	case v.kind == 'n' && t == lakeward.TypeBoolean:
		return "the value is neither true nor false"
	case (v.kind == 't' || v.kind == 'f') && t != lakeward.TypeBoolean:
		return "the value is not a number"
	}
	return ""
}
