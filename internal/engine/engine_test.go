package engine_test

import (
	"compress/gzip"
	"context"
	"encoding/csv"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/engine"
	"github.com/lakeward/lakeward/internal/lake"
	"github.com/lakeward/lakeward/internal/lake/emulator"
	"github.com/lakeward/lakeward/internal/lake/emulator/emulatortest"
	"github.com/lakeward/lakeward/internal/store"
	"github.com/lakeward/lakeward/internal/warehouse"
)

const sandbox = lakeward.DefaultSandbox

// world is an engine on a new data directory and a lake.
type world struct {
	*engine.Engine
	t     *testing.T
	store *store.Store
	lake  *emulator.Server
	dir   string
	cfg   engine.Config
	pgp   string // public key of the accounts of flows, "" for none
}

// quick gives up soon.
func quick() lake.Retry {
	return lake.Retry{Try: 5 * time.Second, Tries: 3, Base: time.Millisecond, Cap: 5 * time.Millisecond}
}

func newWorld(t *testing.T, s *emulator.Server) *world {
	t.Helper()
	w := &world{t: t, lake: s, dir: t.TempDir()}
	root, err := os.OpenRoot(w.dir)
	if err != nil {
		t.Fatal(err)
	}
	if w.store, err = store.Open(t.Context(), store.Memory, store.NewKEK()); err != nil {
		t.Fatal(err)
	}
	at := lake.Endpoint{Address: s.Address(), CA: s.CA()}
	w.cfg = engine.Config{Store: w.store, Warehouse: warehouse.New(root, w.store), Version: "test", Retry: quick(),
		Endpoints: map[string]lake.Endpoint{s.Location().Host(): at, s.Location().Authority(): at}}
	w.cfg.Network.OneRequest = time.Now().Year() < 2001 // in a bubble, whose time begins in 2000
	w.Engine = engine.New(w.cfg)
	t.Cleanup(func() {
		w.Engine.Close()
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
		_ = root.Close()
	})
	return w
}

const schemaJSON = `{"properties": {
  "id": {"type": "string", "identity": {"namespace": "ECID", "primary": true}},
  "mail": {"type": "string", "identity": {"namespace": "Email"}},
  "mail2": {"type": "string", "identity": {"namespace": "Email"}},
  "name": {"type": "string"}, "age": {"type": "integer", "xdmType": "int"}}}`

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// people makes schema and dataset "people" and uploads rows of id,mail,mail2,name,age.
func (w *world) people(rows ...string) {
	w.t.Helper()
	w.profileDataset("people", schemaJSON)
	w.upload(rows...)
}

// profileDataset makes a schema of profiles and a dataset of that name.
func (w *world) profileDataset(name, schema string) {
	w.t.Helper()
	fields := must[[]lakeward.Field](w.t)(lakeward.ParseSchema([]byte(schema), ""))
	must[lakeward.Schema](w.t)(w.CreateSchema(w.t.Context(), lakeward.Schema{Sandbox: sandbox, Name: name, Class: lakeward.RecordClass, Profile: true, Fields: fields}))
	must[lakeward.Dataset](w.t)(w.CreateDataset(w.t.Context(), lakeward.Dataset{Sandbox: sandbox, Name: name}, name))
}

func (w *world) upload(rows ...string) lakeward.Batch {
	w.t.Helper()
	text := "id,mail,mail2,name,age\n" + strings.Join(rows, "\n") + "\n"
	return must[lakeward.Batch](w.t)(w.UploadDataset(w.t.Context(), engine.Upload{Sandbox: sandbox, Dataset: "people", Name: "people.csv"}, strings.NewReader(text)))
}

func (w *world) audience(name, rule string) lakeward.Audience {
	w.t.Helper()
	must[lakeward.Audience](w.t)(w.CreateAudience(w.t.Context(), lakeward.Audience{Sandbox: sandbox, Name: name, Rule: rule}))
	return must[[]lakeward.Audience](w.t)(w.Evaluate(w.t.Context(), sandbox, []string{name}, nil))[0]
}

// flow makes account, destination and a dataflow of one audience.
func (w *world) flow(dest lakeward.Destination, audience string, schedule lakeward.Schedule, mapping ...lakeward.Mapping) lakeward.Dataflow {
	w.t.Helper()
	ctx := w.t.Context()
	a := emulatortest.Account(w.lake)
	a.Name = lakeward.NewID()
	if w.pgp != "" {
		a.EncryptionKey = &lakeward.EncryptionKey{PublicKey: w.pgp}
	}
	if _, _, err := w.CreateAccount(ctx, a, true); err != nil {
		w.t.Fatal(err)
	}
	dest.Name, dest.Sandbox = lakeward.NewID(), sandbox
	if dest.FileType == "" {
		dest.FileType = lakeward.CSV
	}
	if dest.CSV.Delimiter == "" {
		dest.CSV = lakeward.DefaultCSV()
	}
	if dest.Compression == "" {
		dest.Compression = lakeward.NoCompression
	}
	must[lakeward.Destination](w.t)(w.CreateDestination(ctx, dest, a.Name, true))
	return must[lakeward.Dataflow](w.t)(w.CreateDataflow(ctx, lakeward.Dataflow{Name: lakeward.NewID(), Sandbox: sandbox, Mapping: mapping,
		Items: []lakeward.DataflowItem{{AudienceID: lakeward.AudienceID(audience), Schedule: schedule}}}, dest.Name))
}

// export runs a dataflow by hand and returns its run.
func (w *world) export(flow lakeward.Dataflow) lakeward.Run {
	w.t.Helper()
	runs := must[[]lakeward.Run](w.t)(w.RunDataflow(w.t.Context(), sandbox, string(flow.ID), nil))
	if err := w.Work(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	return must[lakeward.Run](w.t)(w.store.Run(context.Background(), sandbox, string(runs[0].ID)))
}

// rows reads the delivered files of a run from the plain folder, header first.
func (w *world) rows(r lakeward.Run) [][]string {
	w.t.Helper()
	var out [][]string
	for i, f := range r.Files {
		data := must[[]byte](w.t)(os.ReadFile(filepath.Join(w.lake.Dir(), "local", "exports", filepath.FromSlash(f.Path))))
		var in io.Reader = strings.NewReader(string(data))
		if strings.HasSuffix(f.Path, ".gz") {
			in = must[*gzip.Reader](w.t)(gzip.NewReader(in))
		}
		rows := must[[][]string](w.t)(csv.NewReader(in).ReadAll())
		if i > 0 {
			rows = rows[1:] // SPL-04: every part repeats the header
		}
		out = append(out, rows...)
	}
	return out
}

func daily() lakeward.Schedule { return lakeward.DefaultSchedule(time.Now()) }

func named(source, target string) lakeward.Mapping {
	return lakeward.Mapping{Source: source, Target: target}
}

// restart gives the world a new engine on the same data.
func (w *world) restart(change func()) {
	change()
	w.Engine.Close()
	w.Engine = engine.New(w.cfg)
}
