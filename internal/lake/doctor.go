package lake

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/lakeward/lakeward"
)

// Basis of a check's meaning.
const (
	recorded   = "recorded"
	documented = "documented"
	assumed    = "assumed"
)

// Probe says what a doctor looks at beyond the account.
type Probe struct {
	Folder          string // probed by writing; "" is the root of the container
	Root            bool   // a refusal in the folder is no failure: rights may cover another one (ADL-80)
	CreateContainer bool   // make a container that is missing
}

// Doctor tries everything that a delivery needs, in order, each step with its own result and fix; the
// first failure stops (DOC-02 to DOC-13). It tells each check as it is done. What it makes in the lake
// it removes; what it cannot remove it names. It returns the mode in which deliveries work there.
func Doctor(ctx context.Context, cfg Config, p Probe, tell func(lakeward.Check)) (lakeward.Mode, error) {
	c, err := New(cfg)
	if err != nil {
		return "", err
	}
	defer c.Close()
	d := &doctor{client: c, cfg: cfg, probe: p, tell: tell, file: "_lakeward-probe-" + lakeward.NewNonce()[:16] + ".tmp"}
	steps := []step{
		{"DOC-02", "DNS of the account", documented, d.resolve},
		{"DOC-03", "address, TCP, TLS", documented, d.connect},
		{"DOC-04", "authority", recorded, d.authority},
		{"DOC-05", "token", recorded, d.token},
		{"DOC-06", "container", recorded, d.container},
		{"DOC-07", "create", recorded, d.create},
		{"DOC-08", "append with checksum", recorded, d.append},
		{"DOC-09", "flush and read back", assumed, d.flush},
		{"DOC-10", "rename", assumed, d.rename},
		{"DOC-11", "second create is refused", recorded, d.exclusive},
		{"DOC-12", "list", documented, d.list},
		{"DOC-13", "delete", documented, d.remove},
	}
	for _, s := range steps {
		if done, err := d.run(ctx, s); err != nil || done {
			return d.mode, err
		}
	}
	return d.mode, nil
}

type step struct {
	id, name, basis string
	do              func(ctx context.Context) (detail string, err error)
}

type doctor struct {
	client *Client
	cfg    Config
	probe  Probe
	tell   func(lakeward.Check)
	file   string // name of the probe
	folder string // deepest folder above the wanted one that exists
	etag   string
	mode   lakeward.Mode
}

// errStop ends the checks without a failure: the folder is tested later.
var errStop = errors.New("folder not yet tested")

// run does one step and tells it; done means that no further step is needed.
func (d *doctor) run(ctx context.Context, s step) (done bool, err error) {
	started := time.Now()
	detail, err := s.do(ctx)
	c := lakeward.Check{ID: s.id, Name: s.name, OK: err == nil || errors.Is(err, errStop), Millis: time.Since(started).Milliseconds(), Detail: detail, Basis: s.basis}
	if e, ok := errors.AsType[*lakeward.Error](err); ok {
		c.Code = e.Code
		c.Detail, c.Fix, _ = strings.Cut(e.Msg, "; ")
		if e.RequestID != "" {
			c.Detail += " [request id " + e.RequestID + "]"
		}
	}
	d.tell(c)
	if errors.Is(err, errStop) {
		return true, nil
	}
	return false, err
}

// resolve looks the host up, unless it lies at a fixed address.
func (d *doctor) resolve(ctx context.Context) (string, error) {
	host := d.cfg.Location.Host()
	if e, ok := d.cfg.Endpoints[host]; ok {
		return host + " is configured at " + e.Address, nil
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return "", classifyTransport(err)
	}
	var shown []string
	for _, a := range addrs {
		kind := "public"
		if a.Unmap().IsPrivate() {
			kind = "private"
		}
		shown = append(shown, a.Unmap().String()+" ("+kind+")")
	}
	return host + " is " + strings.Join(shown, ", "), nil
}

// connect dials and looks at the certificate.
func (d *doctor) connect(ctx context.Context) (string, error) {
	t, ok := d.client.http.Transport.(*http.Transport)
	if !ok {
		return "", fmt.Errorf("not our transport")
	}
	conn, err := t.DialTLSContext(ctx, "tcp", d.cfg.Location.Host()+":443")
	if err != nil {
		return "", classifyTransport(err)
	}
	defer conn.Close()
	tc, ok := conn.(*tls.Conn)
	if !ok || len(tc.ConnectionState().PeerCertificates) == 0 {
		return "connected to " + conn.RemoteAddr().String(), nil
	}
	cert := tc.ConnectionState().PeerCertificates[0]
	return fmt.Sprintf("connected to %s; certificate by %s, valid until %s", conn.RemoteAddr(), lakeward.Quote(cert.Issuer.CommonName), cert.NotAfter.UTC().Format(time.DateOnly)), nil
}

