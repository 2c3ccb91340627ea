package parquet

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/lakeward/lakeward/internal/together"
	"github.com/lakeward/lakeward/internal/vector"
)

// magic stands at both ends of a file.
const magic = "PAR1"

// createdBy has the form that readers of the Parquet project ask for before they believe the statistics of texts.
const createdBy = "lakeward version 1.0.0 (build 0)"

// Writer writes one file in one of two forms: at rest or for delivery. Pages of 8,192 rows are cut at the same rows
// in every column, with an offset index, null counts, and min/max of numbers and times. It holds one row group,
// compressed. Equal input gives equal bytes.
type Writer struct {
	out     io.Writer
	form    *form
	offset  int64
	columns []*branch
	leaves  []*columnWriter // of all columns, in the order of the file
	rows    int64           // of the open row group
	page    int             // rows of the open pages
	total   int64
	groups  []format.RowGroup
	indexes [][]format.OffsetIndex // by row group and column
	err     error
}

// NewWriter starts a file at rest. Paths that share a prefix share groups; they must stand next to each other.
func NewWriter(out io.Writer, columns []Column) *Writer {
	return newWriter(out, columns, atRest())
}

func newWriter(out io.Writer, columns []Column, f *form) *Writer {
	w := &Writer{out: out, form: f}
	for _, c := range columns {
		b := newBranch(c, nil, levels{}, c.Required)
		w.columns, w.leaves = append(w.columns, b), b.addLeaves(w.leaves)
	}
	for _, leaf := range w.leaves {
		leaf.form = f
	}
	w.write([]byte(magic))
	return w
}

func (w *Writer) write(b []byte) {
	if w.err != nil {
		return
	}
	n, err := w.out.Write(b)
	w.offset += int64(n)
	w.err = err
}

// Write adds the rows of a chunk; its columns stand in the order of NewWriter.
func (w *Writer) Write(c *vector.Chunk) error {
	if len(c.Columns) != len(w.columns) {
		return fmt.Errorf("write parquet: %d columns, want %d", len(c.Columns), len(w.columns))
	}
	step := pageRows // at once; large rows are taken in parts, as a page ends behind one only
	if size := sizeOf(c); size > pageBytes/4 {
		step = max(1, c.Len*(pageBytes/4)/size)
	}
	for done := 0; done < c.Len; {
		n := min(c.Len-done, pageRows-w.page, step)
		if err := each(len(w.columns), n*len(w.leaves), func(i int) error { return w.columns[i].add(&c.Columns[i], done, done+n) }); err != nil {
			return err
		}
		done += n
		w.page += n
		w.rows += int64(n)
		if w.page == pageRows || w.openBytes() >= pageBytes {
			w.endPage()
		}
		if w.rows >= w.form.groupRows || w.doneBytes() >= w.form.groupBytes {
			w.endGroup()
		}
	}
	return w.err
}

func sizeOf(c *vector.Chunk) (n int) {
	for i := range c.Columns {
		n += c.Columns[i].Size()
	}
	return n
}

// openBytes is about the size of the open pages, doneBytes that of the finished ones of the row group. The codes of a
// nested column count as what they may have to become: their number has no other bound.
func (w *Writer) openBytes() (n int) {
	for _, col := range w.leaves {
		n += len(col.open.Bytes) + len(col.reps)
		if col.nested {
			n += len(col.codes) * col.longest
		}
	}
	return n
}

func (w *Writer) doneBytes() (n int) {
	for _, col := range w.leaves {
		n += len(col.pages)
	}
	return n
}

func (w *Writer) endPage() {
	if w.page == 0 {
		return
	}
	err := each(len(w.leaves), w.page*len(w.leaves), func(i int) error { return w.leaves[i].endPage(w.rows-int64(w.page), w.page) })
	if err != nil && w.err == nil {
		w.err = err
	}
	w.page = 0
}

func (w *Writer) endGroup() {
	w.endPage()
	if w.rows == 0 {
		return
	}
	g := format.RowGroup{NumRows: w.rows, FileOffset: w.offset, Ordinal: int16(len(w.groups))}
	var indexes []format.OffsetIndex
	for _, col := range w.leaves {
		chunk, index := col.endChunk(w)
		g.Columns = append(g.Columns, chunk)
		g.TotalByteSize += chunk.MetaData.TotalUncompressedSize
		g.TotalCompressedSize += chunk.MetaData.TotalCompressedSize
		indexes = append(indexes, index)
	}
	w.groups = append(w.groups, g)
	w.indexes = append(w.indexes, indexes)
	w.total += w.rows
	w.rows = 0
}

// Close ends the file. It does not close the writer below.
func (w *Writer) Close() error {
	w.endGroup()
	for g := range w.groups {
		for c := range w.groups[g].Columns {
			b, err := marshal(&w.indexes[g][c])
			if err != nil {
				return err
			}
			w.groups[g].Columns[c].OffsetIndexOffset = w.offset
			w.groups[g].Columns[c].OffsetIndexLength = int32(len(b))
			w.write(b)
		}
	}
	meta := format.FileMetaData{Version: 2, NumRows: w.total, RowGroups: w.groups, CreatedBy: createdBy, Schema: schemaElements(w.columns)}
	for range w.leaves {
		meta.ColumnOrders = append(meta.ColumnOrders, format.ColumnOrder{Value: new(format.TypeDefinedOrder)})
	}
	b, err := marshal(&meta)
	if err != nil {
		return err
	}
	w.write(b)
	w.write(binary.LittleEndian.AppendUint32(nil, uint32(len(b))))
	w.write([]byte(magic))
	return w.err
}

// besideCells is the number of values from which on columns are worked on side by side.
const besideCells = 8192

// each calls do with 0 to n-1, several at a time if there are cells enough to make that worth it.
func each(n, cells int, do func(i int) error) error {
	if cells >= besideCells {
		return together.Each(n, do)
	}
	for i := range n {
		if err := do(i); err != nil {
			return err
		}
	}
	return nil
}

func marshal(v any) ([]byte, error) { return thrift.Marshal(new(thrift.CompactProtocol), v) }

// schemaElements lists the tree depth first. Groups are required, so a null leaf has definition
// level 0 and siblings never disagree about their group.
func schemaElements(columns []*branch) []format.SchemaElement {
	elements := []format.SchemaElement{{Name: "schema"}}
	addChildren(&elements, 0, "", columns)
	return elements
}

func addChildren(elements *[]format.SchemaElement, parent int, prefix string, columns []*branch) {
	children := int32(0)
	for i := 0; i < len(columns); {
		children++
		rest := strings.TrimPrefix(columns[i].Path, prefix)
		name, _, nested := strings.Cut(rest, ".")
		if !nested {
			columns[i].describe(elements, name)
			i++
			continue
		}
		group := prefix + name + "."
		end := i
		for end < len(columns) && strings.HasPrefix(columns[end].Path, group) {
			end++
		}
		*elements = append(*elements, format.SchemaElement{Name: name, RepetitionType: thrift.New(format.Required)})
		addChildren(elements, len(*elements)-1, group, columns[i:end])
		i = end
	}
	(*elements)[parent].NumChildren = thrift.New(children)
}
