package emulator

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// ask sends a request to the lake's handler, signed with the account's key or, if there is one, with a token.
func ask(t *testing.T, s *Server, method, host, target string, header map[string]string, body io.Reader, size int, token string) *httptest.ResponseRecorder {
	t.Helper()
	u, err := url.ParseRequestURI(target)
	must(t, err)
	r := (&http.Request{Method: method, URL: u, Host: "local." + host + ".lake.internal", Header: http.Header{}, Body: io.NopCloser(body), ContentLength: int64(size), RequestURI: target}).WithContext(t.Context())
	for k, v := range header {
		r.Header.Set(k, v)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	} else {
		sig, err := signature(r, "local", s.account("local").Key)
		must(t, err)
		r.Header.Set("Authorization", "SharedKey local:"+sig)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// script plays lines such as "PUT /exports/a?resource=file > 201" with a body or a header behind the status.
func script(t *testing.T, s *Server, token string, lines ...string) {
	t.Helper()
	for _, l := range lines {
		sent, want, _ := strings.Cut(l, " > ")
		f := strings.Fields(sent)
		host := "dfs"
		if f[0] == "BLOB" {
			host, f = "blob", f[1:]
		}
		header, body := map[string]string{}, ""
		for _, x := range f[2:] {
			if name, value, ok := strings.Cut(x, ":"); ok && name != "body" {
				header[name] = value
			} else {
				body = value
			}
		}
		w := ask(t, s, f[0], host, f[1], header, strings.NewReader(body), len(body), token)
		status, text, compare := strings.Cut(want, " ")
		if strconv.Itoa(w.Code) != status || compare && w.Body.String() != text && w.Header().Get("x-ms-error-code") != text {
			t.Errorf("%s\n\tanswer %d %s %.200s", l, w.Code, w.Header().Get("x-ms-error-code"), w.Body)
		}
	}
}

func tokenOf(t *testing.T, s *Server) string {
	t.Helper()
	c := s.conf.Clients[0]
	token, err := s.tokens.sign(claims{Aud: resource, Nbf: time.Now().Unix() - 5, Exp: time.Now().Unix() + 1000, App: c.ID, Oid: c.ObjectID, Tid: s.conf.Tenant})
	must(t, err)
	return token
}

// killed is a lake on what a kill -9 at this instant would leave.
func killed(t *testing.T, s *Server) *Server {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "image")
	if out, err := exec.Command("cp", "-a", s.Dir(), dir).CombinedOutput(); err != nil {
		t.Fatal(string(out))
	}
	n, err := Start(dir, Options{NoSync: true})
	must(t, err)
	t.Cleanup(func() { _ = n.Close() })
	return n
}

// stalled is a body that stands still until it is released.
type stalled struct {
	io.Reader
	began, goOn chan struct{}
	once        sync.Once
}

func (s *stalled) Read(p []byte) (int, error) {
	s.once.Do(func() { close(s.began); <-s.goOn })
	return s.Reader.Read(p)
}

// An append that arrives late finds the file as it is by then: it changes nobody else's.
func TestLateAppends(t *testing.T) {
	for _, test := range []struct {
		name, position string
		between        []string
		want           string
		after          []string
	}{
		{"the file was deleted", "0", []string{"DELETE /exports/a > 200"}, "404", []string{"GET /exports/a > 404"}},
		{"another file was renamed over it", "3", []string{"PUT /exports/n?resource=file > 201", "PATCH /exports/n?action=append&position=0&flush=true body:brand-new > 202", "PUT /exports/a?mode=legacy x-ms-rename-source:/exports/n > 201"}, "404", []string{"GET /exports/a > 200 brand-new"}},
		{"it was renamed away and somebody made a new one", "3", []string{"PUT /exports/b?mode=legacy x-ms-rename-source:/exports/a > 201", "PUT /exports/a?resource=file > 201", "PATCH /exports/a?action=append&position=0&flush=true body:other > 202"}, "404", []string{"GET /exports/a > 200 other", "GET /exports/b > 200 old"}},
		{"somebody leased it", "3", []string{"POST /exports/a x-ms-lease-action:acquire x-ms-lease-duration:-1 > 201"}, "412", []string{"GET /exports/a > 200 old"}},
		{"its bytes were committed meanwhile", "3", []string{"PATCH /exports/a?action=append&position=3&flush=true body:late > 202"}, "400", []string{"GET /exports/a > 200 oldlate", "PATCH /exports/a?action=append&position=7&flush=true body:more > 202", "GET /exports/a > 200 oldlatemore"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, Options{})
			script(t, s, "", "PUT /exports/a?resource=file > 201")
			if test.position == "3" {
				script(t, s, "", "PATCH /exports/a?action=append&position=0&flush=true body:old > 202")
			}
			body := &stalled{Reader: strings.NewReader("late"), began: make(chan struct{}), goOn: make(chan struct{})}
			done := make(chan *httptest.ResponseRecorder, 1)
			go func() {
				done <- ask(t, s, "PATCH", "dfs", "/exports/a?action=append&flush=true&position="+test.position, nil, body, 4, "")
			}()
			<-body.began
			script(t, s, "", test.between...)
			close(body.goOn)
			if w := <-done; strconv.Itoa(w.Code) != test.want {
				t.Errorf("the late append: %d %s", w.Code, w.Body)
			}
			script(t, s, "", test.after...)
		})
	}
}

