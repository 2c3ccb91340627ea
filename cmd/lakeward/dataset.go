package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/engine"
)

func datasetCommand(a *app) *cobra.Command {
	return group("dataset", "Datasets and their batches", datasetCreate(a), datasetUpload(a), datasetList(a), datasetShow(a), datasetPreview(a), datasetStats(a))
}

func datasetCreate(a *app) *cobra.Command {
	var schema, description string
	c := &cobra.Command{Use: "create NAME --schema SCHEMA", Short: "Create a dataset", Args: exactly("NAME"), RunE: func(c *cobra.Command, args []string) error {
		if schema == "" {
			return usage("--schema is needed")
		}
		return a.withData(c.Context(), true, func(d *directory) error {
			ds, err := d.engine.CreateDataset(c.Context(), lakeward.Dataset{Sandbox: a.settings.sandbox, Name: args[0], Description: description}, schema)
			if err != nil {
				return err
			}
			return a.print(ds, func() table { return pairs("Dataset", ds.Name, "Id", string(ds.ID), "Schema", string(ds.SchemaID)) })
		})
	}}
	c.Flags().StringVar(&schema, "schema", "", "name or id of the schema")
	c.Flags().StringVar(&description, "description", "", "description")
	return c
}

func datasetUpload(a *app) *cobra.Command {
	var columns []string
	var most int64
	c := &cobra.Command{Use: "upload NAME FILE|-...", Short: "Upload CSV or NDJSON files, plain, gzip or zstd, or Parquet files, each as one batch: all of it or nothing", Args: atLeast(2, "a dataset and at least one file"), RunE: func(c *cobra.Command, args []string) error {
		mapped, err := parsePairs(columns, "--column")
		if err != nil {
			return err
		}
		if most < 0 {
			return usage("--max-rejected is a number from 0")
		}
		return a.withData(c.Context(), false, func(d *directory) error {
			batches := []lakeward.Batch{}
			var failed error
			for _, name := range args[1:] {
				b, err := a.upload(c.Context(), d, engine.Upload{Sandbox: a.settings.sandbox, Dataset: args[0], Name: name, Columns: mapped, MaxRejected: most})
				if failed = err; failed != nil {
					break // the files before it are stored, each as its own batch
				}
				batches = append(batches, b)
			}
			if e, ok := errors.AsType[*lakeward.Error](failed); ok && len(args) > 2 {
				named := *e
				named.Msg = fmt.Sprintf("file %d of %d, %s (%d stored before it): %s", len(batches)+1, len(args)-1, args[1+len(batches)], len(batches), e.Msg)
				failed = &named
			}
			if failed != nil && len(batches) == 0 {
				return failed
			}
			return errors.Join(a.print(batches, func() table { return batchTable(batches) }), failed)
		})
	}}
	c.Flags().StringArrayVar(&columns, "column", nil, "COLUMN=FIELD: a column of the file, or a path in its objects, that has another name than its field; repeatable")
	c.Flags().Int64Var(&most, "max-rejected", 0, "rows that may be left out because they cannot be taken; more fail the file")
	return c
}

func (a *app) upload(ctx context.Context, d *directory, up engine.Upload) (lakeward.Batch, error) {
	f, err := a.openInput(up.Name)
	if err != nil {
		return lakeward.Batch{}, err
	}
	show, done := a.progress("upload " + up.Name)
	defer done()
	up.Progress = show
	b, err := d.engine.UploadDataset(ctx, up, f)
	if err == nil && b.Rejected > 0 {
		fmt.Fprintf(a.env.err, "warning: %d rows of %s were left out\n", b.Rejected, up.Name)
		for _, r := range b.Examples {
			fmt.Fprintf(a.env.err, "  line %d: %s %s\n", r.Line, r.Field, r.Reason)
		}
	}
	return b, errors.Join(err, f.Close())
}

// parsePairs reads repeated KEY=VALUE flags.
func parsePairs(list []string, flag string) (map[string]string, error) {
	out := map[string]string{}
	for _, p := range list {
		k, v, ok := strings.Cut(p, "=")
		if !ok || k == "" || v == "" {
			return nil, usage("%s takes KEY=VALUE, not %q", flag, p)
		}
		out[k] = v
	}
	return out, nil
}

