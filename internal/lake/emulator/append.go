package emulator

import (
	"crypto/md5" //nolint:gosec // the service checks Content-MD5
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash"
	"io"
	"net/http"
	"os"
	"path"
	"strconv"

	"github.com/lakeward/lakeward"
	"github.com/minio/crc64nvme"
)

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
	id, err := c.appendable(q, position)
	if err != nil {
		return nil, err
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
	return c.appended(q, id, position, got, tmp)
}

// appendable returns the object id of the file that an append may go to; nothing is changed.
func (c *container) appendable(q *request, position int64) (string, *apiError) {
	if err := c.rlock(); err != nil {
		return "", err
	}
	defer c.mu.RUnlock()
	n, err := c.found(q.path, true)
	if err != nil {
		return "", err
	}
	_, err = c.appendTo(q, n, position)
	return n.ID, err
}

// appendTo is the state of a file after the lease action of an append, if it may go there.
func (c *container) appendTo(q *request, n *node, position int64) (*node, *apiError) {
	if n.Blob.Written {
		return nil, refuse("InvalidAppendOperation")
	}
	if position < n.Size {
		return nil, refuse("InvalidFlushPosition")
	}
	next := n.clone()
	_, err := next.leaseAction(q.Header, q.now)
	return next, err
}

// appended makes bytes that were received part of what is pending, or of the file if the request flushes. The
// file may have changed since the first byte: it is looked at again.
func (c *container) appended(q *request, id string, position int64, got sums, tmp string) (*answer, *apiError) {
	n, err := c.found(q.path, true)
	if err != nil {
		return nil, err
	}
	if n.ID != id {
		return nil, refuse("PathNotFound")
	}
	next, err := c.appendTo(q, n, position)
	if err != nil {
		return nil, err
	}
	block := path.Join(c.pendingDir(n), formatInt(position))
	if err := errors.Join(c.root.MkdirAll(c.pendingDir(n), 0o700), c.root.Rename(tmp, block)); err != nil {
		return nil, diskError(err)
	}
	a := newAnswer(http.StatusAccepted).set("x-ms-request-server-encrypted", "true")
	if q.Header.Get("x-ms-lease-action") == "auto-renew" && next.Lease != nil {
		a.set("x-ms-lease-renewed", "false") // recorded so: an append never renews early
	}
	if v := q.Header.Get("x-ms-content-crc64"); v != "" {
		a.set("x-ms-content-crc64", v)
	}
	next.endLease(q.Header)
	if q.query.Get("flush") == "true" {
		if v := q.Header.Get("Content-Type"); v != "" {
			next.keep("Content-Type", v)
		}
		if err := c.commit(q, n, next, position+got.size); err != nil {
			return nil, err
		}
		return a.stamp(next), nil
	}
	if !sameLease(n.Lease, next.Lease) {
		if err := c.put(q.path, next); err != nil {
			return nil, diskError(err)
		}
	}
	return a, nil
}

// sums are the checksums of a body that was received.
type sums struct {
	size  int64
	md5   []byte // nil unless the request names one or came by the blob interface
	crc64 string
}

// tempDir is where bodies are received; it is emptied at each start.
const tempDir = meta + "/tmp"

// receive stores the body of a request in a file of its own and checks it against the checksums that the
// request names. The caller renames or drops the file.
func (c *container) receive(q *request) (sums, string, *apiError) {
	if err := c.root.MkdirAll(tempDir, 0o700); err != nil {
		return sums{}, "", diskError(err)
	}
	tmp := path.Join(tempDir, lakeward.NewID())
	got, bad, err := c.store(q, tmp)
	if err == nil && bad == "" {
		return got, tmp, nil
	}
	c.dropTemp(tmp)
	if bad != "" {
		return got, "", refuse(bad)
	}
	return got, "", diskError(err)
}

// dropTemp removes what was received and not used.
func (c *container) dropTemp(tmp string) { _ = c.root.Remove(tmp) }

// store writes the body to a new file; bad is the code of a checksum or length that is not the named one.
func (c *container) store(q *request, name string) (got sums, bad string, err error) {
	f, err := c.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if err != nil {
		return got, "", err
	}
	wantCRC, wantMD5 := q.Header.Get("x-ms-content-crc64"), q.Header.Get("Content-MD5")
	var crc, sum hash.Hash
	w := io.Writer(f)
	if wantCRC != "" {
		crc = crc64nvme.New()
		w = io.MultiWriter(f, crc)
	}
	if wantMD5 != "" || q.blob && wantCRC == "" { // the blob interface answers with the sum
		sum = md5.New() //nolint:gosec // the service checks Content-MD5
		w = io.MultiWriter(w, sum)
	}
	got.size, err = io.CopyBuffer(w, io.LimitReader(q.Body, maxAppend+1), make([]byte, 256<<10))
	err = errors.Join(err, f.Close())
	if sum != nil {
		got.md5 = sum.Sum(nil)
	}
	if crc != nil {
		got.crc64 = littleEndian(crc)
	}
	switch {
	case err != nil:
	case got.size > maxAppend:
		bad = "RequestBodyTooLarge"
	case wantCRC != "" && wantCRC != got.crc64:
		bad = "Crc64Mismatch"
	case wantMD5 != "" && wantMD5 != base64.StdEncoding.EncodeToString(got.md5):
		bad = "Md5Mismatch"
	case q.ContentLength >= 0 && got.size != q.ContentLength:
		bad = "InvalidHeaderValue"
	}
	return got, bad, err
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
	if err := c.lock(); err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	n, err := c.found(q.path, true)
	if err != nil {
		return nil, err
	}
	if n.Blob.Written {
		return nil, refuse("InvalidFlushOperation")
	}
	if err := conditions(q.Header, "", n); err != nil {
		return nil, err
	}
	next := n.clone()
	renewed, err := next.leaseAction(q.Header, q.now)
	if err != nil {
		return nil, err
	}
	for k, v := range contentHeaders(q.Header) {
		next.keep(k, v)
	}
	next.endLease(q.Header)
	if err := c.commit(q, n, next, position); err != nil {
		return nil, err
	}
	a := newAnswer(http.StatusOK).stamp(next).set("x-ms-request-server-encrypted", "false")
	if renewed != "" {
		a.set("x-ms-lease-renewed", renewed)
	}
	return a, nil
}

// commit joins the pending blocks up to a position, which must be a block's border; next is the file afterwards.
func (c *container) commit(q *request, n, next *node, position int64) *apiError {
	blocks, err := c.pending(n)
	if err != nil {
		return diskError(err)
	}
	for len(blocks) > 0 && blocks[0].position < n.Size { // a block that came twice, the second time too late
		c.dropBlock(n, blocks[0])
		blocks = blocks[1:]
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
	next.Size, next.ETag, next.Modified = position, c.etags.next(), q.now
	if err := c.content(q.path, n, next, blocks[:used]); err != nil {
		return diskError(err)
	}
	for i, b := range blocks {
		if i < used || q.query.Get("retainUncommittedData") != "true" {
			c.dropBlock(n, b)
		}
	}
	_ = c.root.Remove(c.pendingDir(n)) // only if it is empty
	return nil
}

func (c *container) dropBlock(n *node, b pendingBlock) {
	_ = c.root.Remove(path.Join(c.pendingDir(n), formatInt(b.position)))
}

// content adds blocks to a file and records its next state.
func (c *container) content(p string, n, next *node, blocks []pendingBlock) error {
	if len(blocks) == 0 {
		return c.put(p, next)
	}
	tmp, err := c.join(p, n, blocks)
	if err != nil {
		return err
	}
	return c.replace(tmp, p, next)
}
