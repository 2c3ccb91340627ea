package deliver

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/lake"
)

// This file is the mode copy-once, for storage that cannot rename (DLV-100): files are written under their
// final names, each write pinned by the etag of what it replaces, so that a process that was taken over
// cannot change them. The slot record is an empty file whose properties name and authenticate its list.

// The properties of a slot record in this mode, beside those of every object.
const (
	markKind   = "lwkind"
	markList   = "lwlist" // SHA-256 of the list; of a tombstone "none"
	markReason = "lwreason"
	markMAC    = "lwmac"
)

const noList = "none"

// listPath is where the list of a commit record lies: one for each attempt.
func listPath(base string, flow lakeward.DataflowID, run lakeward.RunID, nonce string) string {
	return strings.TrimSuffix(SlotPath(base, flow, run), ".slot") + "-" + nonce[:8] + ".list"
}

// put writes a file under a name that is visible from its first byte (k2 to k5 without staging). What may be
// replaced is decided by reading it, and exactly that is replaced.
func (l *Lake) put(ctx context.Context, r *lakeward.Run, p, what string, write func(io.Writer) error) (lake.Uploaded, string, error) {
	return l.putUnless(ctx, r, p, what, func(lake.Object) bool { return false }, write)
}

// putUnless is put, but leaves alone what is complete already.
func (l *Lake) putUnless(ctx context.Context, r *lakeward.Run, p, what string, complete func(lake.Object) bool, write func(io.Writer) error) (lake.Uploaded, string, error) {
	failures := 0
	var last error
	for range maxTries {
		have, err := l.replaceable(ctx, r, p)
		if err != nil {
			return lake.Uploaded{}, "", err
		}
		if complete(have) {
			return lake.Uploaded{Size: have.Size}, have.ETag, nil
		}
		old := have.ETag
		etag, err := l.Client.Replace(ctx, p, marker(r, what), old)
		if lake.Taken(err) || lake.Unclear(err) {
			last = err
			continue
		}
		if err != nil {
			return lake.Uploaded{}, "", err
		}
		up, err := l.Client.UploadTo(ctx, p, etag, write)
		switch {
		case err == nil:
		case lake.Missing(err), lake.Unclear(err), lake.CodeIs(err, "InvalidFlushPosition", "ConditionNotMet"):
			last = err
			continue
		default:
			return up, "", err
		}
		o, err := l.Client.Status(ctx, p)
		if err == nil && o.Size == up.Size && mine(o, r, what) && o.Properties["lwnonce"] == r.Nonce {
			return up, o.ETag, nil
		}
		if err != nil && !lake.Missing(err) {
			return up, "", err
		}
		if failures++; failures == maxFailures {
			return up, "", &lakeward.Error{Kind: lakeward.Conflict, Code: lakeward.FailIntegrity, Msg: fmt.Sprintf("%s was written %d times and read back differently each time", p, failures)}
		}
	}
	return lake.Uploaded{}, "", fmt.Errorf("write %s: %w", p, last)
}

// putFile is put for a data file. Of an encrypted one every try has other bytes, so a block of an earlier try that
// arrives late would not be the same at its place: the file is read back whole, and written again if it is not what was
// sent. After its flush nothing changes it any more. sum is the SHA-256 of what was sent last.
func (l *Lake) putFile(ctx context.Context, r *lakeward.Run, f lakeward.File, write func(io.Writer) error, sum func() []byte) (lake.Uploaded, string, error) {
	for range maxFailures {
		up, etag, err := l.put(ctx, r, f.Path, fileDraft(f.Index), write)
		if err != nil || len(f.Recipients) == 0 {
			return up, etag, err
		}
		same, err := l.holds(ctx, f.Path, etag, sum())
		if err != nil || same {
			return up, etag, err
		}
	}
	return lake.Uploaded{}, "", &lakeward.Error{Kind: lakeward.Conflict, Code: lakeward.FailIntegrity,
		Msg: fmt.Sprintf("%s was written %d times and read back differently each time", f.Path, maxFailures)}
}

