package lakeward

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// schemaNode is one node of a JSON Schema file, as far as it is understood.
type schemaNode struct {
	Type        string                     `json:"type"`
	Format      string                     `json:"format"`
	XDMType     string                     `json:"xdmType"`
	Scale       uint8                      `json:"scale"`
	Title       string                     `json:"title"`
	Labels      []string                   `json:"labels"`
	Identity    *FieldIdentity             `json:"identity"`
	Required    []string                   `json:"required"`
	Properties  orderedNodes               `json:"properties"`
	Definitions map[string]json.RawMessage `json:"definitions"`
	Additional  json.RawMessage            `json:"additionalProperties"`
	Items       json.RawMessage            `json:"items"`
}

type namedNode struct {
	name string
	node schemaNode
}

// orderedNodes keeps the properties in the order of the file; encoding/json has no such map.
type orderedNodes []namedNode

// UnmarshalJSON reads an object, key by key; a key that stands twice is an error (JSON-1005).
func (o *orderedNodes) UnmarshalJSON(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return errors.New("properties must be an object")
	}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return err
		}
		name := t.(string)
		if seen[name] {
			return fmt.Errorf("the property %s stands twice", Quote(name))
		}
		seen[name] = true
		n := namedNode{name: name}
		if err := dec.Decode(&n.node); err != nil {
			return fmt.Errorf("property %s: %w", Quote(name), err)
		}
		*o = append(*o, n)
	}
	return nil
}

// ParseSchema reads a JSON Schema file with identity and xdmType annotations. definition picks
// one of its definitions; "" takes the file itself. Class, name and flags are the caller's.
func ParseSchema(data []byte, definition string) ([]Field, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	var root schemaNode
	if err := dec.Decode(&root); err != nil {
		return nil, syntaxError(data, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, invalid("JSON-1003", "the schema file holds more than one JSON value")
	}
	if definition != "" {
		raw, ok := root.Definitions[definition]
		if !ok {
			return nil, invalid("SCHEMA-1002", "the schema file has no definition %s", Quote(definition))
		}
		root = schemaNode{}
		if err := json.Unmarshal(raw, &root); err != nil {
			return nil, syntaxError(data, err)
		}
	}
	var errs fieldErrors
	fields := convertNodes(&errs, "", root, 0)
	return fields, errs.err("the schema")
}

func convertNodes(errs *fieldErrors, prefix string, parent schemaNode, depth int) []Field {
	if depth > maxSchemaDepth {
		errs.add("/properties/"+prefix, "SCHEMA-1002", "the schema is nested deeper than %d levels", maxSchemaDepth)
		return nil
	}
	var out []Field
	for _, p := range parent.Properties {
		f, ok := convertNode(errs, prefix+p.name, p.node, depth)
		if !ok {
			continue
		}
		f.Name = p.name
		for _, r := range parent.Required {
			f.Required = f.Required || r == p.name
		}
		out = append(out, f)
	}
	return out
}

// convertNode turns a node into a field without its name; ok is false if its type is unknown.
func convertNode(errs *fieldErrors, path string, n schemaNode, depth int) (f Field, ok bool) {
	f = Field{Title: n.Title, Identity: n.Identity, Type: n.fieldType(), Labels: n.Labels}
	inside, sub := n.Items, "items"
	switch f.Type {
	case "":
		errs.add("/properties/"+path, "SCHEMA-1003", "%s is not available", n.describe())
		return f, false
	case TypeObject:
		f.Fields = convertNodes(errs, path+".", n, depth+1)
		return f, true
	case TypeDecimal:
		f.Scale = n.Scale
		return f, true
	case TypeMap:
		inside, sub = n.Additional, "additionalProperties"
	case TypeArray:
	default:
		return f, true
	}
	at := path + "/" + sub
	var below schemaNode
	if err := json.Unmarshal(inside, &below); err != nil {
		errs.add("/properties/"+at, "SCHEMA-1003", "the values have no type: %s stands for a schema of them", Quote(string(inside[:min(len(inside), 40)])))
		return f, false
	}
	if depth > maxSchemaDepth {
		errs.add("/properties/"+at, "SCHEMA-1002", "the schema is nested deeper than %d levels", maxSchemaDepth)
		return f, false
	}
	item, ok := convertNode(errs, at, below, depth+1)
	f.Item = &item
	return f, ok
}

// fieldType maps JSON Schema's type, format and xdmType to ours; "" if there is no such type.
func (n schemaNode) fieldType() FieldType {
	switch n.Type {
	case "string":
		switch n.Format {
		case "date":
			return TypeDate
		case "date-time":
			return TypeDateTime
		}
		return TypeString
	case "integer":
		if n.XDMType == "int" || n.XDMType == "integer" {
			return TypeInteger
		}
		return TypeLong
	case "number":
		if n.XDMType == "decimal" {
			return TypeDecimal
		}
		return TypeDouble
	case "boolean":
		return TypeBoolean
	case "array":
		if len(n.Items) > 0 {
			return TypeArray
		}
	case "object":
		if len(n.Properties) > 0 {
			return TypeObject
		}
		if len(n.Additional) > 0 {
			return TypeMap
		}
	}
	return ""
}

func (n schemaNode) describe() string {
	switch {
	case n.Type == "array":
		return "an array without items"
	case n.Type == "object":
		return "an object without properties and additionalProperties"
	case n.Type == "":
		return "a field without type"
	}
	return "type " + Quote(n.Type)
}

// syntaxError gives the position of a JSON error (JSON-1002).
func syntaxError(data []byte, err error) error {
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		before := data[:min(int(e.Offset), len(data))]
		line := bytes.Count(before, []byte("\n")) + 1
		col := len(before) - bytes.LastIndexByte(before, '\n') - 1
		return invalid("JSON-1002", "the file is not JSON: line %d, column %d: %v", line, max(col, 1), e)
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return invalid("JSON-1002", "the file is not a JSON Schema: %s stands where something else is expected, at byte %d %s", e.Value, e.Offset, Quote(e.Field))
	}
	if errors.Is(err, io.EOF) {
		return invalid("JSON-1002", "the file is empty; it holds a JSON Schema of an object")
	}
	return invalid("JSON-1002", "the file is not a JSON Schema: %v", err)
}
