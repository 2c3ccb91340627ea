package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/engine"
)

func audienceCommand(a *app) *cobra.Command {
	return group("audience", "Audiences: by rule or imported", audienceCreate(a), audienceEdit(a), audienceDelete(a), audienceEstimate(a), audienceEvaluate(a), audienceImport(a), audienceList(a), audienceShow(a))
}

func audienceCreate(a *app) *cobra.Command {
	var rule, description, policy string
	c := &cobra.Command{Use: "create NAME --rule RULE", Short: "Create an audience by rule (PQL text)", Args: exactly("NAME"), RunE: func(c *cobra.Command, args []string) error {
		if rule == "" {
			return usage("--rule is needed, as in --rule 'orders >= 5 and total > 200'")
		}
		return a.withData(c.Context(), true, func(d *directory) error {
			au, err := d.engine.CreateAudience(c.Context(), lakeward.Audience{Sandbox: a.settings.sandbox, Name: args[0], Description: description, Rule: rule, MergePolicy: lakeward.MergePolicyID(policy)})
			if err != nil {
				return err
			}
			return a.print(au, func() table { return audienceTable(au) })
		})
	}}
	c.Flags().StringVar(&rule, "rule", "", "the rule")
	c.Flags().StringVar(&description, "description", "", "description")
	c.Flags().StringVar(&policy, "merge-policy", "", "name or id of the merge policy whose profiles are its members; it never changes (default: the default one)")
	return c
}

func audienceEdit(a *app) *cobra.Command {
	var name, description, rule string
	c := &cobra.Command{Use: "edit NAME", Short: "Change an audience; its members change with its next evaluation", Args: exactly("NAME"), RunE: func(c *cobra.Command, args []string) error {
		var x engine.AudienceEdit
		for flag, f := range map[string]struct {
			to   **string
			from *string
		}{"name": {&x.Name, &name}, "description": {&x.Description, &description}, "rule": {&x.Rule, &rule}} {
			if c.Flags().Changed(flag) {
				*f.to = f.from
			}
		}
		if x == (engine.AudienceEdit{}) {
			return usage("--name, --description or --rule is needed")
		}
		return a.withData(c.Context(), false, func(d *directory) error {
			au, err := d.engine.EditAudience(c.Context(), a.settings.sandbox, args[0], x)
			if err != nil {
				return err
			}
			return a.print(au, func() table { return audienceTable(au) })
		})
	}}
	c.Flags().StringVar(&name, "name", "", "new name")
	c.Flags().StringVar(&description, "description", "", "description")
	c.Flags().StringVar(&rule, "rule", "", "the rule")
	return c
}

func audienceDelete(a *app) *cobra.Command {
	return &cobra.Command{Use: "delete NAME", Short: "Delete an audience that nothing uses", Args: exactly("NAME"), RunE: func(c *cobra.Command, args []string) error {
		return a.withData(c.Context(), false, func(d *directory) error {
			return d.engine.DeleteAudience(c.Context(), a.settings.sandbox, args[0])
		})
	}}
}

func audienceEstimate(a *app) *cobra.Command {
	return &cobra.Command{Use: "estimate RULE", Short: "Count the profiles that a rule gives now; nothing is stored", Args: exactly("RULE"), RunE: func(c *cobra.Command, args []string) error {
		return a.withData(c.Context(), false, func(d *directory) error {
			show, done := a.progress("count")
			members, profiles, err := d.engine.Estimate(c.Context(), a.settings.sandbox, args[0], show)
			done()
			if err != nil {
				return err
			}
			shown := struct {
				Members  int64 `json:"members"`
				Profiles int64 `json:"profiles"`
			}{members, profiles}
			return a.print(shown, func() table {
				return pairs("Members", strconv.FormatInt(members, 10), "Profiles", strconv.FormatInt(profiles, 10))
			})
		})
	}}
}

