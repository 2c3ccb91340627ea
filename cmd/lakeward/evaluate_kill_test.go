package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/lakeward/lakeward"
)

// DLV-95, DLV-120: an evaluation is killed before and after each commit of its database; the next command finds the members
// of before or of after, and a queue in which nobody is stuck.
func TestKilledEvaluation(t *testing.T) {
	t.Parallel()
	bin, data := filepath.Join(t.TempDir(), "lakeward"), filepath.Join(t.TempDir(), "demo")
	if out, err := exec.Command("go", "build", "-tags", "proof", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	demoJSON(t, data)
	name := demoAudiences()[0].Name
	members := func() int64 {
		var a lakeward.Audience
		if err := json.Unmarshal([]byte(ok(t, "", "audience", "show", name, "--json", "--data", data)), &a); err != nil {
			t.Fatal(err)
		}
		return a.Members
	}
	evaluate := func(n int) (points int, died bool) {
		count := filepath.Join(t.TempDir(), fmt.Sprintf("points-%d", n))
		cmd := exec.Command(bin, "audience", "evaluate", "--data", data)
		cmd.Env = append(os.Environ(), fmt.Sprintf("LAKEWARD_PROOF_KILL=%s:%d", count, n))
		out, err := cmd.CombinedOutput()
		info, serr := os.Stat(count)
		if serr != nil || err != nil && n == 0 {
			t.Fatalf("evaluate: %v, %v\n%s", err, serr, out)
		}
		return int(info.Size()), err != nil
	}
	some := members()
	points, _ := evaluate(0)
	if points < 4 || some == 0 {
		t.Fatalf("%d points in an evaluation of %d members", points, some)
	}
	died, before, want := 0, some, some
	for n := 1; n <= points; n++ {
		want = some - want // the rule gives nobody and everybody by turns
		rule := `loyalty.tier = "none"`
		if want > 0 {
			rule = demoAudiences()[0].Rule
		}
		ok(t, "", "audience", "edit", name, "--rule", rule, "--data", data)
		if _, dead := evaluate(n); dead {
			died++
		}
		if got := members(); !slices.Contains([]int64{before, want}, got) {
			t.Errorf("killed at point %d: %d members, want %d or %d", n, got, before, want)
		}
		ok(t, "", "data", "check", "--data", data)
		evaluate(0)
		if before = members(); before != want {
			t.Errorf("evaluated after death at point %d: %d members, want %d", n, before, want)
		}
	}
	if died < points-1 {
		t.Errorf("only %d of %d processes died", died, points)
	}
	var tasks []lakeward.Task
	if err := json.Unmarshal([]byte(ok(t, "", "task", "list", "--json", "--data", data)), &tasks); err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		if !task.State.Closed() {
			t.Errorf("task %s is still %s", task.ID, task.State)
		}
	}
}
