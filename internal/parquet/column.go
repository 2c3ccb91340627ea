// Package parquet reads and writes plain Parquet files: pages in, pages out. It is the
// only package that imports a Parquet library.
//
// The one thing to know: the writer cuts the pages of all columns at the same rows and gives every
// file an offset index; the reader takes files of any common writer, or says what it cannot take.
package parquet

import (
	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
)

// Column is a column of a file: a dotted path of groups and the kind of its values.
type Column struct {
	Path     string
	Kind     vector.Kind
	Int32    bool     // Int values are stored in 32 bits
	Required bool     // no value is null, and the file says so
	Scale    uint8    // of a Decimal
	Fields   []Column // of nested values, as in vector.Vector; the path of a field of a Struct is its name
}

// ColumnOf describes the column that holds a field.
func ColumnOf(l lakeward.Leaf) Column {
	c := ColumnOfField(lakeward.Field{Type: l.Type, Item: l.Item, Scale: l.Scale})
	c.Path = l.Path
	return c
}

// ColumnOfField is ColumnOf for a field of any type; its path is the field's name.
func ColumnOfField(f lakeward.Field) Column {
	c := Column{Path: f.Name, Kind: vector.KindOf(f.Type), Int32: f.Type == lakeward.TypeInteger, Scale: f.Scale}
	switch c.Kind {
	case vector.List:
		c.Fields = []Column{ColumnOfField(*f.Item)}
	case vector.Map:
		c.Fields = []Column{{Kind: vector.String, Required: true}, ColumnOfField(*f.Item)}
	case vector.Struct:
		for _, below := range f.Fields {
			c.Fields = append(c.Fields, ColumnOfField(below))
		}
	}
	return c
}

// ColumnsOf describes the columns that hold fields.
func ColumnsOf(leaves []lakeward.Leaf) []Column {
	out := make([]Column, len(leaves))
	for i, l := range leaves {
		out[i] = ColumnOf(l)
	}
	return out
}

// Shape is what the values look like in memory.
func (c Column) Shape() vector.Shape {
	s := vector.Shape{Kind: c.Kind, Scale: c.Scale}
	for _, f := range c.Fields {
		if c.Kind == vector.Struct {
			s.Names = append(s.Names, f.Path)
		}
		s.Fields = append(s.Fields, f.Shape())
	}
	return s
}

const (
	pageRows = 8192
	// Pages end early when their values take that many bytes, so that memory does not grow with the size of the
	// values; so do row groups (form).
	pageBytes = 4 << 20
	// decimalDigits is the precision of decimals: what 64 bits hold.
	decimalDigits = 18
	// A column of a row group has a dictionary while it has at most so many distinct texts, of so many bytes together.
	maxDict      = 4096
	maxDictBytes = 1 << 20
	// maxDictText is the longest text of a dictionary, so that a page of codes that has to become one of texts has at
	// most 8 MiB.
	maxDictText = 8 << 20 / pageRows
)
