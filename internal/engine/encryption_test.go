package engine_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/engine"
	"github.com/lakeward/lakeward/internal/lake"
	"github.com/lakeward/lakeward/internal/lake/emulator"
	"github.com/lakeward/lakeward/internal/lake/emulator/emulatortest"
)

// owner makes a key that is valid for a time, 0 for ever, and the text of its public part.
func owner(t *testing.T, from time.Time, lifetime time.Duration) (*openpgp.Entity, string) {
	t.Helper()
	e := must[*openpgp.Entity](t)(openpgp.NewEntity("Ann", "", "ann@example.com", &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA,
		KeyLifetimeSecs: uint32(lifetime.Seconds()), Time: func() time.Time { return from }}))
	return e, armored(t, openpgp.PublicKeyType, e.Serialize)
}

func armored(t *testing.T, kind string, write func(io.Writer) error) string {
	t.Helper()
	var out bytes.Buffer
	w := must[io.WriteCloser](t)(armor.Encode(&out, kind, nil))
	if err := write(w); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// open decrypts a file; the name in it must be that of the file without its suffix.
func open(t *testing.T, e *openpgp.Entity, name string, data []byte) []byte {
	t.Helper()
	md := must[*openpgp.MessageDetails](t)(openpgp.ReadMessage(bytes.NewReader(data), openpgp.EntityList{e}, nil, nil))
	got := must[[]byte](t)(io.ReadAll(md.UnverifiedBody))
	if want := strings.TrimSuffix(path.Base(name), ".gpg"); md.LiteralData.FileName != want || !strings.HasSuffix(name, ".gpg") {
		t.Errorf("the message in %s is named %s", name, md.LiteralData.FileName)
	}
	return got
}

// S25, ENC-01 to ENC-07: with a key on the account every file is one message to it, compressed before it is
// encrypted; the manifest stays plain.
func TestEncryptedExport(t *testing.T) {
	e, text := owner(t, time.Now().Add(-time.Hour), 0)
	second, more := owner(t, time.Now().Add(-time.Hour), 0)
	for _, test := range []struct {
		name string
		dest lakeward.Destination
		ext  string
	}{
		{"CSV", lakeward.Destination{Compression: lakeward.Gzip}, ".csv.gz.gpg"},
		{"JSON", lakeward.Destination{FileType: lakeward.JSON}, ".json.gpg"},
		{"Parquet", lakeward.Destination{FileType: lakeward.Parquet, Compression: lakeward.Gzip}, ".gz.parquet.gpg"},
		{"several keys", lakeward.Destination{Extensions: true, Recipients: []lakeward.EncryptionKey{{PublicKey: more}}}, ".csv.gpg"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
			w.people("1,a@x.org,,Ann,30", "2,b@x.org,,Bob,31", "3,c@x.org,,Cid,32")
			w.audience("all", "age >= 0")
			test.dest.Manifest, test.dest.RowsPerFile = true, 2
			plain := test.dest
			plain.Folder, plain.Recipients = "plain", nil
			want := w.export(w.flow(plain, "all", daily(), named("name", "name"), named("age", "age")))
			succeeded(t, want)
			w.pgp = text
			r := w.export(w.flow(test.dest, "all", daily(), named("name", "name"), named("age", "age")))
			w.content(r)
			for i, f := range r.Files {
				data := must[[]byte](t)(os.ReadFile(w.path(f.Path)))
				got := open(t, e, f.Path, data)
				if was := must[[]byte](t)(os.ReadFile(w.path(want.Files[i].Path))); !bytes.Equal(got, was) {
					t.Errorf("part %d decrypts to %d bytes, the plain file has %d", i, len(got), len(was))
				}
				keys := []string{fmt.Sprintf("%X", e.PrimaryKey.Fingerprint)}
				if len(test.dest.Recipients) > 0 {
					keys = append(keys, fmt.Sprintf("%X", second.PrimaryKey.Fingerprint))
					open(t, second, f.Path, data)
				}
				if strings.Join(f.Recipients, " ") != strings.Join(keys, " ") || !strings.HasSuffix(f.Path, test.ext) {
					t.Errorf("%s is recorded for %v, want the suffix %s and %v", f.Path, f.Recipients, test.ext, keys)
				}
			}
			if m := string(must[[]byte](t)(os.ReadFile(w.path(r.Manifest)))); !strings.Contains(m, path.Base(r.Files[1].Path)) {
				t.Errorf("manifest %s", m)
			}
		})
	}
}

