// Package verify re-reads what a run delivered and compares it with the books. It shares no code with
// the encoders, so that one mistake cannot hide in both.
//
// It changes nothing. The one thing to know: rows are counted in the delivered bytes, nothing is taken
// from the counters of the encoder.
package verify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"github.com/minio/crc64nvme"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/deliver"
	"github.com/lakeward/lakeward/internal/lake"
)

// Run proves slot record, manifest, sizes, hashes and counts of a run (DLV-130, INV-02, INV-06, INV-14).
// An error means that the proof could not be finished, not that something is wrong.
func Run(ctx context.Context, d *deliver.Lake, r lakeward.Run) (lakeward.Verification, error) {
	v := &verification{ctx: ctx, lake: d, run: r, out: lakeward.Verification{Run: r.ID, Files: []lakeward.VerifiedFile{}, Problems: []lakeward.Problem{}}}
	rec, err := d.Slot(ctx, r.DataflowID, r.ID)
	slot := deliver.SlotPath(d.Base, r.DataflowID, r.ID)
	switch {
	case lakeward.CodeOf(err) == lakeward.FailIntegrity:
		v.problem(slot, "the slot record does not verify")
		return v.out, nil
	case err != nil:
		return v.out, err
	case rec == nil && r.State != lakeward.Succeeded:
		return v.out, nil // never committed, never reported as delivered
	case rec == nil:
		v.problem(slot, "there is no slot record; a delivery cannot be proven without it")
		return v.out, nil
	}
	return v.out, v.check(rec)
}

type verification struct {
	ctx  context.Context
	lake *deliver.Lake
	run  lakeward.Run
	out  lakeward.Verification
}

func (v *verification) problem(path, format string, args ...any) {
	v.out.Problems = append(v.out.Problems, lakeward.Problem{Path: path, What: fmt.Sprintf(format, args...)})
}

func (v *verification) check(rec *deliver.Record) error {
	if committed := rec.Kind == deliver.CommitKind; committed != (v.run.State == lakeward.Succeeded) {
		v.problem("", "the run is %s, its slot record is a %s", v.run.State, rec.Kind)
	}
	if rec.Kind != deliver.CommitKind {
		return nil
	}
	if rec.Counts != v.run.Counts {
		v.problem("", "the counts of the run and of its slot record differ")
	}
	if len(rec.Files) != len(v.run.Files) {
		v.problem("", "the run has %d files, its slot record lists %d", len(v.run.Files), len(rec.Files))
	}
	var rows int64
	for i, f := range rec.Files {
		if i < len(v.run.Files) && (v.run.Files[i].SHA256 != f.SHA256 || v.run.Files[i].Path != f.Path || v.run.Files[i].Bytes != f.Bytes || v.run.Files[i].Rows != f.Rows) {
			v.problem(f.Path, "the run and its slot record differ about this file")
		}
		rows += f.Rows
		if i < len(v.run.Files) && (v.run.Files[i].State == lakeward.FileSuperseded || v.run.Files[i].State == lakeward.FileConsumed) {
			continue // INV-06 speaks of files not replaced since
		}
		if err := v.file(f); err != nil {
			return err
		}
	}
	if rows != rec.Counts.Rows {
		v.problem("", "the files have %d rows, the counts say %d", rows, rec.Counts.Rows)
	}
	if err := rec.Counts.Balance(rec.Counts.Rows); err != nil {
		v.problem("", "%s", lakeward.CodeOf(err)+": the books do not balance")
	}
	return v.manifest(rec)
}

// file re-reads one delivered file.
func (v *verification) file(f lakeward.File) error {
	o, err := v.lake.Client.Status(v.ctx, f.Path)
	if lake.Missing(err) {
		v.problem(f.Path, "the file is missing")
		return nil
	}
	if err != nil {
		return err
	}
	if o.Properties["lwrun"] != string(v.run.ID) {
		if o.Properties["lwflow"] == string(v.run.DataflowID) && o.Properties["lwitem"] == v.run.Item {
			return nil // a static name: a newer run of the same item replaced it
		}
		v.problem(f.Path, "the file was not written by this run; somebody put another one in its place")
	}
	if o.IsDir {
		return nil // nothing to read; the other files are still looked at
	}
	if o.Size != f.Bytes {
		v.problem(f.Path, "the file has %d bytes, the slot record says %d", o.Size, f.Bytes)
	}
	body, _, err := v.lake.Client.Read(v.ctx, f.Path, 0, -1)
	if err != nil {
		return err
	}
	defer body.Close()
	sum, crc := sha256.New(), crc64nvme.New()
	counter := new(byteCounter)
	stored := io.TeeReader(body, io.MultiWriter(sum, crc, counter))
	rows, rerr := v.rows(stored)
	if _, err := io.Copy(io.Discard, stored); err != nil {
		return err
	}
	if rerr != nil {
		v.problem(f.Path, "the content cannot be read: %v", rerr)
	} else if rows != f.Rows && countable(v.run.Plan.Destination) {
		v.problem(f.Path, "the file holds %d rows, the slot record says %d", rows, f.Rows)
	}
	got := hex.EncodeToString(sum.Sum(nil))
	if got != f.SHA256 || fmt.Sprintf("%016x", crc.Sum64()) != f.CRC64 {
		v.problem(f.Path, "the content differs from what was delivered (SHA-256 or CRC64)")
	}
	v.out.Files = append(v.out.Files, lakeward.VerifiedFile{Path: f.Path, Rows: rows, Bytes: int64(*counter), SHA256: got})
	return nil
}

type byteCounter int64

func (c *byteCounter) Write(p []byte) (int, error) {
	*c += byteCounter(len(p))
	return len(p), nil
}

// manifest checks that it is there, says what it must, and is younger than every file (INV-14).
func (v *verification) manifest(rec *deliver.Record) error {
	if rec.Manifest == nil {
		return nil
	}
	v.out.Manifest = *rec.Manifest
	body, _, err := v.lake.Client.Read(v.ctx, *rec.Manifest, 0, -1)
	if lake.Missing(err) {
		v.problem(*rec.Manifest, "the manifest is missing")
		return nil
	}
	if err != nil {
		return err
	}
	defer body.Close()
	got, err := io.ReadAll(io.LimitReader(body, 64<<20))
	if err != nil {
		return err
	}
	if want := expectedManifest(rec); string(got) != want {
		v.problem(*rec.Manifest, "the manifest does not say what the slot record says")
	}
	return nil
}

// expectedManifest spells the manifest out by hand, in the byte form of MFT-03.
func expectedManifest(rec *deliver.Record) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"flowRunId":"%s","scheduledTime":"%s","exportResults":[`, rec.Run, rec.ScheduledTime)
	for i, f := range rec.Files {
		if i > 0 {
			b.WriteByte(',')
		}
		slash := strings.LastIndexByte(f.Path, '/')
		fmt.Fprintf(&b, `{"sinkPath":"%s","name":"%s","size":%d}`, escapeJSON("/"+f.Path[:max(slash, 0)]), escapeJSON(f.Path[slash+1:]), f.Bytes)
	}
	b.WriteString("]}")
	return b.String()
}

// escapeJSON escapes what a path may hold and a JSON text may not; control characters are no part of paths.
func escapeJSON(s string) string {
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\u2028", `\u2028`, "\u2029", `\u2029`).Replace(s)
}
