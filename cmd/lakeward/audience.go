package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/engine"
)

func audienceCommand(a *app) *cobra.Command {
	return group("audience", "Audiences: by rule or imported", audienceCreate(a), audienceEdit(a), audienceCopy(a),
		audienceChange(a, "publish NAME", "Let an audience be evaluated and put into dataflows", (*engine.Engine).PublishAudience),
		audienceChange(a, "deactivate NAME", "Put an audience aside that nothing uses", (*engine.Engine).DeactivateAudience),
		audienceChange(a, "refresh NAME", "Extend the life of an uploaded audience in the last 7 days of it", (*engine.Engine).RefreshAudience),
		audienceDelete(a), audienceEstimate(a), audienceEvaluate(a), audienceSchedule(a), audienceImport(a), audienceList(a), audienceShow(a))
}

// audienceChange is a command that does one thing with one audience and shows it.
func audienceChange(a *app, use, short string, change func(e *engine.Engine, ctx context.Context, sandbox, ref string) (lakeward.Audience, error)) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: exactly("NAME"), RunE: func(c *cobra.Command, args []string) error {
		return a.withData(c.Context(), false, func(d *directory) error {
			au, err := change(d.engine, c.Context(), a.settings.sandbox, args[0])
			if err != nil {
				return err
			}
			return a.print(au, func() table { return audienceTable(au) })
		})
	}}
}

func audienceCopy(a *app) *cobra.Command {
	return &cobra.Command{Use: "copy NAME NEW", Short: "Make a draft that is like another audience", Args: exactly("NAME", "NEW"), RunE: func(c *cobra.Command, args []string) error {
		return a.withData(c.Context(), false, func(d *directory) error {
			au, err := d.engine.CopyAudience(c.Context(), a.settings.sandbox, args[0], args[1])
			if err != nil {
				return err
			}
			return a.print(au, func() table { return audienceTable(au) })
		})
	}}
}

func audienceCreate(a *app) *cobra.Command {
	var au lakeward.Audience
	var draft bool
	c := &cobra.Command{Use: "create NAME --rule RULE", Short: "Create an audience by rule (PQL text)", Args: exactly("NAME"), RunE: func(c *cobra.Command, args []string) error {
		if au.Rule == "" {
			return usage("--rule is needed, as in --rule 'orders >= 5 and total > 200'")
		}
		au.Sandbox, au.Name = a.settings.sandbox, args[0]
		if draft {
			au.State = lakeward.Draft
		}
		return a.withData(c.Context(), true, func(d *directory) error {
			created, err := d.engine.CreateAudience(c.Context(), au)
			if err != nil {
				return err
			}
			return a.print(created, func() table { return audienceTable(created) })
		})
	}}
	c.Flags().StringVar(&au.Rule, "rule", "", "the rule")
	c.Flags().BoolVar(&draft, "draft", false, "neither evaluate nor offer it before it is published")
	policyFlag(c, &au)
	sortFlags(c, &au.Description, &au.Tags, &au.Folder)
	return c
}

// sortFlags are the flags that every audience has.
func sortFlags(c *cobra.Command, description *string, tags *[]string, folder *string) {
	c.Flags().StringVar(description, "description", "", "description")
	c.Flags().StringArrayVar(tags, "tag", nil, "a tag; repeatable")
	c.Flags().StringVar(folder, "folder", "", "folder, such as europe/retail")
}

