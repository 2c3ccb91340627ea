package emulator

import (
	"path"
	"strings"
)

// need is a right on a path: r, w and x together.
type need struct{ path, rights string }

// allowed reports whether access control lists alone let a client do what it asks for, as they do for one
// without a role: x on every folder above, and rights on the path or its folder (ADL-91).
func (s *Server) allowed(oid string, q *request) bool {
	c := s.container(q.account, q.container)
	if c == nil || c.flat {
		return false
	}
	needs, ok := needsOf(q)
	if !ok {
		return false
	}
	return c.grants(oid, append(needs, c.furtherNeeds(q)...))
}

// furtherNeeds are rights on what is there already: w on a file that is overwritten, rwx on every folder that
// goes with a folder.
func (c *container) furtherNeeds(q *request) []need {
	c.mu.RLock()
	defer c.mu.RUnlock()
	n := c.nodes[q.path]
	switch {
	case n == nil:
	case !n.Dir && (q.op == "create" || q.op == "put-blob" || q.op == "put-blocks"):
		return []need{{q.path, "w"}}
	case n.Dir && q.op == "delete" && q.query.Get("recursive") == "true":
		all := []need{{q.path, "rwx"}}
		for p, below := range c.nodes {
			if below.Dir && strings.HasPrefix(p, q.path+"/") {
				all = append(all, need{p, "rwx"})
			}
		}
		return all
	}
	return nil
}

// needsOf are the rights that an operation needs; false for one that no list can allow.
func needsOf(q *request) ([]need, bool) {
	parent := path.Dir(q.path)
	switch q.op {
	case "create", "create-dir", "delete", "rename", "put-blob", "put-blocks":
		return []need{{parent, "wx"}}, true
	case "append", "flush", "set-properties", "set-metadata", "set-content", "put-block":
		return []need{{q.path, "w"}}, true
	case "read":
		return []need{{q.path, "r"}}, true
	case "head", "get-acl", "check-access":
		return []need{{parent, "x"}}, q.path != ""
	case "list":
		dir := strings.Trim(q.query.Get("directory"), "/")
		return []need{{dir, "rx"}}, dir != ""
	}
	return nil, false
}

// grants reports whether an object id has all of the rights, and x on every folder above them.
func (c *container) grants(oid string, needs []need) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, n := range needs {
		p := n.path
		if p == "." {
			p = ""
		}
		if c.nodes[p] == nil && p != "" { // what is not there yet is decided above it
			for p != "" && c.nodes[p] == nil {
				if p = path.Dir(p); p == "." {
					p = ""
				}
			}
			n.rights = strings.ReplaceAll(n.rights, "r", "")
		}
		if !c.grant(oid, p, n.rights) {
			return false
		}
		for p != "" {
			if p = path.Dir(p); p == "." {
				p = ""
			}
			if !c.grant(oid, p, "x") {
				return false
			}
		}
	}
	return true
}

// grant looks one path's list up as POSIX says: the owner, else a named user within the mask, else other.
func (c *container) grant(oid, p, rights string) bool {
	n := c.nodes[p]
	if p == "" {
		n = &c.self
	}
	if n == nil {
		return false
	}
	has, mask := "", "rwx"
	for _, e := range n.acl() {
		switch {
		case e.Default:
		case e.Type == "mask":
			mask = e.Perms
		case e.Type == "other" && has == "":
			has = e.Perms
		}
	}
	for _, e := range n.acl() {
		switch {
		case e.Default || e.Type != "user":
		case e.ID == "" && n.Owner == oid:
			has = e.Perms
		case e.ID == oid && e.ID != "" && n.Owner != oid:
			has = within(e.Perms, mask)
		}
	}
	for _, r := range rights {
		if !strings.ContainsRune(has, r) {
			return false
		}
	}
	return true
}

// within is what a mask leaves of permissions.
func within(perms, mask string) string {
	var out []rune
	for _, r := range perms {
		if strings.ContainsRune(mask, r) {
			out = append(out, r)
		}
	}
	return string(out)
}
