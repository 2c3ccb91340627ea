package warehouse

import (
	"context"
	"runtime"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
)

// Namespaces are the profiles of a snapshot that have an identity of each namespace.
func (w *Warehouse) Namespaces(ctx context.Context, s *Snapshot) (map[string]*roaring.Bitmap, error) {
	if err := s.checkProfiles(); err != nil {
		return nil, err
	}
	defer runtime.KeepAlive(s)
	out := map[string]*roaring.Bitmap{}
	for i, live := range s.live(s.All()) {
		if live.IsEmpty() {
			continue
		}
		file := map[string]*roaring.Bitmap{}
		if err := w.namespacesOf(ctx, s.Profiles[i].Identities, file); err != nil {
			return nil, err
		}
		for namespace, numbers := range file {
			if numbers.And(live); out[namespace] == nil {
				out[namespace] = numbers
				continue
			}
			out[namespace].Or(numbers)
		}
	}
	return out, nil
}

// namespacesOf reads who has identities of which namespace in a file.
func (w *Warehouse) namespacesOf(ctx context.Context, d lakeward.DataFile, into map[string]*roaring.Bitmap) error {
	var c fileCursor
	defer c.close()
	if err := c.open(w, d, identityColumns()[:2]); err != nil {
		return err
	}
	for numbers := map[string][]uint32{}; ; c.at = len(c.rows) {
		if ok, err := c.more(); err != nil || !ok {
			return err
		}
		byNamespace(c.cols, numbers)
		for namespace, list := range numbers {
			if into[namespace] == nil {
				into[namespace] = roaring.New()
			}
			into[namespace].AddMany(list)
			numbers[namespace] = list[:0]
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

// byNamespace adds the numbers of a chunk's rows to the lists of their namespaces.
func byNamespace(cols []vector.Vector, lists map[string][]uint32) {
	names := &cols[1]
	if names.Dict == nil {
		for i, n := range cols[0].Ints {
			lists[string(names.Str(i))] = append(lists[string(names.Str(i))], uint32(n))
		}
		return
	}
	byCode := make([][]uint32, names.Dict.Len())
	for i, n := range cols[0].Ints {
		k := names.Codes[i]
		byCode[k] = append(byCode[k], uint32(n))
	}
	for k, list := range byCode {
		if name := string(names.Dict.Value(int32(k))); len(list) > 0 {
			lists[name] = append(lists[name], list...)
		}
	}
}