func audienceEdit(a *app) *cobra.Command {
	var name, description, rule, folder string
	var tags []string
	var days int
	c := &cobra.Command{Use: "edit NAME", Short: "Change an audience; its members change with its next evaluation", Args: exactly("NAME"), RunE: func(c *cobra.Command, args []string) error {
		var x engine.AudienceEdit
		for flag, f := range map[string]struct {
			to   **string
			from *string
		}{"name": {&x.Name, &name}, "description": {&x.Description, &description}, "rule": {&x.Rule, &rule}, "folder": {&x.Folder, &folder}} {
			if c.Flags().Changed(flag) {
				*f.to = f.from
			}
		}
		if c.Flags().Changed("tag") {
			x.Tags = &tags
		}
		if c.Flags().Changed("expire-days") {
			x.ExpireDays = &days
		}
		if x == (engine.AudienceEdit{}) {
			return usage("--name, --description, --rule, --tag, --folder or --expire-days is needed")
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
	c.Flags().StringVar(&rule, "rule", "", "the rule")
	c.Flags().IntVar(&days, "expire-days", 0, "days from now that an uploaded audience lives, 1 to 90")
	sortFlags(c, &description, &tags, &folder)
	c.Flags().Lookup("tag").Usage = "a tag; repeatable, they replace those before; '' takes all"
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
			if im.MaxRejected < 0 {
				return usage("--max-rejected is a number from 0")
			}
			if c.Flags().Changed("expire-days") && im.Audience.ExpireDays == 0 {
				return usage("--expire-days is a number from 1 to 90")
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
	c.Flags().StringVar(&im.Audience.ExternalID, "external-id", "", "its id elsewhere: letters, digits, _ and $")
	c.Flags().IntVar(&im.Audience.ExpireDays, "expire-days", 0, "days until all profiles leave it, 1 to 90 (default: those of the last upload, or 30)")
	c.Flags().Int64Var(&im.MaxRejected, "max-rejected", 0, "rows that may be left out because they cannot be taken; more fail the file")
	sortFlags(c, &im.Audience.Description, &im.Audience.Tags, &im.Audience.Folder)
	policyFlag(c, &im.Audience)
	c.Flags().StringVar(&im.Identity, "identity", "", "the column that identifies the profiles")
	c.Flags().StringVar(&im.Audience.Namespace, "namespace", "", "code of that column's namespace")
	return c
}

func audienceList(a *app) *cobra.Command {
	var f lakeward.AudienceFilter
	var origin, state string
	c := &cobra.Command{Use: "list", Short: "List the audiences", Args: noArgs, RunE: func(c *cobra.Command, _ []string) error {
		f.Origin, f.State = lakeward.Origin(origin), lakeward.AudienceState(state)
		if origin != "" && f.Origin != lakeward.RuleOrigin && f.Origin != lakeward.UploadOrigin {
			return usage("--origin is %s or %s, not %q", lakeward.RuleOrigin, lakeward.UploadOrigin, origin)
		}
		if state != "" && f.State != lakeward.Draft && f.State != lakeward.Published && f.State != lakeward.Inactive {
			return usage("--state is %s, %s or %s, not %q", lakeward.Draft, lakeward.Published, lakeward.Inactive, state)
		}
		return a.withData(c.Context(), false, func(d *directory) error {
			list, err := d.engine.Audiences(c.Context(), a.settings.sandbox, f)
			if err != nil {
				return err
			}
			return a.print(list, func() table { return audiencesTable(list) })
		})
	}}
	c.Flags().StringArrayVar(&f.Tags, "tag", nil, "only those with this tag; repeatable, all of them")
	c.Flags().StringVar(&f.Folder, "folder", "", "only those in this folder and below it")
	c.Flags().StringVar(&origin, "origin", "", "only those of this origin: segmentation or custom-upload")
	c.Flags().StringVar(&state, "state", "", "only those in this state: draft, published or inactive")
	return c
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
	t := table{{"NAME", "ORIGIN", "STATE", "MEMBERS", "EVALUATED", "ID"}}
	for _, au := range list {
		t = append(t, []string{au.Name, string(au.Origin), string(au.State), strconv.FormatInt(au.Members, 10), timeText(au.EvaluatedAt), string(au.ID)})
	}
	return t
}

func audienceTable(au lakeward.Audience) table {
	count := func(n int64) string { return strconv.FormatInt(n, 10) }
	t := pairs("Audience", au.Name, "Id", string(au.ID), "Origin", string(au.Origin), "State", string(au.State), "Members", count(au.Members), "Evaluated", timeText(au.EvaluatedAt))
	if b := au.Breakdown; b != nil {
		t = append(t, []string{"Change:", fmt.Sprintf("%d new, %d stayed, %d left", b.Realized, b.Existing, b.Exiting)})
	}
	for _, f := range [][2]string{{"Rule", au.Rule}, {"Folder", au.Folder}, {"Tags", strings.Join(au.Tags, ", ")}, {"Namespace", au.Namespace}, {"External id", au.ExternalID}} {
		if f[1] != "" {
			t = append(t, pairs(f[0], f[1])...)
		}
	}
	if au.ExpiresAt != nil {
		t = append(t, []string{"Expires:", timeText(au.ExpiresAt)})
	}
	if in := au.Ingested; in != nil {
		t = append(t, pairs("Batch", string(in.Batch), "Uploaded", timeText(&in.At), "Records ingested", count(in.Records), "Records failed", count(in.Failed),
			"New profiles", count(in.New), "Existing profiles", count(in.Existing))...)
	}
	return t
}

func policyFlag(c *cobra.Command, au *lakeward.Audience) {
	c.Flags().StringVar((*string)(&au.MergePolicy), "merge-policy", "", "name or id of the merge policy whose profiles are its members; it never changes (default: the default one)")
}