// DLV-130, INV-24: verify says of an encrypted file what can be said without the key.
func TestVerifyEncrypted(t *testing.T) {
	e, text := owner(t, time.Now().Add(-time.Hour), 0)
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	const canary = "a name that stands nowhere in the lake"
	w.people("1,a@x.org,," + canary + ",30")
	w.audience("all", "age >= 0")
	w.pgp = text
	r := w.export(w.flow(lakeward.Destination{}, "all", daily(), named("name", "name")))
	w.content(r)
	for _, p := range must[[]string](t)(allFiles(w.lake.Dir())) { // ENC-06
		if bytes.Contains(must[[]byte](t)(os.ReadFile(p)), []byte(canary)) {
			t.Errorf("%s holds plain text", p)
		}
	}
	key := armored(t, openpgp.PrivateKeyType, func(w io.Writer) error { return e.SerializePrivateWithoutSigning(w, nil) })
	if v := must[lakeward.Verification](t)(w.VerifyOpened(t.Context(), sandbox, string(r.ID), lakeward.NewSecret(key))); !v.OK() || v.Files[0].Rows != 1 || v.Files[0].Encrypted {
		t.Errorf("with the private key: %+v", v)
	}
	other, _ := owner(t, time.Now().Add(-time.Hour), 0)
	stranger := armored(t, openpgp.PrivateKeyType, func(w io.Writer) error { return other.SerializePrivateWithoutSigning(w, nil) })
	if v := must[lakeward.Verification](t)(w.VerifyOpened(t.Context(), sandbox, string(r.ID), lakeward.NewSecret(stranger))); v.OK() {
		t.Error("another private key opened the file")
	}
	if _, err := w.VerifyOpened(t.Context(), sandbox, string(r.ID), lakeward.NewSecret(text)); lakeward.CodeOf(err) != "PGP-1006" {
		t.Errorf("with a public key: %v", err)
	}
	file := w.path(r.Files[0].Path)
	good := must[[]byte](t)(os.ReadFile(file))
	for _, test := range []struct {
		name string
		data []byte
		what string
	}{
		{"cut", good[:len(good)-1], "the message is cut"}, {"more behind", append(bytes.Clone(good), 1), "more behind the message"},
		{"plain", []byte("name\nAnn\n"), "no OpenPGP message"}, {"flipped", flip(good, len(good)/2), "the content differs"},
	} {
		write(t, file, test.data)
		v := must[lakeward.Verification](t)(w.VerifyRun(t.Context(), sandbox, string(r.ID)))
		if !strings.Contains(fmt.Sprint(v.Problems), test.what) {
			t.Errorf("%s: problems %+v, want %q", test.name, v.Problems, test.what)
		}
	}
}

// allFiles lists the files below a folder.
func allFiles(dir string) (out []string, err error) {
	err = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			out = append(out, p)
		}
		return err
	})
	return out, err
}

// DOC-14: the doctor looks at the key of an account and tells its fingerprint.
func TestDoctorLooksAtTheKey(t *testing.T) {
	e, text := owner(t, time.Now().Add(-time.Hour), 10*24*time.Hour)
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	a := emulatortest.Account(w.lake)
	a.EncryptionKey = &lakeward.EncryptionKey{PublicKey: text}
	a, checks, err := w.CreateAccount(t.Context(), a, false)
	if err != nil {
		t.Fatal(err)
	}
	last := checks[len(checks)-1]
	if want := fmt.Sprintf("%X", e.PrimaryKey.Fingerprint); last.ID != "DOC-14" || !last.OK || !strings.Contains(last.Detail, want) || !strings.Contains(last.Detail, "expires") || a.EncryptionKey.Fingerprint != want {
		t.Errorf("check %+v, key %+v, want the fingerprint %s", last, a.EncryptionKey, want)
	}
}

