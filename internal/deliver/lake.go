// Package deliver is the delivery protocol: it stages the files of a run, makes their appearance one
// commit, publishes them by rename, writes the manifest last, and cleans up by proof.
//
// It does not know what is in the files. The one thing to know: a run is delivered if and only if its
// slot record in the lake is a commit record; everything before it can be thrown away, everything after
// it is rolled forward by whoever finds it.
package deliver

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/lake"
	"github.com/lakeward/lakeward/internal/proof"
)

// Journal is where a delivery notes its durable facts. The store implements it; every call fails with
// kind Conflict once another attempt owns the run.
type Journal interface {
	Phase(ctx context.Context, r *lakeward.Run, phase lakeward.RunPhase) error
	SaveFile(ctx context.Context, r *lakeward.Run, f lakeward.File) error
	Files(ctx context.Context, r *lakeward.Run) ([]lakeward.File, error)
}

// Lake delivers the runs of one dataflow into a container.
type Lake struct {
	Client  *lake.Client
	Journal Journal
	Key     []byte // the dataflow's slot key (C12)
	Base    string // folder of <sys> (DLV-16)
	Store   string // identity of our store (DLV-126)
	Mode    lakeward.Mode
}

// FindMode is how files can become visible in the container (ADL-60): as the connection test found, or worse if
// the namespace is flat. Who may not look at the container has rights on a folder of a hierarchical one.
func (l *Lake) FindMode(ctx context.Context, known lakeward.Mode) (lakeward.Mode, error) {
	fs, err := l.Client.Filesystem(ctx)
	if err != nil && !lake.CodeIs(err, "AuthorizationPermissionMismatch") {
		return known, err
	}
	if err == nil && !fs.Hierarchical {
		return lakeward.CopyOnce, nil
	}
	return known, nil
}

const (
	maxTries    = 8 // names tried for one draft within an attempt
	maxFailures = 3 // read-backs of one file that may differ (DLV-47)
)

// Slot reads the slot record of a run; nil if there is none. A record that does not verify is read
// twice more, then it is an error with code DEST-FAIL-INTEGRITY.
func (l *Lake) Slot(ctx context.Context, flow lakeward.DataflowID, run lakeward.RunID) (*Record, error) {
	p := SlotPath(l.Base, flow, run)
	for try := 0; ; try++ {
		data, o, err := l.readAll(ctx, p)
		if lake.Missing(err) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		var rec *Record
		if len(data) == 0 && o.Properties[markList] != "" {
			rec, err = l.listed(ctx, o.Properties, flow, run)
		} else {
			rec, err = DecodeRecord(data, l.Key, run)
		}
		if err != nil && !errors.Is(err, errNotAuthentic) {
			return nil, err
		}
		if err == nil {
			return rec, nil
		}
		if try == 2 {
			return nil, &lakeward.Error{Kind: lakeward.Conflict, Code: lakeward.FailIntegrity, Err: err,
				Msg: "the slot record " + p + " does not verify; it was changed by somebody else, nothing is delivered until it is looked at"}
		}
	}
}

func (l *Lake) readAll(ctx context.Context, p string) ([]byte, lake.Object, error) {
	r, o, err := l.Client.Read(ctx, p, 0, -1)
	if err != nil {
		return nil, o, err
	}
	data, err := io.ReadAll(io.LimitReader(r, maxRecord+1))
	return data, o, errors.Join(err, r.Close())
}

// CheckNames fails if a final name is taken by an object that this dataflow item did not write (DLV-64), or
// if a file is where one of their folders has to be.
func (l *Lake) CheckNames(ctx context.Context, r *lakeward.Run, paths []string) error {
	folders := map[string]bool{}
	for _, p := range paths {
		if err := l.checkFolder(ctx, path.Dir(p), folders); err != nil {
			return err
		}
		o, err := l.Client.Status(ctx, p)
		if lake.Missing(err) {
			continue
		}
		if err != nil {
			return err
		}
		if !ours(o, r) {
			return foreign(p)
		}
	}
	return nil
}

// checkFolder looks at the deepest level of a folder that exists: it must be a folder.
func (l *Lake) checkFolder(ctx context.Context, dir string, done map[string]bool) error {
	for ; dir != "." && !done[dir]; dir = path.Dir(dir) {
		done[dir] = true
		o, err := l.Client.Status(ctx, dir)
		if lake.Missing(err) {
			continue
		}
		if err == nil && !o.IsDir {
			err = &lakeward.Error{Kind: lakeward.Conflict, Code: lakeward.FailConflict, Msg: fmt.Sprintf("a file is where the folder %s has to be; remove it or choose another folder", lakeward.Quote(dir))}
		}
		return err
	}
	return nil
}

