// Package emulatortest starts lakes for tests. Only tests import it.
package emulatortest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"testing"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/lake/emulator"
)

// Start serves a new lake until the test ends.
func Start(t testing.TB, opt emulator.Options) *emulator.Server {
	t.Helper()
	s, err := emulator.Start(t.TempDir(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the lake: %v", err)
		}
	})
	return s
}

// Account is an account on the lake's default container.
func Account(s *emulator.Server) lakeward.Account {
	e := s.Endpoints()
	return lakeward.Account{ID: lakeward.AccountID(lakeward.NewID()), Sandbox: lakeward.DefaultSandbox, Name: "lake", URL: s.Location().URL(), Tenant: e.Tenant, ClientID: e.ClientID,
		Key: lakeward.NewSecret(e.ClientSecret)}
}

// Client finds every host at the lake and trusts its authority.
func Client(t testing.TB, s *emulator.Server) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.CA())
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, s.Address())
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}
