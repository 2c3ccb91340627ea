package emulator

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lakeward/lakeward"
)

// request is a parsed storage request.
type request struct {
	*http.Request
	op        string // as in the tables of the delivery protocol: "create", "append", "rename" …; "" if not served
	blob      bool
	account   string
	container string
	path      string // decoded, without outer slashes; "" is the container
	query     url.Values
	id        string // of the answer
	now       time.Time
	bad       string // error code of a request that cannot be read
	oid       string // object id of the client, "" for who has the account's key
}

// answer is what goes back to the client.
type answer struct {
	status int
	header http.Header
	body   []byte
	stream io.ReadCloser // instead of body
}

func newAnswer(status int) *answer { return &answer{status: status, header: http.Header{}} }

// set adds headers, name and value in turn, and returns the answer.
func (a *answer) set(pairs ...string) *answer {
	for i := 0; i < len(pairs); i += 2 {
		a.header.Set(pairs[i], pairs[i+1])
	}
	return a
}

// stamp adds ETag and Last-Modified.
func (a *answer) stamp(n *node) *answer {
	return a.set("ETag", `"`+n.ETag+`"`, "Last-Modified", n.Modified.UTC().Format(http.TimeFormat))
}

// parseRequest finds account, container and path in host style or path style (ADL-110), and the operation.
func parseRequest(r *http.Request) *request {
	q := &request{Request: r, query: r.URL.Query(), id: lakeward.NewID(), now: time.Now().UTC().Truncate(time.Second)}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	rest := strings.TrimPrefix(r.URL.EscapedPath(), "/")
	if net.ParseIP(host) != nil {
		q.account, rest, _ = strings.Cut(rest, "/")
		q.blob = !q.speaksDFS()
	} else {
		labels := strings.SplitN(host, ".", 3)
		q.account = labels[0]
		q.blob = len(labels) > 1 && labels[1] == "blob"
	}
	var escaped string
	q.container, escaped, _ = strings.Cut(rest, "/")
	p, err := url.PathUnescape(escaped)
	if err != nil {
		q.bad = "InvalidUri"
	}
	q.path = strings.Trim(p, "/")
	q.op = q.operation()
	return q
}

// speaksDFS tells the interface of a request in path style, where no host names it (ADL-110b).
func (q *request) speaksDFS() bool {
	for _, parameter := range []string{"resource", "action", "recursive", "mode"} {
		if q.query.Has(parameter) {
			return true
		}
	}
	return q.method() == http.MethodPatch || q.method() == http.MethodPost || q.Header.Get("x-ms-rename-source") != ""
}

// method honours X-HTTP-Method-Override, which some writers send (ADL-53).
func (q *request) method() string {
	if o := q.Header.Get("X-HTTP-Method-Override"); o != "" && q.Method == http.MethodPut {
		return o
	}
	return q.Method
}

func (q *request) operation() string {
	if q.blob {
		return q.blobOperation()
	}
	action, resource := q.query.Get("action"), q.query.Get("resource")
	if q.path == "" && q.container == "" {
		if resource == "account" && q.method() == http.MethodGet {
			return "fs-list"
		}
		return ""
	}
	if q.path == "" && resource != "filesystem" { // the root folder itself
		return map[string]string{"setAccessControl": "set-acl", "getAccessControl": "get-acl", "setAccessControlRecursive": "set-acl-recursive"}[action]
	}
	if q.path == "" {
		return map[string]string{http.MethodHead: "fs-head", http.MethodPut: "fs-create", http.MethodDelete: "fs-delete", http.MethodGet: "list", http.MethodPatch: "fs-set"}[q.method()]
	}
	switch q.method() {
	case http.MethodPut:
		if q.Header.Get("x-ms-rename-source") != "" {
			return "rename"
		}
		return map[string]string{"file": "create", "directory": "create-dir"}[resource]
	case http.MethodPatch:
		return map[string]string{"append": "append", "flush": "flush", "setAccessControl": "set-acl", "setAccessControlRecursive": "set-acl-recursive", "setProperties": "set-properties"}[action]
	case http.MethodHead:
		return map[string]string{"": "head", "getStatus": "head", "getAccessControl": "get-acl", "checkAccess": "check-access"}[action]
	case http.MethodPost:
		return "lease"
	case http.MethodGet:
		return "read"
	case http.MethodDelete:
		return "delete"
	}
	return ""
}

