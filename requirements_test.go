package lakeward_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestRequirementsNameRealTests: every sentence has a line, and every test named there exists.
func TestRequirementsNameRealTests(t *testing.T) {
	doc, err := os.ReadFile("docs/requirements.md")
	if err != nil {
		t.Fatal(err)
	}
	tests := testNames(t)
	for n := 1; n <= 51; n++ {
		id := fmt.Sprintf("S%02d", n)
		line := regexp.MustCompile(`(?m)^\| ` + id + ` \|.*$`).FindString(string(doc))
		named := regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(line, -1)
		if line == "" || len(named) == 0 && !strings.HasSuffix(line, "| open |") {
			t.Errorf("%s has neither a test nor the word open: %q", id, line)
		}
		for _, m := range named {
			if !tests[m[1]] {
				t.Errorf("%s names the test %s, which does not exist", id, m[1])
			}
		}
	}
}

func testNames(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(file, "_test.go") {
			return err
		}
		b, err := os.ReadFile(file)
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(string(b), -1) {
			out[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
