package emulator

import (
	"net/http"
	"strconv"
	"time"

	"github.com/lakeward/lakeward"
)

// lease is the right of one client to write a path. It is kept in the log, so that it outlives the lake's process.
type lease struct {
	ID       string    `json:"id"`
	Duration int       `json:"duration"` // seconds, -1 for no end
	Until    time.Time `json:"until,omitzero"`
	Breaking time.Time `json:"breaking,omitzero"` // when a broken lease ends
}

// state is available, leased, breaking, broken or expired.
func (l *lease) state(now time.Time) string {
	switch {
	case l == nil:
		return "available"
	case !l.Breaking.IsZero() && now.Before(l.Breaking):
		return "breaking"
	case !l.Breaking.IsZero():
		return "broken"
	case l.Duration == -1 || now.Before(l.Until):
		return "leased"
	}
	return "expired"
}

// active reports whether writes need the lease.
func (l *lease) active(now time.Time) bool {
	s := l.state(now)
	return s == "leased" || s == "breaking"
}

// leased adds the headers that tell the state of a lease.
func (a *answer) leased(l *lease, now time.Time) {
	a.set("x-ms-lease-status", "unlocked", "x-ms-lease-state", l.state(now))
	if !l.active(now) {
		return
	}
	a.set("x-ms-lease-status", "locked")
	switch {
	case l.state(now) != "leased":
	case l.Duration == -1:
		a.set("x-ms-lease-duration", "infinite")
	default:
		a.set("x-ms-lease-duration", "fixed")
	}
}

// checkLease refuses a write without the lease that a path has, or with one that it has not.
func (n *node) checkLease(id string, now time.Time) *apiError {
	active := n != nil && n.Lease.active(now)
	switch {
	case active && id == "":
		return refuse("LeaseIdMissing")
	case active && id != n.Lease.ID:
		return refuse("LeaseIdMismatch")
	case !active && id != "":
		return refuse("LeaseNotPresent")
	}
	return nil
}

// take gives the path a lease.
func (n *node) take(h http.Header, now time.Time) *apiError {
	d, err := strconv.Atoi(h.Get("x-ms-lease-duration"))
	if err != nil || d != -1 && (d < 15 || d > 60) {
		return refuse("InvalidHeaderValue")
	}
	id := h.Get("x-ms-proposed-lease-id")
	switch s := n.Lease.state(now); {
	case s == "breaking" && n.Lease.ID == id:
		return refuse("LeaseIsBreakingAndCannotBeAcquired")
	case n.Lease.active(now) && n.Lease.ID != id:
		return refuse("LeaseAlreadyPresent")
	}
	if id == "" {
		id = lakeward.NewID()
	}
	n.Lease = &lease{ID: id, Duration: d, Until: now.Add(time.Duration(d) * time.Second)}
	return nil
}

// leaseAction is what an append or flush does with the lease beside its work; it returns headers of the answer.
func (n *node) leaseAction(h http.Header, now time.Time) (renewed string, err *apiError) {
	action := h.Get("x-ms-lease-action")
	if action == "acquire" || action == "acquire-release" {
		return "", n.take(h, now)
	}
	if err := n.checkLease(h.Get("x-ms-lease-id"), now); err != nil {
		return "", err
	}
	if action == "auto-renew" && n.Lease != nil {
		n.Lease.Until = now.Add(time.Duration(n.Lease.Duration) * time.Second)
		return "true", nil
	}
	return "", nil
}

// endLease releases the lease after the work of an append that asks for it.
func (n *node) endLease(h http.Header) {
	if action := h.Get("x-ms-lease-action"); action == "release" || action == "acquire-release" {
		n.Lease = nil
	}
}

// leaseRequest is the lease operation of a path, or of a container on the blob host (ADL-51).
func (c *container) leaseRequest(q *request) (*answer, *apiError) {
	if err := c.lock(); err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	n, err := c.target(q)
	if err != nil {
		return nil, err
	}
	n = n.clone() // what is refused changes nothing
	status, left := http.StatusOK, ""
	switch action := q.Header.Get("x-ms-lease-action"); action {
	case "acquire":
		err, status = n.take(q.Header, q.now), http.StatusCreated
	case "renew", "change", "release":
		err = n.useLease(action, q.Header, q.now)
	case "break":
		left, err = n.breakLease(q.Header, q.now)
		status = http.StatusAccepted
	default:
		err = refuse("InvalidHeaderValue")
	}
	if err != nil {
		return nil, err
	}
	if err := c.put(q.path, n); err != nil {
		return nil, diskError(err)
	}
	a := newAnswer(status).stamp(n)
	switch {
	case left != "":
		a.set("x-ms-lease-time", left)
	case n.Lease != nil:
		a.set("x-ms-lease-id", n.Lease.ID)
	}
	return a, nil
}

// useLease renews, changes or releases a lease that the client holds.
func (n *node) useLease(action string, h http.Header, now time.Time) *apiError {
	state := n.Lease.state(now)
	given, proposed := h.Get("x-ms-lease-id"), h.Get("x-ms-proposed-lease-id")
	switch {
	case n.Lease == nil || action == "change" && (state == "expired" || state == "broken"):
		return refuse("LeaseNotPresentWithLeaseOperation")
	case n.Lease.ID != given && (action != "change" || n.Lease.ID != proposed):
		return refuse("LeaseIdMismatchWithLeaseOperation")
	case action == "renew" && (state == "breaking" || state == "broken"):
		return refuse("LeaseIsBrokenAndCannotBeRenewed")
	case action == "change" && state == "breaking":
		return refuse("LeaseIsBreakingAndCannotBeChanged")
	case action == "change" && proposed == "":
		return refuse("InvalidHeaderValue")
	case action == "renew":
		n.Lease.Until = now.Add(time.Duration(n.Lease.Duration) * time.Second)
	case action == "change":
		n.Lease.ID = proposed
	default:
		n.Lease = nil
	}
	return nil
}

// breakLease lets a lease run out, at most in the time that is asked for; it returns the seconds that are left.
func (n *node) breakLease(h http.Header, now time.Time) (string, *apiError) {
	if n.Lease == nil {
		return "", refuse("LeaseNotPresentWithLeaseOperation")
	}
	left := time.Duration(0)
	switch n.Lease.state(now) {
	case "breaking":
		left = n.Lease.Breaking.Sub(now)
	case "leased":
		if n.Lease.Duration != -1 {
			left = n.Lease.Until.Sub(now)
		}
	}
	if v := h.Get("x-ms-lease-break-period"); v != "" {
		asked, err := strconv.Atoi(v)
		if err != nil || asked < 0 || asked > 60 {
			return "", refuse("InvalidHeaderValue")
		}
		period := time.Duration(asked) * time.Second
		if n.Lease.Duration == -1 && n.Lease.Breaking.IsZero() || period < left {
			left = period
		}
	}
	if n.Lease.Breaking.IsZero() || now.Add(left).Before(n.Lease.Breaking) {
		n.Lease.Breaking = now.Add(left)
	}
	return strconv.Itoa(int(left / time.Second)), nil
}

func sameLease(a, b *lease) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}
