package lake_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/lake"
	"github.com/lakeward/lakeward/internal/lake/emulator"
	"github.com/lakeward/lakeward/internal/lake/emulator/emulatortest"
)

// quick is a retry that gives up soon.
func quick() lake.Retry {
	return lake.Retry{Try: 5 * time.Second, Tries: 4, Base: time.Millisecond, Cap: 5 * time.Millisecond}
}

func config(s *emulator.Server) lake.Config {
	a := emulatortest.Account(s)
	at := lake.Endpoint{Address: s.Address(), CA: s.CA()}
	return lake.Config{Location: s.Location(), Tenant: a.Tenant, ClientID: a.ClientID, Keys: a.Keys(), Version: "test", Retry: quick(),
		Endpoints: map[string]lake.Endpoint{s.Location().Host(): at, s.Location().Authority(): at}}
}

func client(t *testing.T, cfg lake.Config) *lake.Client {
	t.Helper()
	c, err := lake.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestFileLife(t *testing.T) {
	s := emulatortest.Start(t, emulator.Options{})
	c := client(t, config(s))
	ctx := t.Context()
	if fs, err := c.Filesystem(ctx); err != nil || !fs.Hierarchical {
		t.Fatalf("Filesystem: %+v, %v", fs, err)
	}
	data := make([]byte, 20<<20+7)
	_, _ = rand.Read(data)
	for _, test := range []struct {
		name, path string
		data       []byte
	}{
		{"empty file", "a/empty", nil},
		{"one byte", "a/one", data[:1]},
		{"several blocks", "a/big", data},
		{"every awkward character", "a b/ü+%41#?&=@:,;'\"[]{}~/日本 x.csv", data[:1000]},
	} {
		t.Run(test.name, func(t *testing.T) {
			if err := c.Create(ctx, test.path, map[string]string{"lwv": "1", "who": "ü"}); err != nil {
				t.Fatal(err)
			}
			up, err := c.Upload(ctx, test.path, func(w io.Writer) error {
				_, err := io.Copy(w, bytes.NewReader(test.data))
				return err
			})
			if err != nil || up.Size != int64(len(test.data)) {
				t.Fatalf("Upload: %+v, %v", up, err)
			}
			o, err := c.Status(ctx, test.path)
			if err != nil || o.Size != int64(len(test.data)) || o.Properties["who"] != "ü" || o.ETag == "" {
				t.Fatalf("Status: %+v, %v", o, err)
			}
			to := test.path + ".moved"
			if err := c.Rename(ctx, test.path, to, lake.RenameCondition{SourceETag: o.ETag}); err != nil {
				t.Fatal(err)
			}
			r, o2, err := c.Read(ctx, to, 0, -1)
			if err != nil || o2.ETag != o.ETag {
				t.Fatalf("Read: %+v, %v; the etag must survive a rename", o2, err)
			}
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(got, test.data) || r.Close() != nil {
				t.Fatalf("read back %d bytes, %v", len(got), err)
			}
			for _, span := range [][2]int64{{int64(len(test.data)), -1}, {int64(len(test.data)) + 9, 5}, {0, 0}} {
				r, o4, err := c.Read(ctx, to, span[0], span[1])
				if err != nil || o4.Size != int64(len(test.data)) {
					t.Fatalf("nothing at %v: %+v, %v", span, o4, err)
				}
				if b, err := io.ReadAll(r); err != nil || len(b) != 0 || r.Close() != nil {
					t.Fatalf("nothing at %v: %d bytes, %v", span, len(b), err)
				}
			}
			if len(test.data) > 600 {
				r, o3, err := c.Read(ctx, to, 500, 100)
				if err != nil || o3.Size != int64(len(test.data)) {
					t.Fatalf("a range: %+v, %v", o3, err)
				}
				if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, test.data[500:600]) || r.Close() != nil {
					t.Fatalf("a range of %d bytes, %v", len(got), err)
				}
			}
			onDisk, err := os.ReadFile(filepath.Join(s.Dir(), "local", "exports", filepath.FromSlash(to)))
			if err != nil || !bytes.Equal(onDisk, test.data) {
				t.Fatalf("the plain file holds %d bytes, %v", len(onDisk), err)
			}
			if err := c.Delete(ctx, to, false); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Status(ctx, to); !lake.Missing(err) || lakeward.KindOf(err) != lakeward.NotFound {
				t.Errorf("Status after delete: %v", err)
			}
		})
	}
}