// engineEdit changes the encryption key alone.
func engineEdit(key *string) engine.AccountEdit { return engine.AccountEdit{EncryptionKey: key} }

func flip(b []byte, at int) []byte {
	c := bytes.Clone(b)
	c[at] ^= 1
	return c
}

// ENC-03, ACC-03, CON-03: a key is taken up by the next run and dropped for the one after it; a bad one is refused with
// its reason and changes nothing.
func TestEncryptionKeyOfAnAccount(t *testing.T) {
	t.Parallel()
	_, text := owner(t, time.Now().Add(-time.Hour), 0)
	_, old := owner(t, time.Now().Add(-2*time.Hour), time.Hour)
	w := newWorld(t, emulatortest.Start(t, emulator.Options{NoSync: true}))
	w.people("1,a@x.org,,Ann,30")
	w.audience("all", "age >= 0")
	flow := w.flow(lakeward.Destination{}, "all", daily(), named("name", "name"))
	dest := must[lakeward.Destination](t)(w.store.Destination(t.Context(), sandbox, string(flow.DestinationID)))
	none := ""
	for _, test := range []struct {
		name   string
		key    *string
		code   string
		suffix string
	}{
		{"none", nil, "", ".csv"}, {"added", &text, "", ".gpg"}, {"expired", &old, "PGP-1015", ".gpg"}, {"dropped", &none, "", ".csv"},
	} {
		_, _, err := w.EditAccount(t.Context(), sandbox, string(dest.AccountID), engineEdit(test.key), false)
		if lakeward.CodeOf(err) != test.code {
			t.Fatalf("%s: %v, want code %q", test.name, err, test.code)
		}
		if r := w.export(flow); r.State != lakeward.Succeeded || !strings.HasSuffix(r.Files[0].Path, test.suffix) {
			t.Errorf("%s: run is %s, files %+v", test.name, r.State, r.Files)
		}
	}
	if _, err := w.CreateDestination(t.Context(), lakeward.Destination{Sandbox: sandbox, Name: "d", FileType: lakeward.JSON, Compression: lakeward.Gzip, Extensions: true,
		Recipients: []lakeward.EncryptionKey{{PublicKey: old}}}, string(dest.AccountID), true); lakeward.CodeOf(err) != "PGP-1015" || !strings.Contains(err.Error(), "recipients/0") {
		t.Errorf("an expired recipient: %v", err)
	}
}

// C11, DLV-49, CASE-08: a key that ended since it was entered fails the run before anything is visible, also when it
// ends while the files are written.
func TestEndedKeyFailsTheRun(t *testing.T) {
	for _, test := range []struct {
		name string
		wait time.Duration // before the run
		slow bool          // it takes five minutes
	}{{"before the run", time.Hour, false}, {"between prepare and commit", 0, true}} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, at(12), func(t *testing.T, w *world) {
				w.people("1,a@x.org,,Ann,30")
				w.audience("all", "age >= 0")
				_, w.pgp = owner(t, time.Now(), 3*time.Minute)
				flow := w.flow(lakeward.Destination{Manifest: true}, "all", daily(), named("name", "name"))
				time.Sleep(test.wait)
				if test.slow {
					w.lake.Arm(emulator.Fault{Op: "flush", Nth: 1, Do: emulator.Status, Code: 503, After: "300"})
				}
				r := w.export(flow)
				if r.State != lakeward.Failed || r.Cause.Code != lakeward.FailEncrypt || !strings.Contains(r.Cause.Message, "PGP-1015") {
					t.Errorf("run is %s, cause %+v, want %s with PGP-1015", r.State, r.Cause, lakeward.FailEncrypt)
				}
				if visible, _ := filepath.Glob(w.path("*.*")); len(visible) > 0 {
					t.Errorf("visible files %v", visible)
				}
			})
		})
	}
}

