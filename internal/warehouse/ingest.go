package warehouse

import (
	"context"
	"fmt"
	"path"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/parquet"
	"github.com/lakeward/lakeward/internal/vector"
)

// BatchWriter takes the records of one batch and keeps them out of sight until Commit.
type BatchWriter struct {
	w      *Warehouse
	leaves []lakeward.Leaf // of the schema
	batch  lakeward.Batch
	base   *Snapshot
	change lakeward.Change
	out    *tableWriter    // the open part of the dataset's files
	parts  int             // begun
	store  *profileWriter  // nil for records that do not feed profiles
	seen   *roaring.Bitmap // profiles of all records
}

// NewBatch starts a batch of records of a schema. policy says how they become profiles.
func (w *Warehouse) NewBatch(ctx context.Context, sandbox string, batch lakeward.Batch, schema lakeward.Schema, policy Policy) (*BatchWriter, error) {
	snap, err := w.Snapshot(ctx, sandbox, 0)
	if err != nil {
		return nil, err
	}
	b := &BatchWriter{w: w, leaves: schema.Leaves(), batch: batch, base: snap, seen: roaring.New(),
		change: lakeward.Change{Base: snap.Generation, Kind: "dataset", At: batch.CreatedAt, NextNumber: snap.NextNumber}}
	if schema.Profile {
		b.change.Kind = "ingest"
		index, err := w.IdentityIndex(ctx, snap)
		if err != nil {
			return nil, err
		}
		b.store = newProfileWriter(w, snap, index, policy)
		b.batch.Generation = snap.Generation + 1 // Commit refuses any other
		b.store.begin(b.batch, schema.Class, b.leaves, b.finishedParts)
	}
	if err := b.nextPart(); err != nil {
		b.Discard()
		return nil, err
	}
	return b, nil
}

// nextPart opens a file of the dataset.
func (b *BatchWriter) nextPart() (err error) {
	var columns []parquet.Column
	for _, l := range b.leaves {
		columns = append(columns, parquet.ColumnOf(l))
	}
	name := fmt.Sprintf("part-%05d.parquet", b.parts)
	b.out, err = b.w.create(path.Join("datasets", string(b.batch.DatasetID), string(b.batch.ID), name), columns)
	b.parts++
	return err
}

// finishedParts ends the open part, so that all rows written so far can be read, and returns the files.
func (b *BatchWriter) finishedParts() ([]lakeward.DataFile, error) {
	if b.out.data.Rows > 0 {
		if err := b.endPart(); err != nil {
			return nil, err
		}
		if err := b.nextPart(); err != nil {
			return nil, err
		}
	}
	return b.batch.Files, nil
}

func (b *BatchWriter) endPart() error {
	data, err := b.w.finish(b.out)
	if err == nil {
		b.batch.Files = append(b.batch.Files, data)
	}
	return err
}

// Write adds records: the columns of the chunk stand in the order of the schema's leaves.
func (b *BatchWriter) Write(ctx context.Context, c *vector.Chunk) error {
	if err := b.out.add(c); err != nil {
		return err
	}
	first := b.batch.Rows
	b.batch.Rows += int64(c.Len)
	if b.store == nil {
		return nil
	}
	return b.store.index.damaged(b.store.add(ctx, c, first, b.seen))
}

// LeaveOut notes rows of the upload that are not part of the batch.
func (b *BatchWriter) LeaveOut(rows int64, examples []lakeward.RejectedRow) {
	b.batch.Rejected, b.batch.Examples = rows, examples
}

// Commit ends the batch and makes it current. With an audience, the profiles of the records become its
// members in the same commit, and the audience is stored. It returns the batch with its counts and generation.
func (b *BatchWriter) Commit(ctx context.Context, audience *lakeward.Audience) (lakeward.Batch, error) {
	if b.store != nil {
		if err := b.store.flush(ctx); err != nil {
			return b.batch, b.store.index.damaged(err)
		}
		if err := b.store.into(&b.change); err != nil {
			return b.batch, err
		}
		b.batch.Profiles, b.batch.NewProfiles = int64(b.store.touched.GetCardinality()), int64(b.store.fresh)
	}
	if audience != nil {
		m, err := b.w.writeMembership(b.base, audience.ID, b.seen, b.batch.CreatedAt)
		if err != nil {
			return b.batch, err
		}
		named, err := m.catalogued()
		if err != nil {
			return b.batch, err
		}
		b.change.Audience, b.change.Memberships = audience, []lakeward.Membership{named}
	}
	if b.out.data.Rows > 0 || len(b.batch.Files) == 0 {
		if err := b.endPart(); err != nil {
			return b.batch, err
		}
	} else {
		b.w.abandon(b.out)
	}
	b.change.Batch = &b.batch
	var err error
	if b.batch.Generation, err = b.w.catalog.Commit(ctx, b.base.Sandbox, b.change); err == nil && b.store != nil {
		b.w.keepIndex(ctx, b.store.index, b.base.Sandbox, b.batch.Generation)
	}
	return b.batch, err
}

// Discard removes what the batch wrote; for a batch that is not committed.
func (b *BatchWriter) Discard() {
	if b.out != nil {
		b.w.abandon(b.out)
		b.w.discard(b.batch.Files...)
		_ = b.w.root.Remove(path.Dir(b.out.data.Path))
	}
	if b.store != nil {
		b.store.discard()
	}
	b.w.discardMemberships(b.change)
}
