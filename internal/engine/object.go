package engine

import (
	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
	"github.com/lakeward/lakeward/internal/warehouse"
)

// attribute is the column of a field of the profiles. An object is put together from the columns of the fields below
// it, which it shares; one without any value is null, since profiles keep no objects, only what is in them.
func (s *selection) attribute(in *warehouse.Profiles, path string, f lakeward.Field) vector.Vector {
	if f.Type != lakeward.TypeObject {
		return in.Columns[s.field(path)]
	}
	v := vector.Vector{Kind: vector.Struct, Len: in.Len, Valid: vector.NewBits(in.Len)}
	for _, below := range f.Fields {
		c := s.attribute(in, path+"."+below.Name, below)
		v.Names, v.Fields = append(v.Names, below.Name), append(v.Fields, c)
		for i := range in.Len {
			if !c.IsNull(i) {
				v.Valid.Set(i)
			}
		}
	}
	return v
}
