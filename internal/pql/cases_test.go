package pql_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/pql"
	"github.com/lakeward/lakeward/internal/vector"
)

const (
	caseProfiles = `[
{"name":"Ann","age":34,"score":7.5,"vip":true,"city":"Bern","birthDate":"1991-11-26","joined":"2025-11-24T00:00:00Z","tags":["red","blue"],"prefs":{"lang":"de","news":"yes"},"orders":[{"sku":"a","price":60.0,"lines":[{"sku":"x","n":2}]},{"sku":"b","price":50.0,"lines":[]}],
 "identityMap":{"Email":[{"id":"ann@x.org","primary":true}],"ECID":[{"id":"1"},{"id":"2"}]},"segmentMembership":{"ups":{"A1":{"status":"realized"},"A2":{"status":"realized"}}}},
{"name":"bob","age":20,"score":0.0,"vip":false,"city":"Zürich","birthDate":"2000-02-29","joined":"2025-11-23T23:59:59.999Z","tags":[],"prefs":{},"orders":[],
 "identityMap":{"ECID":[{"id":"3","primary":true}]},"segmentMembership":{"ups":{"A1":{"status":"exited"}}}},
{"name":"ANNA","age":34,"city":"bern","birthDate":"1985-11-01","joined":"2025-10-31T23:30:00Z","tags":["red"],"prefs":{"lang":"fr"},"orders":[{"sku":"a","price":9.5,"lines":[{"sku":"y","n":1},{"sku":"x","n":9}]},{"sku":"c"}],
 "segmentMembership":{"ups":{"A1":{"status":"realized"}}}},
{"name":"","age":65,"score":-1.5,"vip":true,"city":"Bernau%","birthDate":"1960-12-31","joined":"2025-11-27T08:00:00Z","tags":["green","red","red"],"orders":[{"sku":"b","price":200.0}],
 "segmentMembership":{"ups":{"A2":{"status":"realized"}}}},
{}]`
	caseEvents = `[
[{"_id":"e3","timestamp":"2025-11-19T11:59:59.999Z","eventType":"buy","amount":30,"channel":"app"},
 {"_id":"e2","timestamp":"2025-11-19T12:00:00Z","eventType":"buy","amount":120,"channel":"app","productListItems":[{"SKU":"PS","quantity":1},{"SKU":"QX","quantity":3}]},
 {"_id":"e1","timestamp":"2025-11-26T11:00:00Z","eventType":"view","channel":"web","productListItems":[{"SKU":"PS","quantity":1}]}],
[{"_id":"e6","timestamp":"2025-10-26T12:00:00Z","eventType":"buy","amount":400,"channel":"app"},
 {"_id":"e4","timestamp":"2025-11-25T23:59:59.999Z","eventType":"view","channel":"web","productListItems":[{"SKU":"QX","quantity":2}]},
 {"_id":"e5","timestamp":"2025-11-26T00:00:00Z","eventType":"buy","amount":15.5,"channel":"web","productListItems":[{"SKU":"PS","quantity":2}]}],
[{"_id":"e8","timestamp":"2025-11-23T12:00:00Z","eventType":"buy","channel":"web","productListItems":[{"SKU":"QX","quantity":1}]},
 {"_id":"e7","timestamp":"2025-11-24T00:00:00Z","eventType":"view"}],
[{"_id":"e9","timestamp":"2025-11-27T09:00:00Z","eventType":"buy","amount":80,"channel":"web","productListItems":[{"SKU":"PS","quantity":5}]}],
[]]`
)

func object(fields ...lakeward.Field) *lakeward.Field {
	return &lakeward.Field{Type: lakeward.TypeObject, Fields: fields}
}

func list(name string, item *lakeward.Field) lakeward.Field {
	return lakeward.Field{Name: name, Type: lakeward.TypeArray, Item: item}
}

func named(name string, t lakeward.FieldType) lakeward.Field {
	return lakeward.Field{Name: name, Type: t}
}

