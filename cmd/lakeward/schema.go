package main

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lakeward/lakeward"
)

func schemaCommand(a *app) *cobra.Command {
	return group("schema", "Schemas of datasets", schemaCreate(a), schemaEdit(a), schemaList(a), schemaShow(a), schemaUnion(a))
}

// schemaFile is a file of fields, or a definition in it.
type schemaFile struct{ path, definition string }

func (f *schemaFile) register(fl *pflag.FlagSet) {
	fl.StringVar(&f.path, "file", "", "JSON Schema file with identity and xdmType, or -")
	fl.StringVar(&f.definition, "definition", "", "take this definition of the file instead of the file itself")
}

// read returns the fields; needed says which file it must be.
func (f *schemaFile) read(a *app, needed string) ([]lakeward.Field, error) {
	if f.path == "" {
		return nil, usage("--file is needed: %s, or - for standard input", needed)
	}
	b, err := a.readInput(f.path)
	if err != nil {
		return nil, err
	}
	return lakeward.ParseSchema(b, f.definition)
}

func schemaCreate(a *app) *cobra.Command {
	var f schemaFile
	var class string
	var profile bool
	c := &cobra.Command{Use: "create NAME --file FILE", Short: "Create a schema from a JSON Schema file", Args: exactly("NAME"), RunE: func(c *cobra.Command, args []string) error {
		fields, err := f.read(a, "a JSON Schema file")
		if err != nil {
			return err
		}
		return a.withData(c.Context(), true, func(d *directory) error {
			s, err := d.engine.CreateSchema(c.Context(), lakeward.Schema{Sandbox: a.settings.sandbox, Name: args[0], Class: lakeward.SchemaClass(class), Profile: profile, Fields: fields})
			if err != nil {
				return err
			}
			return a.print(s, func() table { return schemaTable(s) })
		})
	}}
	f.register(c.Flags())
	c.Flags().StringVar(&class, "class", string(lakeward.RecordClass), "record (the newest one wins) or event (appended)")
	c.Flags().BoolVar(&profile, "profile", true, "records feed the profile store")
	return c
}

func schemaEdit(a *app) *cobra.Command {
	var f schemaFile
	c := &cobra.Command{Use: "edit NAME --file FILE", Short: "Add fields to a schema; what is stored stays as it is", Args: exactly("NAME"), RunE: func(c *cobra.Command, args []string) error {
		fields, err := f.read(a, "a JSON Schema file with all fields, the new ones too")
		if err != nil {
			return err
		}
		return a.withData(c.Context(), false, func(d *directory) error {
			s, err := d.engine.EditSchema(c.Context(), a.settings.sandbox, args[0], fields)
			if err != nil {
				return err
			}
			return a.print(s, func() table { return schemaTable(s) })
		})
	}}
	f.register(c.Flags())
	return c
}

func schemaUnion(a *app) *cobra.Command {
	var class string
	var data bool
	c := &cobra.Command{Use: "union", Short: "List the fields of all profile schemas together: what rules and mappings may name", Args: noArgs, RunE: func(c *cobra.Command, _ []string) error {
		if class != string(lakeward.RecordClass) && class != string(lakeward.EventClass) {
			return usage("--class is record or event")
		}
		return a.withData(c.Context(), false, func(d *directory) error {
			list, err := d.engine.Union(c.Context(), a.settings.sandbox, lakeward.SchemaClass(class), data)
			if err != nil {
				return err
			}
			return a.print(list, func() table {
				t := table{{"FIELD", "TYPE", "TITLE", "LABELS"}}
				if data {
					t[0] = append(t[0], "RECORDS")
				}
				for _, f := range list {
					row := []string{f.Path, string(f.Type), f.Title, strings.Join(f.Labels, ", ")}
					if data {
						row = append(row, strconv.FormatInt(f.Values, 10))
					}
					t = append(t, row)
				}
				return t
			})
		})
	}}
	c.Flags().StringVar(&class, "class", string(lakeward.RecordClass), "record (fields of profiles) or event (fields of events)")
	c.Flags().BoolVar(&data, "with-data", false, "only fields that a stored record has, with their number")
	return c
}

func schemaList(a *app) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the schemas", Args: noArgs, RunE: func(c *cobra.Command, _ []string) error {
		return a.withData(c.Context(), false, func(d *directory) error {
			list, err := d.store.Schemas(c.Context(), a.settings.sandbox)
			if err != nil {
				return err
			}
			return a.print(list, func() table {
				t := table{{"NAME", "CLASS", "PROFILE", "FIELDS", "ID"}}
				for _, s := range list {
					t = append(t, []string{s.Name, string(s.Class), strconv.FormatBool(s.Profile), strconv.Itoa(len(s.Leaves())), string(s.ID)})
				}
				return t
			})
		})
	}}
}

func schemaShow(a *app) *cobra.Command {
	return &cobra.Command{Use: "show NAME", Short: "Show a schema and its fields", Args: exactly("NAME"), RunE: func(c *cobra.Command, args []string) error {
		return a.withData(c.Context(), false, func(d *directory) error {
			s, err := d.store.Schema(c.Context(), a.settings.sandbox, args[0])
			if err != nil {
				return err
			}
			return a.print(s, func() table { return schemaTable(s) })
		})
	}}
}

func schemaTable(s lakeward.Schema) table {
	t := pairs("Schema", s.Name, "Id", string(s.ID), "Class", string(s.Class), "Profile", strconv.FormatBool(s.Profile))
	t = append(t, []string{}, []string{"FIELD", "TYPE", "IDENTITY", "TITLE"})
	for _, l := range s.Leaves() {
		identity := ""
		if l.Identity != nil {
			identity = l.Identity.Namespace
			if l.Identity.Primary {
				identity += " (primary)"
			}
		}
		t = append(t, []string{l.Path, typeText(lakeward.Field{Type: l.Type, Item: l.Item, Scale: l.Scale}), identity, l.Title})
	}
	return t
}

// typeText is a type with what is inside, as in array<object{sku string, n integer}>.
func typeText(f lakeward.Field) string {
	switch {
	case f.Item != nil:
		return string(f.Type) + "<" + typeText(*f.Item) + ">"
	case f.Type == lakeward.TypeDecimal:
		return "decimal(" + strconv.Itoa(int(f.Scale)) + ")"
	case f.Type == lakeward.TypeObject:
		var parts []string
		for _, below := range f.Fields {
			parts = append(parts, below.Name+" "+typeText(below))
		}
		return "object{" + strings.Join(parts, ", ") + "}"
	}
	return string(f.Type)
}
