package encrypt

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/lakeward/lakeward"
)

// Read takes a public key as somebody entered it and says what it is, if files can be encrypted to it at a time; the
// error says why not, by code (C11, PGP-1001 to PGP-1020). The text that comes back is the one to store.
func Read(text string, at time.Time) (lakeward.EncryptionKey, error) {
	r, packets, err := recipientOf(text, at)
	if err != nil {
		return lakeward.EncryptionKey{}, err
	}
	k := lakeward.EncryptionKey{PublicKey: enarmor(packets), Fingerprint: fmt.Sprintf("%X", r.entity.PrimaryKey.Fingerprint), ExpiresAt: r.expiry()}
	k.Algorithm, k.Weak = describe(r.key.PublicKey)
	return k, nil
}

// Check refuses keys to which files cannot be encrypted at a time: an expired one, say (DLV-49).
func Check(keys []lakeward.EncryptionKey, at time.Time) error {
	for _, k := range keys {
		if _, _, err := recipientOf(k.PublicKey, at); err != nil {
			return err
		}
	}
	return nil
}

// recipient is a key that files can be encrypted to.
type recipient struct {
	entity *openpgp.Entity
	key    openpgp.Key // of the entity: a subkey, mostly
}

func recipientOf(text string, at time.Time) (*recipient, []byte, error) {
	packets, err := packetsOf(text)
	if err != nil {
		return nil, nil, err
	}
	if err := checkPackets(packets); err != nil {
		return nil, nil, err
	}
	entity, err := parse(packets)
	if err != nil {
		return nil, nil, err
	}
	if entity.PrimaryKey.CreationTime.After(at) {
		return nil, nil, refuse("PGP-1017", "the key begins to be valid at %s; look at the clock of the machine that made it", entity.PrimaryKey.CreationTime.UTC().Format(time.RFC3339))
	}
	if entity.Revoked(at) {
		return nil, nil, revoked()
	}
	r := &recipient{entity: entity}
	if r.key, err = entity.EncryptionKeyWithError(at, strict(at)); err != nil {
		return nil, nil, reason(packets, entity, at, err)
	}
	for _, pub := range []*packet.PublicKey{entity.PrimaryKey, r.key.PublicKey} {
		if err := checkStrength(pub); err != nil {
			return nil, nil, err
		}
	}
	return r, packets, nil
}

// parse reads the one entity. Signatures remember what they were found to be, so another look needs another parse.
func parse(packets []byte) (*openpgp.Entity, error) {
	list, err := openpgp.ReadKeyRing(bytes.NewReader(packets))
	if err != nil || len(list) == 0 {
		return nil, &lakeward.Error{Kind: lakeward.Invalid, Code: "PGP-1008", Err: err, Msg: "the key is damaged or incomplete; export it again, with its user id"}
	}
	if len(list) > 1 {
		return nil, refuse("PGP-1009", "there is more than one key in the block; export exactly one")
	}
	return list[0], nil
}

// strict is what keys are judged by; lax also believes signatures by SHA-1, to find out whether those are the reason.
func strict(at time.Time) *packet.Config {
	c := lax(at)
	c.RejectHashAlgorithms[crypto.SHA1] = true
	return c
}

func lax(at time.Time) *packet.Config {
	return &packet.Config{Time: func() time.Time { return at }, DefaultCipher: packet.CipherAES256, DefaultCompressionAlgo: packet.CompressionNone, MinRSABits: minBits,
		RejectHashAlgorithms: map[crypto.Hash]bool{crypto.MD5: true, crypto.RIPEMD160: true}}
}

func revoked() error {
	return refuse("PGP-1016", "the key was revoked by its owner; ask for the new one")
}

// reason finds out why nothing can be encrypted to a key.
func reason(packets []byte, entity *openpgp.Entity, at time.Time, err error) error {
	if again, perr := parse(packets); perr == nil {
		if _, ok := again.EncryptionKey(at, lax(at)); ok {
			return refuse("PGP-1020", "the key is held together by signatures with SHA-1 alone, which can be forged; renew it: gpg --quick-set-expire and a current digest")
		}
	}
	cause := err
	var selection *pgperrors.ErrEncryptionKeySelection
	if value, ok := errors.AsType[pgperrors.ErrEncryptionKeySelection](err); ok {
		selection = &value
	} else {
		selection, _ = errors.AsType[*pgperrors.ErrEncryptionKeySelection](err)
	}
	if selection != nil {
		if cause = selection.PrimaryKeyErr; cause == nil {
			cause = selection.EncSelectionErr
		}
	}
	weak, isWeak := errors.AsType[pgperrors.WeakAlgorithmError](cause)
	switch {
	case errors.Is(cause, pgperrors.ErrKeyRevoked):
		return revoked()
	case errors.Is(cause, pgperrors.ErrKeyExpired):
		return expired(packets, at)
	case isWeak && strings.Contains(string(weak), "rsa"):
		return refuse("PGP-1010", "the RSA key that files would be encrypted to has less than %d bits", minBits)
	case isWeak:
		return refuse("PGP-1018", "the key has an algorithm or curve that is not taken (%s); make one of RSA with 3072 bits or more, or Curve25519", lakeward.Quote(string(weak)))
	}
	return unsigned(packets, entity, at)
}

