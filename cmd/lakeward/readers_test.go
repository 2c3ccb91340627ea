package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// needs skips the test if a part is missing, by name; LAKEWARD_TEST_REQUIRE makes missing parts failures.
func needs(t *testing.T, part string, probe ...string) {
	t.Helper()
	out, err := exec.Command(probe[0], probe[1:]...).CombinedOutput()
	if err == nil {
		return
	}
	if slices.Contains(strings.Split(os.Getenv("LAKEWARD_TEST_REQUIRE"), ","), part) {
		t.Fatalf("%s is required and missing: %v\n%s", part, err, out)
	}
	t.Skipf("%s is missing (%s); install it to run this test", part, strings.Join(probe, " "))
}

// INV-25: Python's csv and gzip and DuckDB read every delivered file and agree with the source on
// counts, values and nulls; DuckDB reads the files at rest.
func TestIndependentReaders(t *testing.T) {
	needs(t, "duckdb", "python3", "-c", "import duckdb")
	work := t.TempDir()
	demo := filepath.Join(work, "demo.json")
	if err := os.WriteFile(demo, []byte(ok(t, "", "demo", "--dir", filepath.Join(work, "demo"), "--profiles", "5000", "--json")), 0o600); err != nil {
		t.Fatal(err)
	}
	source, list := filepath.Join(work, "people.csv"), filepath.Join(work, "list.csv")
	ok(t, "", "demo", "data", "--profiles", "5000", "--out", source, "--import", list)
	out, err := exec.Command("python3", "testdata/readers.py", source, list, demo).CombinedOutput()
	if err != nil {
		t.Fatalf("readers.py: %v\n%s", err, out)
	}
	t.Logf("%s", out)
}
