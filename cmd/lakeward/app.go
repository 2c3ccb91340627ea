package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/engine"
	"github.com/lakeward/lakeward/internal/lake"
	"github.com/lakeward/lakeward/internal/lake/emulator"
	"github.com/lakeward/lakeward/internal/store"
	"github.com/lakeward/lakeward/internal/warehouse"
)

// app is one call of the program.
type app struct {
	env      environment
	settings settings
}

// dataFormat is the version of the data directory's layout; a newer one is refused.
const dataFormat = 1

// directory is an open data directory. Only one process has it open.
type directory struct {
	path   string
	lock   *lockFile
	root   *os.Root
	store  *store.Store
	engine *engine.Engine
	lake   *emulator.Server // nil unless this process serves it
}

// openOptions says how a data directory is opened.
type openOptions struct {
	create  bool   // make it if it is not there
	command string // what holds the lock, for the message of the next one
	address string // of a service
	retry   lake.Retry
	window  time.Duration
	log     *slog.Logger
	lake    bool // serve the local lake in the directory too
	asIs    bool // leave what a killed process left behind, to look at it
}

// withData opens the data directory for one command, as administrator, and closes it after fn.
func (a *app) withData(ctx context.Context, create bool, fn func(d *directory) error) error {
	d, err := a.open(ctx, openOptions{create: create, command: "command", retry: commandRetry()})
	if err != nil {
		return err
	}
	return errors.Join(fn(d), d.close())
}

// commandRetry is how long a command that a person waits for repeats a request.
func commandRetry() lake.Retry {
	return lake.Retry{Window: 10 * time.Second, Base: 200 * time.Millisecond, Cap: 2 * time.Second}
}

