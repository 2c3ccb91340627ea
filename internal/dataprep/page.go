package dataprep

import (
	"fmt"
	"strings"

	"github.com/lakeward/lakeward/internal/expr"
)

// Page is the page of the documentation that lists the functions of calculated fields.
func Page() string {
	var b strings.Builder
	b.WriteString(`# Calculated fields

A column of an export may be worked out: functions, fields by path (also ` + "`orders[0].sku`, `prefs[\"lang\"]`" + `), texts in single or double quotes, numbers, ` + "`true`, `false`, `null`, lists `[1, 2]`" + `,
comparison ` + "`== != < <= > >=`, `&& || !`, arithmetic `+ - * / %`" + `, a function behind its first value as in ` + "`nick.equals(\"x\")`" + `. A name that is no plain word is written ` + "`${First Name}`" + `.
What is wrong is refused when a dataflow is stored. What fails for a profile in a run (a text that is no number, a division by 0) makes its value null and is counted as ` + "`DEST-WARN-EXPR`" + `; a null among the values of a function makes it null.
` + "`now()` and `uuid()`" + ` are bound to the run, so that a retry writes the same. Made by a test from the language's own table; the cases in ` + "`internal/dataprep/testdata/functions.txt`" + ` show each function at work.

| function | takes |
|---|---|
`)
	functions := expr.Functions()
	for _, name := range Names() {
		takes := "an array, x -> condition"
		switch fn := functions[name]; {
		case name == "transformArray":
			takes = "an array, x -> value"
		case fn != nil:
			takes = fn.Takes()
		}
		fmt.Fprintf(&b, "| `%s` | %s |\n", name, takes)
	}
	return b.String()
}
