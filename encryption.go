package lakeward

import (
	"fmt"
	"time"
)

// EncryptionKey is an OpenPGP public key that files are encrypted to (ENC-01). It is not secret; only internal/encrypt
// knows what is in it.
type EncryptionKey struct {
	PublicKey   string     `json:"publicKey"`   // armored
	Fingerprint string     `json:"fingerprint"` // of the primary key, whole
	Algorithm   string     `json:"algorithm"`   // of the key that files are encrypted to: "RSA 4096", "Curve25519"
	Weak        bool       `json:"weak,omitempty"`
	ExpiresAt   *time.Time `json:"expiresAt,omitempty"`
}

// EncryptedSuffix ends the name of an encrypted file (ENC-05).
const EncryptedSuffix = ".gpg"

// MaxRecipients is how many keys a file can be encrypted to (C11).
const MaxRecipients = 10

// expiryNotice is how long before its end a key is warned of.
const expiryNotice = 30 * 24 * time.Hour

// Warnings lists what is allowed in a key but will surprise somebody.
func (k EncryptionKey) Warnings(now time.Time) []string {
	var w []string
	if k.Weak {
		w = append(w, fmt.Sprintf("the encryption key %s is of %s; 3072 bits or more are recommended", k.Fingerprint, k.Algorithm))
	}
	if k.ExpiresAt != nil && k.ExpiresAt.Sub(now) < expiryNotice {
		w = append(w, fmt.Sprintf("the encryption key %s expires at %s; exports fail from then on until it is replaced", k.Fingerprint, k.ExpiresAt.UTC().Format(time.RFC3339)))
	}
	return w
}

// Recipients are the keys of a file: that of the account and those of the destination, each once.
func Recipients(account *EncryptionKey, more []EncryptionKey) []EncryptionKey {
	var out []EncryptionKey
	if account != nil {
		out = append(out, *account)
	}
	for _, k := range more {
		known := false
		for _, have := range out {
			known = known || have.Fingerprint == k.Fingerprint
		}
		if !known {
			out = append(out, k)
		}
	}
	return out
}