// A client may not take by rename, copy or recursive delete what it may not touch.
func TestRightsOnTheSource(t *testing.T) {
	s := start(t, Options{})
	must(t, s.CreateContainer("local", "secret"))
	must(t, s.CreateContainer("local", "mine"))
	script(t, s, "", "PUT /secret/f?resource=file > 201", "PUT /exports/hid/f?resource=file > 201", "PUT /exports/mine/x?resource=file > 201")
	token := tokenOf(t, s)
	for place, role := range map[string]string{"secret": "none", "mine": "contributor", "exports": "none", "exports/mine": "contributor"} {
		s.SetRole("local", place, role)
	}
	script(t, s, token, "PUT /mine/f?mode=legacy x-ms-rename-source:/secret/f > 403 AuthorizationPermissionMismatch", "PUT /exports/mine/f?mode=legacy x-ms-rename-source:/exports/hid/f > 403 AuthorizationPermissionMismatch",
		"BLOB PUT /mine/c x-ms-blob-type:BlockBlob x-ms-copy-source:https://local.blob.lake.internal/secret/f > 404 CannotVerifyCopySource")
	s.SetRole("local", "secret", "firewall")
	script(t, s, token, "PUT /mine/f?mode=legacy x-ms-rename-source:/secret/f > 403 AuthorizationFailure")

	s.SetRole("local", "exports", "none")
	oid := s.ObjectID()
	script(t, s, "", "PUT /exports/p/locked/x?resource=file > 201", "PUT /exports/p/theirs?resource=file > 201",
		"PATCH /exports?action=setAccessControl x-ms-acl:user::rwx,user:"+oid+":--x,group::r-x,other::--- > 200", "PATCH /exports/p?action=setAccessControl x-ms-acl:user::rwx,user:"+oid+":-wx,group::r-x,other::--- > 200")
	script(t, s, token, "DELETE /exports/p/locked?recursive=true > 403", "PUT /exports/p/theirs?resource=file > 403", "PUT /exports/p/own?resource=file > 201", "PATCH /exports/p/own?action=append&position=0&flush=true body:x > 202")
	script(t, s, "", "PATCH /exports?action=setAccessControl x-ms-acl:user::rwx,group::r-x,other::---,default:user::rwx,default:user:"+oid+":r-x,default:group::r-x,default:other::--- > 200", "PUT /exports/inherits?resource=file > 201")
	if acl := ask(t, s, "HEAD", "dfs", "/exports/inherits?action=getAccessControl", nil, strings.NewReader(""), 0, "").Header().Get("x-ms-acl"); !strings.Contains(acl, oid) {
		t.Errorf("a child of the root inherits %s", acl)
	}
}

// A container that is made again under the name of one that was deleted has nothing of it.
func TestContainerMadeAgain(t *testing.T) {
	s := start(t, Options{})
	script(t, s, "", "PUT /again?resource=filesystem > 201", "BLOB PUT /again?restype=container&comp=lease x-ms-lease-action:acquire x-ms-lease-duration:-1 x-ms-proposed-lease-id:11111111-2222-4333-8444-555555555555 > 201",
		"BLOB PUT /again/f?comp=block&blockid=MDAx body:old > 201", "DELETE /again?resource=filesystem x-ms-lease-id:11111111-2222-4333-8444-555555555555 > 202",
		"DELETE /again?resource=filesystem > 404 FilesystemNotFound", "PUT /again?resource=filesystem > 201", "BLOB PUT /again/f?comp=blocklist body:<BlockList><Latest>MDAx</Latest></BlockList> > 400 InvalidBlockList", "DELETE /again?resource=filesystem > 202")
}