// ours reports whether an object was written by the run's flow and item (DLV-14).
func ours(o lake.Object, r *lakeward.Run) bool {
	return o.Properties["lwflow"] == string(r.DataflowID) && o.Properties["lwitem"] == r.Item
}

func foreign(p string) error {
	return &lakeward.Error{Kind: lakeward.Conflict, Code: lakeward.FailConflict,
		Msg: fmt.Sprintf("%s exists and was not written by this dataflow; add date and time to the file name, choose another folder, or remove the file", lakeward.Quote(p))}
}

// Stage makes a data file of a run in its staging folder: write is called with a writer and returns the
// number of rows that it wrote. It may be called again, from the beginning, for another try. The file is
// flushed, read back and recorded when Stage returns (S5). A file that an older attempt staged is used
// again if it is provably unchanged (DLV-56).
func (l *Lake) Stage(ctx context.Context, r *lakeward.Run, f lakeward.File, write func(io.Writer) (int64, error)) (lakeward.File, error) {
	old, ok, err := l.reusable(ctx, r, f)
	if err != nil {
		return f, err
	}
	if ok {
		return old, l.Journal.SaveFile(ctx, r, old)
	}
	if l.Mode == lakeward.CopyOnce && r.Phase.AtLeast(lakeward.PhaseCommitting) {
		// The commit of an earlier attempt may still arrive, and names this file: it must not be replaced (DLV-01).
		return f, &lakeward.Error{Kind: lakeward.Conflict, Code: lakeward.FailConflict,
			Msg: fmt.Sprintf("%s was changed after this run tried to commit; the run is given up, and the next one writes the file again", lakeward.Quote(f.Path))}
	}
	f.State = lakeward.FileStaged
	var sum hash.Hash
	hashed := func(w io.Writer) (err error) {
		sum = sha256.New()
		f.Rows, err = write(io.MultiWriter(w, sum))
		return err
	}
	var staged, etag string
	var up lake.Uploaded
	if l.Mode == lakeward.CopyOnce {
		staged = f.Path
		up, etag, err = l.putFile(ctx, r, f, hashed, func() []byte { return sum.Sum(nil) })
	} else {
		staged, up, etag, err = l.stage(ctx, r, fileDraft(f.Index), hashed)
	}
	if err != nil {
		return f, err
	}
	f.Staged, f.Bytes, f.ETag = staged, up.Size, etag
	f.CRC64, f.SHA256 = fmt.Sprintf("%016x", up.CRC64), hex.EncodeToString(sum.Sum(nil))
	return f, l.Journal.SaveFile(ctx, r, f)
}

// reusable finds the same file of an older attempt. An error means that it is not known.
func (l *Lake) reusable(ctx context.Context, r *lakeward.Run, f lakeward.File) (lakeward.File, bool, error) {
	files, err := l.Journal.Files(ctx, r)
	if err != nil {
		return f, false, err
	}
	for _, old := range files {
		if old.Index != f.Index || old.Path != f.Path || old.State != lakeward.FileStaged {
			continue
		}
		o, err := l.Client.Status(ctx, old.Staged)
		if lake.Missing(err) {
			continue
		}
		if err != nil {
			return f, false, err
		}
		same := author(o.Properties, r.ID, fileDraft(f.Index), old.Staged)
		if l.Mode == lakeward.CopyOnce {
			same = old.Staged == old.Path && mine(o, r, fileDraft(f.Index))
		}
		if same && o.Size == old.Bytes && o.ETag == old.ETag {
			return old, true, nil
		}
	}
	return f, false, nil
}

