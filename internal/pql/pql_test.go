package pql_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/expr"
	"github.com/lakeward/lakeward/internal/pql"
	"github.com/lakeward/lakeward/internal/vector"
)

func union() []lakeward.Leaf {
	return []lakeward.Leaf{
		{Path: "name", Type: lakeward.TypeString}, {Path: "age", Type: lakeward.TypeInteger}, {Path: "score", Type: lakeward.TypeDouble},
		{Path: "vip", Type: lakeward.TypeBoolean}, {Path: "home.city", Type: lakeward.TypeString}, {Path: "born", Type: lakeward.TypeDate},
		{Path: "joined", Type: lakeward.TypeDateTime}, {Path: "missing", Type: lakeward.TypeString},
	}
}

func scope() pql.Scope {
	return pql.Scope{Union: union(), Audiences: []lakeward.Audience{{ID: "A1", Name: "Gold"}, {ID: "A2", Name: "Silver"}}}
}

// filter evaluates at the time of the acceptance cases, with the members of A1 and A2.
func filter(n *expr.Node, paths []string) *expr.Filter {
	f := expr.NewFilter(n, paths, caseTime())
	f.Members = caseAudiences
	return f
}

func caseTime() time.Time { return time.Date(2025, 11, 26, 12, 0, 0, 0, time.UTC) }

func caseAudiences(audience string) vector.Bits {
	b := vector.NewBits(5)
	for _, i := range map[string][]int{"A1": {0, 2}, "A2": {0, 3}}[audience] {
		b.Set(i)
	}
	return b
}

// people are P1 to P5 of the acceptance cases, as far as their fields are scalars.
func people() *vector.Chunk {
	c := &vector.Chunk{Len: 5, Columns: make([]vector.Vector, len(union()))}
	for i, l := range union() {
		c.Columns[i].Reset(vector.KindOf(l.Type))
	}
	text := func(col int, values ...string) {
		for _, v := range values {
			if v == "-" {
				c.Columns[col].AppendNull()
			} else {
				c.Columns[col].AppendString([]byte(v))
			}
		}
	}
	text(0, "Ann", "bob", "ANNA", "", "-")
	text(4, "Bern", "Zürich", "bern", "Bernau%", "-")
	text(7, "-", "-", "-", "-", "-")
	for i, age := range []int64{34, 20, 34, 65} {
		c.Columns[1].AppendInt(age)
		if i == 2 {
			c.Columns[2].AppendNull()
			c.Columns[3].AppendNull()
		} else {
			c.Columns[2].AppendFloat([]float64{7.5, 0, 0, -1.5}[i])
			c.Columns[3].AppendBool(i != 1)
		}
	}
	for _, d := range []int64{7999, 11016, 5783, -3289} { // 1991-11-26 2000-02-29 1985-11-01 1960-12-30
		c.Columns[5].AppendInt(d)
	}
	for _, ms := range []int64{1763942400000, 1763942399999, 1761953400000, 1764230400000} {
		c.Columns[6].AppendInt(ms)
	}
	for _, col := range []int{1, 2, 3, 5, 6} {
		c.Columns[col].AppendNull()
	}
	return c
}

func members(t *testing.T, rule string) string {
	t.Helper()
	n, err := pql.Parse(rule, scope())
	if err != nil {
		t.Fatalf("Parse(%s): %v", rule, err)
	}
	var paths []string
	for _, l := range union() {
		paths = append(paths, l.Path)
	}
	bits := filter(n, paths).Match(people())
	var out []string
	for i := range 5 {
		if bits.Get(i) {
			out = append(out, string(rune('1'+i)))
		}
	}
	return strings.Join(out, " ")
}

