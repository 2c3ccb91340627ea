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
	n, renewed, err := c.appendable(q, position)
	if err != nil {
		return nil, err
	}
	if _, err := c.receive(q, c.pendingDir(n), formatInt(position)); err != nil {
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
			n.keep("Content-Type", v)
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
	if n.Blob.Written {
		return nil, "", refuse("InvalidAppendOperation")
	}
	if position < n.Size {
		return nil, "", refuse("InvalidFlushPosition")
	}
	renewed, err := n.leaseAction(q.Header, q.now)
	return n, renewed, err
}

// sums are the checksums of a body that was received.
type sums struct {
	size  int64
	md5   []byte // nil unless the request names one or came by the blob interface
	crc64 string
}

// receive stores the body of a request as dir/name and checks it against the checksums that the request names.
func (c *container) receive(q *request, dir, name string) (sums, *apiError) {
	if err := c.root.MkdirAll(dir, 0o700); err != nil {
		return sums{}, diskError(err)
	}
	tmp := path.Join(dir, "t"+lakeward.NewID())
	got, bad, err := c.store(q, tmp)
	if err == nil && bad == "" {
		err = c.root.Rename(tmp, path.Join(dir, name))
	}
	if err != nil || bad != "" {
		_ = c.root.Remove(tmp)
	}
	switch {
	case bad != "":
		return got, refuse(bad)
	case err != nil:
		return got, diskError(err)
	}
	return got, nil
}

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
	got.size, err = io.CopyBuffer(w, io.LimitReader(q.Body, maxAppend), make([]byte, 256<<10))
	err = errors.Join(err, f.Close())
	if sum != nil {
		got.md5 = sum.Sum(nil)
	}
	if crc != nil {
		got.crc64 = littleEndian(crc)
	}
	switch {
	case err != nil:
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
	c.mu.Lock()
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
	renewed, err := n.leaseAction(q.Header, q.now)
	if err != nil {
		return nil, err
	}
	for k, v := range contentHeaders(q.Header) {
		n.keep(k, v)
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
	next := *n
	next.Size, next.ETag, next.Modified = position, c.etags.next(), q.now
	if err := c.content(q.path, n, &next, blocks[:used]); err != nil {
		return diskError(err)
	}
	*n = next
	c.nodes[q.path] = n
	for i, b := range blocks {
		if i < used || q.query.Get("retainUncommittedData") != "true" {
			_ = c.root.Remove(path.Join(c.pendingDir(n), strconv.FormatInt(b.position, 10)))
		}
	}
	_ = c.root.Remove(c.pendingDir(n)) // only if it is empty
	return nil
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
