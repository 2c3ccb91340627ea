package lakeward

import "strings"

// Fields that every profile has, whatever its schemas say of them (IDN-02, SEG-06).
const (
	IdentityMapPath = "identityMap"
	MembershipPath  = "segmentMembership"
)

// UnionSchema is the union of all profile-enabled record schemas (PRF-01): the fields that a
// mapping or a rule may name. Order: schemas by age, fields by file.
func UnionSchema(schemas []Schema) []Leaf { return unionOf(schemas, RecordClass) }

// EventUnion is the same of the event schemas: the fields that a rule may name behind xEvent.
func EventUnion(schemas []Schema) []Leaf { return unionOf(schemas, EventClass) }

func unionOf(schemas []Schema, class SchemaClass) []Leaf {
	var union []Leaf
	for _, s := range schemas {
		if !s.Profile || s.Class != class {
			continue
		}
		for _, l := range s.Leaves() {
			if l.Path == IdentityMapPath || l.Path == MembershipPath {
				continue // kept apart, for all profiles
			}
			l.Required, l.Identity = false, nil
			i := leafIndex(union, l.Path)
			if i < 0 {
				union = append(union, l)
				continue
			}
			union[i].Item = mergeItems(union[i].Item, l.Item)
		}
	}
	return union
}

// mergeItems is what two schemas together know of the items of one array or map.
func mergeItems(a, b *Field) *Field {
	if a == nil || b == nil || a.Type != b.Type {
		return a
	}
	m := *a
	m.Item = mergeItems(a.Item, b.Item)
	m.Fields = mergeFields(a.Fields, b.Fields)
	return &m
}

func mergeFields(a, b []Field) []Field {
	out := append([]Field(nil), a...)
	for _, f := range b {
		i := fieldIndex(out, f.Name)
		if i < 0 {
			out = append(out, f)
			continue
		}
		out[i].Fields, out[i].Item = mergeFields(out[i].Fields, f.Fields), mergeItems(out[i].Item, f.Item)
	}
	return out
}

func fieldIndex(list []Field, name string) int {
	for i, f := range list {
		if f.Name == name {
			return i
		}
	}
	return -1
}

func leafIndex(list []Leaf, path string) int {
	for i, l := range list {
		if l.Path == path {
			return i
		}
	}
	return -1
}

// CheckUnion refuses a profile schema whose fields clash with those of the union of its class: another
// type, or a scalar where an object stands.
func (s Schema) CheckUnion(union []Leaf) error {
	if !s.Profile {
		return nil
	}
	var errs fieldErrors
	for _, l := range s.Leaves() {
		at := "/properties/" + l.Path
		for _, u := range union {
			switch {
			case u.Path == l.Path:
				checkSame(&errs, at, Field{Type: u.Type, Item: u.Item, Scale: u.Scale}, Field{Type: l.Type, Item: l.Item, Scale: l.Scale})
			case strings.HasPrefix(u.Path, l.Path+"."), strings.HasPrefix(l.Path, u.Path+"."):
				errs.add(at, "SCHEMA-1007", "the field clashes with %s of another profile schema: one is an object", u.Path)
			}
		}
	}
	return errs.err("the schema")
}

// checkSame refuses two types that cannot stand in one column.
func checkSame(errs *fieldErrors, at string, have, want Field) {
	switch {
	case have.Type != want.Type:
		errs.add(at, "SCHEMA-1007", "the field is of type %s already, not %s", have.Type, want.Type)
		return
	case have.Scale != want.Scale:
		errs.add(at, "SCHEMA-1007", "the decimal has %d digits behind the point already, not %d", have.Scale, want.Scale)
	case have.Item != nil && want.Item != nil:
		checkSame(errs, at+"/items", *have.Item, *want.Item)
	}
	for _, f := range want.Fields {
		if i := fieldIndex(have.Fields, f.Name); i >= 0 {
			checkSame(errs, at+"/"+f.Name, have.Fields[i], f)
		}
	}
}

// CheckEvolution refuses a new form of a schema that stored records do not fit: fields are only added, and
// only such as may be absent. Names for display, labels and descriptions may change.
func (s Schema) CheckEvolution(next Schema) error {
	var errs fieldErrors
	if s.Class != next.Class || s.Profile != next.Profile {
		errs.add("/class", "SCHEMA-1008", "class and profile flag of a schema never change; make another schema")
	}
	checkAdditive(&errs, "/properties", Field{Type: TypeObject, Fields: s.Fields}, Field{Type: TypeObject, Fields: next.Fields})
	return errs.err("the schema")
}

func checkAdditive(errs *fieldErrors, at string, old, next Field) {
	if old.Type != next.Type || old.Scale != next.Scale {
		errs.add(at, "SCHEMA-1008", "the type %s is kept in stored records and cannot become %s", old.Type, next.Type)
		return
	}
	if old.Item != nil && next.Item != nil {
		checkAdditive(errs, at+"/items", *old.Item, *next.Item)
	}
	for _, f := range old.Fields {
		i := fieldIndex(next.Fields, f.Name)
		switch {
		case i < 0:
			errs.add(at+"/"+f.Name, "SCHEMA-1008", "the field is missing; fields are added, never taken away")
		case !sameIdentity(f.Identity, next.Fields[i].Identity):
			errs.add(at+"/"+f.Name, "SCHEMA-1008", "whether a field is an identity never changes, since stored records were joined by it")
		case next.Fields[i].Required && !f.Required:
			errs.add(at+"/"+f.Name, "SCHEMA-1008", "the field cannot become required: stored records may lack it")
		default:
			checkAdditive(errs, at+"/"+f.Name, f, next.Fields[i])
		}
	}
	for _, f := range next.Fields {
		if fieldIndex(old.Fields, f.Name) < 0 && (f.Required || f.Identity != nil && f.Identity.Primary) {
			errs.add(at+"/"+f.Name, "SCHEMA-1008", "a new field cannot be required or the primary identity: stored records lack it")
		}
	}
}

func sameIdentity(a, b *FieldIdentity) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// FieldAt is the field at a dotted path of the union: a leaf, or the object of all leaves below it.
func FieldAt(union []Leaf, path string) (f Field, ok bool) {
	if l, found := findLeaf(union, path); found {
		return Field{Type: l.Type, Item: l.Item, Scale: l.Scale}, true
	}
	f.Type = TypeObject
	for _, l := range union {
		rest, below := strings.CutPrefix(l.Path, path+".")
		if !below {
			continue
		}
		name, _, _ := strings.Cut(rest, ".")
		if fieldIndex(f.Fields, name) < 0 {
			field, _ := FieldAt(union, path+"."+name)
			field.Name = name
			f.Fields = append(f.Fields, field)
		}
	}
	return f, len(f.Fields) > 0
}
