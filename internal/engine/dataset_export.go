package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/encode"
	"github.com/lakeward/lakeward/internal/vector"
)

// datasetPart is one file of a run of datasets: rows of batch files, in the order of their arrival.
type datasetPart struct {
	dataset int // in the plan
	pieces  []datasetPiece
	rows    int64
	copied  bool // the one batch file is delivered as it is at rest
}

type datasetPiece struct {
	file lakeward.DataFile
	rows *roaring.Bitmap
}

// planDatasets is what a run of datasets would export at a time. The number of files, which are part of their names, is not
// in it yet.
func (e *Engine) planDatasets(ctx context.Context, r lakeward.Run, flow lakeward.Dataflow, at time.Time) (lakeward.Plan, error) {
	plan, err := e.place(ctx, flow)
	if err != nil {
		return plan, err
	}
	names := flow.Names(lakeward.Audience{}, e.cfg.Organization, at)
	if plan.Folder, err = lakeward.ExpandFolder(plan.Destination.Folder, names); err != nil {
		return plan, err
	}
	plan.Run, plan.Datasets = r.ID, []lakeward.PlannedDataset{}
	for _, id := range flow.Datasets.IDs {
		d, err := e.store.Dataset(ctx, flow.Sandbox, string(id))
		if err != nil {
			return plan, err
		}
		schema, err := e.store.Schema(ctx, flow.Sandbox, string(d.SchemaID))
		if err != nil {
			return plan, err
		}
		p := lakeward.PlannedDataset{ID: d.ID, Name: d.Name, Class: schema.Class, Fields: schema.Fields}
		names.DatasetID, names.DatasetName, names.ExportTime = string(d.ID), d.Name, r.ScheduledAt
		if p.Folder, err = flow.Datasets.Folder(plan.Folder, names); err != nil {
			return plan, err
		}
		plan.Datasets = append(plan.Datasets, p)
	}
	return plan, nil
}

// countParts notes in the plan how many files each dataset gets, so that all names are known.
func (e *Engine) countParts(ctx context.Context, r *lakeward.Run, plan *lakeward.Plan, at time.Time) error {
	pinned := *r
	pinned.Plan, pinned.GeneratedAt = plan, &at
	s, err := e.selectRecords(ctx, &pinned)
	if err != nil {
		return err
	}
	for _, p := range s.parts {
		plan.Datasets[p.dataset].Parts++
	}
	return nil
}

// recordSelection is which records are written: a function of the run's windows and plan alone.
type recordSelection struct {
	plan   *lakeward.Plan
	parts  []datasetPart
	counts lakeward.Counts
}

// selectRecords takes, of each dataset, the batches that arrived in its window (DLV-123), less events that are too old.
func (e *Engine) selectRecords(ctx context.Context, r *lakeward.Run) (*recordSelection, error) {
	s := &recordSelection{plan: r.Plan}
	oldest := r.GeneratedAt.AddDate(0, 0, -lakeward.EventDays).UnixMilli()
	for i, d := range r.Plan.Datasets {
		batches, err := e.store.Batches(ctx, lakeward.Dataset{ID: d.ID, Sandbox: r.Sandbox})
		if err != nil {
			return nil, err
		}
		window, total := r.Windows[i], int64(0)
		c := cutter{selection: s, dataset: i, limit: r.Plan.Destination.PartRows()}
		leaves := lakeward.Schema{Fields: d.Fields}.Leaves()
		for _, b := range batches {
			if b.Generation > window.To {
				continue
			}
			total += b.Rows
			if window.From != nil && b.Generation <= *window.From {
				continue
			}
			for _, f := range b.Files {
				if err := e.addRecords(ctx, &c, d, f, leaves, oldest); err != nil {
					return nil, err
				}
			}
		}
		if err := d.CheckRows(total, r.Plan.Destination); err != nil {
			return nil, err
		}
		c.end(window.From == nil)
	}
	return s, nil
}

// addRecords adds the records of a batch file.
func (e *Engine) addRecords(ctx context.Context, c *cutter, d lakeward.PlannedDataset, f lakeward.DataFile, leaves []lakeward.Leaf, oldest int64) error {
	rows := roaring.New()
	rows.AddRange(0, uint64(f.Rows))
	if d.Class == lakeward.EventClass {
		if err := e.dropOld(ctx, f, rows, oldest); err != nil {
			return err
		}
	}
	c.selection.counts.Received += f.Rows
	c.selection.counts.ExcludedOld += f.Rows - int64(rows.GetCardinality())
	dest := c.selection.plan.Destination
	if dest.FileType != lakeward.Parquet || dest.Compression != lakeward.Snappy || int64(rows.GetCardinality()) != f.Rows || f.Rows > c.limit || f.Rows == 0 {
		c.add(f, rows)
		return nil
	}
	same, err := e.warehouse.SameFields(f, leaves)
	if err != nil {
		return err
	}
	if !same {
		c.add(f, rows)
		return nil
	}
	c.whole(f, rows)
	return nil
}

