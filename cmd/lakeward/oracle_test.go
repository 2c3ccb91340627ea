package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// question is a rule and the same in SQL: a condition over customers c, where p stands for the purchases of c.
type question struct{ Name, Rule, SQL string }

// cdnowQuestions are over the purchase history; some per on the events ask for %s.
func cdnowQuestions() []question {
	per := func(aggregate, where string) string {
		if where == "" {
			where = "true"
		}
		return fmt.Sprintf("(SELECT %s FROM p WHERE p.customer_id = c.customer_id AND %s)", aggregate, where)
	}
	rules := [][2]string{
		// the profile alone
		{`orders >= 5`, `c.orders >= 5`},
		{`orders >= 5 and total > 200`, `c.orders >= 5 AND c.total > 200`},
		{`not (orders = 1)`, `c.orders <> 1`},
		{`orders in [2, 3, 5]`, `c.orders IN (2, 3, 5)`},
		{`orders notIn [1, 2]`, `c.orders NOT IN (1, 2)`},
		{`total / orders > 50`, `c.total / c.orders > 50`},
		{`items % 7 = 3`, `c.items % 7 = 3`},
		{`items - orders > 10 or total < 5`, `c.items - c.orders > 10 OR c.total < 5`},
		{`customer_id.startsWith("12")`, `starts_with(c.customer_id, '12')`},
		{`customer_id.endsWith("99")`, `c.customer_id LIKE '%99'`},
		{`customer_id.contains("777")`, `contains(c.customer_id, '777')`},
		{`customer_id like "0_1%5"`, `c.customer_id LIKE '0_1%5'`},
		{`customer_id.matches("^(..)\1*5$") or customer_id.matches("^0+1")`, ``},
		{`customer_id.matches("^0[13]+[0-5]{2}")`, `regexp_matches(c.customer_id, '^0[13]+[0-5]{2}')`},
		{`customer_id.regexGroup("^(\d\d)") = "07"`, `c.customer_id[1:2] = '07'`},
		{`first_purchase occurs on date(1997,2,14)`, `c.first_purchase = DATE '1997-02-14'`},
		{`first_purchase occurs between date(1997,1,10) and date(1997,1,20)`, `c.first_purchase BETWEEN DATE '1997-01-10' AND DATE '1997-01-20'`},
		{`first_purchase occurs before date(1997,1,15)`, `c.first_purchase < DATE '1997-01-15'`},
		{`first_purchase.getMonth() = 3 and first_purchase.getDayOfMonth() <= 7`, `month(c.first_purchase) = 3 AND day(c.first_purchase) <= 7`},
		{`if(orders > 3, total, items) > 20`, `CASE WHEN c.orders > 3 THEN c.total ELSE c.items END > 20`},
		{`total.isNull()`, `c.total IS NULL`},
		{`total = 0`, `c.total = 0`},
		{`let each = total / items in each > 20 and each < 21.5`, `c.total / nullif(c.items, 0) > 20 AND c.total / nullif(c.items, 0) < 21.5`},
		{`customer_id > "20000" and customer_id <= "2009"`, `c.customer_id > '20000' AND c.customer_id <= '2009'`},
		// their purchases
		{`xEvent.count() > 10`, per("count(*)", "") + " > 10"},
		{`xEvent.count() = 1`, per("count(*)", "") + " = 1"},
		{`xEvent[amount > 100]`, per("count(*)", "amount > 100") + " > 0"},
		{`not xEvent[amount > 10]`, per("count(*)", "amount > 10") + " = 0"},
		{`xEvent[quantity >= 5].count() >= 2`, per("count(*)", "quantity >= 5") + " >= 2"},
		{`xEvent.sum(quantity) = 12`, per("sum(quantity)", "") + " = 12"},
		{`xEvent.sum(quantity) != items`, per("sum(quantity)", "") + " <> c.items"},
		{`xEvent[quantity > 1].sum(quantity) > 20`, per("coalesce(sum(quantity), 0)", "quantity > 1") + " > 20"},
		{`xEvent.max(amount) > 150`, per("max(amount)", "") + " > 150"},
		{`xEvent.min(amount) < 5`, per("min(amount)", "") + " < 5"},
		{`xEvent.average(quantity) > 4`, per("avg(quantity)", "") + " > 4"},
		{`xEvent.amount.max() - xEvent.amount.min() > 80`, per("max(amount) - min(amount)", "") + " > 80"},
		{`xEvent[timestamp occurs between date(1997,12,1) and date(1997,12,24)].count() >= 1`, per("count(*)", "timestamp >= '1997-12-01' AND timestamp < '1997-12-25'") + " >= 1"},
		{`xEvent.timestamp occurs after date(1998,6,1)`, per("count(*)", "timestamp > '1998-06-01'") + " > 0"},
		{`xEvent.timestamp.max() < "1997-03-01T00:00:00Z"`, per("max(timestamp)", "") + " < '1997-03-01'"},
		{`forall e from xEvent where e.amount >= 12`, per("count(*)", "NOT (amount >= 12)") + " = 0"},
		{`exists e from xEvent where e.quantity = 7 and e.amount < 80`, per("count(*)", "quantity = 7 AND amount < 80") + " > 0"},
		{`select e from xEvent where e.timestamp.getMonth() = 12`, per("count(*)", "month(timestamp) = 12") + " > 0"},
		{`(select e from xEvent where e.amount > 30 and e.amount < 40).count() = 2`, per("count(*)", "amount > 30 AND amount < 40") + " = 2"},
		{`(sum e.quantity over e from xEvent where e.amount > 20) >= 15`, per("coalesce(sum(quantity), 0)", "amount > 20") + " >= 15"},
		{`xEvent.quantity.distinct().count() >= 4`, per("count(DISTINCT quantity)", "") + " >= 4"},
		{`xEvent.quantity.intersects([9, 11])`, per("count(*)", "quantity IN (9, 11)") + " > 0"},
		{`xEvent.quantity.subsetOf([1, 2])`, per("count(*)", "quantity NOT IN (1, 2)") + " = 0"},
		{`xEvent.quantity.supersetOf([1, 2, 3])`, per("count(DISTINCT quantity)", "quantity IN (1, 2, 3)") + " = 3"},
		{`xEvent.quantity.includes(13)`, per("count(*)", "quantity = 13") + " > 0"},
		{`xEvent.topN(amount, 3).sum(quantity) > 25`, `(SELECT coalesce(sum(quantity), 0) FROM (SELECT quantity FROM p WHERE p.customer_id = c.customer_id ORDER BY amount DESC, timestamp LIMIT 3)) > 25`},
		{`xEvent.head().quantity = 3`, `(SELECT quantity FROM p WHERE p.customer_id = c.customer_id ORDER BY timestamp, n LIMIT 1) = 3`},
		{`xEvent.map(amount / quantity).max() > 40`, per("max(amount / quantity)", "quantity <> 0") + " > 40"},
		{`xEvent[amount > ^total / 2].count() = 1 and orders > 2`, per("count(*)", "amount > c.total / 2") + " = 1 AND c.orders > 2"},
		{`xEvent[amount = $1.total]`, per("count(*)", "amount = c.total") + " > 0"},
		{`select a from xEvent, b from xEvent where b.amount > a.amount * 10 and a.amount > 0`, `EXISTS (SELECT 1 FROM p a, p b WHERE a.customer_id = c.customer_id AND b.customer_id = c.customer_id AND b.amount > a.amount * 10 AND a.amount > 0)`},
		{`select a from xEvent where a.quantity > 5, b from xEvent where b.timestamp > a.timestamp and b.timestamp occurs <= 30 days after a.timestamp`,
			`EXISTS (SELECT 1 FROM p a, p b WHERE a.customer_id = c.customer_id AND b.customer_id = c.customer_id AND a.quantity > 5 AND b.timestamp > a.timestamp AND b.timestamp <= a.timestamp + INTERVAL 30 DAY)`},
		{`(select a from xEvent where a.quantity = 1, b from xEvent where b.quantity = 2).count() = 6`, `(SELECT count(*) FROM p a, p b WHERE a.customer_id = c.customer_id AND b.customer_id = c.customer_id AND a.quantity = 1 AND b.quantity = 2) = 6`},
		{`chain(xEvent, timestamp, [A: WHAT(quantity > 2) WHEN(before date(1997,4,1)) COUNT(>= 3)])`, per("count(*)", "quantity > 2 AND timestamp < '1997-04-01'") + " >= 3"},
		{`let late = xEvent[timestamp occurs after date(1998,1,1)] in late.count() > 3 and late.sum(amount) < 100`, per("count(*)", "timestamp > '1998-01-01'") + " > 3 AND " + per("sum(amount)", "timestamp > '1998-01-01'") + " < 100"},
		{`xEvent.timestamp.map(this.getYear()).distinct().count() = 2`, per("count(DISTINCT year(timestamp))", "") + " = 2"},
		{`xEvent[amount > 50] and not xEvent[timestamp occurs after date(1997,6,30)]`, per("count(*)", "amount > 50") + " > 0 AND " + per("count(*)", "timestamp > '1997-06-30'") + " = 0"},
	}
	var out []question
	for _, r := range rules {
		if r[1] != "" { // without SQL: back references, which the language refuses
			out = append(out, question{fmt.Sprintf("q%02d", len(out)), r[0], r[1]})
		}
	}
	return out
}

