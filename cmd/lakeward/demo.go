package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/engine"
	"github.com/lakeward/lakeward/internal/lake/emulator"
	"github.com/lakeward/lakeward/internal/sample"
)

// The things that the demo makes, by name.
const (
	demoAccount     = "local lake"
	demoSchema      = "customer"
	demoDataset     = "customers"
	demoDestination = "demo files"
	demoDataflow    = "demo"
	demoFolder      = "demo/audiences"
)

// demoAudiences are the two audiences by rule.
func demoAudiences() []lakeward.Audience {
	return []lakeward.Audience{
		{Name: "Gold with newsletter", Rule: `loyalty.tier in ["gold", "platinum"] and optIn = true`},
		{Name: "Good customers abroad", Rule: `lifetimeValue >= 1500 and homeAddress.countryCode notIn ["US", "CH"]`},
	}
}

const demoImport = "Autumn campaign"

// demoMapping is attributes and one identity namespace.
func demoMapping() []string {
	return []string{"identityMap.Email=email", "crm.customerId=customer", "person.name.firstName=first_name", "person.name.lastName=last_name", "person.birthDate=birthday",
		"homeAddress.city=city", "homeAddress.countryCode=country", "loyalty.tier=tier", "loyalty.points=points", "lifetimeValue=lifetime_value", "optIn=newsletter", "lastPurchase=last_purchase", "notes"}
}

// demo is one demonstration.
type demo struct {
	app      *app
	profiles int
	started  time.Time
	fresh    bool // the sample is new, or larger than before
}

const defaultDemoDir = "./lakeward-demo"

func demoCommand(a *app) *cobra.Command {
	d := demo{app: a}
	var dir string
	var serve, show bool
	c := &cobra.Command{Use: "demo", Short: "Sample data, a local lake, and verified exports, in one command", Args: noArgs, RunE: func(c *cobra.Command, _ []string) error {
		if d.profiles < 1 || d.profiles > 50_000_000 {
			return usage("--profiles is a number from 1 to 50,000,000")
		}
		a.settings.data = dir
		if show {
			return d.printCommands(a.env.out)
		}
		if serve {
			return d.serve(c.Context())
		}
		return d.run(c.Context())
	}}
	c.Flags().StringVar(&dir, "dir", defaultDemoDir, "data directory of the demo")
	c.PersistentFlags().IntVar(&d.profiles, "profiles", 10_000, "number of sample profiles")
	c.Flags().BoolVar(&serve, "serve", false, "keep the service running with this data")
	c.Flags().BoolVar(&show, "print", false, "list the commands that the demo consists of")
	c.AddCommand(demoData(a, &d.profiles))
	return c
}

// demoData writes the sample alone.
func demoData(a *app, profiles *int) *cobra.Command {
	var out, schema, list string
	c := &cobra.Command{Use: "data --out FILE", Short: "Write the sample data", Args: noArgs, RunE: func(*cobra.Command, []string) error {
		if out == "" && schema == "" && list == "" {
			return usage("at least one of --out, --schema and --import is needed")
		}
		writes := []struct {
			name  string
			write func(io.Writer) error
		}{
			{out, func(w io.Writer) error { return sample.Profiles(w, *profiles) }},
			{schema, func(w io.Writer) error { _, err := io.WriteString(w, sample.Schema); return err }},
			{list, func(w io.Writer) error { return sample.Import(w, *profiles) }},
		}
		for _, f := range writes {
			if f.name == "" {
				continue
			}
			if err := a.writeFile(f.name, f.write); err != nil {
				return err
			}
		}
		return nil
	}}
	c.Flags().StringVar(&out, "out", "", "CSV file of the profiles, or -")
	c.Flags().StringVar(&schema, "schema", "", "JSON Schema file, or -")
	c.Flags().StringVar(&list, "import", "", "CSV file for an audience import, or -")
	return c
}

// writeFile writes a file whole or not at all; - is standard output.
func (a *app) writeFile(name string, write func(io.Writer) error) error {
	if name == "-" {
		return write(a.env.out)
	}
	tmp, err := os.CreateTemp(filepath.Dir(name), ".lakeward-*")
	if err != nil {
		return fileError(name, err)
	}
	err = errors.Join(write(tmp), tmp.Chmod(0o644), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), name)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
	return err
}

// demoRun is a run in the demo's JSON.
type demoRun struct {
	ID           lakeward.RunID   `json:"id"`
	Audience     string           `json:"audience"`
	Members      int64            `json:"members"`
	Profiles     int64            `json:"profiles"`
	Rows         int64            `json:"rows"`
	Excluded     map[string]int64 `json:"excluded"`
	Deduplicated int64            `json:"deduplicated"`
	Manifest     string           `json:"manifest"`
	Files        []demoFile       `json:"files"`
}

