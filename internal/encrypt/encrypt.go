// Package encrypt makes files that only the owners of OpenPGP keys can read, and judges such keys. It is the only
// package with an OpenPGP library.
//
// Nothing is compressed here, nothing is signed, and no private key is ever stored. The one thing to know: the session
// key is drawn anew for every writer, so equal input gives other bytes each time (DLV-15).
package encrypt

import (
	"io"
	"slices"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/lakeward/lakeward"
)

// New returns a writer that encrypts into w, one binary message to all keys: AES-256 with integrity protection, as
// SEIPDv2 where every key asks for it (ENC-04, C11). name is that of the file before it was encrypted; the time in the
// message is zero. Close ends the message, not w. Without keys what is written goes to w as it is.
func New(w io.Writer, keys []lakeward.EncryptionKey, name string, at time.Time) (io.WriteCloser, error) {
	if len(keys) == 0 {
		return nopCloser{w}, nil
	}
	var to []*openpgp.Entity
	for _, k := range keys {
		r, _, err := recipientOf(k.PublicKey, at)
		if err != nil {
			return nil, err
		}
		if err := r.demandAES256(at); err != nil {
			return nil, err
		}
		to = append(to, r.entity)
	}
	return openpgp.EncryptWithParams(w, to, nil, &openpgp.EncryptParams{Hints: &openpgp.FileHints{FileName: name}, Config: strict(at)})
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// demandAES256 lets a key prefer AES-256, which every program reads, whatever it lists: the library would go down to AES-128.
func (r *recipient) demandAES256(at time.Time) error {
	sig, err := r.entity.PrimarySelfSignature(at, strict(at))
	if err != nil {
		return err
	}
	sig.PreferredSymmetric = []uint8{uint8(packet.CipherAES256)}
	sig.PreferredCipherSuites = slices.DeleteFunc(sig.PreferredCipherSuites, func(s [2]uint8) bool { return s[0] != uint8(packet.CipherAES256) })
	sig.PreferredCipherSuites = append(sig.PreferredCipherSuites, [2]uint8{uint8(packet.CipherAES256), uint8(packet.AEADModeOCB)})
	return nil
}
