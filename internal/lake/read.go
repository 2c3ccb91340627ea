package lake

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/lakeward/lakeward"
)

// Read opens length bytes of a file from an offset, to its end for a negative length (ADL-47). A stream that
// breaks is opened again where it broke, as long as the file is the same. The object tells the size of the
// whole file. The caller closes the stream.
func (c *Client) Read(ctx context.Context, path string, offset, length int64) (io.ReadCloser, Object, error) {
	if offset < 0 {
		return nil, Object{}, failure(lakeward.Internal, lakeward.FailInternal, "read at a negative offset")
	}
	if length == 0 {
		o, err := c.Status(ctx, path)
		return io.NopCloser(strings.NewReader("")), o, err
	}
	r := &reader{client: c, ctx: ctx, path: path, at: offset, end: -1, retry: c.retry.begin()}
	if length >= 0 {
		r.end = offset + length
	}
	err := r.open()
	if CodeIs(err, "InvalidRange") { // behind the end there is nothing
		return c.Read(ctx, path, offset, 0)
	}
	if err != nil {
		return nil, Object{}, err
	}
	if r.end < 0 || r.end > r.object.Size {
		r.end = r.object.Size
	}
	return r, r.object, nil
}

type reader struct {
	client  *Client
	ctx     context.Context
	path    string
	at, end int64 // end is -1 until the size is known
	object  Object
	body    io.ReadCloser
	retry   *backoff
}

func (r *reader) open() error {
	h := http.Header{}
	k := call{op: "read", method: http.MethodGet, path: r.path, header: h, repeat: true, want: http.StatusOK, stream: true}
	if r.at > 0 || r.end >= 0 {
		k.want = http.StatusPartialContent
		text := "bytes=" + strconv.FormatInt(r.at, 10) + "-"
		if r.end >= 0 {
			text += strconv.FormatInt(r.end-1, 10)
		}
		h.Set("Range", text)
	}
	if r.object.ETag != "" {
		h.Set("If-Match", quoteETag(r.object.ETag))
	}
	res, err := r.client.do(r.ctx, k)
	if err != nil {
		return err
	}
	o, err := objectOf(r.path, res.Header)
	if err == nil && res.StatusCode == http.StatusPartialContent {
		o.Size, err = wholeSize(res.Header.Get("Content-Range"), r.at)
	}
	if err != nil {
		_ = res.Body.Close()
		return failure(lakeward.Unavailable, "CONN-2103", "unexpected answer from the storage")
	}
	if r.object.ETag == "" {
		r.object = o
	}
	r.body = res.Body
	return nil
}

// wholeSize reads the size of the file out of "bytes 5-9/100", which must begin at the offset that was asked for.
func wholeSize(header string, at int64) (int64, error) {
	span, total, ok := strings.Cut(strings.TrimPrefix(header, "bytes "), "/")
	first, _, dash := strings.Cut(span, "-")
	n, err := strconv.ParseInt(total, 10, 64)
	if !ok || !dash || err != nil || n < 0 || first != strconv.FormatInt(at, 10) {
		return 0, fmt.Errorf("unusable Content-Range")
	}
	return n, nil
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	r.at += int64(n)
	if n > 0 {
		r.retry = r.client.retry.begin() // progress is never cut
	}
	if err == nil || n > 0 || r.ctx.Err() != nil {
		if err == io.EOF && r.at >= r.end || err == nil || r.ctx.Err() != nil {
			return n, err
		}
		return n, nil // the next call finds the end or opens again
	}
	if r.at >= r.end {
		return 0, io.EOF
	}
	_ = r.body.Close()
	if !r.retry.wait(r.ctx, 0) {
		return 0, classifyTransport(fmt.Errorf("read %s at %d: %w", r.path, r.at, err))
	}
	if err := r.open(); err != nil {
		return 0, err
	}
	return 0, nil
}

func (r *reader) Close() error { return r.body.Close() }

// maxPage bounds one page of a listing: 5,000 entries with long names.
const maxPage = 16 << 20

// listPage is a page of a listing; all its values are strings (ADL-42).
type listPage struct {
	Paths []struct {
		Name          string `json:"name"`
		IsDirectory   string `json:"isDirectory"`
		ContentLength string `json:"contentLength"`
		ETag          string `json:"etag"`
		LastModified  string `json:"lastModified"`
	} `json:"paths"`
}

// List yields what lies in a folder, or below it with recursive, page by page (ADL-42).
func (c *Client) List(ctx context.Context, folder string, recursive bool) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		q := url.Values{"resource": {"filesystem"}, "recursive": {strconv.FormatBool(recursive)}, "maxResults": {"5000"}}
		if folder != "" {
			q.Set("directory", folder)
		}
		for {
			objects, next, err := c.page(ctx, q)
			if err != nil {
				yield(Object{}, err)
				return
			}
			for _, o := range objects {
				if !yield(o, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			q.Set("continuation", next)
		}
	}
}

func (c *Client) page(ctx context.Context, q url.Values) ([]Object, string, error) {
	res, err := c.do(ctx, call{op: "list", method: http.MethodGet, query: q, repeat: true, want: http.StatusOK, stream: true})
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxPage))
	if err != nil {
		return nil, "", classifyTransport(err)
	}
	objects, err := parsePage(body)
	return objects, res.Header.Get("x-ms-continuation"), err
}

func parsePage(body []byte) ([]Object, error) {
	var page listPage
	if err := json.Unmarshal(body, &page); err != nil {
		return nil, failure(lakeward.Unavailable, "CONN-2103", "unexpected answer from the storage")
	}
	var out []Object
	for _, p := range page.Paths {
		o := Object{Path: p.Name, ETag: strings.Trim(p.ETag, `"`), IsDir: p.IsDirectory == "true"}
		if p.ContentLength != "" {
			size, err := strconv.ParseInt(p.ContentLength, 10, 64)
			if err != nil || size < 0 {
				return nil, failure(lakeward.Unavailable, "CONN-2103", "unexpected answer from the storage")
			}
			o.Size = size
		}
		o.Modified, _ = time.Parse(http.TimeFormat, p.LastModified)
		out = append(out, o)
	}
	return out, nil
}