// A kill in the middle of a rename from another container leaves either file whole, with its own properties.
func TestKillInRenameAcrossContainers(t *testing.T) {
	s := start(t, Options{})
	must(t, s.CreateContainer("local", "other"))
	script(t, s, "", "PUT /other/src?resource=file x-ms-properties:m=c3Jj > 201", "PATCH /other/src?action=append&position=0&flush=true body:SRC! > 202",
		"PUT /exports/dst?resource=file x-ms-properties:m=ZHN0 > 201", "PATCH /exports/dst?action=append&position=0&flush=true body:DST! > 202")
	c, o := s.container("local", "exports"), s.container("local", "other")
	must(t, c.record(c.arrival(o, "src", "dst")...))
	check := func(name, target, text, marker string, n *Server) {
		t.Helper()
		w := ask(t, n, "GET", "dfs", target, nil, strings.NewReader(""), 0, "")
		if w.Body.String() != text || w.Header().Get("x-ms-properties") != marker {
			t.Errorf("%s: %s holds %q with %s", name, target, w.Body, w.Header().Get("x-ms-properties"))
		}
	}
	before := killed(t, s)
	check("before the rename", "/exports/dst", "DST!", "m=ZHN0", before)
	check("before the rename", "/other/src", "SRC!", "m=c3Jj", before)
	must(t, c.root.Rename(o.file("src"), c.file("dst")))
	check("behind the rename", "/exports/dst", "SRC!", "m=c3Jj", killed(t, s))
}

// What a lease action of an append or flush did outlives a kill, and what is refused did nothing.
func TestLeasesOfAppendsAreKept(t *testing.T) {
	s := start(t, Options{})
	const id = "11111111-2222-4333-8444-555555555555"
	acquire := " x-ms-lease-action:acquire x-ms-lease-duration:-1 x-ms-proposed-lease-id:" + id
	script(t, s, "", "PUT /exports/a?resource=file > 201", "PATCH /exports/a?action=append&position=0 body:x"+acquire+" > 202", "PATCH /exports/a?action=flush&position=1 x-ms-lease-action:release x-ms-lease-id:"+id+" > 200",
		"PUT /exports/b?resource=file > 201", "PATCH /exports/b?action=append&position=0 body:x"+acquire+" > 202",
		"PUT /exports/c?resource=file > 201", "PATCH /exports/c?action=flush&position=9 x-ms-content-type:evil/x"+acquire+" > 400")
	n := killed(t, s)
	script(t, n, "", "DELETE /exports/a > 200", "DELETE /exports/b > 412 LeaseIdMissing", "DELETE /exports/c > 200")
	if w := ask(t, s, "HEAD", "dfs", "/exports/c", nil, strings.NewReader(""), 0, ""); w.Header().Get("Content-Type") == "evil/x" || w.Header().Get("x-ms-lease-state") != "available" {
		t.Errorf("a refused flush left %v", w.Header())
	}
}

// Links that somebody puts into the tree lead nowhere, and files put there by hand are seen before they are replaced.
func TestPutByHand(t *testing.T) {
	s := start(t, Options{})
	at := filepath.Join(s.Dir(), "local", "exports")
	for name, to := range map[string]string{"link": "../../.meta/config.json", "dir": "../../.meta"} {
		must(t, os.Symlink(to, filepath.Join(at, name)))
	}
	must(t, os.WriteFile(filepath.Join(at, "hand"), []byte("by hand"), 0o644))
	script(t, s, "", "GET /exports/link > 404", "GET /exports/dir/config.json > 404", "PUT /exports/dir/evil?resource=file > 409", "PUT /exports/hand?resource=file If-None-Match:* > 409 PathAlreadyExists",
		"PUT /exports/n?resource=file > 201", "PUT /exports/hand?mode=legacy x-ms-rename-source:/exports/n If-None-Match:* > 409 PathAlreadyExists", "BLOB PUT /exports/hand x-ms-blob-type:BlockBlob If-None-Match:* body:x > 409 BlobAlreadyExists", "GET /exports/hand > 200 by hand")
	script(t, s, "", "PUT /exports/a%FF?resource=file > 400 InvalidResourceName", "BLOB PUT /exports/hand?comp=expiry x-ms-expiry-option:RelativeToNow x-ms-expiry-time:9300000000000000 > 400", "GET /exports/hand > 200 by hand")
}

// A copy shares nothing with its source, and a name of a folder of the lake is no account.
func TestCopiesAndNames(t *testing.T) {
	s := start(t, Options{})
	script(t, s, "", "PUT /exports/a?resource=file x-ms-content-language:de > 201", "BLOB PUT /exports/b x-ms-blob-type:BlockBlob x-ms-copy-source:https://local.blob.lake.internal/exports/a > 202", "PATCH /exports/a?action=setProperties x-ms-content-language:fr > 200")
	if w := ask(t, s, "HEAD", "dfs", "/exports/b", nil, strings.NewReader(""), 0, ""); w.Header().Get("Content-Language") != "de" {
		t.Errorf("the copy says %s", w.Header().Get("Content-Language"))
	}
	for _, name := range reservedNames() {
		if n, err := Start(t.TempDir(), Options{Accounts: []string{name}}); err == nil {
			_ = n.Close()
			t.Errorf("an account is named %s", name)
		}
	}
	must(t, os.Remove(filepath.Join(s.Dir(), caKey)))
	killed(t, s)
}
