package main

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/engine"
)

func mergePolicyCommand(a *app) *cobra.Command {
	return group("merge-policy", "Merge policies: which records make one profile, and whose values it has",
		mergePolicyCreate(a), mergePolicyList(a), mergePolicyShow(a), mergePolicyEdit(a), mergePolicyDelete(a))
}

// policyFlags are the flags that create and edit share.
type policyFlags struct {
	method, stitching string
	datasets          []string
	isDefault         bool
}

func (f *policyFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.method, "method", "", "timestamp (the record that came last wins) or precedence (the first dataset with a value wins)")
	c.Flags().StringArrayVar(&f.datasets, "dataset", nil, "a dataset, for the method precedence; repeat it in the order in which they win")
	c.Flags().StringVar(&f.stitching, "stitching", "", "none (records of one primary identity) or graph (records that share any identity)")
	c.Flags().BoolVar(&f.isDefault, "default", false, "make it the default policy, in place of the one that is it now")
}

// edit is what the flags ask for.
func (f *policyFlags) edit(c *cobra.Command) engine.MergePolicyEdit {
	x := engine.MergePolicyEdit{Datasets: f.datasets, Default: f.isDefault}
	if c.Flags().Changed("method") {
		m := lakeward.MergeMethod(f.method)
		x.Method = &m
	}
	if c.Flags().Changed("stitching") {
		s := lakeward.Stitching(f.stitching)
		x.Stitching = &s
	}
	return x
}

func mergePolicyCreate(a *app) *cobra.Command {
	var f policyFlags
	c := &cobra.Command{Use: "create NAME", Short: "Create a merge policy, and its profiles from the records of all datasets", Args: exactly("NAME"), RunE: func(c *cobra.Command, args []string) error {
		return a.withData(c.Context(), true, func(d *directory) error {
			p, err := d.engine.CreateMergePolicy(c.Context(), lakeward.MergePolicy{Sandbox: a.settings.sandbox, Name: args[0]}, f.edit(c))
			if err != nil {
				return err
			}
			return a.print(p, func() table { return mergePolicyTable(p) })
		})
	}}
	f.register(c)
	return c
}

func mergePolicyList(a *app) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the merge policies, the default one first", Args: noArgs, RunE: func(c *cobra.Command, _ []string) error {
		return a.withData(c.Context(), false, func(d *directory) error {
			list, err := d.store.MergePolicies(c.Context(), a.settings.sandbox)
			if err != nil {
				return err
			}
			return a.print(list, func() table {
				t := table{{"NAME", "METHOD", "STITCHING", "DEFAULT", "ID"}}
				for _, p := range list {
					t = append(t, []string{p.Name, string(p.Method), string(p.Stitching), strconv.FormatBool(p.Default), string(p.ID)})
				}
				return t
			})
		})
	}}
}

func mergePolicyShow(a *app) *cobra.Command {
	return &cobra.Command{Use: "show NAME", Short: "Show a merge policy", Args: exactly("NAME"), RunE: func(c *cobra.Command, args []string) error {
		return a.withData(c.Context(), false, func(d *directory) error {
			p, err := d.store.MergePolicy(c.Context(), a.settings.sandbox, args[0])
			if err != nil {
				return err
			}
			return a.print(p, func() table { return mergePolicyTable(p) })
		})
	}}
}

func mergePolicyEdit(a *app) *cobra.Command {
	var f policyFlags
	var name string
	c := &cobra.Command{Use: "edit NAME", Short: "Change a merge policy; its profiles are made anew from the records of the datasets", Args: exactly("NAME"), RunE: func(c *cobra.Command, args []string) error {
		x := f.edit(c)
		if c.Flags().Changed("name") {
			x.Name = &name
		}
		if x.Name == nil && x.Method == nil && x.Stitching == nil && x.Datasets == nil && !x.Default {
			return usage("--name, --method, --dataset, --stitching or --default is needed")
		}
		return a.withData(c.Context(), true, func(d *directory) error {
			p, err := d.engine.EditMergePolicy(c.Context(), a.settings.sandbox, args[0], x)
			if err != nil {
				return err
			}
			return a.print(p, func() table { return mergePolicyTable(p) })
		})
	}}
	f.register(c)
	c.Flags().StringVar(&name, "name", "", "new name")
	return c
}

func mergePolicyDelete(a *app) *cobra.Command {
	return &cobra.Command{Use: "delete NAME", Short: "Delete a merge policy that no audience uses, and its profiles", Args: exactly("NAME"), RunE: func(c *cobra.Command, args []string) error {
		return a.withData(c.Context(), false, func(d *directory) error {
			return d.engine.DeleteMergePolicy(c.Context(), a.settings.sandbox, args[0])
		})
	}}
}

func mergePolicyTable(p lakeward.MergePolicy) table {
	t := pairs("Merge policy", p.Name, "Id", string(p.ID), "Method", string(p.Method), "Stitching", string(p.Stitching), "Default", strconv.FormatBool(p.Default))
	if len(p.Datasets) > 0 {
		var ids []string
		for _, id := range p.Datasets {
			ids = append(ids, string(id))
		}
		t = append(t, []string{"Datasets:", strings.Join(ids, ", ")})
	}
	return t
}
