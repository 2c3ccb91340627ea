package lake

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// Endpoint is a host that is reached at a fixed address, not through DNS (ADL-134).
type Endpoint struct {
	Address string // IP and port
	CA      []byte // PEM of the authority that signed the host's certificate
}

// Network says which addresses may be dialled besides public ones.
type Network struct {
	AllowPrivate []netip.Prefix // RFC 1918 and fc00::/7 networks that the operator lists (C9)
	CA           []byte         // PEM of further authorities, for an intercepting proxy
	// OneRequest closes each connection after its request. Tests with virtual time need it: time stands
	// still there while a connection is open.
	OneRequest bool
}

const (
	dialTimeout   = 10 * time.Second
	maxHeader     = 64 << 10
	idleTimeout   = 90 * time.Second
	headerTimeout = 5 * time.Minute
)

// newTransport returns a transport that speaks HTTP/1.1 over TLS, follows no proxy of the environment,
// and dials only what the guard or an endpoint allows (ADL-68, C8c, C9).
func newTransport(cfg Config) (*http.Transport, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if len(cfg.Network.CA) > 0 && !roots.AppendCertsFromPEM(cfg.Network.CA) {
		return nil, fmt.Errorf("the operator's CA file holds no certificate")
	}
	d := dialer{endpoints: cfg.Endpoints, guard: guard{cfg.Network.AllowPrivate}, roots: roots}
	return &http.Transport{
		DialTLSContext:         d.dial,
		ForceAttemptHTTP2:      false,
		TLSNextProto:           map[string]func(string, *tls.Conn) http.RoundTripper{},
		MaxIdleConnsPerHost:    maxInFlight,
		MaxConnsPerHost:        2 * maxInFlight,
		IdleConnTimeout:        idleTimeout,
		ResponseHeaderTimeout:  headerTimeout,
		MaxResponseHeaderBytes: maxHeader,
		DisableCompression:     true,
		DisableKeepAlives:      cfg.Network.OneRequest,
		WriteBufferSize:        64 << 10,
	}, nil
}

// metadataHost is where a machine in Azure asks for the tokens of its own identity. It is the one
// link-local address that is dialled, and by nothing but this client.
const metadataHost = "169.254.169.254"

// newMetadataClient returns a client that reaches the machine's metadata service and nothing else.
func newMetadataClient(cfg Config) *http.Client {
	address := metadataHost + ":80"
	if e, ok := cfg.Endpoints[metadataHost]; ok {
		address = e.Address
	}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
				if addr != metadataHost+":80" {
					if stray, ok := ctx.Value(strayKey{}).(*strayError); ok {
						stray.host = addr
					}
					return nil, &dialError{fmt.Errorf("a managed identity is asked for at %s only", metadataHost)}
				}
				conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, network, address)
				if err != nil {
					return nil, &dialError{err}
				}
				return conn, nil
			},
			ResponseHeaderTimeout:  dialTimeout,
			MaxResponseHeaderBytes: maxHeader,
			DisableKeepAlives:      true,
		},
	}
}

type dialer struct {
	endpoints map[string]Endpoint
	guard     guard
	roots     *x509.CertPool
}

func (d dialer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	nd := &net.Dialer{Timeout: dialTimeout, Control: d.guard.control}
	roots := d.roots
	if e, ok := d.endpoints[host]; ok {
		nd.Control, addr = nil, e.Address
		if len(e.CA) > 0 {
			roots = x509.NewCertPool()
			if !roots.AppendCertsFromPEM(e.CA) {
				return nil, fmt.Errorf("the CA of endpoint %s is not a certificate", host)
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := nd.DialContext(ctx, network, addr)
	if err != nil {
		return nil, &dialError{err}
	}
	tc := tls.Client(conn, &tls.Config{ServerName: host, RootCAs: roots, MinVersion: tls.VersionTLS12})
	if err := tc.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, &dialError{err}
	}
	return tc, nil
}

// dialError happened before anything was sent.
type dialError struct{ err error }

func (e *dialError) Error() string { return e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

type dialOutcome int

const (
	dialed dialOutcome = iota
	dialTemporary
	dialFatal // it will fail again: no such host, an address not allowed, a certificate that is not trusted
)

func dialFailure(err error) dialOutcome {
	if _, ok := errors.AsType[*dialError](err); !ok {
		return dialed
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return dialFatal
	}
	_, forbidden := errors.AsType[*forbiddenAddress](err)
	_, cert := errors.AsType[*tls.CertificateVerificationError](err)
	if forbidden || cert {
		return dialFatal
	}
	return dialTemporary
}

// guard refuses addresses that no storage account has (C9). It sees the address that is dialled.
type guard struct{ private []netip.Prefix }

type forbiddenAddress struct{ addr netip.Addr }

func (e *forbiddenAddress) Error() string {
	return fmt.Sprintf("the address %s may not be dialled", e.addr)
}

func (g guard) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	return g.check(ap.Addr())
}

func (g guard) check(addr netip.Addr) error {
	if addr.Zone() != "" || addr.Is4In6() {
		return &forbiddenAddress{addr}
	}
	if addr.IsPrivate() && addr != netip.MustParseAddr("fd00:ec2::254") {
		if slices.ContainsFunc(g.private, func(p netip.Prefix) bool { return p.Contains(addr) }) {
			return nil
		}
		return &forbiddenAddress{addr}
	}
	if !addr.IsGlobalUnicast() {
		return &forbiddenAddress{addr}
	}
	for _, p := range forbiddenPrefixes() {
		if p.Contains(addr) {
			return &forbiddenAddress{addr}
		}
	}
	return nil
}

func forbiddenPrefixes() []netip.Prefix {
	var out []netip.Prefix
	for _, s := range []string{"0.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "198.18.0.0/15", "224.0.0.0/4", "240.0.0.0/4",
		"168.63.129.16/32", "::/96", "fd00:ec2::254/128", "fec0::/10", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "100::/64"} {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}
