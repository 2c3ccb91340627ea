// Package lake is the client of Azure Data Lake Storage Gen2: the DFS REST interface over azcore
// and azidentity, the dfs host only. The built-in emulator is reached by the same code.
//
// It moves bytes and classifies errors; what a delivery does with them is decided in internal/deliver.
// The one thing to know: a call whose effect is not safe to repeat returns an unclear error instead of
// trying again, see Unclear.
package lake

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lakeward/lakeward"
)

// apiVersion is the x-ms-version of every request (ADL-30).
const apiVersion = "2023-11-03"

// Config says which account to talk to, as whom, and how to reach it.
type Config struct {
	Location  lakeward.Location
	SignIn    lakeward.SignIn // "" is a client secret
	Tenant    string
	ClientID  string
	Keys      []lakeward.Secret   // the second one is for the time of a rotation
	TokenFile string              // of a workload identity
	Endpoints map[string]Endpoint // hosts at fixed addresses, such as those of the emulator (ADL-134)
	Network   Network
	Version   string // of the program, for the user agent
	Retry     Retry
	Block     int // size of the first blocks of an upload in bytes; 0 means 8 MiB
}

// Client talks to one container. It is safe for concurrent use.
type Client struct {
	location lakeward.Location
	http     *http.Client
	tokens   *tokens
	signer   *signer // instead of tokens, for an account key
	signIn   lakeward.SignIn
	tenant   string
	agent    string
	retry    Retry
	limit    *limiter
	block    int
	buffers  sync.Pool // of blocks, for the next upload
}

