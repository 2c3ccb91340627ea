package emulator

import (
	"net/http"
	"strconv"
	"time"

	"github.com/lakeward/lakeward"
)

// lease is the right of one client to write a path. Leases are kept in memory: they end with the lake.
type lease struct {
	id       string
	duration int // seconds, -1 for no end
	until    time.Time
}

func (l *lease) active(now time.Time) bool {
	return l != nil && (l.duration == -1 || now.Before(l.until))
}

// checkLease refuses a write without the lease that a path has, or with one that it has not.
func (n *node) checkLease(id string, now time.Time) *apiError {
	active := n != nil && n.lease.active(now)
	switch {
	case active && id == "":
		return refuse("LeaseIdMissing")
	case active && id != n.lease.id:
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
	if n.lease.active(now) && n.lease.id != id {
		return refuse("LeaseAlreadyPresent")
	}
	if id == "" {
		id = lakeward.NewID()
	}
	n.lease = &lease{id, d, now.Add(time.Duration(d) * time.Second)}
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
	if action == "auto-renew" && n.lease != nil {
		n.lease.until = now.Add(time.Duration(n.lease.duration) * time.Second)
		return "true", nil
	}
	return "", nil
}

// endLease releases the lease after the work of an append that asks for it.
func (n *node) endLease(h http.Header) {
	if action := h.Get("x-ms-lease-action"); action == "release" || action == "acquire-release" {
		n.lease = nil
	}
}

// leaseRequest is the lease operation of a path, or of a container on the blob host (ADL-51).
func (c *container) leaseRequest(q *request) (*answer, *apiError) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, err := c.target(q)
	if err != nil {
		return nil, err
	}
	id, action := q.Header.Get("x-ms-lease-id"), q.Header.Get("x-ms-lease-action")
	status := http.StatusOK
	switch action {
	case "acquire":
		err, status = n.take(q.Header, q.now), http.StatusCreated
	case "renew", "change", "release":
		switch {
		case n.lease == nil || action != "renew" && !n.lease.active(q.now):
			err = refuse("LeaseNotPresentWithLeaseOperation")
		case n.lease.id != id:
			err = refuse("LeaseIdMismatchWithLeaseOperation")
		case action == "renew":
			n.lease.until = q.now.Add(time.Duration(n.lease.duration) * time.Second)
		case action == "change":
			n.lease.id = q.Header.Get("x-ms-proposed-lease-id")
		default:
			n.lease = nil
		}
	case "break":
		if !n.lease.active(q.now) {
			err = refuse("LeaseNotPresentWithLeaseOperation")
		}
		n.lease, status = nil, http.StatusAccepted // at once, where the service lets a lease run out
	default:
		err = refuse("InvalidHeaderValue")
	}
	if err != nil {
		return nil, err
	}
	a := newAnswer(status).stamp(n)
	if n.lease != nil {
		a.set("x-ms-lease-id", n.lease.id)
	}
	if action == "break" {
		a.set("x-ms-lease-time", "0")
	}
	return a, nil
}