// The cases PQL-01 to PQL-17 that need scalars only, and the vectors of section 4.
func TestRules(t *testing.T) {
	for _, test := range []struct{ name, rule, want string }{
		{"PQL-01", `age >= 34 and home.city = "Bern"`, "1"},
		{"PQL-02", `age != 34`, "2 4"},
		{"PQL-03", `not (age = 34)`, "2 4 5"},
		{"PQL-04", `not vip`, "2 3 5"},
		{"PQL-05", `age / 2 = 17 and age % 5 = 4`, "1 3"},
		{"PQL-06", `score / (age - 34) < 0`, "4"},
		{"PQL-08", `name < "a"`, "1 3 4"},
		{"PQL-09", `name.isNotNull() and name = ""`, "4"},
		{"PQL-10", `home.city.startsWith("bern", false)`, "1 3 4"},
		{"PQL-11", `home.city.doesNotContain("Bern")`, "2 3"},
		{"PQL-12", `not home.city.contains("Bern")`, "2 3 5"},
		{"PQL-13", `home.city like "Bern%" and not (home.city like "Bern")`, "4"},
		{"PQL-14", `name.equals("ann", "BOB", false)`, "1 2"},
		{"PQL-16", `age notIn [20, 65]`, "1 3"},
		{"PQL-17", `not (age in [20, 65])`, "1 3 5"},
		{"PQL-07", `if(vip, age, 100) >= 65`, "2 3 4 5"},
		{"PQL-15 in a text", `name.regexGroup("(n+)", 1) = "nn"`, "1"},
		{"PQL-34", `joined occurs between date(2025, 11, 23) and date(2025, 11, 24)`, "1 2"},
		{"PQL-35", `born.getMonth() = currentMonth() and born.getDayOfMonth() = currentDayOfMonth()`, "1"},
		{"PQL-36", `born occurs < 35 years before today`, "1 2"},
		{"PQL-37", `inSegment("A1") and not inSegment("A2")`, "3"},
		{"PQL-39 with a number", `let s = age * 2 in (s > 60 and s < 100)`, "1 3"},
		{"a let of a condition", `let old = (age in [34, 65]) in not old`, "2 5"},
		{"PQL-40", `(p) => p.age > 30 and p.home.city = "Bern"`, "1"},
		{"a let in a let", `let a = age in let b = a + 1 in b = 21`, "2"},
		{"if of dates", `if(vip, born, joined) < date(2000, 1, 1)`, "1 4"},
		{"if without a value", `if(vip, 1, age) = 34`, "3"},
		{"matches finds anywhere", `name.matches("n")`, "1"},
		{"matches without case", `name.matches("(?i)^an")`, "1 3"},
		{"the year of now", `currentYear() = 2025 and joined.getYear() = currentYear()`, "1 2 3 4"},
		{"now is a time", `joined > now`, "4"},
		{"tomorrow", `joined occurs tomorrow`, "4"},
		{"this week", `joined occurs this week`, "1 4"},
		{"last month", `joined occurs last month`, "3"},
		{"a field as time", `joined occurs after born`, "1 2 3 4"},
		{"null occurs nowhere", `not (joined occurs before tomorrow)`, "4 5"},
		{"S3 null compared", `missing != "x" or missing = "x"`, ""},
		{"S1 negated null", `not (missing = "x")`, "1 2 3 4 5"},
		{"L2 keywords in any case", `age = 34 AND vip OR age = 20`, "1 2"},
		{"precedence", `age = 20 or age = 34 and vip`, "1 2"},
		{"S6 integer with double", `age = 34.0`, "1 3"},
		{"S6 double with integer", `score = 0`, "2"},
		{"S6 double above integer", `age < 20.5`, "2"},
		{"S6 text literal as boolean", `vip = "true"`, "1 4"},
		{"S6 text literal as time", `joined >= "2025-11-24T00:00:00Z"`, "1 4"},
		{"S6 date with date-time", `joined < date(2025, 11, 24)`, "2 3"},
		{"date before 1970", `born < date(1970,1,1)`, "4"},
		{"S4 division by zero", `1 / (age - 20) > 0`, "1 3 4"},
		{"unary minus", `-score = 1.5`, "4"},
		{"in with negative doubles", `score in [-1.5, 7.5]`, "1 4"},
		{"notEqualTo", `name.notEqualTo("bob", "ANNA")`, "1 4"},
		{"endsWith", `name.endsWith("NA")`, "3"},
		{"doesNotEndWith", `name.doesNotEndWith("NA")`, "1 2 4"},
		{"like one character", `name like "A__"`, "1"},
		{"dollar path", `$1.age = 20`, "2"},
		{"escaped quote", `name != "\"" and name = "bob"`, "2"},
		{"any other backslash stands for itself", `name = "\w"`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := members(t, test.rule); got != test.want {
				t.Errorf("%s matches %q, want %q", test.rule, got, test.want)
			}
		})
	}
}

