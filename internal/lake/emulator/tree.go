package emulator

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/proof"
)

// node is what the lake knows of a file or folder beside its bytes.
type node struct {
	ID         string            `json:"id"`
	Dir        bool              `json:"dir,omitempty"`
	ETag       string            `json:"etag"`
	Created    time.Time         `json:"created"`
	Modified   time.Time         `json:"modified"`
	Size       int64             `json:"size"`
	Properties string            `json:"properties,omitempty"` // x-ms-properties, as sent
	Content    map[string]string `json:"content,omitempty"`    // stored content headers
	Perms      string            `json:"perms,omitempty"`
	ACL        []aclEntry        `json:"acl,omitempty"` // nil: what Perms stands for
	Owner      string            `json:"owner,omitempty"`
	Group      string            `json:"group,omitempty"`
	Lease      *lease            `json:"lease,omitempty"`
	Expiry     time.Time         `json:"expiry,omitzero"`
	Blob       blobState         `json:"blob,omitzero"`
}

// clone is a copy that shares nothing that changes.
func (n *node) clone() *node {
	next := *n
	next.Content, next.ACL, next.Blob.Tags = maps.Clone(n.Content), slices.Clone(n.ACL), maps.Clone(n.Blob.Tags)
	if n.Lease != nil {
		l := *n.Lease
		next.Lease = &l
	}
	return &next
}

// container is one file system: its bytes lie in the plain tree, the rest in memory and in its log.
type container struct {
	mu      sync.RWMutex
	root    *os.Root
	account string
	name    string
	flat    bool
	nosync  bool
	nodes   map[string]*node
	self    node
	log     *os.File
	logged  int64 // length of the log
	deleted bool
	soonest atomic.Int64 // when the next file expires, in nanoseconds; 0 is never
	etags   *etagSource
	synced  atomic.Int64                 // files and folders that were synced
	sibling func(name string) *container // another container of the account
}

// etagSource hands out etags that never repeat while the lake runs.
type etagSource struct {
	mu   sync.Mutex
	last int64
}

func (e *etagSource) next() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last = max(e.last+1, time.Now().UnixNano()/100)
	return fmt.Sprintf("0x8%015X", e.last)
}

// lock locks the container for writing, if it is still there: a request may have waited for its deletion.
func (c *container) lock() *apiError {
	c.mu.Lock()
	if c.deleted {
		c.mu.Unlock()
		return refuse("FilesystemNotFound")
	}
	return nil
}

// rlock is lock for reading.
func (c *container) rlock() *apiError {
	c.mu.RLock()
	if c.deleted {
		c.mu.RUnlock()
		return refuse("FilesystemNotFound")
	}
	return nil
}

func (c *container) file(p string) string { return path.Join(c.account, c.name, p) }

func (c *container) logName() string { return path.Join(meta, c.account, c.name+".log") }

// blocksDir is where the uncommitted blocks of a name lie; no name shows them (ADL-115).
func (c *container) blocksDir(p string) string {
	sum := sha256.Sum256([]byte(c.self.ID + "/" + p))
	return path.Join(meta, "blocks", hex.EncodeToString(sum[:16]))
}

func (c *container) pendingDir(n *node) string { return path.Join(meta, "pending", n.ID) }

// openContainer loads a container: the log is replayed, then the tree is believed where they differ (ADL-104).
func openContainer(root *os.Root, account, name string, flat, nosync bool, etags *etagSource) (*container, error) {
	c := &container{root: root, account: account, name: name, flat: flat, nosync: nosync, nodes: map[string]*node{}, etags: etags}
	if err := errors.Join(root.MkdirAll(c.file(""), 0o755), root.MkdirAll(path.Dir(c.logName()), 0o700)); err != nil {
		return nil, err
	}
	if err := c.replay(); err != nil {
		return nil, fmt.Errorf("read the log of container %s: %w", name, err)
	}
	if err := c.reconcile(); err != nil {
		return nil, fmt.Errorf("read container %s: %w", name, err)
	}
	for _, n := range c.nodes {
		c.expires(n.Expiry)
	}
	return c, c.compact()
}