type demoFile struct {
	Path      string `json:"path"`
	LocalPath string `json:"localPath"`
	Rows      int64  `json:"rows"`
	Bytes     int64  `json:"bytes"`
	SHA256    string `json:"sha256"`
}

// demoResult is the demo's JSON.
type demoResult struct {
	DataDir string    `json:"dataDir"`
	Runs    []demoRun `json:"runs"`
	Seconds float64   `json:"seconds"`
}

// run makes the lake, the data and the exports, and reports them.
func (d *demo) run(ctx context.Context) (err error) {
	d.started = time.Now()
	dir, err := d.app.open(ctx, openOptions{create: true, command: "demo", retry: commandRetry(), lake: true})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.close()) }()
	return d.export(ctx, dir)
}

// serve does the same inside a service that goes on.
func (d *demo) serve(ctx context.Context) error {
	d.started = time.Now()
	json := d.app.settings.output == "json"
	return d.app.serve(ctx, service{listen: defaultListen, lake: true, before: func(ctx context.Context, dir *directory) error {
		if json { // one line alone, when the service is ready
			_, err := d.deliver(ctx, dir)
			return err
		}
		return d.export(ctx, dir)
	}})
}

func (d *demo) export(ctx context.Context, dir *directory) error {
	result, err := d.deliver(ctx, dir)
	if err != nil {
		return err
	}
	if d.app.settings.output == "json" {
		return json.NewEncoder(d.app.env.out).Encode(result)
	}
	return d.report(result)
}

// deliver makes what is not there yet, exports every audience, and reads everything back.
func (d *demo) deliver(ctx context.Context, dir *directory) (demoResult, error) {
	result := demoResult{DataDir: d.app.settings.data}
	for _, step := range []func(context.Context, *directory) error{d.makeDataset, d.makeAudiences, d.makeDataflow} {
		if err := step(ctx, dir); err != nil {
			return result, err
		}
	}
	runs, err := dir.runNow(ctx, lakeward.DefaultSandbox, demoDataflow, nil)
	if err != nil {
		return result, err
	}
	if err := d.app.reportFailed(runs); err != nil {
		return result, err
	}
	for _, r := range runs {
		v, err := dir.engine.VerifyRun(ctx, lakeward.DefaultSandbox, string(r.ID))
		if err != nil {
			return result, err
		}
		if !v.OK() {
			return result, &lakeward.Error{Kind: lakeward.Internal, Code: lakeward.FailIntegrity, Msg: fmt.Sprintf("run %s: %s: %s", r.ID, v.Problems[0].Path, v.Problems[0].What)}
		}
		result.Runs = append(result.Runs, d.runResult(r))
	}
	result.Seconds = time.Since(d.started).Round(time.Millisecond).Seconds()
	return result, nil
}

func (d *demo) runResult(r lakeward.Run) demoRun {
	out := demoRun{ID: r.ID, Audience: r.Plan.Audience.Name, Members: r.Counts.Received, Profiles: r.Counts.Activated, Rows: r.Counts.Rows, Deduplicated: r.Counts.Deduplicated,
		Manifest: r.Manifest, Excluded: map[string]int64{}}
	for code, n := range map[string]int64{"DEST-EXCL-MANDATORY": r.Counts.ExcludedMandatory, "DEST-EXCL-IDENTITY": r.Counts.ExcludedIdentity, "DEST-EXCL-OPTOUT": r.Counts.ExcludedConsent} {
		if n > 0 {
			out.Excluded[code] = n
		}
	}
	for _, f := range r.Files {
		out.Files = append(out.Files, demoFile{Path: f.Path, LocalPath: filepath.Join(d.app.settings.data, "lake", emulator.DefaultAccount, emulator.DefaultContainer, filepath.FromSlash(f.Path)),
			Rows: f.Rows, Bytes: f.Bytes, SHA256: f.SHA256})
	}
	return out
}

// missing reports whether nothing of a name is there yet.
func missing(err error) (bool, error) {
	if lakeward.KindOf(err) == lakeward.NotFound {
		return true, nil
	}
	return false, err
}

