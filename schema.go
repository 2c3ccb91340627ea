package lakeward

import (
	"fmt"
	"regexp"
	"time"
)

// SchemaID identifies a schema.
type SchemaID string

// SchemaClass says whether records of a schema upsert or append (DAT-01).
type SchemaClass string

// The classes.
const (
	RecordClass SchemaClass = "record" // one record per identity, the newest wins
	EventClass  SchemaClass = "event"  // appended, with a top-level timestamp
)

// FieldType is the type of a field's values.
type FieldType string

// The types of fields.
const (
	TypeString   FieldType = "string"
	TypeInteger  FieldType = "integer" // 32 bits
	TypeLong     FieldType = "long"    // 64 bits
	TypeDouble   FieldType = "double"
	TypeBoolean  FieldType = "boolean"
	TypeDate     FieldType = "date"
	TypeDateTime FieldType = "date-time" // milliseconds, UTC
	TypeDecimal  FieldType = "decimal"   // exact, at most 18 digits, Scale of them behind the point
	TypeObject   FieldType = "object"
	TypeArray    FieldType = "array" // of values of the type of Item
	TypeMap      FieldType = "map"   // of values of the type of Item, by text
)

// Field is a node of a schema's tree.
type Field struct {
	Name     string         `json:"name"`
	Type     FieldType      `json:"type"`
	Title    string         `json:"title,omitempty"` // the display name
	Required bool           `json:"required,omitempty"`
	Identity *FieldIdentity `json:"identity,omitempty"`
	Fields   []Field        `json:"fields,omitempty"` // of an object, in the order of the file
	Item     *Field         `json:"item,omitempty"`   // of an array or a map; it has no name
	Scale    uint8          `json:"scale,omitempty"`  // of a decimal: digits behind the point
	Labels   []string       `json:"labels,omitempty"` // of governance
}

// FieldIdentity marks a field whose values identify a profile.
type FieldIdentity struct {
	Namespace string `json:"namespace"`
	Primary   bool   `json:"primary,omitempty"`
}

// Schema is the tree of fields of a dataset.
type Schema struct {
	ID        SchemaID    `json:"id"`
	Sandbox   string      `json:"sandbox"`
	Name      string      `json:"name"`
	Class     SchemaClass `json:"class"`
	Profile   bool        `json:"profile"` // its records feed the profile store
	Fields    []Field     `json:"fields"`
	CreatedAt time.Time   `json:"createdAt"`
}

// Leaf is a field that is no object, with its dotted path: a scalar, an array or a map.
type Leaf struct {
	Path     string
	Type     FieldType
	Title    string
	Required bool
	Identity *FieldIdentity
	Item     *Field // of an array or a map
	Scale    uint8  // of a decimal
	Labels   []string
}

// Leaves lists the scalars, arrays and maps of the schema, depth first, in the order of its file.
func (s Schema) Leaves() []Leaf {
	var out []Leaf
	walkFields("", s.Fields, func(path string, f Field) {
		if f.Type != TypeObject {
			out = append(out, Leaf{Path: path, Type: f.Type, Title: f.Title, Required: f.Required, Identity: f.Identity, Item: f.Item, Scale: f.Scale, Labels: f.Labels})
		}
	})
	return out
}

// Scalar reports whether the values of the type have nothing inside.
func (t FieldType) Scalar() bool { return t != TypeObject && t != TypeArray && t != TypeMap }

// Primary is the primary identity of the schema's records; ok is false if there is none.
func (s Schema) Primary() (leaf Leaf, ok bool) {
	for _, l := range s.Leaves() {
		if l.Identity != nil && l.Identity.Primary {
			return l, true
		}
	}
	return Leaf{}, false
}

func walkFields(prefix string, fields []Field, visit func(path string, f Field)) {
	for _, f := range fields {
		visit(prefix+f.Name, f)
		walkFields(prefix+f.Name+".", f.Fields, visit)
	}
}

const (
	timestampField  = "timestamp"
	maxSchemaFields = 1000
	maxSchemaDepth  = 32

	maxDecimalDigits = 18 // what 64 bits hold
)

