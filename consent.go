package lakeward

import "strings"

// What profiles say of their consent, spelled as in the Experience Data Model: an array of objects, each with a type and
// a value.
const (
	optOutsField   = "privacyOptOuts"
	optOutType     = "optOutType"
	optOutValue    = "optOutValue"
	generalOptOut  = "general_opt_out"
	optOutValueOut = "out"
)

// OptOutRule is the rule that a profile has opted out of everything (CNS-05): in any field privacyOptOuts of the union
// schema an entry of type general_opt_out says out. It is "" if there is no such field. Opt-outs of one purpose, such as
// sales_sharing_opt_out, count only where the rule of an audience asks for them.
func OptOutRule(union []Leaf) string {
	rule := ""
	for _, l := range union {
		if !l.optOuts() {
			continue
		}
		if rule != "" {
			rule += " or "
		}
		rule += `$1["` + l.Path + `"].exists(` + optOutType + ` = "` + generalOptOut + `" and ` + optOutValue + ` = "` + optOutValueOut + `")`
	}
	return rule
}

// optOuts reports whether the field holds opt-outs.
func (l Leaf) optOuts() bool {
	return l.Path[strings.LastIndexByte(l.Path, '.')+1:] == optOutsField && holdsOptOuts(l.Type, l.Item)
}

func holdsOptOuts(t FieldType, item *Field) bool {
	if t != TypeArray || item == nil || item.Type != TypeObject {
		return false
	}
	texts := 0
	for _, f := range item.Fields {
		if (f.Name == optOutType || f.Name == optOutValue) && f.Type == TypeString {
			texts++
		}
	}
	return texts == 2
}

// checkOptOuts refuses a field of a profile schema with the name of opt-outs that cannot hold them, or that is one of events:
// nobody would notice that they do not count.
func (s *Schema) checkOptOuts(errs *fieldErrors, at string, f Field) {
	switch {
	case !s.Profile:
	case s.Class == RecordClass && hidesOptOuts(f.Item):
		errs.add(at, "SCHEMA-1009", "%s stands outside of arrays and maps", optOutsField)
	case f.Name != optOutsField:
	case s.Class == EventClass:
		errs.add(at, "SCHEMA-1009", "%s is a field of profiles, not of events; put it into a schema of class record", optOutsField)
	case !holdsOptOuts(f.Type, f.Item):
		errs.add(at, "SCHEMA-1009", "%s is an array of objects with the texts %s and %s, by which profiles opt out; give a field for something else another name", optOutsField, optOutType, optOutValue)
	}
}

// hidesOptOuts reports whether a field with the name of opt-outs stands somewhere inside the item of an array or a map.
func hidesOptOuts(item *Field) bool {
	if item == nil {
		return false
	}
	hidden := hidesOptOuts(item.Item)
	walkFields("", item.Fields, func(_ string, f Field) { hidden = hidden || f.Name == optOutsField || hidesOptOuts(f.Item) })
	return hidden
}

// Withheld are the members of an audience that a run leaves out for want of consent (CNS-03), as bitmaps of profile
// numbers, of which no bytes are nobody: at the beginning of its window, where the run before it ended, and at its end. They
// are not known where the books are older than the lake.
type Withheld struct {
	Start, End               Bitmap
	StartUnknown, EndUnknown bool
}
