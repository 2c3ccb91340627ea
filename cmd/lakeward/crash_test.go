package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/lake/emulator"
)

// crashing is a program that dies at a chosen point, and the lake that it delivers to.
type crashing struct {
	t      *testing.T
	bin    string
	data   string
	folder string         // of the delivered files
	want   map[int]string // SHA-256 of part k
}

// newCrashing makes a dataflow of several parts with a manifest.
func newCrashing(t *testing.T, account string) *crashing {
	t.Helper()
	c := &crashing{t: t, bin: filepath.Join(t.TempDir(), "lakeward"), data: filepath.Join(t.TempDir(), "demo"), want: map[int]string{}}
	if out, err := exec.Command("go", "build", "-tags", "proof", "-o", c.bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	demoJSON(t, c.data)
	s, err := emulator.Start(filepath.Join(c.data, "lake"), emulator.Options{Accounts: []string{account}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	name, _, _ := strings.Cut(account, ":")
	c.folder = filepath.Join(s.Dir(), name, "exports", "crash")
	e := s.Endpoints()
	ok(t, e.ClientSecret, "account", "create", "crash", "--url", "abfss://exports@"+name+".dfs."+lakeward.EmulatorSuffix, "--tenant", e.Tenant, "--client-id", e.ClientID, "--key-file", "-", "--data", c.data)
	ok(t, "", "destination", "create", "crash", "--account", "crash", "--path", "crash", "--rows-per-file", "60", "--manifest", "--compression", "NONE", "--data", c.data)
	ok(t, "", "dataflow", "create", "crash", "--destination", "crash", "--audience", demoAudiences()[1].Name, "--map", "identityMap.Email=mail", "--map", "lifetimeValue=value", "--data", c.data)
	return c
}

// run starts the program and reports how many points it passed, and whether it died at the n-th; 0 lets it live.
func (c *crashing) run(n int) (points int, died bool) {
	c.t.Helper()
	count := filepath.Join(c.t.TempDir(), fmt.Sprintf("points-%d", time.Now().UnixNano()))
	cmd := exec.Command(c.bin, "dataflow", "run", "crash", "--data", c.data)
	cmd.Env = append(os.Environ(), fmt.Sprintf("LAKEWARD_PROOF_KILL=%s:%d", count, n))
	out, err := cmd.CombinedOutput()
	info, serr := os.Stat(count)
	if serr != nil {
		c.t.Fatalf("no point was passed: %v\n%s", err, out)
	}
	if err != nil && n == 0 {
		c.t.Fatalf("run: %v\n%s", err, out)
	}
	return int(info.Size()), err != nil
}

// look checks every file that is visible: a reader must never see a part of one.
func (c *crashing) look(at string) int {
	entries, err := os.ReadDir(c.folder)
	if err != nil && !os.IsNotExist(err) {
		c.t.Fatal(err)
	}
	seen := 0
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".csv") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(c.folder, e.Name()))
		if err != nil {
			c.t.Fatal(err)
		}
		sum := sha256.Sum256(b)
		if got := hex.EncodeToString(sum[:]); got != c.want[partOf(e.Name())] {
			c.t.Fatalf("%s: INV-08: %s is visible with %d bytes that are not those of its part", at, e.Name(), len(b))
		}
		seen++
	}
	return seen
}

// partOf is the number of a part by its name.
func partOf(name string) int {
	m := regexp.MustCompile(`_\d{8}_\d{6}(?:_(\d+))?\.csv$`).FindStringSubmatch(name)
	if m == nil || m[1] == "" {
		return 0
	}
	k := 0
	_, _ = fmt.Sscan(m[1], &k)
	return k - 1
}

func (c *crashing) runs() []lakeward.Run {
	c.t.Helper()
	var runs []lakeward.Run
	if err := json.Unmarshal([]byte(ok(c.t, "", "run", "list", "--dataflow", "crash", "--json", "--limit", "100000", "--data", c.data)), &runs); err != nil {
		c.t.Fatal(err)
	}
	return runs
}

