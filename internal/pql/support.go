package pql

import (
	"fmt"
	"slices"
	"strings"
)

// Support lists the words of the language and whether this version evaluates them.
func Support() map[string]bool {
	out := map[string]bool{"date": true, "if": true, "inSegment": true, "let": true, "occurs": true, "like": true, "in": true, "notIn": true, "and": true, "or": true, "not": true,
		"isNull": true, "isNotNull": true, "select": true, "exists … from": true, "forall": true, "… over": true, "xEvent": true, "[ ]": true, "chain": true, "chain with several steps": false, "{ }": false}
	for name := range textMethods() {
		out[name] = true
	}
	for name := range clocks() {
		out[name] = true
	}
	for _, name := range valueMethods() {
		out[name] = true
	}
	for name := range arrayMethods() {
		out[name] = true
	}
	for _, name := range laterFunctions() {
		out[name] = false
	}
	return out
}

// Page is the page of the documentation that says what rules can use.
func Page() string {
	var yes, no []string
	for name, ok := range Support() {
		if ok {
			yes = append(yes, "`"+name+"`")
		} else {
			no = append(no, "`"+name+"`")
		}
	}
	slices.Sort(yes)
	slices.Sort(no)
	return fmt.Sprintf("# Rules\n\nAudience rules are written in PQL, text form. Made by a test from the parser's own tables; what is not evaluated yet is refused by name and position.\n\n"+
		"**Yes** (%d): %s\n\n**Not yet** (%d): %s\n\nComparison `= != < <= > >=`, arithmetic `+ - * / %%`, literals of text, numbers, booleans and dates, fields by path, also through arrays and maps, `this`, `^` for what stands around an array, `$1` and a name for the profile as in `(p) => p.age > 30`.\n",
		len(yes), strings.Join(yes, ", "), len(no), strings.Join(no, ", "))
}
