package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/engine"
)

func mergePolicyCommand(a *app) *cobra.Command {
	return group("merge-policy", "The merge policy: which records make one profile, and whose values it has", mergePolicyShow(a), mergePolicyEdit(a))
}

func mergePolicyShow(a *app) *cobra.Command {
	return &cobra.Command{Use: "show", Short: "Show the merge policy", Args: noArgs, RunE: func(c *cobra.Command, _ []string) error {
		return a.withData(c.Context(), false, func(d *directory) error {
			p, err := d.store.MergePolicy(c.Context(), a.settings.sandbox)
			if err != nil {
				return err
			}
			return a.print(p, func() table { return mergePolicyTable(p) })
		})
	}}
}

func mergePolicyEdit(a *app) *cobra.Command {
	var name, method, stitching string
	var datasets []string
	c := &cobra.Command{Use: "edit", Short: "Change the merge policy; all profiles are made anew from the records of the datasets", Args: noArgs, RunE: func(c *cobra.Command, _ []string) error {
		var x engine.MergePolicyEdit
		if c.Flags().Changed("name") {
			x.Name = &name
		}
		if c.Flags().Changed("method") {
			m := lakeward.MergeMethod(method)
			x.Method = &m
		}
		if c.Flags().Changed("stitching") {
			s := lakeward.Stitching(stitching)
			x.Stitching = &s
		}
		x.Datasets = datasets
		if x.Name == nil && x.Method == nil && x.Stitching == nil && x.Datasets == nil {
			return usage("--name, --method, --dataset or --stitching is needed")
		}
		return a.withData(c.Context(), true, func(d *directory) error {
			p, err := d.engine.EditMergePolicy(c.Context(), a.settings.sandbox, x)
			if err != nil {
				return err
			}
			return a.print(p, func() table { return mergePolicyTable(p) })
		})
	}}
	c.Flags().StringVar(&name, "name", "", "new name")
	c.Flags().StringVar(&method, "method", "", "timestamp (the record that came last wins) or precedence (the first dataset with a value wins)")
	c.Flags().StringArrayVar(&datasets, "dataset", nil, "a dataset, for the method precedence; repeat it in the order in which they win")
	c.Flags().StringVar(&stitching, "stitching", "", "none (records of one primary identity) or graph (records that share any identity)")
	return c
}

func mergePolicyTable(p lakeward.MergePolicy) table {
	t := pairs("Merge policy", p.Name, "Id", string(p.ID), "Method", string(p.Method), "Stitching", string(p.Stitching))
	if len(p.Datasets) > 0 {
		var ids []string
		for _, id := range p.Datasets {
			ids = append(ids, string(id))
		}
		t = append(t, []string{"Datasets:", strings.Join(ids, ", ")})
	}
	return t
}
