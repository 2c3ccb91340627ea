package emulator

import (
	"encoding/xml"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lakeward/lakeward"
)

// maxSmallXML bounds the documents of tags, policies and service properties.
const maxSmallXML = 64 << 10

type tagSet struct {
	XMLName xml.Name `xml:"Tags"`
	Tags    []tag    `xml:"TagSet>Tag"`
}

type tag struct{ Key, Value string }

// setTags replaces the tags of a file.
func (c *container) setTags(q *request) (*answer, *apiError) {
	var doc tagSet
	if err := xml.NewDecoder(io.LimitReader(q.Body, maxSmallXML)).Decode(&doc); err != nil {
		return nil, refuse("InvalidXmlDocument")
	}
	tags := map[string]string{}
	legal := regexp.MustCompile(`^[A-Za-z0-9 +\-./:=_]*$`)
	for _, t := range doc.Tags {
		if t.Key == "" || len(t.Key) > 128 || len(t.Value) > 256 || !legal.MatchString(t.Key+t.Value) {
			return nil, refuse("InvalidTag")
		}
		tags[t.Key] = t.Value
	}
	if len(tags) > 10 || len(tags) != len(doc.Tags) {
		return nil, refuse("InvalidTag")
	}
	a, err := c.adjust(q, func(n *node) *apiError { n.Blob.Tags = tags; return nil })
	if err == nil {
		a.status = http.StatusNoContent
	}
	return a, err
}

func (c *container) getTags(q *request) (*answer, *apiError) {
	if err := c.rlock(); err != nil {
		return nil, err
	}
	defer c.mu.RUnlock()
	n, err := c.found(q.path, true)
	if err != nil {
		return nil, err
	}
	doc := tagSet{Tags: []tag{}}
	for _, k := range slices.Sorted(maps.Keys(n.Blob.Tags)) {
		doc.Tags = append(doc.Tags, tag{k, n.Blob.Tags[k]})
	}
	return newAnswer(http.StatusOK).xml(doc)
}

// archived is the tier whose files cannot be read.
const archived = "Archive"

// setTier notes the access tier of a file; an archived one cannot be read until it has another.
func (c *container) setTier(q *request) (*answer, *apiError) {
	tier := q.Header.Get("x-ms-access-tier")
	if !slices.Contains([]string{"Hot", "Cool", "Cold", archived}, tier) {
		return nil, refuse("InvalidHeaderValue")
	}
	thawed := false
	a, err := c.adjust(q, func(n *node) *apiError {
		thawed = n.Blob.Tier == archived && tier != archived
		n.Blob.Tier, n.Blob.TierAt = tier, q.now
		return nil
	})
	if thawed {
		a.status = http.StatusAccepted // the lake does at once what the service takes hours for
	}
	return a, err
}

// setExpiry says when a file is deleted by itself.
func (c *container) setExpiry(q *request) (*answer, *apiError) {
	a, err := c.adjust(q, func(n *node) *apiError {
		at, err := expiry(q.Header, n.Created, q.now)
		n.Expiry = at
		return err
	})
	return a, err
}

// expiry reads the headers that say when a file ends; the zero time is never.
func expiry(h http.Header, created, now time.Time) (time.Time, *apiError) {
	option, value := h.Get("x-ms-expiry-option"), h.Get("x-ms-expiry-time")
	ms, merr := strconv.ParseInt(value, 10, 64)
	if ms > maxExpiry {
		merr = strconv.ErrRange
	}
	at, terr := http.ParseTime(value)
	switch {
	case option == "" || strings.EqualFold(option, "NeverExpire"):
		return time.Time{}, nil
	case strings.EqualFold(option, "Absolute") && terr == nil && at.After(now):
		return at, nil
	case strings.EqualFold(option, "RelativeToNow") && merr == nil && ms > 0:
		return now.Add(time.Duration(ms) * time.Millisecond), nil
	case strings.EqualFold(option, "RelativeToCreation") && merr == nil && ms > 0 && created.Add(time.Duration(ms)*time.Millisecond).After(now):
		return created.Add(time.Duration(ms) * time.Millisecond), nil
	}
	return time.Time{}, refuse("InvalidHeaderValue")
}

// maxExpiry is a hundred years in milliseconds.
const maxExpiry = 100 * 366 * 24 * 3600 * 1000