// unsigned tells apart what the library calls a missing signature: one that expired, one that begins later, a key for
// other purposes.
func unsigned(packets []byte, entity *openpgp.Entity, at time.Time) error {
	for _, s := range entity.Subkeys {
		if slices.Contains([]packet.PublicKeyAlgorithm{packet.PubKeyAlgoElGamal, packet.PubKeyAlgoDSA}, s.PublicKey.PubKeyAlgo) {
			return refuse("PGP-1013", "files would be encrypted by ElGamal, which is not taken; make a key of RSA with 3072 bits or more, or Curve25519")
		}
	}
	ever, err := parse(packets)
	if err != nil {
		return err
	}
	key, err := ever.EncryptionKeyWithError(time.Time{}, strict(time.Time{}))
	if err != nil {
		if _, perr := ever.PrimarySelfSignature(time.Time{}, strict(time.Time{})); perr != nil {
			return refuse("PGP-1008", "the key has no user id that it signed itself; it is damaged or stripped, export it again")
		}
		return refuse("PGP-1014", "the key can sign only: it has no subkey for encryption; ask for a key that can encrypt")
	}
	for _, sig := range []*packet.Signature{key.PrimarySelfSignature, key.SelfSignature} {
		if sig != nil && sig.CreationTime.After(at) {
			return refuse("PGP-1017", "the key begins to be valid at %s; look at the clock of the machine that made it", sig.CreationTime.UTC().Format(time.RFC3339))
		}
	}
	return expired(packets, at)
}

// expired names the end of a key.
func expired(packets []byte, at time.Time) error {
	text := "the key, or its only subkey for encryption, expired"
	if ever, err := parse(packets); err == nil {
		if key, err := ever.EncryptionKeyWithError(time.Time{}, strict(time.Time{})); err == nil {
			if end := (&recipient{ever, key}).expiry(); end != nil && end.Before(at) {
				text += " at " + end.UTC().Format(time.RFC3339)
			}
		}
	}
	return refuse("PGP-1015", "%s; ask for a renewed one", text)
}

// expiry is when the key or its subkey ends, nil for never.
func (r *recipient) expiry() *time.Time {
	var end *time.Time
	for _, x := range []struct {
		key *packet.PublicKey
		sig *packet.Signature
	}{{r.entity.PrimaryKey, r.key.PrimarySelfSignature}, {r.key.PublicKey, r.key.SelfSignature}} {
		if x.sig == nil || x.sig.KeyLifetimeSecs == nil || *x.sig.KeyLifetimeSecs == 0 {
			continue
		}
		at := x.key.CreationTime.Add(time.Duration(*x.sig.KeyLifetimeSecs) * time.Second).UTC()
		if end == nil || at.Before(*end) {
			end = &at
		}
	}
	return end
}

// checkStrength checks the numbers and the curve of a key that counts.
func checkStrength(pub *packet.PublicKey) error {
	if k, ok := pub.PublicKey.(*rsa.PublicKey); ok {
		return checkModulus(k.N)
	}
	curve, err := pub.Curve()
	if err != nil || !slices.Contains([]packet.Curve{packet.Curve25519, packet.Curve448, packet.CurveNistP256, packet.CurveNistP384, packet.CurveNistP521}, curve) {
		return refuse("PGP-1018", "the key has the algorithm or curve %s, which is not taken; make one of RSA with 3072 bits or more, or Curve25519", lakeward.Quote(string(curve)))
	}
	return nil
}

func describe(pub *packet.PublicKey) (name string, weak bool) {
	if k, ok := pub.PublicKey.(*rsa.PublicKey); ok {
		return fmt.Sprintf("RSA %d", k.N.BitLen()), k.N.BitLen() < strongBits
	}
	curve, _ := pub.Curve()
	return string(curve), false
}
