package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/lake/emulator"
)

// KP-03 to KP-15, INV-02 to INV-06, INV-08: the process is killed at random instants of an export; the
// next command finishes or repeats what was open. No row is lost or doubled, and a reader that looks all
// the time never sees a partial file.
func TestKillAtRandomInstants(t *testing.T) {
	kills := 6
	if os.Getenv("LAKEWARD_TEST_FULL") != "" {
		kills = 200
	}
	bin, data := program(t), filepath.Join(t.TempDir(), "demo")
	first := demoJSON(t, data)
	want, hash := map[string]int64{}, map[string]string{} // rows and content by audience id
	for _, run := range first.Runs {
		id := audienceOf(run.Files[0].Path)
		want[id], hash[id] = run.Rows, run.Files[0].SHA256
	}
	local, err := emulator.Start(filepath.Join(data, "lake"), emulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer local.Close()
	folder := filepath.Join(local.Dir(), "local", "exports", filepath.FromSlash(demoFolder))
	stop, seen := make(chan struct{}), make(chan int)
	go func() { seen <- watch(t, folder, hash, stop) }()
	rnd := rand.New(rand.NewPCG(uint64(kills), 1))
	struck := 0
	for range kills {
		cmd := exec.Command(bin, "dataflow", "run", demoDataflow, "--data", data)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(rnd.IntN(1500))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		if cmd.Wait() != nil {
			struck++
		}
		timer.Stop()
	}
	ok(t, "", "dataflow", "run", demoDataflow, "--data", data)
	close(stop)
	looks := <-seen
	var runs []lakeward.Run
	if err := json.Unmarshal([]byte(ok(t, "", "run", "list", "--json", "--limit", "100000", "--data", data)), &runs); err != nil {
		t.Fatal(err)
	}
	delivered := map[string]bool{}
	for _, r := range runs {
		if r.State != lakeward.Succeeded {
			t.Errorf("run %s is %s, cause %+v", r.ID, r.State, r.Cause)
			continue
		}
		var v lakeward.Verification
		if err := json.Unmarshal([]byte(ok(t, "", "run", "verify", string(r.ID), "--json", "--data", data)), &v); err != nil || !v.OK() || len(v.Files) != 1 {
			t.Fatalf("verify %s: %+v, %v", r.ID, v, err)
		}
		if v.Files[0].Rows != want[r.Item] {
			t.Errorf("run %s delivered %d rows, want %d", r.ID, v.Files[0].Rows, want[r.Item])
		}
		delivered[filepath.Base(v.Files[0].Path)] = true
	}
	files, _ := filepath.Glob(filepath.Join(folder, "*.csv.gz"))
	if len(files) != len(runs) || len(delivered) != len(runs) {
		t.Errorf("%d runs, %d files in the lake, %d of them listed", len(runs), len(files), len(delivered))
	}
	t.Logf("%d of %d processes were killed in %d runs; a reader looked %d times", struck, kills, len(runs), looks)
	if struck == 0 || looks == 0 {
		t.Error("nothing was killed, or nobody looked")
	}
}

// audienceOf reads the audience's id out of a file name.
func audienceOf(path string) string {
	name := strings.TrimPrefix(filepath.Base(path), strings.ReplaceAll(lakeward.DestinationTypeName, " ", "_")+"_")
	id, _, _ := strings.Cut(name, "_")
	return id
}

// watch reads every visible file again and again: each must be whole. It returns how often it looked.
func watch(t *testing.T, folder string, hash map[string]string, stop <-chan struct{}) int {
	for looks := 0; ; looks++ {
		select {
		case <-stop:
			return looks
		default:
		}
		entries, err := os.ReadDir(folder)
		if err != nil {
			t.Error(err)
			return looks
		}
		for _, e := range entries {
			if !strings.HasSuffix(e.Name(), ".csv.gz") {
				continue
			}
			b, err := os.ReadFile(filepath.Join(folder, e.Name()))
			sum := sha256.Sum256(b)
			if err != nil || hex.EncodeToString(sum[:]) != hash[audienceOf(e.Name())] {
				t.Errorf("INV-08: %s is visible with other content: %d bytes, %v", e.Name(), len(b), err)
				return looks
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
}
