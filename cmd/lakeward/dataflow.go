package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/lakeward/lakeward"
)

func dataflowCommand(a *app) *cobra.Command {
	return group("dataflow", "Dataflows: which audiences or datasets go where, with which columns and when", dataflowCreate(a), dataflowEdit(a), dataflowList(a), dataflowShow(a),
		dataflowNext(a), dataflowPreview(a), dataflowPreviewName(a), dataflowRun(a))
}

// dataflowFlags are the scalar flags of dataflow create.
type dataflowFlags struct {
	file, destination, fileName string
	audiences                   []string
	columns                     mappingFlags
	enrichment                  enrichmentFlags
	datasets                    []string
	folders                     string
	schedule                    scheduleFlags
	noEvaluate                  bool
}

func dataflowCreate(a *app) *cobra.Command {
	var f dataflowFlags
	flow := lakeward.Dataflow{EvaluateFirst: true}
	c := &cobra.Command{Use: "create NAME --destination DESTINATION --audience AUDIENCE --map FIELD[=HEADER]", Short: "Activate audiences, or datasets, to a destination", Args: exactly("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			if f.file != "" {
				if err := a.readDocument(f.file, &flow); err != nil {
					return err
				}
			}
			if f.destination == "" && flow.DestinationID == "" {
				return usage("--destination is needed")
			}
			if f.destination == "" {
				f.destination = string(flow.DestinationID)
			}
			if err := f.apply(c.Flags().Changed, &flow); err != nil {
				return err
			}
			flow.Name, flow.Sandbox = args[0], a.settings.sandbox
			return a.withData(c.Context(), true, func(d *directory) error {
				created, err := d.engine.CreateDataflow(c.Context(), flow, f.destination)
				if err != nil {
					return err
				}
				warnings, err := d.engine.Warnings(c.Context(), created)
				if err != nil {
					return err
				}
				a.warn(warnings)
				shown := struct {
					lakeward.Dataflow
					Warnings []string `json:"warnings"`
				}{created, warnings}
				return a.print(shown, func() table { return dataflowTable(c.Context(), d, created) })
			})
		}}
	f.register(c)
	c.Flags().StringVar(&flow.Description, "description", "", "description")
	return c
}

func (f *dataflowFlags) register(c *cobra.Command) {
	fl := c.Flags()
	fl.StringVarP(&f.file, "file", "f", "", "YAML or JSON file with the fields")
	fl.StringVar(&f.destination, "destination", "", "name or id of the destination")
	fl.StringArrayVar(&f.audiences, "audience", nil, "name or id of an audience; repeatable")
	f.columns.register(fl)
	f.enrichment.register(fl)
	fl.StringVar(&f.fileName, "file-name", lakeward.DefaultFileName, "template of the file names")
	fl.StringArrayVar(&f.datasets, "dataset", nil, "name or id of a dataset, instead of audiences; repeatable. Its files are incremental unless --full --frequency ONCE is given")
	fl.StringVar(&f.folders, "folders", lakeward.DefaultDatasetFolders, "template of the folders of datasets, below that of the destination; / for none")
	fl.BoolVar(&f.noEvaluate, "no-evaluate", false, "export what the last evaluation gave, instead of evaluating the audiences before each scheduled export")
	f.schedule.register(c)
}

// apply adds what the flags say to the dataflow.
func (f *dataflowFlags) apply(changed func(flag string) bool, flow *lakeward.Dataflow) error {
	if f.noEvaluate {
		flow.EvaluateFirst = false
	}
	if len(f.datasets) > 0 {
		return f.datasetExport(changed, flow)
	}
	schedule, err := f.schedule.apply(changed, lakeward.DefaultSchedule(time.Now()))
	if err != nil {
		return err
	}
	for _, ref := range f.audiences {
		flow.Items = append(flow.Items, lakeward.DataflowItem{AudienceID: lakeward.AudienceID(ref), Schedule: schedule, FileName: f.fileName})
	}
	if err := f.enrichment.apply(flow, func(ref string) (lakeward.AudienceID, error) { return lakeward.AudienceID(ref), nil }); err != nil {
		return err
	}
	return f.columns.apply(flow)
}

// datasetExport makes it a dataflow of datasets. Without an end date it ends after six months.
func (f *dataflowFlags) datasetExport(changed func(flag string) bool, flow *lakeward.Dataflow) error {
	if len(f.audiences) > 0 || f.columns.given() || f.enrichment.given() || changed("file-name") {
		return usage("--dataset goes with --folders and the schedule; audiences, columns and file names are of other dataflows")
	}
	s, err := f.schedule.apply(changed, lakeward.DefaultDatasetSchedule(time.Now()))
	if err != nil {
		return err
	}
	if !changed("end-date") {
		s = s.WithEnd()
	}
	flow.Datasets = &lakeward.DatasetExport{Schedule: s, Folders: f.folders}
	for _, ref := range f.datasets {
		flow.Datasets.IDs = append(flow.Datasets.IDs, lakeward.DatasetID(ref))
	}
	return nil
}

func dataflowList(a *app) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the dataflows", Args: noArgs, RunE: func(c *cobra.Command, _ []string) error {
		return a.withData(c.Context(), false, func(d *directory) error {
			list, err := d.store.Dataflows(c.Context(), a.settings.sandbox)
			if err != nil {
				return err
			}
			return a.print(list, func() table {
				t := table{{"NAME", "ENABLED", "AUDIENCES OR DATASETS", "COLUMNS", "ID"}}
				for _, x := range list {
					t = append(t, []string{x.Name, strconv.FormatBool(x.Enabled), strconv.Itoa(exportedThings(x)), strconv.Itoa(len(x.Mapping)), string(x.ID)})
				}
				return t
			})
		})
	}}
}

