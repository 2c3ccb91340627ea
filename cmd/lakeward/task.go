package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lakeward/lakeward"
)

func taskCommand(a *app) *cobra.Command {
	return group("task", "Tasks: what the service does beside the runs, such as evaluations of audiences", taskList(a), taskShow(a), taskCancel(a))
}

func taskList(a *app) *cobra.Command {
	var kind string
	var limit int
	c := &cobra.Command{Use: "list", Short: "List the newest tasks", Args: noArgs, RunE: func(c *cobra.Command, _ []string) error {
		if limit < 1 {
			return usage("--limit is a number from 1")
		}
		return a.withData(c.Context(), false, func(d *directory) error {
			tasks, err := d.store.Tasks(c.Context(), a.settings.sandbox, lakeward.TaskKind(kind), limit)
			if err != nil {
				return err
			}
			return a.print(tasks, func() table { return tasksTable(tasks) })
		})
	}}
	c.Flags().StringVar(&kind, "kind", "", "only tasks of this kind, such as evaluation")
	c.Flags().IntVar(&limit, "limit", 100, "how many")
	return c
}

func tasksTable(tasks []lakeward.Task) table {
	t := table{{"TASK", "KIND", "STATE", "BY", "CREATED", "ENDED", "AUDIENCES", "PROFILES"}}
	for _, x := range tasks {
		by, audiences, profiles := "-", "-", "-"
		if e := x.Evaluation; e != nil {
			by, audiences, profiles = string(e.Trigger), strconv.Itoa(len(e.Counts)), strconv.FormatInt(e.Profiles, 10)
		}
		t = append(t, []string{string(x.ID), string(x.Kind), string(x.State), by, timeText(&x.CreatedAt), timeText(x.EndedAt), audiences, profiles})
	}
	return t
}

func taskShow(a *app) *cobra.Command {
	return &cobra.Command{Use: "show ID", Short: "Show a task: its counts, and of a failed one why", Args: exactly("ID"), RunE: func(c *cobra.Command, args []string) error {
		return a.withData(c.Context(), false, func(d *directory) error {
			t, err := d.store.Task(c.Context(), a.settings.sandbox, args[0])
			if err != nil {
				return err
			}
			return a.print(t, func() table { return taskTable(t) })
		})
	}}
}

func taskCancel(a *app) *cobra.Command {
	return &cobra.Command{Use: "cancel ID", Short: "Cancel a task that is queued or under way; nothing of it is kept", Args: exactly("ID"), RunE: func(c *cobra.Command, args []string) error {
		return a.withData(c.Context(), false, func(d *directory) error {
			t, err := d.engine.CancelTask(c.Context(), a.settings.sandbox, args[0])
			if err != nil {
				return err
			}
			return a.print(t, func() table { return taskTable(t) })
		})
	}}
}

func taskTable(x lakeward.Task) table {
	count := func(n int64) string { return strconv.FormatInt(n, 10) }
	t := pairs("Task", string(x.ID), "Kind", string(x.Kind), "Subject", x.Subject, "State", string(x.State), "Attempt", strconv.Itoa(x.Attempt),
		"Created", timeText(&x.CreatedAt), "Started", timeText(x.StartedAt), "Ended", timeText(x.EndedAt))
	if x.NotBefore != nil {
		t = append(t, []string{"Next try:", timeText(x.NotBefore)})
	}
	if x.Cause != nil {
		t = append(t, pairs("Cause", x.Cause.Code, "What and how to fix it", x.Cause.Message)...)
	}
	e := x.Evaluation
	if e == nil {
		return t
	}
	asked := "all"
	if !e.All {
		asked = fmt.Sprintf("%d of them", len(e.Audiences))
	}
	t = append(t, pairs("Begun by", string(e.Trigger), "Audiences", asked, "Profiles", count(e.Profiles), "Generation", count(e.Generation))...)
	t = append(t, []string{}, []string{"AUDIENCE", "QUALIFIED", "REALIZED", "EXITED", "NAMESPACES", "ID"})
	for _, c := range e.Counts {
		t = append(t, []string{c.Name, count(c.Qualified), count(c.Realized), count(c.Exited), namespacesText(c.Namespaces), string(c.AudienceID)})
	}
	return t
}

// namespacesText is how many members have an identity of each namespace.
func namespacesText(counts map[string]int64) string {
	var texts []string
	for _, namespace := range slices.Sorted(maps.Keys(counts)) {
		texts = append(texts, fmt.Sprintf("%s %d", namespace, counts[namespace]))
	}
	if texts == nil {
		return "-"
	}
	return strings.Join(texts, ", ")
}
