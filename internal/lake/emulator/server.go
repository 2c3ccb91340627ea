// Package emulator is an ADLS Gen2 server on a plain folder, with a token service like Entra ID's. It
// is part of the product: the default target of demo and serve, and the storage of the tests.
//
// It serves what the product and its users' tools need of the DFS interface and answers everything else
// with 501, never with a wrong success. The one thing to know: files in the tree hold exactly the
// committed bytes; what is known beside the bytes lies in .meta.
package emulator

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lakeward/lakeward"
)

// roles of a client on a container.
const (
	contributor = "contributor"
	owns        = "owner"
	reader      = "reader"
	noRole      = "none"
	firewalled  = "firewall" // a network rule refuses the client
)

func knownRole(role string) bool {
	return slices.Contains([]string{contributor, owns, reader, noRole, firewalled}, role)
}

// Server is a running lake.
type Server struct {
	root   *os.Root
	lock   *os.File // held while the lake is open
	opt    Options
	tokens *tokenService
	ca     *authority
	etags  *etagSource
	faults faultTable
	log    requestLog

	tls, plain, proxy, control *door // all but the first may be missing

	mu         sync.Mutex
	conf       *config
	containers map[string]*container // by account/container
	leaves     map[string]leaf       // certificates by the address that they are for
	ahead      time.Duration         // of the machine's clock
	refused    int                   // number with which every sign-in fails
}

// Start opens the lake in dir, makes it if it is not there, and serves it until Close. A new lake has
// one account with one container.
func Start(dir string, opt Options) (*Server, error) {
	dir, err := lakeDir(dir, &opt)
	if err != nil {
		return nil, err
	}
	s, err := serve(dir, opt)
	if err != nil && opt.Memory {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return s, err
}

func serve(dir string, opt Options) (*Server, error) {
	if err := os.MkdirAll(filepath.Join(dir, meta), 0o700); err != nil {
		return nil, err
	}
	lock, err := takeLock(filepath.Join(dir, meta, "lock"))
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	s := &Server{root: root, lock: lock, opt: opt, containers: map[string]*container{}, leaves: map[string]leaf{}, etags: &etagSource{}}
	if err := s.load(); err != nil {
		return nil, errors.Join(err, root.Close(), lock.Close())
	}
	if err := s.listen(); err != nil {
		return nil, errors.Join(err, root.Close(), lock.Close())
	}
	return s, nil
}

// memoryDir is where a lake in memory lies: a file system of the operating system that has no disk.
const memoryDir = "/dev/shm"

// lakeDir is the folder of a lake; one in memory has a new one that ends with it (ADL-107).
func lakeDir(dir string, opt *Options) (string, error) {
	if !opt.Memory {
		return filepath.Abs(dir)
	}
	opt.NoSync = true // there is nothing to survive
	dir, err := os.MkdirTemp(memoryDir, "lakeward-lake-")
	if err != nil {
		return "", &lakeward.Error{Kind: lakeward.Invalid, Code: "LAKE-1004", Msg: "this system has no memory file system at " + memoryDir + "; leave --memory out", Err: err}
	}
	return dir, nil
}

func (s *Server) load() (err error) {
	if s.conf, err = loadConfig(s.root, s.opt); err != nil {
		return err
	}
	if s.ca, err = loadAuthority(s.root); err != nil {
		return err
	}
	if s.tokens, err = newTokenService(s.opt.TokenTTL); err != nil {
		return err
	}
	for _, a := range s.conf.Accounts {
		if err := s.openAccount(a); err != nil {
			return err
		}
	}
	if err := s.dropPending(); err != nil {
		return err
	}
	for _, a := range s.conf.Accounts {
		if len(s.containerNames(a.Name, "", "")) == 0 {
			if err := s.CreateContainer(a.Name, DefaultContainer); err != nil {
				return err
			}
		}
	}
	return nil
}

// dropPending removes what a killed lake left behind: appended data whose file is gone or that is part of
// it by now, and files that were being made.
func (s *Server) dropPending() error {
	if err := errors.Join(s.root.RemoveAll(tempDir), s.root.RemoveAll(trashDir)); err != nil {
		return err
	}
	alive := map[string]*node{}
	for _, c := range s.containers {
		for _, n := range c.nodes {
			alive[n.ID] = n
		}
	}
	dir := path.Join(meta, "pending")
	entries, err := fs.ReadDir(s.root.FS(), dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		n := alive[e.Name()]
		if n == nil {
			err = errors.Join(err, s.root.RemoveAll(path.Join(dir, e.Name())))
			continue
		}
		blocks, berr := fs.ReadDir(s.root.FS(), path.Join(dir, e.Name()))
		err = errors.Join(err, berr)
		for _, b := range blocks {
			if position, perr := strconv.ParseInt(b.Name(), 10, 64); perr != nil || position < n.Size {
				err = errors.Join(err, s.root.Remove(path.Join(dir, e.Name(), b.Name())))
			}
		}
	}
	return err
}

func (s *Server) openAccount(a accountConf) error {
	if err := s.root.MkdirAll(a.Name, 0o755); err != nil {
		return err
	}
	d, err := s.root.Open(a.Name)
	if err != nil {
		return err
	}
	entries, err := d.ReadDir(-1)
	if err = errors.Join(err, d.Close()); err != nil {
		return err
	}
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		c, err := openContainer(s.root, a.Name, e.Name(), a.Flat, s.opt.NoSync, s.etags)
		if err != nil {
			return err
		}
		s.adopt(a.Name, c)
	}
	return nil
}

