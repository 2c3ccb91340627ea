package emulator

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
)

// This file is a container's log: what the lake knows beside the bytes, one JSON line for each change. The tree
// wins over it; what a kill left half done is finished or undone by looking at the tree (ADL-104).

// line is one entry of a container's log. Kinds: put, del, intent and move of a rename, write of new
// content that lies ready in the file To, arrive and arrived around the puts of what comes from the path To of
// another container, container.
type line struct {
	Kind string `json:"kind"`
	Path string `json:"path,omitempty"`
	To   string `json:"to,omitempty"`
	Node *node  `json:"node,omitempty"`
}

func (c *container) replay() error {
	f, err := c.root.Open(c.logName())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	var open *line // a rename whose end is not in the log
	var arriving []line
	r := bufio.NewReader(f)
	for {
		text, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			break // a line without its end was being written when the process died
		}
		if err != nil {
			return err
		}
		var l line
		if err := json.Unmarshal(text, &l); err != nil {
			return err
		}
		switch {
		case l.Kind == "intent", l.Kind == "write", l.Kind == "arrive":
			open = &l
		case open != nil && open.Kind == "arrive" && l.Kind != "arrived":
			arriving = append(arriving, l)
		case l.Kind == "arrived":
			c.apply(arriving...)
			open, arriving = nil, nil
		default:
			c.apply(l)
			open = nil
		}
	}
	if open != nil {
		c.resume(*open, arriving)
	}
	return nil
}

// apply repeats lines of the log in the index.
func (c *container) apply(lines ...line) {
	for _, l := range lines {
		switch l.Kind {
		case "put":
			c.nodes[l.Path] = l.Node
		case "del":
			c.forget(l.Path)
		case "move":
			c.moved(l.Path, l.To)
		case "container":
			c.self = *l.Node
		}
	}
}

// resume finishes what the process died in: the tree says whether the rename of the file was done.
func (c *container) resume(open line, arriving []line) {
	before := open.To
	if open.Kind == "intent" {
		before = c.file(open.Path)
	}
	if _, err := c.root.Lstat(before); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	switch open.Kind {
	case "write":
		c.nodes[open.Path] = open.Node
	case "arrive":
		c.apply(arriving...)
	default:
		c.moved(open.Path, open.To)
	}
}

// compact writes the log anew, one line for each node, and opens it for appending.
func (c *container) compact() error {
	tmp := c.logName() + ".tmp"
	f, err := c.root.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	enc := json.NewEncoder(w)
	err = enc.Encode(line{Kind: "container", Node: &c.self})
	for p, n := range c.nodes {
		err = errors.Join(err, enc.Encode(line{Kind: "put", Path: p, Node: n}))
	}
	if err = errors.Join(err, w.Flush(), f.Close()); err != nil {
		return err
	}
	if err := c.root.Rename(tmp, c.logName()); err != nil {
		return err
	}
	if c.log, err = c.root.OpenFile(c.logName(), os.O_WRONLY|os.O_APPEND, 0o600); err != nil {
		return err
	}
	info, err := c.log.Stat()
	if err == nil {
		c.logged = info.Size()
	}
	return err
}

// record appends lines to the log in one write.
func (c *container) record(lines ...line) error {
	var b []byte
	for _, l := range lines {
		text, err := json.Marshal(l)
		if err != nil {
			return err
		}
		b = append(append(b, text...), '\n')
	}
	n, err := c.log.Write(b)
	if err != nil && n > 0 { // half a line would hide all that follows it
		err = errors.Join(err, c.log.Truncate(c.logged))
		return err
	}
	c.logged += int64(n)
	return err
}

// put stores a node in the index and the log.
func (c *container) put(p string, n *node) error {
	if p == "" {
		c.self = *n
		return c.record(line{Kind: "container", Node: n})
	}
	c.nodes[p] = n
	return c.record(line{Kind: "put", Path: p, Node: n})
}
