package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/lakeward/lakeward"
)

func namespaceCommand(a *app) *cobra.Command {
	return group("namespace", "Identity namespaces", namespaceCreate(a), namespaceList(a))
}

func namespaceCreate(a *app) *cobra.Command {
	n := lakeward.Namespace{}
	var kind string
	c := &cobra.Command{Use: "create CODE", Short: "Create a custom namespace; its code and type never change", Args: exactly("CODE"), RunE: func(c *cobra.Command, args []string) error {
		n.Code, n.Type, n.Sandbox = args[0], lakeward.NamespaceType(kind), a.settings.sandbox
		if n.Name == "" {
			n.Name = n.Code
		}
		return a.withData(c.Context(), true, func(d *directory) error {
			created, err := d.engine.CreateNamespace(c.Context(), n)
			if err != nil {
				return err
			}
			return a.print(created, func() table {
				return pairs("Namespace", created.Code, "Name", created.Name, "Type", string(created.Type))
			})
		})
	}}
	c.Flags().StringVar(&n.Name, "name", "", "display name (default: the code)")
	c.Flags().StringVar(&kind, "type", string(lakeward.CrossDevice), "Cookie ID, Cross-Device ID, Device ID, Email address, Non-people identifier, Partner ID or Phone number")
	c.Flags().StringVar(&n.Description, "description", "", "description")
	return c
}

func namespaceList(a *app) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the namespaces", Args: noArgs, RunE: func(c *cobra.Command, _ []string) error {
		return a.withData(c.Context(), false, func(d *directory) error {
			list, err := d.store.Namespaces(c.Context(), a.settings.sandbox)
			if err != nil {
				return err
			}
			return a.print(list, func() table {
				t := table{{"CODE", "NAME", "TYPE", "CUSTOM"}}
				for _, n := range list {
					t = append(t, []string{n.Code, n.Name, string(n.Type), strconv.FormatBool(n.Custom)})
				}
				return t
			})
		})
	}}
}