// CreateContainer makes a container that is not there yet.
func (s *Server) CreateContainer(account, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.conf.account(account)
	if a == nil {
		return fmt.Errorf("the lake has no account %s", account)
	}
	if s.containers[account+"/"+name] != nil {
		return refuse("FilesystemAlreadyExists")
	}
	// The log of a container of that name that was deleted would lend it leases and properties.
	if err := s.root.Remove(path.Join(meta, account, name+".log")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	c, err := openContainer(s.root, account, name, a.Flat, s.opt.NoSync, s.etags)
	if err != nil {
		return err
	}
	s.adopt(account, c)
	return nil
}

// adopt adds a container to those that are served.
func (s *Server) adopt(account string, c *container) {
	c.sibling = func(name string) *container { return s.container(account, name) }
	s.containers[account+"/"+c.name] = c
}

// Close ends the lake politely: requests under way are finished, then its files are closed.
func (s *Server) Close() error {
	err := s.closeDoors()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.containers {
		err = errors.Join(err, c.log.Close())
	}
	_ = s.root.Remove(endpointsName)
	err = errors.Join(err, s.root.Close(), s.lock.Close())
	if s.opt.Memory {
		err = errors.Join(err, os.RemoveAll(s.root.Name()))
	}
	return err
}

// Endpoints says how to reach the lake (ADL-108).
type Endpoints struct {
	HTTPS        string            `json:"https"`
	HTTP         string            `json:"http,omitempty"`
	Proxy        string            `json:"proxy,omitempty"`
	Faults       string            `json:"faults,omitempty"`
	CA           string            `json:"ca"`
	Tenant       string            `json:"tenant"`
	ClientID     string            `json:"clientId"`
	ClientSecret string            `json:"clientSecret"`
	TokenURL     string            `json:"tokenUrl"`
	Accounts     []EndpointAccount `json:"accounts"`
}

// EndpointAccount is one storage account of the lake.
type EndpointAccount struct {
	Name string `json:"name"`
	Key  string `json:"key"`
	HNS  bool   `json:"hns"`
	DFS  string `json:"dfs"` // its URL in path style
}

const endpointsName = meta + "/endpoints.json"

// Endpoints describes the running lake. It holds secrets.
func (s *Server) Endpoints() Endpoints {
	s.mu.Lock()
	defer s.mu.Unlock()
	base := "https://" + s.tls.address()
	c := s.conf.Clients[0]
	e := Endpoints{HTTPS: base, CA: path.Join(s.root.Name(), caCert), Tenant: s.conf.Tenant, ClientID: c.ID, ClientSecret: c.Secret,
		TokenURL: base + "/" + s.conf.Tenant + "/oauth2/v2.0/token"}
	for _, d := range []struct {
		to *string
		at *door
	}{{&e.HTTP, s.plain}, {&e.Proxy, s.proxy}, {&e.Faults, s.control}} {
		if d.at != nil {
			*d.to = "http://" + d.at.address()
		}
	}
	for _, a := range s.conf.Accounts {
		e.Accounts = append(e.Accounts, EndpointAccount{Name: a.Name, Key: a.Key, HNS: !a.Flat, DFS: base + "/" + a.Name})
	}
	return e
}

func (s *Server) writeEndpoints() error { return saveJSON(s.root, endpointsName, s.Endpoints()) }

// Address is the address of the TLS port.
func (s *Server) Address() string { return s.tls.address() }

// CA is the PEM of the lake's authority.
func (s *Server) CA() []byte { return s.ca.pem }

// Location is the connection of the lake's first account and its default container.
func (s *Server) Location() lakeward.Location {
	return lakeward.Location{Container: DefaultContainer, Account: s.conf.Accounts[0].Name, Suffix: lakeward.EmulatorSuffix}
}

// SetRole gives the first client a role on a container, or on a folder in it as container/folder:
// contributor, owner, reader, none or firewall (ADL-117).
func (s *Server) SetRole(account, container, role string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conf.Clients[0].Roles[account+"/"+container] = role
}

// SetClock lets the lake's clock differ from the machine's.
func (s *Server) SetClock(ahead time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahead = ahead
}

func (s *Server) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.ahead)
}

