package expr

import (
	"net/url"
	"strconv"
	"strings"
)

// urlFunctions take an address apart. What has no scheme and no host fails.
func urlFunctions() []Function {
	text := gives(String)
	return []Function{
		{Name: "get_url_protocol", Args: "t", gives: text, eval: fromURL(func(c *cells, u address) { c.setText([]byte(u.scheme)) })},
		{Name: "get_url_host", Args: "t", gives: text, eval: fromURL(func(c *cells, u address) { c.setText([]byte(u.host)) })},
		{Name: "get_url_port", Args: "t", gives: gives(Integer), eval: fromURL(urlPort)},
		{Name: "get_url_path", Args: "t?b", gives: text, eval: fromURL(urlPath)},
		{Name: "get_url_query_str", Args: "tl", gives: givesTexts, prepare: urlAnchor, eval: fromURL(urlQuery)},
	}
}

// address is what an address consists of.
type address struct{ scheme, host, port, path, query, anchor string }

func parseAddress(s string) (a address, ok bool) {
	a.scheme, s, ok = strings.Cut(s, "://")
	if !ok || a.scheme == "" || strings.ContainsAny(a.scheme, "/?#@ ") {
		return a, false
	}
	s, a.anchor, _ = strings.Cut(s, "#")
	s, a.query, _ = strings.Cut(s, "?")
	if i := strings.IndexByte(s, '/'); i >= 0 {
		s, a.path = s[:i], s[i:]
	}
	a.host = s[strings.LastIndexByte(s, '@')+1:]
	if i := strings.LastIndexByte(a.host, ':'); i > strings.LastIndexByte(a.host, ']') {
		a.host, a.port = a.host[:i], a.host[i+1:]
	}
	return a, a.host != "" || a.scheme == "file"
}

func fromURL(fn func(*cells, address)) func(*cells) {
	return func(c *cells) {
		a, ok := parseAddress(string(c.text(0)))
		if !ok {
			c.fail()
			return
		}
		fn(c, a)
	}
}

// urlPort is the port of the address, else that of its scheme.
func urlPort(c *cells, a address) {
	usual := map[string]int64{"http": 80, "https": 443, "ws": 80, "wss": 443, "ftp": 21, "ftps": 990, "sftp": 22, "ssh": 22, "telnet": 23, "ldap": 389, "ldaps": 636}
	port, ok := usual[strings.ToLower(a.scheme)]
	if a.port != "" {
		n, err := strconv.ParseUint(a.port, 10, 16)
		port, ok = int64(n), err == nil
	}
	if !ok {
		c.fail()
		return
	}
	c.setInt(port)
}

// urlPath is the path, or with false what stands behind its last slash.
func urlPath(c *cells, a address) {
	if len(c.args) > 1 && !c.truth(1) {
		a.path = a.path[strings.LastIndexByte(a.path, '/')+1:]
	}
	c.setText([]byte(a.path))
}

func urlAnchor(n *Node) error {
	switch literalAt(n, 1, "") {
	case "retain", "remove", "append":
		return nil
	}
	return badArgument(1, `the anchor is one of "retain", "remove" and "append"`)
}

// urlQuery is the map of the query, the first of equal keys. The anchor stays behind the last value, goes, or gets the key _anchor_.
func urlQuery(c *cells, a address) {
	query := a.query
	if c.literal(1, "") == "retain" && a.anchor != "" {
		query += "#" + a.anchor
	}
	m := newTexts()
	for pair := range strings.SplitSeq(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if pair != "" {
			m.add(unescaped(key), unescaped(value))
		}
	}
	if c.literal(1, "") == "append" && a.anchor != "" {
		m.add("_anchor_", a.anchor)
	}
	m.set(c)
}

func unescaped(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil && validText(plain) {
		return plain
	}
	return s
}