// caseFields are the fields of the profiles of the acceptance cases.
func caseFields() []lakeward.Field {
	text := &lakeward.Field{Type: lakeward.TypeString}
	identity := list("", object(named("id", lakeward.TypeString), named("primary", lakeward.TypeBoolean)))
	state := lakeward.Field{Type: lakeward.TypeMap, Item: object(named("status", lakeward.TypeString), named("lastQualificationTime", lakeward.TypeDateTime))}
	return []lakeward.Field{
		named("name", lakeward.TypeString), named("age", lakeward.TypeInteger), named("score", lakeward.TypeDouble), named("vip", lakeward.TypeBoolean),
		named("city", lakeward.TypeString), named("birthDate", lakeward.TypeDate), named("joined", lakeward.TypeDateTime), named("missing", lakeward.TypeString),
		named("exact", lakeward.TypeDecimal), list("tags", text), {Name: "prefs", Type: lakeward.TypeMap, Item: text},
		list("orders", object(named("sku", lakeward.TypeString), named("price", lakeward.TypeDouble),
			list("lines", object(named("sku", lakeward.TypeString), named("n", lakeward.TypeInteger))))),
		{Name: "identityMap", Type: lakeward.TypeMap, Item: &identity}, {Name: "segmentMembership", Type: lakeward.TypeMap, Item: &state},
	}
}

func eventFields() []lakeward.Field {
	return []lakeward.Field{named("_id", lakeward.TypeString), named("timestamp", lakeward.TypeDateTime), named("eventType", lakeward.TypeString), named("amount", lakeward.TypeDouble),
		named("channel", lakeward.TypeString), list("productListItems", object(named("SKU", lakeward.TypeString), named("quantity", lakeward.TypeInteger)))}
}

func leavesOf(fields []lakeward.Field) []lakeward.Leaf {
	return lakeward.Schema{Fields: fields}.Leaves()
}

func caseScope() pql.Scope {
	s := scope()
	s.Union, s.Events = leavesOf(caseFields()), leavesOf(eventFields())
	return s
}

// appendJSON adds a value as JSON has it.
func appendJSON(v *vector.Vector, f lakeward.Field, x any) {
	if x == nil {
		v.AppendNull()
		return
	}
	switch f.Type {
	case lakeward.TypeString:
		v.AppendString([]byte(x.(string)))
	case lakeward.TypeBoolean:
		v.AppendBool(x.(bool))
	case lakeward.TypeDouble:
		v.AppendFloat(x.(float64))
	case lakeward.TypeDate:
		d, _ := time.Parse(time.DateOnly, x.(string))
		v.AppendInt(d.Unix() / 86400)
	case lakeward.TypeDateTime:
		d, _ := time.Parse(time.RFC3339Nano, x.(string))
		v.AppendInt(d.UnixMilli())
	case lakeward.TypeArray:
		for _, item := range x.([]any) {
			appendJSON(&v.Fields[0], *f.Item, item)
		}
		v.AppendItems()
	case lakeward.TypeMap:
		m := x.(map[string]any)
		keys := make([]string, 0, len(m))
		for k := range m {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		slices.Reverse(keys) // the order of the entries does not matter
		for _, k := range keys {
			v.Fields[0].AppendString([]byte(k))
			appendJSON(&v.Fields[1], *f.Item, m[k])
		}
		v.AppendItems()
	case lakeward.TypeObject:
		for i, below := range f.Fields {
			appendJSON(&v.Fields[i], below, x.(map[string]any)[below.Name])
		}
		v.AppendItems()
	default:
		v.AppendInt(int64(x.(float64)))
	}
}

// caseChunk is the five profiles with their events, and the paths of the columns.
func caseChunk(t testing.TB) (*vector.Chunk, []string) {
	t.Helper()
	var profiles, events []any
	if err := json.Unmarshal([]byte(caseProfiles), &profiles); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(caseEvents), &events); err != nil {
		t.Fatal(err)
	}
	xEvent := list("xEvent", object(eventFields()...))
	fields := append(caseFields(), xEvent)
	c := &vector.Chunk{Len: len(profiles), Columns: make([]vector.Vector, len(fields))}
	paths := make([]string, len(fields))
	for i, f := range fields {
		paths[i] = f.Name
		c.Columns[i].ResetTo(vector.ShapeOf(lakeward.Leaf{Type: f.Type, Item: f.Item}))
		for k, p := range profiles {
			x := p.(map[string]any)[f.Name]
			if f.Name == "xEvent" {
				x = events[k]
			}
			appendJSON(&c.Columns[i], f, x)
		}
	}
	return c, paths
}