// SetAccountTenant makes an account belong to another tenant than the one that the lake's clients sign in to.
func (s *Server) SetAccountTenant(account, tenant string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conf.account(account).Tenant = tenant
}

// RefuseSignIn lets every sign-in fail with a number of Entra ID; 0 ends it.
func (s *Server) RefuseSignIn(number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refused = number
}

// ObjectID is the id of the first client in access control lists.
func (s *Server) ObjectID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conf.Clients[0].ObjectID
}

// ExpireSecret makes the first client's secret expired, or valid again.
func (s *Server) ExpireSecret(expired bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conf.Clients[0].Expired = expired
}

// ServeHTTP answers one request: token service by host or path, storage otherwise.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.isToken(r) {
		entry := s.log.begin(r, "token", "")
		if r.Method == http.MethodGet {
			entry.Op = "metadata"
		}
		defer s.log.end(entry)
		s.faults.around(w, r, entry, s.serveToken)
		return
	}
	q := parseRequest(r)
	entry := s.log.begin(r, q.op, q.path)
	defer s.log.end(entry)
	s.faults.around(w, r, entry, func(w http.ResponseWriter, r *http.Request) { s.serveStorage(w, r, q) })
}

// isToken tells requests of the authority from requests of the storage (ADL-53a, ADL-112).
func (s *Server) isToken(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = r.Host
	}
	for _, c := range lakeward.Clouds() {
		if host == c.Authority {
			return true
		}
	}
	first, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	second, _, _ := strings.Cut(rest, "/")
	return net.ParseIP(host) != nil && s.account(first) == nil && slices.Contains([]string{"oauth2", "v2.0", ".well-known", "discovery"}, second)
}

// Dir is the folder of the lake.
func (s *Server) Dir() string { return s.root.Name() }

// MakeFolder makes a folder and its parents, as somebody with all rights would.
func (s *Server) MakeFolder(account, container, p string) error {
	c := s.container(account, container)
	if c == nil {
		return refuse("FilesystemNotFound")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.parents(path.Join(p, "x"), "", time.Now().UTC()); err != nil {
		return err
	}
	return nil
}
