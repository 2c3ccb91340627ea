package emulator

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// most is the size of a page: what the request asks for, at most limit.
func (q *request) most(parameter string, limit int) (int, *apiError) {
	v := q.query.Get(parameter)
	if v == "" {
		return limit, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		return 0, refuse("OutOfRangeQueryParameterValue")
	}
	return min(n, limit), nil
}

// list answers with a page of paths (ADL-42).
func (c *container) list(q *request) (*answer, *apiError) {
	if err := c.rlock(); err != nil {
		return nil, err
	}
	defer c.mu.RUnlock()
	recursive, berr := strconv.ParseBool(q.query.Get("recursive"))
	if berr != nil {
		return nil, refuse("MissingRequiredQueryParameter")
	}
	most, aerr := q.most("maxResults", defaultPage)
	if aerr != nil {
		return nil, aerr
	}
	dir := strings.Trim(q.query.Get("directory"), "/")
	names := []string{dir}
	if n := c.nodes[dir]; n == nil && dir != "" {
		return nil, refuse("PathNotFound")
	} else if n == nil || n.Dir {
		names = c.sorted(dir, recursive)
	}
	if v := q.query.Get("continuation"); v != "" {
		after, err := base64.RawURLEncoding.DecodeString(v)
		if err != nil {
			return nil, refuse("InvalidQueryParameterValue")
		}
		for len(names) > 0 && comparePaths(names[0], string(after)) <= 0 {
			names = names[1:]
		}
	}
	a := newAnswer(http.StatusOK).set("Content-Type", "application/json;charset=utf-8")
	if len(names) > most {
		names = names[:most]
		a.set("x-ms-continuation", base64.RawURLEncoding.EncodeToString([]byte(names[most-1])))
	}
	entries := []map[string]string{}
	for _, p := range names {
		entries = append(entries, listEntry(p, c.nodes[p]))
	}
	var err error
	if a.body, err = json.Marshal(map[string]any{"paths": entries}); err != nil {
		return nil, diskError(err)
	}
	return a, nil
}

// windowsEpoch is 1601-01-01 in seconds since 1970; creationTime counts 100 ns from there.
const windowsEpoch = -11644473600

func listEntry(p string, n *node) map[string]string {
	e := map[string]string{"name": p, "contentLength": formatInt(n.Size), "etag": n.ETag, "lastModified": n.Modified.UTC().Format(http.TimeFormat),
		"owner": owner(n.Owner), "group": owner(n.Group), "permissions": n.permissions(), "expiryTime": "0",
		"creationTime": ticks(n.Created)}
	if !n.Expiry.IsZero() {
		e["expiryTime"] = ticks(n.Expiry)
	}
	if n.Dir {
		e["isDirectory"] = "true"
	}
	return e
}

// ticks are the 100 ns since 1601.
func ticks(t time.Time) string { return formatInt((t.Unix() - windowsEpoch) * 10_000_000) }
