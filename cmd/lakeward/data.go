package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/lakeward/lakeward/internal/warehouse"
)

func dataCommand(a *app) *cobra.Command {
	return group("data", "Data at rest", dataCheck(a), dataCompact(a), dataViews(a))
}

// dataCheck opens the directory as it is: what a killed process left behind is told before it is removed.
func dataCheck(a *app) *cobra.Command {
	return &cobra.Command{Use: "check", Short: "Read all data at rest and compare it with the books: files, hashes, counts, bitmaps", Args: noArgs, RunE: func(c *cobra.Command, _ []string) error {
		d, err := a.open(c.Context(), openOptions{command: "data check", retry: commandRetry(), asIs: true})
		if err != nil {
			return err
		}
		checked, err := a.checkData(c, d)
		if err = errors.Join(err, d.close()); err != nil {
			return err
		}
		if err := a.print(checked, func() table { return checkedTable(checked) }); err != nil {
			return err
		}
		if n := len(checked.Problems); n > 0 {
			fmt.Fprintf(a.env.err, "error: %d things are not as the books say\n", n)
			return errReported
		}
		return nil
	}}
}

// dataCompact does at once all that a service does in the background when it is worth while.
func dataCompact(a *app) *cobra.Command {
	return &cobra.Command{Use: "compact", Short: "Merge profile files and remove files that nothing needs any more", Args: noArgs, RunE: func(c *cobra.Command, _ []string) error {
		return a.withData(c.Context(), false, func(d *directory) error {
			done, err := d.engine.Compact(c.Context(), a.settings.sandbox, true)
			if err != nil {
				return err
			}
			return a.print(done, func() table {
				return pairs("Merged", fmt.Sprintf("%d files with %d profiles into %d; %d superseded rows left out", done.Merged, done.Profiles, done.Written, done.Superseded),
					"Removed", fmt.Sprintf("%d files, %d bytes", done.RemovedFiles, done.RemovedBytes))
			})
		})
	}}
}

// dataViews prints what another reader needs to see the data as it is now.
func dataViews(a *app) *cobra.Command {
	return &cobra.Command{Use: "views", Short: "Print SQL views of the data at rest, for DuckDB", Args: noArgs, RunE: func(c *cobra.Command, _ []string) error {
		return a.withData(c.Context(), false, func(d *directory) error {
			dir, err := filepath.Abs(d.path)
			if err != nil {
				return err
			}
			sql, err := d.engine.Views(c.Context(), a.settings.sandbox, dir)
			if err != nil {
				return err
			}
			_, err = fmt.Fprint(a.env.out, sql)
			return err
		})
	}}
}

func (a *app) checkData(c *cobra.Command, d *directory) (warehouse.Checked, error) {
	named, err := d.store.Named(c.Context())
	if err != nil {
		return warehouse.Checked{}, err
	}
	show, done := a.progress("check data")
	defer done()
	checked, err := d.engine.Warehouse().CheckFiles(c.Context(), named, show)
	if err != nil {
		return checked, err
	}
	policies, err := d.store.MergePolicies(c.Context(), a.settings.sandbox)
	for _, p := range policies {
		if err == nil {
			err = d.engine.Warehouse().CheckSnapshot(c.Context(), a.settings.sandbox, p.ID, &checked)
		}
	}
	if err != nil {
		return checked, err
	}
	broken, err := d.store.CheckChain(c.Context(), a.settings.sandbox)
	checked.Problems = append(checked.Problems, broken...)
	return checked, err
}

func checkedTable(c warehouse.Checked) table {
	t := pairs("Files", strconv.Itoa(c.Files), "Rows", strconv.FormatInt(c.Rows, 10), "Bytes", strconv.FormatInt(c.Bytes, 10))
	if len(c.Problems) == 0 {
		return append(t, []string{"Result:", "everything is as the books say"})
	}
	for _, p := range c.Problems {
		t = append(t, []string{p.Path, p.What})
	}
	return t
}
