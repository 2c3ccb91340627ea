package warehouse

import (
	"cmp"
	"context"
	"path"
	"slices"
	"strconv"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/parquet"
	"github.com/lakeward/lakeward/internal/vector"
)

// payloadBytes is how many bytes of an uploaded list are sorted in memory and become one file.
const payloadBytes = 64 << 20

// payloadWriter keeps the rows of an uploaded list a second time, sorted by the number of their profile, so that an export
// can put them beside its members without holding the list (ENR-04).
type payloadWriter struct {
	b       *BatchWriter
	leaves  []lakeward.Leaf // all but the identity
	at      []int           // of each leaf in a chunk of the batch
	numbers []uint32
	columns []vector.Vector
	files   []lakeward.DataFile
}

// newPayloadWriter is nil for batches that carry no payload: records, events, and lists of identities alone.
func newPayloadWriter(b *BatchWriter) *payloadWriter {
	if !b.schema.Profile || b.schema.Class != lakeward.EventClass || b.events != nil {
		return nil
	}
	p := &payloadWriter{b: b}
	for i, l := range b.leaves {
		if l.Identity == nil {
			p.leaves, p.at = append(p.leaves, l), append(p.at, i)
		}
	}
	if len(p.leaves) == 0 {
		return nil
	}
	p.reset()
	return p
}

func (p *payloadWriter) reset() {
	p.numbers, p.columns = p.numbers[:0], make([]vector.Vector, len(p.leaves))
	for k, l := range p.leaves {
		p.columns[k].ResetTo(vector.ShapeOf(l))
	}
}

// add takes row i of a chunk.
func (p *payloadWriter) add(number uint32, c *vector.Chunk, i int) {
	if p == nil {
		return
	}
	p.numbers = append(p.numbers, number)
	for k, column := range p.at {
		p.columns[k].AppendFrom(&c.Columns[column], i)
	}
}

// flush writes the pending rows as one file once there are enough of them, or always if it is the last time. Of the
// rows of one profile the last counts.
func (p *payloadWriter) flush(ctx context.Context, last bool) error {
	if p == nil || len(p.numbers) == 0 {
		return nil
	}
	size := 4 * len(p.numbers)
	for k := range p.columns {
		size += p.columns[k].Size()
	}
	if !last && size < payloadBytes {
		return nil
	}
	folder := path.Join("datasets", string(p.b.batch.DatasetID), string(p.b.batch.ID))
	out, err := p.b.w.create(path.Join(folder, "payload-"+strconv.Itoa(len(p.files))+".parquet"), payloadColumns(p.leaves))
	if err != nil {
		return err
	}
	if err := p.write(ctx, out); err != nil {
		p.b.w.abandon(out)
		return err
	}
	data, err := p.b.w.finish(out)
	data.Payload = true
	p.files = append(p.files, data)
	p.reset()
	return err
}

// payloadColumns are the columns of a payload file: the number of the profile, then the payload.
func payloadColumns(leaves []lakeward.Leaf) []parquet.Column {
	return append([]parquet.Column{{Path: numberPath, Kind: vector.Int, Int32: true, Required: true}}, parquet.ColumnsOf(leaves)...)
}

// numberPath is the column of the profile's number. No column of an upload is named so, since names hold no blank.
const numberPath = "profile number"

func (p *payloadWriter) write(ctx context.Context, out *tableWriter) error {
	order := p.order()
	c := vector.Chunk{Columns: make([]vector.Vector, len(p.leaves)+1)}
	for len(order) > 0 {
		n := min(len(order), vector.MaxRows)
		c.Len = n
		c.Columns[0].Reset(vector.Int)
		for _, i := range order[:n] {
			c.Columns[0].AppendInt(int64(p.numbers[i]))
		}
		for k, l := range p.leaves {
			c.Columns[k+1].ResetTo(vector.ShapeOf(l))
			for _, i := range order[:n] {
				c.Columns[k+1].AppendFrom(&p.columns[k], int(i))
			}
		}
		order = order[n:]
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := out.add(&c); err != nil {
			return err
		}
	}
	return nil
}

// order is the last row of each profile, by number.
func (p *payloadWriter) order() []int32 {
	all := make([]int32, len(p.numbers))
	for i := range all {
		all[i] = int32(i)
	}
	slices.SortStableFunc(all, func(x, y int32) int { return cmp.Compare(p.numbers[x], p.numbers[y]) })
	out := all[:0]
	for k, i := range all {
		if k+1 == len(all) || p.numbers[all[k+1]] != p.numbers[i] {
			out = append(out, i)
		}
	}
	return out
}

// Payload hands out columns of an uploaded list by profile, in the order of their numbers. It holds a window of each
// file, of which there is one for some 60 MB of the list.
type Payload struct {
	files  []*eventCursor
	fields []lakeward.Leaf
	out    []vector.Vector
}

// OpenPayload starts reading columns of a list; one that it does not have is null. The caller closes it.
func (w *Warehouse) OpenPayload(files []lakeward.DataFile, fields []lakeward.Leaf) (*Payload, error) {
	p := &Payload{fields: fields, out: make([]vector.Vector, len(fields))}
	for _, f := range files {
		t, err := w.open(f)
		if err != nil {
			p.Close()
			return nil, err
		}
		c := &eventCursor{table: t, data: f, cols: make([]vector.Vector, len(fields)+1)}
		p.files = append(p.files, c)
		if c.reader, err = t.ReaderOf(payloadColumns(fields)); err != nil {
			p.Close()
			return nil, sourceError(f, err)
		}
	}
	return p, nil
}

// Values returns the columns for profiles, whose numbers ascend from call to call; null where the list has no row. They are
// valid until the next call.
func (p *Payload) Values(numbers []uint32) ([]vector.Vector, error) {
	for k, l := range p.fields {
		p.out[k].ResetTo(vector.ShapeOf(l))
	}
	for _, number := range numbers {
		var found *eventCursor
		for _, c := range p.files { // the last one that has the profile counts
			ok, err := c.toProfile(number)
			if err != nil {
				return nil, err
			}
			if ok {
				found = c
			}
		}
		for k := range p.out {
			if found == nil {
				p.out[k].AppendNull()
			} else {
				p.out[k].AppendFrom(&found.cols[k+1], found.at)
			}
		}
	}
	return p.out, nil
}

// Close releases the files.
func (p *Payload) Close() {
	for _, c := range p.files {
		if c.reader != nil {
			_ = c.reader.Close()
		}
		_ = c.table.Close()
	}
}
