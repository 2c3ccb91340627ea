package emulator

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/minio/crc64nvme"
)

// blobOperation is the operation of a request to the blob host; "" if it is not served (ADL-115).
func (q *request) blobOperation() string {
	what := strings.TrimSpace(q.method() + " " + q.query.Get("comp"))
	switch restype := q.query.Get("restype"); {
	case restype == "account" && q.query.Get("comp") == "properties" && q.method() != http.MethodPut:
		return "account"
	case q.path != "":
		return map[string]string{"HEAD": "head", "GET": "read", "DELETE": "delete", "HEAD metadata": "head", "GET metadata": "head",
			"PUT lease": "lease", "PUT metadata": "set-metadata", "PUT properties": "set-content", "PUT": "put-blob", "PUT block": "put-block",
			"PUT blocklist": "put-blocks", "GET blocklist": "get-blocks", "PUT tags": "set-tags", "GET tags": "get-tags", "PUT expiry": "set-expiry", "PUT tier": "set-tier"}[what]
	case q.container == "":
		return map[string]string{"GET list": "blob-containers", "GET properties": "get-service", "PUT properties": "set-service"}[what]
	case restype == "container":
		return map[string]string{"PUT": "fs-create", "DELETE": "fs-delete", "HEAD": "fs-head", "GET": "fs-head",
			"PUT lease": "lease", "PUT metadata": "set-metadata", "GET metadata": "fs-head", "HEAD metadata": "fs-head", "GET list": "blob-list",
			"GET acl": "get-policies", "HEAD acl": "get-policies", "PUT acl": "set-policies"}[what]
	}
	return ""
}

// blobState is what only the blob interface tells of a path or container.
type blobState struct {
	Written  bool              `json:"written,omitempty"` // the content came by the blob interface
	Blocks   []blockRef        `json:"blocks,omitempty"`  // committed blocks, in order
	Tags     map[string]string `json:"tags,omitempty"`
	Tier     string            `json:"tier,omitempty"`
	TierAt   time.Time         `json:"tierAt,omitzero"`
	CopyID   string            `json:"copyId,omitempty"`
	CopyFrom string            `json:"copyFrom,omitempty"`
	CopiedAt time.Time         `json:"copiedAt,omitzero"`
	Public   string            `json:"public,omitempty"`   // of a container: "", blob or container; told, never granted
	Policies []signedPolicy    `json:"policies,omitempty"` // of a container
}

// metadata is what dfs shows as properties, by key.
func (n *node) metadata() map[string]string {
	out := map[string]string{}
	for _, p := range strings.Split(n.Properties, ",") {
		name, encoded, ok := strings.Cut(p, "=")
		if value, err := base64.StdEncoding.DecodeString(encoded); ok && err == nil {
			out[strings.TrimSpace(name)] = string(value)
		}
	}
	return out
}

// asContainer turns the state of a path or container into the headers that the blob interface has for it.
func (a *answer) asContainer(n *node, now time.Time) {
	a.header.Del("X-Ms-Properties")
	a.header.Del("X-Ms-Content-Crc64")
	for name, value := range n.metadata() {
		a.header["x-ms-meta-"+strings.ToLower(name)] = []string{value} // never canonicalised: clients take the name as it comes (ADL-53a)
	}
	a.leased(n.Lease, now)
}

// asBlob completes the answer to a HEAD or GET of a path on the blob host.
func (a *answer) asBlob(q *request, n *node) *apiError {
	if id := q.Header.Get("x-ms-lease-id"); id != "" {
		if err := n.checkLease(id, q.now); err != nil {
			return err
		}
	}
	a.asContainer(n, q.now)
	a.set("x-ms-blob-type", "BlockBlob")
	if n.Dir {
		a.header["x-ms-meta-hdi_isfolder"] = []string{"true"}
	}
	if n.Blob.Tier != "" {
		a.set("x-ms-access-tier", n.Blob.Tier, "x-ms-access-tier-change-time", n.Blob.TierAt.Format(http.TimeFormat))
	} else if q.method() == http.MethodHead {
		a.set("x-ms-access-tier", "Hot", "x-ms-access-tier-inferred", "true")
	}
	if len(n.Blob.Tags) > 0 {
		a.set("x-ms-tag-count", strconv.Itoa(len(n.Blob.Tags)))
	}
	if n.Blob.CopyID != "" {
		a.set("x-ms-copy-id", n.Blob.CopyID, "x-ms-copy-source", n.Blob.CopyFrom, "x-ms-copy-status", "success",
			"x-ms-copy-progress", formatInt(n.Size)+"/"+formatInt(n.Size), "x-ms-copy-completion-time", n.Blob.CopiedAt.Format(http.TimeFormat))
	}
	return nil
}

