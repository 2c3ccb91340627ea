package warehouse

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"os"
	"path"
	"slices"
	"sync"

	"github.com/lakeward/lakeward"
)

const (
	indexFolder   = "index"
	indexManifest = "manifest.json"
	mergeRuns     = 4 // as many runs of one size become one
)

// indexDir is the folder of a sandbox's index: runs, and a manifest that names those which count.
type indexDir struct {
	root *os.Root
	path string
	mu   *sync.Mutex // held while a manifest and the files that it names must agree
}

// manifest names the runs of the index at one state of the profile store, oldest first.
type manifest struct {
	State string         `json:"state"`
	Runs  []manifestLine `json:"runs"`
}

type manifestLine struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
}

// open maps the runs of a state. What is missing, damaged or of another state is errIndexDamaged. An empty
// store has an empty index and no files.
func (d *indexDir) open(state string) (*IdentityIndex, error) {
	x := d.empty()
	if state == "" {
		return x, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	m, err := d.manifest()
	if err == nil && m.State != state {
		err = fmt.Errorf("%w: it is of another state", errIndexDamaged)
	}
	for _, line := range m.Runs {
		if err != nil {
			break
		}
		var r *indexRun
		if r, err = d.openRun(line.Name, line.Bytes); err == nil {
			x.runs = append(x.runs, r)
		}
	}
	if err != nil {
		x.Close()
		return nil, err
	}
	return x, nil
}

func (d *indexDir) manifest() (manifest, error) {
	var m manifest
	b, err := d.root.ReadFile(path.Join(d.path, indexManifest))
	if err == nil {
		err = json.Unmarshal(b, &m)
	}
	if err != nil {
		return manifest{}, fmt.Errorf("%w: %w", errIndexDamaged, err)
	}
	return m, nil
}

func (d *indexDir) openRun(name string, size int64) (*indexRun, error) {
	f, err := d.root.Open(path.Join(d.path, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s is missing", errIndexDamaged, name)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() != size {
		return nil, fmt.Errorf("%w: %s has %d bytes, not %d", errIndexDamaged, name, info.Size(), size)
	}
	return openRun(name, f, size)
}

// write makes a new run and maps it; one without entries is none.
func (d *indexDir) write(fill func(w *runWriter) error) (*indexRun, error) {
	if err := d.root.MkdirAll(d.path, 0o700); err != nil {
		return nil, fmt.Errorf("make the identity index: %w", err)
	}
	name := lakeward.NewID() + ".run"
	f, err := d.root.OpenFile(path.Join(d.path, name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make the identity index: %w", err)
	}
	defer f.Close()
	w := newRunWriter(f)
	if err = fill(w); err == nil {
		err = w.finish()
	}
	var run *indexRun
	if err == nil && w.entries > 0 {
		var info fs.FileInfo
		if info, err = f.Stat(); err == nil {
			run, err = openRun(name, f, info.Size())
		}
	}
	if run == nil {
		d.remove([]string{name})
	}
	if err != nil {
		return nil, fmt.Errorf("write the identity index: %w", err)
	}
	return run, nil
}

// remove drops files; an error leaves garbage that the next start removes.
func (d *indexDir) remove(names []string) {
	for _, name := range names {
		_ = d.root.Remove(path.Join(d.path, name))
	}
}

// tidy merges the newest runs while enough of them are of one size, so that there are few and each
// entry is written a few times.
func (x *IdentityIndex) tidy() error {
	for {
		n := 0
		for n < len(x.runs) && runClass(x.runs[len(x.runs)-1-n]) <= runClass(x.runs[len(x.runs)-1]) {
			n++
		}
		if n < mergeRuns {
			return nil
		}
		if err := x.merge(len(x.runs) - n); err != nil {
			return err
		}
	}
}

func runClass(r *indexRun) int { return bits.Len64(uint64(r.entries)) / 2 }

// merge makes one run of the runs from the given one on.
func (x *IdentityIndex) merge(from int) error {
	merged := x.runs[from:]
	cursors := make([]runCursor, 0, len(merged))
	for r := range newestFirst(merged) {
		c := runCursor{run: r}
		if err := c.load(); err != nil {
			return err
		}
		cursors = append(cursors, c)
	}
	run, err := x.dir.write(func(w *runWriter) error {
		n := 0
		return mergeCursors(cursors, func(e indexEntry) error {
			if n++; n%releaseEvery == 0 {
				release(merged)
			}
			if e.dead && from == 0 { // nothing older is left to hide
				return nil
			}
			return w.add(e)
		})
	})
	if err != nil {
		return err
	}
	for _, r := range merged {
		if i := slices.Index(x.own, r.name); i >= 0 {
			x.dir.remove(x.own[i : i+1])
			x.own = slices.Delete(x.own, i, i+1)
		}
		r.close()
	}
	x.runs = x.runs[:from]
	if run != nil {
		x.runs, x.own = append(x.runs, run), append(x.own, run.name)
	}
	return nil
}

// mergeCursors calls emit with each entry in order; of equal ones the first cursor's.
func mergeCursors(cursors []runCursor, emit func(indexEntry) error) error {
	hashes := make([]uint64, len(cursors)) // of the current entries: hardly ever does anything else decide
	for {
		least, alone := -1, true
		for i := range cursors {
			c := &cursors[i]
			if c.at >= c.n {
				continue
			}
			hashes[i] = c.hash()
			switch {
			case least < 0 || hashes[i] < hashes[least]:
				least, alone = i, true
			case hashes[i] == hashes[least]:
				alone = false
			}
		}
		if least < 0 {
			return nil
		}
		if !alone {
			least = leastOf(cursors, hashes[least])
		}
		e, _ := cursors[least].entry()
		err := emit(e)
		switch {
		case err != nil:
		case alone:
			err = cursors[least].next()
		default:
			err = advance(cursors, e)
		}
		if err != nil {
			return err
		}
	}
}

// leastOf is the first of the cursors that stand at the least entry under a hash.
func leastOf(cursors []runCursor, hash uint64) int {
	least, first := -1, indexEntry{}
	for i := range cursors {
		if !cursors[i].has(hash) {
			continue
		}
		if e, _ := cursors[i].entry(); least < 0 || e.compare(first) < 0 {
			least, first = i, e
		}
	}
	return least
}

// advance moves the cursors that stand at an entry.
func advance(cursors []runCursor, e indexEntry) error {
	for i := range cursors {
		if !cursors[i].has(e.hash) {
			continue
		}
		if same, _ := cursors[i].entry(); same.compare(e) != 0 {
			continue
		}
		if err := cursors[i].next(); err != nil {
			return err
		}
	}
	return nil
}

// publish makes the index the one of a state. Nothing is synced: every byte is held against a sum when it
// is read, and an index that is damaged is made anew.
func (x *IdentityIndex) publish(state string) error {
	if err := x.spill(); err != nil {
		return err
	}
	m := manifest{State: state, Runs: []manifestLine{}}
	for _, r := range x.runs {
		m.Runs = append(m.Runs, manifestLine{r.name, int64(len(r.data))})
	}
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	d := x.dir
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.root.MkdirAll(d.path, 0o700); err != nil {
		return err
	}
	before, _ := d.manifest() // a damaged one names nothing
	fresh := path.Join(d.path, indexManifest+"."+lakeward.NewID())
	err = d.root.WriteFile(fresh, b, 0o600)
	if err == nil {
		err = d.root.Rename(fresh, path.Join(d.path, indexManifest))
	}
	if err != nil {
		_ = d.root.Remove(fresh)
		return fmt.Errorf("write the identity index: %w", err)
	}
	x.own = nil
	for _, line := range before.Runs {
		if !slices.ContainsFunc(x.runs, func(r *indexRun) bool { return r.name == line.Name }) {
			d.remove([]string{line.Name})
		}
	}
	return nil
}

// sweep removes the files that the manifest does not name: what a killed process left behind.
func (d *indexDir) sweep() {
	d.mu.Lock()
	defer d.mu.Unlock()
	m, _ := d.manifest()
	entries, _ := fs.ReadDir(d.root.FS(), d.path)
	for _, e := range entries {
		if e.Name() != indexManifest && !slices.ContainsFunc(m.Runs, func(l manifestLine) bool { return l.Name == e.Name() }) {
			d.remove([]string{e.Name()})
		}
	}
}

// sweepIndexes does so for every policy of every sandbox.
func (w *Warehouse) sweepIndexes() {
	sandboxes, _ := fs.ReadDir(w.root.FS(), indexFolder)
	for _, sandbox := range sandboxes {
		policies, _ := fs.ReadDir(w.root.FS(), path.Join(indexFolder, sandbox.Name()))
		for _, p := range policies {
			w.indexDir(sandbox.Name(), lakeward.MergePolicyID(p.Name())).sweep()
		}
	}
}

// digest counts the entries that are alive and adds up what they say, whatever their order.
func (x *IdentityIndex) digest() (entries int64, sum uint64, err error) {
	cursors := make([]runCursor, 0, len(x.runs))
	for r := range newestFirst(x.runs) {
		c := runCursor{run: r}
		if err := c.load(); err != nil {
			return 0, 0, err
		}
		cursors = append(cursors, c)
	}
	err = mergeCursors(cursors, func(e indexEntry) error {
		if !e.dead {
			entries, sum = entries+1, sum+entryDigest(e.namespace, e.value, e.kind, e.number)
		}
		return nil
	})
	return entries, sum, err
}

func entryDigest(namespace, value []byte, kind entryKind, number uint32) uint64 {
	return identityHash(string(namespace), binary.LittleEndian.AppendUint32(append(slices.Clone(value), byte(kind)), number))
}
