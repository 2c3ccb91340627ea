package emulator

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/lakeward/lakeward"
)

const (
	maxBlobBlocks = 50_000
	maxBlockID    = 64 // bytes
	maxBlockList  = 8 << 20
)

// putBlob makes a file of one request's body (ADL-115). It may overwrite a file of either interface.
func (c *container) putBlob(q *request) (*answer, *apiError) {
	switch kind := q.Header.Get("x-ms-blob-type"); {
	case kind == "":
		return nil, refuse("MissingRequiredHeader")
	case kind != "BlockBlob":
		return nil, refuse("NotImplemented")
	case q.ContentLength > maxAppend:
		return nil, refuse("RequestBodyTooLarge")
	case q.ContentLength <= 0 && q.Header.Get("x-ms-meta-hdi_isfolder") == "true": // a folder, as old writers make one
		q.op = "create-dir"
		return c.create(q)
	}
	got, tmp, err := c.receive(q)
	if err != nil {
		return nil, err
	}
	defer c.dropTemp(tmp)
	if err := c.lock(); err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	n := c.newBlob(q, got.size)
	if n.Content["Content-Type"] == "" {
		n.keep("Content-Type", q.Header.Get("Content-Type"))
	}
	if n.Content["Content-MD5"] == "" && got.md5 != nil {
		n.keep("Content-MD5", base64.StdEncoding.EncodeToString(got.md5))
	}
	if err := c.commitBlob(q, tmp, n); err != nil {
		return nil, err
	}
	return newAnswer(http.StatusCreated).stamp(n).summed(got).set("x-ms-request-server-encrypted", "true"), nil
}

// summed adds the checksum of a body that was received.
func (a *answer) summed(s sums) *answer {
	if s.crc64 != "" {
		return a.set("x-ms-content-crc64", s.crc64)
	}
	return a.set("Content-MD5", base64.StdEncoding.EncodeToString(s.md5))
}

// newBlob is the node of a file that the blob interface makes.
func (c *container) newBlob(q *request, size int64) *node {
	return &node{ID: lakeward.NewID(), ETag: c.etags.next(), Created: q.now, Modified: q.now, Size: size,
		Properties: sentMetadata(q.Header), Content: blobContent(q.Header), Blob: blobState{Written: true}}
}

// commitBlob makes the file tmp the content of a path, if the conditions of the request hold.
func (c *container) commitBlob(q *request, tmp string, n *node) *apiError {
	c.look(q.path)
	old := c.nodes[q.path]
	if old != nil && q.Header.Get("If-None-Match") == "*" {
		return refuse("PathAlreadyExists")
	}
	if err := conditions(q.Header, "", old); err != nil {
		return err
	}
	if old != nil && old.Dir {
		return refuse("ResourceTypeMismatch")
	}
	if err := old.checkLease(q.Header.Get("x-ms-lease-id"), q.now); err != nil {
		return err
	}
	if err := c.parents(q.path, q.oid, q.now); err != nil {
		return err
	}
	if err := c.createdPerms(q, n); err != nil {
		return err
	}
	if old != nil {
		n.Lease = old.Lease
	}
	if err := c.sync(tmp); err != nil {
		return diskError(err)
	}
	if err := c.replace(tmp, q.path, n); err != nil {
		return diskError(err)
	}
	if old != nil {
		_ = c.root.RemoveAll(c.pendingDir(old))
	}
	for _, b := range c.uncommitted(q.path) {
		_ = c.root.Remove(path.Join(c.blocksDir(q.path), blockFile(b.ID)))
	}
	_ = c.root.Remove(c.blocksDir(q.path)) // only if it is empty
	return nil
}

// blockRef is a committed block of a file.
type blockRef struct {
	ID   string `json:"id"` // base64, as it was sent
	Size int64  `json:"size"`
}