func dataflowShow(a *app) *cobra.Command {
	return &cobra.Command{Use: "show NAME", Short: "Show a dataflow", Args: exactly("NAME"), RunE: func(c *cobra.Command, args []string) error {
		return a.withData(c.Context(), false, func(d *directory) error {
			x, err := d.store.Dataflow(c.Context(), a.settings.sandbox, args[0])
			if err != nil {
				return err
			}
			return a.print(x, func() table { return dataflowTable(c.Context(), d, x) })
		})
	}}
}

func dataflowTable(ctx context.Context, d *directory, f lakeward.Dataflow) table {
	t := pairs("Dataflow", f.Name, "Id", string(f.ID), "Destination", string(f.DestinationID), "Enabled", strconv.FormatBool(f.Enabled), "Evaluates first", strconv.FormatBool(f.EvaluateFirst))
	if f.Datasets != nil {
		return append(t, datasetRows(ctx, d, f)...)
	}
	t = append(t, []string{}, []string{"AUDIENCE", "EXPORT", "FREQUENCY", "START", "END", "NEXT", "FILE NAME"})
	for _, it := range f.Items {
		next := "-"
		if at, err := d.store.NextSlot(ctx, f.ID, string(it.AudienceID)); err == nil {
			next = timeText(at)
		}
		t = append(t, []string{string(it.AudienceID), string(it.Schedule.Mode), string(it.Schedule.Frequency), startText(it.Schedule), cmp.Or(it.Schedule.EndDate, "-"), next, it.FileName})
	}
	t = append(t, []string{}, []string{"FIELD", "TYPE", "HEADER", "MANDATORY", "KEY"})
	for _, m := range f.Mapping {
		t = append(t, []string{m.Source, string(m.SourceType), m.Target, strconv.FormatBool(m.Mandatory), strconv.FormatBool(m.Key)})
	}
	return append(t, enrichmentTable(f)...)
}

// exportedThings is the number of audiences or datasets.
func exportedThings(f lakeward.Dataflow) int {
	if f.Datasets != nil {
		return len(f.Datasets.IDs)
	}
	return len(f.Items)
}

func datasetRows(ctx context.Context, d *directory, f lakeward.Dataflow) table {
	next, s := "-", f.Datasets.Schedule
	if at, err := d.store.NextSlot(ctx, f.ID, lakeward.DatasetsItem); err == nil {
		next = timeText(at)
	}
	t := table{{}, {"EXPORT", "FREQUENCY", "START", "END", "NEXT", "FOLDERS"}, {string(s.Mode), string(s.Frequency), startText(s), cmp.Or(s.EndDate, "-"), next, f.Datasets.Folders}, {}, {"DATASET"}}
	for _, id := range f.Datasets.IDs {
		t = append(t, []string{string(id)})
	}
	return t
}

func dataflowRun(a *app) *cobra.Command {
	var audiences []string
	c := &cobra.Command{Use: "run NAME", Short: "Export audiences of a dataflow now: one full export each, the schedule stays as it is", Args: exactly("NAME"), RunE: func(c *cobra.Command, args []string) error {
		return a.withData(c.Context(), false, func(d *directory) error {
			runs, err := d.runNow(c.Context(), a.settings.sandbox, args[0], audiences)
			if err != nil {
				return err
			}
			if err := a.print(runs, func() table { return runsTable(runs) }); err != nil {
				return err
			}
			return a.reportFailed(runs)
		})
	}}
	c.Flags().StringArrayVar(&audiences, "audience", nil, "only this audience; repeatable")
	return c
}

// runNow queues runs by hand and works until they are closed. What a process that is gone left open
// comes first: its runs may be delivered already.
func (d *directory) runNow(ctx context.Context, sandbox, ref string, audiences []string) ([]lakeward.Run, error) {
	flow, err := d.store.Dataflow(ctx, sandbox, ref)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(d.engine.Recover(ctx), d.engine.Retry(ctx, flow.ID)); err != nil {
		return nil, err
	}
	if err := d.engine.WorkOn(ctx, flow.ID); err != nil {
		return nil, err
	}
	runs, err := d.engine.RunDataflow(ctx, sandbox, string(flow.ID), audiences)
	if err != nil {
		return nil, err
	}
	if err := d.engine.WorkOn(ctx, flow.ID); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for i, r := range runs {
		if runs[i], err = d.store.Run(ctx, sandbox, string(r.ID)); err != nil {
			return nil, err
		}
	}
	return runs, nil
}

// reportFailed prints why runs failed; it returns errReported if one did.
func (a *app) reportFailed(runs []lakeward.Run) error {
	failed := false
	for _, r := range runs {
		if r.State == lakeward.Succeeded {
			continue
		}
		failed = true
		fmt.Fprintf(a.env.err, "error: run %s is %s", r.ID, r.State)
		if r.Cause != nil {
			fmt.Fprintf(a.env.err, ": %s: %s", r.Cause.Code, r.Cause.Message)
			if r.Cause.RequestID != "" {
				fmt.Fprintf(a.env.err, " [request id %s]", r.Cause.RequestID)
			}
		}
		fmt.Fprintln(a.env.err)
	}
	if failed {
		return errReported
	}
	return nil
}
