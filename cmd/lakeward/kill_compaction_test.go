package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/engine"
	"github.com/lakeward/lakeward/internal/store"
	"github.com/lakeward/lakeward/internal/warehouse"
)

const compactedSchema = `{"properties": {"id": {"type": "string", "identity": {"namespace": "CRM", "primary": true}}, "age": {"type": "integer"}}}`

// newCompacted makes a data directory with the dataset "people" and the audience "old".
func newCompacted(t *testing.T) string {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data")
	schema := filepath.Join(t.TempDir(), "schema.json")
	writeFile(t, schema, compactedSchema)
	for _, args := range [][]string{{"namespace", "create", "CRM"}, {"schema", "create", "people", "--file", schema}, {"dataset", "create", "people", "--schema", "people"}, {"audience", "create", "old", "--rule", "age >= 50"}} {
		ok(t, "", append(args, "--data", data)...)
	}
	return data
}

// peopleBatch is the k-th batch: the same whoever asks.
func peopleBatch(k int) map[string]int64 {
	rnd := rand.New(rand.NewPCG(uint64(k), 9))
	out := map[string]int64{}
	for range 40 {
		out[fmt.Sprint(rnd.IntN(200))] = int64(rnd.IntN(100))
	}
	return out
}

func peopleCSV(k int) string {
	text := "id,age\n"
	for id, age := range peopleBatch(k) {
		text += fmt.Sprintf("%s,%d\n", id, age)
	}
	return text
}

// peopleAfter is what n batches leave.
func peopleAfter(n int) map[string]int64 {
	out := map[string]int64{}
	for k := range n {
		maps.Copy(out, peopleBatch(k))
	}
	return out
}

