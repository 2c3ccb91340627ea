package decode

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/parquet"
	"github.com/lakeward/lakeward/internal/vector"
)

// parquetMagic begins a Parquet file.
const parquetMagic = "PAR1"

// IsParquet reports whether a file with that start is a Parquet file.
func IsParquet(start []byte) bool { return bytes.HasPrefix(start, []byte(parquetMagic)) }

// parquetRows reads a Parquet file of any common writer. The file's columns are matched by their paths; a value
// that the field cannot hold is refused with its row.
type parquetRows struct {
	builder
	reader *parquet.Reader
	read   []vector.Vector
	rows   int64 // of the file
	step   int64 // rows to read at once
	at     []int64
	given  int                         // of the rows that were read, those that were handed out
	weight int64                       // of their values, in bytes
	texts  map[*vector.Dictionary]bool // the dictionaries of the last chunk, and whether their texts are good
	clean  map[*vector.Vector]bool     // vectors of the chunk whose texts are all good
	fine   []bool                      // columns of the chunk that are good as a whole
}

// OpenParquet opens a Parquet file of size bytes. columns names the fields of columns that have another name.
func OpenParquet(r io.ReaderAt, size int64, leaves []lakeward.Leaf, columns map[string]string) (rows Rows, err error) {
	defer func() { // a damaged footer makes the library panic here and there
		if recover() != nil {
			rows, err = nil, damagedParquet()
		}
	}()
	f, err := parquet.Open(r, size)
	if err != nil {
		return nil, upload("UPL-1002", "the file begins like Parquet and cannot be opened, it is damaged or cut: %v", err)
	}
	want := parquet.ColumnsOf(leaves)
	if err := bindParquet(f, leaves, want, columns); err != nil {
		return nil, err
	}
	p := &parquetRows{rows: f.Rows(), step: vector.MaxRows, read: make([]vector.Vector, len(leaves))}
	if p.reader, err = f.ReaderOf(want); err != nil {
		return nil, upload("UPL-1002", "the file cannot be read: %v; nothing was stored", err)
	}
	p.begin(leaves)
	return p, nil
}

func damagedParquet() error {
	return upload("UPL-1002", "the Parquet file is damaged; nothing was stored")
}

// bindParquet finds the column of each field; want[i].Path becomes its path in the file.
func bindParquet(f *parquet.File, leaves []lakeward.Leaf, want []parquet.Column, columns map[string]string) error {
	paths := f.Paths()
	e := &lakeward.Error{Kind: lakeward.Invalid, Code: "UPL-1005", Msg: "the columns of the file do not fit the schema; nothing was stored"}
	wrong := func(pointer, hint, format string, args ...any) {
		e.Fields = append(e.Fields, lakeward.FieldError{Pointer: pointer, Code: "UPL-1005", Msg: fmt.Sprintf(format, args...), Hint: hint})
	}
	names := make([]string, len(leaves))
	for i, l := range leaves {
		names[i] = l.Path
		for from, to := range columns {
			if to == l.Path {
				want[i].Path = from
			}
		}
	}
	for from, to := range columns {
		if index(names, to) < 0 {
			wrong("/columns", lakeward.Suggestion(to, names), "%s is no field of the schema", lakeward.Quote(to))
		}
		if !slices.ContainsFunc(paths, func(p string) bool { return within(p, from) }) {
			wrong("/columns", lakeward.Suggestion(from, paths), "the file has no column %s", lakeward.Quote(from))
		}
	}
	for _, p := range paths {
		if !slices.ContainsFunc(want, func(c parquet.Column) bool { return within(p, c.Path) }) {
			wrong("/header", lakeward.Suggestion(p, names), "column %s is no field of the schema", lakeward.Quote(p))
		}
	}
	for i, l := range leaves {
		if needed(&l) && !slices.ContainsFunc(paths, func(p string) bool { return within(p, want[i].Path) }) {
			wrong("/header", "", "the required field %s has no column", l.Path)
		}
	}
	if len(e.Fields) > 0 {
		return e
	}
	return nil
}

// within reports whether a path is the other one or lies below it.
func within(path, top string) bool { return path == top || strings.HasPrefix(path, top+".") }

// Next returns the next rows that can be taken.
func (p *parquetRows) Next() (c *vector.Chunk, err error) {
	defer func() {
		if recover() != nil {
			c, err = nil, damagedParquet()
		}
	}()
	for p.total < p.rows {
		if p.given == len(p.at) {
			if err := p.gather(); err != nil {
				return nil, upload("UPL-1002", "the file cannot be read: %v; nothing was stored", err)
			}
		}
		p.turn = (p.turn + 1) % len(p.ring)
		p.chunk = &p.ring[p.turn]
		if p.take(p.given, p.piece()); p.chunk.Len > 0 {
			return p.chunk, nil
		}
	}
	return nil, io.EOF
}

// gather reads the next rows.
func (p *parquetRows) gather() error {
	p.at, p.given = p.at[:0], 0
	for row := p.total; row < p.rows && len(p.at) < int(p.step); row++ {
		p.at = append(p.at, row)
	}
	if err := p.reader.Gather(p.at, p.read); err != nil {
		return err
	}
	p.pace()
	p.look()
	return nil
}

// pace reads fewer rows at once when they are large.
func (p *parquetRows) pace() {
	n := len(p.at)
	p.weight = int64(1 + p.size(0, n))
	p.step = min(vector.MaxRows, max(1, int64(n)*maxChunkBytes/p.weight))
}

