package proof_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lakeward/lakeward/internal/proof"
)

// finders names the package and the tests that must find each mistake.
func finders() map[proof.Bug][2]string {
	const faults = "^(TestSingleFaults|TestZombieLoses)$"
	return map[proof.Bug][2]string{
		proof.NoSync:        {"lake/emulator", "^TestFlushIsOnTheDisk$"},
		proof.PublishFirst:  {"engine", faults},
		proof.NoFence:       {"engine", "^TestZombieLoses$"},
		proof.ManifestFirst: {"engine", faults},
		proof.ShortFlush:    {"engine", faults},
		proof.NoReadBack:    {"engine", faults},
		proof.UnclearIsDone: {"engine", faults},
		proof.CleanByAge:    {"engine", faults},
	}
}

// Each mistake that the protocol rules out is planted in turn, and the tests of the protocol must fail; with
// none planted they pass.
func TestPlantedBugsAreFound(t *testing.T) {
	if os.Getenv("LAKEWARD_TEST_FULL") == "" && os.Getenv("LAKEWARD_TEST_PLANTED") == "" {
		t.Skip("LAKEWARD_TEST_PLANTED or LAKEWARD_TEST_FULL runs it; it takes minutes")
	}
	dir := t.TempDir()
	binary := map[string]string{}
	for _, pkg := range []string{"engine", "lake/emulator"} {
		binary[pkg] = filepath.Join(dir, filepath.Base(pkg)+".test")
		cmd := exec.Command("go", "test", "-c", "-tags", "proof", "-o", binary[pkg], "./internal/"+pkg)
		cmd.Dir = "../.."
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build the tests of %s: %v\n%s", pkg, err, out)
		}
	}
	run := func(b proof.Bug, pkg, tests string) (string, error) {
		cmd := exec.Command(binary[pkg], "-test.run", tests, "-test.timeout", "5m")
		cmd.Dir = filepath.Join("..", pkg)
		cmd.Env = append(os.Environ(), "LAKEWARD_PROOF_BUG="+string(b), "LAKEWARD_TEST_FULL=")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	for _, f := range map[string][2]string{"engine": finders()[proof.PublishFirst], "emulator": finders()[proof.NoSync]} {
		if out, err := run("", f[0], f[1]); err != nil {
			t.Fatalf("without a planted mistake %s fails: %v\n%s", f[1], err, out)
		}
	}
	for _, b := range proof.Bugs() {
		f, known := finders()[b]
		if !known {
			t.Errorf("%s: no test is said to find it", b)
			continue
		}
		out, err := run(b, f[0], f[1])
		if err == nil || !strings.Contains(out, "--- FAIL") {
			t.Errorf("%s is not found by %s", b, f[1])
			continue
		}
		t.Logf("%-16s found: %s", b, firstFailure(out))
	}
}

// firstFailure is the first line that a failed test printed.
func firstFailure(out string) string {
	for line := range strings.Lines(out) {
		if strings.Contains(line, "_test.go:") {
			return strings.TrimSpace(line[:min(len(line), 200)])
		}
	}
	return "(no message)"
}