// makeDataset makes namespace, schema and dataset, and uploads the sample unless it is there.
func (d *demo) makeDataset(ctx context.Context, dir *directory) error {
	_, err := dir.engine.CreateNamespace(ctx, lakeward.Namespace{Sandbox: lakeward.DefaultSandbox, Code: sample.Namespace, Name: "Customer number", Type: lakeward.CrossDevice})
	if err != nil && lakeward.KindOf(err) != lakeward.Conflict {
		return err
	}
	_, err = dir.store.Schema(ctx, lakeward.DefaultSandbox, demoSchema)
	if none, err := missing(err); err != nil {
		return err
	} else if none {
		fields, err := lakeward.ParseSchema([]byte(sample.Schema), "")
		if err != nil {
			return err
		}
		if _, err := dir.engine.CreateSchema(ctx, lakeward.Schema{Sandbox: lakeward.DefaultSandbox, Name: demoSchema, Class: lakeward.RecordClass, Profile: true, Fields: fields}); err != nil {
			return err
		}
	}
	ds, err := dir.store.Dataset(ctx, lakeward.DefaultSandbox, demoDataset)
	if none, err := missing(err); err != nil {
		return err
	} else if none {
		if ds, err = dir.engine.CreateDataset(ctx, lakeward.Dataset{Sandbox: lakeward.DefaultSandbox, Name: demoDataset}, demoSchema); err != nil {
			return err
		}
	}
	batches, err := dir.store.Batches(ctx, ds)
	if err != nil {
		return err
	}
	for _, b := range batches {
		if b.Rows >= int64(d.profiles) {
			return nil // the sample is there; a larger one begins with a smaller one
		}
	}
	d.fresh = true
	r, w := io.Pipe()
	go func() { w.CloseWithError(sample.Profiles(w, d.profiles)) }()
	defer r.Close()
	show, done := d.app.progress("upload sample")
	defer done()
	_, err = dir.engine.UploadDataset(ctx, engine.Upload{Sandbox: lakeward.DefaultSandbox, Dataset: demoDataset, Name: "customers.csv", Progress: show}, r)
	return err
}

// makeAudiences makes the audiences and computes their members.
func (d *demo) makeAudiences(ctx context.Context, dir *directory) error {
	for _, a := range demoAudiences() {
		_, err := dir.store.Audience(ctx, lakeward.DefaultSandbox, a.Name)
		if none, err := missing(err); err != nil {
			return err
		} else if none {
			a.Sandbox = lakeward.DefaultSandbox
			if _, err := dir.engine.CreateAudience(ctx, a); err != nil {
				return err
			}
		}
	}
	_, err := dir.store.Audience(ctx, lakeward.DefaultSandbox, demoImport)
	if none, err := missing(err); err != nil {
		return err
	} else if none || d.fresh {
		var b bytes.Buffer
		if err := sample.Import(&b, d.profiles); err != nil {
			return err
		}
		im := engine.Import{Audience: lakeward.Audience{Sandbox: lakeward.DefaultSandbox, Name: demoImport, Namespace: "Email"}, Identity: "email", Name: "autumn.csv"}
		if _, err := dir.engine.ImportAudience(ctx, im, &b); err != nil {
			return err
		}
	}
	show, done := d.app.progress("evaluate audiences")
	defer done()
	_, err = dir.engine.Evaluate(ctx, lakeward.DefaultSandbox, nil, show)
	return err
}

// makeDataflow connects to the lake and makes destination and dataflow.
func (d *demo) makeDataflow(ctx context.Context, dir *directory) error {
	_, err := dir.store.Account(ctx, lakeward.DefaultSandbox, demoAccount)
	if none, err := missing(err); err != nil {
		return err
	} else if none {
		if err := d.connect(ctx, dir); err != nil {
			return err
		}
	}
	_, err = dir.store.Destination(ctx, lakeward.DefaultSandbox, demoDestination)
	if none, err := missing(err); err != nil {
		return err
	} else if none {
		dest := lakeward.Destination{Sandbox: lakeward.DefaultSandbox, Name: demoDestination, Folder: demoFolder, FileType: lakeward.CSV, Compression: lakeward.Gzip, CSV: lakeward.DefaultCSV(), Manifest: true}
		if _, err := dir.engine.CreateDestination(ctx, dest, demoAccount, false); err != nil {
			return err
		}
	}
	_, err = dir.store.Dataflow(ctx, lakeward.DefaultSandbox, demoDataflow)
	none, err := missing(err)
	if err != nil || !none {
		return err
	}
	f := dataflowFlags{fileName: lakeward.DefaultFileName}
	for _, column := range demoMapping() {
		if err := (&columnFlag{&f.columns, lakeward.PathSource}).Set(column); err != nil {
			return err
		}
	}
	for _, a := range demoAudiences() {
		f.audiences = append(f.audiences, a.Name)
	}
	f.audiences = append(f.audiences, demoImport)
	flow := lakeward.Dataflow{Name: demoDataflow, Sandbox: lakeward.DefaultSandbox, EvaluateFirst: true}
	if err := f.apply(func(string) bool { return false }, &flow); err != nil {
		return err
	}
	_, err = dir.engine.CreateDataflow(ctx, flow, demoDestination)
	return err
}