// authority asks the identity provider for its metadata.
func (d *doctor) authority(ctx context.Context) (string, error) {
	switch d.cfg.SignIn {
	case lakeward.AccountKey:
		return "not needed for an account key", nil
	case lakeward.ManagedIdentity:
		return "not needed: the machine's metadata service signs in", nil
	}
	host := d.cfg.Location.Authority()
	ctx, cancel := context.WithTimeout(ctx, d.client.retry.Try)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/"+d.cfg.Tenant+"/v2.0/.well-known/openid-configuration", nil)
	if err != nil {
		return "", err
	}
	res, err := d.client.http.Do(req)
	if err != nil {
		return "", classifyTransport(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		number, trace := entraError(res)
		e := tokenAnswer(number, res.StatusCode)
		e.RequestID = requestID(trace)
		return "", e
	}
	return host, nil
}

// token signs in and shows what the token says, never the token.
func (d *doctor) token(ctx context.Context) (string, error) {
	if d.client.signer != nil {
		return "not needed; " + lakeward.AccountKeyWarning, nil
	}
	if _, err := d.client.tokens.get(ctx); err != nil {
		return "", classifyToken(&tokenError{err, d.client.location.Authority(), d.client.signIn})
	}
	claims := d.client.tokens.claims()
	return fmt.Sprintf("tenant %s, object %s, application %s, valid until %s", lakeward.Quote(claims.Tid), lakeward.Quote(claims.Oid), lakeward.Quote(claims.Appid),
		time.Unix(claims.Exp, 0).UTC().Format(time.RFC3339)), nil
}

// maxSkew is how far clocks may differ (ADL-34).
const maxSkew = 5 * time.Minute

// container looks at the container. 403 there is no failure, since rights may cover a folder only.
func (d *doctor) container(ctx context.Context) (string, error) {
	fs, err := d.client.Filesystem(ctx)
	if d.probe.CreateContainer && CodeIs(err, "FilesystemNotFound") {
		if err = d.client.CreateFilesystem(ctx); err == nil {
			fs, err = d.client.Filesystem(ctx)
		}
	}
	if CodeIs(err, "AuthorizationPermissionMismatch") {
		if d.probe.Root {
			return "connected, folder not yet tested: the root of the container may not be read", errStop
		}
		return "the root of the container may not be read; the folder decides", nil
	}
	if err != nil {
		return "", err
	}
	if fs.Skew.Abs() > maxSkew {
		return "", failure(lakeward.Unavailable, "CONN-2013", "the clock of this machine differs from the storage's by %s; set it", fs.Skew.Abs())
	}
	if !fs.Hierarchical {
		d.mode = lakeward.CopyOnce
		return fmt.Sprintf("%s exists, no hierarchical namespace (CONN-2011), clocks differ by %s", d.cfg.Location.Container, fs.Skew.Abs()), nil
	}
	return fmt.Sprintf("%s exists, hierarchical namespace, clocks differ by %s", d.cfg.Location.Container, fs.Skew.Abs()), nil
}

func (d *doctor) path() string { return path.Join(d.folder, d.file) }

// probeMarker are the properties of the probe.
func probeMarker() map[string]string { return map[string]string{"lwv": "1", "lwprobe": "1"} }

// create makes the probe in the deepest folder that exists on the way to the wanted one.
func (d *doctor) create(ctx context.Context) (string, error) {
	d.folder = d.probe.Folder
	for d.folder != "" {
		o, err := d.client.Status(ctx, d.folder)
		if err == nil && !o.IsDir {
			return "", failure(lakeward.Conflict, "PATH-2001", "a file is in the way at %s; choose another folder", lakeward.Quote(d.folder))
		}
		if err == nil {
			break
		}
		if !Missing(err) {
			return "", err
		}
		if d.folder = path.Dir(d.folder); d.folder == "." {
			d.folder = ""
		}
	}
	err := d.client.Create(ctx, d.path(), probeMarker())
	if d.probe.Root && CodeIs(err, "AuthorizationPermissionMismatch") {
		return "connected, folder not yet tested: nothing may be written at the root of the container", errStop
	}
	if e, ok := errors.AsType[*lakeward.Error](err); ok && CodeIs(err, "AuthorizationPermissionMismatch") {
		e.Msg += d.rights(ctx)
	}
	return "/" + d.path(), err
}

// rights tells what the folder's own rights are, if they may be read: they help where there is no role.
func (d *doctor) rights(ctx context.Context) string {
	a, err := d.client.Access(ctx, d.folder)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("; or give the application wx on the folder, which has owner %s and %s, and x on its parents", lakeward.Quote(a.Owner), lakeward.Quote(a.ACL))
}

// append sends a byte with its checksum; the same with a wrong one must be refused.
func (d *doctor) append(ctx context.Context) (string, error) {
	if err := d.client.Append(ctx, d.path(), 0, []byte("x")); err != nil {
		return "", err
	}
	k := call{op: "append", method: http.MethodPatch, path: d.path(), body: []byte("y"), want: http.StatusAccepted,
		query: map[string][]string{"action": {"append"}, "position": {"0"}}, header: http.Header{"x-ms-content-crc64": {checksum([]byte("z"))}}}
	res, err := d.client.try(ctx, k, d.client.key())
	if err != nil {
		return "", classify(k, nil, err)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusAccepted {
		return "", failure(lakeward.Invalid, "CONN-2103", "the storage accepted bytes that do not match their checksum; damage on the way would not be found here")
	}
	if err := classify(k, res, nil); !CodeIs(err, "Crc64Mismatch") {
		return "", err
	}
	return "accepted with the right checksum, refused with a wrong one", nil
}

func (d *doctor) flush(ctx context.Context) (string, error) {
	if err := d.client.Flush(ctx, d.path(), 1, ""); err != nil {
		return "", err
	}
	return d.look(ctx, d.path())
}

// look reads the probe's status: length, marker and etag must be there.
func (d *doctor) look(ctx context.Context, p string) (string, error) {
	o, err := d.client.Status(ctx, p)
	if err != nil {
		return "", err
	}
	if o.Size != 1 || !maps.Equal(o.Properties, probeMarker()) {
		return "", failure(lakeward.Invalid, "CONN-2103", "the storage does not give back length and properties of a file; deliveries could not be proven here")
	}
	if d.etag != "" && o.ETag != d.etag {
		return "length and marker come back; the etag changed", nil
	}
	d.etag = o.ETag
	return "length, marker and etag come back", nil
}

func (d *doctor) rename(ctx context.Context) (string, error) {
	if d.mode == lakeward.CopyOnce {
		return lakeward.CopyOnceWarning, nil
	}
	from, was := d.path(), d.file
	d.file = strings.TrimSuffix(d.file, ".tmp") + "-renamed.tmp"
	err := d.client.Rename(ctx, from, d.path(), RenameCondition{SourceETag: d.etag})
	if CodeIs(err, "AuthorizationPermissionMismatch") { // rights to write, none to rename (A10)
		d.file, d.mode = was, lakeward.CopyOnce
		return "refused; " + lakeward.CopyOnceWarning, nil
	}
	if err != nil {
		return "", err
	}
	return d.look(ctx, d.path())
}

func (d *doctor) exclusive(ctx context.Context) (string, error) {
	err := d.client.Create(ctx, d.path(), nil)
	if Taken(err) {
		return "a name that is taken cannot be taken twice", nil
	}
	if err == nil {
		err = failure(lakeward.Invalid, "CONN-2103", "the storage ignores If-None-Match; two runs could overwrite each other here")
	}
	return "", err
}

func (d *doctor) list(ctx context.Context) (string, error) {
	for _, err := range d.client.List(ctx, d.folder, false) {
		if err != nil {
			return "not allowed; deliveries work without it, clean-up takes its candidates from the database", nil
		}
		break
	}
	return "allowed", nil
}

func (d *doctor) remove(ctx context.Context) (string, error) {
	if err := d.client.Delete(ctx, d.path(), false); err != nil {
		//nolint:nilerr // a missing right is a finding, not a failure
		return "not allowed; /" + d.path() + " stays, please remove it; deliveries work without it, staging files stay", nil
	}
	return "the probe is removed", nil
}
