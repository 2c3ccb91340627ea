package engine

import (
	"context"

	"github.com/lakeward/lakeward"
)

// ExecuteTask performs one attempt of a claimed task.
func (e *Engine) ExecuteTask(ctx context.Context, t *lakeward.Task) error {
	return e.executeTask(ctx, t, nil)
}

// LimitDedup bounds what deduplication holds in memory.
func (e *Engine) LimitDedup(keys, bytes int) { e.dedup = dedupLimits{keys, bytes} }