// holds reports whether exactly the file with an etag has content with a SHA-256.
func (l *Lake) holds(ctx context.Context, p, etag string, want []byte) (bool, error) {
	body, o, err := l.Client.Read(ctx, p, 0, -1)
	if lake.Missing(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	h := sha256.New()
	_, err = io.Copy(h, body)
	return o.ETag == etag && bytes.Equal(h.Sum(nil), want), errors.Join(err, body.Close())
}

// replaceable returns what lies at a final name, the zero Object for nothing, if this attempt may replace it:
// a leftover of this run, or the file of an older run of the same item.
func (l *Lake) replaceable(ctx context.Context, r *lakeward.Run, p string) (lake.Object, error) {
	o, err := l.Client.Status(ctx, p)
	if lake.Missing(err) {
		return lake.Object{}, nil
	}
	if err != nil {
		return o, err
	}
	attempt, aerr := strconv.Atoi(o.Properties["lwattempt"])
	switch {
	case o.IsDir || !ours(o, r) || aerr != nil:
		return o, foreign(p)
	case o.Properties["lwrun"] == string(r.ID) && attempt > r.Attempt: // this attempt was taken over
		return o, &lakeward.Error{Kind: lakeward.Conflict, Code: "RUN-1002", Msg: fmt.Sprintf("run %s was taken over by attempt %d", r.ID, attempt)}
	case o.Properties["lwrun"] != string(r.ID) && o.Properties["lworder"] >= order(r):
		return o, &lakeward.Error{Kind: lakeward.Conflict, Code: lakeward.FailConflict, Msg: fmt.Sprintf("%s was written by a newer run; nothing was replaced", lakeward.Quote(p))}
	}
	return o, nil
}

// mine reports whether an object is a file of the run, of any attempt.
func mine(o lake.Object, r *lakeward.Run, what string) bool {
	return o.Properties["lwrun"] == string(r.ID) && o.Properties["lwfile"] == what && ours(o, r)
}

// slotMAC authenticates the properties of a slot record.
func slotMAC(key []byte, props map[string]string) string {
	text := []string{"lakeward/slot/v1"}
	for _, name := range []string{markKind, "lwrun", "lwflow", "lwitem", "lwattempt", "lwnonce", markList, markReason} {
		text = append(text, name+"="+props[name])
	}
	return mac(key, []byte(strings.Join(text, "\n")))
}

// decideOnce is decide by one create instead of a rename.
func (l *Lake) decideOnce(ctx context.Context, r *lakeward.Run, rec Record) (*Record, error) {
	data, err := rec.encode(l.Key, listDomain)
	if err != nil {
		return nil, err
	}
	props := marker(r, slotDraft)
	props[markKind], props[markList], props[markReason] = rec.Kind, noList, rec.Reason
	if rec.Kind == CommitKind {
		_, _, err := l.put(ctx, r, listPath(l.Base, r.DataflowID, r.ID, r.Nonce), "list", func(w io.Writer) error {
			_, err := w.Write(data)
			return err
		})
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(data)
		props[markList] = hex.EncodeToString(sum[:])
	}
	props[markMAC] = slotMAC(l.Key, props)
	slot := SlotPath(l.Base, r.DataflowID, r.ID)
	var last error
	for range maxTries {
		if last = l.Client.Create(ctx, slot, props); last == nil {
			return &rec, nil
		}
		have, err := l.Slot(ctx, r.DataflowID, r.ID)
		if err != nil || have != nil {
			return have, err
		}
		if !lake.Unclear(last) && !lake.Taken(last) {
			return nil, last
		}
	}
	return nil, fmt.Errorf("commit: %w", last)
}

// listed reads the record that the properties of a slot name.
func (l *Lake) listed(ctx context.Context, props map[string]string, flow lakeward.DataflowID, run lakeward.RunID) (*Record, error) {
	if !hmac.Equal([]byte(props[markMAC]), []byte(slotMAC(l.Key, props))) || props["lwrun"] != string(run) || len(props["lwnonce"]) < 8 {
		return nil, errNotAuthentic
	}
	attempt, err := strconv.Atoi(props["lwattempt"])
	if err != nil {
		return nil, errNotAuthentic
	}
	if props[markKind] == TombstoneKind {
		return &Record{V: 1, Kind: TombstoneKind, Run: run, Flow: flow, Item: props["lwitem"], Attempt: attempt, Nonce: props["lwnonce"], Reason: props[markReason], Store: l.Store}, nil
	}
	data, _, err := l.readAll(ctx, listPath(l.Base, flow, run, props["lwnonce"]))
	if lake.Missing(err) {
		return nil, errNotAuthentic
	}
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != props[markList] {
		return nil, errNotAuthentic
	}
	rec, err := decodeRecord(data, l.Key, listDomain, run)
	if err == nil {
		rec.mode = lakeward.CopyOnce
	}
	return rec, err
}

// publishOnce sees that every file that the record lists is where it was written, as it was written, and
// writes the manifest. A file that was acknowledged before and is gone was consumed (DLV-62).
func (l *Lake) publishOnce(ctx context.Context, r *lakeward.Run, rec *Record) ([]lakeward.File, error) {
	files, err := l.eachFile(ctx, r, rec, func(f lakeward.File, known lakeward.FileState) (lakeward.FileState, error) {
		return l.arrived(ctx, r, f, known)
	})
	if err != nil || rec.Manifest == nil {
		return files, err
	}
	data, err := ManifestOf(rec)
	if err != nil {
		return nil, err
	}
	complete := func(o lake.Object) bool { return mine(o, r, manifestDraft) && o.Size == int64(len(data)) }
	_, _, err = l.putUnless(ctx, r, *rec.Manifest, manifestDraft, complete, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
	return files, err
}

// arrived judges what lies under the name of a committed file.
func (l *Lake) arrived(ctx context.Context, r *lakeward.Run, f lakeward.File, known lakeward.FileState) (lakeward.FileState, error) {
	o, err := l.Client.Status(ctx, f.Path)
	switch {
	case lake.Missing(err) && (known == lakeward.FilePublished || known == lakeward.FileConsumed):
		return lakeward.FileConsumed, nil
	case lake.Missing(err):
		return f.State, lost(f.Path)
	case err != nil:
		return f.State, err
	case mine(o, r, fileDraft(f.Index)) && o.Size == f.Bytes && o.ETag == f.ETag:
		return lakeward.FilePublished, nil
	case ours(o, r) && o.Properties["lwrun"] != string(r.ID) && o.Properties["lworder"] > order(r):
		return lakeward.FileSuperseded, nil
	}
	return f.State, &lakeward.Error{Kind: lakeward.Conflict, Code: lakeward.FailConflict,
		Msg: fmt.Sprintf("%s was changed after the run was committed; what lies there is not what was delivered", lakeward.Quote(f.Path))}
}

// Discard removes what a run left that will never be delivered: its staging folder, or in copy-once its files,
// each by its marker and pinned by its etag. The run's tombstone, or an empty slot that can never be filled,
// was read before (DLV-110c, DLV-112).
func (l *Lake) Discard(ctx context.Context, r *lakeward.Run) error {
	if l.Mode != lakeward.CopyOnce {
		return l.Client.Delete(ctx, stagingRun(l.Base, r), true)
	}
	if r.Plan == nil {
		return nil
	}
	files, err := l.Journal.Files(ctx, r)
	if err != nil {
		return err
	}
	known := 0
	for _, f := range files {
		known = max(known, f.Index+1)
	}
	for k := 0; ; k++ { // parts are written in order: behind the first that is not there, there is none
		p := r.Plan.FilePath(k)
		o, err := l.Client.Status(ctx, p)
		if err != nil && !lake.Missing(err) {
			return err
		}
		if err != nil || !mine(o, r, fileDraft(k)) {
			if k >= known {
				return l.discardSuccess(ctx, r)
			}
			continue
		}
		if err := l.Client.DeleteExactly(ctx, path.Clean(p), o.ETag); err != nil && !lake.Taken(err) {
			return err
		}
	}
}

// discardSuccess removes the success file of a run that will never be delivered.
func (l *Lake) discardSuccess(ctx context.Context, r *lakeward.Run) error {
	p := r.Plan.SuccessPath()
	if p == "" {
		return nil
	}
	o, err := l.Client.Status(ctx, p)
	if lake.Missing(err) || err == nil && (!ours(o, r) || o.Properties["lwrun"] != string(r.ID)) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := l.Client.DeleteExactly(ctx, p, o.ETag); err != nil && !lake.Taken(err) {
		return err
	}
	return nil
}