// size is about how many bytes the values of rows lo to hi-1 take, each text by itself: a dictionary holds one text for
// any number of rows.
func (p *parquetRows) size(lo, hi int) (n int) {
	for i := range p.read {
		n += sizeOf(&p.read[i], lo, hi)
	}
	return n
}

func sizeOf(v *vector.Vector, lo, hi int) (n int) {
	switch {
	case v.Dict != nil:
		for i := lo; i < hi; i++ {
			n += len(v.Str(i))
		}
		return n + 4*(hi-lo)
	case v.Kind == vector.String:
		return int(v.Offsets[hi]-v.Offsets[lo]) + 4*(hi-lo)
	case v.Kind == vector.List, v.Kind == vector.Map:
		n = 4 * (hi - lo)
		lo, hi = int(v.Offsets[lo]), int(v.Offsets[hi])
	case v.Kind != vector.Struct:
		return 8 * (hi - lo)
	}
	for i := range v.Fields {
		n += sizeOf(&v.Fields[i], lo, hi)
	}
	return n
}

// piece is the end of the rows that the next chunk takes.
func (p *parquetRows) piece() int {
	if p.weight <= 2*maxChunkBytes {
		return len(p.at)
	}
	to, size := p.given, 0
	for ; to < len(p.at) && size < maxChunkBytes; to++ {
		size += p.size(to, to+1)
	}
	return to
}

// take makes the chunk of rows from one to before another one: their columns as they are if all that were read are good
// and fit, else copies of the good rows. Codes of large rows become texts, so that all that follows knows how large.
func (p *parquetRows) take(from, to int) {
	good := make([]bool, to-from)
	all := len(good) == len(p.at)
	for k := range good {
		good[k] = p.check(from + k)
		all = all && good[k]
	}
	p.total += int64(len(good))
	p.given = to
	if all {
		p.chunk.Len, p.chunk.Columns, p.read = to, p.read, p.chunk.Columns
	} else {
		p.copyRows(from, good)
	}
	if p.weight > maxChunkBytes/2 {
		for i := range p.chunk.Columns {
			unfold(&p.chunk.Columns[i])
		}
	}
}

// copyRows makes the chunk of the good rows from one on.
func (p *parquetRows) copyRows(from int, good []bool) {
	p.chunk.Len = 0
	for i, l := range p.leaves {
		v := &p.chunk.Columns[i]
		v.ResetTo(vector.ShapeOf(l))
		for k := range good {
			if good[k] {
				v.AppendFrom(&p.read[i], from+k)
			}
		}
		p.chunk.Len = v.Len
	}
}

// unfold turns codes into texts.
func unfold(v *vector.Vector) {
	v.Plain()
	for i := range v.Fields {
		unfold(&v.Fields[i])
	}
}

// check reports the first thing that is wrong with row k.
func (p *parquetRows) check(k int) bool {
	for i := range p.leaves {
		l, v, reason := &p.leaves[i], &p.read[i], ""
		switch {
		case v.IsNull(k) || l.Identity != nil && len(v.Str(k)) == 0:
			if needed(l) {
				reason = "the value is missing"
			}
		case l.Identity != nil && len(v.Str(k)) > lakeward.MaxIdentityBytes:
			reason = "the identity is longer than 1,024 bytes"
		default:
			if !p.fine[i] {
				reason = p.wrong(lakeward.Field{Type: l.Type, Item: l.Item}, v, k)
			}
		}
		if reason != "" {
			p.reject(p.at[k]+1, l.Path, "%s", reason)
			return false
		}
	}
	return true
}

// wrong says why value k cannot be taken, "" if it can.
func (p *parquetRows) wrong(f lakeward.Field, v *vector.Vector, k int) string {
	switch {
	case v.IsNull(k):
		return ""
	case f.Type == lakeward.TypeInteger && (v.Ints[k] > math.MaxInt32 || v.Ints[k] < math.MinInt32):
		return "the value does not fit 32 bits"
	case f.Type == lakeward.TypeString:
		return p.wrongText(v, k)
	case f.Type == lakeward.TypeObject:
		for i, below := range f.Fields {
			if below.Required && v.Fields[i].IsNull(k) {
				return "the value " + below.Name + " inside is missing"
			}
			if reason := p.wrong(below, &v.Fields[i], k); reason != "" {
				return reason
			}
		}
	case f.Type == lakeward.TypeArray, f.Type == lakeward.TypeMap:
		return p.wrongItems(f, v, k)
	}
	return ""
}

func (p *parquetRows) wrongItems(f lakeward.Field, v *vector.Vector, k int) string {
	from, to := v.Items(k)
	seen := map[string]bool{}
	for n := from; n < to; n++ {
		if f.Type == lakeward.TypeMap {
			key := string(v.Fields[0].Str(n))
			if seen[key] {
				return "a key stands twice"
			}
			seen[key] = true
			if reason := p.wrongText(&v.Fields[0], n); reason != "" {
				return reason
			}
		}
		if reason := p.wrong(*f.Item, &v.Fields[len(v.Fields)-1], n); reason != "" {
			return reason
		}
	}
	return ""
}

// wrongText looks at a text, unless it is known to be good.
func (p *parquetRows) wrongText(v *vector.Vector, k int) string {
	if p.clean[v] {
		return ""
	}
	return badText(v.Str(k))
}

func badText(s []byte) string {
	switch {
	case len(s) > maxCell:
		return "the value is longer than 1 MiB"
	case !utf8.Valid(s):
		return "the value is not UTF-8"
	case bytes.IndexByte(s, 0) >= 0:
		return "the value holds a NUL character"
	}
	return ""
}
