package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/lakeward/lakeward"
)

func schemaCommand(a *app) *cobra.Command {
	return group("schema", "Schemas of datasets", schemaCreate(a), schemaList(a), schemaShow(a))
}

func schemaCreate(a *app) *cobra.Command {
	var file, class, definition string
	var profile bool
	c := &cobra.Command{Use: "create NAME --file FILE", Short: "Create a schema from a JSON Schema file", Args: exactly("NAME"), RunE: func(c *cobra.Command, args []string) error {
		if file == "" {
			return usage("--file is needed: a JSON Schema file, or - for standard input")
		}
		b, err := a.readInput(file)
		if err != nil {
			return err
		}
		fields, err := lakeward.ParseSchema(b, definition)
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
	c.Flags().StringVar(&file, "file", "", "JSON Schema file with identity and xdmType, or -")
	c.Flags().StringVar(&class, "class", string(lakeward.RecordClass), "record (the newest one wins) or event (appended)")
	c.Flags().StringVar(&definition, "definition", "", "take this definition of the file instead of the file itself")
	c.Flags().BoolVar(&profile, "profile", true, "records feed the profile store")
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
		t = append(t, []string{l.Path, string(l.Type), identity, l.Title})
	}
	return t
}
