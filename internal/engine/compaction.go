package engine

import (
	"context"
	"errors"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/warehouse"
)

// compactEvery is how often a service looks for files to merge or to remove although nothing was written: runs
// release what they pinned, and readers what they read.
const compactEvery = 10 * time.Minute

// Compact merges the profile and event files of a sandbox as far as it is due, with all also those that the triggers
// would leave, and removes the files of old generations that nothing needs any more. Profiles, memberships and
// whatever is pinned stay as they are, and nobody has to wait for it.
func (e *Engine) Compact(ctx context.Context, sandbox string, all bool) (lakeward.Compaction, error) {
	e.compacting.Lock()
	defer e.compacting.Unlock()
	var done lakeward.Compaction
	policies, err := e.store.MergePolicies(ctx, sandbox)
	for _, p := range policies {
		if err == nil {
			err = e.merge(ctx, sandbox, p.ID, all, &done)
		}
	}
	removed, rerr := e.warehouse.Remove(ctx, e.store, sandbox) // also when the disk was too full to merge
	done.RemovedFiles = len(removed)
	for _, f := range removed {
		done.RemovedBytes += f.Bytes
	}
	if done.Merged+done.RemovedFiles > 0 {
		e.log.InfoContext(ctx, "data compacted", "sandbox", sandbox, "merged", done.Merged, "written", done.Written, "profiles", done.Profiles,
			"removed", done.RemovedFiles, "bytes", done.RemovedBytes, "generation", done.Generation)
	}
	return done, errors.Join(err, rerr)
}

// merge merges the files of a merge policy until nothing is due: those of its profiles, then those of its events.
func (e *Engine) merge(ctx context.Context, sandbox string, policy lakeward.MergePolicyID, all bool, done *lakeward.Compaction) error {
	err := mergeDue(ctx, sandbox, done, e.store.Union, func() (*warehouse.Compaction, error) { return e.warehouse.Compaction(ctx, sandbox, policy, all) })
	if err != nil {
		return err
	}
	return mergeDue(ctx, sandbox, done, e.store.EventUnion, func() (*warehouse.EventCompaction, error) {
		return e.warehouse.EventCompaction(ctx, sandbox, policy, all)
	})
}

// compaction is a merge of files that is due.
type compaction interface {
	comparable
	Run(ctx context.Context, union []lakeward.Leaf, at time.Time) (lakeward.Compaction, error)
}

// mergeDue runs what next gives until that is nil, and adds up what was done.
func mergeDue[C compaction](ctx context.Context, sandbox string, done *lakeward.Compaction, union func(context.Context, string) ([]lakeward.Leaf, error), next func() (C, error)) error {
	for {
		due, err := next()
		if none := *new(C); err != nil || due == none {
			return err
		}
		fields, err := union(ctx, sandbox) // after next: what the files hold is among them
		if err != nil {
			return err
		}
		step, err := due.Run(ctx, fields, now())
		if err != nil {
			return err
		}
		done.Merged, done.Written, done.Generation = done.Merged+step.Merged, done.Written+step.Written, step.Generation
		done.Profiles, done.Superseded = done.Profiles+step.Profiles, done.Superseded+step.Superseded
	}
}

// compactLoop compacts all sandboxes whenever something was written, and now and then.
func (e *Engine) compactLoop(ctx context.Context) {
	look := time.NewTicker(compactEvery)
	defer look.Stop()
	for {
		if err := e.compactAll(ctx); err != nil && ctx.Err() == nil {
			e.log.ErrorContext(ctx, "compaction failed", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-e.grown:
		case <-look.C:
		}
	}
}

func (e *Engine) compactAll(ctx context.Context) error {
	sandboxes, err := e.store.Sandboxes(ctx)
	errs := []error{err}
	for _, sandbox := range sandboxes {
		_, err := e.Compact(ctx, sandbox, false)
		if lakeward.CodeOf(err) == "DATA-1002" {
			err = nil // its files were replaced meanwhile; what is due now is seen the next time
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// dataGrew tells the compaction that there are new files.
func (e *Engine) dataGrew() {
	select {
	case e.grown <- struct{}{}:
	default:
	}
}
