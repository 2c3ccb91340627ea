package decode

import (
	"fmt"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
)

// nested reads an object or a list into its column if the path names an array or a map.
func (j *ndjson) nested(path []byte) (taken bool, err error) {
	i, ok := j.fields[string(path)]
	if !ok || j.leaves[i].Type.Scalar() {
		return false, nil
	}
	l := j.leaves[i]
	if j.seen[i] == j.total {
		return true, &jsonError{l.Path, "the field stands twice"}
	}
	j.seen[i], j.found[i] = j.total, jsonValue{kind: '['}
	return true, j.object.column(lakeward.Field{Type: l.Type, Item: l.Item}, &j.chunk.Columns[i], l.Path)
}

// column reads a value of a field into its column; at is the path for messages.
func (o *objectReader) column(f lakeward.Field, v *vector.Vector, at string) error {
	c := o.space()
	switch {
	case f.Type == lakeward.TypeArray && c == '[':
		return o.list(*f.Item, v, at)
	case f.Type == lakeward.TypeMap && c == '{':
		return o.entries(*f.Item, v, at)
	case f.Type == lakeward.TypeObject && c == '{':
		return o.fields(f.Fields, v, at)
	case c == '{', c == '[':
		return &jsonError{at, fmt.Sprintf("the value is not of type %s", f.Type)}
	}
	value, err := o.scalar()
	if err != nil {
		return err
	}
	if value.kind == '0' {
		v.AppendNull()
		return nil
	}
	reason := misquoted(f.Type, value)
	if reason == "" {
		reason = appendText(v, f.Type, o.buf[value.start:value.end])
	}
	if reason != "" {
		return &jsonError{at, reason}
	}
	return nil
}

func (o *objectReader) list(item lakeward.Field, v *vector.Vector, at string) error {
	o.at++
	for n := 0; ; n++ {
		if n == 0 && o.space() == ']' {
			break
		}
		if err := o.column(item, &v.Fields[0], fmt.Sprintf("%s[%d]", at, n)); err != nil {
			return err
		}
		if c := o.space(); c == ']' {
			break
		} else if c != ',' {
			return o.broken("expected , or ]")
		}
		o.at++
	}
	o.at++
	v.AppendItems()
	return nil
}

// pairs calls value behind each key of the object that begins here.
func (o *objectReader) pairs(value func(key []byte) error) error {
	o.at++
	for n := 0; ; n++ {
		if n == 0 && o.space() == '}' {
			break
		}
		if o.space() != '"' {
			return o.broken("expected a key in double quotes")
		}
		key, err := o.text()
		if err != nil {
			return err
		}
		if o.space() != ':' {
			return o.broken("expected :")
		}
		o.at++
		if err := value(o.buf[key.start:key.end]); err != nil {
			return err
		}
		if c := o.space(); c == '}' {
			break
		} else if c != ',' {
			return o.broken("expected , or }")
		}
		o.at++
	}
	o.at++
	return nil
}

// entries reads a map; its keys are kept in the order of the row.
func (o *objectReader) entries(item lakeward.Field, v *vector.Vector, at string) error {
	seen := map[string]bool{}
	err := o.pairs(func(key []byte) error {
		name := string(key)
		if seen[name] {
			return &jsonError{at, "a key stands twice"}
		}
		seen[name] = true
		if reason := appendText(&v.Fields[0], lakeward.TypeString, key); reason != "" {
			return &jsonError{at, reason}
		}
		return o.column(item, &v.Fields[1], at+".*")
	})
	if err == nil {
		v.AppendItems()
	}
	return err
}

// fields reads an object; a field that is missing is null.
func (o *objectReader) fields(fields []lakeward.Field, v *vector.Vector, at string) error {
	err := o.pairs(func(key []byte) error {
		for i := range fields {
			if fields[i].Name != string(key) {
				continue
			}
			if v.Fields[i].Len > v.Len {
				return &jsonError{at + "." + fields[i].Name, "the field stands twice"}
			}
			return o.column(fields[i], &v.Fields[i], at+"."+fields[i].Name)
		}
		return &jsonError{at + "." + lakeward.Quote(string(key)), "it is no field of the schema"}
	})
	if err != nil {
		return err
	}
	for i := range fields {
		if v.Fields[i].Len == v.Len {
			v.Fields[i].AppendNull()
		}
		if fields[i].Required && v.Fields[i].IsNull(v.Len) {
			return &jsonError{at + "." + fields[i].Name, "the value is missing"}
		}
	}
	v.AppendItems()
	return nil
}
