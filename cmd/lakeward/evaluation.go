package main

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lakeward/lakeward"
)

// audienceSchedule shows or sets when a sandbox evaluates all its audiences by itself.
func audienceSchedule(a *app) *cobra.Command {
	var daily, every string
	var ingest, off bool
	c := &cobra.Command{Use: "schedule [--daily HH:MM | --every 3h | --after-ingest | --off]", Short: "Show or set when the service evaluates all audiences by itself", Args: noArgs, RunE: func(c *cobra.Command, _ []string) error {
		s := lakeward.EvaluationSchedule{Sandbox: a.settings.sandbox}
		set := 0
		for flag, apply := range map[string]func(){
			"daily":        func() { s.Mode, s.Time = lakeward.EvaluateDaily, daily },
			"every":        func() { s.Mode, s.Hours = lakeward.EvaluateEvery, wholeHours(every) },
			"after-ingest": func() { s.Mode = lakeward.EvaluateAfterIngest },
			"off":          func() { s.Mode = lakeward.EvaluateOff },
		} {
			if c.Flags().Changed(flag) {
				apply()
				set++
			}
		}
		if set > 1 || set == 1 && s.Mode == lakeward.EvaluateAfterIngest && !ingest || set == 1 && s.Mode == lakeward.EvaluateOff && !off {
			return usage("one of --daily, --every, --after-ingest and --off is needed, or none to see the schedule")
		}
		return a.withData(c.Context(), set > 0, func(d *directory) error {
			var err error
			if set == 0 {
				s, err = d.engine.EvaluationSchedule(c.Context(), a.settings.sandbox)
			} else {
				s, err = d.engine.ScheduleEvaluation(c.Context(), s)
			}
			if err != nil {
				return err
			}
			return a.print(s, func() table { return pairs("Evaluation", scheduleText(s), "Next", timeText(s.NextAt)) })
		})
	}}
	c.Flags().StringVar(&daily, "daily", "", "every day at HH:MM in UTC")
	c.Flags().StringVar(&every, "every", "", "every 1h, 3h, 6h or 12h, from 00:00 UTC")
	c.Flags().BoolVar(&ingest, "after-ingest", false, "after uploads, when nothing came for a minute, after 15 minutes at the latest")
	c.Flags().BoolVar(&off, "off", false, "only by hand, and before exports that ask for it")
	return c
}

// wholeHours reads 3h; 0 is what cannot be read.
func wholeHours(s string) int {
	n, err := strconv.Atoi(strings.TrimSuffix(s, "h"))
	if err != nil || !strings.HasSuffix(s, "h") {
		return 0
	}
	return n
}

func scheduleText(s lakeward.EvaluationSchedule) string {
	switch s.Mode {
	case lakeward.EvaluateDaily:
		return "daily at " + s.Time + " UTC"
	case lakeward.EvaluateEvery:
		return "every " + strconv.Itoa(s.Hours) + " h, from 00:00 UTC"
	case lakeward.EvaluateAfterIngest:
		return "after ingest"
	}
	return "off"
}
