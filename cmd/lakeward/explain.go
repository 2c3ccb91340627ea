package main

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lakeward/lakeward"
)

func explainCommand(a *app) *cobra.Command {
	return &cobra.Command{Use: "explain PROFILE RUN", Short: "Say why a profile is in the files of a run, or is not", Args: exactly("PROFILE", "RUN"),
		Long: "Says what became of a profile in a run, and why: member or not, changed since the last export or not, dropped for a missing\n" +
			"value or for another profile with the same key. PROFILE is NAMESPACE:VALUE, such as Email:ann@example.com, or the number\n" +
			"of a profile. Facts of old generations can be told until they are removed because no run needs them any more.",
		RunE: func(c *cobra.Command, args []string) error {
			key, err := profileKey(args[0])
			if err != nil {
				return err
			}
			return a.withData(c.Context(), false, func(d *directory) error {
				list, err := d.engine.Explain(c.Context(), a.settings.sandbox, args[1], key)
				if err != nil {
					return err
				}
				return a.print(list, func() table { return explanationTable(list) })
			})
		}}
}

func profileKey(text string) (lakeward.ProfileKey, error) {
	if n, err := strconv.ParseUint(text, 10, 32); err == nil {
		number := uint32(n)
		return lakeward.ProfileKey{Number: &number}, nil
	}
	namespace, value, ok := strings.Cut(text, ":")
	if !ok || namespace == "" || value == "" {
		return lakeward.ProfileKey{}, usage("PROFILE is NAMESPACE:VALUE, such as Email:ann@example.com, or the number of a profile")
	}
	return lakeward.ProfileKey{Namespace: namespace, Value: value}, nil
}

func explanationTable(list []lakeward.Explanation) table {
	var t table
	for i, x := range list {
		if i > 0 {
			t = append(t, []string{})
		}
		t = append(t, pairs("Profile", strconv.FormatUint(uint64(x.Number), 10), "Run", string(x.Run), "State", string(x.State), "Exported at", timeText(x.At), "Outcome", string(x.Outcome))...)
		if x.File != "" {
			t = append(t, pairs("File", x.File, "Rows", strconv.FormatInt(x.Rows, 10))...)
		}
		for k, fact := range x.Facts {
			label := ""
			if k == 0 {
				label = "Why:"
			}
			t = append(t, []string{label, fact})
		}
	}
	return t
}
