package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/engine"
)

func doctorCommand(a *app) *cobra.Command {
	var x engine.Examination
	var keys keyFiles
	c := &cobra.Command{Use: "doctor [--destination NAME | --account NAME | --url URL --tenant TENANT --client-id ID --key-file FILE]",
		Short: "Try everything that a delivery needs, step by step, each with its own fix", Args: noArgs, RunE: func(c *cobra.Command, _ []string) error {
			if x.Account == "" && x.Destination == "" && x.Fields.URL == "" {
				return usage("one of --destination, --account and --url is needed")
			}
			if x.Fields.URL != "" {
				if keys.first == "" && x.Fields.SignIn.Keyed() {
					return usage("--key-file is needed with --url")
				}
				var err error
				if x.Fields.Key, x.Fields.SecondKey, err = keys.read(a); err != nil {
					return err
				}
			}
			x.Sandbox = a.settings.sandbox
			return a.withData(c.Context(), x.Fields.URL != "", func(d *directory) error { return a.examine(c, d, x) })
		}}
	f := c.Flags()
	f.StringVar(&x.Account, "account", "", "name or id of an account")
	f.StringVar(&x.Destination, "destination", "", "name or id of a destination; its folder is probed")
	credentialFlags(f, &x.Fields)
	keys.flags(f)
	f.StringVar(&x.Folder, "path", "", "folder to probe, with --url")
	f.BoolVar(&x.CreateContainer, "create-container", false, "create the container if it is missing")
	return c
}

// examine prints each check as it is done. A failed check is the reason of the exit code.
func (a *app) examine(c *cobra.Command, d *directory, x engine.Examination) error {
	live := a.settings.output == "table"
	checks, err := d.engine.Doctor(c.Context(), x, func(check lakeward.Check) {
		if live {
			a.printCheck(check)
		}
	})
	if len(checks) == 0 {
		return err
	}
	if !live {
		if perr := a.print(checks, func() table { return checkRows(checks) }); perr != nil {
			return errors.Join(err, perr)
		}
	}
	return err
}

func (a *app) printCheck(c lakeward.Check) {
	result := "ok    "
	if !c.OK {
		result = "FAILED"
	}
	fmt.Fprintf(a.env.out, "%s  %s  %-26s %s\n", c.ID, result, c.Name, c.Detail)
	if c.Fix != "" {
		fmt.Fprintf(a.env.out, "        fix: %s (%s)\n", c.Fix, c.Basis)
	}
}
