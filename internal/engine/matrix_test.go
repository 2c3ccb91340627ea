package engine_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/engine"
	"github.com/lakeward/lakeward/internal/lake/emulator"
	"github.com/lakeward/lakeward/internal/lake/emulator/emulatortest"
)

// needs skips the test if a part is missing, by name; LAKEWARD_TEST_REQUIRE makes missing parts failures.
func needs(t *testing.T, part string, probe ...string) {
	t.Helper()
	out, err := exec.Command(probe[0], probe[1:]...).CombinedOutput()
	if err == nil {
		return
	}
	if slices.Contains(strings.Split(os.Getenv("LAKEWARD_TEST_REQUIRE"), ","), part) {
		t.Fatalf("%s is required and missing: %v\n%s", part, err, out)
	}
	t.Skipf("%s is missing (%s); install it to run this test", part, strings.Join(probe, " "))
}

const matrixSchema = `{"properties": {
  "id": {"type": "string", "identity": {"namespace": "ECID", "primary": true}},
  "mail": {"type": "string", "identity": {"namespace": "Email"}}, "mail2": {"type": "string", "identity": {"namespace": "Email"}},
  "text": {"type": "string"}, "score": {"type": "number"}, "big": {"type": "integer"}, "age": {"type": "integer", "xdmType": "int"},
  "born": {"type": "string", "format": "date"}, "seen": {"type": "string", "format": "date-time"}, "vip": {"type": "boolean"},
  "price": {"type": "number", "xdmType": "decimal", "scale": 2},
  "tags": {"type": "array", "items": {"type": "string"}}, "points": {"type": "object", "additionalProperties": {"type": "integer"}},
  "person": {"type": "object", "properties": {"name": {"type": "object", "properties": {"first": {"type": "string"}, "last": {"type": "string"}}}}},
  "kind": {"type": "string"}}}`

