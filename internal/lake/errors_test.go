package lake_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/lake"
	"github.com/lakeward/lakeward/internal/lake/emulator"
	"github.com/lakeward/lakeward/internal/lake/emulator/emulatortest"
)

// errorRow is a row of adls.md 8: what goes wrong, and what the user is told.
type errorRow struct {
	name string
	with func(*lake.Config, *emulator.Server)
	do   func(context.Context, *lake.Client) error // nil looks at the container
	kind lakeward.Kind
	code string
	run  string // code of a run that fails of it
	text string
	id   bool // the other side's request id belongs to it
}

func answerWith(op string, status int, code string) func(*lake.Config, *emulator.Server) {
	return func(_ *lake.Config, s *emulator.Server) {
		s.Arm(emulator.Fault{Op: op, Do: emulator.Status, Code: status, Error: code})
	}
}

func create(path string) func(context.Context, *lake.Client) error {
	return func(ctx context.Context, c *lake.Client) error { return c.Create(ctx, path, nil) }
}

func errorRows() []errorRow {
	const denied, missing, conflict, away = lakeward.Denied, lakeward.NotFound, lakeward.Conflict, lakeward.Unavailable
	return []errorRow{
		{name: "ERR-01 unknown tenant", with: func(c *lake.Config, _ *emulator.Server) { c.Tenant = lakeward.NewID() }, kind: denied, code: "CONN-2101", run: lakeward.FailAuth, text: "the url's suffix belongs to its cloud", id: true},
		{name: "ERR-02 unknown application", with: func(c *lake.Config, _ *emulator.Server) { c.ClientID = lakeward.NewID() }, kind: denied, code: "CONN-2104", run: lakeward.FailAuth, text: "Application (client) ID, not the object id", id: true},
		{name: "ERR-03 wrong key", with: func(c *lake.Config, _ *emulator.Server) {
			c.Keys = []lakeward.Secret{lakeward.NewSecret("c4n4ry-wrong")}
		}, kind: denied, code: "CONN-2105", run: lakeward.FailAuth, text: "paste the secret value, not the secret id", id: true},
		{name: "ERR-04 expired key", with: func(_ *lake.Config, s *emulator.Server) { s.ExpireSecret(true) }, kind: denied, code: "CONN-2106", run: lakeward.FailAuth, text: "Certificates & secrets", id: true},
		{name: "ERR-05 conditional access", with: func(_ *lake.Config, s *emulator.Server) { s.RefuseSignIn(53003) }, kind: denied, code: "CONN-2107", run: lakeward.FailAuth, text: "AADSTS53003); ask your Entra administrator", id: true},
		{name: "ERR-06 another tenant", with: func(_ *lake.Config, s *emulator.Server) {
			s.SetAccountTenant("local", "11111111-2222-4333-8444-555555555555")
		}, kind: denied, code: "CONN-2108", run: lakeward.FailAuth, text: "(it belongs to tenant 11111111-2222-4333-8444-555555555555); enter the tenant of the account", id: true},
		{name: "ERR-07 no data role", with: func(_ *lake.Config, s *emulator.Server) { s.SetRole("local", "exports", "none") }, kind: denied, code: "CONN-2110", run: lakeward.FailForbidden, text: "/blobServices/default/containers/exports; it may take 10 minutes", id: true},
		{name: "ERR-08 firewall", with: func(_ *lake.Config, s *emulator.Server) { s.SetRole("local", "exports", "firewall") }, kind: denied, code: "CONN-2111", run: lakeward.FailForbidden, text: "a network rule", id: true},
		{name: "ERR-09 no container", with: func(c *lake.Config, _ *emulator.Server) { c.Location.Container = "nowhere" }, kind: missing, code: "CONN-2010", run: lakeward.FailNotFound, text: "create it, or", id: true},
		{name: "ERR-10 no such account", with: func(c *lake.Config, _ *emulator.Server) {
			c.Location.Account = "nosuchaccount"
			delete(c.Endpoints, c.Location.Host())
		}, kind: missing, code: "CONN-2001", run: lakeward.FailNotFound, text: "DNS"},
		{name: "ERR-12 certificate", with: func(c *lake.Config, _ *emulator.Server) {
			e := c.Endpoints[c.Location.Host()]
			e.CA = nil
			c.Endpoints[c.Location.Host()] = e
		}, kind: denied, code: "CONN-2006", run: lakeward.FailNetwork, text: `issued by "Lakeward local lake CA"); is a proxy intercepting? Its CA belongs into`},
		{name: "ERR-13 redirect", with: answerWith("fs-head", 307, ""), kind: denied, code: "CONN-2005", run: lakeward.FailNetwork, text: "unexpected redirect, not followed", id: true},
		{name: "ERR-15 flat account with soft delete", with: answerWith("create", 409, "EndpointUnsupportedAccountFeatures"), do: create("a"), kind: lakeward.Invalid, code: "CONN-2012", run: lakeward.FailNetwork, text: "switch it off or use an account with hierarchical namespace", id: true},
		{name: "ERR-16 a file in the way", do: func(ctx context.Context, c *lake.Client) error {
			return errors.Join(c.Create(ctx, "a", nil), c.Create(ctx, "a/b", nil))
		}, kind: conflict, code: lakeward.FailConflict, run: lakeward.FailConflict, text: `in the way at "a/b"`, id: true},
		{name: "ERR-17 somebody else leases", do: func(ctx context.Context, c *lake.Client) error {
			return errors.Join(c.Create(ctx, "a", nil), c.AcquireLease(ctx, "a", lakeward.NewID(), time.Minute), c.Append(ctx, "a", 0, []byte("x")))
		}, kind: conflict, code: lakeward.FailConflict, run: lakeward.FailConflict, text: `somebody else writes or leases "a"; nothing was replaced`, id: true},
		{name: "ERR-17 somebody else writes", do: func(ctx context.Context, c *lake.Client) error {
			return errors.Join(c.Create(ctx, "a", nil), c.Flush(ctx, "a", 5, ""))
		}, kind: conflict, code: lakeward.FailConflict, run: lakeward.FailConflict, text: "nothing was replaced", id: true},
		{name: "ERR-18 immutability policy", with: answerWith("create", 409, "PathImmutableDueToPolicy"), do: create("a"), kind: denied, code: lakeward.FailForbidden, run: lakeward.FailForbidden, text: "static names cannot be replaced here", id: true},
		{name: "ERR-19 busy", with: answerWith("fs-head", 503, "ServerBusy"), kind: away, code: lakeward.FailThrottled, run: lakeward.FailThrottled, text: "slowed down and sent again", id: true},
		{name: "ERR-19 too many requests", with: answerWith("fs-head", 429, ""), kind: away, code: lakeward.FailThrottled, run: lakeward.FailThrottled, text: "busy", id: true},
		{name: "ERR-19 timed out", with: answerWith("fs-head", 500, "OperationTimedOut"), kind: away, code: lakeward.FailThrottled, run: lakeward.FailThrottled, text: "busy", id: true},
		{name: "ERR-20 account limit", with: answerWith("fs-head", 503, "IngressIsOverTheLimit"), kind: away, code: lakeward.FailQuota, run: lakeward.FailQuota, text: "IngressIsOverTheLimit", id: true},
		{name: "ERR-20 full disk of the local lake", with: answerWith("create", 503, "LakeDiskFull"), do: create("a"), kind: away, code: lakeward.FailQuota, run: lakeward.FailQuota, text: "LakeDiskFull", id: true},
		{name: "ERR-21 clock", with: func(_ *lake.Config, s *emulator.Server) { s.SetClock(-20 * time.Minute) }, kind: denied, code: "CONN-2013", run: lakeward.FailAuth, text: "differs from the storage's by 20m0s; set it", id: true},
		{name: "ERR-22 not understood", with: func(_ *lake.Config, s *emulator.Server) {
			s.Arm(emulator.Fault{Op: "fs-head", Do: emulator.GarbageAnswer})
		}, kind: away, code: "CONN-2103", run: lakeward.FailNetwork, text: "unexpected answer from the storage"},
		{name: "ERR-22 identity provider not understood", with: func(_ *lake.Config, s *emulator.Server) {
			s.Arm(emulator.Fault{Op: "token", Do: emulator.GarbageAnswer})
		}, kind: away, code: "CONN-2103", run: lakeward.FailNetwork, text: "unexpected answer from the identity provider"},
		{name: "ERR-23 container being deleted", with: answerWith("fs-head", 409, "FilesystemBeingDeleted"), kind: away, code: lakeward.FailNotFound, run: lakeward.FailNotFound, text: "wait 30 seconds", id: true},
		{name: "server error", with: answerWith("fs-head", 500, "InternalError"), kind: away, code: lakeward.FailNetwork, run: lakeward.FailNetwork, text: "failed to answer", id: true},
	}
}

