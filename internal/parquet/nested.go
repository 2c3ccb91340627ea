package parquet

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go"

	"github.com/lakeward/lakeward/internal/vector"
)

// node is a place in the tree of a nested column, and how its values are put together from the entries of the leaves below.
type node struct {
	Column
	present byte   // definition level of a value that is not null
	item    levels // of an item of a list or map
	below   []*node
	stream  *stream   // of a leaf
	streams []*stream // of all leaves below that are read, at least one: the first tells the levels
}

// stream hands out the entries of a leaf, one after the other, over pages.
type stream struct {
	cursor
	at  int   // next entry of the page
	row int64 // of the next entry
}

// peek makes sure that there is a next entry; false at the end of the row group.
func (s *stream) peek() (bool, error) {
	for s.page == nil || s.at == s.entries() {
		err := s.next()
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		s.at = 0
	}
	return true, nil
}

func (s *stream) entries() int {
	if s.def != nil {
		return len(s.def)
	}
	return int(s.page.NumValues())
}

// def is the definition level of the next entry.
func (s *stream) level() byte {
	if s.def == nil {
		return s.leaf.max.def
	}
	return s.def[s.at]
}

// repeats is the repetition level of the next entry, 0 at the end.
func (s *stream) repeats() (byte, error) {
	ok, err := s.peek()
	if !ok || s.rep == nil {
		return 0, err
	}
	return s.rep[s.at], nil
}

// take adds the next entry to out, or drops it if out is nil.
func (s *stream) take(out *vector.Vector) error {
	ok, err := s.peek()
	if err != nil {
		return err
	}
	if !ok {
		return io.ErrUnexpectedEOF
	}
	if out != nil {
		err = s.appendRow(s.at, out)
	}
	s.at++
	return err
}

// toRow drops entries up to those of a row of the open row group.
func (s *stream) toRow(row, groupStart int64) error {
	if s.index != nil && row >= s.first+s.rows && s.row < row {
		if err := s.skip(row, groupStart); err != nil {
			return err
		}
		if s.page == nil {
			s.row = s.first
		}
	}
	for s.row < row {
		if err := s.take(nil); err != nil {
			return err
		}
		for {
			rep, err := s.repeats()
			if err != nil {
				return err
			}
			if rep == 0 {
				break
			}
			s.at++
		}
		s.row++
	}
	return nil
}

// plan finds the places of the wanted column below c.
func (f *File) plan(c *parquet.Column, want Column) (*node, error) {
	n := &node{Column: want, present: byte(c.MaxDefinitionLevel())}
	var err error
	switch want.Kind {
	case vector.List:
		err = f.planList(n, c)
	case vector.Map:
		err = f.planMap(n, c)
	case vector.Struct:
		err = f.planStruct(n, c)
	default:
		if !c.Leaf() {
			what := "an object"
			if slices.ContainsFunc(c.Columns(), (*parquet.Column).Repeated) {
				what = "a list or a map"
			}
			return nil, fmt.Errorf("holds %s, the field %s", what, kindName(want.Kind))
		}
		var l *leaf
		if l, err = f.leafOf(c, want); err == nil {
			n.stream = &stream{cursor: cursor{file: f, leaf: l, group: -1}}
			n.streams = []*stream{n.stream}
		}
	}
	if err != nil {
		return nil, err
	}
	for _, b := range n.below {
		if b != nil {
			n.streams = append(n.streams, b.streams...)
		}
	}
	if len(n.streams) == 0 { // nothing inside is wanted; one leaf still tells what is there
		for !c.Leaf() {
			c = c.Columns()[0]
		}
		l := &leaf{path: want.Path, index: c.Index(), max: levels{byte(c.MaxRepetitionLevel()), byte(c.MaxDefinitionLevel())}, physical: c.Type().Kind()}
		n.streams = []*stream{{cursor: cursor{file: f, leaf: l, group: -1}}}
	}
	return n, nil
}

