package main

import (
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/lakeward/lakeward"
)

// enrichmentFlags say which payload columns of uploaded audiences are exported with them.
type enrichmentFlags struct{ with, without []string }

func (f *enrichmentFlags) register(fl *pflag.FlagSet) {
	fl.StringArrayVar(&f.with, "enrich", nil, "AUDIENCE=COLUMN: a column of an uploaded audience's file, added behind the mapped ones in its exports; repeatable")
	fl.StringArrayVar(&f.without, "exclude-enrichment", nil, "name or id of an uploaded audience that is exported without its columns; repeatable")
}

// apply sets the columns of the items; find tells which item a name or id of an audience means. The columns of an audience
// that is named replace those that it had.
func (f *enrichmentFlags) apply(flow *lakeward.Dataflow, find func(ref string) (lakeward.AudienceID, error)) error {
	began := map[lakeward.AudienceID]bool{}
	set := func(ref string, change func(it *lakeward.DataflowItem)) error {
		id, err := find(ref)
		if err != nil {
			return err
		}
		for i := range flow.Items {
			if flow.Items[i].AudienceID == id {
				change(&flow.Items[i])
				return nil
			}
		}
		return &lakeward.Error{Kind: lakeward.Invalid, Code: "NOW-1001", Msg: "the audience " + lakeward.Quote(ref) + " is not part of this dataflow; add --audience " + ref}
	}
	for _, s := range f.with {
		i := strings.LastIndexByte(s, '=')
		if i <= 0 {
			return usage("--enrich takes AUDIENCE=COLUMN")
		}
		err := set(s[:i], func(it *lakeward.DataflowItem) {
			if !began[it.AudienceID] {
				it.Enrichment, it.NoEnrichment, began[it.AudienceID] = nil, false, true
			}
			it.Enrichment = append(it.Enrichment, s[i+1:])
		})
		if err != nil {
			return err
		}
	}
	for _, ref := range f.without {
		if err := set(ref, func(it *lakeward.DataflowItem) { it.NoEnrichment = true }); err != nil {
			return err
		}
	}
	return nil
}

// enrichmentTable lists the payload columns of the audiences that have some.
func enrichmentTable(f lakeward.Dataflow) table {
	t := table{{}, {"AUDIENCE", "ENRICHED BY", "EXCLUDED"}}
	for _, it := range f.Items {
		if len(it.Enrichment) > 0 {
			t = append(t, []string{string(it.AudienceID), strings.Join(it.Enrichment, ", "), strconv.FormatBool(it.NoEnrichment)})
		}
	}
	if len(t) == 2 {
		return nil
	}
	return t
}

// given says that a flag names or leaves out a column.
func (f *enrichmentFlags) given() bool { return len(f.with)+len(f.without) > 0 }