// Section 6: every finding has its code, its position and the mend.
func TestRuleErrors(t *testing.T) {
	for _, test := range []struct{ name, rule, code, text string }{
		{"K1 operator of another language", `age = 34 && vip`, "RULE-1001", `at 1:10: expected and, or or the end, found "&&"; write and`},
		{"K1 single quotes", `name = 'Ann'`, "RULE-1001", "at 1:8: text stands in double quotes"},
		{"K1 chained comparison", `1 < age < 3`, "RULE-1001", "at 1:9: comparisons cannot be chained"},
		{"K1 missing operand", `age >=`, "RULE-1001", "at 1:7: expected a value, found the end"},
		{"K1 open quote", `name = "Ann`, "RULE-1001", "at 1:8: "},
		{"K2 unknown function", `name.startWith("a")`, "RULE-1001", `at 1:6: no function "startWith"; did you mean startsWith?`},
		{"K2 method as function", `isNull(name)`, "RULE-1001", "x.isNull()"},
		{"K3 unknown field", `nmae = "x"`, "RULE-1002", `at 1:1: no field "nmae"; did you mean "name"?`},
		{"K3 object", `home = "x"`, "RULE-1003", "home.city"},
		{"K4 type", `age = "x"`, "RULE-1003", `at 1:5: age is an integer, "x" is text`},
		{"K4 number of values", `name.startsWith("a", "b", "c")`, "RULE-1003", "startsWith takes 1 or 2 values, not 3"},
		{"K4 not a condition", `age + 1`, "RULE-1003", "the rule gives an integer; compare it, as in >= 1"},
		{"K5 empty rule", `  `, "RULE-1004", ""},
		{"K5 empty list", `age in []`, "RULE-1004", "a list needs at least one value"},
		{"K5 empty parentheses", `()`, "RULE-1004", ""},
		{"K6 depth", strings.Repeat("(", 65) + "vip" + strings.Repeat(")", 65), "RULE-1005", "nested deeper than 64"},
		{"K6 conditions", strings.Repeat("vip = true or ", 1000) + "vip = true", "RULE-1005", "1001 conditions; at most 1000"},
		{"C14 text", `name = "` + strings.Repeat("x", 70_000) + `"`, "RULE-1005", "64 KiB without its lists"},
		{"S6 no number", `score > "NaN"`, "RULE-1003", `"NaN" is text`},
		{"S6 no end", `age < "inf"`, "RULE-1003", `"inf" is text`},
		{"C14 cost", doubled(24) + " > 1", "EXPR-2001", "more than 1000000 steps"},
		{"C14 cost past all numbers", doubled(60) + " > 1", "EXPR-2001", "more than 1000000 steps"},
		{"K3 no events", `xEvent.count() > 1`, "RULE-1002", "at 1:1: there are no events"},
		{"K4 occurs on text", `name occurs today`, "RULE-1003", "name is text; occurs needs a date or a date-time"},
		{"K4 occurs no time", `joined occurs before age`, "RULE-1003", "age is an integer, not a time"},
		{"K6 negative distance", `joined occurs <= -5 days before now`, "RULE-1005", "a number from 0"},
		{"K6 distance too far", `joined occurs <= 99999999 years before now`, "RULE-1005", "before the year 1"},
		{"K6 before the year 1", `joined occurs <= 2500 years before now`, "RULE-1005", "at 1:18: that is before the year 1"},
		{"K6 days before the year 1", `joined occurs <= 800000 days before date(2025, 1, 1)`, "RULE-1005", "before the year 1"},
		{"K6 centuries", `joined occurs > 30 centuries from today`, "RULE-1005", "before the year 1"},
		{"K6 behind the year 9999", `joined occurs <= 9000 years after this week`, "RULE-1005", "behind the year 9999"},
		{"K1 unit", `joined occurs <= 5 fortnights before now`, "RULE-1001", "expected a unit such as days"},
		{"K7 look-ahead", `name.matches("a(?=b)")`, "EXPR-1020", "without look-around"},
		{"K4 group", `name.regexGroup("(a)", 2) = "a"`, "RULE-1003", "the pattern has 1 groups, not 2"},
		{"K8 unknown audience", `inSegment("A9")`, "RULE-1002", `no audience "A9"`},
		{"K8 name for id", `inSegment("Gold")`, "RULE-1002", `no audience "Gold"; did you mean its id A1?`},
		{"S9 types of if", `if(vip, age, name) = 1`, "RULE-1003", "an integer and text; they need one type"},
		{"K3 outside of let", `(let s = age in s > 1) and s = 2`, "RULE-1002", `no field "s"`},
		{"no such day", `born = date(2026, 2, 30)`, "RULE-1003", "there is no such day"},
		{"second line", "vip and\n  agee = 1", "RULE-1002", "at 2:3: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := pql.Parse(test.rule, scope())
			if lakeward.CodeOf(err) != test.code || lakeward.KindOf(err) != lakeward.Invalid {
				t.Fatalf("Parse(%.40s): %v, want code %s", test.rule, err, test.code)
			}
			if !strings.Contains(err.Error(), test.text) {
				t.Errorf("Parse(%.40s): %v, want the text %q", test.rule, err, test.text)
			}
		})
	}
}

