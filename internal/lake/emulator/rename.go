package emulator

import (
	"errors"
	"net/http"
	"net/url"
	"path"
	"strings"
)

// rename moves a file or a folder in one step, also from another container of the account (ADL-46).
func (c *container) rename(q *request) (*answer, *apiError) {
	source, from, err := c.renameSource(q.Header.Get("x-ms-rename-source"))
	if err != nil {
		return nil, err
	}
	if c.flat {
		return nil, refuse("EndpointUnsupportedAccountFeatures")
	}
	defer lockBoth(c, source)()
	if c.deleted || source.deleted {
		return nil, refuse("FilesystemNotFound")
	}
	c.look(q.path)
	source.look(from)
	src, dst := source.nodes[from], c.nodes[q.path]
	if src == nil {
		return nil, refuse("SourcePathNotFound")
	}
	if err := conditions(q.Header, "x-ms-source-", src); err != nil {
		return nil, err
	}
	if dst != nil && q.Header.Get("If-None-Match") == "*" {
		return nil, refuse("PathAlreadyExists")
	}
	if err := conditions(q.Header, "", dst); err != nil {
		return nil, err
	}
	if err := src.checkLease(q.Header.Get("x-ms-source-lease-id"), q.now); err != nil {
		return nil, err
	}
	if err := dst.checkLease(q.Header.Get("x-ms-lease-id"), q.now); err != nil {
		return nil, err
	}
	if err := c.checkRename(source, from, q.path, src, dst); err != nil {
		return nil, err
	}
	if source != c || from != q.path {
		if err := c.move(source, from, q.path); err != nil {
			return nil, diskError(err)
		}
	}
	if v := q.Header.Get("x-ms-properties"); v != "" {
		src.Properties = v
		if err := c.put(q.path, src); err != nil {
			return nil, diskError(err)
		}
	}
	return newAnswer(http.StatusCreated).stamp(src), nil
}

// lockBoth locks one or two containers, always in the same order, and returns what unlocks them.
func lockBoth(a, b *container) func() {
	if a == b {
		a.mu.Lock()
		return a.mu.Unlock
	}
	if b.name < a.name {
		a, b = b, a
	}
	a.mu.Lock()
	b.mu.Lock()
	return func() {
		b.mu.Unlock()
		a.mu.Unlock()
	}
}

// renameSource finds the container and the path of a rename's source; it arrives raw or encoded.
func (c *container) renameSource(header string) (*container, string, *apiError) {
	text, _, _ := strings.Cut(header, "?")
	p, err := url.PathUnescape(text)
	if err != nil {
		return nil, "", refuse("InvalidSourceUri")
	}
	name, rest, _ := strings.Cut(strings.TrimPrefix(p, "/"), "/")
	source := c
	if name != c.name {
		source = c.sibling(name)
	}
	rest = strings.Trim(rest, "/")
	if source == nil || rest == "" {
		return nil, "", refuse("InvalidSourceUri")
	}
	return source, rest, c.checkName(rest)
}

func (c *container) checkRename(source *container, from, to string, src, dst *node) *apiError {
	if source == c && (to == from || strings.HasPrefix(to, from+"/")) {
		if to == from && !src.Dir {
			return nil
		}
		return refuse("InvalidRenameSourcePath")
	}
	if parent := path.Dir(to); parent != "." {
		switch n := c.nodes[parent]; {
		case n == nil:
			return refuse("RenameDestinationParentPathNotFound")
		case !n.Dir:
			return refuse("PathConflict")
		}
	}
	if dst == nil {
		return nil
	}
	if src.Dir != dst.Dir {
		return refuse("InvalidSourceOrDestinationResourceType")
	}
	if dst.Dir && !c.empty(to) {
		return refuse("PathAlreadyExists")
	}
	return nil
}

// move renames in the tree between lines of the log, so that either end of it is found after a kill.
func (c *container) move(source *container, from, to string) error {
	lines := []line{{Kind: "intent", Path: from, To: to}}
	if source != c {
		lines = c.arrival(source, from, to)
	}
	if err := c.record(lines...); err != nil {
		return err
	}
	if dst := c.nodes[to]; dst != nil && dst.Dir { // empty; os.Rename does not replace folders
		if err := c.root.Remove(c.file(to)); err != nil {
			return errors.Join(err, c.undo(source, from, to))
		}
	}
	if err := c.root.Rename(source.file(from), c.file(to)); err != nil {
		return errors.Join(err, c.undo(source, from, to))
	}
	var err error
	if source == c {
		c.moved(from, to)
		err = c.record(line{Kind: "move", Path: from, To: to})
	} else {
		c.adopt(source, from, to)
		err = errors.Join(c.record(line{Kind: "arrived"}), source.record(line{Kind: "del", Path: from}))
	}
	return errors.Join(err, c.sync(path.Dir(c.file(to))), c.sync(path.Dir(source.file(from))))
}

// undo closes the intent of a rename that failed: the log says again what is there.
func (c *container) undo(source *container, from, to string) error {
	if source == c {
		return c.record(line{Kind: "put", Path: from, Node: c.nodes[from]})
	}
	lines := []line{{Kind: "arrived"}, {Kind: "del", Path: to}}
	for q, n := range c.nodes {
		if q == to || strings.HasPrefix(q, to+"/") {
			lines = append(lines, line{Kind: "put", Path: q, Node: n})
		}
	}
	return c.record(lines...)
}

// arrival are the lines of what a move brings from another container; they count once the source is gone.
func (c *container) arrival(source *container, from, to string) []line {
	lines := []line{{Kind: "arrive", Path: to, To: source.file(from)}, {Kind: "del", Path: to}}
	for q, n := range source.nodes {
		if q == from || strings.HasPrefix(q, from+"/") {
			lines = append(lines, line{Kind: "put", Path: to + strings.TrimPrefix(q, from), Node: n})
		}
	}
	return lines
}

// adopt takes over the nodes of a path that was moved in from another container.
func (c *container) adopt(source *container, from, to string) {
	c.forget(to)
	for q, n := range source.nodes {
		if q == from || strings.HasPrefix(q, from+"/") {
			c.nodes[to+strings.TrimPrefix(q, from)] = n
		}
	}
	source.forget(from)
}
