package warehouse

import (
	"bytes"
	"runtime"
	"slices"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/parquet"
	"github.com/lakeward/lakeward/internal/vector"
)

// Identities hands out the identities of profiles in the order of their numbers, as an identityMap (IDN-02): by
// namespace a list of objects with id and primary.
type Identities struct {
	feed  rowFeed
	rows  []identityRow // of the current profile
	bytes []byte        // of their texts
}

// identityRow is an identity of the current profile; its texts stand in the bytes of the reader from start to cut to end.
type identityRow struct {
	start, cut, end int
	primary         bool
}

func mapColumns() []parquet.Column { return identityColumns()[:4] }

// ScanIdentities starts reading the identities of a snapshot. The caller closes it.
func (w *Warehouse) ScanIdentities(s *Snapshot) (*Identities, error) {
	if err := s.checkProfiles(); err != nil {
		return nil, err
	}
	defer runtime.KeepAlive(s)
	feed, err := w.openFeed(s.Profiles, s.live(s.All()), mapColumns(), func(f ProfileFile) lakeward.DataFile { return f.Identities })
	if err != nil {
		feed.close()
		return nil, err
	}
	return &Identities{feed: feed}, nil
}

// From is another reader of the same files, which begins at a number. It is closed before the reader that it comes from,
// and may be used at the same time.
func (x *Identities) From(number uint32) (*Identities, error) {
	out := &Identities{}
	for _, s := range x.feed {
		own := &rowSource{live: s.live}
		if err := own.from(&s.fileCursor, mapColumns(), number); err != nil {
			out.Close()
			return nil, err
		}
		out.feed = append(out.feed, own)
	}
	return out, nil
}

// Close releases the files.
func (x *Identities) Close() { x.feed.close() }

// Append adds a map for each number to a vector; numbers ascend from call to call.
func (x *Identities) Append(numbers []uint32, out *vector.Vector) error {
	take := x.take
	for _, n := range numbers {
		x.rows, x.bytes = x.rows[:0], x.bytes[:0]
		if err := x.feed.each(n, take); err != nil {
			return err
		}
		slices.SortStableFunc(x.rows, func(a, b identityRow) int { return bytes.Compare(x.namespace(a), x.namespace(b)) })
		x.appendMap(out)
	}
	return nil
}

// take notes an identity of the current profile; its columns last only until the next one.
func (x *Identities) take(cols []vector.Vector, row int) error {
	r := identityRow{start: len(x.bytes), primary: cols[3].Bools.Get(row)}
	x.bytes = append(x.bytes, cols[1].Str(row)...)
	r.cut = len(x.bytes)
	x.bytes = append(x.bytes, cols[2].Str(row)...)
	r.end = len(x.bytes)
	x.rows = append(x.rows, r)
	return nil
}

func (x *Identities) namespace(r identityRow) []byte { return x.bytes[r.start:r.cut] }

// appendMap adds the identities of a profile, which are sorted by namespace.
func (x *Identities) appendMap(out *vector.Vector) {
	lists := &out.Fields[1]
	item := &lists.Fields[0]
	for i, r := range x.rows {
		if i == 0 || !bytes.Equal(x.namespace(r), x.namespace(x.rows[i-1])) {
			if i > 0 {
				lists.AppendItems()
			}
			out.Fields[0].AppendString(x.namespace(r))
		}
		item.Field("id").AppendString(x.bytes[r.cut:r.end])
		item.Field("primary").AppendBool(r.primary)
		item.AppendItems()
	}
	if len(x.rows) > 0 {
		lists.AppendItems()
	}
	out.AppendItems()
}