func audienceEvaluate(a *app) *cobra.Command {
	return &cobra.Command{Use: "evaluate [NAME...]", Short: "Compute the members of rule audiences, all of them if none is named", RunE: func(c *cobra.Command, args []string) error {
		return a.withData(c.Context(), false, func(d *directory) error {
			show, done := a.progress("evaluate")
			list, err := d.engine.Evaluate(c.Context(), a.settings.sandbox, args, show)
			done()
			if err != nil {
				return err
			}
			return a.print(list, func() table { return audiencesTable(list) })
		})
	}}
}

func audienceImport(a *app) *cobra.Command {
	im := engine.Import{}
	c := &cobra.Command{Use: "import FILE --name NAME --identity COLUMN --namespace CODE", Short: "Make an audience of the profiles that a CSV file lists", Args: exactly("FILE"),
		RunE: func(c *cobra.Command, args []string) error {
			if im.Audience.Name == "" || im.Identity == "" || im.Audience.Namespace == "" {
				return usage("--name, --identity and --namespace are needed")
			}
			im.Audience.Sandbox, im.Name = a.settings.sandbox, filepath.Base(args[0])
			return a.withData(c.Context(), true, func(d *directory) error {
				f, err := a.openInput(args[0])
				if err != nil {
					return err
				}
				au, err := d.engine.ImportAudience(c.Context(), im, f)
				if err = errors.Join(err, f.Close()); err != nil {
					return err
				}
				return a.print(au, func() table { return audienceTable(au) })
			})
		}}
	c.Flags().StringVar(&im.Audience.Name, "name", "", "name of the audience")
	c.Flags().StringVar(&im.Audience.Description, "description", "", "description")
	c.Flags().StringVar((*string)(&im.Audience.MergePolicy), "merge-policy", "", "name or id of the merge policy whose profiles are its members; it never changes (default: the default one)")
	c.Flags().StringVar(&im.Identity, "identity", "", "the column that identifies the profiles")
	c.Flags().StringVar(&im.Audience.Namespace, "namespace", "", "code of that column's namespace")
	return c
}

func audienceList(a *app) *cobra.Command {
	return &cobra.Command{Use: "list", Short: "List the audiences", Args: noArgs, RunE: func(c *cobra.Command, _ []string) error {
		return a.withData(c.Context(), false, func(d *directory) error {
			list, err := d.store.Audiences(c.Context(), a.settings.sandbox)
			if err != nil {
				return err
			}
			return a.print(list, func() table { return audiencesTable(list) })
		})
	}}
}

func audienceShow(a *app) *cobra.Command {
	return &cobra.Command{Use: "show NAME", Short: "Show an audience", Args: exactly("NAME"), RunE: func(c *cobra.Command, args []string) error {
		return a.withData(c.Context(), false, func(d *directory) error {
			au, err := d.engine.Audience(c.Context(), a.settings.sandbox, args[0])
			if err != nil {
				return err
			}
			return a.print(au, func() table { return audienceTable(au) })
		})
	}}
}

func audiencesTable(list []lakeward.Audience) table {
	t := table{{"NAME", "ORIGIN", "MEMBERS", "EVALUATED", "ID"}}
	for _, au := range list {
		t = append(t, []string{au.Name, string(au.Origin), strconv.FormatInt(au.Members, 10), timeText(au.EvaluatedAt), string(au.ID)})
	}
	return t
}

func audienceTable(au lakeward.Audience) table {
	t := pairs("Audience", au.Name, "Id", string(au.ID), "Origin", string(au.Origin), "Members", strconv.FormatInt(au.Members, 10), "Evaluated", timeText(au.EvaluatedAt))
	if b := au.Breakdown; b != nil {
		t = append(t, []string{"Change:", fmt.Sprintf("%d new, %d stayed, %d left", b.Realized, b.Existing, b.Exiting)})
	}
	if au.Rule != "" {
		t = append(t, []string{"Rule:", au.Rule})
	}
	return t
}
