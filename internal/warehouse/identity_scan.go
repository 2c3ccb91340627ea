package warehouse

import (
	"bytes"
	"runtime"
	"slices"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
)

// Identities hands out the identities of profiles in the order of their numbers, as an identityMap (IDN-02): by
// namespace a list of objects with id and primary.
type Identities struct {
	feed rowFeed
	rows []identityRow // of the current profile
}

type identityRow struct {
	namespace, value []byte
	primary          bool
}

// ScanIdentities starts reading the identities of a snapshot. The caller closes it.
func (w *Warehouse) ScanIdentities(s *Snapshot) (*Identities, error) {
	if err := s.checkProfiles(); err != nil {
		return nil, err
	}
	defer runtime.KeepAlive(s)
	feed, err := w.openFeed(s.Profiles, s.live(s.All()), identityColumns(), func(f ProfileFile) lakeward.DataFile { return f.Identities })
	if err != nil {
		feed.close()
		return nil, err
	}
	return &Identities{feed: feed}, nil
}

// Close releases the files.
func (x *Identities) Close() { x.feed.close() }

// Append adds a map for each number to a vector; numbers ascend from call to call.
func (x *Identities) Append(numbers []uint32, out *vector.Vector) error {
	for _, n := range numbers {
		x.rows = x.rows[:0]
		err := x.feed.each(n, func(cols []vector.Vector, row int) error {
			x.rows = append(x.rows, identityRow{bytes.Clone(cols[1].Str(row)), bytes.Clone(cols[2].Str(row)), cols[3].Bools.Get(row)})
			return nil
		})
		if err != nil {
			return err
		}
		slices.SortStableFunc(x.rows, func(a, b identityRow) int { return bytes.Compare(a.namespace, b.namespace) })
		x.appendMap(out)
	}
	return nil
}

// appendMap adds the identities of a profile, which are sorted by namespace.
func (x *Identities) appendMap(out *vector.Vector) {
	lists := &out.Fields[1]
	for i, r := range x.rows {
		if i == 0 || !bytes.Equal(r.namespace, x.rows[i-1].namespace) {
			if i > 0 {
				lists.AppendItems()
			}
			out.Fields[0].AppendString(r.namespace)
		}
		item := &lists.Fields[0]
		item.Field("id").AppendString(r.value)
		item.Field("primary").AppendBool(r.primary)
		item.AppendItems()
	}
	if len(x.rows) > 0 {
		lists.AppendItems()
	}
	out.AppendItems()
}
