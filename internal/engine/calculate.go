package engine

import (
	"maps"
	"slices"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/dataprep"
	"github.com/lakeward/lakeward/internal/expr"
	"github.com/lakeward/lakeward/internal/vector"
	"github.com/lakeward/lakeward/internal/warehouse"
)

// formula is the source of a column that is worked out.
type formula struct {
	node *expr.Node
	path bool // of an element: its values stay exactly as they are stored
}

// formulas parses the sources of a mapping that are worked out, by their place.
type formulas struct {
	union, events []lakeward.Leaf
	found         map[int]formula
}

// parse is the lakeward.Formula of a mapping.
func (f *formulas) parse(i int, m lakeward.Mapping) (lakeward.Field, error) {
	scope := dataprep.Scope{Union: f.union, Events: f.events, Column: m.Target}
	switch m.SourceType {
	case lakeward.StaticSource:
		f.found[i] = formula{node: dataprep.Text(m.Source)}
		return lakeward.Field{Type: lakeward.TypeString}, nil
	case lakeward.ExpressionSource:
		n, err := dataprep.Parse(m.Source, scope)
		if err != nil {
			return lakeward.Field{}, err
		}
		f.found[i] = formula{node: n}
		return expr.FieldOf(n.ShapeOf()), nil
	}
	p, err := dataprep.ParsePath(m.Source, scope)
	if err != nil {
		return lakeward.Field{}, err
	}
	f.found[i] = formula{p.Node, true}
	return p.Field, nil
}

// fields are the leaves of the union that the formulas read.
func (f *formulas) fields() []lakeward.Leaf { return f.read(slices.Collect(maps.Values(f.found))...) }

// read are the leaves of the union that some of the formulas read.
func (f *formulas) read(some ...formula) []lakeward.Leaf {
	var out []lakeward.Leaf
	used := map[string]bool{}
	for _, x := range some {
		for _, path := range x.node.Fields() {
			used[path] = true
		}
	}
	for _, l := range f.union {
		if used[l.Path] {
			out = append(out, l)
		}
	}
	return out
}

// sources give attribute and calculated columns their values, chunk by chunk. What calculated fields have in common is
// worked out once.
type sources struct {
	s        *selection
	chosen   []bool
	memo     *expr.Memo
	programs []*expr.Program
	values   []vector.Vector // of each column in the chunk at hand
	failed   int64           // values that could not be worked out (CAL-09)
}

// sources prepares the columns that want chooses.
func (s *selection) sources(want func(c lakeward.Column) bool) *sources {
	x := &sources{s: s, memo: expr.NewMemo(), chosen: make([]bool, len(s.columns)), programs: make([]*expr.Program, len(s.columns)), values: make([]vector.Vector, len(s.columns))}
	paths := make([]string, len(s.fields))
	for i, l := range s.fields {
		paths[i] = l.Path
	}
	for i, c := range s.columns {
		if x.chosen[i] = want(c); !x.chosen[i] || c.Kind != lakeward.CalculatedSource {
			continue
		}
		f := s.formulas.found[i]
		if f.path {
			x.programs[i] = expr.NewPath(f.node, paths)
		} else {
			x.programs[i] = x.memo.Program(f.node, paths, s.run)
		}
	}
	return x
}

// begin works out the columns for a chunk of profiles.
func (x *sources) begin(in *warehouse.Profiles) {
	x.memo.Begin(&in.Chunk)
	for i, c := range x.s.columns {
		switch {
		case !x.chosen[i]:
		case c.Kind == lakeward.AttributeSource:
			x.values[i] = x.s.attribute(in, c.Source, c.Field())
		case c.Kind == lakeward.CalculatedSource:
			v, failed := x.programs[i].Values(&in.Chunk)
			x.values[i] = *v
			if failed != nil {
				x.failed += int64(failed.Count())
			}
		}
	}
}

// lacks reports whether a profile has no value in a column: null, absent, or an empty text, array, map or object (D10).
func lacks(v *vector.Vector, i int) bool {
	switch {
	case v.IsNull(i):
		return true
	case v.Kind == vector.String:
		return len(v.Str(i)) == 0
	case v.Kind == vector.List, v.Kind == vector.Map:
		from, to := v.Items(i)
		return from == to
	case v.Kind == vector.Struct:
		for f := range v.Fields {
			if !lacks(&v.Fields[f], i) {
				return false
			}
		}
		return true
	}
	return false
}
