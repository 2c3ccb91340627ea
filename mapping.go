package lakeward

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Mapping is one column of the exported files: a source and a header.
type Mapping struct {
	Source    string `json:"source"` // "person.name.firstName", "identityMap.Email" or a membership field
	Target    string `json:"target"` // the header
	Mandatory bool   `json:"mandatory,omitempty"`
	Key       bool   `json:"key,omitempty"` // part of the deduplication key
}

// SourceKind says what a mapping reads.
type SourceKind int

// The kinds of sources.
const (
	AttributeSource SourceKind = iota // a scalar field of the union schema
	IdentitySource                    // the values of one namespace
	StatusSource                      // the membership status of the exported audience
	QualifiedSource                   // its lastQualificationTime
)

const (
	identityPrefix  = "identityMap."
	statusPath      = "segmentMembership.seg_namespace.seg_id.status"
	qualifiedPath   = "segmentMembership.seg_namespace.seg_id.lastQualificationTime"
	maxMappings     = 1000
	softMappings    = 50
	maxHeaderBytes  = 1024
	membershipWords = "segmentMembership."
)

// Kind tells what the mapping reads.
func (m Mapping) Kind() SourceKind {
	switch {
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
	code, _ := strings.CutPrefix(m.Source, identityPrefix)
	if code == m.Source {
		return ""
	}
	return code
}

// DefaultTarget is the header of a source that was given none: its path with _ for dots (MAP-05),
// the code of a namespace (MAP-18), the short name of a membership field.
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
	return strings.ReplaceAll(source, ".", "_")
}

// NormalizeMapping removes the xdm: prefix, fills default headers, and locks the boxes of a namespace (MAP-09, MAP-17).
func NormalizeMapping(mapping []Mapping) []Mapping {
	out := make([]Mapping, len(mapping))
	for i, m := range mapping {
		m.Source = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(m.Source), "xdm:"))
		if m.Target == "" {
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
		checkHeader(errs, at, m.Target)
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

func checkHeader(errs *fieldErrors, at, target string) {
	at += "/target"
	switch {
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
}

// ResolveMapping finds the source of every mapping (MAP-09). Unknown fields, fields of events,
// objects and unknown namespaces are reported all at once. dest is where the columns go: it decides whether
// arrays, maps and objects can be mapped (CAL-03, CAL-04).
func ResolveMapping(mapping []Mapping, union []Leaf, namespaces []Namespace, dest Destination) ([]Column, error) {
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
			c.find(&errs, at, union, dest)
		}
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
