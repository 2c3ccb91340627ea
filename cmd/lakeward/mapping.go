package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"github.com/lakeward/lakeward"
)

// mappingFlags are the flags that name the columns, in the order in which they stand on the command line.
type mappingFlags struct {
	columns         []lakeward.Mapping
	mandatory, keys []string
}

func (f *mappingFlags) register(fl *pflag.FlagSet) {
	fl.Var(&columnFlag{f, lakeward.PathSource}, "map", "FIELD or FIELD=HEADER: a column, such as person.name.firstName=first_name, orders[0].sku or identityMap.Email; repeatable, in order")
	fl.Var(&columnFlag{f, lakeward.ExpressionSource}, "calculate", "HEADER=EXPRESSION: a calculated column, such as 'mail=sha256(lower(mail))'; repeatable, in order with --map")
	fl.Var(&columnFlag{f, lakeward.StaticSource}, "constant", "HEADER=TEXT: a column with the same text for all; repeatable, in order with --map")
	fl.StringArrayVar(&f.mandatory, "mandatory", nil, "a mapped field, or the header of a column, without which a profile is left out; repeatable")
	fl.StringArrayVar(&f.keys, "key", nil, "a mapped field, or the header of a column, that is (part of) the deduplication key; at most two")
}

// columnFlag is one kind of flag that adds a column.
type columnFlag struct {
	flags *mappingFlags
	kind  lakeward.SourceType
}

func (f *columnFlag) String() string { return "" }

// Type is the word for the value in the help.
func (f *columnFlag) Type() string { return "column" }

// Set adds a column.
func (f *columnFlag) Set(s string) error {
	m := lakeward.Mapping{SourceType: f.kind}
	if f.kind == lakeward.PathSource {
		m.Source, m.Target, _ = strings.Cut(s, "=")
	} else {
		var ok bool
		if m.Target, m.Source, ok = strings.Cut(s, "="); !ok || m.Target == "" {
			return errors.New("write HEADER=EXPRESSION or HEADER=TEXT")
		}
	}
	f.flags.columns = append(f.flags.columns, m)
	return nil
}

// apply adds the columns to a dataflow and marks them.
func (f *mappingFlags) apply(flow *lakeward.Dataflow) error {
	flow.Mapping = lakeward.NormalizeMapping(append(flow.Mapping, f.columns...))
	mark := func(list []string, flag string, set func(*lakeward.Mapping)) error {
		for _, field := range list {
			found := false
			for i := range flow.Mapping {
				if m := &flow.Mapping[i]; m.Source == field && m.SourceType == lakeward.PathSource || m.Target == field {
					set(m)
					found = true
				}
			}
			if !found {
				return &lakeward.Error{Kind: lakeward.Invalid, Code: "MAP-1009", Msg: fmt.Sprintf("%s %s: the field is not mapped; add --map %s", flag, field, field)}
			}
		}
		return nil
	}
	if err := mark(f.mandatory, "--mandatory", func(m *lakeward.Mapping) { m.Mandatory = true }); err != nil {
		return err
	}
	return mark(f.keys, "--key", func(m *lakeward.Mapping) { m.Key = true })
}

// given says that a flag names or marks a column.
func (f *mappingFlags) given() bool { return len(f.columns)+len(f.mandatory)+len(f.keys) > 0 }