func (a *app) open(ctx context.Context, opt openOptions) (*directory, error) {
	path := a.settings.data
	if _, err := os.Stat(filepath.Join(path, "format")); errors.Is(err, fs.ErrNotExist) && !opt.create {
		return nil, &lakeward.Error{Kind: lakeward.NotFound, Code: "DATA-1003",
			Msg: "there is no data directory " + path + "; name one with --data, or begin with: lakeward schema create"}
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	d := &directory{path: path}
	var err error
	if d.lock, err = takeLock(ctx, filepath.Join(path, "lock"), lockInfo{PID: os.Getpid(), Address: opt.address, Command: opt.command}); err != nil {
		return nil, err
	}
	if err := d.load(ctx, a, opt); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (d *directory) load(ctx context.Context, a *app, opt openOptions) error {
	fresh, err := checkFormat(d.path)
	if err != nil {
		return err
	}
	kek, err := store.LoadKEK(filepath.Join(d.path, "kek"))
	if err != nil {
		return err
	}
	if d.store, err = store.Open(ctx, filepath.Join(d.path, "lakeward.db"), kek); err != nil {
		return err
	}
	if fresh {
		if err := os.WriteFile(filepath.Join(d.path, "format"), []byte(strconv.Itoa(dataFormat)+"\n"), 0o600); err != nil {
			return err
		}
	}
	if d.root, err = os.OpenRoot(d.path); err != nil {
		return err
	}
	conf, err := a.settings.readConfig()
	if err != nil {
		return err
	}
	endpoints, network, err := conf.network()
	if err != nil {
		return err
	}
	if opt.lake {
		if d.lake, err = emulator.Start(filepath.Join(d.path, "lake"), emulator.Options{}); err != nil {
			return err
		}
	}
	if err := addLake(endpoints, d.path); err != nil {
		return err
	}
	if opt.log == nil {
		opt.log = slog.New(slog.DiscardHandler)
	}
	w := warehouse.New(d.root, d.store)
	if !opt.asIs {
		if err := d.sweep(ctx, w, opt.log); err != nil {
			return err
		}
	}
	d.engine = engine.New(engine.Config{Store: d.store, Warehouse: w, Endpoints: endpoints, Network: network,
		Version: version, Log: opt.log, Retry: opt.retry, RetryWindow: opt.window,
		ExtendedFrequencies: conf.Schedules.ExtendedFrequencies})
	if opt.asIs {
		return nil
	}
	return d.engine.RecoverTasks(ctx) // what a killed process was at keeps nobody waiting
}

// addLake adds the hosts of the local lake, whose port may change at each start.
func addLake(endpoints map[string]lake.Endpoint, dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, "lake", ".meta", "endpoints.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var running emulator.Endpoints
	if err = errors.Join(err, json.Unmarshal(b, &running)); err != nil {
		return fmt.Errorf("read the endpoints of the local lake: %w", err)
	}
	ca, err := os.ReadFile(running.CA)
	if err != nil {
		return fmt.Errorf("read the CA of the local lake: %w", err)
	}
	at := lake.Endpoint{Address: strings.TrimPrefix(running.HTTPS, "https://"), CA: ca}
	for _, acc := range running.Accounts {
		l := lakeward.Location{Account: acc.Name, Suffix: lakeward.EmulatorSuffix}
		endpoints[l.Host()], endpoints[l.Authority()] = at, at
	}
	return nil
}

// sweep removes what a killed process left behind in the data at rest.
func (d *directory) sweep(ctx context.Context, w *warehouse.Warehouse, log *slog.Logger) error {
	named, err := d.store.Named(ctx)
	if err != nil {
		return err
	}
	n, err := w.Sweep(named)
	if n > 0 {
		log.InfoContext(ctx, "unfinished files removed", "files", n)
	}
	return err
}

func (d *directory) close() error {
	var errs []error
	if d.engine != nil {
		d.engine.Close()
	}
	if d.lake != nil {
		errs = append(errs, d.lake.Close())
	}
	if d.store != nil {
		errs = append(errs, d.store.Close())
	}
	if d.root != nil {
		errs = append(errs, d.root.Close())
	}
	return errors.Join(append(errs, d.lock.release())...)
}

// checkFormat refuses a directory that a newer program made, and one that has lost its key or its
// database: to make new ones silently would hide the loss. fresh is a directory without a format yet.
func checkFormat(dir string) (fresh bool, err error) {
	name := filepath.Join(dir, "format")
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	have, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return false, &lakeward.Error{Kind: lakeward.Invalid, Code: "DATA-1001", Msg: "the file " + name + " is damaged; it holds the version of the data directory, a number"}
	}
	if have > dataFormat {
		return false, &lakeward.Error{Kind: lakeward.Invalid, Code: "DATA-1001",
			Msg: fmt.Sprintf("the data directory has format %d, this program knows %d; use the newer program that made it", have, dataFormat)}
	}
	kek, db := filepath.Join(dir, "kek"), filepath.Join(dir, "lakeward.db")
	if _, err := os.Stat(kek); errors.Is(err, fs.ErrNotExist) {
		return false, &lakeward.Error{Kind: lakeward.Invalid, Code: "KEY-1001", Msg: "the key file " + kek + " is missing; restore it from where you keep it. " +
			"If it is lost, make a new one (head -c 32 /dev/urandom > kek; chmod 600 kek) and enter the secrets again"}
	}
	if info, err := os.Stat(db); errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() == 0 {
		return false, &lakeward.Error{Kind: lakeward.Invalid, Code: "DATA-1006", Msg: "the database " + db + " is missing or empty; restore the data directory from a backup"}
	}
	return false, nil
}

// openInput opens a file of the user; - is standard input.
func (a *app) openInput(name string) (io.ReadCloser, error) {
	if name == "-" {
		return io.NopCloser(a.env.in), nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fileError(name, err)
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		_ = f.Close()
		return nil, &lakeward.Error{Kind: lakeward.Invalid, Code: "FILE-1001", Msg: name + ": it is a folder, not a file"}
	}
	return f, nil
}

// maxInput bounds a file that is read whole.
const maxInput = 16 << 20

func (a *app) readInput(name string) ([]byte, error) {
	f, err := a.openInput(name)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxInput+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fileError(name, err)
	}
	if len(b) > maxInput {
		return nil, &lakeward.Error{Kind: lakeward.Invalid, Code: "FILE-1002", Msg: name + ": the file is larger than 16 MiB"}
	}
	return b, nil
}
