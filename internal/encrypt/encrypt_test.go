package encrypt

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/lakeward/lakeward"
)

func sealed(t *testing.T, keys []lakeward.EncryptionKey, name string, at time.Time, pieces ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := New(&out, keys, name, at)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pieces {
		if _, err := io.WriteString(w, p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func key(t *testing.T, e *openpgp.Entity) lakeward.EncryptionKey {
	t.Helper()
	k, err := Read(public(t, e), day())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// ENC-04, C11: one binary message to all keys, with name, without time, without compression; it differs each time.
func TestNew(t *testing.T) {
	rsa := entity(t, func(c *packet.Config) { c.Algorithm, c.RSABits = packet.PubKeyAlgoRSA, 2048 })
	curve := entity(t, nil)
	modern := entity(t, func(c *packet.Config) {
		c.V6Keys, c.Algorithm, c.AEADConfig = true, packet.PubKeyAlgoEd25519, &packet.AEADConfig{}
	})
	old := entity(t, nil) // lists AES-128 alone
	for _, id := range old.Identities {
		id.SelfCertifications[0].Packet.PreferredSymmetric = []uint8{uint8(packet.CipherAES128)}
		if err := id.SelfCertifications[0].Packet.SignUserId(id.Name, old.PrimaryKey, old.PrivateKey, nil); err != nil {
			t.Fatal(err)
		}
	}
	big := strings.Repeat("row,of,text\n", 200_000)
	for _, test := range []struct {
		name    string
		to      []*openpgp.Entity
		version int // of the encrypted packet
	}{
		{"RSA", []*openpgp.Entity{rsa}, 1}, {"curve", []*openpgp.Entity{curve}, 1}, {"version 6", []*openpgp.Entity{modern}, 2},
		{"several", []*openpgp.Entity{rsa, curve, modern}, 1}, {"prefers AES-128", []*openpgp.Entity{old}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			var keys []lakeward.EncryptionKey
			for _, e := range test.to {
				keys = append(keys, key(t, e))
			}
			for _, text := range []string{"", "a", big} {
				data := sealed(t, keys, "ä.csv.gz", day(), text)
				if len(text) > 0 && bytes.Equal(data, sealed(t, keys, "ä.csv.gz", day(), text)) {
					t.Error("the same text gave the same bytes")
				}
				for _, e := range test.to {
					md, err := openpgp.ReadMessage(bytes.NewReader(data), openpgp.EntityList{e}, nil, &packet.Config{Time: day, CacheSessionKey: true})
					if err != nil {
						t.Fatal(err)
					}
					got, err := io.ReadAll(md.UnverifiedBody)
					if err != nil || string(got) != text {
						t.Errorf("decrypted %d bytes, %v, want %d", len(got), err, len(text))
					}
					if l := md.LiteralData; l.FileName != "ä.csv.gz" || l.Time != 0 || l.Format != 'b' || len(md.EncryptedToKeyIds) != len(keys) || len(md.SessionKey) != 32 {
						t.Errorf("literal %+v, to %d keys, session key of %d bytes", l, len(md.EncryptedToKeyIds), len(md.SessionKey))
					}
				}
				if v := encryptedVersion(t, data); v != test.version {
					t.Errorf("SEIPD version %d, want %d", v, test.version)
				}
			}
		})
	}
}

// encryptedVersion is the version of the integrity protected packet of a message.
func encryptedVersion(t *testing.T, data []byte) int {
	t.Helper()
	packets := packet.NewReader(bytes.NewReader(data))
	for {
		p, err := packets.Next()
		if err != nil {
			t.Fatal(err)
		}
		if s, ok := p.(*packet.SymmetricallyEncrypted); ok {
			if !s.IntegrityProtected {
				t.Error("without integrity protection")
			}
			return s.Version
		}
	}
}

// CON-03: without keys the bytes are as they were.
func TestWithoutKeys(t *testing.T) {
	if got := sealed(t, nil, "f", day(), "a", "b"); string(got) != "ab" {
		t.Errorf("got %q", got)
	}
}

// C11: a key that ended since it was stored is refused, not used.
func TestEndedKeyIsNotUsed(t *testing.T) {
	k := key(t, entity(t, func(c *packet.Config) { c.KeyLifetimeSecs = 2 * 24 * 3600 }))
	if _, err := New(io.Discard, []lakeward.EncryptionKey{k}, "f", day().Add(48*time.Hour)); lakeward.CodeOf(err) != "PGP-1015" {
		t.Errorf("New: %v, want PGP-1015", err)
	}
}

// gnupg runs gpg in a home of its own.
type gnupg struct {
	t    *testing.T
	home string
}

func newGnupg(t *testing.T) *gnupg {
	t.Helper()
	out, err := exec.Command("gpg", "--version").CombinedOutput()
	if err != nil {
		if slices.Contains(strings.Split(os.Getenv("LAKEWARD_TEST_REQUIRE"), ","), "gpg") {
			t.Fatalf("gpg is required and missing: %v\n%s", err, out)
		}
		t.Skip("gpg is missing; install gnupg to run this test")
	}
	t.Log(strings.SplitN(string(out), "\n", 2)[0])
	home, err := os.MkdirTemp("", "gpg") // a short path: sockets lie in it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run()
		_ = os.RemoveAll(home)
	})
	return &gnupg{t, home}
}

func (g *gnupg) run(args ...string) (out, errs string) {
	g.t.Helper()
	cmd := exec.Command("gpg", append([]string{"--homedir", g.home, "--batch", "--pinentry-mode", "loopback", "--passphrase", "", "--status-fd", "2"}, args...)...)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	if err := cmd.Run(); err != nil {
		g.t.Fatalf("gpg %v: %v\n%s", args, err, e.String())
	}
	return o.String(), e.String()
}

// ENC-04, ENC-02: keys made by GnuPG are taken, and GnuPG decrypts what is encrypted to them, with a good MDC.
func TestGnuPGDecrypts(t *testing.T) {
	g := newGnupg(t)
	text := strings.Repeat("name,city\nÄnn,Zürich\n", 50_000)
	for _, test := range []struct{ name, algorithm, describe string }{
		{"RSA 2048", "rsa2048", "RSA 2048"}, {"RSA 3072", "rsa3072", "RSA 3072"}, {"Curve25519", "future-default", "Curve25519"}, {"NIST P-256", "nistp256", "P256"}, {"NIST P-521", "nistp521", "P521"},
	} {
		t.Run(test.name, func(t *testing.T) {
			g := &gnupg{t, g.home}
			user := test.algorithm + "@example.com"
			g.run("--quick-generate-key", user, test.algorithm, "default", "1y")
			if test.algorithm != "future-default" { // that has its subkey for encryption already
				out, _ := g.run("--with-colons", "--list-keys", user)
				g.run("--quick-add-key", field(out, "fpr", 9), test.algorithm, "encr", "1y")
			}
			armored, _ := g.run("--armor", "--export", user)
			k, err := Read(armored, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			if k.Algorithm != test.describe || k.ExpiresAt == nil {
				t.Errorf("Read: %+v, want algorithm %s and an end", k, test.describe)
			}
			file := filepath.Join(g.home, test.algorithm+".gpg")
			if err := os.WriteFile(file, sealed(t, []lakeward.EncryptionKey{k}, "people.csv.gz", time.Now(), text[:100], text[100:]), 0o600); err != nil {
				t.Fatal(err)
			}
			got, status := g.run("--decrypt", file)
			if got != text {
				t.Errorf("gpg decrypted %d bytes, want %d", len(got), len(text))
			}
			for _, want := range []string{"GOODMDC", "DECRYPTION_OKAY", "PLAINTEXT 62 0 people.csv.gz", "DECRYPTION_INFO 2 9"} {
				if !strings.Contains(status, want) {
					t.Errorf("gpg says no %s:\n%s", want, status)
				}
			}
		})
	}
}

// field is a column of the first line of a kind in the machine-readable listing.
func field(listing, kind string, column int) string {
	for line := range strings.Lines(listing) {
		if parts := strings.Split(line, ":"); parts[0] == kind && column < len(parts) {
			return parts[column]
		}
	}
	return ""
}

func BenchmarkNew(b *testing.B) {
	e, err := openpgp.NewEntity("Ann", "", "", &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA})
	if err != nil {
		b.Fatal(err)
	}
	var packets bytes.Buffer
	if err := e.Serialize(&packets); err != nil {
		b.Fatal(err)
	}
	k, err := Read(enarmor(packets.Bytes()), time.Now())
	if err != nil {
		b.Fatal(err)
	}
	block := make([]byte, 256<<10)
	w, err := New(io.Discard, []lakeward.EncryptionKey{k}, "f", time.Now())
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(block)))
	for b.Loop() {
		if _, err := w.Write(block); err != nil {
			b.Fatal(err)
		}
	}
}