// DLV-15, DLV-56, DLV-100: encrypted files differ at each try. Whatever a request meets, and also when a block of an
// earlier try arrives late, what is delivered decrypts to the rows.
func TestEncryptedFilesSurviveFaults(t *testing.T) {
	t.Parallel()
	e, text := owner(t, time.Now().Add(-time.Hour), 0)
	for mode, account := range accounts() {
		t.Run(mode, func(t *testing.T) {
			d := newDisturbed(t, account)
			d.pgp = text
			target := func() lakeward.Dataflow {
				return d.flow(lakeward.Destination{Folder: "f/" + lakeward.NewID(), Compression: lakeward.Gzip, Manifest: true}, "all", daily(), named("name", "name"))
			}
			what := "staged"
			if account != "local" {
				what = "final"
			}
			for _, kind := range []string{"create " + what, "append " + what, "flush " + what, "read final"} {
				for name, fault := range map[string]emulator.Fault{"500+": {Do: emulator.StatusAfter, Code: 500}, "lost": {Do: emulator.DropAfter}, "hang": {Do: emulator.Hang, Delay: 300 * time.Millisecond}, "late": {Do: emulator.Hold}} {
					wake := make(chan struct{})
					var once sync.Once
					fault.Until, fault.Nth = wake, 2
					fault.Match = func(x emulator.Entry) bool { return kindOf(x) == kind }
					if name == "late" { // goes through when the next request of its kind comes
						fault.Struck = func() { time.AfterFunc(250*time.Millisecond, func() { once.Do(func() { close(wake) }) }) }
					}
					disarm := d.lake.Arm(fault)
					r := d.finish(must[[]lakeward.Run](t)(d.RunDataflow(t.Context(), sandbox, string(target().ID), nil))[0].ID)
					disarm()
					if r.State != lakeward.Succeeded {
						t.Errorf("%s at %s: run is %s, cause %+v", name, kind, r.State, r.Cause)
						continue
					}
					if v := must[lakeward.Verification](t)(d.VerifyRun(t.Context(), sandbox, string(r.ID))); !v.OK() {
						t.Errorf("%s at %s: verify %+v", name, kind, v.Problems)
					}
					packed := open(t, e, r.Files[0].Path, must[[]byte](t)(os.ReadFile(d.path(r.Files[0].Path))))
					rows := must[[]byte](t)(io.ReadAll(must[*gzip.Reader](t)(gzip.NewReader(bytes.NewReader(packed)))))
					if n := strings.Count(string(rows), "\n"); n != 91 {
						t.Errorf("%s at %s: %d lines", name, kind, n)
					}
				}
			}
		})
	}
}

// DLV-100: a block of another try that lies in the file when it is flushed is found by reading it back, and the file is
// written again.
func TestForeignBlockInAnEncryptedFile(t *testing.T) {
	e, text := owner(t, time.Now().Add(-time.Hour), 0)
	d := newDisturbed(t, "flat:flat")
	d.pgp = text
	flow := d.flow(lakeward.Destination{Folder: "f", Manifest: true}, "all", daily(), named("name", "name"))
	damaged := 0
	a := emulatortest.Account(d.lake)
	client := must[*lake.Client](t)(lake.New(lake.Config{Location: d.lake.Location(), Tenant: a.Tenant, ClientID: a.ClientID, Keys: []lakeward.Secret{a.Key}, Endpoints: d.cfg.Endpoints, Retry: quick()}))
	defer client.Close()
	d.lake.Arm(emulator.Fault{Match: func(x emulator.Entry) bool { return kindOf(x) == "flush final" }, Nth: 1, Do: emulator.Delayed, Struck: func() {
		files, _ := filepath.Glob(d.path("f/*.gpg"))
		for _, f := range files {
			if err := client.Append(t.Context(), "f/"+filepath.Base(f), 0, bytes.Repeat([]byte{7}, 512)); err != nil {
				t.Error(err)
			}
			damaged++
		}
	}})
	r := d.finish(must[[]lakeward.Run](t)(d.RunDataflow(t.Context(), sandbox, string(flow.ID), nil))[0].ID)
	succeeded(t, r)
	rows := open(t, e, r.Files[0].Path, must[[]byte](t)(os.ReadFile(d.path(r.Files[0].Path))))
	if n := strings.Count(string(rows), "\n"); damaged == 0 || n != 91 {
		t.Errorf("%d blocks were put in, the file decrypts to %d lines", damaged, n)
	}
}
