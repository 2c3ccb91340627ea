package engine

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"hash/fnv"
	"math"
	"slices"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/encode"
	"github.com/lakeward/lakeward/internal/vector"
)

// FieldStatistics is what the rows of a dataset hold in one field. Min and Max are texts, "" if there is no value.
type FieldStatistics struct {
	Field    string `json:"field"`
	Type     string `json:"type"`
	Rows     int64  `json:"rows"`
	Nulls    int64  `json:"nulls"`
	Distinct int64  `json:"distinct"` // exact up to 1,024 values, else an estimate within about 3 %
	Min      string `json:"min"`
	Max      string `json:"max"`
}

// datasetFiles are the files of a dataset's batches and the fields of its schema.
func (e *Engine) datasetFiles(ctx context.Context, sandbox, ref string) ([]lakeward.DataFile, []lakeward.Leaf, error) {
	d, err := e.store.Dataset(ctx, sandbox, ref)
	if err != nil {
		return nil, nil, err
	}
	schema, err := e.store.Schema(ctx, sandbox, string(d.SchemaID))
	if err != nil {
		return nil, nil, err
	}
	files, err := e.batchFiles(ctx, d)
	return files, schema.Leaves(), err
}

// batchFiles are the files of a dataset's batches, in the order of the batches.
func (e *Engine) batchFiles(ctx context.Context, d lakeward.Dataset) (files []lakeward.DataFile, err error) {
	batches, err := e.store.Batches(ctx, d)
	for _, b := range batches {
		files = append(files, b.Files...)
	}
	return files, err
}

// PreviewDataset returns the names of the fields and the first rows as texts, "" for null.
func (e *Engine) PreviewDataset(ctx context.Context, sandbox, ref string, limit int) (header []string, rows [][]string, err error) {
	files, fields, err := e.datasetFiles(ctx, sandbox, ref)
	if err != nil {
		return nil, nil, err
	}
	for _, l := range fields {
		header = append(header, l.Path)
	}
	for c, err := range e.warehouse.ReadFiles(ctx, files, fields) {
		if err != nil {
			return nil, nil, err
		}
		for i := 0; i < c.Len && len(rows) < limit; i++ {
			row := make([]string, len(fields))
			for k := range c.Columns {
				row[k] = cellText(&c.Columns[k], i)
			}
			rows = append(rows, row)
		}
		if len(rows) >= limit {
			break
		}
	}
	return header, rows, nil
}

// DatasetStatistics reads all rows of a dataset once.
func (e *Engine) DatasetStatistics(ctx context.Context, sandbox, ref string, p Progress) ([]FieldStatistics, error) {
	files, fields, err := e.datasetFiles(ctx, sandbox, ref)
	if err != nil {
		return nil, err
	}
	stats := make([]fieldCounter, len(fields))
	done := int64(0)
	for c, err := range e.warehouse.ReadFiles(ctx, files, fields) {
		if err != nil {
			return nil, err
		}
		for k := range c.Columns {
			stats[k].add(&c.Columns[k], c.Len)
		}
		done += int64(c.Len)
		p.report(done, 0)
	}
	out := make([]FieldStatistics, len(fields))
	for k, l := range fields {
		s := &stats[k]
		out[k] = FieldStatistics{Field: l.Path, Type: string(l.Type), Rows: s.rows, Nulls: s.nulls, Distinct: s.distinct.estimate()}
		if s.some {
			out[k].Min, out[k].Max = cellText(&s.least, 0), cellText(&s.most, 0)
		}
	}
	return out, nil
}

// fieldCounter collects the statistics of one field.
type fieldCounter struct {
	rows, nulls int64
	some        bool
	least, most vector.Vector // of one value
	distinct    sketch
}

func (f *fieldCounter) add(v *vector.Vector, n int) {
	f.rows += int64(n)
	for i := range n {
		if v.IsNull(i) {
			f.nulls++
			continue
		}
		f.distinct.add(cellHash(v, i))
		if len(v.Fields) > 0 {
			continue // lists and maps have no order
		}
		if !f.some {
			f.some = true
			keepOne(&f.least, v, i)
			keepOne(&f.most, v, i)
			continue
		}
		if compareCells(v, i, &f.least, 0) < 0 {
			keepOne(&f.least, v, i)
		}
		if compareCells(v, i, &f.most, 0) > 0 {
			keepOne(&f.most, v, i)
		}
	}
}

// keepOne makes out hold one value of v.
func keepOne(out, v *vector.Vector, i int) {
	out.Reset(v.Kind)
	out.Scale = v.Scale
	out.AppendFrom(v, i)
}

func compareCells(a *vector.Vector, i int, b *vector.Vector, k int) int {
	switch a.Kind {
	case vector.String:
		return bytes.Compare(a.Str(i), b.Str(k))
	case vector.Float:
		return cmp.Compare(a.Floats[i], b.Floats[k])
	case vector.Bool:
		return cmp.Compare(boolInt(a.Bools.Get(i)), boolInt(b.Bools.Get(k)))
	}
	return cmp.Compare(a.Ints[i], b.Ints[k])
}

func boolInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// cellText is a value as people write it; "" for null.
func cellText(v *vector.Vector, i int) string {
	if len(v.Fields) > 0 && !v.IsNull(i) {
		return string(encode.AppendJSON(nil, v, i))
	}
	return string(v.AppendText(nil, i))
}

// cellHash spreads a value over 64 bits.
func cellHash(v *vector.Vector, i int) uint64 {
	h := fnv.New64a()
	switch v.Kind {
	case vector.List, vector.Map:
		_, _ = h.Write(encode.AppendJSON(nil, v, i))
	case vector.String:
		_, _ = h.Write(v.Str(i))
	case vector.Float:
		_, _ = h.Write(binary.LittleEndian.AppendUint64(nil, math.Float64bits(v.Floats[i])))
	case vector.Bool:
		_, _ = h.Write([]byte{byte(boolInt(v.Bools.Get(i)))})
	default:
		_, _ = h.Write(binary.LittleEndian.AppendUint64(nil, uint64(v.Ints[i])))
	}
	x := h.Sum64() // mixed, since near values have near sums
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

const sketchSize = 1024

// sketch keeps the smallest hashes that it has seen, sorted: how dense they lie tells how many there are.
type sketch struct{ least []uint64 }

func (s *sketch) add(h uint64) {
	if len(s.least) == sketchSize && h >= s.least[sketchSize-1] {
		return
	}
	i, found := slices.BinarySearch(s.least, h)
	if found {
		return
	}
	if len(s.least) == sketchSize {
		s.least = s.least[:sketchSize-1]
	}
	s.least = slices.Insert(s.least, i, h)
}

func (s *sketch) estimate() int64 {
	if len(s.least) < sketchSize {
		return int64(len(s.least))
	}
	return int64(math.Round((sketchSize - 1) / (float64(s.least[sketchSize-1]) / math.MaxUint64)))
}