func TestConditionsHold(t *testing.T) {
	s := emulatortest.Start(t, emulator.Options{})
	c := client(t, config(s))
	ctx := t.Context()
	for _, p := range []string{"a", "b"} {
		if err := c.Create(ctx, p, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Create(ctx, "a", nil); !lake.Taken(err) {
		t.Errorf("create of an existing path: %v", err)
	}
	if err := c.Rename(ctx, "a", "b", lake.RenameCondition{}); !lake.Taken(err) {
		t.Errorf("rename onto an existing path: %v", err)
	}
	if err := c.Rename(ctx, "a", "c", lake.RenameCondition{SourceETag: "0x0"}); !lake.Taken(err) {
		t.Errorf("rename of a changed source: %v", err)
	}
	if err := c.Rename(ctx, "gone", "c", lake.RenameCondition{}); !lake.CodeIs(err, "SourcePathNotFound") {
		t.Errorf("rename of a missing source: %v", err)
	}
	b, err := c.Status(ctx, "b")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Rename(ctx, "a", "b", lake.RenameCondition{TargetETag: b.ETag}); err != nil {
		t.Errorf("rename pinned by the target's etag: %v", err)
	}
}

func TestListPages(t *testing.T) {
	s := emulatortest.Start(t, emulator.Options{NoSync: true})
	c := client(t, config(s))
	for _, p := range []string{"d/b", "d/a/x", "d/a-x", "other"} {
		if err := c.Create(t.Context(), p, nil); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for o, err := range c.List(t.Context(), "d", true) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, o.Path)
	}
	if want := []string{"d/a", "d/a/x", "d/a-x", "d/b"}; !slices.Equal(got, want) {
		t.Errorf("List: %v, want %v", got, want)
	}
}

// Nothing that was flushed is lost over a restart, nothing that was not is visible (ADL-104).
func TestLakeSurvivesARestart(t *testing.T) {
	dir := t.TempDir()
	s, err := emulator.Start(dir, emulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	c := client(t, config(s))
	ctx := t.Context()
	for _, p := range []string{"f", "open"} {
		if err := c.Create(ctx, p, map[string]string{"k": "v"}); err != nil {
			t.Fatal(err)
		}
		if err := c.Append(ctx, p, 0, []byte("hello")); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Flush(ctx, "f", 5, ""); err != nil {
		t.Fatal(err)
	}
	before, err := c.Status(ctx, "f")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, err = emulator.Start(dir, emulator.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c = client(t, config(s))
	after, err := c.Status(ctx, "f")
	if err != nil || after.ETag != before.ETag || after.Size != 5 || after.Properties["k"] != "v" {
		t.Errorf("after the restart: %+v, %v, want %+v", after, err, before)
	}
	if o, err := c.Status(ctx, "open"); err != nil || o.Size != 0 {
		t.Errorf("a file that was not flushed has %d bytes, %v", o.Size, err)
	}
	if err := c.Flush(ctx, "open", 5, ""); err != nil {
		t.Errorf("what was appended before the restart cannot be flushed: %v", err)
	}
}

// Faults that end are absorbed by calls that may be repeated (DLV-70b, DLV-70e, DLV-70g).
func TestRepeatableCallsAbsorbFaults(t *testing.T) {
	s := emulatortest.Start(t, emulator.Options{NoSync: true})
	c := client(t, config(s))
	ctx := t.Context()
	for _, effect := range []emulator.Fault{
		{Do: emulator.Status, Code: 500}, {Do: emulator.Status, Code: 429, After: "0"}, {Do: emulator.Status, Code: 503}, {Do: emulator.StatusAfter, Code: 500},
		{Do: emulator.DropBefore}, {Do: emulator.DropAfter}, {Do: emulator.FlipBit}, {Do: emulator.GarbageAnswer},
	} {
		for _, op := range []string{"metadata", "token", "append", "head"} {
			if op != "append" && effect.Do == emulator.FlipBit {
				continue
			}
			t.Run(op+" "+string(effect.Do), func(t *testing.T) {
				c := client(t, config(s))
				path := "p/" + lakeward.NewID()
				f := effect
				f.Op, f.Nth = op, 1
				disarm := s.Arm(f)
				err := errors.Join(c.Create(ctx, path, nil), c.Append(ctx, path, 0, []byte("data")), c.Flush(ctx, path, 4, ""))
				o, serr := c.Status(ctx, path)
				if err != nil || serr != nil || o.Size != 4 {
					t.Errorf("after the fault: %+v, %v, %v", o, err, serr)
				}
				if disarm() != 1 {
					t.Error("the fault did not strike")
				}
			})
		}
	}
	_ = c
}

// Calls that must not be repeated blindly say that their outcome is unclear (DLV-70d, f, h, j).
func TestUnclearOutcomesAreNotRepeated(t *testing.T) {
	s := emulatortest.Start(t, emulator.Options{NoSync: true})
	ctx := t.Context()
	for _, effect := range []emulator.Fault{{Do: emulator.Status, Code: 500}, {Do: emulator.StatusAfter, Code: 500}, {Do: emulator.DropBefore}, {Do: emulator.DropAfter}} {
		for op, do := range map[string]func(*lake.Client, string) error{
			"create": func(c *lake.Client, p string) error { return c.Create(ctx, p, nil) },
			"rename": func(c *lake.Client, p string) error { return c.Rename(ctx, "src/"+p, p, lake.RenameCondition{}) },
		} {
			c := client(t, config(s))
			path := lakeward.NewID()
			if err := c.Create(ctx, "src/"+path, nil); err != nil {
				t.Fatal(err)
			}
			f := effect
			f.Op = op
			disarm := s.Arm(f)
			err := do(c, path)
			if hits := disarm(); !lake.Unclear(err) || hits != 1 {
				t.Errorf("%s %s: %v after %d requests, want an unclear error after 1", op, effect.Do, err, hits)
			}
		}
	}
}

func TestUploadStopsWithItsWriter(t *testing.T) {
	s := emulatortest.Start(t, emulator.Options{})
	c := client(t, config(s))
	boom := errors.New("boom")
	if err := c.Create(t.Context(), "f", nil); err != nil {
		t.Fatal(err)
	}
	_, err := c.Upload(t.Context(), "f", func(w io.Writer) error {
		if _, err := w.Write(make([]byte, 9<<20)); err != nil {
			return err
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Errorf("Upload: %v, want the writer's error", err)
	}
	if o, err := c.Status(t.Context(), "f"); err != nil || o.Size != 0 {
		t.Errorf("after a failed upload: %+v, %v", o, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Upload(ctx, "f", func(w io.Writer) error {
		_, err := w.Write(make([]byte, 100<<20))
		return err
	}); err == nil {
		t.Error("Upload with a cancelled context succeeded")
	}
}

// C9: what no storage account has is not dialled.
func TestGuard(t *testing.T) {
	for addr, allowed := range map[string]bool{
		"20.60.1.1": true, "2603:1030::1": true, "10.0.0.5": false, "127.0.0.1": false, "169.254.169.254": false, "168.63.129.16": false, "0.0.0.0": false, "100.64.0.1": false,
		"::1": false, "::ffff:20.60.1.1": false, "64:ff9b::1": false, "fd00:ec2::254": false, "fe80::1": false, "2002::1": false, "224.0.0.1": false, "255.255.255.255": false, "198.18.0.1": false,
		"192.168.7.7": true, // listed below
	} {
		err := lake.CheckAddress(netip.MustParseAddr(addr), []netip.Prefix{netip.MustParsePrefix("192.168.7.0/24")})
		if (err == nil) != allowed {
			t.Errorf("address %s: %v, want allowed = %t", addr, err, allowed)
		}
	}
}