// ERR-01 to ERR-23: one seeded fault for each row gives the text of that row, decided by code. ERR-11 is in
// TestForbiddenAddressText, ERR-14 in the engine's TestConnectionTestFindsTheMode.
func TestErrorTexts(t *testing.T) {
	for _, row := range errorRows() {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := emulatortest.Start(t, emulator.Options{NoSync: true})
			cfg := config(s)
			if row.with != nil {
				row.with(&cfg, s)
			}
			c := client(t, cfg)
			var err error
			if row.do != nil {
				err = row.do(t.Context(), c)
			} else {
				_, err = c.Filesystem(t.Context())
			}
			e, ok := errors.AsType[*lakeward.Error](err)
			if !ok || e.Kind != row.kind || e.Code != row.code || !strings.Contains(e.Msg, row.text) {
				t.Fatalf("%v, want kind %s, code %s, text %q", err, row.kind, row.code, row.text)
			}
			if got := lake.RunCode(e); got != row.run {
				t.Errorf("RunCode = %s, want %s", got, row.run)
			}
			if row.id != (e.RequestID != "") {
				t.Errorf("request id %q", e.RequestID)
			}
			if strings.Contains(e.Msg, "<object id") {
				t.Errorf("the object id of the token is not named: %s", e.Msg)
			}
			if strings.Contains(err.Error(), "c4n4ry") || strings.Contains(err.Error(), "<html>") {
				t.Errorf("the error shows the key or the answer: %v", err)
			}
		})
	}
}
