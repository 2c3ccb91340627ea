package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// DuckDB reads the views of `data views` to what a history of upserts must have left: base and twenty deltas, some of
// them merged, the newest row wins; audiences by number.
func TestViewsInDuckDB(t *testing.T) {
	needs(t, "duckdb", "python3", "-c", "import duckdb")
	work := t.TempDir()
	data := filepath.Join(work, "data")
	run := func(args ...string) string { return ok(t, "", append(args, "--data", data)...) }
	schema := filepath.Join(work, "schema.json")
	writeFile(t, schema, `{"properties": {"id": {"type": "string", "identity": {"namespace": "CRM", "primary": true}}, "home": {"type": "object", "properties": {"city": {"type": "string"}}}, "age": {"type": "integer"}}}`)
	run("namespace", "create", "CRM")
	run("schema", "create", "people", "--file", schema)
	run("dataset", "create", "it's \"odd\"", "--schema", "people")
	rnd := rand.New(rand.NewPCG(7, 8))
	want := map[string]string{}
	for batch := range 21 {
		text := "id,home.city,age\n"
		ids := rnd.Perm(300)[:100]
		if batch == 0 {
			ids = rnd.Perm(300)[:200]
		}
		for _, id := range ids {
			city, age := fmt.Sprintf("c%d", rnd.IntN(9)), rnd.IntN(90)
			if rnd.IntN(5) == 0 {
				city = ""
			}
			text += fmt.Sprintf("%d,%s,%d\n", id, city, age)
			want[fmt.Sprint(id)] = fmt.Sprintf("%s %d", city, age)
		}
		file := filepath.Join(work, "batch.csv")
		writeFile(t, file, text)
		run("dataset", "upload", "it's \"odd\"", file)
		if batch == 6 || batch == 13 {
			run("data", "compact")
		}
	}
	run("audience", "create", "old", "--rule", "age >= 60")
	run("audience", "evaluate")
	sql := filepath.Join(work, "views.sql")
	writeFile(t, sql, run("data", "views"))
	script := `
import duckdb, sys
db = duckdb.connect()
db.execute(open(sys.argv[1]).read())
for r in db.sql("SELECT id, coalesce(home.city, ''), age FROM profiles").fetchall(): print("P", r[0], r[1] + " " + str(r[2]), sep="|")
for r in db.sql("SELECT p.id FROM profiles p JOIN \"audience old\" a USING (number) WHERE a.status = 'realized'").fetchall(): print("A", r[0], "", sep="|")
print("D", db.sql("SELECT count(*) FROM \"dataset it's \"\"odd\"\"\"").fetchall()[0][0], "", sep="|")
`
	out, err := exec.Command("python3", "-c", script, sql).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	got, members := map[string]string{}, []string{}
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), "|")
		switch f[0] {
		case "P":
			got[f[1]] = f[2]
		case "A":
			members = append(members, f[1])
		case "D":
			if f[1] != "2200" {
				t.Errorf("the dataset has %s rows", f[1])
			}
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d profiles, want %d", len(got), len(want))
	}
	var old []string
	for id, w := range want {
		if got[id] != w {
			t.Errorf("profile %s is %q, want %q", id, got[id], w)
		}
		age := 0
		if _, err := fmt.Sscanf(w[strings.LastIndex(w, " "):], "%d", &age); err == nil && age >= 60 {
			old = append(old, id)
		}
	}
	slices.Sort(old)
	slices.Sort(members)
	if !slices.Equal(old, members) {
		t.Errorf("%d members, want %d", len(members), len(old))
	}
}

// DuckDB sees neither deleted profiles nor those that were joined with others, and sees who carries on a member before
// the next evaluation.
func TestViewsAfterDeletionsAndJoins(t *testing.T) {
	needs(t, "duckdb", "python3", "-c", "import duckdb")
	work := t.TempDir()
	data := filepath.Join(work, "data")
	run := func(args ...string) string { return ok(t, "", append(args, "--data", data)...) }
	upload := func(text string) {
		file := filepath.Join(work, "rows.csv")
		writeFile(t, file, "id,mail,age\n"+text)
		run("dataset", "upload", "people", file)
	}
	schema := filepath.Join(work, "schema.json")
	writeFile(t, schema, `{"properties": {"id": {"type": "string", "identity": {"namespace": "CRM", "primary": true}}, "mail": {"type": "string", "identity": {"namespace": "Email"}}, "age": {"type": "integer"}}}`)
	run("namespace", "create", "CRM")
	run("schema", "create", "people", "--file", schema)
	run("dataset", "create", "people", "--schema", "people")
	upload("a,a@x,70\nb,b@x,70\nc,c@x,10\nd,d@x,70\ne,e@x,10\nf,f@x,70\n")
	run("merge-policy", "edit", "Default", "--stitching", "graph")
	run("audience", "create", "old", "--rule", "age >= 60")
	run("audience", "evaluate")
	run("profile", "delete", "CRM", "b")
	upload("d,c@x,70\n") // d joins c, who was no member
	upload("b,new@x,20\n")
	sql := filepath.Join(work, "views.sql")
	writeFile(t, sql, run("data", "views"))
	script := `
import duckdb, sys
db = duckdb.connect()
db.execute(open(sys.argv[1]).read())
print(db.sql("SELECT number, id, age FROM profiles ORDER BY number").fetchall())
print(db.sql("SELECT number, status FROM \"audience old\" ORDER BY number").fetchall())
print(db.sql("SELECT count(DISTINCT lastQualificationTime) FROM \"audience old\"").fetchall())
`
	out, err := exec.Command("python3", "-c", script, sql).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	want := "[(0, 'a', 70), (2, 'd', 70), (4, 'e', 10), (5, 'f', 70), (6, 'b', 20)]\n[(0, 'realized'), (2, 'realized'), (5, 'realized')]\n[(1,)]\n"
	if string(out) != want {
		t.Errorf("got\n%swant\n%s", out, want)
	}
	if told := run("data", "check"); !strings.Contains(told, "everything is as the books say") {
		t.Error(told)
	}
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
