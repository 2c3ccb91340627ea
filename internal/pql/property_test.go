package pql_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/expr"
	"github.com/lakeward/lakeward/internal/pql"
	"github.com/lakeward/lakeward/internal/vector"
)

// writer draws rules of the language over the fields of the acceptance cases. In an array of orders the current item
// has sku, price and lines; in one of events eventType, amount, timestamp.
type writer struct {
	t     *rapid.T
	left  int // of the operations that a rule may have
	depth int // of the arrays around
}

func (w *writer) of(forms ...string) string { return rapid.SampledFrom(forms).Draw(w.t, "form") }

// fill replaces each ? of a form by a condition, # by a number, $ (but not $1) by a text, @ by a time, % by orders, & by events.
func (w *writer) fill(form, item string) string {
	var b strings.Builder
	for i, c := range form {
		switch c {
		case '?':
			b.WriteString(w.condition(item))
		case '¤':
			b.WriteRune('%')
		case '#':
			b.WriteString(w.number(item))
		case '$':
			if strings.HasPrefix(form[i:], "$1") {
				b.WriteRune(c)
				continue
			}
			b.WriteString(w.text(item))
		case '@':
			b.WriteString(w.time(item))
		case '%':
			b.WriteString(w.orders(item))
		case '&':
			b.WriteString(w.events())
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

func (w *writer) small() bool {
	w.left--
	return w.left < 0
}

func (w *writer) condition(item string) string {
	if w.small() {
		return w.of("true", "false", "$1.vip")
	}
	return w.fill(w.of("(? and ?)", "(? or ?)", "not (?)", "(# = #)", "(# != #)", "(# < #)", "(# >= #)", "($ = $)", "($ < $)", "$.contains(\"b\", false)", "$.isNull()", "#.isNull()", "@.isNull()",
		"($ in [\"a\", \"buy\", \"Bern\"])", "(# notIn [1, 9.5, 34])", "(@ occurs <= 7 days before now)", "(@ occurs this week)", "(@ occurs after @)", "(@ occurs between @ and tomorrow)",
		"inSegment(\"A1\")", "(%)", "(&)", "(% = %)", "(% != $1.orders)", "%.sku.intersects($1.tags)", "$1.tags.includes($)", "($ in $1.tags)", "($1.tags notIn [\"a\", \"red\"])", "(%.sku = $)", "(# > %.price)",
		"(exists o from % where (o.price < #))", "(forall o from % where (o.sku != $))", "(select a from &, b from & where (b.amount > a.amount))", "(&.timestamp occurs <= 3 days before @)",
		"$1.tags.subsetOf([\"red\", \"blue\"])", "$1.prefs.keys().includes($)", "$1.prefs.values().supersetOf([\"de\"])", "($1.prefs = $1.prefs)", "%.includes($1.orders.head())", "(if(?, #, #) > #)", "(let v = # in (v > # and v < #))",
		"chain(xEvent, timestamp, [A: WHAT(eventType = \"buy\") WHEN(<= 9 days before now) COUNT(1)])", "($1.identityMap.ECID.id = $)", "$.matches(\"^[ab]\")"), item)
}

func (w *writer) number(item string) string {
	if w.small() {
		return w.of("1", "34", "9.5", "$1.age", "$1.score")
	}
	forms := []string{"1", "(-2)", "34", "9.5", "$1.age", "$1.score", "$1.exact", "(# + #)", "(# - #)", "(# * #)", "(# / #)", "(# ¤ #)", "(-#)", "%.count()", "&.count()", "%.sum(price)", "%.sum(price * 2)", "%.average(price)", "%.price.max()", "%.min(price - 1)",
		"%.lines.n.sum()", "&.sum(amount)", "&.amount.average()", "(sum o.price over o from % where ?)", "(max e.amount over e from &)", "(select o from %, l from o.lines).count()", "$1.tags.distinct().count()", "@.getDayOfMonth()",
		"%.map(price * 2).sum()", "%.head().price", "if(?, #, #)", "$1.tags.intersection([\"red\", \"a\"]).count()"}
	switch item {
	case "order":
		forms = append(forms, "price", "lines.count()", "lines.n.max()", "this.price", "lines[n > ^price].count()")
		if w.depth == 1 {
			forms = append(forms, "^age", "lines[n > ^^age].count()")
		}
	case "event":
		forms = append(forms, "amount", "productListItems.quantity.sum()")
	}
	return w.fill(w.of(forms...), item)
}

func (w *writer) text(item string) string {
	forms := []string{"\"a\"", "\"red\"", "$1.name", "$1.city", "$1.missing"}
	if !w.small() {
		forms = append(forms, "%.head().sku", "$1.tags.head()", "$1.prefs.get($)", "$1.prefs.lang", "$1.prefs[\"news\"]", "$1.name.regexGroup(\"(.)\")", "%.topN(price, 1).head().sku", "%.bottomN(lines.count(), 2).sku.head()", "&.head().eventType", "if(?, $, $)",
			"$1.segmentMembership.get(\"ups\").get(\"A1\").status", "$1.identityMap.get(\"Email\").head().id")
		switch item {
		case "order":
			forms = append(forms, "sku", "lines.sku.head()")
		case "event":
			forms = append(forms, "eventType", "channel")
		}
	}
	return w.fill(w.of(forms...), item)
}

func (w *writer) time(item string) string {
	forms := []string{"now", "today", "$1.joined", "$1.birthDate"}
	if !w.small() {
		forms = append(forms, "&.timestamp.max()", "&.head().timestamp", "if(?, @, @)")
		if item == "event" {
			forms = append(forms, "timestamp")
		}
	}
	return w.fill(w.of(forms...), item)
}

func (w *writer) orders(item string) string {
	if w.small() {
		return "$1.orders"
	}
	form := w.of("$1.orders", "$1.orders", "$1.orders[!]", "$1.orders.filter(!)", "$1.orders.topN(price, 2)", "$1.orders.distinct()", "$1.orders[!].bottomN(price, 1)", "(select o from $1.orders where o.price > 9)")
	return w.inside(form, "order")
}

func (w *writer) events() string {
	if w.small() {
		return "xEvent"
	}
	return w.inside(w.of("xEvent", "xEvent[!]", "xEvent[!][!]", "xEvent.topN(amount, 2)"), "event")
}

// inside replaces ! by a condition for an item.
func (w *writer) inside(form, item string) string {
	w.depth++
	defer func() { w.depth-- }()
	return strings.ReplaceAll(form, "!", w.condition(item))
}

// drawJSON draws a value of a field as JSON has it, from few values, so that rules hold for some.
func drawJSON(t *rapid.T, f lakeward.Field) any {
	if rapid.IntRange(0, 4).Draw(t, "null") == 0 {
		return nil
	}
	switch f.Type {
	case lakeward.TypeString:
		return rapid.SampledFrom([]string{"", "a", "b", "red", "blue", "buy", "Bern", "de", "Ünï"}).Draw(t, "text")
	case lakeward.TypeBoolean:
		return rapid.Bool().Draw(t, "bool")
	case lakeward.TypeDate:
		return rapid.SampledFrom([]string{"2025-11-26", "2025-11-20", "1960-12-31"}).Draw(t, "date")
	case lakeward.TypeDateTime:
		return rapid.SampledFrom([]string{"2025-11-26T00:00:00Z", "2025-11-19T12:00:00Z", "2025-11-27T09:00:00.001Z", "1969-01-01T00:00:00Z"}).Draw(t, "time")
	case lakeward.TypeArray:
		out := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			out = append(out, drawJSON(t, *f.Item))
		}
		return out
	case lakeward.TypeMap:
		out := map[string]any{}
		for _, key := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"lang", "news", "ups", "A1", "Email", "ECID"}), 0, 3, rapid.ID[string]).Draw(t, "keys") {
			out[key] = drawJSON(t, *f.Item)
		}
		return out
	case lakeward.TypeObject:
		out := map[string]any{}
		for _, below := range f.Fields {
			out[below.Name] = drawJSON(t, below)
		}
		return out
	case lakeward.TypeDouble:
		return rapid.SampledFrom([]float64{0, 1, -2, 9.5, 34, 1e300}).Draw(t, "double")
	}
	return float64(rapid.SampledFrom([]int64{0, 1, -2, 9, 34, 1 << 53}).Draw(t, "int"))
}

