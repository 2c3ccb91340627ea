package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// cgroup is a group of processes whose memory has a limit.
type cgroup struct {
	dir, limit string
	procs      string
}

// newCgroup makes a group, of version 1 or 2, or skips the test where none can be made.
func newCgroup(t *testing.T, bytes int64) cgroup {
	t.Helper()
	for _, g := range []cgroup{
		{dir: "/sys/fs/cgroup/memory", limit: "memory.limit_in_bytes"},
		{dir: "/sys/fs/cgroup", limit: "memory.max"},
	} {
		g.dir = filepath.Join(g.dir, fmt.Sprintf("lakeward-test-%d-%s", os.Getpid(), strings.ReplaceAll(t.Name(), "/", "-")))
		if os.Mkdir(g.dir, 0o755) != nil {
			continue
		}
		t.Cleanup(func() { _ = os.Remove(g.dir) })
		if os.WriteFile(filepath.Join(g.dir, g.limit), []byte(strconv.FormatInt(bytes, 10)), 0o600) == nil {
			g.procs = filepath.Join(g.dir, "cgroup.procs")
			return g
		}
	}
	t.Skip("no memory cgroup can be made here (version 1 or 2); the limits of memory are not checked")
	return cgroup{}
}

// run runs the program in the group with a text on its standard input and returns the peak of its resident memory.
func (g cgroup) run(t *testing.T, bin string, stdin func(io.Writer) error, args ...string) (peak int64) {
	t.Helper()
	cmd := exec.Command("sh", append([]string{"-c", `echo $$ > "$0" && exec "$@"`, g.procs, bin}, args...)...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	in, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriterSize(in, 1<<20)
	werr := stdin(w)
	if werr == nil {
		werr = w.Flush()
	}
	_ = in.Close()
	if err := cmd.Wait(); err != nil || werr != nil {
		t.Fatalf("%v: %v, %v\n%s", args, err, werr, out.String())
	}
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		peak = usage.Maxrss << 10
	}
	return peak
}

// Ingest and evaluation stay within their memory, whatever the size of the data: the program runs in a group that has no more.
func TestMemoryStaysBounded(t *testing.T) {
	rows := 150_000
	if os.Getenv("LAKEWARD_TEST_FULL") != "" {
		rows = 3_000_000
	}
	bin, data := program(t), filepath.Join(t.TempDir(), "data")
	run := func(args ...string) { ok(t, "", append(args, "--data", data)...) }
	schema, events := filepath.Join(t.TempDir(), "schema.json"), filepath.Join(t.TempDir(), "events.json")
	var fields strings.Builder
	for i := range 18 {
		fmt.Fprintf(&fields, `, "f%d": {"type": "string"}`, i)
	}
	writeFile(t, schema, `{"properties": {"id": {"type": "string", "identity": {"namespace": "CRM", "primary": true}}, "mail": {"type": "string", "identity": {"namespace": "Email"}}, "n": {"type": "integer"}, "d": {"type": "number"}`+fields.String()+`}}`)
	writeFile(t, events, `{"properties": {"_id": {"type": "string"}, "timestamp": {"type": "string", "format": "date-time"}, "id": {"type": "string", "identity": {"namespace": "CRM", "primary": true}}, "kind": {"type": "string"}}}`)
	run("namespace", "create", "CRM")
	run("schema", "create", "people", "--file", schema)
	run("schema", "create", "visits", "--file", events, "--class", "event")
	run("dataset", "create", "people", "--schema", "people")
	run("dataset", "create", "visits", "--schema", "visits")
	g := newCgroup(t, 512<<20)
	peak := g.run(t, bin, func(w io.Writer) error { return wideCSV(w, rows) }, "dataset", "upload", "people", "-", "--data", data)
	t.Logf("ingest of %d rows: peak %d MiB, limit 512", rows, peak>>20)
	peak = g.run(t, bin, func(w io.Writer) error { return visitsCSV(w, rows) }, "dataset", "upload", "visits", "-", "--data", data)
	t.Logf("ingest of %d events: peak %d MiB, limit 512", 2*rows, peak>>20)
	for i := range 50 {
		run("audience", "create", fmt.Sprint("a", i), "--rule", fmt.Sprintf(`n > %d and f1.contains("%d") and xEvent[kind = "k%d"].count() >= 1`, i, i%10, i%7))
	}
	peak = g.run(t, bin, func(io.Writer) error { return nil }, "audience", "evaluate", "--data", data)
	t.Logf("evaluation of 50 rules: peak %d MiB, limit 512", peak>>20)
	peak = g.run(t, bin, func(io.Writer) error { return nil }, "data", "compact", "--data", data)
	t.Logf("compaction: peak %d MiB, limit 512", peak>>20)
}

func wideCSV(w io.Writer, rows int) error {
	header := "id,mail,n,d"
	for i := range 18 {
		header += fmt.Sprint(",f", i)
	}
	if _, err := fmt.Fprintln(w, header); err != nil {
		return err
	}
	for r := range rows {
		if _, err := fmt.Fprintf(w, "p%d,m%d@example.org,%d,%d.25", r, r, r%100, r); err != nil {
			return err
		}
		for i := range 18 {
			if _, err := fmt.Fprintf(w, ",v%d-%d", i, (r*7+i)%9973); err != nil {
				return err
			}
		}
		if _, err := fmt.Fprintln(w); err != nil {
			return err
		}
	}
	return nil
}

func visitsCSV(w io.Writer, rows int) error {
	if _, err := fmt.Fprintln(w, "_id,timestamp,id,kind"); err != nil {
		return err
	}
	for r := range 2 * rows {
		if _, err := fmt.Fprintf(w, "e%d,2026-01-%02dT10:00:00Z,p%d,k%d\n", r, 1+r%28, (r*31)%rows, r%9); err != nil {
			return err
		}
	}
	return nil
}