// maxSummed is the longest range whose checksum a read answers with.
const maxSummed = 4 << 20

// sumRange adds the checksum of a range that the request asks for.
func (a *answer) sumRange(q *request, size int64) *apiError {
	wantMD5, wantCRC := q.Header.Get("x-ms-range-get-content-md5") == "true", q.Header.Get("x-ms-range-get-content-crc64") == "true"
	s, ok := a.stream.(*section)
	switch {
	case !wantMD5 && !wantCRC || !ok:
		return nil
	case wantMD5 && wantCRC:
		return refuse("BothCrc64AndMd5RangeHeaderPresent")
	case size > maxSummed:
		return refuse("InvalidHeaderValue")
	}
	b := make([]byte, size)
	if _, err := s.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return diskError(err)
	}
	if wantMD5 {
		sum := md5.Sum(b)
		a.set("Content-MD5", base64.StdEncoding.EncodeToString(sum[:]))
		return nil
	}
	var sum [8]byte
	binary.LittleEndian.PutUint64(sum[:], crc64nvme.Checksum(b))
	a.set("x-ms-content-crc64", base64.StdEncoding.EncodeToString(sum[:]))
	return nil
}

// setMetadata replaces the metadata of a path or container; dfs shows it as properties.
func (c *container) setMetadata(q *request) (*answer, *apiError) {
	return c.change(q, func(n *node) { n.Properties = sentMetadata(q.Header) })
}

// sentMetadata are the x-ms-meta headers in the form of x-ms-properties.
func sentMetadata(h http.Header) string {
	var pairs []string
	for name, v := range h {
		if key, ok := strings.CutPrefix(strings.ToLower(name), "x-ms-meta-"); ok && key != "hdi_isfolder" {
			pairs = append(pairs, key+"="+base64.StdEncoding.EncodeToString([]byte(v[0])))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, ",")
}

// setContent replaces the content headers of a file: one that is not sent is cleared.
func (c *container) setContent(q *request) (*answer, *apiError) {
	return c.change(q, func(n *node) { n.Content = blobContent(q.Header) })
}

// blobContent are the content headers that a request to the blob interface sets.
func blobContent(h http.Header) map[string]string {
	sent := http.Header{}
	for name, v := range h {
		if key, ok := strings.CutPrefix(strings.ToLower(name), "x-ms-blob-"); ok {
			sent.Set("x-ms-"+key, v[0])
		}
	}
	return contentHeaders(sent)
}

// change alters what is kept of a path or container, gives it a new ETag and records it.
func (c *container) change(q *request, alter func(*node)) (*answer, *apiError) {
	if err := c.lock(); err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	n, err := c.target(q)
	if err != nil {
		return nil, err
	}
	id := q.Header.Get("x-ms-lease-id")
	if err := n.checkLease(id, q.now); err != nil && (q.path != "" || id != "") {
		return nil, err
	}
	alter(n)
	n.ETag, n.Modified = c.etags.next(), q.now
	if q.path == "" {
		if err := c.record(line{Kind: "container", Node: n}); err != nil {
			return nil, diskError(err)
		}
		return newAnswer(http.StatusOK).stamp(n), nil
	}
	if err := c.put(q.path, n); err != nil {
		return nil, diskError(err)
	}
	a := newAnswer(http.StatusOK).stamp(n)
	if q.blob && q.op == "set-metadata" {
		a.set("x-ms-request-server-encrypted", "true")
	}
	return a, nil
}
