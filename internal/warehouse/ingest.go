package warehouse

import (
	"context"
	"fmt"
	"path"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/parquet"
	"github.com/lakeward/lakeward/internal/together"
	"github.com/lakeward/lakeward/internal/vector"
)

// BatchWriter takes the records of one batch and keeps them out of sight until Commit.
type BatchWriter struct {
	w       *Warehouse
	leaves  []lakeward.Leaf // of the schema
	batch   lakeward.Batch
	base    *Snapshot // of the first policy
	change  lakeward.Change
	out     *tableWriter     // the open part of the dataset's files
	parts   int              // begun
	writing together.Task    // of the last chunk into out
	stores  []*profileWriter // of each policy; none for records that do not feed profiles
	seen    *roaring.Bitmap  // profiles of all records, under the first policy
	payload *payloadWriter   // nil if the records have none
}

// NewBatch starts a batch of records of a schema. The policies, all of the sandbox, say how they become profiles; under
// the first one, the records may make an audience.
func (w *Warehouse) NewBatch(ctx context.Context, sandbox string, batch lakeward.Batch, schema lakeward.Schema, policies []Policy) (*BatchWriter, error) {
	snap, err := w.SnapshotOf(ctx, sandbox, policies[0].ID, 0)
	if err != nil {
		return nil, err
	}
	b := &BatchWriter{w: w, leaves: schema.Leaves(), batch: batch, base: snap, seen: roaring.New(),
		change: lakeward.Change{Base: snap.Generation, Kind: "dataset", At: batch.CreatedAt, Of: snap.Policy, NextNumber: snap.NextNumber}}
	if schema.Profile {
		b.change.Kind = "ingest"
		b.batch.Generation = snap.Generation + 1 // Commit refuses any other
		err = b.openStores(ctx, schema.Class, policies)
	}
	if err == nil {
		err = b.nextPart()
	}
	if err != nil {
		b.Discard()
		return nil, err
	}
	return b, nil
}

func (b *BatchWriter) openStores(ctx context.Context, class lakeward.SchemaClass, policies []Policy) error {
	for _, policy := range policies {
		p, err := b.w.openPolicy(ctx, b.base.Sandbox, policy, b.base.Generation)
		if err != nil {
			return err
		}
		p.begin(b.batch, class, b.leaves, b.finishedParts)
		b.stores = append(b.stores, p)
	}
	b.payload = newPayloadWriter(b, class)
	return nil
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
	if err := b.writing.Wait(); err != nil {
		return nil, err
	}
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

// Write adds records: the columns of the chunk stand in the order of the schema's leaves. They go into the dataset's file
// beside the work on profiles.
func (b *BatchWriter) Write(ctx context.Context, c *vector.Chunk) (err error) {
	to := b.out
	b.writing.Start(func() error { return to.add(c) })
	defer func() {
		if werr := b.writing.Wait(); err == nil { // also after an error: the chunk is the caller's again
			err = werr
		}
	}()
	first := b.batch.Rows
	b.batch.Rows += int64(c.Len)
	for i, p := range b.stores {
		if err := p.add(ctx, c, first); err != nil {
			return p.index.damaged(err)
		}
		if i == 0 {
			b.seen.AddMany(p.numbers)
			b.payload.add(p.numbers, c)
		}
	}
	return b.payload.flush(ctx, false)
}

// LeaveOut notes rows of the upload that are not part of the batch.
func (b *BatchWriter) LeaveOut(rows int64, examples []lakeward.RejectedRow) {
	b.batch.Rejected, b.batch.Examples = rows, examples
}

// Commit ends the batch and makes it current. With an audience, the profiles of the records become its
// members in the same commit, and the audience is stored. It returns the batch with its counts and generation.
func (b *BatchWriter) Commit(ctx context.Context, audience *lakeward.Audience) (lakeward.Batch, error) {
	if err := b.endStores(ctx); err != nil {
		return b.batch, err
	}
	if audience != nil {
		before, err := b.w.SnapshotOf(ctx, b.base.Sandbox, b.base.Policy, b.base.Generation, audience.ID)
		if err != nil {
			return b.batch, err
		}
		m, err := b.w.writeMembership(before, audience.ID, b.seen, b.batch.CreatedAt)
		if err != nil {
			return b.batch, err
		}
		named, err := m.catalogued()
		if err != nil {
			return b.batch, err
		}
		b.change.Audience, b.change.Memberships = audience, []lakeward.Membership{named}
	}
	if err := b.payload.flush(ctx, true); err != nil {
		return b.batch, err
	}
	if b.out.data.Rows > 0 || len(b.batch.Files) == 0 {
		if err := b.endPart(); err != nil {
			return b.batch, err
		}
	} else {
		b.w.abandon(b.out)
	}
	if b.payload != nil {
		b.batch.Payload = b.payload.files
	}
	b.change.Batch = &b.batch
	var err error
	if b.batch.Generation, err = b.w.catalog.Commit(ctx, b.base.Sandbox, b.change); err == nil {
		b.w.keepIndexes(ctx, b.stores, b.batch.Generation)
		b.stores = nil
	}
	return b.batch, err
}

// endStores ends the profiles of each policy and adds them to the change.
func (b *BatchWriter) endStores(ctx context.Context) error {
	for i, p := range b.stores {
		err := p.flush(ctx)
		if err == nil {
			err = p.flushEvents(ctx)
		}
		if err != nil {
			return p.index.damaged(err)
		}
		c, err := p.change()
		if err != nil {
			return err
		}
		if i > 0 {
			b.change.Others = append(b.change.Others, c)
			continue
		}
		into(&b.change, c)
		b.batch.Profiles, b.batch.NewProfiles = int64(p.touched.GetCardinality()), int64(p.fresh)
	}
	return nil
}

// Discard removes what the batch wrote; for a batch that is not committed.
func (b *BatchWriter) Discard() {
	if b.out != nil {
		b.w.abandon(b.out)
		b.w.discard(b.batch.Files...)
		b.payload.discard()
		_ = b.w.root.Remove(path.Dir(b.out.data.Path))
	}
	discardAll(b.stores)
	b.w.discardMemberships(b.change)
}
