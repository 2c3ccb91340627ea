package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/engine"
)

func dataflowPreview(a *app) *cobra.Command {
	p := engine.Preview{Rows: 100}
	c := &cobra.Command{Use: "preview NAME", Short: "Print the first rows that the next run would write, as they will stand in the file", Args: exactly("NAME"), RunE: func(c *cobra.Command, args []string) error {
		if p.Rows < 1 {
			return usage("--rows is a number from 1")
		}
		return a.withData(c.Context(), false, func(d *directory) error {
			p.Sandbox, p.Dataflow = a.settings.sandbox, args[0]
			name, err := d.engine.PreviewDataflow(c.Context(), p, a.env.out)
			if err == nil {
				fmt.Fprintf(a.env.err, "file: %s\n", name)
			}
			return err
		})
	}}
	c.Flags().StringVar(&p.Audience, "audience", "", "name or id of the audience, if there are several")
	c.Flags().Int64Var(&p.Rows, "rows", p.Rows, "how many rows")
	c.Flags().BoolVar(&p.Full, "full", false, "as an export by hand would, with all members")
	return c
}

func dataflowPreviewName(a *app) *cobra.Command {
	return &cobra.Command{Use: "preview-name NAME", Short: "Print where the files would lie if they were written now", Args: exactly("NAME"), RunE: func(c *cobra.Command, args []string) error {
		return a.withData(c.Context(), false, func(d *directory) error {
			list, err := d.engine.FileNames(c.Context(), a.settings.sandbox, args[0], time.Now().UTC())
			if err != nil {
				return err
			}
			return a.print(list, func() table {
				t := table{{"NAME", "FILE"}}
				for _, n := range list {
					t = append(t, []string{n.Name, n.Path})
					if n.Manifest != "" {
						t = append(t, []string{"", n.Manifest})
					}
				}
				return t
			})
		})
	}}
}

// exportCommand writes the files of a dataflow without a lake.
func exportCommand(a *app) *cobra.Command {
	var x engine.FolderExport
	var since int64
	c := &cobra.Command{Use: "export --dataflow NAME --to FOLDER", Short: "Write the files of a dataflow into a folder of this machine", Args: noArgs,
		Long: "Writes the files that runs of a dataflow would deliver now into a folder of this machine, under the same paths.\n" +
			"The books and the schedule do not know of it. With --since the files hold what changed after a generation.",
		RunE: func(c *cobra.Command, _ []string) error {
			if x.Dataflow == "" || x.To == "" {
				return usage("--dataflow and --to are needed")
			}
			if c.Flags().Changed("since") {
				if since < 0 {
					return usage("--since is the number of a generation, from 0")
				}
				x.Since = &since
			}
			return a.withData(c.Context(), false, func(d *directory) error {
				x.Sandbox = a.settings.sandbox
				runs, err := d.engine.ExportToFolder(c.Context(), x)
				if err != nil {
					return err
				}
				return a.print(runs, func() table { return folderTable(runs, x.Checksums) })
			})
		}}
	c.Flags().StringVar(&x.Dataflow, "dataflow", "", "name or id of the dataflow")
	c.Flags().StringArrayVar(&x.Audiences, "audience", nil, "only this audience; repeatable")
	c.Flags().StringVar(&x.To, "to", "", "folder; what lies there is never replaced")
	c.Flags().BoolVar(&x.Checksums, "checksums", false, "note the SHA-256 of each file, as deliveries to a lake always do")
	c.Flags().Int64Var(&since, "since", 0, "write what changed after this generation, instead of all members")
	return c
}

func folderTable(runs []lakeward.Run, checksums bool) table {
	t := table{{"NAME", "GENERATION", "RECEIVED", "ACTIVATED", "ROWS", "BYTES", "FILE"}}
	if checksums {
		t[0] = append(t[0], "SHA-256")
	}
	for _, r := range runs {
		name := r.Plan.Audience.Name
		if r.Item == lakeward.DatasetsItem {
			name = r.Item
		}
		row := []string{name, fmt.Sprint(r.ToGeneration), fmt.Sprint(r.Counts.Received), fmt.Sprint(r.Counts.Activated)}
		if len(r.Files) == 0 {
			t = append(t, append(row, "0", "0", "-"))
			if checksums {
				t[len(t)-1] = append(t[len(t)-1], "-")
			}
		}
		for _, f := range r.Files {
			t = append(t, append(row[:4:4], fmt.Sprint(f.Rows), fmt.Sprint(f.Bytes), f.Path))
			if checksums {
				t[len(t)-1] = append(t[len(t)-1], f.SHA256)
			}
		}
	}
	return t
}
