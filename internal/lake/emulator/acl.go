package emulator

import (
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// superuser owns what nobody in particular made.
const superuser = "$superuser"

// aclEntry is one entry of an access control list: [default:]type:id:rwx.
type aclEntry struct {
	Default bool   `json:"default,omitempty"`
	Type    string `json:"type"`
	ID      string `json:"id,omitempty"`
	Perms   string `json:"perms"`
}

func (e aclEntry) same(o aclEntry) bool {
	return e.Default == o.Default && e.Type == o.Type && e.ID == o.ID
}

func (e aclEntry) String() string {
	s := e.Type + ":" + e.ID + ":" + e.Perms
	if e.Default {
		s = "default:" + s
	}
	return s
}

// parseACL reads a list; entries to remove may leave their permissions out.
func parseACL(text string, remove bool) ([]aclEntry, *apiError) {
	var out []aclEntry
	for part := range strings.SplitSeq(text, ",") {
		e := aclEntry{}
		part, e.Default = strings.CutPrefix(part, "default:")
		fields := strings.Split(part, ":")
		e.Type = fields[0]
		if len(fields) > 1 {
			e.ID = fields[1]
		}
		if len(fields) > 2 {
			e.Perms = fields[2]
		}
		known := slices.Contains([]string{"user", "group", "mask", "other"}, e.Type)
		if !known || len(fields) > 3 || !remove && (len(fields) != 3 || !regexp.MustCompile(`^[r-][w-][x-]$`).MatchString(e.Perms)) {
			return nil, refuse("InvaldAccessControlList") // the service spells it so
		}
		out = append(out, e)
	}
	return out, nil
}

// basicACL is the list that a permission string stands for.
func basicACL(perms string) []aclEntry {
	return []aclEntry{{Type: "user", Perms: perms[0:3]}, {Type: "group", Perms: perms[3:6]}, {Type: "other", Perms: strings.NewReplacer("t", "x", "T", "-").Replace(perms[6:9])}}
}

// acl returns the list of a node.
func (n *node) acl() []aclEntry {
	if len(n.ACL) > 0 {
		return n.ACL
	}
	return basicACL(n.Perms)
}

// withMask adds the mask that a list with named entries needs and has not: all that these and the group may do.
func withMask(list []aclEntry, defaults bool) []aclEntry {
	mask, named, at := []byte("---"), false, len(list)
	for i, e := range list {
		switch {
		case e.Default != defaults:
			continue
		case e.Type == "mask":
			return list
		case e.Type == "other":
			at = i
			continue
		case e.Type == "user" && e.ID == "":
			continue
		}
		named = named || e.ID != ""
		for j := range min(len(e.Perms), len(mask)) {
			if e.Perms[j] != '-' {
				mask[j] = e.Perms[j]
			}
		}
	}
	if !named {
		return list
	}
	return slices.Insert(slices.Clone(list), at, aclEntry{Default: defaults, Type: "mask", Perms: string(mask)})
}

// setList gives a node a list and the permission string that follows from it.
func (n *node) setList(list []aclEntry) {
	list = withMask(withMask(list, false), true)
	get := func(typ string) string {
		for _, e := range list {
			if !e.Default && e.Type == typ && e.ID == "" {
				return e.Perms
			}
		}
		return "---"
	}
	group := get("group")
	if mask := get("mask"); mask != "---" {
		group = mask
	}
	n.ACL, n.Perms = list, get("user")+group+get("other")
}

// permissions is the permission string as answers show it: + stands for an extended list.
func (n *node) permissions() string {
	if len(n.ACL) > 3 {
		return n.Perms + "+"
	}
	return n.Perms
}

func (n *node) aclText() string {
	var parts []string
	for _, e := range n.acl() {
		parts = append(parts, e.String())
	}
	return strings.Join(parts, ",")
}

// parsePermissions reads octal or symbolic permissions.
func parsePermissions(text string) (string, *apiError) {
	if regexp.MustCompile(`^[r-][w-][x-][r-][w-][x-][r-][w-][xtT-]\+?$`).MatchString(text) {
		return strings.TrimSuffix(text, "+"), nil
	}
	n, err := strconv.ParseUint(text, 8, 12)
	if err != nil {
		return "", refuse("InvalidPermission")
	}
	const letters = "rwxrwxrwx"
	out := []byte("---------")
	for i := range out {
		if n>>(8-i)&1 != 0 {
			out[i] = letters[i]
		}
	}
	if n&0o1000 != 0 {
		out[8] = map[byte]byte{'x': 't', '-': 'T'}[out[8]]
	}
	return string(out), nil
}

// createdPerms are the permissions of a new path: asked for, less the umask, or inherited from the default
// list of its folder (ADL-43).
func (c *container) createdPerms(q *request, n *node) *apiError {
	n.Perms, n.Owner, n.Group = defaultPerms(n.Dir), owner(q.oid), superuser
	n.inherit(c.parent(q.path))
	if v := q.Header.Get("x-ms-permissions"); v != "" {
		perms, err := parsePermissions(v)
		if err != nil {
			return err
		}
		mask := uint64(0o027)
		if u := q.Header.Get("x-ms-umask"); u != "" {
			var perr error
			if mask, perr = strconv.ParseUint(u, 8, 12); perr != nil {
				return refuse("InvalidHeaderValue")
			}
		}
		b := []byte(perms)
		for i := range b {
			if mask>>(8-i)&1 != 0 {
				b[i] = '-'
			}
		}
		n.Perms, n.ACL = string(b), nil
	}
	if v := q.Header.Get("x-ms-acl"); v != "" {
		list, err := parseACL(v, false)
		if err != nil {
			return err
		}
		n.setList(list)
	}
	return nil
}

// inherit takes over the default entries of a folder: as access entries, and for a folder as default ones too.
func (n *node) inherit(parent *node) {
	var list []aclEntry
	for _, e := range parent.ACL {
		if e.Default {
			access := e
			access.Default = false
			list = append(list, access)
			if n.Dir {
				list = append(list, e)
			}
		}
	}
	if len(list) > 0 {
		n.setList(list)
	}
}

// getACL answers with owner, group, permissions and list (ADL-48).
func (c *container) getACL(q *request) (*answer, *apiError) {
	if err := c.rlock(); err != nil {
		return nil, err
	}
	defer c.mu.RUnlock()
	n, err := c.target(q)
	if err != nil {
		return nil, err
	}
	return newAnswer(http.StatusOK).stamp(n).set("x-ms-owner", owner(n.Owner), "x-ms-group", owner(n.Group), "x-ms-permissions", n.permissions(), "x-ms-acl", n.aclText()), nil
}

func owner(s string) string {
	if s == "" {
		return superuser
	}
	return s
}

// checkAccess answers whether the caller may do something; who was let in by role may (ADL-48).
func (c *container) checkAccess(q *request) (*answer, *apiError) {
	if err := c.rlock(); err != nil {
		return nil, err
	}
	defer c.mu.RUnlock()
	if _, err := c.found(q.path, false); err != nil {
		return nil, err
	}
	return newAnswer(http.StatusOK), nil
}

// setACL changes owner, group, permissions or list; neither ETag nor Last-Modified change (ADL-49).
func (c *container) setACL(q *request) (*answer, *apiError) {
	if err := c.lock(); err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	n, err := c.writable(q)
	if err != nil {
		return nil, err
	}
	var list []aclEntry // read before anything changes
	acl, perms := q.Header.Get("x-ms-acl"), q.Header.Get("x-ms-permissions")
	if acl != "" {
		if list, err = parseACL(acl, false); err != nil {
			return nil, err
		}
	}
	if perms != "" {
		if perms, err = parsePermissions(perms); err != nil {
			return nil, err
		}
		n.Perms, n.ACL = perms, nil
	}
	if acl != "" {
		n.setList(list)
	}
	if v := q.Header.Get("x-ms-owner"); v != "" {
		n.Owner = v
	}
	if v := q.Header.Get("x-ms-group"); v != "" {
		n.Group = v
	}
	if err := c.put(q.path, n); err != nil {
		return nil, diskError(err)
	}
	return newAnswer(http.StatusOK).stamp(n).set("x-ms-namespace-enabled", "true"), nil
}

// aclCounts is the answer of a recursive change.
type aclCounts struct {
	Directories int   `json:"directoriesSuccessful"`
	Failed      []any `json:"failedEntries"`
	Failures    int   `json:"failureCount"`
	Files       int   `json:"filesSuccessful"`
}

const maxRecords = 2000 // of a page of a recursive change

// setACLRecursive sets, modifies or removes entries on a path and all below it, in pages (ADL-49).
func (c *container) setACLRecursive(q *request) (*answer, *apiError) {
	mode := q.query.Get("mode")
	if mode != "set" && mode != "modify" && mode != "remove" {
		return nil, refuse("InvalidQueryParameterValue")
	}
	entries, err := parseACL(q.Header.Get("x-ms-acl"), mode == "remove")
	if err != nil {
		return nil, err
	}
	most, err := q.most("maxRecords", maxRecords)
	if err != nil {
		return nil, err
	}
	if err := c.lock(); err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	if _, err := c.found(q.path, false); err != nil {
		return nil, err
	}
	names := append([]string{q.path}, c.breadthFirst(q.path)...)
	start, _ := strconv.Atoi(q.query.Get("continuation"))
	start = min(max(start, 0), len(names))
	end := min(start+most, len(names))
	counts := aclCounts{Failed: []any{}}
	for _, p := range names[start:end] {
		n, err := c.found(p, false)
		if err != nil {
			return nil, err
		}
		n.change(mode, entries)
		if n.Dir {
			counts.Directories++
		} else {
			counts.Files++
		}
		if err := c.put(p, n); err != nil {
			return nil, diskError(err)
		}
	}
	a := newAnswer(http.StatusOK).set("x-ms-namespace-enabled", "true")
	if end < len(names) {
		a.set("x-ms-continuation", strconv.Itoa(end))
	}
	var jerr error
	if a.body, jerr = json.Marshal(counts); jerr != nil {
		return nil, diskError(jerr)
	}
	a.header["Content-Type"] = nil // the recorded answer has none
	return a, nil
}

// breadthFirst lists what lies below a folder, folder by folder, each with its folders first.
func (c *container) breadthFirst(dir string) []string {
	var out []string
	var folders, files []string
	for _, p := range c.sorted(dir, false) {
		if c.nodes[p].Dir {
			folders = append(folders, p)
		} else {
			files = append(files, p)
		}
	}
	for _, f := range folders {
		out = append(out, f)
		out = append(out, c.breadthFirst(f)...)
	}
	return append(out, files...)
}

func (n *node) change(mode string, entries []aclEntry) {
	list := slices.Clone(n.acl())
	switch mode {
	case "set":
		list = nil
	case "remove":
		for _, e := range entries {
			list = slices.DeleteFunc(list, e.same)
		}
	}
	if mode != "remove" {
		for _, e := range entries {
			if e.Default && !n.Dir {
				continue
			}
			if i := slices.IndexFunc(list, e.same); i >= 0 {
				list[i] = e
			} else {
				list = append(list, e)
			}
		}
	}
	n.setList(list)
}
