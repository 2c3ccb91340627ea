package engine_test

import (
	"strings"
	"testing"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/engine"
	"github.com/lakeward/lakeward/internal/lake"
	"github.com/lakeward/lakeward/internal/lake/emulator"
	"github.com/lakeward/lakeward/internal/lake/emulator/emulatortest"
)

func steps(checks []lakeward.Check) string {
	var out []string
	for _, c := range checks {
		text := strings.TrimPrefix(c.ID, "DOC-")
		if !c.OK {
			text += " failed " + c.Code
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}

// CON-06, DOC-01 to DOC-13: the checks stop at the first failure, which names its code and fix.
func TestDoctor(t *testing.T) {
	const all = "01, 02, 03, 04, 05, 06, 07, 08, 09, 10, 11, 12, 13"
	for _, test := range []struct {
		name   string
		change func(x *engine.Examination, s *emulator.Server)
		want   string
		fix    string
	}{
		{"everything works", func(*engine.Examination, *emulator.Server) {}, all, ""},
		{"folder that does not exist yet", func(x *engine.Examination, _ *emulator.Server) { x.Folder = "a/b/c" }, all, ""},
		{"unknown tenant", func(x *engine.Examination, _ *emulator.Server) { x.Fields.Tenant = lakeward.NewID() }, "01, 02, 03, 04 failed CONN-2101", "tenant id"},
		{"wrong key", func(x *engine.Examination, _ *emulator.Server) { x.Fields.Key = lakeward.NewSecret("wrong") }, "01, 02, 03, 04, 05 failed CONN-2105", "secret value"},
		{"missing container", func(x *engine.Examination, _ *emulator.Server) {
			x.Fields.URL = strings.Replace(x.Fields.URL, "exports", "nowhere", 1)
		}, "01, 02, 03, 04, 05, 06 failed CONN-2010", "create it"},
		{"missing container is made", func(x *engine.Examination, _ *emulator.Server) {
			x.Fields.URL, x.CreateContainer = strings.Replace(x.Fields.URL, "exports", "newone", 1), true
		}, all, ""},
		{"no role", func(_ *engine.Examination, s *emulator.Server) { s.SetRole("local", "exports", "none") }, "01, 02, 03, 04, 05, 06", ""},
		{"no role, folder asked for", func(x *engine.Examination, s *emulator.Server) {
			s.SetRole("local", "exports", "none")
			x.Folder = "f"
		}, "01, 02, 03, 04, 05, 06, 07 failed CONN-2110", "az role assignment create"},
		{"firewall", func(_ *engine.Examination, s *emulator.Server) { s.SetRole("local", "exports", "firewall") }, "01, 02, 03, 04, 05, 06 failed CONN-2111", "private endpoint"},
		{"reader only", func(x *engine.Examination, s *emulator.Server) {
			s.SetRole("local", "exports", "reader")
			x.Folder = "f"
		}, "01, 02, 03, 04, 05, 06, 07 failed CONN-2110", "Storage Blob Data Contributor"},
		{"rename is refused", func(_ *engine.Examination, s *emulator.Server) {
			s.Arm(emulator.Fault{Op: "rename", Do: emulator.Status, Code: 403, Error: "AuthorizationPermissionMismatch"})
		}, all, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := emulatortest.Start(t, emulator.Options{NoSync: true})
			w := newWorld(t, s)
			x := engine.Examination{Sandbox: sandbox, Fields: emulatortest.Account(s)}
			test.change(&x, s)
			checks, err := w.Doctor(t.Context(), x, nil)
			if got := steps(checks); got != test.want {
				t.Fatalf("steps %s, want %s (%v)", got, test.want, err)
			}
			last := checks[len(checks)-1]
			if (err == nil) != last.OK || !strings.Contains(last.Detail+last.Fix, test.fix) {
				t.Errorf("last check %+v, error %v, want the fix %q", last, err, test.fix)
			}
			for _, c := range checks[1:] {
				if c.Basis == "" || c.Detail == "" {
					t.Errorf("check %+v says not what it rests on or what was found", c)
				}
			}
		})
	}
}

// ADL-80, CON-06: a principal with rights on one folder connects, its folder is probed in full, and it delivers.
func TestRightsOnOneFolderOnly(t *testing.T) {
	s := emulatortest.Start(t, emulator.Options{NoSync: true})
	w := newWorld(t, s)
	s.SetRole("local", "exports", "none")
	s.SetRole("local", "exports/team/in", "contributor")
	a, checks, err := w.CreateAccount(t.Context(), emulatortest.Account(s), false)
	if err != nil || a.State != lakeward.AccountConnected || !strings.Contains(checks[len(checks)-1].Detail, "folder not yet tested") {
		t.Fatalf("CreateAccount: %v, %+v", err, checks)
	}
	dest := lakeward.Destination{Sandbox: sandbox, Name: "elsewhere", Folder: "other", FileType: lakeward.CSV, Compression: lakeward.Gzip, CSV: lakeward.DefaultCSV()}
	if _, err := w.CreateDestination(t.Context(), dest, string(a.ID), false); lakeward.CodeOf(err) != "CONN-2110" {
		t.Errorf("a destination in a folder without rights: %v", err)
	}
	w.people("1,a@x.org,,Ann,30")
	w.audience("all", "age >= 0")
	if err := s.MakeFolder("local", "exports", "team/in"); err != nil { // somebody with rights made it
		t.Fatal(err)
	}
	dest.Name, dest.Folder, dest.Manifest = "team", "team/in", true
	must[lakeward.Destination](t)(w.CreateDestination(t.Context(), dest, string(a.ID), false))
	flow := must[lakeward.Dataflow](t)(w.CreateDataflow(t.Context(), lakeward.Dataflow{Name: "f", Sandbox: sandbox, Mapping: []lakeward.Mapping{named("name", "name")},
		Items: []lakeward.DataflowItem{{AudienceID: "all", Schedule: daily()}}}, "team"))
	r := w.export(flow)
	succeeded(t, r)
	if v := must[lakeward.Verification](t)(w.VerifyRun(t.Context(), sandbox, string(r.ID))); !v.OK() {
		t.Errorf("verify: %+v", v.Problems)
	}
}

// ADL-91: access control lists alone are enough, without any role: x on every folder above, rwx on the folder.
func TestListsAloneAreEnough(t *testing.T) {
	s := emulatortest.Start(t, emulator.Options{NoSync: true})
	w := newWorld(t, s)
	ctx := t.Context()
	at := lake.Endpoint{Address: s.Address(), CA: s.CA()}
	admin := must[*lake.Client](t)(lake.New(lake.Config{Location: s.Location(), SignIn: lakeward.AccountKey, Keys: []lakeward.Secret{lakeward.NewSecret(s.Endpoints().Accounts[0].Key)},
		Endpoints: map[string]lake.Endpoint{s.Location().Host(): at}}))
	defer admin.Close()
	if err := admin.MakeFolder(ctx, "team/in"); err != nil {
		t.Fatal(err)
	}
	grant := func(p, rights string) {
		t.Helper()
		if err := admin.SetAccess(ctx, p, lake.Access{ACL: "user::rwx,user:" + s.ObjectID() + ":" + rights + ",group::r-x,other::---"}); err != nil {
			t.Fatal(err)
		}
	}
	s.SetRole("local", "exports", "none")
	grant("", "--x")
	grant("team", "--x")
	a, checks, err := w.CreateAccount(ctx, emulatortest.Account(s), false)
	if err != nil || !strings.Contains(checks[len(checks)-1].Detail, "folder not yet tested") {
		t.Fatalf("CreateAccount: %v, %+v", err, checks)
	}
	dest := lakeward.Destination{Sandbox: sandbox, Name: "team", Folder: "team/in", Manifest: true, FileType: lakeward.CSV, Compression: lakeward.Gzip, CSV: lakeward.DefaultCSV()}
	_, err = w.CreateDestination(ctx, dest, string(a.ID), false)
	if lakeward.CodeOf(err) != "CONN-2110" || !strings.Contains(err.Error(), "give the application wx on the folder") {
		t.Errorf("before the folder is open: %v", err)
	}
	grant("team/in", "rwx")
	if d := must[lakeward.Destination](t)(w.CreateDestination(ctx, dest, string(a.ID), false)); d.Mode != lakeward.ByRename {
		t.Errorf("mode %q", d.Mode)
	}
	w.people("1,a@x.org,,Ann,30")
	w.audience("all", "age >= 0")
	flow := must[lakeward.Dataflow](t)(w.CreateDataflow(ctx, lakeward.Dataflow{Name: "f", Sandbox: sandbox, Mapping: []lakeward.Mapping{named("name", "name")},
		Items: []lakeward.DataflowItem{{AudienceID: "all", Schedule: daily()}}}, "team"))
	r := w.export(flow)
	succeeded(t, r)
	if v := must[lakeward.Verification](t)(w.VerifyRun(ctx, sandbox, string(r.ID))); !v.OK() {
		t.Errorf("verify: %+v", v.Problems)
	}
}
