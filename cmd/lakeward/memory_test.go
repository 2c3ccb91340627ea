package main

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
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

// limited runs the program on a data directory in groups that have no more memory.
type limited struct {
	t         *testing.T
	bin, data string
}

func newLimited(t *testing.T) limited {
	l := limited{t, program(t), filepath.Join(t.TempDir(), "data")}
	l.run("namespace", "create", "CRM")
	return l
}

func (l limited) run(args ...string) { ok(l.t, "", append(args, "--data", l.data)...) }

// schema makes a schema and a dataset of it, both with that name.
func (l limited) schema(name, fields string, args ...string) {
	file := filepath.Join(l.t.TempDir(), name+".json")
	writeFile(l.t, file, `{"properties": {`+fields+`}}`)
	l.run(append([]string{"schema", "create", name, "--file", file}, args...)...)
	l.run("dataset", "create", name, "--schema", name)
}

// within runs a command with so many MiB.
func (l limited) within(what string, limit int64, stdin func(io.Writer) error, args ...string) {
	l.t.Helper()
	start := time.Now()
	g := newCgroup(l.t, limit<<20)
	defer func() { _ = os.Remove(g.dir) }()
	peak := g.run(l.t, l.bin, stdin, append(args, "--data", l.data)...)
	l.t.Logf("%s: peak %d MiB, limit %d, %.1f s", what, peak>>20, limit, time.Since(start).Seconds())
}

// exports writes the audience "all" in each form with 200 MiB.
func (l limited) exports(sources ...string) {
	l.t.Helper()
	l.run("account", "create", "lake", "--url", "abfss://container@account.dfs.core.windows.net", "--sign-in", "managed-identity", "--untested")
	for _, d := range [][]string{{"CSV", "NONE"}, {"CSV", "GZIP"}, {"JSON", "NONE"}, {"PARQUET", "SNAPPY", "--extensions"}} {
		name := strings.ToLower(d[0] + d[1])
		l.run(append([]string{"destination", "create", name, "--account", "lake", "--path", "/" + name, "--file-type", d[0], "--compression", d[1], "--untested"}, d[2:]...)...)
		flow := []string{"dataflow", "create", name, "--destination", name, "--audience", "all"}
		for _, s := range sources {
			flow = append(flow, "--map", s+"="+strings.TrimPrefix(s, "identityMap."))
		}
		l.run(flow...)
		folder := filepath.Join(l.t.TempDir(), name)
		l.within("export as "+name, 200, nothing, "export", "--dataflow", name, "--to", folder)
		_ = os.RemoveAll(folder)
	}
}

func nothing(io.Writer) error { return nil }

// texts are the names of so many fields, and their definitions.
func texts(n int) (names []string, definitions string) {
	for i := range n {
		names = append(names, fmt.Sprint("f", i))
		definitions += fmt.Sprintf(`, "f%d": {"type": "string"}`, i)
	}
	return names, definitions
}

// Ingest, evaluation, compaction and exports stay within their memory, whatever the size of the data: the program runs in
// a group that has no more. In full, ten million profiles are stored, each with a deduplication key of its own.
func TestMemoryStaysBounded(t *testing.T) {
	rows, visits := 150_000, 300_000
	if os.Getenv("LAKEWARD_TEST_FULL") != "" {
		rows, visits = 10_000_000, 6_000_000
	}
	l := newLimited(t)
	names, fields := texts(18)
	l.schema("people", `"id": {"type": "string", "identity": {"namespace": "CRM", "primary": true}}, "mail": {"type": "string", "identity": {"namespace": "Email"}}, "n": {"type": "integer"}, "d": {"type": "number"}`+fields)
	l.schema("visits", `"_id": {"type": "string"}, "timestamp": {"type": "string", "format": "date-time"}, "id": {"type": "string", "identity": {"namespace": "CRM", "primary": true}}, "kind": {"type": "string"}`, "--class", "event")
	l.within(fmt.Sprintf("ingest of %d rows", rows), 512, func(w io.Writer) error { return wideCSV(w, 0, rows) }, "dataset", "upload", "people", "-")
	l.within("ingest of 100000 rows, half of them known", 512, func(w io.Writer) error { return wideCSV(w, rows-50_000, rows+50_000) }, "dataset", "upload", "people", "-")
	l.within(fmt.Sprintf("ingest of %d events", visits), 512, func(w io.Writer) error { return visitsCSV(w, visits, rows) }, "dataset", "upload", "visits", "-")
	for i := range 50 {
		l.run("audience", "create", fmt.Sprint("a", i), "--rule", fmt.Sprintf(`n > %d and f1.contains("%d") and xEvent[kind = "k%d"].count() >= 1`, i, i%10, i%7))
	}
	l.run("audience", "create", "all", "--rule", "n >= 0")
	l.within("evaluation of 51 rules", 512, nothing, "audience", "evaluate")
	l.within("compaction", 512, nothing, "data", "compact")
	l.exports(append([]string{"identityMap.Email", "n", "d"}, names...)...)
}

// The same for rows of 100 KB, which none of the chunks and pages can hold thousands of. Ingest, whose goroutines hold some
// pieces each, needs more than for short rows, though not more for more rows.
func TestMemoryOfLongRows(t *testing.T) {
	rows := 2_000
	if os.Getenv("LAKEWARD_TEST_FULL") != "" {
		rows = 20_000
	}
	l := newLimited(t)
	names, fields := texts(20)
	l.schema("people", `"id": {"type": "string", "identity": {"namespace": "CRM", "primary": true}}`+fields)
	l.within(fmt.Sprintf("ingest of %d rows", rows), 768, func(w io.Writer) error { return longCSV(w, rows) }, "dataset", "upload", "people", "-")
	l.run("audience", "create", "all", "--rule", "id.isNotNull()")
	l.within("evaluation", 200, nothing, "audience", "evaluate")
	l.within("compaction", 512, nothing, "data", "compact")
	l.exports(names...)
}

// longCSV writes rows of 20 texts of 5,000 bytes that cannot be packed well.
func longCSV(w io.Writer, rows int) error {
	rnd := rand.New(rand.NewPCG(31, 32))
	random := make([]byte, 1<<20)
	for i := range random {
		random[i] = "abcdefghijklmnopqrstuvwxyz0123456789"[rnd.IntN(36)]
	}
	names, _ := texts(20)
	line := []byte("id," + strings.Join(names, ",") + "\n")
	for r := range rows + 1 {
		if _, err := w.Write(line); err != nil {
			return err
		}
		line = fmt.Appendf(line[:0], "p%d", r)
		for range names {
			at := rnd.IntN(len(random) - 5000)
			line = append(append(line, ','), random[at:at+5000]...)
		}
		line = append(line, '\n')
	}
	return nil
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
