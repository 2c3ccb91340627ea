// Package parquet reads and writes plain Parquet files: pages in, pages out. It is the
// only package that imports a Parquet library.
//
// It keeps scalars only, also inside groups. The one thing to know: the writer cuts the
// pages of all columns at the same rows and gives every file an offset index; the reader
// takes files of any common writer whose columns are scalars.
package parquet

import (
	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
)

// Column is a leaf of a file: a dotted path of groups and the kind of its values.
type Column struct {
	Path     string
	Kind     vector.Kind
	Int32    bool // Int values are stored in 32 bits
	Required bool // no value is null, and the file says so
}

// ColumnOf describes the column that holds a field.
func ColumnOf(l lakeward.Leaf) Column {
	return Column{Path: l.Path, Kind: vector.KindOf(l.Type), Int32: l.Type == lakeward.TypeInteger}
}

const (
	pageRows  = 8192
	groupRows = 131072
	maxDict   = 4096 // distinct strings of a column in a row group that still make a dictionary
)
