// Package emulatortest starts lakes for tests. Only tests import it.
package emulatortest

import (
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
