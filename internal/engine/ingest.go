package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/decode"
	"github.com/lakeward/lakeward/internal/warehouse"
)

// CreateDataset checks and stores a dataset. schema is a name or an id.
func (e *Engine) CreateDataset(ctx context.Context, d lakeward.Dataset, schema string) (lakeward.Dataset, error) {
	d.ID, d.CreatedAt = lakeward.DatasetID(lakeward.NewID()), now()
	if err := d.Validate(); err != nil {
		return d, err
	}
	s, err := e.store.Schema(ctx, d.Sandbox, schema)
	if err != nil {
		return d, err
	}
	d.SchemaID = s.ID
	return d, e.store.CreateDataset(ctx, d)
}

// Upload is one file for a dataset.
type Upload struct {
	Sandbox string
	Dataset string // name or id
	Name    string // of the file, a label
	Columns map[string]string
	// MaxRejected is how many rows may be left out because they cannot be taken; more fail the batch.
	MaxRejected int64
	Progress    Progress // rows taken
}

// maxUpload is the size of a file that is kept while it is read (C15).
const maxUpload = 2 << 30

// openUpload opens a CSV, NDJSON or Parquet file. Parquet is read from its end: what cannot be, such as standard
// input, is kept until it is read. The caller calls done.
func (e *Engine) openUpload(file io.Reader, leaves []lakeward.Leaf, columns map[string]string) (rows decode.Rows, done func(), err error) {
	start := make([]byte, 4)
	n, err := io.ReadFull(file, start)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, nil, fmt.Errorf("read upload: %w", err)
	}
	whole := io.MultiReader(bytes.NewReader(start[:n]), file)
	done = func() {}
	if !decode.IsParquet(start[:n]) {
		rows, err = decode.Open(whole, leaves, columns)
		return rows, done, err
	}
	if f, ok := file.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			rows, err = decode.OpenParquet(f, info.Size(), leaves, columns)
			return rows, done, err
		}
	}
	kept, err := e.warehouse.NewSpool(whole, maxUpload)
	if err != nil {
		return nil, nil, err
	}
	done = func() { _ = kept.Close() }
	if rows, err = decode.OpenParquet(kept, kept.Size(), leaves, columns); err != nil {
		done()
	}
	return rows, done, err
}

// UploadDataset reads a CSV, NDJSON or Parquet file into a batch, all or nothing: more rows that cannot
// be taken than are allowed fail it, and the error lists them by line and field, never their values.
func (e *Engine) UploadDataset(ctx context.Context, up Upload, file io.Reader) (lakeward.Batch, error) {
	d, err := e.store.Dataset(ctx, up.Sandbox, up.Dataset)
	if err != nil {
		return lakeward.Batch{}, err
	}
	schema, err := e.store.Schema(ctx, up.Sandbox, string(d.SchemaID))
	if err != nil {
		return lakeward.Batch{}, err
	}
	rows, done, err := e.openUpload(file, schema.Leaves(), up.Columns)
	if err != nil {
		return lakeward.Batch{}, err
	}
	defer done()
	policies, err := e.policies(ctx, up.Sandbox, "")
	if err != nil {
		return lakeward.Batch{}, err
	}
	batch := lakeward.Batch{ID: lakeward.BatchID(lakeward.NewID()), DatasetID: d.ID, Source: path.Base(up.Name), CreatedAt: now()}
	w, err := e.warehouse.NewBatch(ctx, up.Sandbox, batch, schema, policies)
	if err != nil {
		return batch, err
	}
	if batch, err = ingest(ctx, rows, w, nil, up.MaxRejected, up.Progress); err != nil {
		w.Discard()
		return batch, err
	}
	e.dataGrew()
	e.nudge() // audiences may be evaluated after it
	e.log.InfoContext(ctx, "batch ingested", "dataset_id", d.ID, "batch_id", batch.ID, "rows", batch.Rows, "generation", batch.Generation)
	return batch, nil
}

// ingest moves all rows into the batch and commits it, with the audience that they make, if any.
func ingest(ctx context.Context, rows decode.Rows, w *warehouse.BatchWriter, audience *lakeward.Audience, maxRejected int64, p Progress) (lakeward.Batch, error) {
	rows, stop := decode.Ahead(rows)
	defer stop()
	done := int64(0)
	for {
		if err := ctx.Err(); err != nil {
			return lakeward.Batch{}, err
		}
		chunk, err := rows.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return lakeward.Batch{}, err
		}
		if err := w.Write(ctx, chunk); err != nil {
			return lakeward.Batch{}, err
		}
		done += int64(chunk.Len)
		p.report(done, 0)
	}
	n, examples := rows.Rejected()
	if n > maxRejected {
		return lakeward.Batch{}, rejected(rows)
	}
	w.LeaveOut(n, examples[:min(len(examples), shownRejects)])
	return w.Commit(ctx, audience)
}

const shownRejects = 20

// rejected is the error of a file with too many rows that cannot be taken.
func rejected(rows decode.Rows) error {
	n, examples := rows.Rejected()
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d rows cannot be taken; nothing of this file was stored", n, rows.Rows())
	for i, r := range examples {
		if i == shownRejects {
			fmt.Fprintf(&b, "\n  and %d more", n-shownRejects)
			break
		}
		fmt.Fprintf(&b, "\n  line %d: ", r.Line)
		if r.Field != "" {
			fmt.Fprintf(&b, "%s: ", r.Field)
		}
		b.WriteString(r.Reason)
	}
	return &lakeward.Error{Kind: lakeward.Invalid, Code: "UPL-1007", Msg: b.String()}
}