// dropOld takes the rows of events away that are older than may be exported (DSX-22).
func (e *Engine) dropOld(ctx context.Context, f lakeward.DataFile, rows *roaring.Bitmap, oldest int64) error {
	timestamp := []lakeward.Leaf{{Path: "timestamp", Type: lakeward.TypeDateTime}}
	for c, err := range e.warehouse.ReadFiles(ctx, []lakeward.DataFile{f}, timestamp) {
		if err != nil {
			return err
		}
		for i := range c.Len {
			if !c.Columns[0].IsNull(i) && c.Columns[0].Ints[i] < oldest {
				rows.Remove(c.Numbers[i])
			}
		}
	}
	return nil
}

// cutter puts records into files of at most limit rows.
type cutter struct {
	selection *recordSelection
	dataset   int
	limit     int64
	open      datasetPart
	some      bool // a file was made
}

func (c *cutter) add(f lakeward.DataFile, rows *roaring.Bitmap) {
	for !rows.IsEmpty() {
		take, rest := parted(rows, c.limit-c.open.rows)
		c.open.pieces = append(c.open.pieces, datasetPiece{f, take})
		c.open.rows += int64(take.GetCardinality())
		rows = rest
		if c.open.rows >= c.limit {
			c.close()
		}
	}
}

// whole makes a file of a batch file that is copied.
func (c *cutter) whole(f lakeward.DataFile, rows *roaring.Bitmap) {
	c.close()
	c.open = datasetPart{pieces: []datasetPiece{{f, rows}}, rows: f.Rows, copied: true}
	c.close()
}

func (c *cutter) close() {
	if len(c.open.pieces) == 0 {
		return
	}
	c.open.dataset = c.dataset
	c.selection.parts = append(c.selection.parts, c.open)
	c.open, c.some = datasetPart{}, true
}

// end closes the last file. An export of everything has a file even where there is no record (D12).
func (c *cutter) end(everything bool) {
	c.close()
	if everything && !c.some {
		c.selection.parts = append(c.selection.parts, datasetPart{dataset: c.dataset})
	}
}

// loadDatasets is the load of a run of datasets.
func (e *Engine) loadDatasets(ctx context.Context, r *lakeward.Run) (*load, error) {
	s, err := e.selectRecords(ctx, r)
	if err != nil {
		return nil, err
	}
	l := &load{counts: s.counts}
	for _, p := range s.parts {
		l.parts, l.rows = append(l.parts, p.rows), l.rows+p.rows
	}
	l.counts.Activated = l.rows
	l.write = func(ctx context.Context, out io.Writer, k int) (int64, doubts, error) {
		rows, err := e.writeRecords(ctx, out, s.parts[k], r.Plan, path.Base(r.Plan.FilePath(k)))
		return rows, doubts{}, err
	}
	return l, nil
}

// writeRecords puts the rows of a file into out: read, nest, encode, compress, encrypt.
func (e *Engine) writeRecords(ctx context.Context, out io.Writer, p datasetPart, plan *lakeward.Plan, name string) (int64, error) {
	around, err := newEnvelope(out, plan, name)
	if err != nil {
		return 0, err
	}
	defer around.Close() // after an error
	if p.copied {        // Parquet, which is packed inside
		return p.rows, errors.Join(e.warehouse.CopyFile(p.pieces[0].file, around), around.Close())
	}
	fields := plan.Datasets[p.dataset].Fields
	file, err := newRecordEncoder(around, plan.Destination, fields)
	if err != nil {
		return 0, err
	}
	encoded := newHandover(file)
	defer encoded.stop() // before what is around the file
	leaves := lakeward.Schema{Fields: fields}.Leaves()
	for _, piece := range p.pieces {
		for c, err := range e.warehouse.ReadRows(ctx, piece.file, piece.rows, leaves) {
			if err != nil {
				return 0, err
			}
			if err := encoded.Write(nested(c, fields)); err != nil {
				return 0, err
			}
		}
	}
	err = errors.Join(encoded.Close(), around.Close())
	return encoded.Rows(), err
}

// newRecordEncoder starts a file of a dataset. Null values are left out of JSON (FMT-15).
func newRecordEncoder(out io.Writer, d lakeward.Destination, fields []lakeward.Field) (encoder, error) {
	switch d.FileType {
	case lakeward.Parquet:
		return encode.NewParquet(out, fields, d.Compression)
	case lakeward.JSON:
		names := make([]string, len(fields))
		for i, f := range fields {
			names[i] = f.Name
		}
		return encode.NewJSON(out, names, false), nil
	}
	return nil, fmt.Errorf("datasets are not written as %s", d.FileType)
}

// nested puts the columns of a chunk, one for each leaf, together to one for each field at the top.
func nested(c *vector.Chunk, fields []lakeward.Field) *vector.Chunk {
	out, leaf := &vector.Chunk{Len: c.Len}, 0
	for _, f := range fields {
		out.Columns = append(out.Columns, nest(c, f, &leaf))
	}
	return out
}

// nest is the column of a field; an object without any value is null.
func nest(c *vector.Chunk, f lakeward.Field, leaf *int) vector.Vector {
	if f.Type != lakeward.TypeObject {
		*leaf++
		return c.Columns[*leaf-1]
	}
	v := vector.Vector{Kind: vector.Struct, Len: c.Len, Valid: vector.NewBits(c.Len)}
	for _, below := range f.Fields {
		b := nest(c, below, leaf)
		v.Names, v.Fields = append(v.Names, below.Name), append(v.Fields, b)
		for i := range c.Len {
			if !b.IsNull(i) {
				v.Valid.Set(i)
			}
		}
	}
	return v
}