// stage writes a draft under a name of its own and reads it back (k2 to k5). An unclear create, a
// name that is taken and a read-back that differs cost the name, never the run.
func (l *Lake) stage(ctx context.Context, r *lakeward.Run, what string, write func(io.Writer) error) (string, lake.Uploaded, string, error) {
	failures := 0
	var last error
	for try := range maxTries {
		p := draft(l.Base, r, what, try)
		err := l.Client.Create(ctx, p, marker(r, what))
		if lake.Taken(err) || lake.Unclear(err) {
			last = err
			continue
		}
		if err != nil {
			return "", lake.Uploaded{}, "", err
		}
		up, err := l.Client.Upload(ctx, p, write)
		switch {
		case err == nil:
		case lake.Missing(err), lake.Unclear(err), lake.CodeIs(err, "InvalidFlushPosition"):
			last = err
			continue
		default:
			return "", up, "", err
		}
		o, err := l.Client.Status(ctx, p)
		if err == nil && proof.Planted(proof.NoReadBack) {
			return p, up, o.ETag, nil
		}
		if err == nil && o.Size == up.Size && author(o.Properties, r.ID, what, p) {
			return p, up, o.ETag, nil
		}
		if err != nil && !lake.Missing(err) {
			return "", up, "", err
		}
		if failures++; failures == maxFailures {
			return "", up, "", &lakeward.Error{Kind: lakeward.Conflict, Code: lakeward.FailIntegrity,
				Msg: fmt.Sprintf("%s was written %d times and read back differently each time; the staged copies are kept as evidence", p, failures)}
		}
	}
	return "", lake.Uploaded{}, "", fmt.Errorf("stage %s: %w", what, last)
}

// Commit makes the run delivered: the slot record appears in one rename that fails if there is one
// already (c1 to c5). It returns the record that decides: ours, or one that was there before.
func (l *Lake) Commit(ctx context.Context, r *lakeward.Run, files []lakeward.File, counts lakeward.Counts, manifest string) (*Record, error) {
	if err := l.Journal.Phase(ctx, r, lakeward.PhaseCommitting); err != nil {
		return nil, err
	}
	rec := l.newRecord(r, CommitKind)
	rec.Files, rec.Counts = files, counts
	if manifest != "" {
		rec.Manifest = &manifest
	}
	if proof.Planted(proof.PublishFirst) {
		if err := l.publishEarly(ctx, r, &rec); err != nil {
			return nil, err
		}
	}
	won, err := l.decide(ctx, r, rec)
	if err != nil {
		return nil, err
	}
	if won.Kind == CommitKind {
		err = l.Journal.Phase(ctx, r, lakeward.PhaseCommitted)
	}
	return won, err
}

// Close writes a tombstone, so that the run can never be delivered later (DLV-82). It returns the
// record that decides: a commit record means that the run was delivered after all.
func (l *Lake) Close(ctx context.Context, r *lakeward.Run, reason string) (*Record, error) {
	rec := l.newRecord(r, TombstoneKind)
	rec.Reason = reason
	return l.decide(ctx, r, rec)
}

// decide puts a record into the slot unless there is one; whatever the rename answered, the slot is
// read and believed (c2 to c4).
func (l *Lake) decide(ctx context.Context, r *lakeward.Run, rec Record) (*Record, error) {
	if l.Mode == lakeward.CopyOnce {
		return l.decideOnce(ctx, r, rec)
	}
	data, err := rec.encode(l.Key, slotDomain)
	if err != nil {
		return nil, err
	}
	slot := SlotPath(l.Base, r.DataflowID, r.ID)
	if err := l.Client.MakeFolder(ctx, path.Dir(slot)); err != nil {
		return nil, err
	}
	var last error
	for range maxTries {
		staged, _, etag, err := l.stage(ctx, r, slotDraft, func(w io.Writer) error {
			_, err := w.Write(data)
			return err
		})
		if err != nil {
			return nil, err
		}
		last = l.Client.Rename(ctx, staged, slot, lake.RenameCondition{SourceETag: etag})
		if last == nil || proof.Planted(proof.UnclearIsDone) && lake.Unclear(last) {
			return &rec, nil
		}
		have, err := l.Slot(ctx, r.DataflowID, r.ID)
		if err != nil || have != nil {
			return have, err
		}
		if !lake.Unclear(last) && !lake.Missing(last) && !lake.Taken(last) {
			return nil, last
		}
	}
	return nil, fmt.Errorf("commit: %w", last)
}

// Clean removes the staging folder of a run whose record was read and whose files are all published
// (DLV-110). It is not part of the promise: what cannot be removed stays.
func (l *Lake) Clean(ctx context.Context, r *lakeward.Run) error {
	if l.Mode == lakeward.CopyOnce {
		return nil // nothing was staged
	}
	return l.Client.Delete(ctx, stagingRun(l.Base, r), true)
}