// reconcile makes the index agree with the tree: bytes and names of the tree win.
func (c *container) reconcile() error {
	seen := map[string]bool{}
	err := fs.WalkDir(c.root.FS(), c.file(""), func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == c.file("") {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() && !info.IsDir() {
			return nil // a link could lead out of the container
		}
		p := strings.TrimPrefix(name, c.file("")+"/")
		seen[p] = true
		c.believe(p, info)
		return nil
	})
	for p := range c.nodes {
		if !seen[p] {
			delete(c.nodes, p)
		}
	}
	if c.self.ETag == "" {
		c.self = node{ID: lakeward.NewID(), Dir: true, Perms: defaultPerms(true), ETag: c.etags.next(), Created: time.Now().UTC(), Modified: time.Now().UTC()}
	}
	return err
}

// believe makes the index say of a path what the tree says; a file that was put or changed there by hand
// gets an etag made of size and time (ADL-104).
func (c *container) believe(p string, info fs.FileInfo) {
	n := c.nodes[p]
	if n == nil || n.Dir != info.IsDir() {
		n = &node{ID: lakeward.NewID(), Dir: info.IsDir(), Created: info.ModTime().UTC(), Modified: info.ModTime().UTC(), Perms: defaultPerms(info.IsDir())}
	}
	if !info.IsDir() && (n.ETag == "" || n.Size != info.Size()) {
		n.Size, n.Modified = info.Size(), info.ModTime().UTC()
		n.ETag = fmt.Sprintf("0x8F%06X%08X", info.Size()&0xffffff, info.ModTime().UnixNano()/1000&0xffffffff)
	}
	if n.ETag == "" {
		n.ETag = c.etags.next()
	}
	c.nodes[p] = n
}

// refresh looks whether somebody changed a path in the tree while the lake runs, and believes it.
func (c *container) refresh(p string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.deleted {
		c.look(p)
	}
}

// look is refresh for who holds the lock.
func (c *container) look(p string) {
	info, err := c.lstat(p)
	switch {
	case err == nil && (info.Mode().IsRegular() || info.IsDir()):
		c.believe(p, info)
	case err == nil || errors.Is(err, fs.ErrNotExist):
		if c.nodes[p] != nil {
			c.forget(p)
		}
	}
}

// lstat follows no link on the way to a path.
func (c *container) lstat(p string) (fs.FileInfo, error) {
	for dir := path.Dir(p); dir != "." && c.nodes[dir] == nil; dir = path.Dir(dir) {
		info, err := c.root.Lstat(c.file(dir))
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			return nil, fs.ErrNotExist
		}
	}
	return c.root.Lstat(c.file(p))
}

// forget drops a path and all below it from the index.
func (c *container) forget(p string) {
	delete(c.nodes, p)
	for q := range c.nodes {
		if strings.HasPrefix(q, p+"/") {
			delete(c.nodes, q)
		}
	}
}

// moved moves a path and all below it in the index.
func (c *container) moved(from, to string) {
	c.forget(to)
	for q, n := range c.nodes {
		if q == from || strings.HasPrefix(q, from+"/") {
			delete(c.nodes, q)
			c.nodes[to+strings.TrimPrefix(q, from)] = n
		}
	}
}

// empty reports whether nothing lies below a folder.
func (c *container) empty(p string) bool {
	for q := range c.nodes {
		if strings.HasPrefix(q, p+"/") {
			return false
		}
	}
	return true
}

func defaultPerms(dir bool) string {
	if dir {
		return "rwxr-x---"
	}
	return "rw-r-----"
}

// parents makes the folders above p for an owner; a file among them is a conflict.
func (c *container) parents(p, owner string, now time.Time) *apiError {
	dir := path.Dir(p)
	if dir == "." {
		return nil
	}
	if n := c.nodes[dir]; n != nil {
		if !n.Dir {
			return refuse("PathConflict")
		}
		return nil
	}
	if err := c.parents(dir, owner, now); err != nil {
		return err
	}
	if info, err := c.root.Lstat(c.file(dir)); err == nil && !info.IsDir() {
		return refuse("PathConflict")
	}
	n := &node{ID: lakeward.NewID(), Dir: true, ETag: c.etags.next(), Created: now, Modified: now, Perms: defaultPerms(true), Owner: owner}
	n.inherit(c.parent(dir))
	if err := c.make(dir, n, nil); err != nil {
		return diskError(err)
	}
	return nil
}

// parent is the folder that holds a path, at the top the container itself.
func (c *container) parent(p string) *node {
	if n := c.nodes[path.Dir(p)]; n != nil {
		return n
	}
	return &c.self
}

