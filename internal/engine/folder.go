package engine

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/deliver"
)

// FolderExport asks for the files of a dataflow in a folder of this machine.
type FolderExport struct {
	Sandbox   string
	Dataflow  string   // name or id
	Audiences []string // names or ids; none means all
	Since     *int64   // the generation after which the window begins; nil for full files
	To        string
	Checksums bool // note the SHA-256 of each file
}

// ExportToFolder writes the files that runs of a dataflow would deliver now into a folder, under the same paths: the same
// pipeline with another end. Nothing is noted in the books, and no baseline moves. All files appear, or none.
func (e *Engine) ExportToFolder(ctx context.Context, x FolderExport) ([]lakeward.Run, error) {
	flow, err := e.store.Dataflow(ctx, x.Sandbox, x.Dataflow)
	if err != nil {
		return nil, err
	}
	items, err := e.pick(ctx, flow, x.Audiences)
	if err != nil {
		return nil, err
	}
	folder, err := deliver.OpenFolder(x.To, x.Checksums)
	if err != nil {
		return nil, err
	}
	var runs []lakeward.Run
	for _, it := range items {
		r, err := e.transient(ctx, flow, it, lakeward.ManualSlot(lakeward.NewNonce()), x.Since)
		if err == nil {
			err = e.intoFolder(ctx, folder, r)
		}
		if err != nil {
			return nil, errors.Join(err, folder.Close())
		}
		runs = append(runs, *r)
	}
	err = errors.Join(folder.Publish(), folder.Close())
	for _, r := range runs {
		for i := range r.Files {
			r.Files[i].State = lakeward.FilePublished
		}
	}
	return runs, err
}

// transient is a run that no book knows, pinned to the newest generation; since is where its window begins, nil for a full
// one.
func (e *Engine) transient(ctx context.Context, flow lakeward.Dataflow, it lakeward.Entry, slot string, since *int64) (*lakeward.Run, error) {
	at := now()
	if err := e.expire(ctx, flow.Sandbox, at); err != nil {
		return nil, err
	}
	policy, err := e.policyOfItem(ctx, flow.Sandbox, it.Item)
	if err != nil {
		return nil, err
	}
	snap, err := e.warehouse.SnapshotOf(ctx, flow.Sandbox, policy, 0)
	if err != nil {
		return nil, err
	}
	r := lakeward.NewRun(flow, it.Item, slot, at, at)
	r.State, r.Phase, r.ToGeneration, r.GeneratedAt = lakeward.Running, lakeward.PhasePinned, snap.Generation, &at
	if it.Item != lakeward.DatasetsItem {
		r.FromGeneration = since
		plan, err := e.plan(ctx, flow, it.Item, at)
		plan.Hash, r.Plan = snap.Hash, &plan
		return &r, err
	}
	plan, err := e.planDatasets(ctx, r, flow, at)
	if err != nil {
		return nil, err
	}
	if since != nil && *since > snap.Generation {
		return nil, &lakeward.Error{Kind: lakeward.NotFound, Code: "DATA-1005", Msg: fmt.Sprintf("generation %d lies after the newest, %d", *since, snap.Generation)}
	}
	for _, id := range flow.Datasets.IDs {
		r.Windows = append(r.Windows, lakeward.DatasetWindow{Dataset: id, From: since, To: snap.Generation})
	}
	plan.Hash, r.Plan = snap.Hash, &plan
	return &r, e.countParts(ctx, &r, &plan, at)
}

// intoFolder stages the files and the manifest of a transient run.
func (e *Engine) intoFolder(ctx context.Context, folder *deliver.Folder, r *lakeward.Run) error {
	l, err := e.load(ctx, r)
	if err != nil {
		return err
	}
	for k := range l.parts {
		f, err := folder.Stage(lakeward.File{Index: k, Path: r.Plan.FilePath(k)}, func(out io.Writer) (int64, error) {
			rows, _, err := l.write(ctx, out, k)
			return rows, err
		})
		if err != nil {
			return err
		}
		l.counts.Rows += f.Rows
		r.Files = append(r.Files, f)
	}
	if err := l.counts.Balance(l.rows); err != nil {
		return err
	}
	r.State, r.Counts = lakeward.Succeeded, l.counts
	if r.Manifest = r.Plan.ManifestPath(r.ID); r.Manifest == "" {
		return nil
	}
	text, err := lakeward.NewManifest(r.ID, r.ScheduledAt, r.Files).Bytes()
	if err != nil {
		return err
	}
	_, err = folder.Stage(lakeward.File{Path: r.Manifest}, func(out io.Writer) (int64, error) {
		_, err := out.Write(text)
		return 0, err
	})
	return err
}

// Preview asks for the first rows of a file.
type Preview struct {
	Sandbox  string
	Dataflow string // name or id
	Audience string // name or id; "" if there is only one
	Rows     int64
	Full     bool // as an export by hand, not as the next one by the schedule
}

// PreviewDataflow writes the first rows of the file that the next run of an audience would write, byte for byte as they
// would stand in it before it is compressed; rows of Parquet are written as JSON. It returns where the file would lie.
func (e *Engine) PreviewDataflow(ctx context.Context, p Preview, out io.Writer) (string, error) {
	flow, err := e.store.Dataflow(ctx, p.Sandbox, p.Dataflow)
	if err != nil {
		return "", err
	}
	var refs []string
	if p.Audience != "" {
		refs = []string{p.Audience}
	}
	items, err := e.pick(ctx, flow, refs)
	if err != nil {
		return "", err
	}
	if flow.Datasets != nil {
		return "", &lakeward.Error{Kind: lakeward.Invalid, Code: "FLOW-1007", Msg: "datasets are previewed with: lakeward dataset preview"}
	}
	if len(items) != 1 {
		return "", &lakeward.Error{Kind: lakeward.Invalid, Code: "FLOW-1006", Msg: fmt.Sprintf("the dataflow has %d audiences; say which one is to be previewed", len(items))}
	}
	it, slot := items[0], lakeward.ManualSlot("preview")
	if next, ok := it.Schedule.Next(now()); ok && !p.Full {
		slot = lakeward.ScheduledSlot(next)
	}
	var since *int64
	if !p.Full && it.Schedule.Mode == lakeward.IncrementalExport {
		if since, err = e.store.Baseline(ctx, flow.ID, it.Item); err != nil {
			return "", err
		}
	}
	r, err := e.transient(ctx, flow, it, slot, since)
	if err != nil {
		return "", err
	}
	s, err := e.selectMembers(ctx, r)
	if err != nil || len(s.parts) == 0 {
		return r.Plan.FilePath(0), err
	}
	plain := *r.Plan
	plain.Destination.Compression = lakeward.NoCompression
	plain.Keys = nil
	if plain.Destination.FileType == lakeward.Parquet {
		plain.Destination.FileType = lakeward.JSON
	}
	_, _, err = e.loadMembers(s, &plain, p.Rows).write(ctx, out, 0)
	return r.Plan.FilePath(0), err
}