// blockFile is the name of the file that holds a block; "" for an id that is none.
func blockFile(id string) string {
	b, err := base64.StdEncoding.DecodeString(id)
	if err != nil || len(b) == 0 || len(b) > maxBlockID {
		return ""
	}
	return "b" + hex.EncodeToString(b)
}

// putBlock keeps a block aside until a list names it.
func (c *container) putBlock(q *request) (*answer, *apiError) {
	id := q.query.Get("blockid")
	name := blockFile(id)
	switch {
	case q.Header.Get("x-ms-copy-source") != "":
		return nil, refuse("NotImplemented")
	case name == "":
		return nil, refuse("InvalidQueryParameterValue")
	case q.ContentLength == 0:
		return nil, refuse("InvalidHeaderValue")
	case q.ContentLength > maxAppend:
		return nil, refuse("RequestBodyTooLarge")
	}
	got, tmp, err := c.receive(q)
	if err != nil {
		return nil, err
	}
	defer c.dropTemp(tmp)
	if err := c.lock(); err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	if err := c.takesBlock(q, name); err != nil {
		return nil, err
	}
	dir := c.blocksDir(q.path)
	if err := errors.Join(c.root.MkdirAll(dir, 0o700), c.root.Rename(tmp, path.Join(dir, name))); err != nil {
		return nil, diskError(err)
	}
	return newAnswer(http.StatusCreated).summed(got).set("x-ms-request-server-encrypted", "true"), nil
}

// takesBlock refuses a block of a file that dfs made, and one whose id has another length than its siblings'.
func (c *container) takesBlock(q *request, name string) *apiError {
	n := c.nodes[q.path]
	switch {
	case n != nil && n.Dir:
		return refuse("ResourceTypeMismatch")
	case n != nil && !n.Blob.Written:
		return refuse("InvalidBlobOrBlock")
	}
	if err := n.checkLease(q.Header.Get("x-ms-lease-id"), q.now); err != nil {
		return err
	}
	for _, b := range c.uncommitted(q.path) {
		if len(blockFile(b.ID)) != len(name) {
			return refuse("InvalidBlobOrBlock")
		}
	}
	return nil
}

// uncommitted lists the blocks of a name that no list has named yet.
func (c *container) uncommitted(p string) []blockRef {
	entries, err := fs.ReadDir(c.root.FS(), c.blocksDir(p))
	if err != nil {
		return nil
	}
	var out []blockRef
	for _, e := range entries {
		text, ok := strings.CutPrefix(e.Name(), "b")
		id, herr := hex.DecodeString(text)
		info, ierr := e.Info()
		if ok && herr == nil && ierr == nil {
			out = append(out, blockRef{base64.StdEncoding.EncodeToString(id), info.Size()})
		}
	}
	return out
}

// putBlocks makes a file of the blocks that a list names.
func (c *container) putBlocks(q *request) (*answer, *apiError) {
	list, aerr := readBlockList(q.Body)
	if aerr != nil {
		return nil, aerr
	}
	if err := c.lock(); err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	old := c.nodes[q.path]
	if old != nil && !old.Dir && !old.Blob.Written {
		return nil, refuse("InvalidBlobOrBlock")
	}
	parts, refs, aerr := c.chosen(q.path, old, list)
	if aerr != nil {
		return nil, aerr
	}
	size := int64(0)
	for _, r := range refs {
		size += r.Size
	}
	n := c.newBlob(q, size)
	n.Blob.Blocks = refs
	tmp := path.Join(tempDir, lakeward.NewID())
	if err := errors.Join(c.root.MkdirAll(tempDir, 0o700), c.assemble(tmp, parts)); err != nil {
		return nil, diskError(err)
	}
	defer c.dropTemp(tmp)
	if err := c.commitBlob(q, tmp, n); err != nil {
		return nil, err
	}
	return newAnswer(http.StatusCreated).stamp(n).set("x-ms-request-server-encrypted", "true"), nil
}