// A rule over a chunk decides every row as it does for the row alone, and as it does beside other rules with which it
// shares parts, whatever it is made of.
func TestChunksAgreeWithRows(t *testing.T) {
	xEvent := list("xEvent", object(eventFields()...))
	fields := append(caseFields(), xEvent)
	held, rules := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		c := &vector.Chunk{Len: 5, Columns: make([]vector.Vector, len(fields))}
		paths := make([]string, len(fields))
		for i, f := range fields {
			paths[i] = f.Name
			c.Columns[i].ResetTo(vector.ShapeOf(lakeward.Leaf{Type: f.Type, Item: f.Item}))
			for range c.Len {
				appendJSON(&c.Columns[i], f, drawJSON(t, f))
			}
		}
		memo := expr.NewMemo()
		memo.Begin(c)
		for range 5 {
			w := &writer{t: t, left: rapid.IntRange(3, 25).Draw(t, "size")}
			rule := w.condition("")
			n, err := pql.Parse(rule, caseScope())
			if err != nil {
				if lakeward.CodeOf(err) == "RULE-1005" || strings.Contains(err.Error(), "comparisons cannot be chained") {
					continue
				}
				t.Fatalf("%s: %v", rule, err)
			}
			f := memo.Filter(n, paths, caseTime())
			f.Members = caseAudiences
			b := f.Match(c)
			again := filter(n, paths).Match(c)
			rules++
			for i := range c.Len {
				row := f.MatchRow(c, i)
				if row {
					held++
				}
				if row != b.Get(i) || row != again.Get(i) {
					t.Fatalf("%s: row %d is %v beside other rules, %v in the chunk and %v alone", rule, i, b.Get(i), again.Get(i), row)
				}
			}
		}
	})
	if held < rules/2 || held > 5*rules-rules/2 {
		t.Errorf("%d rules hold for %d rows: they tell nothing apart", rules, held)
	}
	t.Logf("%d rules, %d rows held", rules, held)
}

// Rules of all forms mean after printing what they meant before, with and without the parentheses of the first writer.
func TestPrintedRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &writer{t: t, left: rapid.IntRange(3, 25).Draw(t, "size")}
		rule := w.condition("")
		printed, ok := pql.Reprint(rule)
		if !ok {
			return // too deep, or comparisons in a chain
		}
		if !pql.SameSyntax(rule, printed) {
			t.Fatalf("%s is printed as %s, which means something else", rule, printed)
		}
		n, err := pql.Parse(rule, caseScope())
		again, aerr := pql.Parse(printed, caseScope())
		if lakeward.CodeOf(err) != lakeward.CodeOf(aerr) {
			t.Fatalf("%s: %v; printed: %v", rule, err, aerr)
		}
		if err == nil && n.Cost() != again.Cost() {
			t.Fatalf("%s costs %d, printed %d", rule, n.Cost(), again.Cost())
		}
	})
}
