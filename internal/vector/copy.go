package vector

// CopyFrom makes v a copy of src; its memory is used again. Dictionaries, which never change, are shared.
func (v *Vector) CopyFrom(src *Vector) {
	v.Kind, v.Len, v.Scale, v.Dict, v.Names = src.Kind, src.Len, src.Scale, src.Dict, src.Names
	if v.Valid = append(v.Valid[:0], src.Valid...); src.Valid == nil {
		v.Valid = nil
	}
	v.Ints = append(v.Ints[:0], src.Ints...)
	v.Floats = append(v.Floats[:0], src.Floats...)
	v.Bools = append(v.Bools[:0], src.Bools...)
	v.Codes = append(v.Codes[:0], src.Codes...)
	v.Offsets = append(v.Offsets[:0], src.Offsets...)
	v.Bytes = append(v.Bytes[:0], src.Bytes...)
	if len(v.Fields) != len(src.Fields) {
		v.Fields = make([]Vector, len(src.Fields))
	}
	for i := range src.Fields {
		v.Fields[i].CopyFrom(&src.Fields[i])
	}
}

// CopyFrom makes c a copy of src; its memory is used again.
func (c *Chunk) CopyFrom(src *Chunk) {
	c.Len, c.Numbers = src.Len, append(c.Numbers[:0], src.Numbers...)
	if len(c.Columns) != len(src.Columns) {
		c.Columns = make([]Vector, len(src.Columns))
	}
	for i := range src.Columns {
		c.Columns[i].CopyFrom(&src.Columns[i])
	}
}

// Appended notes n values that were appended to the slices of the vector's kind.
func (v *Vector) Appended(n int) { v.Len += n }
