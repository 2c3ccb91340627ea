package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/lakeward/lakeward"
)

func destinationCommand(a *app) *cobra.Command {
	return group("destination", "Destinations: account, folder and form of the files", destinationCreate(a), destinationList(a), destinationShow(a))
}

// readDocument fills v from a YAML or JSON file in the domain's camelCase. Unknown fields are errors.
func (a *app) readDocument(name string, v any) error {
	b, err := a.readInput(name)
	if err != nil {
		return err
	}
	bad := func(why string) error {
		return &lakeward.Error{Kind: lakeward.Invalid, Code: "JSON-1002", Msg: name + " is not accepted: " + why}
	}
	if b, err = yaml.YAMLToJSON(b); err != nil {
		return bad(yaml.FormatError(err, false, false))
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil && !errors.Is(err, io.EOF) {
		return bad(err.Error())
	}
	return nil
}

func destinationCreate(a *app) *cobra.Command {
	d := lakeward.Destination{FileType: lakeward.CSV, Compression: lakeward.Gzip, CSV: lakeward.DefaultCSV()}
	var account, file, fileType, compression string
	var untested bool
	c := &cobra.Command{Use: "create NAME --account ACCOUNT --path FOLDER", Short: "Create a destination", Args: exactly("NAME"), RunE: func(c *cobra.Command, args []string) error {
		if file != "" {
			if err := a.readDocument(file, &d); err != nil {
				return err
			}
		}
		flags := c.Flags()
		if file == "" || flags.Changed("file-type") {
			d.FileType = lakeward.FileType(fileType)
		}
		if file == "" || flags.Changed("compression") {
			d.Compression = lakeward.Compression(compression)
		}
		d.CSV.Delimiter = unescape(d.CSV.Delimiter)
		if d.CSV.Quote == "none" {
			d.CSV.Quote = ""
		}
		if account == "" {
			return usage("--account is needed")
		}
		if d.Folder == "" {
			return usage("--path is needed; / is the root of the container")
		}
		d.Name, d.Sandbox = args[0], a.settings.sandbox
		return a.withData(c.Context(), true, func(dir *directory) error {
			created, err := dir.engine.CreateDestination(c.Context(), d, account, untested)
			if err != nil {
				return err
			}
			a.warn(created.Warnings())
			return a.print(created, func() table { return destinationTable(created) })
		})
	}}
	f := c.Flags()
	f.StringVar(&account, "account", "", "name or id of the account")
	f.StringVarP(&file, "file", "f", "", "YAML or JSON file with the fields")
	f.StringVar(&d.Folder, "path", "", "folder, required; / is the root of the container; macros such as %SEGMENT_NAME% are allowed")
	f.StringVar(&d.Description, "description", "", "description")
	f.StringVar(&fileType, "file-type", string(lakeward.CSV), "CSV, JSON or PARQUET")
	f.StringVar(&compression, "compression", string(lakeward.Gzip), "NONE or GZIP; with --extensions also ZSTD, SNAPPY or LZ4")
	f.BoolVar(&d.Nested, "arrays-maps-objects", false, "let whole arrays, maps and objects be mapped, into JSON or PARQUET")
	f.BoolVar(&d.Extensions, "extensions", false, "allow options beyond the reference, which other readers may not expect")
	f.StringVar(&d.CSV.Delimiter, "delimiter", d.CSV.Delimiter, `, \t | ; or :`)
	f.StringVar(&d.CSV.Quote, "quote", d.CSV.Quote, `" or none`)
	f.StringVar(&d.CSV.Escape, "escape", d.CSV.Escape, `\ or '`)
	f.StringVar(&d.CSV.Empty, "empty", d.CSV.Empty, `what an empty value is written as: null, "" or nothing`)
	f.StringVar(&d.CSV.Null, "null", d.CSV.Null, `what a null is written as: null, "" or nothing`)
	f.BoolVar(&d.Manifest, "manifest", false, "write a manifest beside the files")
	f.BoolVar(&untested, "untested", false, "store without trying to write into the folder")
	f.Int64Var(&d.RowsPerFile, "rows-per-file", 0, "cut files earlier than at 5,000,000 rows")
	return c
}

// unescape turns the two characters \t into a tab.
func unescape(s string) string {
	if s == `\t` {
		return "\t"
	}
	return s
}

// warn prints what is allowed but will surprise somebody.
func (a *app) warn(warnings []string) {
	for _, w := range warnings {
		fmt.Fprintln(a.env.err, "warning: "+w)
	}
}

func destinationList(a *app) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the destinations", Args: noArgs, RunE: func(c *cobra.Command, _ []string) error {
		return a.withData(c.Context(), false, func(d *directory) error {
			list, err := d.store.Destinations(c.Context(), a.settings.sandbox)
			if err != nil {
				return err
			}
			return a.print(list, func() table {
				t := table{{"NAME", "PATH", "TYPE", "COMPRESSION", "MANIFEST", "ID"}}
				for _, x := range list {
					t = append(t, []string{x.Name, "/" + x.Folder, string(x.FileType), string(x.Compression), strconv.FormatBool(x.Manifest), string(x.ID)})
				}
				return t
			})
		})
	}}
}

func destinationShow(a *app) *cobra.Command {
	return &cobra.Command{Use: "show NAME", Short: "Show a destination", Args: exactly("NAME"), RunE: func(c *cobra.Command, args []string) error {
		return a.withData(c.Context(), false, func(d *directory) error {
			x, err := d.store.Destination(c.Context(), a.settings.sandbox, args[0])
			if err != nil {
				return err
			}
			return a.print(x, func() table { return destinationTable(x) })
		})
	}}
}

func destinationTable(d lakeward.Destination) table {
	mode := "by rename"
	if d.Mode == lakeward.CopyOnce {
		mode = string(d.Mode) + ": files may be visible before the manifest; readers of the manifest are safe"
	}
	t := pairs("Destination", d.Name, "Mode", mode, "Id", string(d.ID), "Account", string(d.AccountID), "Path", "/"+d.Folder, "File type", string(d.FileType), "Compression", string(d.Compression))
	if d.FileType == lakeward.CSV {
		t = append(t, pairs("Delimiter", strconv.Quote(d.CSV.Delimiter), "Quote", strconv.Quote(d.CSV.Quote), "Escape", strconv.Quote(d.CSV.Escape))...)
	} else {
		t = append(t, []string{"Arrays, maps, objects:", strconv.FormatBool(d.Nested)})
	}
	return append(t, pairs("Manifest", strconv.FormatBool(d.Manifest), "Rows per file", strconv.FormatInt(d.PartRows(), 10))...)
}