// planList finds the items in any of the forms that writers use: three levels, two levels, or a bare repeated field.
func (f *File) planList(n *node, c *parquet.Column) error {
	repeated := c
	if !c.Repeated() {
		if c.Leaf() || len(c.Columns()) != 1 || !c.Columns()[0].Repeated() {
			return errors.New("is no list in the file")
		}
		repeated = c.Columns()[0]
	}
	element := repeated
	if !repeated.Leaf() && len(repeated.Columns()) == 1 && repeated != c && repeated.Name() != "array" && repeated.Name() != c.Name()+"_tuple" {
		element = repeated.Columns()[0]
	}
	return f.planItems(n, c, repeated, element)
}

func (f *File) planMap(n *node, c *parquet.Column) error {
	if c.Leaf() || len(c.Columns()) != 1 || !c.Columns()[0].Repeated() || len(c.Columns()[0].Columns()) != 2 {
		return errors.New("is no map in the file")
	}
	pairs := c.Columns()[0]
	return f.planItems(n, c, pairs, pairs.Columns()...)
}

func (f *File) planItems(n *node, c, repeated *parquet.Column, items ...*parquet.Column) error {
	if c == repeated { // it is never null, only empty
		n.present--
	}
	n.item = levels{byte(repeated.MaxRepetitionLevel()), byte(repeated.MaxDefinitionLevel())}
	for i, item := range items {
		b, err := f.plan(item, n.Fields[i])
		if err != nil {
			return err
		}
		n.below = append(n.below, b)
	}
	return nil
}

func (f *File) planStruct(n *node, c *parquet.Column) error {
	if c.Leaf() {
		return fmt.Errorf("is a value in the file, the field an object")
	}
	for _, w := range n.Fields {
		child := c.Column(w.Path)
		if child == nil {
			n.below = append(n.below, nil)
			continue
		}
		b, err := f.plan(child, w)
		if err != nil {
			return fmt.Errorf("in its field %s: %w", w.Path, err)
		}
		n.below = append(n.below, b)
	}
	return nil
}

// read adds the next value to out.
func (n *node) read(out *vector.Vector) error {
	if n.stream != nil {
		return n.stream.take(out)
	}
	ok, err := n.streams[0].peek()
	if err != nil {
		return err
	}
	if !ok {
		return io.ErrUnexpectedEOF
	}
	level := n.streams[0].level()
	switch {
	case level < n.present:
		out.AppendNull()
		return n.drop()
	case n.Kind == vector.Struct:
		return n.readFields(out)
	case level < n.item.def:
		out.AppendItems()
		return n.drop()
	}
	for {
		for i, b := range n.below {
			if err := b.read(&out.Fields[i]); err != nil {
				return err
			}
		}
		rep, err := n.streams[0].repeats()
		if err != nil {
			return err
		}
		if rep != n.item.rep {
			break
		}
	}
	out.AppendItems()
	return nil
}

func (n *node) readFields(out *vector.Vector) error {
	read := false
	for i, b := range n.below {
		if b == nil {
			out.Fields[i].AppendNull()
			continue
		}
		read = true
		if err := b.read(&out.Fields[i]); err != nil {
			return err
		}
	}
	out.AppendItems()
	if !read {
		return n.drop()
	}
	return nil
}

// drop takes one entry from every leaf below.
func (n *node) drop() error {
	for _, s := range n.streams {
		if err := s.take(nil); err != nil {
			return err
		}
	}
	return nil
}

// assembly is the source of a nested column.
type assembly struct {
	node  *node
	group int
}

func (a *assembly) gather(rows, groups []int64, out *vector.Vector) error {
	for _, row := range rows {
		err := a.toRow(row, groups)
		if err == nil {
			err = a.node.read(out)
		}
		if err != nil {
			return fmt.Errorf("read column %s: row %d: %w", a.node.Path, row+1, err)
		}
		for _, s := range a.node.streams {
			s.row = row + 1
		}
	}
	return nil
}

func (a *assembly) toRow(row int64, groups []int64) error {
	g, err := groupOf(row, groups, a.group)
	if err != nil {
		return err
	}
	for _, s := range a.node.streams {
		if g != s.group {
			if err := s.openGroup(g, groups[g]); err != nil {
				return err
			}
			s.row, s.at = groups[g], 0
		}
		if err := s.toRow(row, groups[g]); err != nil {
			return err
		}
	}
	a.group = g
	return nil
}

func (a *assembly) close() error {
	var errs []error
	for _, s := range a.node.streams {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}
