package lakeward

import "strings"

// find looks an attribute up in the union schema: a scalar, an array, a map or an object. Anything else may be an element of one.
func (c *Column) find(union []Leaf) {
	leaf, ok := findLeaf(union, c.Source)
	if !ok {
		c.below = leavesBelow(union, c.Source)
		leaf.Type = TypeObject
	}
	if !ok && len(c.below) == 0 {
		c.Kind = CalculatedSource
		return
	}
	c.Type, c.Scale, c.Item = leaf.Type, leaf.Scale, leaf.Item
}

// calculate checks what is worked out. A path that is none is told as an unknown field.
func (c *Column) calculate(errs *fieldErrors, at string, i int, union []Leaf, formula Formula) {
	f, err := formula(i, c.Mapping)
	switch {
	case err == nil:
		c.Type, c.Scale, c.Item, c.fields = f.Type, f.Scale, f.Item, f.Fields
	case c.SourceType != PathSource:
		errs.adopt(at, err)
	case strings.ContainsAny(c.Source, "[]"):
		errs.add(at, "MAP-1002", "%s", textOf(err))
	default:
		errs.add(at, "MAP-1002", "there is no profile field %s", Quote(c.Source))
		errs.hint(suggestField(union, c.Source))
	}
}

// fits checks the type of the values against the destination (CAL-02 to CAL-05).
func (c *Column) fits(errs *fieldErrors, at string, dest Destination) {
	switch {
	case c.SourceType == ExpressionSource && dest.Nested:
		errs.add(at, "MAP-1010", "calculated fields are not available on a destination with exportArraysMapsObjects")
		errs.hint("use a destination without it")
	case c.Type.Scalar():
	case !dest.Nested:
		errs.add(at, "MAP-1002", "%s is of type %s, which a column cannot hold", Quote(c.Source), c.Type)
		errs.hint(c.flatten(dest))
	case c.Key:
		errs.add(at, "MAP-1008", "%s is of type %s, which cannot be a deduplication key", Quote(c.Source), c.Type)
	}
}

// flatten says how to export something nested to a destination that takes single values only.
func (c *Column) flatten(dest Destination) string {
	hint := ""
	switch {
	case c.Type == TypeArray:
		hint = `write it as text with the calculated field array_to_string(",", ` + c.Source + ")"
		if c.SourceType == PathSource {
			hint += ", or take an item, such as " + c.Source + "[0]"
		}
	case c.Type == TypeMap && c.SourceType == PathSource:
		hint = "take a value, such as " + c.Source + `["key"]`
	case len(c.below) > 0:
		hint = "it is an object; map a field in it, such as " + c.below[0].Path
	case c.SourceType == PathSource:
		hint = "it is an object; map a field in it"
	default:
		hint = "take a value out of it, or make a text of it with array_to_string(\",\", to_array(false, ...))"
	}
	if dest.FileType != CSV && c.SourceType == PathSource {
		hint += "; a destination with exportArraysMapsObjects keeps it as it is"
	}
	return hint
}

func leavesBelow(union []Leaf, path string) []Leaf {
	var out []Leaf
	for _, l := range union {
		if strings.HasPrefix(l.Path, path+".") {
			out = append(out, l)
		}
	}
	return out
}

// Leaves are the fields of the union schema that an attribute column reads: itself, or those of its object.
func (c Column) Leaves() []Leaf {
	if c.Kind != AttributeSource {
		return nil
	}
	if c.Type == TypeObject {
		return c.below
	}
	return []Leaf{{Path: c.Source, Type: c.Type, Scale: c.Scale, Item: c.Item}}
}

// Field is what the values of the column look like, under the name of its header.
func (c Column) Field() Field {
	f := Field{Name: c.Target, Type: c.Type, Scale: c.Scale, Item: c.Item, Fields: c.fields}
	for _, l := range c.below {
		place(&f, strings.Split(strings.TrimPrefix(l.Path, c.Source+"."), "."), l)
	}
	return f
}

// place adds a leaf to an object, below the objects that its path names.
func place(object *Field, names []string, l Leaf) {
	if len(names) == 1 {
		object.Fields = append(object.Fields, Field{Name: names[0], Type: l.Type, Scale: l.Scale, Item: l.Item})
		return
	}
	i := fieldIndex(object.Fields, names[0])
	if i < 0 {
		i = len(object.Fields)
		object.Fields = append(object.Fields, Field{Name: names[0], Type: TypeObject})
	}
	place(&object.Fields[i], names[1:], l)
}
