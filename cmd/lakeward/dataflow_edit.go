package main

import (
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/lakeward/lakeward"
)

// scheduleFlags are the flags of a schedule; those that are not given leave it as it is.
type scheduleFlags struct {
	incremental, full, after            bool
	frequency                           string
	startDate, startTime, endDate, zone string
}

func (f *scheduleFlags) register(c *cobra.Command) {
	fl := c.Flags()
	fl.BoolVar(&f.full, "full", false, "every file holds all members (the default)")
	fl.BoolVar(&f.incremental, "incremental", false, "the first file holds all members, later ones what changed")
	fl.StringVar(&f.frequency, "frequency", string(lakeward.Daily), "ONCE or DAILY; of incremental files DAILY or EVERY_3_HOURS, EVERY_6_HOURS, EVERY_8_HOURS, EVERY_12_HOURS")
	fl.BoolVar(&f.after, "after-evaluation", false, "export after each evaluation of the audience, instead of at a time of day")
	fl.StringVar(&f.startDate, "start-date", "", "first day, YYYY-MM-DD (default: tomorrow)")
	fl.StringVar(&f.endDate, "end-date", "", "day after the last one, YYYY-MM-DD, or none for no end (default: none)")
	fl.StringVar(&f.startTime, "start-time", "00:00", "time of day, HH:MM")
	fl.StringVar(&f.zone, "time-zone", "", "time zone of dates and times, such as Europe/Zurich (default: UTC)")
}

// given reports whether a flag of the schedule was given.
func (f *scheduleFlags) given(c *cobra.Command) bool {
	return slices.ContainsFunc([]string{"full", "incremental", "frequency", "after-evaluation", "start-date", "end-date", "start-time", "time-zone"}, c.Flags().Changed)
}

// apply returns the schedule with what the flags say.
func (f *scheduleFlags) apply(changed func(flag string) bool, s lakeward.Schedule) (lakeward.Schedule, error) {
	switch {
	case f.full && f.incremental:
		return s, usage("--full and --incremental exclude each other")
	case f.incremental:
		s.Mode = lakeward.IncrementalExport
	case f.full:
		s.Mode = lakeward.FullExport
	}
	if changed("frequency") {
		s.Frequency = lakeward.Frequency(f.frequency)
	}
	if changed("after-evaluation") {
		s.Trigger, s.StartTime = lakeward.Scheduled, "00:00"
		if f.after {
			s.Trigger, s.StartTime = lakeward.AfterEvaluation, ""
		}
	}
	if changed("start-time") {
		s.StartTime = f.startTime
	}
	if changed("start-date") {
		s.StartDate = f.startDate
	}
	if changed("end-date") {
		if s.EndDate = f.endDate; s.EndDate == "none" {
			s.EndDate = ""
		}
	}
	if changed("time-zone") {
		s.Zone = f.zone
	}
	return s, nil
}

// startText is when a schedule begins, as people write it.
func startText(s lakeward.Schedule) string {
	switch {
	case s.AfterEvaluation():
		return s.StartDate + " after evaluations"
	case s.Zone == "":
		return s.StartDate + " " + s.StartTime + "Z"
	}
	return s.StartDate + " " + s.StartTime + " " + s.Zone
}

// editFlags are the flags of dataflow edit.
type editFlags struct {
	dataflowFlags
	name, description string
	enable, disable   bool
	evaluate          bool
	add, remove       []string
	addSets, takeSets []string
}

