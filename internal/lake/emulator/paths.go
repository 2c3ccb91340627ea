package emulator

import (
	"errors"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lakeward/lakeward"
)

const (
	maxDepth    = 60
	maxSegment  = 255
	maxAppend   = 4000 << 20
	defaultPage = 5000
)

func formatInt(n int64) string { return strconv.FormatInt(n, 10) }

// checkName refuses names that the lake cannot hold (ADL-106).
func (c *container) checkName(p string) *apiError {
	if p == "" {
		return nil
	}
	segments := strings.Split(p, "/")
	if len(segments) > maxDepth {
		return refuse("PathIsTooDeep")
	}
	for _, s := range segments {
		if s == "" || s == "." || s == ".." || !utf8.ValidString(s) || len(s) > maxSegment || strings.Contains(s, "\x00") {
			return refuse("InvalidResourceName")
		}
	}
	return nil
}

func (c *container) headFilesystem(q *request) (*answer, *apiError) {
	if err := c.rlock(); err != nil {
		return nil, err
	}
	defer c.mu.RUnlock()
	a := newAnswer(http.StatusOK).stamp(&c.self).set("x-ms-namespace-enabled", strconv.FormatBool(!c.flat), "x-ms-default-encryption-scope", "$account-encryption-key",
		"x-ms-deny-encryption-scope-override", "false")
	if c.self.Properties != "" {
		a.set("x-ms-properties", c.self.Properties)
	}
	if q.blob {
		a.asContainer(&c.self, q.now)
	}
	return a, nil
}

// conditions checks If-Match and its like against what is at a path; prefix is "" or "x-ms-source-".
func conditions(h http.Header, prefix string, n *node) *apiError {
	failed := refuse("ConditionNotMet")
	if prefix != "" {
		failed = refuse("SourceConditionNotMet")
	}
	has := func(name string) (string, bool) {
		v := h.Get(prefix + name)
		return v, v != ""
	}
	if v, ok := has("If-Match"); ok && (n == nil || v != "*" && strings.Trim(v, `"`) != n.ETag) {
		return failed
	}
	if v, ok := has("If-None-Match"); ok && n != nil && (v == "*" || strings.Trim(v, `"`) == n.ETag) {
		return failed
	}
	if v, ok := has("If-Modified-Since"); ok && n != nil {
		if t, err := http.ParseTime(v); err == nil && !n.Modified.Truncate(time.Second).After(t) {
			return failed
		}
	}
	if v, ok := has("If-Unmodified-Since"); ok && n != nil {
		if t, err := http.ParseTime(v); err == nil && n.Modified.Truncate(time.Second).After(t) {
			return failed
		}
	}
	return nil
}

// create makes an empty file or a folder (ADL-43).
func (c *container) create(q *request) (*answer, *apiError) {
	if err := c.lock(); err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	dir := q.op == "create-dir"
	c.look(q.path)
	old := c.nodes[q.path]
	if old != nil && q.Header.Get("If-None-Match") == "*" {
		e := refuse("PathAlreadyExists")
		if dir && old.Dir {
			e.header = http.Header{"X-Ms-Existing-Resource-Type": {"directory"}}
		}
		return nil, e
	}
	if err := conditions(q.Header, "", old); err != nil {
		return nil, err
	}
	if old != nil && old.Dir != dir {
		return nil, refuse("ResourceTypeMismatch")
	}
	if dir && q.Header.Get("x-ms-expiry-option") != "" {
		return nil, refuse("ExpiryNotSupportedForDirectory")
	}
	proposed := q.Header.Get("x-ms-proposed-lease-id")
	if err := old.checkLease(q.Header.Get("x-ms-lease-id"), q.now); err != nil && proposed == "" {
		return nil, err
	}
	if err := c.parents(q.path, q.oid, q.now); err != nil {
		return nil, err
	}
	n := &node{ID: lakeward.NewID(), Dir: dir, ETag: c.etags.next(), Created: q.now, Modified: q.now,
		Properties: q.Header.Get("x-ms-properties"), Content: contentHeaders(q.Header)}
	var eerr *apiError
	if n.Expiry, eerr = expiry(q.Header, q.now, q.now); eerr != nil {
		return nil, eerr
	}
	c.expires(n.Expiry)
	if err := c.createdPerms(q, n); err != nil {
		return nil, err
	}
	if old != nil {
		n.Lease = old.Lease
	}
	if proposed != "" {
		if err := n.take(q.Header, q.now); err != nil {
			return nil, err
		}
	}
	if err := c.make(q.path, n, old); err != nil {
		return nil, diskError(err)
	}
	return newAnswer(http.StatusCreated).stamp(n).set("x-ms-request-server-encrypted", "true"), nil
}

