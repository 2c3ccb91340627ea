package dataprep_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/dataprep"
	"github.com/lakeward/lakeward/internal/encode"
	"github.com/lakeward/lakeward/internal/expr"
)

// CAL-09, X01 to X20: what is wrong is found at save, with its place and what to do.
func TestErrors(t *testing.T) {
	for _, test := range []struct{ name, src, want string }{
		{"empty", " ", "EXPR-1001: at 1:1: the expression is empty\n   \n  ^"},
		{"only a comment", "# nothing", "EXPR-1001: at 1:1: a calculated field has no comments\n  # nothing\n  ^"},
		{"unbalanced", "lower(nick", "EXPR-1001: at 1:11: expected , or ), found the end\n  lower(nick\n            ^"},
		{"second line", "concat(\n  nick,\n  unheard)", "EXPR-1004: at 3:3: there is no profile field \"unheard\"\n    unheard)\n    ^"},
		{"unknown function", "lowercase(nick)", "EXPR-1003: at 1:1: no function \"lowercase\"\n  lowercase(nick)\n  ^"},
		{"close name", "uper(nick)", "EXPR-1003: at 1:1: no function \"uper\"; did you mean upper?\n  uper(nick)\n  ^"},
		{"wrong case", "filterarray(tags, t -> true)", "EXPR-1003: at 1:1: no function \"filterarray\"; did you mean filterArray?\n  filterarray(tags, t -> true)\n  ^"},
		{"two at once", "concat(nik, upper(tags))", "EXPR-1004: at 1:8: no profile field \"nik\"; did you mean nick?\n  concat(nik, upper(tags))\n         ^\nEXPR-1002: at 1:19: upper needs text here, not an array\n  concat(nik, upper(tags))\n                    ^"},
		{"only at ingest", "upsert_array_append(tags, nick)", "EXPR-1003: at 1:1: upsert_array_append is available only at ingest\n  upsert_array_append(tags, nick)\n  ^"},
		{"X14 random", "random()", "EXPR-1003: at 1:1: random is available nowhere: an export can be repeated\n  random()\n  ^"},
		{"X20 itself", "upper(column)", "EXPR-1004: at 1:7: \"column\" is the column itself, which cannot be its own source\n  upper(column)\n        ^"},
		{"MAP-12 events", "upper(commerce.order)", "EXPR-1004: at 1:7: \"commerce.order\" is a field of events; only fields of records are exported\n  upper(commerce.order)\n        ^"},
		{"identity", "lower(identityMap.Email)", "EXPR-1004: at 1:7: identities are mapped as a column of their own, such as identityMap.Email\n  lower(identityMap.Email)\n        ^"},
		{"X13 script", `constructor.constructor("return process")()`, "EXPR-1001: at 1:42: expected an operator or the end, found \"(\"\n  constructor.constructor(\"return process\")()\n                                           ^"},
		{"X13 template", "{{nick}}", "EXPR-1001: at 1:1: an object is made with to_object, a map with to_map\n  {{nick}}\n  ^"},
		{"X13 expansion", "${T(java.lang.Runtime)}", "EXPR-1004: at 1:1: there is no profile field \"T(java.lang.Runtime)\"\n  ${T(java.lang.Runtime)}\n  ^"},
		{"assignment", "nick = 'a'", "EXPR-1001: at 1:6: equality is written ==\n  nick = 'a'\n       ^"},
		{"reserved word", "lower(new)", "EXPR-1001: at 1:7: new is a word of the language; a field of that name is written ${new}\n  lower(new)\n        ^"},
		{"text and time", "joined > '2024'", "EXPR-1002: at 1:8: > compares a date-time with text; make a date-time of the text with date(\"...\")\n  joined > '2024'\n         ^"},
		{"no value", "1 / 0", "EXPR-1002: at 1:3: the value of / has no value for these constants\n  1 / 0\n    ^"},
		{"lambda elsewhere", "concat(x -> x)", "EXPR-1001: at 1:8: x -> ... stands in filterArray and transformArray only\n  concat(x -> x)\n         ^"},
		{"X10 look-behind", `matches_regex(nick, "(?<=a)b")`, "EXPR-1020: at 1:21: the pattern is not supported: \"error parsing regexp: invalid named capture: `(?<=a)b`\"; patterns are RE2, without look-around and back references\n  matches_regex(nick, \"(?<=a)b\")\n                      ^"},
		{"X11 pattern of data", "explode(nick, raw)", "EXPR-1002: at 1:15: explode needs a text in quotes here, not text\n  explode(nick, raw)\n                ^"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := dataprep.Parse(test.src, scope())
			if lakeward.KindOf(err) != lakeward.Invalid || lakeward.Message(err) != test.want {
				t.Errorf("%s:\n%s\nwant\n%s", test.src, lakeward.Message(err), test.want)
			}
		})
	}
}