// caseMembers are the numbers of the profiles for which a rule holds.
func caseMembers(t testing.TB, rule string) string {
	t.Helper()
	n, err := pql.Parse(rule, caseScope())
	if err != nil {
		t.Fatalf("Parse(%s): %v", rule, err)
	}
	printsAlike(t, rule)
	c, paths := caseChunk(t)
	f := filter(n, paths)
	b := f.Match(c)
	var out []string
	for i := range c.Len {
		if row := f.MatchRow(c, i); row != b.Get(i) {
			t.Errorf("%s: row %d is %v in the chunk and %v alone", rule, i+1, b.Get(i), row)
		}
		if b.Get(i) {
			out = append(out, fmt.Sprint(i+1))
		}
	}
	return strings.Join(out, " ")
}

// acceptance are the cases PQL-01 to PQL-40 of the language.
func acceptance() [][2]string {
	return [][2]string{
		{`age >= 34 and city = "Bern"`, "1"},
		{`age != 34`, "2 4"},
		{`not (age = 34)`, "2 4 5"},
		{`not vip`, "2 3 5"},
		{`age / 2 = 17 and age % 5 = 4`, "1 3"},
		{`score / (age - 34) < 0`, "4"},
		{`if(vip, age, 100) >= 65`, "2 3 4 5"},
		{`name < "a"`, "1 3 4"},
		{`name.isNotNull() and name = ""`, "4"},
		{`city.startsWith("bern", false)`, "1 3 4"},
		{`city.doesNotContain("Bern")`, "2 3"},
		{`not city.contains("Bern")`, "2 3 5"},
		{`city like "Bern%" and not (city like "Bern")`, "4"},
		{`name.equals("ann", "BOB", false)`, "1 2"},
		{`identityMap.get("Email").head().id.regexGroup("@(\w+)", 1) = "x"`, "1"},
		{`age notIn [20, 65]`, "1 3"},
		{`not (age in [20, 65])`, "1 3 5"},
		{`tags.subsetOf(["red", "blue"])`, "1 2 3"},
		{`tags.isNull() or tags.count() = 0`, "2 5"},
		{`orders[price > 50].count() = 1`, "1 4"},
		{`orders.exists(lines.exists(sku = "x" and n > 5))`, "3"},
		{`exists O from orders where O.price < 100, L from O.lines where L.sku = "x"`, "1 3"},
		{`forall O from orders where O.price >= 50`, "1 2 4 5"},
		{`orders.sum(price) > 100 and orders.average(price) < 100`, "1"},
		{`prefs.get("lang") in ["de", "fr"] and prefs.keys().includes("news")`, "1"},
		{`prefs["lang"].isNull()`, "2 4 5"},
		{`select e from xEvent where e.eventType = "buy" and e.amount > 100`, "1 2"},
		{`xEvent[eventType = "buy" and timestamp occurs <= 7 days before now].count() >= 1`, "1 2 3"},
		{`xEvent[eventType = "buy"].sum(amount) >= 150`, "1 2"},
		{`(select e from xEvent where e.eventType = "buy").count() = 0`, "5"},
		{`xEvent[productListItems[SKU = "PS" and ^eventType = "buy" and ^^.vip = true]]`, "1 4"},
		{`xEvent[timestamp occurs this week].count() = 1 and xEvent[timestamp occurs last week]`, "1 3"},
		{`xEvent[timestamp occurs yesterday] and xEvent[timestamp occurs today]`, "2"},
		{`joined occurs between date(2025, 11, 23) and date(2025, 11, 24)`, "1 2"},
		{`birthDate.getMonth() = currentMonth() and birthDate.getDayOfMonth() = currentDayOfMonth()`, "1"},
		{`birthDate occurs < 35 years before today`, "1 2"},
		{`inSegment("A1") and not inSegment("A2")`, "3"},
		{`segmentMembership.get("ups").get("A1").status = "exited"`, "2"},
		{`let s = xEvent.sum(amount) in (s > 100 and s < 500)`, "1 2"},
		{`(p) => p.age > 30 and p.prefs.lang = "de"`, "1"},
	}
}

