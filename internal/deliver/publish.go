package deliver

import (
	"context"
	"fmt"
	"io"
	"path"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/lake"
	"github.com/lakeward/lakeward/internal/proof"
)

// Publish rolls a committed run forward: its files get their final names, then its manifest appears
// (p0 to m2). Doing it again changes nothing (DLV-60). It returns the files with their states.
func (l *Lake) Publish(ctx context.Context, r *lakeward.Run, rec *Record) ([]lakeward.File, error) {
	if rec.Kind != CommitKind || rec.Run != r.ID {
		return nil, fmt.Errorf("publish run %s: not its commit record", r.ID)
	}
	if rec.mode == lakeward.CopyOnce {
		return l.publishOnce(ctx, r, rec)
	}
	if err := l.makeFolders(ctx, rec); err != nil {
		return nil, err
	}
	if proof.Planted(proof.ManifestFirst) && rec.Manifest != nil {
		if err := l.manifest(ctx, r, rec); err != nil {
			return nil, err
		}
	}
	files, err := l.eachFile(ctx, r, rec, func(f lakeward.File, known lakeward.FileState) (lakeward.FileState, error) {
		f.State = known
		if f.State == "" {
			f.State = lakeward.FileStaged
		}
		return l.place(ctx, r, f)
	})
	if err != nil {
		return nil, err
	}
	if rec.Manifest == nil {
		return files, nil
	}
	return files, l.manifest(ctx, r, rec)
}

// eachFile settles every file of a record, notes each and then the phase. settle is told what is known of the file.
func (l *Lake) eachFile(ctx context.Context, r *lakeward.Run, rec *Record, settle func(f lakeward.File, known lakeward.FileState) (lakeward.FileState, error)) ([]lakeward.File, error) {
	known, err := l.Journal.Files(ctx, r)
	if err != nil {
		return nil, err
	}
	acknowledged := map[int]lakeward.FileState{}
	for _, f := range known {
		acknowledged[f.Index] = f.State
	}
	files := make([]lakeward.File, len(rec.Files))
	for i, f := range rec.Files {
		if f.State, err = settle(f, acknowledged[f.Index]); err != nil {
			return nil, err
		}
		if err := l.Journal.SaveFile(ctx, r, f); err != nil {
			return nil, err
		}
		files[i] = f
	}
	if !r.Phase.AtLeast(lakeward.PhasePublished) {
		err = l.Journal.Phase(ctx, r, lakeward.PhasePublished)
	}
	return files, err
}

// makeFolders makes the folders of the final names (p0).
func (l *Lake) makeFolders(ctx context.Context, rec *Record) error {
	done := map[string]bool{".": true}
	paths := []string{}
	for _, f := range rec.Files {
		paths = append(paths, f.Path)
	}
	if rec.Manifest != nil {
		paths = append(paths, *rec.Manifest)
	}
	for _, p := range paths {
		dir := path.Dir(p)
		if done[dir] {
			continue
		}
		done[dir] = true
		if err := l.Client.MakeFolder(ctx, dir); err != nil {
			return err
		}
	}
	return nil
}

// publishEarly is a planted mistake: the files get their final names before the commit.
func (l *Lake) publishEarly(ctx context.Context, r *lakeward.Run, rec *Record) error {
	if err := l.makeFolders(ctx, rec); err != nil {
		return err
	}
	for _, f := range rec.Files {
		if _, err := l.place(ctx, r, f); err != nil {
			return err
		}
	}
	return nil
}

// place gives one file its final name (p1 to p5) and returns its state.
func (l *Lake) place(ctx context.Context, r *lakeward.Run, f lakeward.File) (lakeward.FileState, error) {
	return l.settle(ctx, r, f, fileDraft(f.Index))
}

// settle renames a draft to its final name; whatever the answer, the final name is read and judged.
func (l *Lake) settle(ctx context.Context, r *lakeward.Run, f lakeward.File, what string) (lakeward.FileState, error) {
	cond := lake.RenameCondition{SourceETag: f.ETag}
	var last error
	for range maxTries {
		last = l.Client.Rename(ctx, f.Staged, f.Path, cond)
		if last == nil {
			return lakeward.FilePublished, nil
		}
		if !lake.Unclear(last) && !lake.Missing(last) && !lake.Taken(last) {
			return f.State, last
		}
		o, err := l.Client.Status(ctx, f.Path)
		if lake.Missing(err) {
			if !lake.CodeIs(last, "SourcePathNotFound") {
				cond.TargetETag = ""
				continue // nothing happened; once more
			}
			if f.State == lakeward.FilePublished || f.State == lakeward.FileConsumed {
				return lakeward.FileConsumed, nil // we were told that it was there; somebody took it (DLV-62)
			}
			return f.State, lost(f.Path)
		}
		if err != nil {
			return f.State, err
		}
		state, etag := l.judge(o, r, f, what)
		if state != "" {
			return state, nil
		}
		if etag == "" {
			return f.State, foreign(f.Path)
		}
		if lake.CodeIs(last, "SourcePathNotFound") {
			return f.State, lost(f.Path)
		}
		cond.TargetETag = etag // an older run's file: replace exactly that one (DLV-63)
	}
	return f.State, fmt.Errorf("publish %s: %w", f.Path, last)
}

// lost says that a committed file is nowhere (DLV-62).
func lost(p string) error {
	return &lakeward.Error{Kind: lakeward.Conflict, Code: lakeward.FailConflict,
		Msg: fmt.Sprintf("the staged file of %s is gone, and its publishing was never acknowledged; nothing can be proven", lakeward.Quote(p))}
}

// judge says what an object under a final name means: it is this file (published), a newer run's
// (superseded), or an older run's, whose etag is returned; neither if it is somebody else's.
func (l *Lake) judge(o lake.Object, r *lakeward.Run, f lakeward.File, what string) (lakeward.FileState, string) {
	switch {
	case author(o.Properties, r.ID, what, f.Staged) && o.Size == f.Bytes:
		return lakeward.FilePublished, ""
	case !ours(o, r) || o.Properties["lwrun"] == string(r.ID):
		return "", ""
	case o.Properties["lworder"] > order(r):
		return lakeward.FileSuperseded, ""
	}
	return "", o.ETag
}

// manifest writes the manifest and gives it its final name, strictly last (m1, m2). A committed run's
// manifest never changes (DLV-66), so one that is there is left alone.
func (l *Lake) manifest(ctx context.Context, r *lakeward.Run, rec *Record) error {
	o, err := l.Client.Status(ctx, *rec.Manifest)
	if err == nil {
		if o.Properties["lwrun"] == string(r.ID) && o.Properties["lwfile"] == manifestDraft {
			return nil
		}
		return foreign(*rec.Manifest)
	}
	if !lake.Missing(err) {
		return err
	}
	data, err := ManifestOf(rec)
	if err != nil {
		return err
	}
	staged, up, etag, err := l.stage(ctx, r, manifestDraft, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
	if err != nil {
		return err
	}
	_, err = l.settle(ctx, r, lakeward.File{Staged: staged, Path: *rec.Manifest, Bytes: up.Size, ETag: etag, State: lakeward.FileStaged}, manifestDraft)
	return err
}

// ManifestOf returns the bytes of a committed run's manifest: a function of its record alone.
func ManifestOf(rec *Record) ([]byte, error) {
	scheduled, err := time.Parse(time.RFC3339, rec.ScheduledTime)
	if err != nil {
		return nil, fmt.Errorf("scheduledTime of the record: %w", err)
	}
	return lakeward.NewManifest(rec.Run, scheduled, rec.Files).Bytes()
}
