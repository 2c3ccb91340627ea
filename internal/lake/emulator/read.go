package emulator

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// head answers with the state of a path (ADL-48).
func (c *container) head(q *request) (*answer, *apiError) {
	c.refresh(q.path)
	if err := c.rlock(); err != nil {
		return nil, err
	}
	defer c.mu.RUnlock()
	_, a, err := c.state(q, false)
	return a, err
}

// state is a path and the answer that describes it, if the conditions of the request hold.
func (c *container) state(q *request, needFile bool) (*node, *answer, *apiError) {
	n, err := c.found(q.path, needFile)
	if err != nil {
		return nil, nil, err
	}
	if err := readConditions(q.Header, n); err != nil {
		return nil, nil, err
	}
	a := statusAnswer(n)
	if q.blob {
		err = a.asBlob(q, n)
	}
	return n, a, err
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
		"x-ms-resource-type", kind, "x-ms-owner", owner(n.Owner), "x-ms-group", owner(n.Group), "x-ms-permissions", n.permissions(),
		"x-ms-content-crc64", "AAAAAAAAAAA=", "x-ms-server-encrypted", "true", "x-ms-creation-time", n.Created.Format(http.TimeFormat))
	if n.Properties != "" {
		a.set("x-ms-properties", n.Properties)
	}
	if !n.Expiry.IsZero() {
		a.set("x-ms-expiry-time", n.Expiry.UTC().Format(http.TimeFormat))
	}
	a.leased(n.Lease, time.Now())
	for k, v := range n.Content {
		a.set(k, v)
	}
	return a
}

// read sends the content of a file or a range of it (ADL-47).
func (c *container) read(q *request) (*answer, *apiError) {
	c.refresh(q.path)
	if err := c.rlock(); err != nil {
		return nil, err
	}
	defer c.mu.RUnlock()
	n, a, err := c.state(q, true)
	if err != nil {
		return nil, err
	}
	if n.Blob.Tier == archived {
		return nil, refuse("BlobArchived")
	}
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
	if err := a.sumRange(q, last-first+1); err != nil {
		_ = f.Close()
		return nil, err
	}
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
