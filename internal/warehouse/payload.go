package warehouse

import (
	"cmp"
	"context"
	"encoding/binary"
	"maps"
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
	numbered // of all leaves but the identity
	b        *BatchWriter
	at       []int // of each leaf in a chunk of the batch
	files    []lakeward.DataFile
}

// newPayloadWriter is nil for batches that carry no payload: records, events, and lists of identities alone.
func newPayloadWriter(b *BatchWriter, class lakeward.SchemaClass) *payloadWriter {
	if class != lakeward.EventClass || b.stores[0].events != nil {
		return nil
	}
	p := &payloadWriter{b: b}
	var leaves []lakeward.Leaf
	for i, l := range b.leaves {
		if l.Identity == nil {
			leaves, p.at = append(leaves, l), append(p.at, i)
		}
	}
	if len(leaves) == 0 {
		return nil
	}
	p.numbered = newNumbered(leaves)
	return p
}

// add takes the rows of a chunk, and the numbers of their profiles.
func (p *payloadWriter) add(numbers []uint32, c *vector.Chunk) {
	if p == nil {
		return
	}
	p.numbers = append(p.numbers, numbers...)
	for k, column := range p.at {
		for i := range c.Len {
			p.columns[k].AppendFrom(&c.Columns[column], i)
		}
	}
}

// discard removes what was written.
func (p *payloadWriter) discard() {
	if p != nil {
		p.b.w.discard(p.files...)
	}
}

// flush writes the pending rows as one file once there are enough of them, or always if it is the last time. Of the
// rows of one profile the last counts.
func (p *payloadWriter) flush(ctx context.Context, last bool) error {
	if p == nil || len(p.numbers) == 0 {
		return nil
	}
	if !last && p.size() < payloadBytes {
		return nil
	}
	folder := path.Join("datasets", string(p.b.batch.DatasetID), string(p.b.batch.ID))
	out, err := p.b.w.create(path.Join(folder, "payload-"+strconv.Itoa(len(p.files))+".parquet"), payloadColumns(p.leaves))
	if err != nil {
		return err
	}
	if err := p.write(ctx, out, p.order()); err != nil {
		p.b.w.abandon(out)
		return err
	}
	data, err := p.b.w.finish(out)
	data.Payload = true
	p.files = append(p.files, data)
	p.numbered = newNumbered(p.leaves)
	return err
}

// payloadColumns are the columns of a payload file: the number of the profile, then the payload.
func payloadColumns(leaves []lakeward.Leaf) []parquet.Column {
	return append([]parquet.Column{{Path: numberPath, Kind: vector.Int, Int32: true, Required: true}}, parquet.ColumnsOf(leaves)...)
}

// numberPath is the column of the profile's number. No column of an upload is named so, since names hold no blank.
const numberPath = "profile number"

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
// file, of which there is one for some 60 MB of the list, and the rows of those whom others carry on since then.
type Payload struct {
	files     []*fileCursor
	fields    []lakeward.Leaf
	out       []vector.Vector
	inherited map[uint32]int  // positions in legacy, by heir
	legacy    []vector.Vector // number, then the fields
}

// OpenPayload starts reading columns of a list as the profiles of a snapshot have them; one that the list does not have is
// null. The caller closes it.
func (w *Warehouse) OpenPayload(s *Snapshot, list lakeward.Batch, fields []lakeward.Leaf) (*Payload, error) {
	p := &Payload{fields: fields, out: make([]vector.Vector, len(fields))}
	heirs := s.heirsSince(list.Generation)
	if len(heirs) > 0 {
		p.inherited, p.legacy = map[uint32]int{}, make([]vector.Vector, len(fields)+1)
		p.legacy[0].Reset(vector.Int)
		for k, l := range fields {
			p.legacy[k+1].ResetTo(vector.ShapeOf(l))
		}
	}
	for _, f := range list.Payload {
		c := &fileCursor{}
		p.files = append(p.files, c)
		err := c.open(w, f, payloadColumns(fields))
		if err == nil && len(heirs) > 0 {
			err = p.inherit(c, heirs)
		}
		if err != nil {
			p.Close()
			return nil, err
		}
	}
	return p, nil
}

// inherit keeps the rows of retired profiles of a file for their heirs.
func (p *Payload) inherit(f *fileCursor, heirs map[uint32][]uint32) error {
	var c fileCursor
	defer c.close()
	if err := c.begin(f.table, f.data, payloadColumns(p.fields)); err != nil {
		return err
	}
	for ; ; c.at++ {
		ok, err := c.more()
		if err != nil || !ok {
			return err
		}
		to := heirs[uint32(c.cols[0].Ints[c.at])]
		if len(to) == 0 {
			continue
		}
		for k := range p.legacy {
			p.legacy[k].AppendFrom(&c.cols[k], c.at)
		}
		for _, n := range to {
			p.inherited[n] = p.legacy[0].Len - 1
		}
	}
}

// heirsSince gives those who carry on profiles that were retired after a generation, in the end.
func (s *Snapshot) heirsSince(generation int64) map[uint32][]uint32 {
	out := map[uint32][]uint32{}
	for _, h := range slices.Backward(s.heirs) {
		if h.Generation <= generation {
			break
		}
		later := maps.Clone(out)
		for pairs := h.Pairs; len(pairs) >= 8; pairs = pairs[8:] {
			from, to := binary.LittleEndian.Uint32(pairs), binary.LittleEndian.Uint32(pairs[4:])
			out[from] = append(append(out[from], to), later[to]...)
		}
	}
	return out
}

// Values returns the columns for profiles, whose numbers ascend from call to call; null where the list has no row. They are
// valid until the next call.
func (p *Payload) Values(numbers []uint32) ([]vector.Vector, error) {
	for k, l := range p.fields {
		p.out[k].ResetTo(vector.ShapeOf(l))
	}
	for _, number := range numbers {
		cols, at, err := p.row(number)
		if err != nil {
			return nil, err
		}
		for k := range p.out {
			if cols == nil {
				p.out[k].AppendNull()
			} else {
				p.out[k].AppendFrom(&cols[k+1], at)
			}
		}
	}
	return p.out, nil
}

// row finds the row of a profile: its own one, the last that has it, before one that it inherited. Without any, cols is nil.
func (p *Payload) row(number uint32) (cols []vector.Vector, at int, err error) {
	if i, ok := p.inherited[number]; ok {
		cols, at = p.legacy, i
	}
	for _, c := range p.files {
		ok, err := c.toProfile(number)
		if err != nil {
			return nil, 0, err
		}
		if ok {
			cols, at = c.cols, c.at
		}
	}
	return cols, at, nil
}

// Close releases the files.
func (p *Payload) Close() {
	for _, c := range p.files {
		c.close()
	}
}