// Validate checks the tree: names, types, one primary identity, the timestamp of events, known namespaces.
func (s *Schema) Validate(namespaces []Namespace) error {
	var errs fieldErrors
	checkName(&errs, s.Name)
	if s.Class != RecordClass && s.Class != EventClass {
		errs.add("/class", "SCHEMA-1001", "the class is record or event, not %s", Quote(string(s.Class)))
	}
	count, primaries := 0, 0
	seen := map[string]bool{}
	walkFields("", s.Fields, func(path string, f Field) {
		count++
		at := "/properties/" + path
		checkField(&errs, at, f)
		s.checkOptOuts(&errs, at, f)
		if seen[path] {
			errs.add(at, "SCHEMA-1002", "the field stands twice")
		}
		seen[path] = true
		count += checkItem(&errs, at, f, 1)
		if f.Identity == nil {
			return
		}
		if f.Type != TypeString {
			errs.add(at, "SCHEMA-1004", "an identity field is a string, not %s; identities are kept as text", f.Type)
		}
		if !hasNamespace(namespaces, f.Identity.Namespace) {
			errs.add(at, "SCHEMA-1004", "there is no identity namespace %s", Quote(f.Identity.Namespace))
			errs.hint("create it with: lakeward namespace create " + f.Identity.Namespace)
		}
		if f.Identity.Primary {
			primaries++
		}
	})
	if count == 0 || count > maxSchemaFields {
		errs.add("/properties", "SCHEMA-1002", "a schema has 1 to %d fields, not %d", maxSchemaFields, count)
	}
	if primaries > 1 || s.Profile && primaries == 0 {
		errs.add("/properties", "SCHEMA-1005", "a profile schema has exactly one primary identity, not %d", primaries)
	}
	if s.Class == EventClass {
		if l, ok := findLeaf(s.Leaves(), timestampField); !ok || l.Type != TypeDateTime {
			errs.add("/properties/timestamp", "SCHEMA-1006", "an event schema has a top-level field timestamp of type date-time")
		}
	}
	return errs.err("the schema")
}

func checkField(errs *fieldErrors, at string, f Field) {
	if !regexp.MustCompile(`^[\pL_][\pL\pN_]{0,127}$`).MatchString(f.Name) {
		errs.add(at, "SCHEMA-1002", "a field name starts with a letter or _ and has letters, digits and _, at most 128; not %s", Quote(f.Name))
	}
	checkType(errs, at, f)
}

func checkType(errs *fieldErrors, at string, f Field) {
	switch f.Type {
	case TypeString, TypeInteger, TypeLong, TypeDouble, TypeBoolean, TypeDate, TypeDateTime:
	case TypeDecimal:
		if f.Scale > maxDecimalDigits {
			errs.add(at, "SCHEMA-1003", "a decimal has at most %d digits behind the point, not %d", maxDecimalDigits, f.Scale)
		}
	case TypeObject:
		if len(f.Fields) == 0 {
			errs.add(at, "SCHEMA-1002", "the object has no fields")
		}
	case TypeArray, TypeMap:
		if f.Item == nil {
			errs.add(at, "SCHEMA-1002", "the %s has no items", f.Type)
		}
	default:
		errs.add(at, "SCHEMA-1003", "the type %s is not available", Quote(string(f.Type)))
	}
}

// checkItem checks what is inside arrays and maps and returns the number of fields there.
func checkItem(errs *fieldErrors, at string, f Field, depth int) (count int) {
	if depth > maxSchemaDepth {
		errs.add(at, "SCHEMA-1002", "the schema is nested deeper than %d levels", maxSchemaDepth)
		return 0
	}
	if f.Item == nil {
		return 0
	}
	inside := f.Item.Fields
	at += "/items"
	checkType(errs, at, *f.Item)
	count = checkItem(errs, at, *f.Item, depth+1)
	if f.Item.Identity != nil {
		errs.add(at, "SCHEMA-1004", "an identity field stands outside of arrays and maps; identities of a list belong into identityMap")
	}
	seen := map[string]bool{}
	walkFields("", inside, func(path string, b Field) {
		count++
		checkField(errs, at+"/"+path, b)
		if seen[path] {
			errs.add(at+"/"+path, "SCHEMA-1002", "the field stands twice")
		}
		seen[path] = true
		if b.Identity != nil {
			errs.add(at+"/"+path, "SCHEMA-1004", "an identity field stands outside of arrays and maps; identities of a list belong into identityMap")
		}
		count += checkItem(errs, at+"/"+path, b, depth+1)
	})
	return count
}

// String names the schema.
func (s Schema) String() string { return fmt.Sprintf("schema %s (%s)", s.Name, s.ID) }
