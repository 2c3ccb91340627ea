package warehouse

import (
	"cmp"
	"runtime"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/parquet"
	"github.com/lakeward/lakeward/internal/vector"
)

// fragment is what a profile has of one dataset under one primary identity: where its newest record lies, and
// the identities. A record replaces the identities of the one before it, an event adds to them, as
// their classes do (DAT-01). The values of its other fields stay in the dataset's files.
type fragment struct {
	dataset    string
	batch      string
	generation int64 // of the batch
	row        int64 // of the batch; -1 if it is not known, in files of before
	ids        []identity
}

// newer orders fragments, the newest first.
func newer(a, b fragment) int {
	return cmp.Or(cmp.Compare(b.generation, a.generation), cmp.Compare(b.row, a.row))
}

// key is the primary identity that the fragment's records are kept under.
func (f fragment) key() identityKey {
	if len(f.ids) == 0 {
		return identityKey{}
	}
	return identityKey{f.ids[0].namespace, f.ids[0].value}
}

// unionOf puts the identities of fragments together, those of the newest first. A value stands once; it
// is primary if any record is kept under it.
func unionOf(fragments []fragment) []identity {
	var out []identity
	for _, f := range fragments {
		for _, id := range f.ids {
			if i := slices.IndexFunc(out, func(o identity) bool { return o.namespace == id.namespace && o.value == id.value }); i >= 0 {
				out[i].primary = out[i].primary || id.primary
				continue
			}
			out = append(out, id)
		}
	}
	return out
}

// fragmentColumns are the columns of a fragments file: a row for each identity of each fragment, the primary one
// first, sorted by number; on a profile the newest fragment first.
func fragmentColumns() []parquet.Column {
	return []parquet.Column{
		{Path: "number", Kind: vector.Int, Int32: true, Required: true},
		{Path: "dataset", Kind: vector.String, Required: true},
		{Path: "batch", Kind: vector.String, Required: true},
		{Path: "generation", Kind: vector.Int, Required: true},
		{Path: "row", Kind: vector.Int, Required: true},
		{Path: "namespace", Kind: vector.String, Required: true},
		{Path: "value", Kind: vector.String, Required: true},
		{Path: "primary", Kind: vector.Bool, Required: true},
	}
}

// addFragment adds the row of one identity of a fragment to a fragments file.
func (t *tableChunk) addFragment(number uint32, f fragment, namespace string, value []byte, primary bool) error {
	if err := t.ready(); err != nil {
		return err
	}
	t.Columns[0].AppendInt(int64(number))
	t.appendName(1, f.dataset)
	t.appendName(2, f.batch)
	t.Columns[3].AppendInt(f.generation)
	t.Columns[4].AppendInt(f.row)
	t.appendName(5, namespace)
	t.Columns[6].AppendString(value)
	t.Columns[7].AppendBool(primary)
	t.Len++
	return nil
}

// fragments reads the fragments of profiles of a snapshot.
func (w *Warehouse) fragments(s *Snapshot, numbers *roaring.Bitmap) (map[uint32][]fragment, error) {
	if err := s.checkProfiles(); err != nil {
		return nil, err
	}
	defer runtime.KeepAlive(s)
	out := map[uint32][]fragment{}
	for i, live := range s.live(numbers) {
		var err error
		if pf := s.Profiles[i]; pf.Fragments.Path != "" {
			err = w.readFragments(pf.Fragments, live, out)
		} else { // of before: what the identities tell
			err = w.eachProfile(pf.Identities, live, func(n uint32, ids []identity) { out[n] = guessed(ids) })
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (w *Warehouse) readFragments(d lakeward.DataFile, live *roaring.Bitmap, out map[uint32][]fragment) error {
	names := map[string]string{} // few datasets and batches, many rows
	name := func(b []byte) string {
		s, ok := names[string(b)]
		if !ok {
			s = string(b)
			names[s] = s
		}
		return s
	}
	return w.eachRow(d, live, fragmentColumns(), func(cols []vector.Vector, i int) {
		n := uint32(cols[0].Ints[i])
		f := fragment{dataset: name(cols[1].Str(i)), batch: name(cols[2].Str(i)), generation: cols[3].Ints[i], row: cols[4].Ints[i]}
		id := identity{name(cols[5].Str(i)), string(cols[6].Str(i)), cols[7].Bools.Get(i), f.dataset}
		list := out[n]
		if last := len(list) - 1; last >= 0 && list[last].batch == f.batch && list[last].row == f.row && !id.primary {
			list[last].ids = append(list[last].ids, id)
			return
		}
		f.ids = []identity{id}
		out[n] = append(list, f)
	})
}

// guessed makes fragments of identities alone, one for each dataset.
func guessed(ids []identity) []fragment {
	var out []fragment
	for _, id := range ids {
		i := slices.IndexFunc(out, func(f fragment) bool { return f.dataset == id.source })
		switch {
		case i < 0:
			out = append(out, fragment{dataset: id.source, row: -1, ids: []identity{id}})
		case id.primary:
			out[i].ids = slices.Insert(out[i].ids, 0, id)
		default:
			out[i].ids = append(out[i].ids, id)
		}
	}
	return out
}
