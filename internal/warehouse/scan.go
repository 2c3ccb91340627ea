package warehouse

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/parquet"
	"github.com/lakeward/lakeward/internal/together"
	"github.com/lakeward/lakeward/internal/vector"
)

// Profiles is a chunk of profiles in the order of their numbers, with the values of one identity namespace.
type Profiles struct {
	vector.Chunk
	// Values of profile i are strings First[i] to First[i+1]-1 of Values, in stored order; none without a namespace.
	Values vector.Vector
	First  []int32
}

// What bounds the chunks of a scan: the first has few rows, and each that follows as many as keep it near the bytes if they
// are like those of the last one, but at most twice as many.
const (
	firstRows  = 16
	chunkBytes = 4 << 20
)

// Scan yields the selected profiles of a snapshot, chunk by chunk, sorted by number: the columns are
// fields in their order, and namespace, if not "", adds the identity values. A chunk is valid until
// the next one. Memory does not depend on the number of profiles, and little on the length of their values.
func (w *Warehouse) Scan(ctx context.Context, s *Snapshot, selection *roaring.Bitmap, fields []lakeward.Leaf, namespace string) iter.Seq2[*Profiles, error] {
	return w.scan(ctx, s, selection, &scan{warehouse: w, fields: fields, namespace: namespace, rows: firstRows})
}

// ScanFull is Scan in chunks of vector.MaxRows profiles, but for the last one, so that their number is known before.
func (w *Warehouse) ScanFull(ctx context.Context, s *Snapshot, selection *roaring.Bitmap, fields []lakeward.Leaf, namespace string) iter.Seq2[*Profiles, error] {
	return w.scan(ctx, s, selection, &scan{warehouse: w, fields: fields, namespace: namespace, rows: vector.MaxRows, full: true})
}

func (w *Warehouse) scan(ctx context.Context, s *Snapshot, selection *roaring.Bitmap, sc *scan) iter.Seq2[*Profiles, error] {
	return func(yield func(*Profiles, error) bool) {
		defer sc.close()
		if err := sc.open(s, selection); err != nil {
			yield(nil, err)
			return
		}
		for {
			if err := ctx.Err(); err != nil {
				yield(nil, err)
				return
			}
			p, err := sc.next()
			if err != nil {
				yield(nil, err)
				return
			}
			if p == nil || !yield(p, nil) {
				return
			}
		}
	}
}

type scan struct {
	warehouse *Warehouse
	fields    []lakeward.Leaf
	namespace string
	files     []*fileScan
	numbers   roaring.ManyIntIterable // all selected, ascending
	window    []uint32
	rows      int  // of the next window
	full      bool // it stays so
	out       Profiles
	texts     []*texts // of each column of texts, once a window comes from several files
}

// fileScan reads the live rows of one file.
type fileScan struct {
	table  *table
	reader *parquet.Reader
	held   *ascending      // all numbers of the file
	got    []vector.Vector // of the current window
	taken  int             // of got, while a window is put together
	live   *numberIter
	ids    *identityCursor
	want   []uint32
	at     []int64

	recoding []recoding // of the texts of each column
}

func (sc *scan) open(s *Snapshot, selection *roaring.Bitmap) error {
	if err := s.checkProfiles(); err != nil {
		return err
	}
	defer runtime.KeepAlive(s) // from here on the open files keep themselves
	all := roaring.New()
	lives := s.live(selection)
	for _, live := range lives {
		all.Or(live)
	}
	files := make([]*fileScan, len(lives))
	err := together.Each(len(lives), func(i int) (err error) { // a file is held against its hash first, which takes a while
		if !lives[i].IsEmpty() {
			files[i], err = sc.openFile(s.Profiles[i], lives[i])
		}
		return err
	})
	sc.files = slices.DeleteFunc(files, func(f *fileScan) bool { return f == nil })
	if err != nil {
		return err
	}
	sc.numbers = all.ManyIterator()
	sc.window = make([]uint32, vector.MaxRows)
	sc.out.Columns, sc.texts = make([]vector.Vector, len(sc.fields)), make([]*texts, len(sc.fields))
	return nil
}

func (sc *scan) openFile(pf ProfileFile, live *roaring.Bitmap) (*fileScan, error) {
	t, err := sc.warehouse.open(pf.Table)
	if err != nil {
		return nil, err
	}
	f := &fileScan{table: t, live: newNumberIter(live), held: newAscending(pf.Numbers), got: make([]vector.Vector, len(sc.fields))}
	if f.reader, err = t.ReaderOf(parquet.ColumnsOf(sc.fields)); err != nil {
		return f, sourceError(pf.Table, err)
	}
	if sc.namespace != "" {
		f.ids, err = sc.warehouse.openIdentities(pf.Identities, sc.namespace)
	}
	return f, err
}

func (sc *scan) close() {
	for _, f := range sc.files {
		f.close()
	}
}

func (f *fileScan) close() {
	if f.reader != nil {
		_ = f.reader.Close()
	}
	_ = f.table.Close()
	if f.ids != nil {
		f.ids.close()
	}
}