// serveStorage answers a storage request.
func (s *Server) serveStorage(w http.ResponseWriter, r *http.Request, q *request) {
	q.Request = r
	a, err := s.handle(q)
	if err != nil {
		a = errorAnswer(err, q, r.Method == http.MethodHead)
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, 1<<20)) // so that the connection can be used again
	h := w.Header()
	for k, v := range a.header {
		h[k] = v
	}
	h.Set("x-ms-request-id", q.id)
	h.Set("Date", s.now().UTC().Format(http.TimeFormat))
	h.Set("Server", "Windows-Azure-HDFS/1.0 Microsoft-HTTPAPI/2.0")
	if q.blob {
		h.Set("Server", "Windows-Azure-Blob/1.0 Microsoft-HTTPAPI/2.0")
	}
	if v := r.Header.Get("x-ms-version"); v != "" {
		h.Set("x-ms-version", v)
	}
	if v := r.Header.Get("x-ms-client-request-id"); v != "" {
		h.Set("x-ms-client-request-id", v)
	}
	if h.Get("Content-Length") == "" {
		h.Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	if a.stream != nil {
		defer a.stream.Close()
		_, _ = io.Copy(w, a.stream)
		return
	}
	_, _ = w.Write(a.body)
}

func (s *Server) handle(q *request) (*answer, *apiError) {
	if q.bad != "" {
		return nil, refuse(q.bad)
	}
	switch q.Method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodPost:
	default:
		return nil, &apiError{code: "UnsupportedHttpVerb", header: http.Header{"Allow": {"DELETE,GET,HEAD,PATCH,PUT"}}}
	}
	if s.account(q.account) == nil {
		return nil, refuse("ResourceNotFound")
	}
	if err := s.authorize(q); err != nil {
		return nil, err
	}
	if q.op == "" {
		return nil, refuse("NotImplemented")
	}
	switch q.op {
	case "fs-create":
		return s.createFilesystem(q)
	case "fs-list":
		return s.listFilesystems(q)
	case "account":
		return s.accountProperties(q)
	case "blob-containers":
		return s.listContainers(q)
	case "get-service":
		return s.getService(q)
	case "set-service":
		return s.setService(q)
	}
	c := s.container(q.account, q.container)
	if c == nil {
		return nil, refuse("FilesystemNotFound")
	}
	if err := c.checkName(q.path); err != nil {
		return nil, err
	}
	c.expire(q.now)
	if q.op == "put-blob" && q.Header.Get("x-ms-copy-source") != "" {
		return s.copyBlob(q)
	}
	return map[string]func(*request) (*answer, *apiError){
		"fs-set": c.setFilesystem, "set-metadata": c.setMetadata, "set-content": c.setContent, "blob-list": c.listBlobs, "get-acl": c.getACL, "set-acl": c.setACL, "set-acl-recursive": c.setACLRecursive, "set-properties": c.setProperties,
		"check-access": c.checkAccess, "lease": c.leaseRequest,
		"put-blob": c.putBlob, "put-block": c.putBlock, "put-blocks": c.putBlocks, "get-blocks": c.getBlocks, "set-tags": c.setTags, "get-tags": c.getTags,
		"set-tier": c.setTier, "set-expiry": c.setExpiry, "set-policies": c.setPolicies, "get-policies": c.getPolicies,
		"fs-head": c.headFilesystem, "list": c.list, "create": c.create, "create-dir": c.create, "append": c.append, "flush": c.flush,
		"rename": c.rename, "head": c.head, "read": c.read, "delete": c.delete, "fs-delete": s.deleteFilesystem,
	}[q.op](q)
}

// account is a copy of the settings of an account, nil if there is none.
func (s *Server) account(name string) *accountConf {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.conf.account(name)
	if a == nil {
		return nil
	}
	out := *a
	return &out
}

func (s *Server) container(account, name string) *container {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.containers[account+"/"+name]
}

// authorize checks the bearer token and the role of its client (ADL-111, ADL-117).
func (s *Server) authorize(q *request) *apiError {
	auth := q.Header.Get("Authorization")
	if auth == "" && q.blob {
		return refuse("ResourceNotFound")
	}
	if auth == "" {
		return refuse("AuthenticationFailed")
	}
	if credentials, ok := strings.CutPrefix(auth, "SharedKey "); ok {
		return s.checkSharedKey(q, credentials)
	}
	token := bearer(q.Header)
	if token == "" {
		return refuse("AuthenticationFailed")
	}
	tenant := s.tenantOf(q.account)
	c, err := s.tokens.verify(token, tenant, s.now())
	if err != nil {
		challenge := "Bearer authorization_uri=https://" + lakeward.Clouds()[0].Authority + "/" + tenant + "/oauth2/authorize resource_id=" + resource
		return &apiError{code: "InvalidAuthenticationInfo", header: http.Header{"Www-Authenticate": {challenge}}}
	}
	q.oid = c.Oid
	if q.op == "rename" {
		if err := s.mayTake(c, q); err != nil {
			return err
		}
	}
	role := s.role(c.App, q)
	if role == noRole && s.allowed(c.Oid, q) {
		return nil
	}
	switch role {
	case firewalled:
		return refuse("AuthorizationFailure")
	case contributor, owns:
	case reader:
		if !slices.Contains([]string{"fs-head", "fs-list", "list", "blob-list", "blob-containers", "head", "read", "get-blocks", "get-tags", "account", "get-service"}, q.op) {
			return refuse("AuthorizationPermissionMismatch")
		}
	default:
		return refuse("AuthorizationPermissionMismatch")
	}
	return nil
}

