// Package warehouse keeps data at rest: dataset files, the profile store, identities and
// memberships, all in plain Parquet, in immutable files that rows of a catalog name.
//
// It does not decide when something is written or read. The one thing to know: a state of the
// store is the set of files and bitmaps that the catalog names for one generation; new files are
// on disk, synced, before the commit that makes them current.
package warehouse

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"sync"
	"weak"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/parquet"
	"github.com/lakeward/lakeward/internal/together"
	"github.com/lakeward/lakeward/internal/vector"
)

// Catalog names the files of every generation. The store implements it.
type Catalog interface {
	// Snapshot returns the state at a generation, the newest one for 0, as a merge policy sees it, with the memberships
	// of only these audiences; nil means all.
	Snapshot(ctx context.Context, sandbox string, policy lakeward.MergePolicyID, generation int64, only []lakeward.AudienceID) (lakeward.Snapshot, error)
	// Commit makes a change current in one transaction and returns its generation. It fails with
	// kind Conflict if the sandbox is no longer at c.Base.
	Commit(ctx context.Context, sandbox string, c lakeward.Change) (int64, error)
	// IdentityChanges lists what changed identities up to a generation, newest first.
	IdentityChanges(ctx context.Context, sandbox string, policy lakeward.MergePolicyID, generation int64) ([]lakeward.IdentityChange, error)
}

// Snapshot is a lakeward.Snapshot with its bitmaps decoded.
type Snapshot struct {
	Sandbox       string
	Policy        lakeward.MergePolicyID
	Generation    int64
	Hash          string
	IdentityState string
	NextNumber    uint32
	Profiles      []ProfileFile
	Memberships   map[lakeward.AudienceID]Membership // of all audiences, or those that were asked for
	Events        []EventFile
	// ProfilesGone says that this old generation has no profile files any more: only memberships can be read.
	ProfilesGone bool

	eventHeirs map[uint32]uint32 // of retired profiles
	heirs      []lakeward.Heirs  // since the oldest membership, by generation
	hold       *hold
}

// ProfileFile is a lakeward.ProfileFile with its bitmap decoded.
type ProfileFile struct {
	Table      lakeward.DataFile
	Identities lakeward.DataFile
	Fragments  lakeward.DataFile // none in files of before
	Numbers    *roaring.Bitmap   // of the rows; without files, of profiles that are gone

	hold *hold
}

// gone reports whether the file takes profiles away.
func (f ProfileFile) gone() bool { return f.Table.Path == "" }

// Warehouse reads and writes the files below a data directory.
type Warehouse struct {
	root    *os.Root
	catalog Catalog
	holds   holds
	sizes   mergeSizes

	mu      sync.Mutex
	proven  map[string]*proof
	indexes sync.Mutex // held while the files of an index must stand still
}

// proof says whether the content of a file was compared with its hash; the lock is held meanwhile.
type proof struct {
	sync.Mutex
	done bool
}

// New returns the warehouse of a data directory. The caller closes root after the last use.
func New(root *os.Root, catalog Catalog) *Warehouse {
	return &Warehouse{root: root, catalog: catalog, holds: holds{all: map[weak.Pointer[hold]]struct{}{}}, sizes: defaultSizes(), proven: map[string]*proof{}}
}

// Snapshot returns the state at a generation, the newest one for 0, as a merge policy sees it. Its files stay while it is in use.
func (w *Warehouse) Snapshot(ctx context.Context, sandbox string, policy lakeward.MergePolicyID, generation int64) (*Snapshot, error) {
	return w.snapshot(ctx, sandbox, policy, generation, nil)
}

// SnapshotOf is Snapshot with the memberships of only these audiences, whose bitmaps take memory: up to an eighth of a
// byte for each profile.
func (w *Warehouse) SnapshotOf(ctx context.Context, sandbox string, policy lakeward.MergePolicyID, generation int64, audiences ...lakeward.AudienceID) (*Snapshot, error) {
	return w.snapshot(ctx, sandbox, policy, generation, append([]lakeward.AudienceID{}, audiences...))
}