// sorted lists the paths below a folder in the service's order: by segments, a folder before its children.
func (c *container) sorted(dir string, recursive bool) []string {
	var out []string
	prefix := dir + "/"
	if dir == "" {
		prefix = ""
	}
	for p := range c.nodes {
		rest, ok := strings.CutPrefix(p, prefix)
		if ok && (recursive || !strings.Contains(rest, "/")) {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, comparePaths)
	return out
}

// comparePaths orders by segments: / sorts before every other character.
func comparePaths(a, b string) int {
	return cmp.Compare(strings.ReplaceAll(a, "/", "\x00"), strings.ReplaceAll(b, "/", "\x00"))
}

// diskError maps an error of the local file system.
func diskError(err error) *apiError {
	switch {
	case errors.Is(err, errDiskFull):
		return refuse("LakeDiskFull")
	case errors.Is(err, errNameTooLong):
		return refuse("InvalidResourceName")
	}
	return refuse("InternalError")
}

// pendingBlock is data that was appended and not flushed.
type pendingBlock struct{ position, size int64 }

// pending lists the blocks of a node by position.
func (c *container) pending(n *node) ([]pendingBlock, error) {
	entries, err := fs.ReadDir(c.root.FS(), c.pendingDir(n))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var out []pendingBlock
	for _, e := range entries {
		position, perr := strconv.ParseInt(e.Name(), 10, 64)
		info, ierr := e.Info()
		if perr == nil && ierr == nil {
			out = append(out, pendingBlock{position, info.Size()})
		}
	}
	slices.SortFunc(out, func(a, b pendingBlock) int { return cmp.Compare(a.position, b.position) })
	return out, err
}

// join makes a file of the committed bytes of p followed by blocks, synced, and returns its name.
func (c *container) join(p string, n *node, blocks []pendingBlock) (string, error) {
	tmp := c.pendingDir(n) + ".join"
	if n.Size == 0 && len(blocks) == 1 { // the block is the file: no copy
		if err := c.root.Rename(path.Join(c.pendingDir(n), strconv.FormatInt(blocks[0].position, 10)), tmp); err != nil {
			return "", err
		}
		return tmp, c.sync(tmp)
	}
	var parts []part
	if n.Size > 0 {
		parts = append(parts, part{name: c.file(p), size: n.Size})
	}
	for _, b := range blocks {
		parts = append(parts, part{name: path.Join(c.pendingDir(n), strconv.FormatInt(b.position, 10)), size: b.size})
	}
	return tmp, c.assemble(tmp, parts)
}

// part is a range of a file of the lake.
type part struct {
	name     string
	at, size int64
}

// assemble writes a new file of parts, synced.
func (c *container) assemble(tmp string, parts []part) error {
	out, err := c.root.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if err == nil {
			err = c.copyInto(out, p)
		}
	}
	if err == nil && c.syncs() {
		err = out.Sync()
		c.synced.Add(1)
	}
	if err = errors.Join(err, out.Close()); err != nil {
		_ = c.root.Remove(tmp)
	}
	return err
}

func (c *container) copyInto(out *os.File, p part) error {
	in, err := c.root.Open(p.name)
	if err != nil {
		return err
	}
	if _, err = in.Seek(p.at, io.SeekStart); err == nil {
		_, err = io.CopyN(out, in, p.size)
	}
	return errors.Join(err, in.Close())
}

// replace makes the file tmp the content of p and next its node: the rename stands between two lines of
// the log, so that either end of it is found after a kill (ADL-103, ADL-104).
func (c *container) replace(tmp, p string, next *node) error {
	if err := c.record(line{Kind: "write", Path: p, To: tmp, Node: next}); err != nil {
		return err
	}
	if err := c.root.Rename(tmp, c.file(p)); err != nil {
		return err
	}
	if err := c.sync(path.Dir(c.file(p))); err != nil {
		return err
	}
	return c.put(p, next)
}

// syncs reports whether bytes have to be on the disk before they are answered for.
func (c *container) syncs() bool { return !c.nosync && !proof.Planted(proof.NoSync) }

func (c *container) sync(name string) error {
	if !c.syncs() {
		return nil
	}
	f, err := c.root.Open(name)
	if err != nil {
		return err
	}
	c.synced.Add(1)
	return errors.Join(f.Sync(), f.Close())
}