// PQL-01 to PQL-40.
func TestAcceptanceCases(t *testing.T) {
	for i, c := range acceptance() {
		t.Run(fmt.Sprintf("PQL-%02d", i+1), func(t *testing.T) {
			if got := caseMembers(t, c[0]); got != c[1] {
				t.Errorf("%s matches %q, want %q", c[0], got, c[1])
			}
		})
	}
}

// Section 4: every function over arrays and maps, with values, nulls and empty ones. The vectors are over P1, whose
// members are then 1.
func TestArrayFunctions(t *testing.T) {
	for _, test := range []struct{ rule, want string }{
		// vectors of the language, over P1
		{`[1, 2].intersects([2, 9])`, "1 2 3 4 5"},
		{`[3, 1, 3, 2].intersection([2, 3]) = [3, 2]`, "1 2 3 4 5"},
		{`[].subsetOf([1])`, "1 2 3 4 5"},
		{`[1, 2].supersetOf([2])`, "1 2 3 4 5"},
		{`tags.includes("blue")`, "1"},
		{`["b", "a", "b"].distinct() = ["b", "a"] and ["b", "a", "b"].distinct().count() = 2`, "1 2 3 4 5"},
		{`orders.filter(price < 55).sku = ["b"]`, "1"},
		{`tags.exists(this = "red")`, "1 3 4"},
		{`orders.map(price * 2) = [120.0, 100.0]`, "1"},
		{`orders.topN(price, 1).sku = ["a"] and orders.bottomN(price, 1).sku = ["b"]`, "1"},
		{`["x", "y"].head() = "x"`, "1 2 3 4 5"},
		{`[].head().isNull()`, "1 2 3 4 5"},
		{`missing.isNull() and tags.count() = 0`, "2 5"},
		{`[4, 6].sum() = 10 and [4, 7].average() = 5.5 and [4, 7].min() = 4`, "1 2 3 4 5"},
		{`[].sum() = 0 and [].max().isNull()`, "1 2 3 4 5"},
		{`prefs.get("lang") = "de"`, "1"},
		{`prefs.keys() = ["news", "lang"] and prefs.keys().head() = "lang"`, "1"},
		{`prefs.values().head() = "de" and prefs.values().count() = 2`, "1"},
		{`(sum o.price over o from orders where o.price > 55) = 60.0`, "1"},
		{`chain(xEvent, timestamp, [C: WHAT(eventType = "buy") COUNT(2)])`, "1 2"},
		// S5: null arrays
		{`orders.count() = 0`, "2 5"},
		{`orders.sum(price) = 0`, "2 5"},
		{`orders.average(price).isNull()`, "2 5"},
		{`orders.max(price) > 100`, "4"},
		{`orders.min(price) < 10`, "3"},
		{`orders.isNull()`, "5"},
		{`tags.subsetOf([]) or tags.supersetOf([])`, "1 2 3 4"},
		{`tags.intersects(["blue", "green"])`, "1 4"},
		{`tags.intersection(["red"]).count() = 1`, "1 3 4"},
		{`tags.distinct().count() = 2`, "1 4"},
		{`tags.head() = "red"`, "1 3"},
		{`tags.filter(this != "red").count() > 0`, "1 4"},
		{`tags.map(this).count() = 3`, "4"},
		{`prefs.keys().count() = 0`, "2 4 5"},
		{`prefs.get("none").isNull()`, "1 2 3 4 5"},
		{`prefs.get(missing) = "de"`, ""},
		{`prefs.lang != "de"`, "3"},
		{`orders.bottomN(price, 1).sku = "a"`, "3"},
		{`orders.topN(price, 0).count() = 0`, "1 2 3 4 5"},
		{`orders.topN(price, 5).count() = 2`, "1"},
		{`orders.map(sku).count() = 2`, "1 3"},
		// S8: paths through arrays
		{`orders.sku = "a"`, "1 3"},
		{`orders.sku != "a"`, "1 3 4"},
		{`"a" = orders.sku`, "1 3"},
		{`orders.price > 100`, "4"},
		{`orders.lines.sku = "x"`, "1 3"},
		{`orders.lines.count() = 2`, "3"},
		{`orders.lines.n.sum() = 10`, "3"},
		{`orders.sku in ["b", "c"]`, "1 3 4"},
		{`orders.sku notIn ["a", "c"]`, "4"},
		{`"red" in tags`, "1 3 4"},
		{`"red" notIn tags`, "2"},
		{`missing in tags`, ""},
		{`missing notIn tags`, ""},
		{`tags in ["blue"]`, "1"},
		{`xEvent.timestamp occurs today`, "1 2"},
		{`xEvent.productListItems.quantity = 5`, "4"},
		{`tags = ["blue", "red"]`, "1"},
		{`tags != ["blue", "red"]`, "2 3 4"},
		{`tags = ["red", "green", "red"]`, "4"},
		{`tags = ["red", "green"]`, ""},
		{`age in [34, 65] and age in [34.0]`, "1 3"},
		{`orders.lines[n > 5]`, "3"},
		{`orders.head() = orders.topN(price, 1).head()`, "1 3 4"},
		{`orders.includes(orders.head())`, "1 3 4"},
		{`orders.price.max() = 60`, "1"},
		// names: this, ^, variables, lets
		{`orders[sku = "a"][price > 50]`, "1"},
		{`orders[^age = 34].count() = 2`, "1 3"},
		{`orders[$1.age = 34].count() = 2`, "1 3"},
		{`orders[lines[n = ^price / 30]]`, "1"},
		{`orders[lines.exists(^sku = "a" and ^^age = 34)]`, "1 3"},
		{`let limit = 50 in orders[price > limit]`, "1 4"},
		{`let limit = age in orders[price > limit]`, "1 4"},
		{`let big = orders[price > 50] in big.count() = 1 and big.sku = "a"`, "1"},
		{`orders[let p = price in p > 50 and p < 100]`, "1"},
		{`select o from orders where age = 34`, "1 3"},
		{`select sku from orders where sku.price > 100`, "4"},
		{`exists o from orders : o.price = 50`, "1"},
		{`(select o from orders, l from o.lines).count() = 2`, "3"},
		{`(select o from orders, l from o.lines where l.n > 1).count() = 1`, "1 3"},
		{`select o from orders, t from tags where t = "green" and o.price > 1`, "4"},
		{`forall o from orders, l from o.lines where l.sku = "x"`, "1 2 4 5"},
		{`forall o from orders where o.price > 1, l from o.lines where l.n < 9`, "1 2 4 5"},
		{`(sum l.n over o from orders, l from o.lines) = 10`, "3"},
		{`(average o.price over o from orders) = 55`, "1"},
		{`(max o.price over o from orders where o.sku = "b") = 200`, "4"},
		// events
		{`xEvent.count() = 3`, "1 2"},
		{`xEvent.head()._id = "e3"`, "1"},
		{`xEvent[channel.isNull()].count() = 1`, "3"},
		{`xEvent.amount > 100`, "1 2"},
		{`xEvent.channel.distinct().count() > 1`, "1 2"},
		{`select a from xEvent where a.eventType = "view", b from xEvent where b.eventType = "buy" and b.timestamp occurs <= 1 days before a.timestamp`, "3"},
		{`select a from xEvent where a.eventType = "view", b from xEvent where b.eventType = "buy" and b.timestamp occurs <= 3 days after a.timestamp`, "2"},
		{`CHAIN(xEvent, timestamp, [C0: WHAT(productListItems.exists(SKU.equals("ps", false)))])`, "1 2 4"},
		{`CHAIN(xEvent, timestamp, [C0: WHAT(eventType.equals("buy", false)) WHEN(today)])`, "2"},
		{`chain(xEvent, timestamp, [A: WHAT(eventType = "buy") WHEN(<= 7 days before now) COUNT(1)])`, "1 2 3"},
		{`chain(xEvent, timestamp, [A: WHERE(channel = "app") COUNT(< 2)])`, "2 3 4 5"},
		{`xEvent.timestamp.max() > "2025-11-27T00:00:00Z"`, "4"},
		{`xEvent[inSegment("A2")].count() > 0`, "1 4"},
		{`identityMap.ECID.id = "2"`, "1"},
		{`identityMap["ECID"].count() = 2`, "1"},
		{`identityMap.keys().includes("Email")`, "1"},
		{`if(tags.includes("red"), orders.count(), 0) = 2`, "1 3"},
		{`not tags`, "2 5"},
		{`xEvent and not orders`, "2"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			if got := caseMembers(t, test.rule); got != test.want {
				t.Errorf("matches %q, want %q", got, test.want)
			}
		})
	}
}