// DLV-120: an upload dies before and after every commit of its database; afterwards files, books and the identity
// index agree, and the batch is there whole or not at all.
func TestKillDuringUpload(t *testing.T) {
	t.Parallel()
	bin, data := filepath.Join(t.TempDir(), "lakeward"), filepath.Join(t.TempDir(), "data")
	if out, err := exec.Command("go", "build", "-tags", "proof", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	file := filepath.Join(t.TempDir(), "rows.csv")
	schema := filepath.Join(t.TempDir(), "schema.json")
	writeFile(t, schema, `{"properties": {"id": {"type": "string", "identity": {"namespace": "CRM", "primary": true}}, "mail": {"type": "string", "identity": {"namespace": "Email"}}}}`)
	ok(t, "", "namespace", "create", "CRM", "--data", data)
	ok(t, "", "schema", "create", "people", "--file", schema, "--data", data)
	ok(t, "", "dataset", "create", "people", "--schema", "people", "--data", data)
	ok(t, "", "merge-policy", "edit", "Default", "--stitching", "graph", "--data", data)
	batches := func() int {
		var d lakeward.Dataset
		if err := json.Unmarshal([]byte(ok(t, "", "dataset", "show", "people", "--json", "--data", data)), &d); err != nil {
			t.Fatal(err)
		}
		return d.Batches
	}
	died := 0
	for n := 1; ; n++ {
		writeFile(t, file, fmt.Sprintf("id,mail\n%d,m%d@x\n%d,m%d@x\nhub,m%d@x\n", 2*n, n, 2*n+1, n, n%3))
		before := batches()
		cmd := exec.Command(bin, "dataset", "upload", "people", file, "--data", data)
		cmd.Env = append(os.Environ(), fmt.Sprintf("LAKEWARD_PROOF_KILL=%s:%d", filepath.Join(t.TempDir(), "points"), n))
		err := cmd.Run()
		if err != nil {
			died++
		}
		if got := batches() - before; got != 0 && got != 1 || err == nil && got != 1 {
			t.Fatalf("after death at point %d: %d batches more", n, got)
		}
		if told := ok(t, "", "data", "check", "--data", data); !strings.Contains(told, "everything is as the books say") {
			t.Fatalf("after death at point %d: %s", n, told)
		}
		if err == nil {
			break
		}
	}
	if died < 2 { // before and after the commit
		t.Errorf("only %d processes died", died)
	}
}

// KP-03 to KP-15, INV-01 to INV-17: the process dies before and after every request and every commit of its
// database, one after the other; the next command finishes or repeats what was open.
func TestKillAtEveryBoundary(t *testing.T) {
	t.Parallel()
	testBoundaries(t, "local")
}

// DLV-100: the same on storage that cannot rename, where a reader of the manifest is safe.
func TestKillAtEveryBoundaryCopyOnce(t *testing.T) {
	t.Parallel()
	testBoundaries(t, "flat:flat")
}

func testBoundaries(t *testing.T, account string) {
	c := newCrashing(t, account)
	points, _ := c.run(0)
	first := c.runs()[0]
	if first.State != lakeward.Succeeded || len(first.Files) < 3 {
		t.Fatalf("the undisturbed run is %s with %d files", first.State, len(first.Files))
	}
	for k, f := range first.Files {
		c.want[k] = f.SHA256
	}
	var at []int
	for n := 1; n <= points; n++ {
		at = append(at, n)
	}
	if os.Getenv("LAKEWARD_TEST_FULL") == "" {
		rnd := rand.New(rand.NewPCG(5, 6))
		rnd.Shuffle(len(at), func(i, j int) { at[i], at[j] = at[j], at[i] })
		at = at[:5]
		slices.Sort(at)
	}
	died := 0
	for _, n := range at {
		if _, dead := c.run(n); dead {
			died++
		}
		if account == "local" {
			c.look(fmt.Sprintf("after death at point %d", n))
		}
		c.run(0)
	}
	if died < len(at)*9/10 { // a run after a death passes fewer points than the first one
		t.Errorf("only %d of %d processes died", died, len(at))
	}
	files := c.look("at the end")
	listed := 0
	for _, r := range c.runs() {
		if r.State != lakeward.Succeeded || r.Counts != first.Counts {
			t.Errorf("run %s is %s, cause %+v, counts %+v", r.ID, r.State, r.Cause, r.Counts)
			continue
		}
		var v lakeward.Verification
		if err := json.Unmarshal([]byte(ok(t, "", "run", "verify", string(r.ID), "--json", "--data", c.data)), &v); err != nil || !v.OK() || len(v.Files) != len(first.Files) {
			t.Errorf("verify %s: %+v, %v", r.ID, v, err)
		}
		listed += len(r.Files)
	}
	if files != listed {
		t.Errorf("%d files are there, %d are listed", files, listed)
	}
	t.Logf("%d points in a run, killed at %d of them, %d died, %d runs verified", points, len(at), died, len(c.runs()))
}
