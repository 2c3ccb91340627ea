package lakeward

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// CheckEnrichment checks which payload columns of uploaded audiences go into the files of those audiences: they exist, stand
// once, and no header of the mapping is theirs (ENR-02, ENR-04).
func (d Dataflow) CheckEnrichment(audiences []Audience) error {
	var errs fieldErrors
	headers := map[string]int{}
	for i, m := range d.Mapping {
		headers[strings.ToLower(m.Target)] = i + 1
	}
	for i, it := range d.Items {
		k := slices.IndexFunc(audiences, func(a Audience) bool { return a.ID == it.AudienceID })
		if len(it.Enrichment) == 0 || k < 0 {
			continue
		}
		a := audiences[k]
		at := fmt.Sprintf("/audiences/%d/enrichmentAttributes", i)
		if a.Origin != UploadOrigin {
			errs.add(at, "FLOW-1004", "the audience %s was not uploaded, so it has no enrichment attributes", Quote(a.Name))
			continue
		}
		own := map[string]bool{}
		for n, name := range it.Enrichment {
			at := fmt.Sprintf("%s/%d", at, n)
			header := enrichmentHeader(name)
			folded := strings.ToLower(header)
			switch {
			case !slices.Contains(a.Payload(), name):
				errs.add(at, "MAP-1002", "the upload of %s has no payload column %s", Quote(a.Name), Quote(name))
				errs.hint(payloadHint(a, name))
			case own[folded]:
				errs.add(at, "MAP-1003", "the enrichment attribute %s stands twice", Quote(name))
			case headers[folded] > 0:
				errs.add(at, "MAP-1003", "the enrichment attribute %s has the header of column %d", Quote(name), headers[folded])
				errs.hint("give that column another header, or leave the attribute out")
			}
			own[folded] = true
		}
	}
	return errs.err("the dataflow")
}

func payloadHint(a Audience, name string) string {
	if near := Suggestion(name, a.Payload()); near != "" {
		return near
	}
	if len(a.Payload()) == 0 {
		return "it has none"
	}
	return "it has " + strings.Join(a.Payload(), ", ")
}

// Payload are the columns of the latest upload of an audience that its exports may add: all but the identity (CSV-UP-03).
func (a Audience) Payload() []string {
	return slices.DeleteFunc(slices.Clone(a.Columns), func(c string) bool { return c == a.Identity })
}

// EnrichmentColumns are the columns that follow the mapped ones in the files of an audience (ENR-03, ENR-04).
func (it DataflowItem) EnrichmentColumns() []Column {
	if it.NoEnrichment {
		return nil
	}
	var out []Column
	for _, name := range it.Enrichment {
		out = append(out, Column{Mapping: Mapping{Source: name, Target: enrichmentHeader(name)}, Kind: EnrichmentSource, Type: TypeString})
	}
	return out
}

// enrichmentHeader is the header of a payload column: its name, without dots (MAP-05).
func enrichmentHeader(name string) string { return strings.ReplaceAll(name, ".", "_") }

// Together is one error of all that several checks found wrong with the input; any other error comes first.
func Together(what string, checks ...error) error {
	var fields fieldErrors
	for _, err := range checks {
		if err == nil {
			continue
		}
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Kind != Invalid || len(e.Fields) == 0 {
			return err
		}
		for _, f := range e.Fields {
			if !slices.Contains(fields, f) {
				fields = append(fields, f)
			}
		}
	}
	return fields.err(what)
}
