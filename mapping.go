package lakeward

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Mapping is one column of the exported files: a source and a header.
type Mapping struct {
	// Source is "person.name.firstName", "orders[0].sku", "identityMap.Email", a membership field, an expression or a text.
	Source     string     `json:"source"`
	SourceType SourceType `json:"sourceType,omitempty"`
	Target     string     `json:"target"` // the header
	Mandatory  bool       `json:"mandatory,omitempty"`
	Key        bool       `json:"key,omitempty"` // part of the deduplication key
}

// SourceType says how a source is written.
type SourceType string

// The types of sources. ATTRIBUTE is another word for the empty one.
const (
	PathSource       SourceType = ""           // a path or a name
	ExpressionSource SourceType = "EXPRESSION" // a calculated field
	StaticSource     SourceType = "STATIC"     // the text itself
)

// SourceKind says what a mapping reads.
type SourceKind int

// The kinds of sources.
const (
	AttributeSource  SourceKind = iota // a scalar field of the union schema
	IdentitySource                     // the values of one namespace
	StatusSource                       // the membership status of the exported audience
	QualifiedSource                    // its lastQualificationTime
	CalculatedSource                   // worked out: a calculated field, a constant, an element such as orders[0].sku
	EnrichmentSource                   // a payload column of an uploaded audience
)

const (
	identityPrefix  = "identityMap."
	statusPath      = "segmentMembership.seg_namespace.seg_id.status"
	qualifiedPath   = "segmentMembership.seg_namespace.seg_id.lastQualificationTime"
	maxMappings     = 1000
	softMappings    = 50
	maxHeaderBytes  = 1024
	maxSource       = 4096
	membershipWords = "segmentMembership."
)

// Kind tells what the mapping reads.
func (m Mapping) Kind() SourceKind {
	switch {
	case m.SourceType != PathSource:
		return CalculatedSource
	case strings.HasPrefix(m.Source, identityPrefix):
		return IdentitySource
	case m.Source == statusPath:
		return StatusSource
	case m.Source == qualifiedPath:
		return QualifiedSource
	}
	return AttributeSource
}

// Namespace is the code of the mapped namespace, "" for other sources.
func (m Mapping) Namespace() string {
	if m.Kind() != IdentitySource {
		return ""
	}
	return strings.TrimPrefix(m.Source, identityPrefix)
}

// DefaultTarget is the header of a path that was given none: its names with _ between them (MAP-05), positions of items without
// their brackets, the code of a namespace (MAP-18), the short name of a membership field.
func DefaultTarget(source string) string {
	m := Mapping{Source: source}
	switch m.Kind() {
	case IdentitySource:
		return strings.ReplaceAll(m.Namespace(), ".", "_")
	case StatusSource:
		return "segmentMembership_status"
	case QualifiedSource:
		return "segmentMembership_lastQualificationTime"
	}
	return strings.NewReplacer(".", "_", `["`, "_", "['", "_", "[", "", "]", "", `"`, "", "'", "").Replace(source)
}

// NormalizeMapping removes the xdm: prefix, fills default headers, and locks the boxes of a namespace (MAP-09, MAP-17).
func NormalizeMapping(mapping []Mapping) []Mapping {
	out := make([]Mapping, len(mapping))
	for i, m := range mapping {
		if m.SourceType == "ATTRIBUTE" {
			m.SourceType = PathSource
		}
		if m.SourceType == PathSource {
			m.Source = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(m.Source), "xdm:"))
		}
		if m.Target == "" && m.SourceType == PathSource {
			m.Target = DefaultTarget(m.Source)
		}
		if m.Kind() == IdentitySource {
			m.Mandatory, m.Key = true, true
		}
		out[i] = m
	}
	return out
}

// checkMapping checks what can be checked without the schema; ResolveMapping does the rest.
func checkMapping(errs *fieldErrors, mapping []Mapping) {
	if len(mapping) == 0 || len(mapping) > maxMappings {
		errs.add("/mapping", "MAP-1001", "a dataflow maps 1 to %d columns, not %d", maxMappings, len(mapping))
	}
	seen := map[string]int{}
	namespaces, keys := 0, 0
	for i, m := range mapping {
		at := fmt.Sprintf("/mapping/%d", i)
		checkHeader(errs, at, m)
		checkSource(errs, at, m)
		folded := strings.ToLower(m.Target)
		if first, dup := seen[folded]; dup {
			errs.add(at+"/target", "MAP-1003", "the header %s is already used by column %d; headers differ in more than case", Quote(m.Target), first+1)
		} else {
			seen[folded] = i
		}
		if m.Kind() == IdentitySource {
			namespaces++
		}
		if m.Key {
			keys++
		}
	}
	if namespaces > 1 {
		errs.add("/mapping", "MAP-1007", "only one identity namespace can be mapped, not %d", namespaces)
	}
	if namespaces == 1 && keys > 1 {
		errs.add("/mapping", "MAP-1008", "the mapped namespace is the deduplication key; no attribute can be one beside it")
	}
	if namespaces == 0 && keys > 2 {
		errs.add("/mapping", "MAP-1008", "at most two attributes make the deduplication key, not %d", keys)
	}
}

