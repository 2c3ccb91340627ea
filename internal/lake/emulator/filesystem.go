package emulator

import (
	"encoding/json"
	"net/http"
)

// listFilesystems answers with a page of the account's containers (ADL-40).
func (s *Server) listFilesystems(q *request) (*answer, *apiError) {
	most, aerr := q.most("maxResults", defaultPage)
	if aerr != nil {
		return nil, aerr
	}
	names := s.containerNames(q.account, q.query.Get("prefix"), q.query.Get("continuation"))
	a := newAnswer(http.StatusOK).set("Content-Type", "application/json;charset=utf-8")
	if len(names) > most {
		names = names[:most]
		a.set("x-ms-continuation", names[most-1])
	}
	type entry struct {
		Name     string `json:"name"`
		ETag     string `json:"etag"`
		Modified string `json:"lastModified"`
	}
	out := []entry{}
	for _, name := range names {
		c := s.container(q.account, name)
		if c == nil {
			continue
		}
		c.mu.RLock()
		out = append(out, entry{name, c.self.ETag, c.self.Modified.UTC().Format(http.TimeFormat)})
		c.mu.RUnlock()
	}
	var err error
	if a.body, err = json.Marshal(map[string]any{"filesystems": out}); err != nil {
		return nil, diskError(err)
	}
	return a, nil
}

// setFilesystem replaces the properties of a container (ADL-41).
func (c *container) setFilesystem(q *request) (*answer, *apiError) {
	return c.change(q, func(n *node) { n.Properties = q.Header.Get("x-ms-properties") })
}

// setProperties replaces the properties of a path and the content headers that are sent (ADL-49).
func (c *container) setProperties(q *request) (*answer, *apiError) {
	return c.change(q, func(n *node) {
		n.Properties = q.Header.Get("x-ms-properties")
		for k, v := range contentHeaders(q.Header) {
			n.keep(k, v)
		}
	})
}
