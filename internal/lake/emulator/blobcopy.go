package emulator

import (
	"net/http"
	"net/url"
	"path"

	"github.com/lakeward/lakeward"
)

// copyBlob copies a file within the lake; it is done when it is answered (ADL-115).
func (s *Server) copyBlob(q *request) (*answer, *apiError) {
	dst := s.container(q.account, q.container)
	if dst == nil {
		return nil, refuse("FilesystemNotFound")
	}
	source, src, err := s.copySource(q)
	if err != nil {
		return nil, err
	}
	tmp := path.Join(tempDir, lakeward.NewID())
	defer dst.dropTemp(tmp)
	from, err := src.copyOut(q, source, tmp)
	if err != nil {
		return nil, err
	}
	if err := dst.lock(); err != nil {
		return nil, err
	}
	defer dst.mu.Unlock()
	n := dst.newBlob(q, from.Size)
	n.Content = from.Content
	if n.Properties == "" {
		n.Properties = from.Properties
	}
	n.Blob.Blocks, n.Blob.CopyID, n.Blob.CopyFrom, n.Blob.CopiedAt = from.Blob.Blocks, lakeward.NewID(), q.Header.Get("x-ms-copy-source"), q.now
	if err := dst.commitBlob(q, tmp, n); err != nil {
		return nil, err
	}
	return newAnswer(http.StatusAccepted).stamp(n).set("x-ms-copy-id", n.Blob.CopyID, "x-ms-copy-status", "success"), nil
}

// copySource finds the source of a copy, which must lie in this lake and be open to the client.
func (s *Server) copySource(q *request) (*request, *container, *apiError) {
	u, err := url.Parse(q.Header.Get("x-ms-copy-source"))
	if err != nil || u.Host == "" {
		return nil, nil, refuse("InvalidHeaderValue")
	}
	source := parseRequest(&http.Request{Method: http.MethodGet, Host: u.Host, URL: u, Header: http.Header{"Authorization": q.Header["Authorization"]}})
	source.op = "read"
	if source.bad != "" || s.account(source.account) == nil {
		return nil, nil, refuse("CannotVerifyCopySource")
	}
	if claims, err := s.tokens.verify(bearer(q.Header), s.tenantOf(source.account), s.now()); err == nil {
		if role := s.role(claims.App, source); role != contributor && role != owns && role != reader {
			return nil, nil, refuse("CannotVerifyCopySource")
		}
	} else if bearer(q.Header) != "" || source.account != q.account { // a key opens its own account only
		return nil, nil, refuse("CannotVerifyCopySource")
	}
	c := s.container(source.account, source.container)
	if c == nil {
		return nil, nil, refuse("CannotVerifyCopySource")
	}
	return source, c, nil
}

// copyOut copies a file to tmp and returns its node as it was.
func (c *container) copyOut(q, source *request, tmp string) (node, *apiError) {
	if err := c.rlock(); err != nil {
		return node{}, err
	}
	defer c.mu.RUnlock()
	n := c.nodes[source.path]
	switch {
	case n == nil:
		return node{}, refuse("CannotVerifyCopySource")
	case n.Dir:
		return node{}, refuse("ResourceTypeMismatch")
	case n.Blob.Tier == archived:
		return node{}, refuse("BlobArchived")
	}
	if err := conditions(q.Header, "x-ms-source-", n); err != nil {
		return node{}, err
	}
	if err := c.root.MkdirAll(tempDir, 0o700); err != nil {
		return node{}, diskError(err)
	}
	if err := c.assemble(tmp, []part{{c.file(source.path), 0, n.Size}}); err != nil {
		return node{}, diskError(err)
	}
	return *n.clone(), nil
}
