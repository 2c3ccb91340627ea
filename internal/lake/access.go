package lake

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/lakeward/lakeward"
)

// Access is who may do what with a path (ADL-48): POSIX rights, and the entries of its list.
type Access struct {
	Owner, Group string
	Permissions  string // "rwxr-x---", with a + when the list has further entries
	ACL          string // "user::rwx,group::r-x,other::---"
}

// Access reads the rights of a path.
func (c *Client) Access(ctx context.Context, path string) (Access, error) {
	res, err := c.do(ctx, call{op: "read the rights of", method: http.MethodHead, path: path, query: url.Values{"action": {"getAccessControl"}}, repeat: true, want: http.StatusOK})
	if err != nil {
		return Access{}, err
	}
	h := res.Header
	return Access{Owner: h.Get("x-ms-owner"), Group: h.Get("x-ms-group"), Permissions: h.Get("x-ms-permissions"), ACL: h.Get("x-ms-acl")}, nil
}

// SetAccess replaces the rights of a path: the fields that are not empty. ACL and Permissions exclude each other (ADL-49).
func (c *Client) SetAccess(ctx context.Context, path string, a Access) error {
	h := http.Header{}
	for name, value := range map[string]string{"x-ms-owner": a.Owner, "x-ms-group": a.Group, "x-ms-permissions": a.Permissions, "x-ms-acl": a.ACL} {
		if value != "" {
			h.Set(name, value)
		}
	}
	_, err := c.do(ctx, call{op: "set the rights of", method: http.MethodPatch, path: path, query: url.Values{"action": {"setAccessControl"}}, header: h, repeat: true, want: http.StatusOK})
	return err
}

// AccessMode says what a recursive change does with the entries it is given.
type AccessMode string

// The modes of SetAccessBelow.
const (
	AccessSet    AccessMode = "set"
	AccessModify AccessMode = "modify"
	AccessRemove AccessMode = "remove"
)

// AccessChanges counts what a recursive change did.
type AccessChanges struct {
	Folders  int `json:"directoriesSuccessful"`
	Files    int `json:"filesSuccessful"`
	Failures int `json:"failureCount"`
}

// SetAccessBelow changes the list of a folder and of all below it, page by page (ADL-49).
func (c *Client) SetAccessBelow(ctx context.Context, path string, mode AccessMode, acl string) (AccessChanges, error) {
	var sum AccessChanges
	q := url.Values{"action": {"setAccessControlRecursive"}, "mode": {string(mode)}}
	for {
		res, err := c.do(ctx, call{op: "set the rights below", method: http.MethodPatch, path: path, query: q, header: http.Header{"X-Ms-Acl": {acl}}, repeat: true, want: http.StatusOK})
		if err != nil {
			return sum, err
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			return sum, classifyTransport(err)
		}
		var page AccessChanges
		if json.Unmarshal(body, &page) != nil {
			return sum, failure(lakeward.Unavailable, "CONN-2103", "unexpected answer from the storage")
		}
		sum.Folders, sum.Files, sum.Failures = sum.Folders+page.Folders, sum.Files+page.Files, sum.Failures+page.Failures
		next := res.Header.Get("x-ms-continuation")
		if next == "" {
			return sum, nil
		}
		q.Set("continuation", next)
	}
}

// A lease keeps others from writing a path. Deliveries take none: their correctness rests on conditions
// (DLV-02). These calls are for tools.

// AcquireLease takes a lease for 15 to 60 seconds, or without an end for a negative duration (ADL-51).
// The caller draws the id, so that a repeated request is the same lease.
func (c *Client) AcquireLease(ctx context.Context, path, id string, d time.Duration) error {
	seconds := -1
	if d >= 0 {
		seconds = int(d / time.Second)
	}
	return c.lease(ctx, path, "acquire", http.StatusCreated, http.Header{"X-Ms-Proposed-Lease-Id": {id}, "X-Ms-Lease-Duration": {strconv.Itoa(seconds)}})
}

// RenewLease starts the time of a lease anew.
func (c *Client) RenewLease(ctx context.Context, path, id string) error {
	return c.lease(ctx, path, "renew", http.StatusOK, http.Header{"X-Ms-Lease-Id": {id}})
}

// ChangeLease gives a lease another id.
func (c *Client) ChangeLease(ctx context.Context, path, id, to string) error {
	return c.lease(ctx, path, "change", http.StatusOK, http.Header{"X-Ms-Lease-Id": {id}, "X-Ms-Proposed-Lease-Id": {to}})
}

// ReleaseLease ends a lease.
func (c *Client) ReleaseLease(ctx context.Context, path, id string) error {
	return c.lease(ctx, path, "release", http.StatusOK, http.Header{"X-Ms-Lease-Id": {id}})
}

// BreakLease ends somebody's lease at once.
func (c *Client) BreakLease(ctx context.Context, path string) error {
	return c.lease(ctx, path, "break", http.StatusAccepted, http.Header{"X-Ms-Lease-Break-Period": {"0"}})
}

func (c *Client) lease(ctx context.Context, path, action string, want int, h http.Header) error {
	h.Set("x-ms-lease-action", action)
	_, err := c.do(ctx, call{op: action + " a lease of", method: http.MethodPost, path: path, header: h, repeat: true, want: want})
	return err
}
