package lake_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/lake"
	"github.com/lakeward/lakeward/internal/lake/emulator"
	"github.com/lakeward/lakeward/internal/lake/emulator/emulatortest"
)

func TestAccess(t *testing.T) {
	s := emulatortest.Start(t, emulator.Options{})
	c := client(t, config(s))
	ctx := t.Context()
	for _, p := range []string{"d/a", "d/e/b", "other"} {
		if err := c.Create(ctx, p, nil); err != nil {
			t.Fatal(err)
		}
	}
	if a, err := c.Access(ctx, "d/a"); err != nil || a.Permissions != "rw-r-----" || a.ACL != "user::rw-,group::r--,other::---" {
		t.Fatalf("the rights of a new file are %+v, %v", a, err)
	}
	if err := c.SetAccess(ctx, "d/a", lake.Access{Permissions: "rwxrwx---", Owner: "me"}); err != nil {
		t.Fatal(err)
	}
	if a, err := c.Access(ctx, "d/a"); err != nil || a.Permissions != "rwxrwx---" || a.Owner != "me" {
		t.Fatalf("the rights that were set are %+v, %v", a, err)
	}
	id := lakeward.NewID()
	got, err := c.SetAccessBelow(ctx, "d", lake.AccessModify, "user:"+id+":r-x")
	if diff := cmp.Diff(lake.AccessChanges{Folders: 2, Files: 2}, got); err != nil || diff != "" {
		t.Fatal(err, diff)
	}
	for p, want := range map[string]bool{"d": true, "d/a": true, "d/e": true, "d/e/b": true, "other": false} {
		if a, err := c.Access(ctx, p); err != nil || strings.Contains(a.ACL, id) != want {
			t.Errorf("%s has %+v, %v", p, a, err)
		}
	}
	if got, err = c.SetAccessBelow(ctx, "d", lake.AccessRemove, "user:"+id); err != nil || got.Files != 2 {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := c.SetAccessBelow(ctx, "nowhere", lake.AccessSet, "user::rwx,group::---,other::---"); !lake.Missing(err) {
		t.Errorf("a missing folder: %v", err)
	}
}

func TestLeases(t *testing.T) {
	s := emulatortest.Start(t, emulator.Options{})
	c := client(t, config(s))
	ctx := t.Context()
	if err := c.Create(ctx, "a", nil); err != nil {
		t.Fatal(err)
	}
	one, two := lakeward.NewID(), lakeward.NewID()
	for _, step := range []struct {
		name string
		do   func() error
		code string
	}{
		{"too short", func() error { return c.AcquireLease(ctx, "a", one, time.Second) }, "InvalidHeaderValue"},
		{"acquire", func() error { return c.AcquireLease(ctx, "a", one, time.Minute) }, ""},
		{"acquire again", func() error { return c.AcquireLease(ctx, "a", one, time.Minute) }, ""},
		{"somebody else", func() error { return c.AcquireLease(ctx, "a", two, time.Minute) }, "LeaseAlreadyPresent"},
		{"write without", func() error { return c.Append(ctx, "a", 0, []byte("x")) }, "LeaseIdMissing"},
		{"renew", func() error { return c.RenewLease(ctx, "a", one) }, ""},
		{"change", func() error { return c.ChangeLease(ctx, "a", one, two) }, ""},
		{"the old id", func() error { return c.RenewLease(ctx, "a", one) }, "LeaseIdMismatchWithLeaseOperation"},
		{"release", func() error { return c.ReleaseLease(ctx, "a", two) }, ""},
		{"without end", func() error { return c.AcquireLease(ctx, "a", one, -1) }, ""},
		{"break", func() error { return c.BreakLease(ctx, "a") }, ""},
		{"write", func() error { return c.Append(ctx, "a", 0, []byte("x")) }, ""},
	} {
		err := step.do()
		if step.code == "" && err != nil || step.code != "" && !lake.CodeIs(err, step.code) {
			t.Fatalf("%s: %v, want %q", step.name, err, step.code)
		}
	}
}
