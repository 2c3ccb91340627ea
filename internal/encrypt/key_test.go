package encrypt

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/lakeward/lakeward"
)

// day is when the keys of the tests are looked at.
func day() time.Time { return time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC) }

// entity makes a key of Curve25519, valid from a day before, unless change says otherwise.
func entity(t *testing.T, change func(*packet.Config)) *openpgp.Entity {
	t.Helper()
	c := &packet.Config{Algorithm: packet.PubKeyAlgoEdDSA, Curve: packet.Curve25519, Time: func() time.Time { return day().Add(-24 * time.Hour) }}
	if change != nil {
		change(c)
	}
	e, err := openpgp.NewEntity("Ann", "", "ann@example.com", c)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func public(t *testing.T, e *openpgp.Entity) string {
	t.Helper()
	return block(t, openpgp.PublicKeyType, func(b *bytes.Buffer) error { return e.Serialize(b) })
}

func block(t *testing.T, kind string, write func(*bytes.Buffer) error) string {
	t.Helper()
	var out, packets bytes.Buffer
	if err := write(&packets); err != nil {
		t.Fatal(err)
	}
	w, err := armor.EncodeWithChecksumOption(&out, kind, map[string]string{"Comment": "test"}, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(packets.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String() + "\n"
}

// rawKey is the block of a bare public key packet.
func rawKey(version, algorithm byte, numbers ...*big.Int) string {
	body := []byte{version, 0x60, 0, 0, 0, algorithm}
	for _, n := range numbers {
		body = append(binary.BigEndian.AppendUint16(body, uint16(n.BitLen())), n.Bytes()...)
	}
	return enarmor(append(binary.BigEndian.AppendUint32([]byte{0xc0 | tagPublic, 255}, uint32(len(body))), body...))
}

func odd(bits uint) *big.Int { return new(big.Int).SetBit(big.NewInt(1), int(bits)-1, 1) }

func flipped(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if len(l) == 64 {
			c := byte('A')
			if l[10] == 'A' {
				c = 'B'
			}
			lines[i] = l[:10] + string(c) + l[11:]
			break
		}
	}
	return strings.Join(lines, "\n")
}

// C11, K01 to K28, D17: which keys are taken, and why others are not.
func TestRead(t *testing.T) {
	good := entity(t, nil)
	text := public(t, good)
	b64 := base64.StdEncoding.EncodeToString([]byte(text))
	signOnly, revokedKey := entity(t, nil), entity(t, nil)
	signOnly.Subkeys = nil
	if err := revokedKey.Revoke(packet.KeyCompromised, "", nil); err != nil {
		t.Fatal(err)
	}
	revokedSub := entity(t, nil)
	if err := revokedSub.Subkeys[0].Revoke(packet.KeySuperseded, "", &packet.Config{Time: func() time.Time { return day().Add(-time.Hour) }}); err != nil {
		t.Fatal(err)
	}
	exp := big.NewInt(65537)
	for _, test := range []struct {
		name, text, code string
	}{
		{"armored", text, ""},
		{"with blanks around and carriage returns", "\ufeff\r\n " + strings.ReplaceAll(text, "\n", "\r\n") + "\n\n", ""},
		{"K11 base64 of the block, the API form", b64, ""},
		{"K11 base64 with line breaks", b64[:64] + "\n" + b64[64:128] + "\r\n" + b64[128:], ""},
		{"base64 of the packets", base64.StdEncoding.EncodeToString(packetsIn(t, text)), ""},
		{"K11 double base64", base64.StdEncoding.EncodeToString([]byte(b64)), "PGP-1001"},
		{"K01 random text", "hello", "PGP-1001"},
		{"K01 nothing", " ", "PGP-1001"},
		{"K01 HTML", "<html><body>404</body></html>", "PGP-1001"},
		{"K01 empty armor", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n-----END PGP PUBLIC KEY BLOCK-----", "PGP-1001"},
		{"K02 SSH", "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQ", "PGP-1002"},
		{"K03 PEM", "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----", "PGP-1003"},
		{"K04 age", "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p", "PGP-1004"},
		{"K05 private key", block(t, openpgp.PrivateKeyType, func(b *bytes.Buffer) error { return good.SerializePrivateWithoutSigning(b, nil) }), "PGP-1005"},
		{"K05 private packets under a public name", block(t, openpgp.PublicKeyType, func(b *bytes.Buffer) error { return good.SerializePrivateWithoutSigning(b, nil) }), "PGP-1005"},
		{"K05 private key behind the public one", text + block(t, openpgp.PrivateKeyType, func(b *bytes.Buffer) error { return good.SerializePrivateWithoutSigning(b, nil) }), "PGP-1005"},
		{"K06 signature", strings.ReplaceAll(text, "PUBLIC KEY BLOCK", "SIGNATURE"), "PGP-1006"},
		{"K06 message", strings.ReplaceAll(text, "PUBLIC KEY BLOCK", "MESSAGE"), "PGP-1006"},
		{"K07 cut off", text[:len(text)/2], "PGP-1007"},
		{"K07 packets cut off", enarmor(packetsIn(t, text)[:200]), "PGP-1007"},
		{"K08 flipped", flipped(text), "PGP-1008"},
		{"K08 flipped under a right checksum", enarmor(flipByte(packetsIn(t, text), 20)), "PGP-1008"},
		{"K10 two blocks", text + text, "PGP-1009"},
		{"K10 two keys in a block", block(t, openpgp.PublicKeyType, func(b *bytes.Buffer) error {
			if err := good.Serialize(b); err != nil {
				return err
			}
			return signOnly.Serialize(b)
		}), "PGP-1009"},
		{"text behind the block", text + "and more", "PGP-1009"},
		{"RSA 1024", rawKey(4, algorithmRSA, odd(1024), exp), "PGP-1010"},
		{"K14 RSA 16384", rawKey(4, algorithmRSA, odd(16384), exp), "PGP-1010"},
		{"exponent 3", rawKey(4, algorithmRSA, odd(3072), big.NewInt(3)), "PGP-1011"},
		{"even exponent", rawKey(4, algorithmRSA, odd(3072), big.NewInt(65538)), "PGP-1011"},
		{"long exponent", rawKey(4, algorithmRSA, odd(3072), odd(40)), "PGP-1011"},
		{"K17 DSA", rawKey(4, algorithmDSA, odd(2048)), "PGP-1013"},
		{"K17 ElGamal", rawKey(4, algorithmElGamal, odd(2048)), "PGP-1013"},
		{"sign only", public(t, signOnly), "PGP-1014"},
		{"K19 expired", public(t, entity(t, func(c *packet.Config) { c.KeyLifetimeSecs = 3600 })), "PGP-1015"},
		{"K20 revoked", public(t, revokedKey), "PGP-1016"},
		{"K20 revoked subkey", public(t, revokedSub), "PGP-1016"},
		{"not yet valid", public(t, entity(t, func(c *packet.Config) { c.Time = func() time.Time { return day().Add(time.Hour) } })), "PGP-1017"},
		{"K23 version 3", rawKey(3, algorithmRSA, odd(2048), exp), "PGP-1018"},
		{"K23 version 5", rawKey(5, algorithmRSA, odd(2048), exp), "PGP-1018"},
		{"K23 unknown algorithm", rawKey(4, 99), "PGP-1018"},
		{"K23 secp256k1", public(t, entity(t, func(c *packet.Config) { c.Algorithm, c.Curve = packet.PubKeyAlgoECDSA, packet.CurveSecP256k1 })), "PGP-1018"},
		{"brainpool", public(t, entity(t, func(c *packet.Config) { c.Algorithm, c.Curve = packet.PubKeyAlgoECDSA, packet.CurveBrainpoolP256 })), "PGP-1018"},
		{"K25 compressed packet", enarmor(append(packetsIn(t, text), 0xc0|tagPacked, 2, 1, 0)), "PGP-1019"},
		{"K25 too many packets", enarmor(append(packetsIn(t, text), bytes.Repeat([]byte{0xc0 | tagTrust, 1, 0}, 600)...)), "PGP-1019"},
		{"too long", strings.Repeat("A", maxKey+1), "PGP-1019"},
		{"K28 SHA-1 alone", sha1Key(t), "PGP-1020"},
		{"version 6", public(t, entity(t, func(c *packet.Config) { c.V6Keys, c.Algorithm = true, packet.PubKeyAlgoEd25519 })), ""},
		{"Curve448", public(t, entity(t, func(c *packet.Config) { c.Algorithm, c.Curve = packet.PubKeyAlgoEd448, packet.Curve448 })), ""},
		{"P-256", public(t, entity(t, func(c *packet.Config) { c.Algorithm, c.Curve = packet.PubKeyAlgoECDSA, packet.CurveNistP256 })), ""},
		{"P-521", public(t, entity(t, func(c *packet.Config) { c.Algorithm, c.Curve = packet.PubKeyAlgoECDSA, packet.CurveNistP521 })), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			k, err := Read(test.text, day())
			if lakeward.CodeOf(err) != test.code {
				t.Fatalf("Read: %v, want code %q", err, test.code)
			}
			if err != nil {
				if lakeward.KindOf(err) != lakeward.Invalid {
					t.Errorf("kind %s", lakeward.KindOf(err))
				}
				return
			}
			again, err := Read(k.PublicKey, day())
			if err != nil || again != k {
				t.Errorf("the stored form reads as %+v, %v, want %+v", again, err, k)
			}
		})
	}
}

func packetsIn(t *testing.T, text string) []byte {
	t.Helper()
	b, err := packetsOf(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func flipByte(b []byte, at int) []byte {
	b[at] ^= 1
	return b
}

// sha1Key signs itself with SHA-1, as old programs did.
func sha1Key(t *testing.T) string {
	t.Helper()
	c := &packet.Config{NonDeterministicSignaturesViaNotation: new(bool), DefaultHash: crypto.SHA1, Time: func() time.Time { return day().Add(-24 * time.Hour) }, RejectHashAlgorithms: map[crypto.Hash]bool{}, RejectMessageHashAlgorithms: map[crypto.Hash]bool{}}
	e := entity(t, nil)
	for _, id := range e.Identities {
		sig := id.SelfCertifications[0].Packet
		sig.Hash = crypto.SHA1
		if err := sig.SignUserId(id.Name, e.PrimaryKey, e.PrivateKey, c); err != nil {
			t.Fatal(err)
		}
	}
	return public(t, e)
}

// C11: full fingerprint, algorithm and end are told; short RSA keys and near ends are warned of (K13, K22).
func TestReadTells(t *testing.T) {
	e := entity(t, func(c *packet.Config) {
		c.Algorithm, c.RSABits, c.KeyLifetimeSecs = packet.PubKeyAlgoRSA, 2048, uint32((4 * 24 * time.Hour).Seconds())
	})
	k, err := Read(public(t, e), day())
	if err != nil {
		t.Fatal(err)
	}
	if k.Algorithm != "RSA 2048" || !k.Weak || len(k.Fingerprint) != 40 || strings.ToUpper(k.Fingerprint) != k.Fingerprint || k.ExpiresAt == nil || !k.ExpiresAt.Equal(day().Add(3*24*time.Hour)) {
		t.Errorf("Read: %+v", k)
	}
	if w := k.Warnings(day()); len(w) != 2 || !strings.Contains(w[0], "3072") || !strings.Contains(w[1], "2026-05-04T12:00:00Z") {
		t.Errorf("warnings %q", w)
	}
	keys := []lakeward.EncryptionKey{k}
	if err := Check(keys, day().Add(4*24*time.Hour)); lakeward.CodeOf(err) != "PGP-1015" || !strings.Contains(err.Error(), "2026-05-04T12:00:00Z") {
		t.Errorf("DLV-49: checked after its end: %v", err)
	}
	if err := Check(keys, day()); err != nil {
		t.Error(err)
	}
}

// K16: moduli that can be factored.
func TestModulus(t *testing.T) {
	prime := func(bits int) *big.Int {
		p, err := rand.Prime(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	p := prime(512)
	near := new(big.Int).Add(p, big.NewInt(2))
	for !near.ProbablyPrime(10) {
		near.Add(near, big.NewInt(2))
	}
	for _, test := range []struct {
		name string
		n    *big.Int
		bad  bool
	}{
		{"good", new(big.Int).Mul(prime(512), prime(512)), false},
		{"even", new(big.Int).Mul(big.NewInt(2), prime(1023)), true},
		{"small factor", new(big.Int).Mul(big.NewInt(9973), prime(1010)), true},
		{"square", new(big.Int).Mul(p, p), true},
		{"close primes", new(big.Int).Mul(p, near), true},
		{"ROCA", new(big.Int).Mul(rocaPrime(512), rocaPrime(512)), true},
	} {
		if err := checkModulus(test.n); (err != nil) != test.bad {
			t.Errorf("%s: %v, want bad %t", test.name, err, test.bad)
		}
	}
}

// rocaPrime makes a prime as the faulty library did.
func rocaPrime(bits uint) *big.Int {
	m := big.NewInt(1)
	for n := int64(2); n < 168; n++ {
		if p := big.NewInt(n); p.ProbablyPrime(0) {
			m.Mul(m, p)
		}
	}
	for {
		k, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), bits-uint(m.BitLen())))
		a, _ := rand.Int(rand.Reader, m)
		p := new(big.Int).Exp(big.NewInt(65537), a, m)
		if p.Add(p, k.Mul(k, m)); p.ProbablyPrime(10) {
			return p
		}
	}
}

// Whatever is entered, nothing panics, and what is taken can be encrypted to.
func FuzzRead(f *testing.F) {
	f.Add("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nxjMEZ\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n")
	f.Add(rawKey(4, algorithmRSA, odd(2048), big.NewInt(65537)))
	f.Add(base64.StdEncoding.EncodeToString([]byte{0xc6, 255, 0, 0, 0, 9, 6, 1, 1, 1, 1, 1, 0, 0}))
	f.Fuzz(func(t *testing.T, text string) {
		k, err := Read(text, day())
		if err != nil {
			return
		}
		w, err := New(&bytes.Buffer{}, []lakeward.EncryptionKey{k}, "f", day())
		if err != nil {
			t.Fatalf("a key that was taken cannot be used: %v", err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
