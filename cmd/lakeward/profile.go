package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lakeward/lakeward"
)

func profileCommand(a *app) *cobra.Command {
	return group("profile", "Profiles: look one up, delete one", profileShow(a), profileDelete(a))
}

// profileRef reads which profile is meant.
func profileRef(c *cobra.Command, number int64, policy string, args []string) (lakeward.ProfileRef, error) {
	ref := lakeward.ProfileRef{MergePolicy: policy}
	byNumber := c.Flags().Changed("number")
	switch {
	case byNumber && len(args) > 0, !byNumber && len(args) != 2:
		return ref, usage("%s takes NAMESPACE and VALUE of an identity, or --number", c.CommandPath())
	case byNumber && (number < 0 || number > 1<<32-1):
		return ref, usage("--number is a number from 0 to 4294967295")
	case byNumber:
		n := uint32(number)
		ref.Number = &n
	default:
		ref.Namespace, ref.Value = args[0], args[1]
	}
	return ref, nil
}

func profileShow(a *app) *cobra.Command {
	var number int64
	var policy string
	c := &cobra.Command{Use: "show NAMESPACE VALUE | --number N", Short: "Show a profile: attributes, identities, memberships, and the records that it is made of", RunE: func(c *cobra.Command, args []string) error {
		ref, err := profileRef(c, number, policy, args)
		if err != nil {
			return err
		}
		return a.withData(c.Context(), false, func(d *directory) error {
			p, err := d.engine.Profile(c.Context(), a.settings.sandbox, ref)
			if err != nil {
				return err
			}
			return a.print(p, func() table { return profileTable(p) })
		})
	}}
	c.Flags().Int64Var(&number, "number", 0, "the number of the profile, in place of an identity")
	c.Flags().StringVar(&policy, "merge-policy", "", "name or id of the merge policy whose profile is meant (default: the default one)")
	return c
}

func profileDelete(a *app) *cobra.Command {
	var number int64
	var policy string
	c := &cobra.Command{Use: "delete NAMESPACE VALUE | --number N", Short: "Delete a profile; its identities are free again, the rows of its datasets stay", RunE: func(c *cobra.Command, args []string) error {
		ref, err := profileRef(c, number, policy, args)
		if err != nil {
			return err
		}
		return a.withData(c.Context(), false, func(d *directory) error {
			n, generation, err := d.engine.DeleteProfile(c.Context(), a.settings.sandbox, ref)
			if err != nil {
				return err
			}
			shown := struct {
				Number     uint32 `json:"number"`
				Generation int64  `json:"generation"`
			}{n, generation}
			return a.print(shown, func() table {
				return pairs("Deleted", strconv.FormatUint(uint64(n), 10), "Generation", strconv.FormatInt(generation, 10))
			})
		})
	}}
	c.Flags().Int64Var(&number, "number", 0, "the number of the profile, in place of an identity")
	c.Flags().StringVar(&policy, "merge-policy", "", "name or id of the merge policy whose profile is meant (default: the default one)")
	return c
}

func profileTable(p lakeward.Profile) table {
	t := pairs("Profile", strconv.FormatUint(uint64(p.Number), 10), "Generation", strconv.FormatInt(p.Generation, 10))
	if len(p.Others) > 0 {
		var others []string
		for _, n := range p.Others {
			others = append(others, strconv.FormatUint(uint64(n), 10))
		}
		t = append(t, []string{"Others with it:", strings.Join(others, ", ")})
	}
	t = append(t, []string{}, []string{"FIELD", "VALUE"})
	for _, v := range p.Attributes {
		t = append(t, []string{v.Field, v.Value})
	}
	t = append(t, []string{}, []string{"NAMESPACE", "IDENTITY", "PRIMARY", "DATASET"})
	for _, id := range p.Identities {
		t = append(t, []string{id.Namespace, id.Value, strconv.FormatBool(id.Primary), orID(id.Name, string(id.Dataset))})
	}
	t = append(t, []string{}, []string{"AUDIENCE", "STATUS", "SINCE"})
	for _, m := range p.Memberships {
		t = append(t, []string{m.Name, string(m.Status), timeText(&m.LastQualificationTime)})
	}
	t = append(t, []string{}, []string{"SOURCE", "BATCH", "ROW"})
	for _, s := range p.Sources {
		row := "-"
		if s.Row >= 0 {
			row = fmt.Sprint(s.Row)
		}
		t = append(t, []string{orID(s.Name, string(s.Dataset)), orID(string(s.Batch), "-"), row})
	}
	return oneLine(t)
}

// orID is a name, or the id of what has none.
func orID(name, id string) string {
	if name == "" {
		return id
	}
	return name
}
