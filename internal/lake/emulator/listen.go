package emulator

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/lakeward/lakeward"
)

// door is one of the lake's listeners with what serves it.
type door struct {
	ln   net.Listener
	http *http.Server
	done chan error
}

// open listens at an address and serves until the door is closed.
func open(addr string, tlsConfig *tls.Config, h http.Handler) (*door, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, &lakeward.Error{Kind: lakeward.Unavailable, Code: "LAKE-1001", Msg: "the lake cannot listen on " + addr + "; is another program there?", Err: err}
	}
	d := &door{ln: ln, done: make(chan error, 1), http: &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		TLSConfig: tlsConfig, TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}, ErrorLog: log.New(io.Discard, "", 0)}}
	go func() {
		if tlsConfig == nil {
			d.done <- d.http.Serve(ln)
		} else {
			d.done <- d.http.ServeTLS(ln, "", "")
		}
	}()
	return d, nil
}

// close ends the door politely: requests under way are finished.
func (d *door) close() error {
	if d == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	err := d.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = d.http.Close()
	}
	if served := <-d.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// address is the address of the door, "" if there is none.
func (d *door) address() string {
	if d == nil {
		return ""
	}
	return d.ln.Addr().String()
}

// listen opens the doors that are asked for: TLS always, the others on loopback only.
func (s *Server) listen() error {
	addr := s.opt.Listen
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	config.GetCertificate = func(h *tls.ClientHelloInfo) (*tls.Certificate, error) { return s.leaf(h.Conn.LocalAddr()) }
	var err error
	if s.tls, err = open(addr, config, s); err != nil {
		return err
	}
	for _, d := range []struct {
		name, addr string
		to         **door
		h          http.Handler
	}{{"--http", s.opt.HTTP, &s.plain, s}, {"--proxy", s.opt.Proxy, &s.proxy, &tunnels{target: s.tls.address()}}, {"--faults", s.opt.Faults, &s.control, s.controlHandler()}} {
		if d.addr == "" || err != nil {
			continue
		}
		if !loopback(d.addr) {
			err = &lakeward.Error{Kind: lakeward.Invalid, Code: "LAKE-1003", Msg: d.name + " listens on a loopback address only, such as 127.0.0.1:0"}
			continue
		}
		*d.to, err = open(d.addr, nil, d.h)
	}
	if err == nil {
		err = s.writeEndpoints()
	}
	if err != nil {
		return errors.Join(err, s.closeDoors())
	}
	return nil
}

func (s *Server) closeDoors() error {
	return errors.Join(s.proxy.close(), s.control.close(), s.plain.close(), s.tls.close())
}

// loopback reports whether an address to listen on is reached from this machine only.
func loopback(addr string) bool {
	ap, err := netip.ParseAddrPort(addr)
	return err == nil && ap.Addr().IsLoopback()
}

// leaf is a certificate and when it is signed anew.
type leaf struct {
	certificate *tls.Certificate
	renew       time.Time
}

// leaf is the certificate of the lake at an address.
func (s *Server) leaf(addr net.Addr) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	ip := net.IPv4(127, 0, 0, 1)
	if tcp, ok := addr.(*net.TCPAddr); ok {
		ip = tcp.IP
	}
	if l, ok := s.leaves[ip.String()]; ok && time.Now().Before(l.renew) {
		return l.certificate, nil
	}
	cert, err := s.ca.leaf(ip)
	if err != nil {
		return nil, err
	}
	s.leaves[ip.String()] = leaf{&cert, time.Now().AddDate(0, 0, 14)}
	return &cert, nil
}

// tunnels is a proxy for clients that insist on the service's host names: it leads every tunnel to the lake
// and refuses every other host, so that nothing leaves the machine by mistake (ADL-131).
type tunnels struct{ target string }

func (t *tunnels) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodConnect {
		http.Error(w, "this proxy leads tunnels to the local lake and does nothing else", http.StatusMethodNotAllowed)
		return
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil || !lakeHost(host) {
		http.Error(w, "this proxy leads to the local lake only", http.StatusForbidden)
		return
	}
	up, err := (&net.Dialer{Timeout: 10 * time.Second}).DialContext(r.Context(), "tcp", t.target)
	if err != nil {
		http.Error(w, "the local lake does not answer", http.StatusBadGateway)
		return
	}
	defer up.Close()
	down, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer down.Close()
	if _, err := io.WriteString(down, "HTTP/1.1 200 Connection established\r\n\r\n"); err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(up, buffered)
		_ = up.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(down, up)
}

// lakeHost reports whether the lake stands for a host: those of storage accounts and authorities.
func lakeHost(host string) bool {
	for _, c := range lakeward.Clouds() {
		if host == c.Authority || strings.HasSuffix(host, ".dfs."+c.Suffix) || strings.HasSuffix(host, ".blob."+c.Suffix) {
			return true
		}
	}
	return false
}
