package emulator

import (
	"crypto/md5" //nolint:gosec // the service checks Content-MD5
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/minio/crc64nvme"
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
		if s == "" || s == "." || s == ".." || len(s) > maxSegment || strings.Contains(s, "\x00") {
			return refuse("InvalidResourceName")
		}
	}
	return nil
}

func (c *container) headFilesystem(*request) (*answer, *apiError) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	a := newAnswer(http.StatusOK).stamp(&c.self).set("x-ms-namespace-enabled", strconv.FormatBool(!c.flat), "x-ms-default-encryption-scope", "$account-encryption-key",
		"x-ms-deny-encryption-scope-override", "false")
	if c.self.Properties != "" {
		a.set("x-ms-properties", c.self.Properties)
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
	if v, ok := has("If-Match"); ok && v != "*" && (n == nil || strings.Trim(v, `"`) != n.ETag) {
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
	c.mu.Lock()
	defer c.mu.Unlock()
	dir := q.op == "create-dir"
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
	if err := c.parents(q.path, q.now); err != nil {
		return nil, err
	}
	n := &node{ID: lakeward.NewID(), Dir: dir, ETag: c.etags.next(), Created: q.now, Modified: q.now,
		Properties: q.Header.Get("x-ms-properties"), Content: contentHeaders(q.Header)}
	if err := c.createdPerms(q, n); err != nil {
		return nil, err
	}
	if old != nil {
		n.lease = old.lease
	}
	if proposed != "" {
		if err := n.take(q.Header, q.now); err != nil {
			return nil, err
		}
	}
	var err error
	if old != nil && !dir {
		_ = c.root.RemoveAll(c.pendingDir(old))
	}
	if dir {
		err = c.root.MkdirAll(c.file(q.path), 0o755)
	} else {
		var f *os.File
		if f, err = c.root.OpenFile(c.file(q.path), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644); err == nil {
			err = f.Close()
		}
	}
	if err == nil {
		err = c.put(q.path, n)
	}
	if err != nil {
		return nil, diskError(err)
	}
	return newAnswer(http.StatusCreated).stamp(n).set("x-ms-request-server-encrypted", "true"), nil
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

func (n *node) setContent(name, value string) {
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

// append keeps bytes aside until a flush; appends of one file run in parallel (ADL-44, ADL-120).
func (c *container) append(q *request) (*answer, *apiError) {
	position, perr := strconv.ParseInt(q.query.Get("position"), 10, 64)
	if perr != nil || position < 0 {
		return nil, refuse("InvalidQueryParameterValue")
	}
	if q.ContentLength == 0 {
		e := refuse("InvalidHeaderValue")
		e.detail = map[string]string{"HeaderName": "Content-Length", "HeaderValue": "0"}
		return nil, e
	}
	if q.ContentLength > maxAppend {
		return nil, refuse("InvalidHeaderValue")
	}
	n, renewed, err := c.appendable(q, position)
	if err != nil {
		return nil, err
	}
	if err := c.keep(q, n, position); err != nil {
		return nil, err
	}
	a := newAnswer(http.StatusAccepted).set("x-ms-request-server-encrypted", "true")
	if renewed != "" {
		a.set("x-ms-lease-renewed", "false") // recorded so: an append never renews early
	}
	if v := q.Header.Get("x-ms-content-crc64"); v != "" {
		a.set("x-ms-content-crc64", v)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if q.query.Get("flush") == "true" {
		if v := q.Header.Get("Content-Type"); v != "" {
			n.setContent("Content-Type", v)
		}
		if err := c.commit(q, n, position+q.ContentLength); err != nil {
			return nil, err
		}
		a.stamp(n)
	}
	n.endLease(q.Header)
	return a, nil
}

// appendable returns the file of an append; only a lease action changes anything.
func (c *container) appendable(q *request, position int64) (*node, string, *apiError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.found(q.path, true)
	if err != nil {
		return nil, "", err
	}
	if position < n.Size {
		return nil, "", refuse("InvalidFlushPosition")
	}
	renewed, err := n.leaseAction(q.Header, q.now)
	return n, renewed, err
}

// keep stores the body of an append and checks its checksums.
func (c *container) keep(q *request, n *node, position int64) *apiError {
	dir := c.pendingDir(n)
	if err := c.root.MkdirAll(dir, 0o700); err != nil {
		return diskError(err)
	}
	tmp := path.Join(dir, "t"+lakeward.NewID())
	f, err := c.root.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return diskError(err)
	}
	var crc, sum hash.Hash
	w := io.Writer(f)
	if q.Header.Get("x-ms-content-crc64") != "" {
		crc = crc64nvme.New()
		w = io.MultiWriter(f, crc)
	}
	if q.Header.Get("Content-MD5") != "" {
		sum = md5.New() //nolint:gosec // the service checks Content-MD5
		w = io.MultiWriter(w, sum)
	}
	got, err := io.CopyBuffer(w, io.LimitReader(q.Body, maxAppend), make([]byte, 256<<10))
	err = errors.Join(err, f.Close())
	bad := ""
	switch {
	case err == nil && crc != nil && q.Header.Get("x-ms-content-crc64") != littleEndian(crc):
		bad = "Crc64Mismatch"
	case err == nil && sum != nil && q.Header.Get("Content-MD5") != base64.StdEncoding.EncodeToString(sum.Sum(nil)):
		bad = "Md5Mismatch"
	case err == nil && q.ContentLength >= 0 && got != q.ContentLength:
		bad = "InvalidHeaderValue"
	}
	if err != nil || bad != "" {
		_ = c.root.Remove(tmp)
		if bad != "" {
			return refuse(bad)
		}
		return diskError(err)
	}
	if err := c.root.Rename(tmp, path.Join(dir, strconv.FormatInt(position, 10))); err != nil {
		return diskError(err)
	}
	return nil
}

func littleEndian(h hash.Hash) string {
	b := h.Sum(nil)
	var out [8]byte
	binary.LittleEndian.PutUint64(out[:], binary.BigEndian.Uint64(b))
	return base64.StdEncoding.EncodeToString(out[:])
}

// flush makes pending data the content of the file (ADL-45).
func (c *container) flush(q *request) (*answer, *apiError) {
	if q.ContentLength > 0 {
		return nil, refuse("ContentLengthMustBeZero")
	}
	position, perr := strconv.ParseInt(q.query.Get("position"), 10, 64)
	if perr != nil || position < 0 {
		return nil, refuse("InvalidQueryParameterValue")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.found(q.path, true)
	if err != nil {
		return nil, err
	}
	if err := conditions(q.Header, "", n); err != nil {
		return nil, err
	}
	renewed, err := n.leaseAction(q.Header, q.now)
	if err != nil {
		return nil, err
	}
	for k, v := range contentHeaders(q.Header) {
		n.setContent(k, v)
	}
	if err := c.commit(q, n, position); err != nil {
		return nil, err
	}
	n.endLease(q.Header)
	a := newAnswer(http.StatusOK).stamp(n).set("x-ms-request-server-encrypted", "false")
	if renewed != "" {
		a.set("x-ms-lease-renewed", renewed)
	}
	return a, nil
}

// commit joins the pending blocks up to a position, which must be a block's border.
func (c *container) commit(q *request, n *node, position int64) *apiError {
	blocks, err := c.pending(n)
	if err != nil {
		return diskError(err)
	}
	end, used := n.Size, 0
	for _, b := range blocks {
		if b.position != end || end == position {
			break
		}
		end, used = end+b.size, used+1
	}
	if end != position {
		return refuse("InvalidFlushPosition")
	}
	if used > 0 {
		if err := c.join(q.path, n, blocks[:used]); err != nil {
			return diskError(err)
		}
	}
	for i, b := range blocks {
		if i < used || q.query.Get("retainUncommittedData") != "true" {
			_ = c.root.Remove(path.Join(c.pendingDir(n), strconv.FormatInt(b.position, 10)))
		}
	}
	_ = c.root.Remove(c.pendingDir(n)) // only if it is empty
	n.Size, n.ETag, n.Modified = position, c.etags.next(), q.now
	if err := c.put(q.path, n); err != nil {
		return diskError(err)
	}
	return nil
}

// rename moves a file or a folder in one step, also from another container of the account (ADL-46).
func (c *container) rename(q *request) (*answer, *apiError) {
	source, from, err := c.renameSource(q.Header.Get("x-ms-rename-source"))
	if err != nil {
		return nil, err
	}
	if c.flat {
		return nil, refuse("EndpointUnsupportedAccountFeatures")
	}
	defer lockBoth(c, source)()
	src, dst := source.nodes[from], c.nodes[q.path]
	if src == nil {
		return nil, refuse("SourcePathNotFound")
	}
	if err := conditions(q.Header, "x-ms-source-", src); err != nil {
		return nil, err
	}
	if dst != nil && q.Header.Get("If-None-Match") == "*" {
		return nil, refuse("PathAlreadyExists")
	}
	if err := conditions(q.Header, "", dst); err != nil {
		return nil, err
	}
	if err := src.checkLease(q.Header.Get("x-ms-source-lease-id"), q.now); err != nil {
		return nil, err
	}
	if err := dst.checkLease(q.Header.Get("x-ms-lease-id"), q.now); err != nil {
		return nil, err
	}
	if err := c.checkRename(source, from, q.path, src, dst); err != nil {
		return nil, err
	}
	if source != c || from != q.path {
		if err := c.move(source, from, q.path, dst); err != nil {
			return nil, diskError(err)
		}
	}
	if v := q.Header.Get("x-ms-properties"); v != "" {
		src.Properties = v
		if err := c.put(q.path, src); err != nil {
			return nil, diskError(err)
		}
	}
	return newAnswer(http.StatusCreated).stamp(src), nil
}

// lockBoth locks one or two containers, always in the same order, and returns what unlocks them.
func lockBoth(a, b *container) func() {
	if a == b {
		a.mu.Lock()
		return a.mu.Unlock
	}
	if b.name < a.name {
		a, b = b, a
	}
	a.mu.Lock()
	b.mu.Lock()
	return func() {
		b.mu.Unlock()
		a.mu.Unlock()
	}
}

// renameSource finds the container and the path of a rename's source; it arrives raw or encoded.
func (c *container) renameSource(header string) (*container, string, *apiError) {
	text, _, _ := strings.Cut(header, "?")
	p, err := url.PathUnescape(text)
	if err != nil {
		return nil, "", refuse("InvalidSourceUri")
	}
	name, rest, _ := strings.Cut(strings.TrimPrefix(p, "/"), "/")
	source := c
	if name != c.name {
		source = c.sibling(name)
	}
	rest = strings.Trim(rest, "/")
	if source == nil || rest == "" {
		return nil, "", refuse("InvalidSourceUri")
	}
	return source, rest, c.checkName(rest)
}

func (c *container) checkRename(source *container, from, to string, src, dst *node) *apiError {
	if source == c && (to == from || strings.HasPrefix(to, from+"/")) {
		if to == from && !src.Dir {
			return nil
		}
		return refuse("InvalidRenameSourcePath")
	}
	if parent := path.Dir(to); parent != "." {
		switch n := c.nodes[parent]; {
		case n == nil:
			return refuse("RenameDestinationParentPathNotFound")
		case !n.Dir:
			return refuse("PathConflict")
		}
	}
	if dst == nil {
		return nil
	}
	if src.Dir != dst.Dir {
		return refuse("InvalidSourceOrDestinationResourceType")
	}
	if dst.Dir && !c.empty(to) {
		return refuse("PathAlreadyExists")
	}
	return nil
}

// move renames in the tree between two lines of the log, so that either end of it is found after a kill.
func (c *container) move(source *container, from, to string, dst *node) error {
	if source == c {
		if err := c.record(line{Kind: "intent", Path: from, To: to}); err != nil {
			return err
		}
	}
	if dst != nil && dst.Dir {
		if err := c.root.Remove(c.file(to)); err != nil {
			return err
		}
	}
	if err := c.root.Rename(source.file(from), c.file(to)); err != nil {
		return err
	}
	var err error
	if source == c {
		c.moved(from, to)
		err = c.record(line{Kind: "move", Path: from, To: to})
	} else {
		err = c.adopt(source, from, to)
	}
	return errors.Join(err, c.sync(path.Dir(c.file(to))), c.sync(path.Dir(source.file(from))))
}

// adopt takes over the nodes of a path that was moved in from another container.
func (c *container) adopt(source *container, from, to string) error {
	c.forget(to)
	lines := []line{{Kind: "del", Path: to}}
	for q, n := range source.nodes {
		if q == from || strings.HasPrefix(q, from+"/") {
			p := to + strings.TrimPrefix(q, from)
			c.nodes[p] = n
			lines = append(lines, line{Kind: "put", Path: p, Node: n})
		}
	}
	source.forget(from)
	return errors.Join(c.record(lines...), source.record(line{Kind: "del", Path: from}))
}

// head answers with the state of a path (ADL-48).
func (c *container) head(q *request) (*answer, *apiError) {
	c.refresh(q.path)
	c.mu.RLock()
	defer c.mu.RUnlock()
	n, err := c.found(q.path, false)
	if err != nil {
		return nil, err
	}
	if err := readConditions(q.Header, n); err != nil {
		return nil, err
	}
	return statusAnswer(n), nil
}

func readConditions(h http.Header, n *node) *apiError {
	err := conditions(h, "", n)
	if err != nil && (h.Get("If-None-Match") != "" || h.Get("If-Modified-Since") != "") && h.Get("If-Match") == "" {
		return refuse("NotModified")
	}
	return err
}

func statusAnswer(n *node) *answer {
	kind := "file"
	if n.Dir {
		kind = "directory"
	}
	a := newAnswer(http.StatusOK).stamp(n).set("Content-Length", formatInt(n.Size), "Accept-Ranges", "bytes", "Content-Type", "application/octet-stream",
		"x-ms-resource-type", kind, "x-ms-owner", owner(n.Owner), "x-ms-group", owner(n.Group), "x-ms-permissions", n.permissions(), "x-ms-lease-status", "unlocked",
		"x-ms-lease-state", "available", "x-ms-content-crc64", "AAAAAAAAAAA=", "x-ms-server-encrypted", "true", "x-ms-creation-time", n.Created.Format(http.TimeFormat))
	if n.Properties != "" {
		a.set("x-ms-properties", n.Properties)
	}
	if n.lease.active(time.Now()) {
		a.set("x-ms-lease-status", "locked", "x-ms-lease-state", "leased")
	}
	for k, v := range n.Content {
		a.set(k, v)
	}
	return a
}

// read sends the content of a file or a range of it (ADL-47).
func (c *container) read(q *request) (*answer, *apiError) {
	c.refresh(q.path)
	c.mu.RLock()
	defer c.mu.RUnlock()
	n, err := c.found(q.path, true)
	if err != nil {
		return nil, err
	}
	if err := readConditions(q.Header, n); err != nil {
		return nil, err
	}
	a := statusAnswer(n)
	first, last := int64(0), n.Size-1
	header := q.Header.Get("x-ms-range")
	if header == "" {
		header = q.Header.Get("Range")
	}
	if header != "" {
		var ok bool
		if first, last, ok = parseRange(header, n.Size); !ok {
			e := refuse("InvalidRange")
			e.header = http.Header{"Content-Range": {fmt.Sprintf("bytes */%d", n.Size)}}
			return nil, e
		}
		a.status = http.StatusPartialContent
		a.set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first, last, n.Size), "Content-Length", strconv.FormatInt(last-first+1, 10))
	}
	f, ferr := c.root.Open(c.file(q.path))
	if ferr != nil {
		return nil, diskError(ferr)
	}
	a.stream = &section{io.NewSectionReader(f, first, last-first+1), f}
	return a, nil
}

// section is a part of a file that closes with it.
type section struct {
	*io.SectionReader
	io.Closer
}

// parseRange reads "bytes=a-b" or "bytes=a-"; ok is false if it lies behind the end or is no range.
func parseRange(header string, size int64) (first, last int64, ok bool) {
	a, b, dash := strings.Cut(strings.TrimPrefix(header, "bytes="), "-")
	first, err := strconv.ParseInt(a, 10, 64)
	if !dash || err != nil || first < 0 || first >= size {
		return 0, 0, false
	}
	last = size - 1
	if b != "" {
		end, err := strconv.ParseInt(b, 10, 64)
		if err != nil || end < first {
			return 0, 0, false
		}
		last = min(last, end)
	}
	return first, last, true
}

// delete removes a file or a folder (ADL-50).
func (c *container) delete(q *request) (*answer, *apiError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.found(q.path, false)
	if err != nil {
		return nil, err
	}
	if err := conditions(q.Header, "", n); err != nil {
		return nil, err
	}
	if err := n.checkLease(q.Header.Get("x-ms-lease-id"), q.now); err != nil {
		return nil, err
	}
	if n.Dir && q.query.Get("recursive") != "true" && !c.empty(q.path) {
		return nil, refuse("DirectoryNotEmpty")
	}
	if err := c.root.RemoveAll(c.file(q.path)); err != nil {
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
	return newAnswer(http.StatusOK).set("x-ms-delete-type-permanent", "true"), nil
}

// list answers with a page of paths (ADL-42).
func (c *container) list(q *request) (*answer, *apiError) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	recursive, berr := strconv.ParseBool(q.query.Get("recursive"))
	if berr != nil {
		return nil, refuse("MissingRequiredQueryParameter")
	}
	most := defaultPage
	if v := q.query.Get("maxResults"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return nil, refuse("OutOfRangeQueryParameterValue")
		}
		most = min(n, defaultPage)
	}
	dir := strings.Trim(q.query.Get("directory"), "/")
	names := []string{dir}
	if n := c.nodes[dir]; n == nil && dir != "" {
		return nil, refuse("PathNotFound")
	} else if n == nil || n.Dir {
		names = c.sorted(dir, recursive)
	}
	if v := q.query.Get("continuation"); v != "" {
		after, err := base64.RawURLEncoding.DecodeString(v)
		if err != nil {
			return nil, refuse("InvalidQueryParameterValue")
		}
		for len(names) > 0 && comparePaths(names[0], string(after)) <= 0 {
			names = names[1:]
		}
	}
	a := newAnswer(http.StatusOK).set("Content-Type", "application/json;charset=utf-8")
	if len(names) > most {
		names = names[:most]
		a.set("x-ms-continuation", base64.RawURLEncoding.EncodeToString([]byte(names[most-1])))
	}
	entries := []map[string]string{}
	for _, p := range names {
		entries = append(entries, listEntry(p, c.nodes[p]))
	}
	var err error
	if a.body, err = json.Marshal(map[string]any{"paths": entries}); err != nil {
		return nil, diskError(err)
	}
	return a, nil
}

// windowsEpoch is 1601-01-01 in seconds since 1970; creationTime counts 100 ns from there.
const windowsEpoch = -11644473600

func listEntry(p string, n *node) map[string]string {
	e := map[string]string{"name": p, "contentLength": formatInt(n.Size), "etag": n.ETag, "lastModified": n.Modified.UTC().Format(http.TimeFormat),
		"owner": owner(n.Owner), "group": owner(n.Group), "permissions": n.permissions(), "expiryTime": "0",
		"creationTime": strconv.FormatInt((n.Created.Unix()-windowsEpoch)*10_000_000, 10)}
	if n.Dir {
		e["isDirectory"] = "true"
	}
	return e
}
