package lakeward

import "strings"

// find looks an attribute up in the union schema: a scalar, or, where the destination takes them, an array, a map
// or an object.
func (c *Column) find(errs *fieldErrors, at string, union []Leaf, dest Destination) {
	leaf, ok := findLeaf(union, c.Source)
	if !ok {
		c.below = leavesBelow(union, c.Source)
		leaf.Type = TypeObject
	}
	c.Type, c.Scale, c.Item = leaf.Type, leaf.Scale, leaf.Item
	switch {
	case !ok && (len(c.below) == 0 || !dest.Nested):
		errs.add(at, "MAP-1002", "there is no profile field %s", Quote(c.Source))
		errs.hint(suggestField(union, c.Source))
	case c.Type.Scalar():
	case !dest.Nested:
		errs.add(at, "MAP-1002", "%s is of type %s, which a column cannot hold", Quote(c.Source), leaf.Type)
		if dest.FileType != CSV {
			errs.hint("a destination with exportArraysMapsObjects keeps it as it is")
		}
	case c.Key:
		errs.add(at, "MAP-1008", "%s is of type %s, which cannot be a deduplication key", Quote(c.Source), c.Type)
	}
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
	if c.Type == TypeObject {
		return c.below
	}
	return []Leaf{{Path: c.Source, Type: c.Type, Scale: c.Scale, Item: c.Item}}
}

// Field is what the values of the column look like, under the name of its header.
func (c Column) Field() Field {
	f := Field{Name: c.Target, Type: c.Type, Scale: c.Scale, Item: c.Item}
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
