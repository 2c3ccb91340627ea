package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"

	"github.com/lakeward/lakeward/internal/vector"
)

// File is an open Parquet file.
type File struct {
	pf *parquet.File
}

// readBuffer is the buffer of each column that is being read. Pages that are longer are read past it.
const readBuffer = 32 << 10

// Open reads the footer of a file of size bytes. It refuses a file without one.
func Open(r io.ReaderAt, size int64) (*File, error) {
	if err := checkFooter(r, size); err != nil {
		return nil, err
	}
	pf, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(readBuffer))
	if err != nil {
		return nil, fmt.Errorf("open parquet: %w", err)
	}
	return &File{pf: pf}, nil
}

// maxFooter bounds what is read of a file at once: the library takes any length for true.
const maxFooter = 64 << 20

func checkFooter(r io.ReaderAt, size int64) error {
	var end [8]byte
	if size < int64(len(end)+len(magic)) {
		return fmt.Errorf("open parquet: %d bytes are no file", size)
	}
	if _, err := r.ReadAt(end[:], size-int64(len(end))); err != nil {
		return fmt.Errorf("open parquet: %w", err)
	}
	if n := int64(binary.LittleEndian.Uint32(end[:4])); n > maxFooter || n > size-int64(len(end)+len(magic)) {
		return fmt.Errorf("open parquet: a footer of %d bytes in a file of %d", n, size)
	}
	return nil
}

// Rows is the number of rows.
func (f *File) Rows() int64 { return f.pf.NumRows() }

// Paths lists the columns by dotted path, in the order of the file; of a list or a map its own path.
func (f *File) Paths() []string {
	var out []string
	var walk func(c *parquet.Column)
	walk = func(c *parquet.Column) {
		for _, child := range c.Columns() {
			if child.Leaf() || child.Repeated() || slices.ContainsFunc(child.Columns(), (*parquet.Column).Repeated) {
				out = append(out, strings.Join(child.Path(), "."))
				continue
			}
			walk(child)
		}
	}
	walk(f.pf.Root())
	return out
}

// Reader reads chosen rows of chosen columns, front to back.
type Reader struct {
	columns []source
	shapes  []vector.Shape
	groups  []int64 // first row of each row group, and the number of rows at the end
}

// source gives the rows of one column.
type source interface {
	gather(rows, groups []int64, out *vector.Vector) error
	close() error
}

// Reader starts reading flat columns by path; kinds[i] is the kind wanted for paths[i]. A path that the
// file lacks reads as null: the field is younger than the file.
func (f *File) Reader(paths []string, kinds []vector.Kind) (*Reader, error) {
	columns := make([]Column, len(paths))
	for i, p := range paths {
		columns[i] = Column{Path: p, Kind: kinds[i]}
	}
	return f.ReaderOf(columns)
}

// ReaderOf is Reader for columns of any shape. What stands in the file but not in the shape is left out, what
// stands in the shape but not in the file is null.
func (f *File) ReaderOf(columns []Column) (*Reader, error) {
	r := &Reader{groups: []int64{0}}
	for _, g := range f.pf.RowGroups() {
		r.groups = append(r.groups, r.groups[len(r.groups)-1]+g.NumRows())
	}
	for _, c := range columns {
		s, err := f.source(c)
		if err != nil {
			return nil, fmt.Errorf("column %s %w", c.Path, err)
		}
		r.columns, r.shapes = append(r.columns, s), append(r.shapes, c.Shape())
	}
	return r, nil
}

// source finds the column of the file that gives what is wanted.
func (f *File) source(want Column) (source, error) {
	c := f.find(want.Path)
	if c == nil {
		return &cursor{}, nil
	}
	if c.Leaf() && c.MaxRepetitionLevel() == 0 && len(want.Fields) == 0 {
		l, err := f.leafOf(c, want)
		return &cursor{file: f, leaf: l, group: -1}, err
	}
	if c.MaxRepetitionLevel() > 0 && len(want.Fields) == 0 {
		return nil, errors.New("is a list in the file, the field is none")
	}
	n, err := f.plan(c, want)
	return &assembly{node: n, group: -1}, err
}

// find walks a dotted path; a name that itself has dots is found too.
func (f *File) find(path string) *parquet.Column {
	c := f.pf.Root()
	for path != "" {
		next := c.Column(path)
		rest := ""
		for cut := 0; next == nil; {
			i := strings.IndexByte(path[cut:], '.')
			if i < 0 {
				return nil
			}
			next, rest = c.Column(path[:cut+i]), path[cut+i+1:]
			cut += i + 1
		}
		c, path = next, rest
	}
	return c
}

// Gather reads the given rows, ascending and behind those of the last call, into out, one vector a column.
func (r *Reader) Gather(rows []int64, out []vector.Vector) error {
	for i, c := range r.columns {
		out[i].ResetTo(r.shapes[i])
		if err := c.gather(rows, r.groups, &out[i]); err != nil {
			return err
		}
	}
	return nil
}

// Close releases the pages that are still held.
func (r *Reader) Close() error {
	var errs []error
	for _, c := range r.columns {
		errs = append(errs, c.close())
	}
	return errors.Join(errs...)
}