// make brings an empty file or a folder into being. The log comes first: a line without its file is dropped
// at the next start, a file without its line would have lost its properties (ADL-104).
func (c *container) make(p string, n, old *node) error {
	if old != nil && !n.Dir { // the old bytes must not be seen with the new properties
		tmp := c.pendingDir(n) + ".empty"
		if err := errors.Join(c.root.MkdirAll(path.Dir(tmp), 0o700), c.assemble(tmp, nil)); err != nil {
			return err
		}
		_ = c.root.RemoveAll(c.pendingDir(old))
		return c.replace(tmp, p, n)
	}
	if err := c.put(p, n); err != nil {
		return err
	}
	err := c.root.MkdirAll(path.Dir(c.file(p)), 0o755)
	if n.Dir && err == nil {
		err = c.root.MkdirAll(c.file(p), 0o755)
	}
	if !n.Dir && err == nil {
		var f *os.File
		if f, err = c.root.OpenFile(c.file(p), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644); err == nil {
			err = f.Close()
		}
	}
	if err != nil && old == nil {
		delete(c.nodes, p)
		err = errors.Join(err, c.record(line{Kind: "del", Path: p}))
	}
	return err
}

// contentHeaders are the headers that a file keeps, by the name that a read answers with.
func contentHeaders(h http.Header) map[string]string {
	out := map[string]string{}
	for _, name := range []string{"Content-Type", "Content-Encoding", "Content-Language", "Content-Disposition", "Cache-Control"} {
		if v := h.Get("x-ms-" + name); v != "" {
			out[name] = v
		}
	}
	if v := h.Get("x-ms-content-md5"); v != "" {
		out["Content-MD5"] = v
	}
	return out
}

// keep stores a content header.
func (n *node) keep(name, value string) {
	if n.Content == nil {
		n.Content = map[string]string{}
	}
	n.Content[name] = value
}

// found returns the node of a path; a folder where a file is needed is a mismatch.
func (c *container) found(p string, needFile bool) (*node, *apiError) {
	n := c.nodes[p]
	if p == "" {
		n = &c.self
	}
	if n == nil {
		return nil, refuse("PathNotFound")
	}
	if needFile && n.Dir {
		return nil, refuse("ResourceTypeMismatch")
	}
	return n, nil
}

// target is what a request works on, if its conditions hold.
func (c *container) target(q *request) (*node, *apiError) {
	n, err := c.found(q.path, false)
	if err != nil {
		return nil, err
	}
	return n, conditions(q.Header, "", n)
}

// writable is what a request changes, if its conditions hold and it has the lease.
func (c *container) writable(q *request) (*node, *apiError) {
	n, err := c.target(q)
	if err != nil {
		return nil, err
	}
	return n, n.checkLease(q.Header.Get("x-ms-lease-id"), q.now)
}

// trashDir takes what is deleted out of the tree in one step; it is emptied at once, and at each start.
const trashDir = meta + "/trash"

// discard removes a file or folder of the tree so that nobody sees half of it.
func (c *container) discard(name string) error {
	aside := path.Join(trashDir, lakeward.NewID())
	if err := errors.Join(c.root.MkdirAll(trashDir, 0o700), c.root.Rename(name, aside)); err != nil {
		return err
	}
	return errors.Join(c.sync(path.Dir(name)), c.root.RemoveAll(aside))
}

// delete removes a file or a folder (ADL-50).
func (c *container) delete(q *request) (*answer, *apiError) {
	if err := c.lock(); err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	n, err := c.writable(q)
	if err != nil {
		return nil, err
	}
	if n.Dir && q.query.Get("recursive") != "true" && !c.empty(q.path) {
		return nil, refuse("DirectoryNotEmpty")
	}
	if err := c.discard(c.file(q.path)); err != nil {
		return nil, diskError(err)
	}
	for p, below := range c.nodes {
		if p == q.path || strings.HasPrefix(p, q.path+"/") {
			_ = c.root.RemoveAll(c.pendingDir(below))
		}
	}
	c.forget(q.path)
	if err := c.record(line{Kind: "del", Path: q.path}); err != nil {
		return nil, diskError(err)
	}
	a := newAnswer(http.StatusOK).set("x-ms-delete-type-permanent", "true")
	if q.blob {
		a.status = http.StatusAccepted
	}
	return a, nil
}