// C14, X02: the limits are exact.
func TestLimits(t *testing.T) {
	nodes := func(n int) string { return "[" + strings.Repeat("0,", n-2) + "0]" } // n-1 items and the list
	calls := func(n int) string {
		return strings.Repeat("trim(", 1) + "concat(" + strings.Repeat("trim(nick),", n-3) + "trim(nick)))"
	}
	for _, test := range []struct {
		name, fits, over string
	}{
		{"bytes", `"` + strings.Repeat("x", 4094) + `"`, `"` + strings.Repeat("x", 4095) + `"`},
		{"nodes", nodes(500), nodes(501)},
		{"depth", strings.Repeat("(", 32) + "age" + strings.Repeat(")", 32), strings.Repeat("(", 33) + "age" + strings.Repeat(")", 33)},
		{"depth of minus", strings.Repeat("-", 32) + "age", strings.Repeat("-", 33) + "age"},
		{"calls", calls(64), calls(65)},
		{"pattern", `matches_regex(nick, "` + strings.Repeat("a", 512) + `")`, `matches_regex(nick, "` + strings.Repeat("a", 513) + `")`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := dataprep.Parse(test.fits, scope()); err != nil {
				t.Errorf("what fits is refused: %v", err)
			}
			if _, err := dataprep.Parse(test.over, scope()); lakeward.CodeOf(err) != "EXPR-1010" {
				t.Errorf("what is over the limit: %v, want EXPR-1010", err)
			}
		})
	}
	if _, err := dataprep.Parse(`matches_regex(nick, "a{1001}")`, scope()); lakeward.CodeOf(err) != "EXPR-1020" {
		t.Errorf("a repeat over 1,000: %v, want EXPR-1020", err)
	}
}