// expires notes when the next file ends.
func (c *container) expires(at time.Time) {
	if at.IsZero() {
		return
	}
	if have := c.soonest.Load(); have == 0 || at.UnixNano() < have {
		c.soonest.Store(at.UnixNano())
	}
}

// adjust changes what is kept of a file without giving it a new ETag.
func (c *container) adjust(q *request, alter func(*node) *apiError) (*answer, *apiError) {
	if err := c.lock(); err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	n, err := c.target(q)
	if err != nil {
		return nil, err
	}
	if n.Dir && q.op == "set-expiry" {
		return nil, refuse("ExpiryNotSupportedForDirectory")
	}
	if n.Dir {
		return nil, refuse("ResourceTypeMismatch")
	}
	if id := q.Header.Get("x-ms-lease-id"); id != "" || q.op == "set-tags" {
		if err := n.checkLease(id, q.now); err != nil {
			return nil, err
		}
	}
	next := *n
	if err := alter(&next); err != nil {
		return nil, err
	}
	*n = next
	c.expires(n.Expiry)
	if err := c.put(q.path, n); err != nil {
		return nil, diskError(err)
	}
	return newAnswer(http.StatusOK).stamp(n), nil
}

// expire deletes the files whose time is over.
func (c *container) expire(now time.Time) {
	if at := c.soonest.Load(); at == 0 || now.UnixNano() < at || c.lock() != nil {
		return
	}
	defer c.mu.Unlock()
	c.soonest.Store(0)
	for p, n := range c.nodes {
		if n.Expiry.IsZero() || now.Before(n.Expiry) {
			c.expires(n.Expiry)
			continue
		}
		if err := c.root.Remove(c.file(p)); err == nil {
			_ = c.root.RemoveAll(c.pendingDir(n))
			delete(c.nodes, p)
			_ = c.record(line{Kind: "del", Path: p})
		}
	}
}

// signedPolicy is a stored access policy of a container: kept and told, since signatures that name one are not served.
type signedPolicy struct {
	ID     string       `xml:"Id" json:"id"`
	Policy accessPolicy `xml:"AccessPolicy" json:"policy"`
}

type accessPolicy struct {
	Start      string `xml:"Start,omitempty" json:"start,omitempty"`
	Expiry     string `xml:"Expiry,omitempty" json:"expiry,omitempty"`
	Permission string `xml:"Permission,omitempty" json:"permission,omitempty"`
}

type policies struct {
	XMLName xml.Name       `xml:"SignedIdentifiers"`
	List    []signedPolicy `xml:"SignedIdentifier"`
}

// maxPolicies is how many policies a container may have.
const maxPolicies = 5

// setPolicies replaces the policies of a container and what it says of public access, which is never granted.
func (c *container) setPolicies(q *request) (*answer, *apiError) {
	public := q.Header.Get("x-ms-blob-public-access")
	id := q.Header.Get("x-ms-lease-id")
	if !slices.Contains([]string{"", "blob", "container"}, public) || id != "" && !lakeward.IsID(strings.ToLower(id)) {
		return nil, refuse("InvalidHeaderValue")
	}
	var doc policies
	err := xml.NewDecoder(io.LimitReader(q.Body, maxSmallXML)).Decode(&doc)
	if err != nil && err != io.EOF { //nolint:errorlint // the decoder's own, for no body at all
		return nil, refuse("InvalidXmlDocument")
	}
	if len(doc.List) > maxPolicies {
		return nil, refuse("InvalidXmlDocument")
	}
	return c.change(q, func(n *node) { n.Blob.Public, n.Blob.Policies = public, doc.List })
}

func (c *container) getPolicies(q *request) (*answer, *apiError) {
	if err := c.rlock(); err != nil {
		return nil, err
	}
	defer c.mu.RUnlock()
	if id := q.Header.Get("x-ms-lease-id"); id != "" {
		if err := c.self.checkLease(id, q.now); err != nil {
			return nil, err
		}
	}
	a := newAnswer(http.StatusOK).stamp(&c.self)
	if c.self.Blob.Public != "" {
		a.set("x-ms-blob-public-access", c.self.Blob.Public)
	}
	if q.method() == http.MethodHead {
		return a, nil
	}
	return a.xml(policies{List: c.self.Blob.Policies})
}