// connect stores the credentials of the lake, as they would be those of Azure.
func (d *demo) connect(ctx context.Context, dir *directory) error {
	b, err := os.ReadFile(filepath.Join(d.app.settings.data, "lake", ".meta", "endpoints.json"))
	if err != nil {
		return err
	}
	var e emulator.Endpoints
	if err := json.Unmarshal(b, &e); err != nil {
		return err
	}
	location := lakeward.Location{Container: emulator.DefaultContainer, Account: emulator.DefaultAccount, Suffix: lakeward.EmulatorSuffix}
	acc := lakeward.Account{Sandbox: lakeward.DefaultSandbox, Name: demoAccount, URL: location.URL(), Tenant: e.Tenant, ClientID: e.ClientID, Key: lakeward.NewSecret(e.ClientSecret)}
	_, _, err = dir.engine.CreateAccount(ctx, acc, false)
	return err
}

// report says in a few lines what was done, where the files are, what reads them, and where to go next.
func (d *demo) report(r demoResult) error {
	var b strings.Builder
	fmt.Fprintf(&b, "Lakeward exported %d audiences to the lake and read every file back, in %.1f s.\n\n", len(r.Runs), r.Seconds)
	var first demoFile
	for _, run := range r.Runs {
		excluded := int64(0)
		for _, n := range run.Excluded {
			excluded += n
		}
		fmt.Fprintf(&b, "%s: %d members = %d written + %d excluded + %d deduplicated; %d rows\n", run.Audience, run.Members, run.Profiles, excluded, run.Deduplicated, run.Rows)
		for _, f := range run.Files {
			fmt.Fprintf(&b, "  %s\n", f.LocalPath)
			if first.Rows == 0 {
				first = f
			}
		}
	}
	fmt.Fprintf(&b, "\nRead one:\n  gzip -dc '%s' | head -3\n", first.LocalPath)
	fmt.Fprintf(&b, "  duckdb -c \"SELECT * FROM read_csv('%s', header = true, quote = '\\\"', escape = '\\', nullstr = 'null') LIMIT 3\"\n", first.LocalPath)
	fmt.Fprintf(&b, "\nNext:\n  lakeward run list --data %[1]s        the runs and their books\n  lakeward demo --print --dir %[1]s     the commands that this consisted of\n  lakeward demo --serve --dir %[1]s     keep the service running\n", r.DataDir)
	_, err := io.WriteString(d.app.env.out, b.String())
	return err
}

// printCommands lists the public commands that the demo consists of.
func (d *demo) printCommands(w io.Writer) error {
	dir := d.app.settings.data
	lines := []string{
		"export LAKEWARD_DATA=" + quoteShell(dir),
		fmt.Sprintf("lakeward demo data --profiles %d --out customers.csv --schema customer.json --import autumn.csv", d.profiles),
		"lakeward lake serve & LAKE=$!   # goes on in the background; stop it with: kill $LAKE",
		`until lakeward lake env >/dev/null 2>&1; do sleep 0.1; done`,
		"lakeward namespace create " + sample.Namespace + " --name 'Customer number' --type 'Cross-Device ID'",
		"lakeward schema create " + demoSchema + " --file customer.json",
		"lakeward dataset create " + demoDataset + " --schema " + demoSchema,
		"lakeward dataset upload " + demoDataset + " customers.csv",
	}
	for _, a := range demoAudiences() {
		lines = append(lines, "lakeward audience create "+quoteShell(a.Name)+" --rule "+quoteShell(a.Rule))
	}
	lines = append(lines,
		"lakeward audience import autumn.csv --name "+quoteShell(demoImport)+" --identity email --namespace Email",
		"lakeward audience evaluate",
		`eval "$(lakeward lake env --show-secret | grep ^AZURE_)"`,
		fmt.Sprintf(`printf %%s "$AZURE_CLIENT_SECRET" | lakeward account create %s --url abfss://%s@%s.dfs.%s --tenant "$AZURE_TENANT_ID" --client-id "$AZURE_CLIENT_ID" --key-file -`,
			quoteShell(demoAccount), emulator.DefaultContainer, emulator.DefaultAccount, lakeward.EmulatorSuffix),
		"lakeward destination create "+quoteShell(demoDestination)+" --account "+quoteShell(demoAccount)+" --path "+demoFolder+" --compression GZIP --manifest")
	flow := "lakeward dataflow create " + demoDataflow + " --destination " + quoteShell(demoDestination)
	for _, a := range demoAudiences() {
		flow += " --audience " + quoteShell(a.Name)
	}
	flow += " --audience " + quoteShell(demoImport)
	for _, m := range demoMapping() {
		flow += " --map " + m
	}
	lines = append(lines, flow, "lakeward dataflow run "+demoDataflow, "lakeward run list")
	_, err := io.WriteString(w, strings.Join(lines, "\n")+"\n")
	return err
}

// quoteShell makes a word of s for a shell.
func quoteShell(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-") == "" && s != "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
