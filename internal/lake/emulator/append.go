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