// oracle loads a dataset's tables into DuckDB and compares the members of each question's audience with its own answer.
const oracle = `
import duckdb, json, sys
views, questions, setup = sys.argv[1:4]
db = duckdb.connect()
db.execute("SET TimeZone = 'UTC'")
db.execute(setup)
db.execute(open(views).read())
wrong = 0
for q in json.load(open(questions)):
    want = {r[0] for r in db.execute(f"SELECT c.customer_id FROM c WHERE {q['SQL']}").fetchall()}
    name = "audience " + q["Name"]
    got = {r[0] for r in db.execute(f'SELECT p.customer_id FROM profiles p JOIN "{name}" a USING (number) WHERE a.status = \'realized\'').fetchall()}
    print(q["Name"], len(got), len(want), flush=True)
    if got != want:
        wrong += 1
        print("WRONG", q["Rule"], len(got - want), "too many", len(want - got), "missing", sorted(got ^ want)[:5])
sys.exit(wrong > 0)
`

// Rules over real purchases: the members are those that DuckDB finds by SQL in the raw files, each of them.
func TestRulesAgreeWithDuckDB(t *testing.T) {
	needs(t, "duckdb", "python3", "-c", "import duckdb")
	work, root := t.TempDir(), repository(t)
	data := filepath.Join(work, "data")
	run := func(args ...string) string { return ok(t, "", append(args, "--data", data)...) }
	run("namespace", "create", "CDNOW")
	run("schema", "create", "customer", "--file", filepath.Join(root, "examples/cdnow/customer.json"))
	run("schema", "create", "purchase", "--file", filepath.Join(root, "examples/cdnow/purchase.json"), "--class", "event")
	run("dataset", "create", "customers", "--schema", "customer")
	run("dataset", "create", "purchases", "--schema", "purchase")
	run("dataset", "upload", "customers", filepath.Join(root, "testdata/cdnow/customers.csv"))
	run("dataset", "upload", "purchases", filepath.Join(root, "testdata/cdnow/purchases.csv"))
	questions := cdnowQuestions()
	for _, q := range questions {
		run("audience", "create", q.Name, "--rule", q.Rule)
	}
	run("audience", "evaluate")
	views, list := filepath.Join(work, "views.sql"), filepath.Join(work, "questions.json")
	writeFile(t, views, run("data", "views"))
	b, err := json.Marshal(questions)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(list, b, 0o600); err != nil {
		t.Fatal(err)
	}
	setup := fmt.Sprintf(`CREATE TABLE c AS SELECT * FROM read_csv('%[1]s/customers.csv', types = {'customer_id': 'VARCHAR'});
CREATE TABLE p AS SELECT *, row_number() OVER () AS n FROM read_csv('%[1]s/purchases.csv', types = {'customer_id': 'VARCHAR', 'purchase_id': 'VARCHAR', 'timestamp': 'TIMESTAMP'});`, filepath.Join(root, "testdata/cdnow"))
	out, err := exec.Command("python3", "-c", oracle, views, list, setup).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%d rules\n%s", len(questions), out)
	if len(questions) < 60 {
		t.Errorf("%d rules, want 60", len(questions))
	}
}