// matrixTexts are texts that need care, by what readers can make of them: "tame" under any options, "single" if the single
// quote is the escape character, "all" only with the back slash.
func matrixTexts() map[string][]any {
	return map[string][]any{
		"tame":   {"tame 1", nil, "", "Zürich", "日本語", "😀", "  blanks  ", "#x", "=1+1", "1e5", "\u00a0nbsp", "true"},
		"single": {"a,b", "a;b|c:d\te", "line\nfeed", "carriage\rreturn", "cr\r\nlf", `say "hi"`, `"`, `x,\`, `back\slash,x`, `""`, "\u2028sep", `a,"b",c`},
		"all":    {"it's", "it's,so", `'"`, `"'`, `\'`, `x,'\`, "'", `\"`},
	}
}

// matrixRow is a row of the oracle: the values as JSON has them, and those texts that FMT-10a lays out.
type matrixRow map[string]any

// matrixPeople makes the upload and, for each audience, the rows that must be delivered.
func matrixPeople() (ndjson string, rows map[string][]matrixRow) {
	scores := []any{1.5, nil, 1e7, 1e-7, -0.25, 123456.789}
	texts := []string{"1.5", "", "1.0E7", "1.0E-7", "-0.25", "123456.789"}
	bigs, ages, vips := []any{int64(9007199254740993), nil, int64(-7), int64(0)}, []any{int64(30), nil, int64(-1)}, []any{true, nil, false}
	borns, seens := []any{"1999-12-31", nil, "1970-01-01", "0001-01-01"}, []any{"2024-01-01T23:59:59.000Z", nil, "1969-12-31T23:59:59.999Z"}
	prices := []string{"1.50", "", "-0.01", "1234567890123456.78"}
	tags := []any{[]any{"x", "y,z"}, nil, []any{}, []any{nil, `q"`}}
	points := []any{map[string]any{"shop": int64(3), "web": nil}, nil, map[string]any{}}
	persons := []any{map[string]any{"name": map[string]any{"first": "Ann", "last": nil}}, nil}
	var b strings.Builder
	rows = map[string][]matrixRow{}
	n := 0
	for _, kind := range []string{"tame", "single", "all"} {
		for _, text := range matrixTexts()[kind] {
			at := func(list []any) any { return list[n%len(list)] }
			r := matrixRow{"text": text, "score": at(scores), "scoreText": texts[n%len(texts)], "big": at(bigs), "age": at(ages), "vip": at(vips), "born": at(borns), "seen": at(seens),
				"priceText": prices[n%len(prices)], "price": nil, "tags": at(tags), "points": at(points), "person": at(persons), "status": "realized"}
			if p := prices[n%len(prices)]; p != "" {
				r["price"] = json.Number(p)
			}
			up := matrixRow{"id": fmt.Sprintf("id-%03d", n), "kind": kind}
			mails := []string{fmt.Sprintf("m%d@x.org", n)}
			if n%5 == 0 {
				mails = append(mails, fmt.Sprintf("n%d@x.org", n))
				up["mail2"] = mails[1]
			}
			up["mail"] = mails[0]
			for _, f := range []string{"text", "score", "big", "age", "born", "seen", "vip", "price", "tags", "points", "person"} {
				if r[f] != nil || f != "person" { // an object that is not there has no key
					up[f] = r[f]
				}
			}
			line, _ := json.Marshal(up)
			b.Write(append(line, '\n'))
			for _, mail := range mails {
				row := matrixRow{"mail": mail}
				for k, v := range r {
					row[k] = v
				}
				for _, audience := range []string{"tame", "single", "all"} {
					if kind == "tame" || kind == audience || audience == "all" {
						rows[audience] = append(rows[audience], row)
					}
				}
			}
			n++
		}
	}
	return b.String(), rows
}

// combination is one cell of the matrix, as readers get to know it.
type combination struct {
	Name        string              `json:"name"`
	FileType    string              `json:"fileType"`
	Compression string              `json:"compression"`
	Encrypted   bool                `json:"encrypted"`
	CSV         lakeward.CSVOptions `json:"csv"`
	Audience    string              `json:"audience"`
	Columns     []string            `json:"columns"`
	Files       []string            `json:"files"`

	dest lakeward.Destination
}

// combinations lists the matrix: type x options x compression x encryption x split. The extensions of CSV go around with it.
func combinations() (out []combination) {
	flags := []bool{false, true}
	flat := []string{"mail", "text", "score", "big", "age", "born", "seen", "vip", "price", "status"}
	add := func(d lakeward.Destination, audience string, columns []string) {
		for _, packed := range []lakeward.Compression{lakeward.NoCompression, lakeward.Gzip, lakeward.Zstd, lakeward.Snappy, lakeward.LZ4} {
			if d.FileType == lakeward.Parquet && packed == lakeward.LZ4 {
				continue // refused
			}
			for n := range 4 {
				d := d
				d.Compression, d.Extensions, d.Manifest = packed, true, flags[len(out)&1]
				if flags[n&1] {
					d.RowsPerFile = 7
				}
				if d.FileType == lakeward.CSV {
					x := len(out) * 7
					d.CSV.HeaderOff, d.CSV.BOM, d.CSV.CRLF, d.CSV.QuoteAll = x&1 != 0, x&2 != 0, x&4 != 0, x&8 != 0 && d.CSV.Quote != ""
				}
				c := combination{FileType: string(d.FileType), Compression: string(packed), Encrypted: flags[n>>1], CSV: d.CSV, Audience: audience, Columns: columns, dest: d}
				c.Name = fmt.Sprintf("%d: %s %s encrypted %t rows per file %d %+v", len(out), d.FileType, packed, c.Encrypted, d.RowsPerFile, d.CSV)
				out = append(out, c)
			}
		}
	}
	nested := append(slices.Clone(flat), "tags", "points", "person")
	for _, t := range []lakeward.FileType{lakeward.JSON, lakeward.Parquet} {
		add(lakeward.Destination{FileType: t}, "all", flat)
		add(lakeward.Destination{FileType: t, Nested: true}, "all", nested)
	}
	for _, delimiter := range []string{",", "\t", "|", ";", ":"} {
		for _, quote := range []string{`"`, ""} {
			for _, escape := range []string{`\`, "'"} {
				for _, empty := range []string{"", "null", `""`} {
					for _, null := range []string{"", "null", `""`} {
						audience, columns := "all", flat
						switch {
						case quote == "": // times hold the colon
							audience, columns = "tame", slices.DeleteFunc(slices.Clone(flat), func(c string) bool { return c == "seen" })
						case escape == "'":
							audience = "single"
						}
						add(lakeward.Destination{FileType: lakeward.CSV, CSV: lakeward.CSVOptions{Delimiter: delimiter, Quote: quote, Escape: escape, Empty: empty, Null: null}}, audience, columns)
					}
				}
			}
		}
	}
	return out
}

// S15, INV-04, INV-24, INV-25: what is delivered in every combination of type, options, compression, encryption and split is
// read by Python, DuckDB, pyarrow and gpg and has the values, types and nulls that were uploaded. A sample runs always, all
// of it with LAKEWARD_TEST_FULL.
func TestFormatMatrix(t *testing.T) {
	needs(t, "pyarrow", "python3", "-c", "import duckdb, pyarrow")
	needs(t, "gpg", "gpg", "--version")
	home, text := gpgKey(t)
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	ndjson, rows := matrixPeople()
	w.profileDataset("people", matrixSchema)
	must[lakeward.Batch](t)(w.UploadDataset(t.Context(), engine.Upload{Sandbox: sandbox, Dataset: "people", Name: "people.ndjson"}, strings.NewReader(ndjson)))
	w.audience("tame", `kind = "tame"`)
	w.audience("single", `kind in ["tame", "single"]`)
	w.audience("all", `id != "0"`)

	list := combinations()
	all := len(list)
	if os.Getenv("LAKEWARD_TEST_FULL") == "" {
		rnd := rand.New(rand.NewPCG(4, 2))
		rnd.Shuffle(len(list), func(i, k int) { list[i], list[k] = list[k], list[i] })
		slices.SortStableFunc(list, func(a, b combination) int { return strings.Compare(b.FileType, a.FileType) })
		list = slices.Concat(list[:16], list[40:56], list[80:112]) // of Parquet, JSON and CSV
	}
	accounts := map[bool]string{false: w.account(""), true: w.account(text)}
	for i := range list {
		c := &list[i]
		c.dest.Folder = fmt.Sprintf("m/%04d", i)
		var mapping []lakeward.Mapping
		for _, name := range c.Columns {
			source := map[string]string{"mail": "identityMap.Email", "status": "segmentMembership.seg_namespace.seg_id.status"}[name]
			if source == "" {
				source = name
			}
			mapping = append(mapping, named(source, name))
		}
		r := w.export(w.into(accounts[c.Encrypted], c.dest, c.Audience, mapping))
		if r.State != lakeward.Succeeded {
			t.Fatalf("%s: run is %s, cause %+v", c.Name, r.State, r.Cause)
		}
		if v := must[lakeward.Verification](t)(w.VerifyRun(t.Context(), sandbox, string(r.ID))); !v.OK() {
			t.Errorf("%s: verify %+v", c.Name, v.Problems)
		}
		for _, f := range r.Files {
			c.Files = append(c.Files, w.path(f.Path))
		}
	}
	jobs := filepath.Join(t.TempDir(), "jobs.json")
	data := must[[]byte](t)(json.Marshal(map[string]any{"jobs": list, "rows": rows, "gpgHome": home}))
	write(t, jobs, data)
	out, err := exec.Command("python3", "testdata/formats.py", jobs).CombinedOutput()
	if err != nil {
		t.Fatalf("formats.py: %v\n%s", err, out)
	}
	t.Logf("%d of %d combinations; %s", len(list), all, out)
}

// account makes an account with or without an encryption key and returns its name.
func (w *world) account(key string) string {
	w.t.Helper()
	a := emulatortest.Account(w.lake)
	a.Name = lakeward.NewID()
	if key != "" {
		a.EncryptionKey = &lakeward.EncryptionKey{PublicKey: key}
	}
	if _, _, err := w.CreateAccount(w.t.Context(), a, true); err != nil {
		w.t.Fatal(err)
	}
	return a.Name
}

// into makes a destination of an account and a dataflow of one audience into it.
func (w *world) into(account string, dest lakeward.Destination, audience string, mapping []lakeward.Mapping) lakeward.Dataflow {
	w.t.Helper()
	dest.Name, dest.Sandbox = lakeward.NewID(), sandbox
	must[lakeward.Destination](w.t)(w.CreateDestination(w.t.Context(), dest, account, true))
	return must[lakeward.Dataflow](w.t)(w.CreateDataflow(w.t.Context(), lakeward.Dataflow{Name: dest.Name, Sandbox: sandbox, Mapping: mapping,
		Items: []lakeward.DataflowItem{{AudienceID: lakeward.AudienceID(audience), Schedule: daily()}}}, dest.Name))
}

// gpgKey makes a key in a home of its own and returns the home and the public key.
func gpgKey(t *testing.T) (home, text string) {
	t.Helper()
	home, err := os.MkdirTemp("", "gpg") // a short path: sockets lie in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		_ = os.RemoveAll(home)
	})
	run := func(args ...string) string {
		cmd := exec.Command("gpg", append([]string{"--homedir", home, "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""}, args...)...)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		if err := cmd.Run(); err != nil {
			t.Fatalf("gpg %v: %v\n%s", args, err, errs.String())
		}
		return out.String()
	}
	run("--quick-generate-key", "exports@example.com", "future-default", "default", "1y")
	return home, run("--armor", "--export")
}