// drop closes the files that hold nobody behind the last window, and their buffers with them.
func (sc *scan) drop() {
	sc.files = slices.DeleteFunc(sc.files, func(f *fileScan) bool {
		if f.live.it.HasNext() {
			return false
		}
		f.close()
		return true
	})
}

// next puts the next window of numbers together; nil at the end.
func (sc *scan) next() (*Profiles, error) {
	n := sc.numbers.NextMany(sc.window[:sc.rows])
	if n == 0 {
		return nil, nil
	}
	sc.drop()
	window := sc.window[:n]
	last := window[n-1]
	holders := 0
	for _, f := range sc.files {
		f.want, f.at, f.taken = f.live.through(last, f.want[:0]), f.at[:0], 0
		if len(f.want) == 0 {
			continue
		}
		holders++
		for _, number := range f.want {
			f.held.has(number)
			f.at = append(f.at, f.held.rank())
		}
		if err := f.reader.Gather(f.at, f.got); err != nil {
			return nil, sourceError(f.table.data(), err)
		}
	}
	sc.out.Len, sc.out.Numbers = n, window
	sc.out.Values.Reset(vector.String)
	sc.out.First = append(sc.out.First[:0], 0)
	if err := sc.assemble(window, holders); err != nil {
		return nil, err
	}
	if !sc.full {
		sc.fit()
	}
	return &sc.out, nil
}

// fit chooses the rows of the next window by the bytes of this one, thus by the data alone: the same scan has the same chunks.
func (sc *scan) fit() {
	size := 1 + sc.out.Values.Size()
	for i := range sc.out.Columns {
		size += sc.out.Columns[i].Size()
	}
	sc.rows = max(1, min(sc.out.Len*chunkBytes/size, 2*sc.out.Len, vector.MaxRows))
}

// assemble merges the files' rows by number. A window that one file holds alone is passed on as it is.
func (sc *scan) assemble(window []uint32, holders int) error {
	single := holders == 1
	for i, l := range sc.fields {
		sc.out.Columns[i].ResetTo(vector.ShapeOf(l))
		if !single && sc.out.Columns[i].Kind == vector.String {
			sc.begin(i)
		}
	}
	for rest := window; len(rest) > 0; {
		f := sc.holder(rest[0])
		if f == nil {
			return fmt.Errorf("scan: no file holds profile %d", rest[0])
		}
		n := f.run(rest)
		if !single {
			sc.copy(f, n)
		}
		f.taken += n
		if f.ids != nil {
			for _, number := range rest[:n] {
				if err := f.ids.appendValues(number, &sc.out.Values); err != nil {
					return err
				}
				sc.out.First = append(sc.out.First, int32(sc.out.Values.Len))
			}
		}
		rest = rest[n:]
	}
	for _, f := range sc.files {
		if single && len(f.want) > 0 {
			sc.out.Columns, f.got = f.got, sc.out.Columns
		}
	}
	for i := range sc.fields {
		if !single && sc.texts[i] != nil {
			sc.texts[i].end(&sc.out.Columns[i])
		}
	}
	return nil
}

// begin makes a column ready for texts of several files, whose codes become those of one dictionary. It is kept for the
// next window, as long as it is not too large.
func (sc *scan) begin(column int) {
	if t := sc.texts[column]; t == nil || len(t.codes) > manyTexts {
		sc.texts[column] = newTexts()
	}
	sc.texts[column].begin(&sc.out.Columns[column])
}

// copy adds the next n rows of a file's window.
func (sc *scan) copy(f *fileScan, n int) {
	if f.recoding == nil {
		f.recoding = make([]recoding, len(sc.fields))
	}
	for i := range sc.fields {
		if t := sc.texts[i]; t != nil {
			t.add(&sc.out.Columns[i], &f.got[i], f.taken, f.taken+n, &f.recoding[i])
			continue
		}
		sc.out.Columns[i].AppendRange(&f.got[i], f.taken, f.taken+n)
	}
}

// run is how many of the numbers, one after the other, the file holds next.
func (f *fileScan) run(numbers []uint32) int {
	n := 0
	for n < len(numbers) && f.taken+n < len(f.want) && f.want[f.taken+n] == numbers[n] {
		n++
	}
	return n
}

func (sc *scan) holder(number uint32) *fileScan {
	for _, f := range sc.files {
		if f.taken < len(f.want) && f.want[f.taken] == number {
			return f
		}
	}
	return nil
}

func (t *table) data() lakeward.DataFile { return lakeward.DataFile{Path: t.file.Name()} }

// numberIter hands out the numbers of a bitmap in order.
type numberIter struct{ it roaring.IntPeekable }

func newNumberIter(b *roaring.Bitmap) *numberIter { return &numberIter{b.Iterator()} }

// through appends the numbers up to last.
func (n *numberIter) through(last uint32, out []uint32) []uint32 {
	for n.it.HasNext() && n.it.PeekNext() <= last {
		out = append(out, n.it.Next())
	}
	return out
}