// New returns a client. It dials nothing.
func New(cfg Config) (*Client, error) {
	transport, err := newTransport(cfg)
	if err != nil {
		return nil, err
	}
	hc := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	c := &Client{location: cfg.Location, http: hc, agent: "lakeward/" + cfg.Version, retry: cfg.Retry.withDefaults(), limit: newLimiter(maxInFlight), block: cmp.Or(cfg.Block, firstBlock)}
	c.signIn, c.tenant, c.tokens = cfg.SignIn, cfg.Tenant, newTokens(cfg, hc)
	if cfg.SignIn == lakeward.AccountKey {
		c.signer = &signer{account: cfg.Location.Account}
		for _, k := range cfg.Keys {
			b, err := base64.StdEncoding.DecodeString(k.Reveal())
			if err != nil || len(b) == 0 {
				return nil, failure(lakeward.Invalid, "CONN-1304", "the account key is not one")
			}
			c.signer.keys = append(c.signer.keys, b)
		}
	}
	return c, nil
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Container is the name of the container.
func (c *Client) Container() string { return c.location.Container }

// Object is a file or folder, as HEAD or a listing shows it.
type Object struct {
	Path       string
	Size       int64
	ETag       string // without quotes
	Modified   time.Time
	IsDir      bool
	Properties map[string]string // x-ms-properties, decoded; nil in listings
}

// Filesystem is the state of a container.
type Filesystem struct {
	Hierarchical bool          // false: no rename, see DLV-100
	Skew         time.Duration // the server's clock less ours (ADL-34)
}

// Filesystem reads the state of the container (ADL-41, DLV-70b).
func (c *Client) Filesystem(ctx context.Context) (Filesystem, error) {
	res, err := c.do(ctx, call{op: "HEAD filesystem", method: http.MethodHead, query: url.Values{"resource": {"filesystem"}}, repeat: true, want: http.StatusOK})
	if err != nil {
		return Filesystem{}, err
	}
	fs := Filesystem{Hierarchical: res.Header.Get("x-ms-namespace-enabled") != "false"}
	if t, err := http.ParseTime(res.Header.Get("Date")); err == nil {
		fs.Skew = time.Until(t).Truncate(time.Second)
	}
	return fs, nil
}

// CreateFilesystem makes the container (ADL-41).
func (c *Client) CreateFilesystem(ctx context.Context) error {
	_, err := c.do(ctx, call{op: "create filesystem", method: http.MethodPut, query: url.Values{"resource": {"filesystem"}}, repeat: true, want: http.StatusCreated})
	return err
}

// Create makes an empty file that must not exist yet, with properties (ADL-61, DLV-70d).
func (c *Client) Create(ctx context.Context, path string, properties map[string]string) error {
	_, err := c.Replace(ctx, path, properties, "")
	return err
}

// Replace makes an empty file with properties in the place of the one with an etag; with "" there must be
// none. It returns the etag of the new file.
func (c *Client) Replace(ctx context.Context, path string, properties map[string]string, etag string) (string, error) {
	h := http.Header{"If-None-Match": {"*"}}
	if etag != "" {
		h = http.Header{"If-Match": {quoteETag(etag)}}
	}
	if len(properties) > 0 {
		h.Set("x-ms-properties", encodeProperties(properties))
	}
	res, err := c.do(ctx, call{op: "create", method: http.MethodPut, path: path, query: url.Values{"resource": {"file"}}, header: h, want: http.StatusCreated})
	if err != nil {
		return "", err
	}
	return strings.Trim(res.Header.Get("ETag"), `"`), nil
}

// MakeFolder makes a folder and its parents; one that exists is fine (DLV-70c).
func (c *Client) MakeFolder(ctx context.Context, path string) error {
	_, err := c.do(ctx, call{op: "create folder", method: http.MethodPut, path: path, query: url.Values{"resource": {"directory"}},
		header: http.Header{"If-None-Match": {"*"}}, repeat: true, want: http.StatusCreated})
	if !Taken(err) && !CodeIs(err, "AuthorizationPermissionMismatch") {
		return err
	}
	// A file may be in the way; and who has rights in a folder only may not make what is there already.
	o, serr := c.Status(ctx, path)
	if serr == nil && o.IsDir {
		return nil
	}
	return err
}

// Append sends bytes to a position of a file; they become part of it by Flush (ADL-44, DLV-70e).
func (c *Client) Append(ctx context.Context, path string, position int64, data []byte) error {
	h := http.Header{"x-ms-content-crc64": {checksum(data)}, "Content-Type": {"application/octet-stream"}}
	_, err := c.do(ctx, call{op: "append", method: http.MethodPatch, path: path, header: h, body: data, repeat: true, want: http.StatusAccepted,
		query: url.Values{"action": {"append"}, "position": {strconv.FormatInt(position, 10)}}})
	return err
}

// Flush makes the first length bytes the content of the file, if its etag is the given one or that is ""
// (ADL-45, DLV-70f).
func (c *Client) Flush(ctx context.Context, path string, length int64, etag string) error {
	h := http.Header{}
	if etag != "" {
		h.Set("If-Match", quoteETag(etag))
	}
	_, err := c.do(ctx, call{op: "flush", method: http.MethodPatch, path: path, header: h, want: http.StatusOK,
		query: url.Values{"action": {"flush"}, "position": {strconv.FormatInt(length, 10)}, "close": {"true"}}})
	return err
}

// Status reads the state of a path (ADL-48, DLV-70g).
func (c *Client) Status(ctx context.Context, path string) (Object, error) {
	res, err := c.do(ctx, call{op: "HEAD", method: http.MethodHead, path: path, repeat: true, want: http.StatusOK, check: checkObject})
	if err != nil {
		return Object{}, err
	}
	return objectOf(path, res.Header)
}

// checkObject finds answers that lack what a status must have: they are damaged and asked for again.
func checkObject(h http.Header) error {
	_, err := objectOf("", h)
	return err
}

func objectOf(path string, h http.Header) (Object, error) {
	size, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	if err != nil {
		return Object{}, fmt.Errorf("no usable Content-Length")
	}
	o := Object{Path: path, Size: size, ETag: strings.Trim(h.Get("ETag"), `"`), IsDir: h.Get("x-ms-resource-type") == "directory"}
	if o.ETag == "" {
		return Object{}, fmt.Errorf("no ETag")
	}
	o.Modified, _ = http.ParseTime(h.Get("Last-Modified"))
	o.Properties, err = decodeProperties(h.Get("x-ms-properties"))
	return o, err
}

// RenameCondition is what must hold for a rename.
type RenameCondition struct {
	SourceETag string // of the source; "" for any
	TargetETag string // of the target, which is replaced; "" when the target must not exist
}

// Rename moves a file in one step (ADL-46). An unclear outcome is the caller's to resolve (DLV-70h, DLV-70j).
func (c *Client) Rename(ctx context.Context, from, to string, cond RenameCondition) error {
	h := http.Header{"x-ms-rename-source": {"/" + c.location.Container + "/" + EncodePath(from)}}
	if cond.SourceETag != "" {
		h.Set("x-ms-source-if-match", quoteETag(cond.SourceETag))
	}
	if cond.TargetETag != "" {
		h.Set("If-Match", quoteETag(cond.TargetETag))
	} else {
		h.Set("If-None-Match", "*")
	}
	_, err := c.do(ctx, call{op: "rename", method: http.MethodPut, path: to, query: url.Values{"mode": {"legacy"}}, header: h, want: http.StatusCreated})
	return err
}

// DeleteExactly removes the file with an etag; what is not there is fine.
func (c *Client) DeleteExactly(ctx context.Context, path, etag string) error {
	_, err := c.do(ctx, call{op: "delete", method: http.MethodDelete, path: path, query: url.Values{"recursive": {"false"}}, header: http.Header{"If-Match": {quoteETag(etag)}}, repeat: true, want: http.StatusOK})
	if CodeIs(err, "PathNotFound") {
		return nil
	}
	return err
}

// Delete removes a file or, with recursive, a folder and all below it; what is not there is fine (DLV-70l).
func (c *Client) Delete(ctx context.Context, path string, recursive bool) error {
	q := url.Values{"recursive": {strconv.FormatBool(recursive)}}
	for {
		res, err := c.do(ctx, call{op: "delete", method: http.MethodDelete, path: path, query: q, repeat: true, want: http.StatusOK})
		if CodeIs(err, "PathNotFound") {
			return nil
		}
		if err != nil {
			return err
		}
		next := res.Header.Get("x-ms-continuation")
		if next == "" {
			return nil
		}
		q.Set("continuation", next)
	}
}

// EncodePath percent-encodes a path segment by segment: everything but letters, digits and - . _ ~ (ADL-11).
func EncodePath(path string) string {
	const hexDigits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(path) {
		c := path[i]
		if c == '/' || c == '-' || c == '.' || c == '_' || c == '~' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hexDigits[c>>4])
		b.WriteByte(hexDigits[c&15])
	}
	return b.String()
}

func quoteETag(etag string) string { return `"` + etag + `"` }

// encodeProperties is the value of x-ms-properties, keys sorted (ADL-32).
func encodeProperties(p map[string]string) string {
	parts := make([]string, 0, len(p))
	for _, k := range slices.Sorted(maps.Keys(p)) {
		parts = append(parts, k+"="+base64.StdEncoding.EncodeToString([]byte(p[k])))
	}
	return strings.Join(parts, ",")
}

func decodeProperties(s string) (map[string]string, error) {
	if s == "" {
		return nil, nil
	}
	out := map[string]string{}
	for part := range strings.SplitSeq(s, ",") {
		k, v, ok := strings.Cut(strings.TrimSpace(part), "=")
		b, err := base64.StdEncoding.DecodeString(v)
		if !ok || err != nil {
			return nil, fmt.Errorf("unreadable x-ms-properties")
		}
		out[k] = string(b)
	}
	return out, nil
}
