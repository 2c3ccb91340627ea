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
	"time"
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
		g.dir = filepath.Join(g.dir, fmt.Sprintf("lakeward-test-%d-%s-%d", os.Getpid(), strings.ReplaceAll(t.Name(), "/", "-"), bytes>>20))
		if os.Mkdir(g.dir, 0o755) != nil {
			continue
		}
		if os.WriteFile(filepath.Join(g.dir, g.limit), []byte(strconv.FormatInt(bytes, 10)), 0o600) == nil {
			g.procs = filepath.Join(g.dir, "cgroup.procs")
			return g
		}
		_ = os.Remove(g.dir)
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

// Ingest, evaluation, compaction and exports stay within their memory, whatever the size of the data: the program runs in
// a group that has no more. In full, ten million profiles are stored, each with a deduplication key of its own.
func TestMemoryStaysBounded(t *testing.T) {
	rows, visits := 150_000, 300_000
	if os.Getenv("LAKEWARD_TEST_FULL") != "" {
		rows, visits = 10_000_000, 6_000_000
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
	bounded := func(what string, limit int64, stdin func(io.Writer) error, args ...string) {
		t.Helper()
		start := time.Now()
		g := newCgroup(t, limit<<20)
		defer func() { _ = os.Remove(g.dir) }()
		peak := g.run(t, bin, stdin, append(args, "--data", data)...)
		t.Logf("%s: peak %d MiB, limit %d, %.1f s", what, peak>>20, limit, time.Since(start).Seconds())
	}
	none := func(io.Writer) error { return nil }
	bounded(fmt.Sprintf("ingest of %d rows", rows), 512, func(w io.Writer) error { return wideCSV(w, 0, rows) }, "dataset", "upload", "people", "-")
	bounded("ingest of 100000 rows, half of them known", 512, func(w io.Writer) error { return wideCSV(w, rows-50_000, rows+50_000) }, "dataset", "upload", "people", "-")
	bounded(fmt.Sprintf("ingest of %d events", visits), 512, func(w io.Writer) error { return visitsCSV(w, visits, rows) }, "dataset", "upload", "visits", "-")
	for i := range 50 {
		run("audience", "create", fmt.Sprint("a", i), "--rule", fmt.Sprintf(`n > %d and f1.contains("%d") and xEvent[kind = "k%d"].count() >= 1`, i, i%10, i%7))
	}
	run("audience", "create", "all", "--rule", "n >= 0")
	bounded("evaluation of 51 rules", 512, none, "audience", "evaluate")
	bounded("compaction", 512, none, "data", "compact")
	run("account", "create", "lake", "--url", "abfss://container@account.dfs.core.windows.net", "--sign-in", "managed-identity", "--untested")
	for _, d := range [][]string{{"CSV", "NONE"}, {"CSV", "GZIP"}, {"JSON", "NONE"}, {"PARQUET", "SNAPPY", "--extensions"}} {
		name := strings.ToLower(d[0] + d[1])
		run(append([]string{"destination", "create", name, "--account", "lake", "--path", "/" + name, "--file-type", d[0], "--compression", d[1], "--untested"}, d[2:]...)...)
		flow := []string{"dataflow", "create", name, "--destination", name, "--audience", "all", "--map", "identityMap.Email=mail", "--map", "n=n", "--map", "d=d"}
		for i := range 18 {
			flow = append(flow, "--map", fmt.Sprintf("f%d=f%d", i, i))
		}
		run(flow...)
		folder := filepath.Join(t.TempDir(), name)
		bounded("export as "+name+", with deduplication", 200, none, "export", "--dataflow", name, "--to", folder)
		_ = os.RemoveAll(folder)
	}
}

// wideCSV writes the rows from to before end.
func wideCSV(w io.Writer, from, end int) error {
	header := "id,mail,n,d"
	for i := range 18 {
		header += fmt.Sprint(",f", i)
	}
	if _, err := fmt.Fprintln(w, header); err != nil {
		return err
	}
	for r := from; r < end; r++ {
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

func visitsCSV(w io.Writer, visits, rows int) error {
	if _, err := fmt.Fprintln(w, "_id,timestamp,id,kind"); err != nil {
		return err
	}
	for r := range visits {
		if _, err := fmt.Fprintf(w, "e%d,2026-01-%02dT10:00:00Z,p%d,k%d\n", r, 1+r%28, (r*31)%rows, r%9); err != nil {
			return err
		}
	}
	return nil
}
