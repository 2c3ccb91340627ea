package dataprep_test

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/dataprep"
	"github.com/lakeward/lakeward/internal/expr"
)

// Section 30, X04 to X19: every function with its usual values, null, the wrong type, texts that are not Latin, time zones.
func TestFunctions(t *testing.T) {
	c := chunkOf(t, profilesJSON)
	cases := map[string]int{}
	for n, line := range caseLines(t) {
		i := strings.LastIndex(line, " => ")
		row, src, want := int(line[0]-'0'), line[2:i], line[i+4:]
		for _, name := range regexp.MustCompile(`\w+\(`).FindAllString(src, -1) {
			cases[strings.TrimSuffix(name, "(")]++
		}
		if strings.HasPrefix(want, "EXPR-") {
			_, err := dataprep.Parse(src, scope())
			if lakeward.CodeOf(err) != want {
				t.Errorf("line %d: %s: error %v, want %s", n, src, err, want)
			}
			continue
		}
		if _, err := dataprep.Parse(src, scope()); err != nil {
			t.Errorf("line %d: %s: %v", n, src, err)
			continue
		}
		got, failed := value(t, c, src, row)
		if failed {
			got = "fails"
		}
		if got != want {
			t.Errorf("line %d: %s of profile %d is %s, want %s", n, src, row, got, want)
		}
	}
	for _, name := range dataprep.Names() {
		if cases[name] < 3 {
			t.Errorf("the function %s has %d cases, want 3", name, cases[name])
		}
	}
	if len(expr.Functions()) < 90 {
		t.Errorf("%d functions", len(expr.Functions()))
	}
}

// caseLines are the cases of testdata/functions.txt by their line.
func caseLines(t *testing.T) map[int]string {
	t.Helper()
	text, err := os.ReadFile("testdata/functions.txt")
	if err != nil {
		t.Fatal(err)
	}
	out := map[int]string{}
	for n, line := range strings.Split(string(text), "\n") {
		if line != "" && line[0] != '#' {
			if _, err := strconv.Atoi(line[:1]); err != nil {
				t.Fatalf("line %d: %s", n+1, line)
			}
			out[n+1] = line
		}
	}
	return out
}

// The page that lists the functions is what the language has.
func TestFunctionsPage(t *testing.T) {
	const page = "../../docs/functions.md"
	want := dataprep.Page()
	if os.Getenv("LAKEWARD_TEST_WRITE") != "" {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(page); err != nil || string(got) != want {
		t.Errorf("%s is not up to date (%v); write it with: LAKEWARD_TEST_WRITE=1 go test ./internal/dataprep", page, err)
	}
}