// Section 6 for arrays, maps and events.
func TestArrayErrors(t *testing.T) {
	for _, test := range []struct{ name, rule, code, text string }{
		{"K2 method as function", `count(orders) > 1`, "RULE-1001", "write it behind its value, as in x.count()"},
		{"K2 infix as method", `age.in([1])`, "RULE-1001", `no function "in"`},
		{"K3 field of events", `eventType = "buy"`, "RULE-1002", `at 1:1: "eventType" is a field of events; write xEvent[eventType = ...]`},
		{"K3 unknown field of an item", `orders[skuu = "a"]`, "RULE-1002", `at 1:8: no field "skuu"; did you mean "sku"?`},
		{"K3 no search outwards", `orders[age > 1]`, "RULE-1002", `no field "age"`},
		{"K3 too far out", `orders[^^age = 1]`, "RULE-1002", "at 1:8: ^^ is more than the arrays around it"},
		{"K3 nothing around", `^age = 1`, "RULE-1002", "^ is more than the arrays around it"},
		{"K3 this outside", `this = 1`, "RULE-1002", "this is the item of an array"},
		{"K3 a variable to its left", `exists O from orders where L.sku = "x", L from O.lines`, "RULE-1002", `no field "L.sku"`},
		{"K3 item without fields", `tags[sku = "x"]`, "RULE-1002", "an item of the array is text"},
		{"K4 a number is no array", `age.count() > 1`, "RULE-1003", "count needs an array; age is an integer"},
		{"K4 an array is no map", `tags.get("x") = "y"`, "RULE-1003", "get needs a map; tags is an array"},
		{"K4 the key", `prefs.get(1) = "y"`, "RULE-1003", "the key is an integer, not text"},
		{"K4 sum of texts", `tags.sum() > 1`, "RULE-1003", "sum needs numbers, not text"},
		{"K4 types of two arrays", `tags.intersects([1])`, "RULE-1003", "1 stands among values that are text"},
		{"K4 mixed list", `tags.subsetOf(["a", 1])`, "RULE-1003", "1 stands among values that are text"},
		{"K4 includes", `tags.includes(1)`, "RULE-1003", "the items are text, 1 is an integer"},
		{"K4 number of values", `tags.count(1) > 0`, "RULE-1003", "count takes no values, not 1"},
		{"K4 topN", `orders.topN(price, age)`, "RULE-1003", "topN takes a whole number of items"},
		{"K4 order of arrays", `tags < ["a"]`, "RULE-1003", "arrays can only be equal or not"},
		{"K4 item of another type", `orders.sku = 1`, "RULE-1003", "is text, 1 is an integer"},
		{"K4 an array of objects", `orders = "a"`, "RULE-1003", "the items of orders are an object"},
		{"K4 count of a condition", `(joined occurs <= 6 months before now).count() > 3`, "RULE-1003", "count needs an array"},
		{"K4 rule gives a map", `prefs`, "RULE-1003", "the rule gives a map"},
		{"K4 rule gives a number", `xEvent[eventType = "download"].count()`, "RULE-1003", "the rule gives an integer; compare it"},
		{"K5 empty list", `tags in []`, "RULE-1004", "a list needs at least one value"},
		{"K1 chain", `chain(xEvent, timestamp)`, "RULE-1001", "expected ,"},
		{"K9 chain", `chain(xEvent, timestamp, [A: WHAT(eventType = "a"), B: WHAT(eventType = "b")])`, "RULE-1001", "CHAIN with several steps is not supported yet"},
		{"K9 objects", `orders.map({"a": sku}).count() = 1`, "RULE-1001", "{ is not supported yet"},
		{"K1 quantifier in an operand", `1 + select e from xEvent`, "RULE-1001", "put select into parentheses here"},
		{"K1 without from", `select e where e.x = 1`, "RULE-1001", "expected from"},
		{"K1 quotes of another language", `identityMap['ECID'].namespace = "x"`, "RULE-1001", "text stands in double quotes"},
		{"a field named as a sum", `sum = 1`, "RULE-1002", `no field "sum"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := pql.Parse(test.rule, caseScope())
			if lakeward.CodeOf(err) != test.code || !strings.Contains(err.Error(), test.text) {
				t.Errorf("Parse(%s): %v, want %s with %q", test.rule, err, test.code, test.text)
			}
		})
	}
}

// Section 8: expressions of public sources are read.
func TestExpressionsOfPublicSources(t *testing.T) {
	s := caseScope()
	s.Union = append(s.Union, leavesOf([]lakeward.Field{
		{Name: "person", Type: lakeward.TypeObject, Fields: []lakeward.Field{named("gender", lakeward.TypeString), list("orders", object(named("storeId", lakeward.TypeString)))}},
		{Name: "homeAddress", Type: lakeward.TypeObject, Fields: []lakeward.Field{named("countryCode", lakeward.TypeString)}},
		named("plan", lakeward.TypeString), named("region", lakeward.TypeString)})...)
	s.Events = leavesOf(append(eventFields(), named("contentType", lakeward.TypeString),
		lakeward.Field{Name: "commerce", Type: lakeward.TypeObject, Fields: []lakeward.Field{{Name: "order", Type: lakeward.TypeObject, Fields: []lakeward.Field{named("currencyCode", lakeward.TypeString), named("priceTotal", lakeward.TypeDouble)}}}},
		lakeward.Field{Name: "metrics", Type: lakeward.TypeObject, Fields: []lakeward.Field{{Name: "commerce", Type: lakeward.TypeObject, Fields: []lakeward.Field{{Name: "abandons", Type: lakeward.TypeObject, Fields: []lakeward.Field{named("value", lakeward.TypeDouble)}}}}}},
		lakeward.Field{Name: "_experience", Type: lakeward.TypeObject, Fields: []lakeward.Field{{Name: "analytics", Type: lakeward.TypeObject, Fields: []lakeward.Field{named("isHomePage", lakeward.TypeBoolean)}}}}))
	for _, rule := range []string{
		`person.orders.storeId.distinct().count() > 1`,
		`xEvent[productListItems[SKU="PS" or ^^.person.gender="female"]]`,
		`let S = (sum X.commerce.order.priceTotal over X from xEvent where X.commerce.order.currencyCode = "USD") in (S > 100 and S < 1000)`,
		`select var1 from xEvent where var1._experience.analytics.isHomePage = false`,
		`CHAIN(xEvent, timestamp, [C0: WHAT(eventType.equals("commerce.checkouts", false)) WHEN(today)])`,
		`chain(xEvent, timestamp, [A: WHAT(eventType = "homePageView") WHEN(< 24 hours before now) COUNT(5) ] )`,
		`homeAddress.countryCode = "US" and inSegment("A1")`,
		`plan.equals("trial") AND region.equals("canada")`,
		`xEvent[(timestamp occurs < 7 days before now) and eventType="download" and contentType = "image"].count() > 0`,
		`person.gender in (["male"]) and CHAIN(xEvent, timestamp, [C0: WHAT(productListItems.exists(SKU.equals("iPhone 15 Pro", false)))])`,
		`xEvent.metrics.commerce.abandons.value > 0`,
		`if(segmentMembership.get("ups").get("A1").status in (["realized","existing"]), 11, 1) > 10`,
	} {
		if _, err := pql.Parse(rule, s); err != nil {
			t.Errorf("%s: %v", rule, err)
		}
		printsAlike(t, rule)
	}
}

// What a rule looks at is known, so that nothing else is read.
func TestUses(t *testing.T) {
	for rule, want := range map[string]string{
		`xEvent[eventType = "buy"].sum(amount) > 1 and age > 2`: "age xEvent xEvent.amount xEvent.eventType",
		`xEvent.count() > 1`:                         "xEvent",
		`orders.lines.n = 1`:                         "orders orders.lines orders.lines.n",
		`orders.head() = orders.head()`:              "orders orders.*",
		`xEvent[productListItems[SKU = ^eventType]]`: "xEvent xEvent.eventType xEvent.productListItems xEvent.productListItems.SKU",
		`prefs.lang = "de"`:                          "prefs",
	} {
		n, err := pql.Parse(rule, caseScope())
		if err != nil {
			t.Fatal(err)
		}
		got := n.Uses()
		slices.Sort(got)
		if strings.Join(got, " ") != want {
			t.Errorf("%s uses %q, want %q", rule, got, want)
		}
	}
}