// SEC-7, C14: what would take too long or too much is null for its row, is counted, and leaves the machine alone.
func TestBombs(t *testing.T) {
	big := func(n int) string { return "[" + strings.TrimSuffix(strings.Repeat("1,", n), ",") + "]" }
	text := strings.Repeat("a", 1<<16)
	c := chunkOf(t, `[{"numbers":`+big(1001)+`,"raw":"`+text+`","nick":"x"},{"numbers":[1,2],"raw":"b","nick":"y"}]`)
	nested := func(n int) string {
		src := "n"
		for range n {
			src = "max(transformArray(numbers, n -> " + src + "))"
		}
		return src
	}
	for _, test := range []struct{ name, src, first, second string }{
		{"work in nested lambdas", nested(6), "fails", "2"},
		{"items in nested lambdas", "size_of(flattenArray(transformArray(numbers, a -> transformArray(numbers, b -> a * b))))", "fails", "4"},
		{"a text that doubles", "size_of(concat(" + strings.Repeat("raw, ", 31) + "raw))", "fails", "32"},
		{"texts that double", "size_of(replacestr(raw, 'a', raw))", "fails", "1"},
		{"a list that doubles", "size_of(join_arrays(" + strings.Repeat("split(raw, 'a'), ", 15) + "split(raw, 'a')))", "fails", "16"},
		{"X05 a long pad", "size_of(lpad(nick, 1000000000, 'b'))", "fails", "fails"},
		{"X08 a greedy pattern", "matches_regex(raw, '(a+)+$')", "true", "false"},
		{"long texts for items", "size_of(transformArray(numbers, n -> rpad(nick, 1000000, 'ab')))", "fails", "2"},
	} {
		t.Run(test.name, func(t *testing.T) {
			n, err := dataprep.Parse(test.src, scope())
			if err != nil {
				t.Fatal(err)
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := time.Now()
			v, failed := expr.NewMemo().Program(n, paths(), runOf()).Values(c)
			took := time.Since(began)
			runtime.ReadMemStats(&after)
			for i, want := range []string{test.first, test.second} {
				got := string(encode.AppendJSON(nil, v, i))
				if failed != nil && failed.Get(i) {
					got = "fails"
				}
				if got != want {
					t.Errorf("row %d is %.40s, want %s", i, got, want)
				}
			}
			if took > 5*time.Second || after.TotalAlloc-before.TotalAlloc > 1<<30 {
				t.Errorf("it took %v and %d MiB", took, (after.TotalAlloc-before.TotalAlloc)>>20)
			}
			t.Logf("%v, %d MiB", took, (after.TotalAlloc-before.TotalAlloc)>>20)
		})
	}
}

// C14: a field whose parts stand for others many times is checked and worked out once for each part.
func TestSharedPartsDoNotUnfold(t *testing.T) {
	src := "nick"
	for range 15 {
		src = "object_to_map(to_object('a', " + src + ", 'b', null, 'c', null, 'd', null, 'e', null, 'f', null))"
	}
	began := time.Now()
	n, err := dataprep.Parse("size_of("+src+")", scope())
	if code := lakeward.CodeOf(err); err != nil && code != "EXPR-2001" {
		t.Fatal(err)
	}
	if err == nil {
		c := chunkOf(t, profilesJSON)
		if v, _ := expr.NewMemo().Program(n, paths(), runOf()).Values(c); v.Ints[0] != 1 {
			t.Errorf("it is %d", v.Ints[0])
		}
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %v", took)
	}
}

// BenchmarkFields works common fields out for a full chunk.
func BenchmarkFields(b *testing.B) {
	var profiles []map[string]any
	for i := range 4096 {
		profiles = append(profiles, map[string]any{"nick": fmt.Sprintf("Person.%d@Example.ORG", i), "raw": []string{"a", "b"}[i%2], "age": number(fmt.Sprint(i % 90)), "tags": []any{"x", fmt.Sprint(i)}})
	}
	for _, src := range []string{"sha256(lower(trim(nick)))", "iif(age >= 18, 'adult', 'minor')", "array_to_string('|', tags)", "upper(raw)", "format(now(), 'yyyy-MM-dd')"} {
		b.Run(src, func(b *testing.B) {
			c := chunkFrom(profiles)
			n, err := dataprep.Parse(src, scope())
			if err != nil {
				b.Fatal(err)
			}
			memo := expr.NewMemo()
			p := memo.Program(n, paths(), runOf())
			b.ReportAllocs()
			for b.Loop() {
				memo.Begin(c)
				p.Values(c)
			}
			b.ReportMetric(float64(b.N)*float64(c.Len)/b.Elapsed().Seconds()/1e6, "Mrows/s")
		})
	}
}

// X14, decision 9 of the specification: what is bound to the run is the same for each attempt, and differs where it must.
func TestRunBound(t *testing.T) {
	c := chunkOf(t, profilesJSON)
	seen := map[string]string{}
	for _, test := range []struct {
		name, column, src, run string
		same                   string
	}{
		{"first attempt", "a", "uuid()", "r1", ""}, {"second attempt", "a", "uuid()", "r1", "first attempt"}, {"another column", "b", "uuid()", "r1", ""},
		{"another run", "a", "uuid()", "r2", ""}, {"a second call", "a", "replacestr(concat(uuid(), ' ', guid()), uuid(), '')", "r1", ""},
	} {
		s := scope()
		s.Column = test.column
		n, err := dataprep.Parse(test.src, s)
		if err != nil {
			t.Fatal(err)
		}
		v, _ := expr.NewMemo().Program(n, paths(), expr.Run{ID: test.run, At: runOf().At}).Values(c)
		id := string(v.Str(0))
		if string(v.Str(1)) == id {
			t.Errorf("%s: two profiles get %s", test.name, id)
		}
		if test.same != "" && seen[test.same] != id {
			t.Errorf("%s gives %s, %s gave %s", test.name, id, test.same, seen[test.same])
		}
		for other, had := range seen {
			if other != test.same && had == id {
				t.Errorf("%s gives %s as %s does", test.name, id, other)
			}
		}
		seen[test.name] = id
		if test.src == "uuid()" && !lakeward.IsID(id) {
			t.Errorf("%s is no UUID", id)
		}
	}
}

// MAP-10, M14: paths name fields, items and entries, and keep the exact type.
func TestPaths(t *testing.T) {
	c := chunkOf(t, profilesJSON)
	for _, test := range []struct {
		src, value string
		typ        lakeward.FieldType
		code       string
	}{
		{src: "orders[0].sku", value: `"a"`, typ: lakeward.TypeString},
		{src: "orders[0].price", value: "19.99", typ: lakeward.TypeDecimal},
		{src: "orders[0].lines[1].n", value: "5", typ: lakeward.TypeInteger},
		{src: "orders[7].sku", value: "null", typ: lakeward.TypeString},
		{src: `prefs["lang"]`, value: `"de"`, typ: lakeward.TypeString},
		{src: "prefs.news", value: `"yes"`, typ: lakeward.TypeString},
		{src: "person.name", value: `{"firstName":"Ann","lastName":"Äpfel"}`, typ: lakeward.TypeObject},
		{src: "person", value: `{"name":{"firstName":"Ann","lastName":"Äpfel"},"birthDate":"1991-11-26"}`, typ: lakeward.TypeObject},
		{src: "orders[0].lines", value: `[{"n":2},{"n":5}]`, typ: lakeward.TypeArray},
		{src: "a.b[99999999].c", code: "EXPR-1004"},
		{src: "orders[99999999].sku", code: "EXPR-1002"},
		{src: "person..name", code: "EXPR-1001"},
		{src: "$.orders[?(@.x)]", code: "EXPR-1001"},
		{src: "orders.sku", code: "EXPR-1002"},
		{src: "upper(nick)", code: "EXPR-1001"},
		{src: "orders[age].sku", code: "EXPR-1001"},
		{src: "orders[0].nope", code: "EXPR-1004"},
	} {
		p, err := dataprep.ParsePath(test.src, scope())
		if lakeward.CodeOf(err) != test.code {
			t.Errorf("%s: %v, want %q", test.src, err, test.code)
		}
		if err != nil {
			continue
		}
		v, _ := expr.NewPath(p.Node, paths()).Values(c)
		if got := string(encode.AppendJSON(nil, v, 0)); got != test.value || p.Field.Type != test.typ {
			t.Errorf("%s is %s of type %s, want %s of %s", test.src, got, p.Field.Type, test.value, test.typ)
		}
	}
}

// The language is total: any text is refused with a place, or has the same values for a chunk and for its rows.
func FuzzParse(f *testing.F) {
	c := chunkOf(f, profilesJSON)
	for _, s := range []string{"concat(nick, 'a')", "iif(age > 3, tags[0], prefs.lang)", "transformArray(orders, o -> o.price * 2)", "date(raw, 'yyyy')", "a -> b", "${x}.y[1]", `explode("a,b", '[')`, "((((", "-9e999", "to_object('a', to_map('b', 1))", "filterArray(grid, g -> size_of(g) == 1)", "decode(age, 1, 'x', 'y')", "arrays_to_objects('a', [1, null], 'b', tags)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		n, err := dataprep.Parse(src, scope())
		if err != nil {
			if !strings.HasPrefix(lakeward.CodeOf(err), "EXPR-") || !strings.Contains(lakeward.Message(err), "at ") {
				t.Errorf("%q: %v", src, err)
			}
			return
		}
		if n.Cost() > 20_000 {
			return
		}
		for i := range c.Len {
			value(t, c, src, i)
		}
		_, _ = dataprep.ParsePath(src, scope())
	})
}

// A chunk that is taken in pieces for one field leaves nothing wrong behind for those that share its parts.
func TestPiecesAndSharedParts(t *testing.T) {
	text := strings.Repeat("a", 1<<18)
	row := `{"raw":"` + text + `"}`
	c := chunkOf(t, "["+strings.Repeat(row+",", 31)+`{"raw":"b"}]`)
	memo := expr.NewMemo()
	memo.Begin(c)
	for _, src := range []string{"size_of(concat(raw, raw, raw))", "iif(is_empty(concat(raw, raw, raw)), 1 / (age - age), size_of(concat(raw, raw, raw)))", "size_of(concat(raw, raw, raw))"} {
		n, err := dataprep.Parse(src, scope())
		if err != nil {
			t.Fatal(err)
		}
		v, failed := memo.Program(n, paths(), runOf()).Values(c)
		if failed != nil && failed.Count() > 0 {
			t.Errorf("%s fails for %d rows", src, failed.Count())
		}
		for i, want := range map[int]string{0: "786432", 30: "786432", 31: "3"} {
			if got := string(encode.AppendJSON(nil, v, i)); strings.TrimSuffix(got, ".0") != want {
				t.Errorf("%s of row %d is %s, want %s", src, i, got, want)
			}
		}
	}
}