func (w *Warehouse) snapshot(ctx context.Context, sandbox string, policy lakeward.MergePolicyID, generation int64, only []lakeward.AudienceID) (*Snapshot, error) {
	c, held, err := w.holds.take(ctx, w.catalog, sandbox, policy, generation, only)
	if err != nil {
		return nil, err
	}
	s := &Snapshot{Sandbox: c.Sandbox, Policy: c.Policy, Generation: c.Generation, Hash: c.Hash, IdentityState: c.IdentityState, NextNumber: c.NextNumber, ProfilesGone: c.ProfilesGone, hold: held}
	for _, f := range c.Profiles {
		numbers, err := decodeBitmap(f.Numbers)
		if err != nil {
			return nil, sourceError(f.Table, err)
		}
		s.Profiles = append(s.Profiles, ProfileFile{Table: f.Table, Identities: f.Identities, Fragments: f.Fragments, Numbers: numbers, hold: held})
	}
	if err := s.decodeEvents(c); err != nil {
		return nil, err
	}
	return s, s.decodeMemberships(c)
}

func decodeBitmap(b lakeward.Bitmap) (*roaring.Bitmap, error) {
	r := roaring.New()
	return r, r.UnmarshalBinary(b)
}

// encodeBitmap returns the bytes of a bitmap; equal sets give equal bytes.
func encodeBitmap(r *roaring.Bitmap) (lakeward.Bitmap, error) {
	r.RunOptimize()
	return r.ToBytes()
}

// catalogued returns the file with its bitmap encoded.
func (f ProfileFile) catalogued() (lakeward.ProfileFile, error) {
	numbers, err := encodeBitmap(f.Numbers)
	return lakeward.ProfileFile{Table: f.Table, Identities: f.Identities, Fragments: f.Fragments, Numbers: numbers}, err
}

// All is the bitmap of every profile of the snapshot.
func (s *Snapshot) All() *roaring.Bitmap {
	all := roaring.New()
	for _, f := range s.Profiles {
		if f.gone() {
			all.AndNot(f.Numbers)
			continue
		}
		all.Or(f.Numbers)
	}
	return all
}

// Gone is the bitmap of the profiles that have rows but are there no more: deleted, or joined with others.
func (s *Snapshot) Gone() *roaring.Bitmap {
	gone := roaring.New()
	for _, f := range s.Profiles {
		if f.gone() {
			gone.Or(f.Numbers)
			continue
		}
		gone.AndNot(f.Numbers)
	}
	return gone
}

// live returns, for each file, the selected numbers whose newest row it holds.
func (s *Snapshot) live(selection *roaring.Bitmap) []*roaring.Bitmap {
	out := make([]*roaring.Bitmap, len(s.Profiles))
	newer := roaring.New()
	for i := len(s.Profiles) - 1; i >= 0; i-- {
		numbers := s.Profiles[i].Numbers
		out[i] = roaring.New()
		if !s.Profiles[i].gone() {
			out[i] = roaring.And(selection, numbers)
			out[i].AndNot(newer)
		}
		newer.Or(numbers)
	}
	return out
}

// tableWriter writes one Parquet file, counting and hashing its bytes.
type tableWriter struct {
	*parquet.Writer
	file *os.File
	sum  hash.Hash
	data lakeward.DataFile
}

func (w *Warehouse) create(name string, columns []parquet.Column) (*tableWriter, error) {
	if err := w.makeFolder(path.Dir(name)); err != nil {
		return nil, fmt.Errorf("create %s: %w", name, err)
	}
	f, err := w.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create %s: %w", name, err)
	}
	t := &tableWriter{file: f, sum: sha256.New(), data: lakeward.DataFile{Path: name}}
	t.Writer = parquet.NewWriter(t, columns)
	return t, nil
}

// makeFolder makes a folder, if it is not there, and syncs those above it: a file that a commit names is lost with its
// folder when the power falls.
func (w *Warehouse) makeFolder(dir string) error {
	if info, err := w.root.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	if err := w.root.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for above := path.Dir(dir); ; above = path.Dir(above) {
		if err := w.syncFolder(above); err != nil || above == "." {
			return err
		}
	}
}