func dataflowEdit(a *app) *cobra.Command {
	var f editFlags
	c := &cobra.Command{Use: "edit NAME", Short: "Change a dataflow: audiences, schedules, columns, name; switch it on or off", Args: exactly("NAME"),
		Long: "Changes a dataflow; what no flag names stays. Flags of the schedule and --file-name change the audiences that --audience\n" +
			"names, or all of them. --map, --mandatory and --key replace all columns. Changes take effect from the next slot of each\n" +
			"audience; its next incremental file is a full one only if --full or --incremental changed it, or it was taken out.",
		RunE: func(c *cobra.Command, args []string) error {
			if c.Flags().NFlag() == 0 {
				return usage("a flag that says what to change is needed")
			}
			if f.enable && f.disable || f.evaluate && f.noEvaluate {
				return usage("--enable and --disable, --evaluate and --no-evaluate exclude each other")
			}
			return a.withData(c.Context(), false, func(d *directory) error {
				edited, err := d.engine.EditDataflow(c.Context(), a.settings.sandbox, args[0], func(flow *lakeward.Dataflow) error { return f.change(c, a, d, flow) })
				if err != nil {
					return err
				}
				warnings, err := d.engine.Warnings(c.Context(), edited)
				if err != nil {
					return err
				}
				a.warn(warnings)
				return a.print(edited, func() table { return dataflowTable(c.Context(), d, edited) })
			})
		}}
	fl := c.Flags()
	fl.StringVarP(&f.file, "file", "f", "", "YAML or JSON file with the fields that change")
	fl.StringVar(&f.name, "name", "", "new name")
	fl.StringVar(&f.description, "description", "", "new description")
	fl.BoolVar(&f.enable, "enable", false, "let exports start again")
	fl.BoolVar(&f.disable, "disable", false, "start no more exports; one that is going finishes")
	fl.BoolVar(&f.evaluate, "evaluate", false, "evaluate the audiences before each scheduled export")
	fl.BoolVar(&f.noEvaluate, "no-evaluate", false, "export what the last evaluation gave")
	fl.StringArrayVar(&f.add, "add-audience", nil, "name or id of an audience to add, with the schedule that the flags say; repeatable")
	fl.StringArrayVar(&f.remove, "remove-audience", nil, "name or id of an audience to take out; repeatable")
	fl.StringArrayVar(&f.addSets, "add-dataset", nil, "name or id of a dataset to add; repeatable")
	fl.StringArrayVar(&f.takeSets, "remove-dataset", nil, "name or id of a dataset to take out; repeatable")
	fl.StringVar(&f.folders, "folders", lakeward.DefaultDatasetFolders, "template of the folders of datasets")
	fl.StringArrayVar(&f.audiences, "audience", nil, "change only the schedule and file name of this audience; repeatable")
	f.columns.register(fl)
	f.enrichment.register(fl)
	fl.StringVar(&f.fileName, "file-name", lakeward.DefaultFileName, "template of the file names")
	f.schedule.register(c)
	return c
}

// change makes of a dataflow what the flags say.
func (f *editFlags) change(c *cobra.Command, a *app, d *directory, flow *lakeward.Dataflow) error {
	if f.file != "" {
		items, mapping := flow.Items, flow.Mapping
		flow.Items, flow.Mapping = nil, nil // a list replaces the one before as a whole
		if err := a.readDocument(f.file, flow); err != nil {
			return err
		}
		if flow.Items == nil {
			flow.Items = items
		}
		if flow.Mapping == nil {
			flow.Mapping = mapping
		}
	}
	changed := c.Flags().Changed
	if changed("name") {
		flow.Name = f.name
	}
	if changed("description") {
		flow.Description = f.description
	}
	if f.enable || f.disable {
		flow.Enabled = f.enable
	}
	if f.evaluate || f.noEvaluate {
		flow.EvaluateFirst = f.evaluate
	}
	if flow.Datasets != nil {
		return f.changeDatasets(c, a, d, flow.Datasets)
	}
	if len(f.addSets)+len(f.takeSets) > 0 || changed("folders") {
		return usage("--add-dataset, --remove-dataset and --folders are for dataflows of datasets")
	}
	if err := f.changeItems(c, d, flow); err != nil {
		return err
	}
	if len(f.columns.columns) == 0 {
		if changed("mandatory") || changed("key") {
			return usage("--mandatory and --key go with --map and --calculate, which name all columns")
		}
		return nil
	}
	flow.Mapping = nil
	return f.columns.apply(flow)
}

// changeDatasets changes which datasets are exported, when, and into which folders.
func (f *editFlags) changeDatasets(c *cobra.Command, a *app, d *directory, x *lakeward.DatasetExport) error {
	if len(f.add)+len(f.remove)+len(f.audiences) > 0 || f.columns.given() || f.enrichment.given() || c.Flags().Changed("file-name") {
		return usage("this is a dataflow of datasets; audiences, columns and file names are of other dataflows")
	}
	for _, ref := range f.takeSets {
		set, err := d.store.Dataset(c.Context(), a.settings.sandbox, ref)
		if err != nil {
			return err
		}
		i := slices.Index(x.IDs, set.ID)
		if i < 0 {
			return &lakeward.Error{Kind: lakeward.NotFound, Code: "NOW-1001", Msg: "the dataset " + lakeward.Quote(set.Name) + " is not part of this dataflow"}
		}
		x.IDs = slices.Delete(x.IDs, i, i+1)
	}
	for _, ref := range f.addSets {
		x.IDs = append(x.IDs, lakeward.DatasetID(ref))
	}
	if c.Flags().Changed("folders") {
		x.Folders = f.folders
	}
	s, err := f.schedule.apply(c.Flags().Changed, x.Schedule)
	x.Schedule = s
	return err
}