// All errors that are not of syntax are reported at once (E1).
func TestAllFindingsAtOnce(t *testing.T) {
	_, err := pql.Parse(`agee = 1 and nmae = "x"`, scope())
	if err == nil || !strings.Contains(err.Error(), `"agee"`) || !strings.Contains(err.Error(), `"nmae"`) {
		t.Errorf("Parse: %v, want both unknown fields", err)
	}
}

// printsAlike checks that a rule, printed from what was understood of it, is understood as before: parse(print(r)) = r.
func printsAlike(t testing.TB, rule string) {
	t.Helper()
	printed, ok := pql.Reprint(rule)
	if !ok {
		return
	}
	if !pql.SameSyntax(rule, printed) {
		t.Errorf("%s is printed as %s, which means something else", rule, printed)
	}
	if again, ok := pql.Reprint(printed); ok && again != printed {
		t.Errorf("%s is printed as %s, and that as %s", rule, printed, again)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`age >= 34 and home.city = "Bern"`, `not (age in [20, -65])`, `name.equals("a", false)`, `date(2020,1,1) < born`, `a.b["c"]`, "\"\\u00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, rule string) {
		printsAlike(t, rule)
		n, err := pql.Parse(rule, scope())
		if err != nil {
			if lakeward.KindOf(err) != lakeward.Invalid {
				t.Errorf("Parse(%q): %v is not an error of the user", rule, err)
			}
			return
		}
		var paths []string
		for _, l := range union() {
			paths = append(paths, l.Path)
		}
		filter(n, paths).Match(people())
	})
}

// The page that lists what rules can use is what the parser can.
func TestRulesPage(t *testing.T) {
	const page = "../../docs/rules.md"
	want := pql.Page()
	if os.Getenv("LAKEWARD_TEST_WRITE") != "" {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(page); err != nil || string(got) != want {
		t.Errorf("%s is not up to date (%v); write it with: LAKEWARD_TEST_WRITE=1 go test ./internal/pql", page, err)
	}
	for name, ok := range pql.Support() { // what is said to be missing is refused by its name
		if word, _, _ := strings.Cut(name, " "); !ok && word[0] >= 'a' && word[0] <= 'z' && word != "exists" {
			for _, rule := range []string{"name." + word + "(1) = 1", word + "(1) = 1"} {
				if _, err := pql.Parse(rule, scope()); err == nil {
					t.Errorf("%s is taken", rule)
				}
			}
		}
	}
}

// S6, section 2: a named text is read anew in each place, and $1 is the profile whatever else has its name.
func TestNamedValues(t *testing.T) {
	for rule, want := range map[string]string{
		`let s = "34" in (s = name or age = s)`: "1 3", `let s = "34" in (age = s or s = name)`: "1 3",
		`joined occurs <= 7000 years after "1900-01-01" or age = 65`: "1 2 3 4", `joined occurs <= 1800 years before now`: "1 2 3",
		`let age = 34 in $1.age = 34`: "1 3", `let age = 5 in $1.age = 5`: "",
		`"` + strings.Repeat("x", 60_000) + `" != name and name = "Ann"`: "1",
	} {
		if got := members(t, rule); got != want {
			t.Errorf("%.60s: %q, want %q", rule, got, want)
		}
	}
}

// doubled is a rule whose value takes 2^n operations.
func doubled(n int) string {
	var b strings.Builder
	b.WriteString("let a0 = age in ")
	for i := range n {
		fmt.Fprintf(&b, "let a%d = a%d + a%d in ", i+1, i, i)
	}
	return fmt.Sprintf("%sa%d", b.String(), n)
}

// C14: what a rule costs is known when it is saved.
func TestCostOfNamedValues(t *testing.T) {
	n, err := pql.Parse(doubled(10)+" > 1", scope())
	if err != nil {
		t.Fatal(err)
	}
	if got := n.Cost(); got != 2048+1 { // 1,023 sums and 1,024 fields, the literal, the comparison
		t.Errorf("the cost is %d", got)
	}
}