func oldAmong(people map[string]int64) []string {
	var out []string
	for id, age := range people {
		if age >= 50 {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

// compactedState reads a data directory: how many batches it has, all profiles, the members of the audience.
func compactedState(t *testing.T, data string) (batches int, people map[string]int64, old []string) {
	t.Helper()
	ctx := t.Context()
	kek, err := store.LoadKEK(filepath.Join(data, "kek"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(ctx, filepath.Join(data, "lakeward.db"), kek)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	root, err := os.OpenRoot(data)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	d, err := s.Dataset(ctx, lakeward.DefaultSandbox, "people")
	if err != nil {
		t.Fatal(err)
	}
	a, err := s.Audience(ctx, lakeward.DefaultSandbox, "old")
	if err != nil {
		t.Fatal(err)
	}
	w := warehouse.New(root, s)
	snap, err := w.Snapshot(ctx, lakeward.DefaultSandbox, lakeward.FirstPolicy, 0)
	if err != nil {
		t.Fatal(err)
	}
	people = map[string]int64{}
	for p, err := range w.Scan(ctx, snap, snap.All(), []lakeward.Leaf{{Path: "id", Type: lakeward.TypeString}, {Path: "age", Type: lakeward.TypeInteger}}, "CRM") {
		if err != nil {
			t.Fatal(err)
		}
		for i, number := range p.Numbers {
			id := string(p.Columns[0].Str(i))
			people[id] = p.Columns[1].Ints[i]
			if p.First[i+1]-p.First[i] != 1 || string(p.Values.Str(int(p.First[i]))) != id {
				t.Errorf("profile %s has other identities", id)
			}
			if m, known := snap.Memberships[a.ID]; known && m.Members.Contains(number) {
				old = append(old, id)
			}
		}
	}
	slices.Sort(old)
	return d.Batches, people, old
}

// unharmed checks that a data directory is whole once a command has swept it.
func unharmed(t *testing.T, at, data string) {
	t.Helper()
	ok(t, "", "audience", "list", "--data", data)
	if r := call(t, "", "data", "check", "--data", data); r.code != exitOK {
		t.Fatalf("%s: data check: %s%s", at, r.out, r.err)
	}
}

// compactingEnv names the data directory of the process that TestKillWhileCompacting kills.
const compactingEnv = "LAKEWARD_TEST_COMPACTING"

// compactForever uploads batches, evaluates and compacts, at the same time, and says which batches are stored and
// evaluated.
func compactForever(data string) {
	ctx := context.Background()
	a := &app{settings: settings{data: data, sandbox: lakeward.DefaultSandbox}}
	d, err := a.open(ctx, openOptions{command: "test", retry: commandRetry()})
	var ds lakeward.Dataset
	if err == nil {
		ds, err = d.store.Dataset(ctx, lakeward.DefaultSandbox, "people")
	}
	if err != nil {
		fmt.Println("failed", err)
		os.Exit(1)
	}
	say := func(err error) {
		if err != nil {
			fmt.Println("failed", err)
		}
	}
	go func() {
		for k := 0; ; k++ {
			_, err := d.engine.Compact(ctx, lakeward.DefaultSandbox, k%2 == 0)
			say(err)
		}
	}()
	for k := ds.Batches; ; k++ {
		_, err := d.engine.UploadDataset(ctx, engine.Upload{Sandbox: lakeward.DefaultSandbox, Dataset: "people", Name: "people.csv"}, strings.NewReader(peopleCSV(k)))
		say(err)
		fmt.Println("stored", k+1)
		_, err = d.engine.Evaluate(ctx, lakeward.DefaultSandbox, nil, nil)
		say(err)
		fmt.Println("evaluated", k+1)
	}
}

// KP-20, DLV-114, DLV-120: a process that uploads, evaluates and compacts is killed at random instants. What it said is
// stored is there, each batch wholly or not at all; members are those of before or after; no file is missing, damaged or
// left behind.
func TestKillWhileCompacting(t *testing.T) {
	t.Parallel()
	kills := 8
	if os.Getenv("LAKEWARD_TEST_FULL") != "" {
		kills = 150
	}
	data := newCompacted(t)
	rnd := rand.New(rand.NewPCG(11, 12))
	swept, last, members := 0, 0, 0 // members are those of that many batches
	for kill := range kills {
		stored, evaluated := compactUntilKilled(t, data, time.Duration(100+rnd.IntN(900))*time.Millisecond)
		left := len(strays(t, data))
		unharmed(t, fmt.Sprintf("kill %d", kill), data)
		n, people, old := compactedState(t, data)
		if stored > 0 && (n < stored || n > stored+1) || n < last {
			t.Fatalf("kill %d: %d batches are there, %d were said to be stored", kill, n, stored)
		}
		if want := peopleAfter(n); !maps.Equal(people, want) {
			t.Fatalf("kill %d: %d batches are there, but not their profiles:\n%v\nwant\n%v", kill, n, people, want)
		}
		for members = max(members, evaluated); !slices.Equal(old, oldAmong(peopleAfter(members))); members++ {
			if members == n {
				t.Fatalf("kill %d: batch %d was said to be evaluated, %d are there; the members are of none between", kill, evaluated, n)
			}
		}
		if left > 0 {
			swept++
		}
		last = n
	}
	t.Logf("%d kills, %d batches, %d times something was left behind and swept", kills, last, swept)
	if last < kills || swept == 0 {
		t.Error("too little was written, or nothing was ever cut off in the middle")
	}
	if files := strings.Count(ok(t, "", "data", "views", "--data", data), "SELECT"); files > 40 {
		t.Errorf("%d files are left of %d batches", files, last)
	}
}

// compactUntilKilled runs the process for a while and returns the numbers of batches that it said are stored and evaluated.
func compactUntilKilled(t *testing.T, data string, after time.Duration) (stored, evaluated int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), compactingEnv+"="+data)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(after, func() { _ = cmd.Process.Kill() }).Stop()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		_, _ = fmt.Sscanf(lines.Text(), "stored %d", &stored)
		_, _ = fmt.Sscanf(lines.Text(), "evaluated %d", &evaluated)
		if strings.HasPrefix(lines.Text(), "failed") {
			t.Error(lines.Text())
		}
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.Exited() {
		t.Fatalf("the process ended by itself: %v", err)
	}
	return stored, evaluated
}

// strays lists the files at rest that no row names.
func strays(t *testing.T, data string) []string {
	t.Helper()
	var out []string
	for line := range strings.Lines(call(t, "", "data", "check", "--data", data).out) {
		if strings.Contains(line, "no row names this file") {
			out = append(out, line)
		}
	}
	return out
}

// The same at every commit of a compaction, one after the other: the state is the same before and after it.
func TestKillCompactionAtEveryCommit(t *testing.T) {
	t.Parallel()
	bin := filepath.Join(t.TempDir(), "lakeward")
	if out, err := exec.Command("go", "build", "-tags", "proof", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	data := newCompacted(t)
	n, swept, survived := 0, 0, false
	for point := 1; !survived; point++ {
		for range 2 {
			file := filepath.Join(t.TempDir(), fmt.Sprintf("%d.csv", n))
			writeFile(t, file, peopleCSV(n))
			ok(t, "", "dataset", "upload", "people", file, "--data", data)
			n++
		}
		ok(t, "", "audience", "evaluate", "--data", data)
		cmd := exec.Command(bin, "data", "compact", "--data", data)
		cmd.Env = append(os.Environ(), fmt.Sprintf("LAKEWARD_PROOF_KILL=%s:%d", filepath.Join(t.TempDir(), fmt.Sprint("points-", point)), point))
		cmd.Stdout = io.Discard
		survived = cmd.Run() == nil
		swept += len(strays(t, data))
		unharmed(t, fmt.Sprintf("point %d", point), data)
		batches, people, old := compactedState(t, data)
		if batches != n || !maps.Equal(people, peopleAfter(n)) || !slices.Equal(old, oldAmong(people)) {
			t.Fatalf("point %d: %d batches, profiles %v, members %v", point, batches, people, old)
		}
	}
	if swept == 0 {
		t.Error("no file was ever left behind, so nothing was killed between files and rows")
	}
}