func batchTable(batches []lakeward.Batch) table {
	t := table{{"BATCH", "SOURCE", "ROWS", "PROFILES", "NEW", "GENERATION"}}
	for _, b := range batches {
		t = append(t, []string{string(b.ID), b.Source, strconv.FormatInt(b.Rows, 10), strconv.FormatInt(b.Profiles, 10), strconv.FormatInt(b.NewProfiles, 10), strconv.FormatInt(b.Generation, 10)})
	}
	return t
}

func datasetList(a *app) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the datasets", Args: noArgs, RunE: func(c *cobra.Command, _ []string) error {
		return a.withData(c.Context(), false, func(d *directory) error {
			list, err := d.store.Datasets(c.Context(), a.settings.sandbox)
			if err != nil {
				return err
			}
			return a.print(list, func() table {
				t := table{{"NAME", "ROWS", "BATCHES", "ID"}}
				for _, ds := range list {
					t = append(t, []string{ds.Name, strconv.FormatInt(ds.Rows, 10), strconv.Itoa(ds.Batches), string(ds.ID)})
				}
				return t
			})
		})
	}}
}

func datasetShow(a *app) *cobra.Command {
	return &cobra.Command{Use: "show NAME", Short: "Show a dataset and its batches", Args: exactly("NAME"), RunE: func(c *cobra.Command, args []string) error {
		return a.withData(c.Context(), false, func(d *directory) error {
			ds, err := d.store.Dataset(c.Context(), a.settings.sandbox, args[0])
			if err != nil {
				return err
			}
			batches, err := d.store.Batches(c.Context(), ds)
			if err != nil {
				return err
			}
			shown := struct {
				lakeward.Dataset
				BatchList []lakeward.Batch `json:"batchList"`
			}{ds, batches}
			return a.print(shown, func() table {
				t := pairs("Dataset", ds.Name, "Id", string(ds.ID), "Schema", string(ds.SchemaID), "Rows", strconv.FormatInt(ds.Rows, 10))
				return append(append(t, []string{}), batchTable(batches)...)
			})
		})
	}}
}

func datasetPreview(a *app) *cobra.Command {
	var limit int
	c := &cobra.Command{Use: "preview NAME", Short: "Show the first rows of a dataset", Args: exactly("NAME"), RunE: func(c *cobra.Command, args []string) error {
		return a.withData(c.Context(), false, func(d *directory) error {
			header, rows, err := d.engine.PreviewDataset(c.Context(), a.settings.sandbox, args[0], limit)
			if err != nil {
				return err
			}
			shown := struct {
				Fields []string   `json:"fields"`
				Rows   [][]string `json:"rows"`
			}{header, rows}
			return a.print(shown, func() table { return append(table{header}, oneLine(rows)...) })
		})
	}}
	c.Flags().IntVar(&limit, "limit", 10, "number of rows")
	return c
}

// oneLine keeps the line breaks of values from looking like rows.
func oneLine(rows [][]string) [][]string {
	flat := strings.NewReplacer("\r", "·", "\n", "·")
	for _, row := range rows {
		for i := range row {
			row[i] = flat.Replace(row[i])
		}
	}
	return rows
}

func datasetStats(a *app) *cobra.Command {
	return &cobra.Command{Use: "stats NAME", Short: "Count nulls and distinct values of each field, with the least and the greatest", Args: exactly("NAME"), RunE: func(c *cobra.Command, args []string) error {
		return a.withData(c.Context(), false, func(d *directory) error {
			show, done := a.progress("read " + args[0])
			stats, err := d.engine.DatasetStatistics(c.Context(), a.settings.sandbox, args[0], show)
			done()
			if err != nil {
				return err
			}
			return a.print(stats, func() table {
				t := table{{"FIELD", "TYPE", "ROWS", "NULLS", "DISTINCT", "MIN", "MAX"}}
				for _, s := range stats {
					t = append(t, []string{s.Field, s.Type, strconv.FormatInt(s.Rows, 10), strconv.FormatInt(s.Nulls, 10), strconv.FormatInt(s.Distinct, 10), s.Min, s.Max})
				}
				return oneLine(t)
			})
		})
	}}
}