func (w *Warehouse) syncFolder(dir string) error {
	f, err := w.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Write takes the bytes of the Parquet writer above.
func (t *tableWriter) Write(b []byte) (int, error) {
	n, err := t.file.Write(b)
	t.sum.Write(b[:n])
	t.data.Bytes += int64(n)
	return n, err
}

// add writes the rows of a chunk.
func (t *tableWriter) add(c *vector.Chunk) error {
	t.data.Rows += int64(c.Len)
	return t.Writer.Write(c)
}

// finish ends the file and syncs it and its folder, so that a commit may name it.
func (w *Warehouse) finish(t *tableWriter) (lakeward.DataFile, error) {
	err := errors.Join(t.Writer.Close(), t.file.Sync(), t.file.Close())
	if err != nil {
		return t.data, fmt.Errorf("write %s: %w", t.data.Path, err)
	}
	t.data.SHA256 = hex.EncodeToString(t.sum.Sum(nil))
	return t.data, w.syncFolder(path.Dir(t.data.Path))
}

// finishAll ends files beside each other, so that the disk is waited for once.
func (w *Warehouse) finishAll(tables []*tableWriter) ([]lakeward.DataFile, error) {
	out, work := make([]lakeward.DataFile, len(tables)), make([]together.Task, len(tables))
	for i, t := range tables {
		work[i].Start(func() (err error) {
			out[i], err = w.finish(t)
			return err
		})
	}
	var err error
	for i := range work {
		err = errors.Join(err, work[i].Wait())
	}
	return out, err
}

func (w *Warehouse) abandonAll(tables []*tableWriter) {
	for _, t := range tables {
		w.abandon(t)
	}
}

// abandon closes and removes a file that is not finished.
func (w *Warehouse) abandon(t *tableWriter) {
	_ = t.file.Close()
	w.discard(t.data)
}

// Sweep removes files that no row names: what a killed process left behind. The caller holds the data
// directory, so nothing is being written.
func (w *Warehouse) Sweep(named map[string]lakeward.DataFile) (removed int, err error) {
	w.sweepIndexes()
	strays, err := w.strays(named)
	for _, name := range strays {
		removed++
		err = errors.Join(err, w.root.Remove(name))
	}
	return removed, err
}

// strays lists the files that no row names.
func (w *Warehouse) strays(named map[string]lakeward.DataFile) (out []string, err error) {
	for _, top := range []string{"datasets", "profiles", "memberships", "events"} {
		err = errors.Join(err, fs.WalkDir(w.root.FS(), top, func(name string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if _, known := named[name]; err == nil && !d.IsDir() && !known {
				out = append(out, name)
			}
			return err
		}))
	}
	return out, err
}

// discard removes files that no commit will name. Errors leave garbage, never damage.
func (w *Warehouse) discard(files ...lakeward.DataFile) {
	for _, f := range files {
		if f.Path != "" {
			_ = w.root.Remove(f.Path)
		}
	}
}

// table is an open Parquet file of the warehouse.
type table struct {
	*parquet.File
	file *os.File
}

func (w *Warehouse) open(d lakeward.DataFile) (*table, error) {
	f, err := w.root.Open(d.Path)
	if err != nil {
		return nil, sourceError(d, err)
	}
	info, err := f.Stat()
	if err == nil && info.Size() != d.Bytes {
		err = fmt.Errorf("it has %d bytes, not %d", info.Size(), d.Bytes)
	}
	if err == nil {
		err = w.prove(d, f)
	}
	var pf *parquet.File
	if err == nil {
		pf, err = parquet.Open(f, d.Bytes)
	}
	if err == nil && pf.Rows() != d.Rows {
		err = fmt.Errorf("it has %d rows, not %d", pf.Rows(), d.Rows)
	}
	if err != nil {
		_ = f.Close()
		return nil, sourceError(d, err)
	}
	return &table{File: pf, file: f}, nil
}

// prove compares the content of a file with its hash, once in the life of a process: data that was
// changed behind our back is never exported as truth (DLV-141).
func (w *Warehouse) prove(d lakeward.DataFile, f io.ReaderAt) error {
	w.mu.Lock()
	p := w.proven[d.Path]
	if p == nil {
		p = &proof{}
		w.proven[d.Path] = p
	}
	w.mu.Unlock()
	p.Lock()
	defer p.Unlock()
	if p.done {
		return nil
	}
	sum := sha256.New()
	if _, err := io.CopyBuffer(sum, io.NewSectionReader(f, 0, d.Bytes), make([]byte, 256<<10)); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != d.SHA256 {
		return fmt.Errorf("its content was changed: SHA-256 %s, not %s", got, d.SHA256)
	}
	p.done = true
	return nil
}

func (t *table) Close() error { return t.file.Close() }

var _ io.Closer = (*table)(nil)

// sourceError says that data at rest cannot be read; the run that needed it fails.
func sourceError(d lakeward.DataFile, err error) error {
	return &lakeward.Error{Kind: lakeward.Internal, Code: lakeward.FailSource,
		Msg: "the stored file " + d.Path + " is missing or damaged; restore it from a backup", Err: err}
}