// listed is one entry of a block list: where to look for the block, and its id.
type listed struct {
	XMLName xml.Name
	ID      string `xml:",chardata"`
}

func readBlockList(body io.Reader) ([]listed, *apiError) {
	var doc struct {
		XMLName xml.Name `xml:"BlockList"`
		Blocks  []listed `xml:",any"`
	}
	if err := xml.NewDecoder(io.LimitReader(body, maxBlockList)).Decode(&doc); err != nil {
		return nil, refuse("InvalidXmlDocument")
	}
	if len(doc.Blocks) > maxBlobBlocks {
		return nil, refuse("BlockListTooLong")
	}
	return doc.Blocks, nil
}

// chosen finds the bytes of the blocks of a list.
func (c *container) chosen(p string, old *node, list []listed) ([]part, []blockRef, *apiError) {
	committed, staged := map[string]part{}, map[string]part{}
	if old != nil {
		at := int64(0)
		for _, b := range old.Blob.Blocks {
			committed[b.ID] = part{c.file(p), at, b.Size}
			at += b.Size
		}
	}
	for _, b := range c.uncommitted(p) {
		staged[b.ID] = part{path.Join(c.blocksDir(p), blockFile(b.ID)), 0, b.Size}
	}
	var parts []part
	var refs []blockRef
	for _, l := range list {
		id := strings.TrimSpace(l.ID)
		found, ok := staged[id]
		switch l.XMLName.Local {
		case "Committed":
			found, ok = committed[id]
		case "Latest":
			if !ok {
				found, ok = committed[id]
			}
		case "Uncommitted":
		default:
			return nil, nil, refuse("InvalidXmlDocument")
		}
		if !ok {
			return nil, nil, refuse("InvalidBlockList")
		}
		parts, refs = append(parts, found), append(refs, blockRef{id, found.size})
	}
	return parts, refs, nil
}

// getBlocks lists the blocks of a file.
func (c *container) getBlocks(q *request) (*answer, *apiError) {
	if err := c.rlock(); err != nil {
		return nil, err
	}
	defer c.mu.RUnlock()
	type block struct {
		Name string
		Size int64
	}
	type blocks struct {
		Block []block
	}
	var doc struct {
		XMLName     xml.Name `xml:"BlockList"`
		Committed   *blocks  `xml:"CommittedBlocks"`
		Uncommitted *blocks  `xml:"UncommittedBlocks"`
	}
	kind := q.query.Get("blocklisttype")
	n, staged := c.nodes[q.path], c.uncommitted(q.path)
	switch {
	case n == nil && len(staged) == 0:
		return nil, refuse("PathNotFound")
	case n != nil && n.Dir:
		return nil, refuse("ResourceTypeMismatch")
	case kind != "" && kind != "committed" && kind != "uncommitted" && kind != "all":
		return nil, refuse("InvalidQueryParameterValue")
	}
	a := newAnswer(http.StatusOK).set("Content-Type", "application/xml")
	if n != nil {
		a.stamp(n).set("x-ms-blob-content-length", formatInt(n.Size))
	}
	if kind != "uncommitted" {
		doc.Committed = &blocks{}
		if n != nil {
			for _, b := range n.Blob.Blocks {
				doc.Committed.Block = append(doc.Committed.Block, block{b.ID, b.Size})
			}
		}
	}
	if kind == "uncommitted" || kind == "all" {
		doc.Uncommitted = &blocks{}
		for _, b := range staged {
			doc.Uncommitted.Block = append(doc.Uncommitted.Block, block{b.ID, b.Size})
		}
	}
	return a.xml(doc)
}

// xml makes a document the body of the answer.
func (a *answer) xml(doc any) (*answer, *apiError) {
	body, err := xml.Marshal(doc)
	if err != nil {
		return nil, diskError(err)
	}
	a.set("Content-Type", "application/xml")
	a.body = append([]byte(xml.Header), body...)
	return a, nil
}
