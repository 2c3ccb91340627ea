package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lakeward/lakeward"
)

func demoJSON(t *testing.T, dir string, more ...string) demoResult {
	t.Helper()
	var r demoResult
	out := ok(t, "", append([]string{"demo", "--dir", dir, "--profiles", "2000", "--json"}, more...)...)
	if strings.Count(out, "\n") != 1 {
		t.Errorf("demo --json prints %d lines, want one object", strings.Count(out, "\n"))
	}
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatal(err)
	}
	return r
}

func hashes(r demoResult) []string {
	var out []string
	for _, run := range r.Runs {
		for _, f := range run.Files {
			out = append(out, f.SHA256)
		}
	}
	slices.Sort(out)
	return out
}

// B18: the demo works, twice, and its books are those of the files.
func TestDemoRunsTwice(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	first, second := demoJSON(t, dir), demoJSON(t, dir)
	if len(first.Runs) != 3 || !slices.Equal(hashes(first), hashes(second)) {
		t.Errorf("the second demo wrote other files: %v, %v", hashes(first), hashes(second))
	}
	seen := map[string]bool{}
	for _, run := range append(first.Runs, second.Runs...) {
		excluded := int64(0)
		for _, n := range run.Excluded {
			excluded += n
		}
		if run.Members == 0 || run.Members != run.Profiles+excluded+run.Deduplicated || run.Rows <= run.Profiles {
			t.Errorf("books of %s: %+v", run.Audience, run)
		}
		for _, f := range run.Files {
			info, err := os.Stat(f.LocalPath)
			if err != nil || info.Size() != f.Bytes || seen[f.Path] {
				t.Errorf("file %+v: %v; a path must be new in every run", f, err)
			}
			seen[f.Path] = true
		}
		if run.Manifest == "" {
			t.Errorf("run %s has no manifest", run.ID)
		}
	}
	text := ok(t, "", "demo", "--dir", dir, "--profiles", "2000")
	for _, want := range []string{first.DataDir, "gzip -dc '", "read_csv('", "members = ", "lakeward run list"} {
		if !strings.Contains(text, want) {
			t.Errorf("the demo's text lacks %q:\n%s", want, text)
		}
	}
}

// The commands that demo --print lists deliver the same bytes.
func TestDemoByHand(t *testing.T) {
	work := t.TempDir()
	want := hashes(demoJSON(t, filepath.Join(work, "demo")))
	script := ok(t, "", "demo", "--print", "--dir", filepath.Join(work, "hand"), "--profiles", "2000")
	shell(t, strings.Replace(script, "LAKE=$!", "LAKE=$!; trap 'kill $LAKE' EXIT", 1), work)
	var runs []lakeward.Run
	if err := json.Unmarshal([]byte(ok(t, "", "run", "list", "--json", "--data", filepath.Join(work, "hand"))), &runs); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range runs {
		var full lakeward.Run
		if err := json.Unmarshal([]byte(ok(t, "", "run", "show", string(r.ID), "--json", "--data", filepath.Join(work, "hand"))), &full); err != nil {
			t.Fatal(err)
		}
		for _, f := range full.Files {
			got = append(got, f.SHA256)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("files by hand %v, by demo %v", got, want)
	}
}

// C3, INV-22: no secret is in the output, the database or the lake's tree.
func TestSecretsStaySecret(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	demoJSON(t, dir)
	var conf struct {
		Clients []struct{ Secret string }
	}
	b, err := os.ReadFile(filepath.Join(dir, "lake", ".meta", "config.json"))
	if err != nil || json.Unmarshal(b, &conf) != nil || len(conf.Clients) == 0 {
		t.Fatal("no lake configuration")
	}
	canary := conf.Clients[0].Secret
	var texts []string
	for _, args := range [][]string{{"account", "list"}, {"account", "show", demoAccount}, {"account", "test", demoAccount}, {"run", "list"}, {"dataflow", "show", demoDataflow}} {
		r := call(t, "", append(args, "--data", dir, "--json")...)
		texts = append(texts, r.out+r.err)
	}
	for _, text := range texts {
		if strings.Contains(text, canary) {
			t.Errorf("the output holds the secret:\n%s", strings.ReplaceAll(text, canary, "CANARY"))
		}
	}
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.Contains(path, filepath.Join("lake", ".meta")) {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), canary) {
			t.Errorf("%s holds the secret", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "kek")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("key file: %v, %v", info, err)
	}
}
