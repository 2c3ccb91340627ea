package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/lakeward/lakeward"
)

func accountCommand(a *app) *cobra.Command {
	return group("account", "Accounts: the credentials of storage accounts", accountCreate(a), accountList(a), accountShow(a), accountTest(a))
}

func accountCreate(a *app) *cobra.Command {
	var acc lakeward.Account
	var keyFile string
	var untested bool
	c := &cobra.Command{Use: "create NAME --url URL --tenant TENANT --client-id ID --key-file FILE", Short: "Connect to a storage account and store its credentials", Args: exactly("NAME"),
		RunE: func(c *cobra.Command, args []string) error {
			if keyFile == "" {
				return usage("--key-file is needed: a file that holds the service principal key, or - for standard input")
			}
			b, err := a.readInput(keyFile)
			if err != nil {
				return err
			}
			acc.Name, acc.Sandbox = args[0], a.settings.sandbox
			acc.Key = lakeward.NewSecret(strings.TrimRight(string(b), "\r\n")) // the line's end belongs to the file, not to the key
			return a.withData(c.Context(), true, func(d *directory) error {
				created, checks, err := d.engine.CreateAccount(c.Context(), acc, untested)
				if err != nil {
					return err
				}
				return a.print(created, func() table { return append(accountTable(created), checkRows(checks)...) })
			})
		}}
	c.Flags().StringVar(&acc.URL, "url", "", "abfss://<container>@<account>.dfs.core.windows.net")
	c.Flags().StringVar(&acc.Tenant, "tenant", "", "tenant id or domain")
	c.Flags().StringVar(&acc.ClientID, "client-id", "", "service principal ID: the application's client id")
	c.Flags().StringVar(&keyFile, "key-file", "", "file with the service principal key, or -")
	c.Flags().StringVar(&acc.Description, "description", "", "description")
	c.Flags().BoolVar(&untested, "untested", false, "store without trying the connection")
	return c
}

func accountList(a *app) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the accounts", Args: noArgs, RunE: func(c *cobra.Command, _ []string) error {
		return a.withData(c.Context(), false, func(d *directory) error {
			list, err := d.store.Accounts(c.Context(), a.settings.sandbox)
			if err != nil {
				return err
			}
			return a.print(list, func() table {
				t := table{{"NAME", "URL", "STATE", "ID"}}
				for _, acc := range list {
					t = append(t, []string{acc.Name, acc.URL, string(acc.State), string(acc.ID)})
				}
				return t
			})
		})
	}}
}

func accountShow(a *app) *cobra.Command {
	return &cobra.Command{Use: "show NAME", Short: "Show an account; its key is never shown", Args: exactly("NAME"), RunE: func(c *cobra.Command, args []string) error {
		return a.withData(c.Context(), false, func(d *directory) error {
			acc, err := d.store.Account(c.Context(), a.settings.sandbox, args[0])
			if err != nil {
				return err
			}
			return a.print(acc, func() table { return accountTable(acc) })
		})
	}}
}

func accountTest(a *app) *cobra.Command {
	return &cobra.Command{Use: "test NAME", Short: "Try the connection of an account: token and container", Args: exactly("NAME"), RunE: func(c *cobra.Command, args []string) error {
		return a.withData(c.Context(), false, func(d *directory) error {
			_, checks, err := d.engine.TestAccount(c.Context(), a.settings.sandbox, args[0])
			if err != nil {
				return err
			}
			return a.print(checks, func() table { return checkRows(checks) })
		})
	}}
}

func accountTable(acc lakeward.Account) table {
	t := pairs("Account", acc.Name, "Id", string(acc.ID), "URL", acc.URL, "Tenant", acc.Tenant, "Service principal", acc.ClientID, "State", string(acc.State), "Tested", timeText(acc.TestedAt))
	if acc.StateCause != "" {
		t = append(t, []string{"Cause:", acc.StateCause})
	}
	return t
}

func checkRows(checks []lakeward.Check) table {
	var t table
	for _, c := range checks {
		result := "ok"
		if !c.OK {
			result = "failed"
		}
		t = append(t, []string{c.ID, c.Name, result, c.Detail})
	}
	return t
}