// changeItems takes audiences out, changes their schedules and file names, and adds others.
func (f *editFlags) changeItems(c *cobra.Command, d *directory, flow *lakeward.Dataflow) error {
	for _, ref := range f.remove {
		id, err := f.item(c, d, flow, ref)
		if err != nil {
			return err
		}
		flow.Items = slices.DeleteFunc(flow.Items, func(it lakeward.DataflowItem) bool { return it.AudienceID == id })
	}
	var only []lakeward.AudienceID
	for _, ref := range f.audiences {
		id, err := f.item(c, d, flow, ref)
		if err != nil {
			return err
		}
		only = append(only, id)
	}
	for i := range flow.Items {
		it := &flow.Items[i]
		if len(f.add) > 0 && len(only) == 0 || len(only) > 0 && !slices.Contains(only, it.AudienceID) {
			continue // the flags are for those that are added, or for others
		}
		if c.Flags().Changed("file-name") {
			it.FileName = f.fileName
		}
		if !f.schedule.given(c) {
			continue
		}
		s, err := f.schedule.apply(c.Flags().Changed, it.Schedule)
		if err != nil {
			return err
		}
		it.Schedule = s
	}
	for _, ref := range f.add {
		s, err := f.schedule.apply(c.Flags().Changed, lakeward.DefaultSchedule(time.Now()))
		if err != nil {
			return err
		}
		flow.Items = append(flow.Items, lakeward.DataflowItem{AudienceID: lakeward.AudienceID(ref), Schedule: s, FileName: f.fileName})
	}
	return f.enrichment.apply(flow, func(ref string) (lakeward.AudienceID, error) {
		x, err := d.store.Audience(c.Context(), flow.Sandbox, ref)
		for i := range flow.Items {
			if string(flow.Items[i].AudienceID) == ref { // it was just added
				flow.Items[i].AudienceID = x.ID
			}
		}
		return x.ID, err
	})
}

// item is the id of an audience of the dataflow.
func (f *editFlags) item(c *cobra.Command, d *directory, flow *lakeward.Dataflow, ref string) (lakeward.AudienceID, error) {
	x, err := d.store.Audience(c.Context(), flow.Sandbox, ref)
	if err != nil {
		return "", err
	}
	if _, ok := flow.Item(x.ID); !ok {
		return "", &lakeward.Error{Kind: lakeward.NotFound, Code: "NOW-1001", Msg: "the audience " + lakeward.Quote(x.Name) + " is not part of this dataflow"}
	}
	return x.ID, nil
}

// nextSlots are the next times at which an audience of a dataflow is exported.
type nextSlots struct {
	Item    string      `json:"id"` // of the audience; "datasets" for all datasets
	Trigger string      `json:"triggerType"`
	Slots   []time.Time `json:"slots"`
	zone    string
}

func dataflowNext(a *app) *cobra.Command {
	count := 10
	c := &cobra.Command{Use: "next NAME", Short: "Print the next slots of each audience", Args: exactly("NAME"), RunE: func(c *cobra.Command, args []string) error {
		if count < 1 || count > 1000 {
			return usage("--count is a number from 1 to 1000")
		}
		return a.withData(c.Context(), false, func(d *directory) error {
			flow, err := d.store.Dataflow(c.Context(), a.settings.sandbox, args[0])
			if err != nil {
				return err
			}
			if !flow.Enabled {
				a.warn([]string{"the dataflow is switched off; its slots are skipped"})
			}
			var list []nextSlots
			for _, it := range flow.Entries() {
				n := nextSlots{Item: it.Item, Trigger: string(lakeward.Scheduled), Slots: []time.Time{}, zone: it.Schedule.Zone}
				if it.Schedule.AfterEvaluation() {
					n.Trigger = string(lakeward.AfterEvaluation)
				}
				for at := range it.Schedule.Slots(time.Now()) {
					if n.Slots = append(n.Slots, at); len(n.Slots) == count {
						break
					}
				}
				list = append(list, n)
			}
			return a.print(list, func() table { return slotTable(list) })
		})
	}}
	c.Flags().IntVar(&count, "count", count, "how many")
	return c
}

func slotTable(list []nextSlots) table {
	t := table{{"ITEM", "SLOT", "LOCAL"}}
	for _, n := range list {
		zone, err := time.LoadLocation(n.zone)
		if err != nil {
			zone = time.UTC
		}
		for _, at := range n.Slots {
			local := "-"
			if n.zone != "" {
				local = at.In(zone).Format("Mon 2006-01-02 15:04 MST")
			}
			t = append(t, []string{n.Item, timeText(&at), local})
		}
		switch {
		case n.Trigger == string(lakeward.AfterEvaluation):
			t = append(t, []string{n.Item, "after each evaluation", "-"})
		case len(n.Slots) == 0:
			t = append(t, []string{n.Item, "none any more", "-"})
		}
	}
	return t
}
