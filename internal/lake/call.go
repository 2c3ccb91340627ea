package lake

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/proof"
)

// call is one request, as often as it has to be sent.
type call struct {
	op     string
	method string
	path   string // in the container; "" is the container itself
	who    caller
	query  url.Values
	header http.Header
	body   []byte
	repeat bool                    // the same request again has the same effect
	want   int                     // status of success
	also   int                     // another one
	check  func(http.Header) error // finds damaged answers
	stream bool                    // the caller reads and closes the body
}

// caller says who calls whom, for the texts of errors.
type caller struct{ tenant, object, account, container string }

func (c *Client) caller() caller {
	who := caller{tenant: c.tenant, object: "<object id of the application>", account: c.location.Account, container: c.location.Container}
	if oid := c.tokens.claims().Oid; lakeward.IsID(oid) {
		who.object = oid
	}
	return who
}

// do sends a call until it is answered: refusals of load and dead connections are repeated, an unclear
// outcome only if the call allows it (DLV-70, DLV-71). The error is a *lakeward.Error.
func (c *Client) do(ctx context.Context, k call) (*http.Response, error) {
	b := c.retry.begin()
	refreshed, keys := false, 1
	for {
		if err := c.limit.acquire(ctx); err != nil {
			return nil, classify(k, nil, err)
		}
		key := c.key()
		res, err := c.try(ctx, k, key)
		c.limit.release(res != nil && (res.StatusCode == http.StatusServiceUnavailable || res.StatusCode == http.StatusTooManyRequests))
		if err == nil && (res.StatusCode == k.want || k.also != 0 && res.StatusCode == k.also) {
			return res, nil
		}
		k.who = c.caller()
		failure := classify(k, res, err)
		discard(res)
		if ctx.Err() != nil {
			return nil, failure
		}
		again := false
		switch v := judge(k, res, err); v {
		case refused:
			again = true
		case unclear:
			if !k.repeat {
				return nil, &unclearError{failure}
			}
			again = true
		case unauthorized:
			if !refreshed {
				refreshed = true
				c.tokens.drop()
				continue
			}
		case answered:
			if c.signer != nil && keys < len(c.signer.keys) && CodeIs(failure, "AuthenticationFailed") {
				c.signer.refused(key)
				keys++
				continue
			}
		}
		if !again || !b.wait(ctx, retryAfter(res)) {
			return nil, failure
		}
	}
}

// key is the number of the account key in use.
func (c *Client) key() int {
	if c.signer == nil {
		return 0
	}
	return int(c.signer.current.Load())
}

// try sends a call once, within the time of one try (DLV-72); key is the number of the account key that signs it.
func (c *Client) try(ctx context.Context, k call, key int) (*http.Response, error) {
	limit := c.retry.Try + time.Duration(len(k.body)/(256<<10))*time.Second
	tctx, cancel := context.WithTimeout(ctx, limit)
	if k.stream { // the limit is for the answer to begin; then it must not stall
		cancel()
		tctx, cancel = context.WithCancel(ctx)
		defer time.AfterFunc(limit, cancel).Stop()
	}
	req, err := c.request(tctx, k)
	if err == nil {
		err = c.authorize(tctx, req, key)
	}
	if err != nil {
		cancel()
		return nil, err
	}
	proof.Point()
	res, err := c.http.Do(req)
	proof.Point()
	if err != nil {
		cancel()
		return nil, err
	}
	if k.stream && (res.StatusCode == k.want || res.StatusCode == k.also) {
		res.Body = newStreamBody(res.Body, cancel)
		return res, nil
	}
	defer cancel()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxErrorBody))
	err = errors.Join(err, res.Body.Close())
	if err == nil && k.check != nil && res.StatusCode == k.want {
		err = k.check(res.Header)
	}
	if err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}

// request builds a call's request, all but its authorization.
func (c *Client) request(ctx context.Context, k call) (*http.Request, error) {
	u := url.URL{Scheme: "https", Host: c.location.Host(), Path: "/" + c.location.Container, RawQuery: k.query.Encode()}
	if k.path != "" {
		u.Path += "/" + k.path
		u.RawPath = "/" + c.location.Container + "/" + EncodePath(k.path)
	}
	req, err := http.NewRequestWithContext(ctx, k.method, u.String(), bytes.NewReader(k.body))
	if err != nil {
		return nil, err
	}
	req.ContentLength = int64(len(k.body))
	for name, values := range k.header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	req.Header.Set("x-ms-version", apiVersion)
	req.Header.Set("x-ms-client-request-id", lakeward.NewID())
	req.Header.Set("x-ms-date", time.Now().UTC().Format(http.TimeFormat))
	req.Header.Set("User-Agent", c.agent)
	return req, nil
}

// authorize adds the token, or the signature under one of the account's keys.
func (c *Client) authorize(ctx context.Context, req *http.Request, key int) error {
	if c.signer != nil {
		c.signer.sign(req, key)
		return nil
	}
	token, err := c.tokens.get(ctx)
	if err != nil {
		return &tokenError{err, c.location.Authority(), c.signIn}
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return nil
}

// maxErrorBody bounds what is read of an answer that is not data (C8c); a page of a listing is data.
const maxErrorBody = 64 << 10

// stallAfter is how long a stream may bring nothing before it is given up (DLV-72).
const stallAfter = 30 * time.Second

// streamBody is a body without a limit on its whole time: it ends when nothing arrives for a while.
type streamBody struct {
	io.ReadCloser
	cancel context.CancelFunc
	stall  *time.Timer
}

func newStreamBody(body io.ReadCloser, cancel context.CancelFunc) *streamBody {
	return &streamBody{body, cancel, time.AfterFunc(stallAfter, cancel)}
}

// Read waits for bytes as long as a stream may stall; the time of the caller between two reads does not count.
func (b *streamBody) Read(p []byte) (int, error) {
	b.stall.Reset(stallAfter)
	n, err := b.ReadCloser.Read(p)
	b.stall.Stop()
	return n, err
}

func (b *streamBody) Close() error {
	defer b.cancel()
	b.stall.Stop()
	return b.ReadCloser.Close()
}

func discard(res *http.Response) {
	if res != nil && res.Body != nil {
		_ = res.Body.Close()
	}
}

// verdict is what an outcome means for sending the call again.
type verdict int

const (
	answered     verdict = iota // a clear answer
	refused                     // nothing happened; the same request again is safe
	unclear                     // it may or may not have happened
	unauthorized                // the token was refused
)

func judge(k call, res *http.Response, err error) verdict {
	if err != nil {
		if _, ok := errors.AsType[*tokenError](err); ok {
			if retryableToken(err) {
				return refused
			}
			return answered
		}
		switch dialFailure(err) {
		case dialFatal:
			return answered
		case dialTemporary:
			return refused
		}
		return unclear
	}
	switch res.StatusCode {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return refused
	case http.StatusUnauthorized:
		return unauthorized
	case http.StatusRequestTimeout, http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout:
		return unclear
	}
	if code := res.Header.Get("x-ms-error-code"); code == "Crc64Mismatch" || code == "Md5Mismatch" {
		return refused // the bytes were damaged on the way (ADL-76)
	}
	if res.StatusCode < 300 && res.StatusCode != k.want {
		return unclear // a damaged answer
	}
	return answered
}
