package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/lakeward/lakeward"
)

func runCommand(a *app) *cobra.Command {
	return group("run", "Runs of dataflows", runList(a), runShow(a), runVerify(a))
}

func runList(a *app) *cobra.Command {
	var flow string
	var limit int
	c := &cobra.Command{Use: "list", Short: "List the newest runs", Args: noArgs, RunE: func(c *cobra.Command, _ []string) error {
		if limit < 1 {
			return usage("--limit is a number from 1")
		}
		return a.withData(c.Context(), false, func(d *directory) error {
			var id lakeward.DataflowID
			if flow != "" {
				f, err := d.store.Dataflow(c.Context(), a.settings.sandbox, flow)
				if err != nil {
					return err
				}
				id = f.ID
			}
			runs, err := d.store.Runs(c.Context(), a.settings.sandbox, id, limit)
			if err != nil {
				return err
			}
			return a.print(runs, func() table { return runsTable(runs) })
		})
	}}
	c.Flags().StringVar(&flow, "dataflow", "", "only runs of this dataflow")
	c.Flags().IntVar(&limit, "limit", 100, "how many")
	return c
}

func runsTable(runs []lakeward.Run) table {
	t := table{{"RUN", "STATE", "SCHEDULED", "RECEIVED", "ACTIVATED", "EXCLUDED", "DEDUPLICATED", "ROWS", "FILES"}}
	for _, r := range runs {
		t = append(t, []string{string(r.ID), string(r.State), timeText(&r.ScheduledAt), strconv.FormatInt(r.Counts.Received, 10), strconv.FormatInt(r.Counts.Activated, 10),
			strconv.FormatInt(r.Counts.Excluded(), 10), strconv.FormatInt(r.Counts.Deduplicated, 10), strconv.FormatInt(r.Counts.Rows, 10), strconv.Itoa(len(r.Files))})
	}
	return t
}

func runShow(a *app) *cobra.Command {
	return &cobra.Command{Use: "show ID", Short: "Show a run: counts, files, and of a failed one cause and fix", Args: exactly("ID"), RunE: func(c *cobra.Command, args []string) error {
		return a.withData(c.Context(), false, func(d *directory) error {
			r, err := d.store.Run(c.Context(), a.settings.sandbox, args[0])
			if err != nil {
				return err
			}
			return a.print(r, func() table { return runTable(r) })
		})
	}}
}

func runTable(r lakeward.Run) table {
	count := func(n int64) string { return strconv.FormatInt(n, 10) }
	of, what := "Audience", "Profiles"
	if r.Item == lakeward.DatasetsItem {
		of, what = "Item", "Records"
	}
	t := pairs("Run", string(r.ID), "Dataflow", string(r.DataflowID), of, r.Item, "Slot", r.Slot, "State", string(r.State), "Phase", string(r.Phase), "Attempt", strconv.Itoa(r.Attempt),
		"Scheduled", timeText(&r.ScheduledAt), "Started", timeText(r.StartedAt), "Ended", timeText(r.EndedAt))
	t = append(t, windowRows(r)...)
	if r.Cause != nil {
		t = append(t, pairs("Cause", r.Cause.Code, "What and how to fix it", r.Cause.Message)...)
		if r.Cause.RequestID != "" {
			t = append(t, []string{"Request id:", r.Cause.RequestID})
		}
	}
	if r.Owed {
		t = append(t, []string{"Note:", "not yet closed at the destination; the next run of this audience does it"})
	}
	t = append(t, pairs(what+" received", count(r.Counts.Received), what+" activated", count(r.Counts.Activated), "Excluded, value missing", count(r.Counts.ExcludedMandatory),
		"Excluded, no identity", count(r.Counts.ExcludedIdentity), "Deduplicated", count(r.Counts.Deduplicated), "Rows", count(r.Counts.Rows))...)
	if r.Counts.ExcludedConsent > 0 {
		t = append(t, []string{"Excluded, opted out:", count(r.Counts.ExcludedConsent)})
	}
	if r.Counts.ExcludedOld > 0 {
		t = append(t, []string{"Excluded, too old:", count(r.Counts.ExcludedOld)})
	}
	for _, code := range slices.Sorted(maps.Keys(r.Warnings)) {
		t = append(t, []string{"Warning " + code + ":", count(r.Warnings[code])})
	}
	if r.Manifest != "" {
		t = append(t, []string{"Manifest:", r.Manifest})
	}
	for _, f := range r.Files[:min(1, len(r.Files))] { // all files of a run have the same
		for _, fingerprint := range f.Recipients {
			t = append(t, []string{"Encrypted to:", fingerprint})
		}
	}
	t = append(t, []string{}, []string{"FILE", "STATE", "ROWS", "BYTES", "SHA-256"})
	for _, f := range r.Files {
		t = append(t, []string{f.Path, string(f.State), count(f.Rows), count(f.Bytes), f.SHA256})
	}
	return t
}

// windowRows tell what part of history a run exports, once that is fixed.
func windowRows(r lakeward.Run) table {
	text := func(from *int64, to int64) string {
		if from == nil {
			return fmt.Sprintf("everything at generation %d", to)
		}
		return fmt.Sprintf("what changed after generation %d, up to %d", *from, to)
	}
	if r.Windows == nil && r.Plan != nil {
		return pairs("Window", text(r.FromGeneration, r.ToGeneration))
	}
	var t table
	for _, w := range r.Windows {
		t = append(t, pairs("Dataset "+string(w.Dataset), text(w.From, w.To))...)
	}
	return t
}

func runVerify(a *app) *cobra.Command {
	var key string
	c := &cobra.Command{Use: "verify ID", Short: "Read every delivered file of a run again and compare it with the books", Args: exactly("ID"), RunE: func(c *cobra.Command, args []string) error {
		verify := func(d *directory) (lakeward.Verification, error) {
			return d.engine.VerifyRun(c.Context(), a.settings.sandbox, args[0])
		}
		if key != "" {
			text, err := a.readKeyText(key)
			if err != nil {
				return err
			}
			verify = func(d *directory) (lakeward.Verification, error) {
				return d.engine.VerifyOpened(c.Context(), a.settings.sandbox, args[0], lakeward.NewSecret(text))
			}
		}
		return a.withData(c.Context(), false, func(d *directory) error {
			v, err := verify(d)
			if err != nil {
				return err
			}
			if err := a.print(v, func() table { return verificationTable(v) }); err != nil {
				return err
			}
			if !v.OK() {
				fmt.Fprintf(a.env.err, "error: run %s: %d things are not as the books say\n", v.Run, len(v.Problems))
				return errReported
			}
			return nil
		})
	}}
	c.Flags().StringVar(&key, "private-key-file", "", "file with the armored private key of encrypted files, or -; it is not stored, and the rows are counted")
	return c
}

func verificationTable(v lakeward.Verification) table {
	t := table{{"FILE", "ROWS", "BYTES", "SHA-256"}}
	for _, f := range v.Files {
		rows := strconv.FormatInt(f.Rows, 10)
		if f.Encrypted {
			rows = "encrypted"
		}
		t = append(t, []string{f.Path, rows, strconv.FormatInt(f.Bytes, 10), f.SHA256})
	}
	if v.OK() {
		return append(t, []string{}, []string{"everything is as the books say"})
	}
	t = append(t, []string{}, []string{"WRONG", ""})
	for _, p := range v.Problems {
		t = append(t, []string{p.Path, p.What})
	}
	return t
}
