// Package engine is what happens: uploads become generations, rules become members, slots become runs,
// and runs become files. API, UI and commands call nothing else.
//
// Rules live in the root package, bytes in the packages below. The one thing to know: export.go is the
// whole of an export, read it from top to bottom.
package engine

import (
	"context"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/lakeward/lakeward/internal/lake"
	"github.com/lakeward/lakeward/internal/store"
	"github.com/lakeward/lakeward/internal/warehouse"
)

// Config is what an engine works with.
type Config struct {
	Store     *store.Store
	Warehouse *warehouse.Warehouse
	Endpoints map[string]lake.Endpoint // hosts at fixed addresses
	Network   lake.Network
	Version   string
	Log       *slog.Logger
	// Retry is how single requests are repeated, RetryWindow how long a run is tried again before it
	// fails; 0 fails it at once, for commands that somebody waits for.
	Retry        lake.Retry
	RetryWindow  time.Duration
	Block        int    // size of the first blocks of an upload in bytes; 0 means the client's
	Workers      int    // runs at the same time; 0 means 2
	Evaluators   int    // that decide profiles at the same time in an evaluation; 0 means one for each processor
	Organization string // in file names; "" means Lakeward
	// ExtendedFrequencies offers weekly and monthly exports (D02).
	ExtendedFrequencies bool
}

// Engine does the work. It is safe for concurrent use.
type Engine struct {
	store     *store.Store
	warehouse *warehouse.Warehouse
	cfg       Config
	log       *slog.Logger
	news      chan struct{} // wakes the scheduler
	grown     chan struct{} // wakes the compaction

	compacting sync.Mutex // one at a time
	dedup      dedupLimits

	mu      sync.Mutex
	clients map[string]cachedClient // by account and url
}

// New returns an engine. It starts nothing.
func New(cfg Config) *Engine {
	if cfg.Workers == 0 {
		cfg.Workers = 2
	}
	if cfg.Evaluators == 0 {
		cfg.Evaluators = runtime.GOMAXPROCS(0)
	}
	if cfg.Organization == "" {
		cfg.Organization = "Lakeward"
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Engine{store: cfg.Store, warehouse: cfg.Warehouse, cfg: cfg, log: cfg.Log, news: make(chan struct{}, 1), grown: make(chan struct{}, 1), clients: map[string]cachedClient{}, dedup: defaultDedupLimits()}
}

// Close ends the connections to the lakes.
func (e *Engine) Close() { e.closeIdle() }

func (e *Engine) closeIdle() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range e.clients {
		c.client.Close()
	}
}

// Warehouse is the data at rest, for reading.
func (e *Engine) Warehouse() *warehouse.Warehouse { return e.warehouse }

func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// Progress reports how far something is: done of total, total 0 when it is unknown. It may be nil.
type Progress func(done, total int64)

func (p Progress) report(done, total int64) {
	if p != nil {
		p(done, total)
	}
}

// sleep waits; false when the context ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