// checkSource checks the boxes against the kind of source.
func checkSource(errs *fieldErrors, at string, m Mapping) {
	switch m.SourceType {
	case PathSource, ExpressionSource, StaticSource:
	default:
		errs.add(at+"/sourceType", "MAP-1002", "a source is of type ATTRIBUTE, EXPRESSION or STATIC, not %s", Quote(string(m.SourceType)))
	}
	if len(m.Source) > maxSource || !utf8.ValidString(m.Source) {
		errs.add(at+"/source", "MAP-1002", "the source is longer than %d bytes or is not UTF-8", maxSource)
	}
	switch kind := m.Kind(); {
	case m.Key && (kind == StatusSource || kind == QualifiedSource):
		errs.add(at+"/key", "MAP-1008", "a membership field cannot be a deduplication key; use a namespace or one or two attributes")
	case m.Key && m.SourceType == StaticSource:
		errs.add(at+"/key", "MAP-1008", "a constant cannot be a deduplication key: it is the same for all profiles")
	}
}

func checkHeader(errs *fieldErrors, at string, m Mapping) {
	target := m.Target
	at += "/target"
	switch {
	case target == "" && m.SourceType != PathSource:
		errs.add(at, "MAP-1003", "a calculated field needs a header")
	case target == "":
		errs.add(at, "MAP-1003", "the header is empty")
	case len(target) > maxHeaderBytes || !utf8.ValidString(target):
		errs.add(at, "MAP-1003", "the header is longer than %d bytes or is not UTF-8", maxHeaderBytes)
	case strings.Contains(target, "."):
		errs.add(at, "MAP-1003", "the header %s holds a dot", Quote(target))
		errs.hint("use " + strings.ReplaceAll(target, ".", "_"))
	case strings.IndexFunc(target, unicode.IsControl) >= 0:
		errs.add(at, "MAP-1003", "the header %s holds a line break or a control character", Quote(target))
	}
}

// Column is a mapping whose source was found in the union schema.
type Column struct {
	Mapping
	Kind  SourceKind
	Type  FieldType // of the values
	Scale uint8     // of decimals
	Item  *Field    // of arrays and maps
	below []Leaf    // of an object: its scalars, arrays and maps

	fields []Field // of an object that is worked out
}

// Formula checks the source of a column that is worked out, the one at a place of the mapping, and tells what its values look like.
type Formula func(i int, m Mapping) (Field, error)

// ResolveMapping finds the source of every mapping (MAP-09). Unknown fields, fields of events,
// objects and unknown namespaces are reported all at once. dest is where the columns go: it decides whether
// arrays, maps and objects can be mapped (CAL-03, CAL-04).
func ResolveMapping(mapping []Mapping, union []Leaf, namespaces []Namespace, dest Destination, formula Formula) ([]Column, error) {
	var errs fieldErrors
	cols := make([]Column, 0, len(mapping))
	for i, m := range mapping {
		at := fmt.Sprintf("/mapping/%d/source", i)
		c := Column{Mapping: m, Kind: m.Kind(), Type: TypeString}
		switch c.Kind {
		case IdentitySource:
			if !hasNamespace(namespaces, m.Namespace()) {
				errs.add(at, "MAP-1007", "%s", noNamespace(namespaces, m.Namespace()))
			}
		case QualifiedSource:
			c.Type = TypeDateTime
		case AttributeSource:
			c.find(union)
		}
		if c.Kind == CalculatedSource {
			c.calculate(&errs, at, i, union, formula)
		}
		c.fits(&errs, at, dest)
		cols = append(cols, c)
	}
	return cols, errs.err("the mapping")
}

func hasNamespace(list []Namespace, code string) bool {
	for _, n := range list {
		if n.Code == code {
			return true
		}
	}
	return false
}

func findLeaf(union []Leaf, path string) (Leaf, bool) {
	for _, l := range union {
		if l.Path == path {
			return l, true
		}
	}
	return Leaf{}, false
}

// suggestField names the closest path, or the children of an object.
func suggestField(union []Leaf, path string) string {
	if strings.HasPrefix(path, membershipWords) {
		return "use " + statusPath
	}
	names := make([]string, 0, len(union))
	for _, l := range union {
		if strings.HasPrefix(l.Path, path+".") {
			return "it is an object; map a field in it, such as " + l.Path
		}
		names = append(names, l.Path)
	}
	if near := Suggestion(path, names); near != "" {
		return near
	}
	return "see the fields with: lakeward schema show"
}
