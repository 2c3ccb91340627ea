package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	if data := os.Getenv(compactingEnv); data != "" {
		compactForever(data)
	}
	testscript.Main(m, map[string]func(){"lakeward": main})
}

// TestScripts runs commands as a user would, against the built program.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{Dir: "testdata", Setup: func(e *testscript.Env) error {
		e.Setenv("LAKEWARD_DATA", filepath.Join(e.WorkDir, "data"))
		e.Setenv("REPO", repository(t))
		return nil
	}, RequireExplicitExec: true})
}

// repository is the root of the checkout.
func repository(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// result is what one call of the program printed.
type result struct {
	code     int
	out, err string
}

// call calls the program in this process.
func call(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(t.Context(), args, environment{func(string) string { return "" }, strings.NewReader(stdin), &out, &errs})
	return result{code, out.String(), errs.String()}
}

// ok calls the program and fails the test if it fails.
func ok(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	r := call(t, stdin, args...)
	if r.code != exitOK {
		t.Fatalf("lakeward %s: exit %d\n%s", strings.Join(args, " "), r.code, r.err)
	}
	return r.out
}

// program builds the program once for a test that needs a process of its own.
func program(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lakeward")
	if out, err := exec.Command("go", "build", "-o", path, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// shell runs a script with the program on the PATH.
func shell(t *testing.T, script, dir string, env ...string) string {
	t.Helper()
	bin := filepath.Dir(program(t))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-eu", "-c", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), append(env, "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))...)
	cmd.WaitDelay = time.Second // for what the script leaves running
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("script: %v\n%s", err, out)
	}
	return string(out)
}