// mayTake reports whether a client may take the source of a rename away.
func (s *Server) mayTake(c claims, q *request) *apiError {
	at := s.container(q.account, q.container)
	if at == nil {
		return nil // told later
	}
	source, from, err := at.renameSource(q.Header.Get("x-ms-rename-source"))
	if err != nil {
		return err
	}
	take := &request{Request: q.Request, op: "delete", account: q.account, container: source.name, path: from, query: q.query, now: q.now}
	switch s.role(c.App, take) {
	case contributor, owns:
		return nil
	case firewalled:
		return refuse("AuthorizationFailure")
	}
	if source.flat || !source.grants(c.Oid, []need{{path.Dir(from), "wx"}}) {
		return refuse("AuthorizationPermissionMismatch")
	}
	return nil
}

// tenantOf is the tenant whose tokens an account accepts.
func (s *Server) tenantOf(account string) string {
	if a := s.account(account); a != nil && a.Tenant != "" {
		return a.Tenant
	}
	return s.tenant()
}

// bearer is the token of a request, "" if it has none.
func bearer(h http.Header) string {
	token, ok := strings.CutPrefix(h.Get("Authorization"), "Bearer ")
	if !ok {
		return ""
	}
	return token
}

// role is the role of a client for a request: that of the deepest folder above its path that has one,
// else that of the container, else the client's usual one.
func (s *Server) role(app string, q *request) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := q.path
	if q.op == "list" {
		at = strings.Trim(q.query.Get("directory"), "/")
	}
	place := q.account + "/" + q.container
	if at != "" {
		place += "/" + at
	}
	for _, c := range s.conf.Clients {
		if c.ID != app {
			continue
		}
		for p := place; strings.Count(p, "/") > 0; p = path.Dir(p) {
			if role, ok := c.Roles[p]; ok {
				return role
			}
		}
		return c.Roles["*"]
	}
	return noRole
}

func (s *Server) createFilesystem(q *request) (*answer, *apiError) {
	if !validContainer(q.container) {
		return nil, refuse("InvalidResourceName")
	}
	if err := s.CreateContainer(q.account, q.container); err != nil {
		if e, ok := errors.AsType[*apiError](err); ok {
			return nil, e
		}
		return nil, diskError(err)
	}
	c := s.container(q.account, q.container)
	if c == nil {
		return nil, refuse("FilesystemNotFound")
	}
	if err := c.lock(); err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	c.self.Properties = q.Header.Get("x-ms-properties")
	if q.blob {
		c.self.Properties = sentMetadata(q.Header)
	}
	if err := c.record(line{Kind: "container", Node: &c.self}); err != nil {
		return nil, diskError(err)
	}
	a := newAnswer(http.StatusCreated).stamp(&c.self)
	if !q.blob {
		a.set("x-ms-namespace-enabled", strconv.FormatBool(!c.flat))
	}
	return a, nil
}

func validContainer(name string) bool {
	_, err := lakeward.ParseLocation("abfss://" + name + "@abc.dfs." + lakeward.EmulatorSuffix)
	return err == nil
}

// deleteFilesystem removes a container. Requests that wait for it find it gone; a name that is made again is new.
func (s *Server) deleteFilesystem(q *request) (*answer, *apiError) {
	c := s.container(q.account, q.container)
	if c == nil {
		return nil, refuse("FilesystemNotFound")
	}
	if err := c.lock(); err != nil {
		return nil, err
	}
	defer c.mu.Unlock()
	if err := conditions(q.Header, "", &c.self); err != nil {
		return nil, err
	}
	if err := c.self.checkLease(q.Header.Get("x-ms-lease-id"), q.now); err != nil {
		return nil, err
	}
	c.deleted = true
	s.mu.Lock()
	delete(s.containers, q.account+"/"+q.container)
	s.mu.Unlock()
	err := c.discard(c.file(""))
	_ = c.log.Close()
	if err = errors.Join(err, c.root.Remove(c.logName())); err != nil {
		return nil, diskError(err)
	}
	for _, n := range c.nodes {
		_ = c.root.RemoveAll(c.pendingDir(n))
	}
	return newAnswer(http.StatusAccepted), nil
}
