package engine

import (
	"context"
	"errors"
	"time"

	"github.com/lakeward/lakeward"
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
		if err == nil {
			err = e.mergeEvents(ctx, sandbox, p.ID, all, &done)
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

// merge merges the profile files of a merge policy until nothing is due.
func (e *Engine) merge(ctx context.Context, sandbox string, policy lakeward.MergePolicyID, all bool, done *lakeward.Compaction) error {
	for {
		due, err := e.warehouse.Compaction(ctx, sandbox, policy, all)
		if err != nil || due == nil {
			return err
		}
		union, err := e.store.Union(ctx, sandbox)
		if err != nil {
			return err
		}
		step, err := due.Run(ctx, union, now())
		if err != nil {
			return err
		}
		done.Merged, done.Written, done.Generation = done.Merged+step.Merged, done.Written+step.Written, step.Generation
		done.Profiles, done.Superseded = done.Profiles+step.Profiles, done.Superseded+step.Superseded
	}
}

// mergeEvents merges event files until nothing is due.
func (e *Engine) mergeEvents(ctx context.Context, sandbox string, policy lakeward.MergePolicyID, all bool, done *lakeward.Compaction) error {
	for {
		due, err := e.warehouse.EventCompaction(ctx, sandbox, policy, all)
		if err != nil || due == nil {
			return err
		}
		union, err := e.store.EventUnion(ctx, sandbox)
		if err != nil {
			return err
		}
		step, err := due.Run(ctx, union, now())
		if err != nil {
			return err
		}
		done.Merged, done.Written, done.Generation = done.Merged+step.Merged, done.Written+step.Written, step.Generation
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
