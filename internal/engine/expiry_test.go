package engine_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/engine"
	"github.com/lakeward/lakeward/internal/warehouse"
)

// watchedCatalog calls before when a snapshot is about to be read, with how many were asked for so far.
type watchedCatalog struct {
	warehouse.Catalog
	before func(call int)
	calls  int
}

func (c *watchedCatalog) Snapshot(ctx context.Context, sandbox string, policy lakeward.MergePolicyID, generation int64, only []lakeward.AudienceID) (lakeward.Snapshot, error) {
	c.calls++
	c.before(c.calls)
	return c.Catalog.Snapshot(ctx, sandbox, policy, generation, only)
}

// CSV-UP-05: an upload that comes while somebody empties an expired audience wins, wherever in between it comes.
func TestUploadWhileAnAudienceExpires(t *testing.T) {
	for call := 1; call <= 2; call++ {
		t.Run(fmt.Sprintf("before snapshot %d", call), func(t *testing.T) {
			inBubble(t, at(12), func(t *testing.T, w *world) {
				w.people("1,a@x.org,,Ann,30", "2,b@x.org,,Bob,40")
				w.list("list", 1, "a@x.org")
				time.Sleep(25 * time.Hour)
				root := must[*os.Root](t)(os.OpenRoot(w.dir))
				defer root.Close()
				catalog := &watchedCatalog{Catalog: w.store}
				catalog.before = func(n int) {
					if n == call {
						w.list("list", 5, "b@x.org")
					}
				}
				cfg := w.cfg
				cfg.Warehouse = warehouse.New(root, catalog)
				other := engine.New(cfg)
				defer other.Close()
				must[[]lakeward.Audience](t)(other.Audiences(context.Background(), sandbox, lakeward.AudienceFilter{}))
				if catalog.calls < call {
					t.Fatalf("%d snapshots were read: nothing came in between", catalog.calls)
				}
				if a := must[lakeward.Audience](t)(w.store.Audience(context.Background(), sandbox, "list")); a.Members != 1 || a.Expired(time.Now()) {
					t.Errorf("the audience has %d members, expired %t: want the one of the upload", a.Members, a.Expired(time.Now()))
				}
			})
		})
	}
}
