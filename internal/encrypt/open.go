package encrypt

import (
	"io"
	"strings"

	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"

	"github.com/lakeward/lakeward"
)

// Opener decrypts files for whoever has the private key. The key stays in memory and is stored nowhere.
type Opener struct{ keys openpgp.EntityList }

// NewOpener takes an armored private key without a passphrase.
func NewOpener(key lakeward.Secret) (*Opener, error) {
	keys, err := openpgp.ReadArmoredKeyRing(strings.NewReader(key.Reveal()))
	if err != nil || len(keys) != 1 || keys[0].PrivateKey == nil {
		return nil, refuse("PGP-1006", "this is no private key; export it with gpg --armor --export-secret-keys")
	}
	for _, s := range keys[0].Subkeys {
		if s.PrivateKey != nil && s.PrivateKey.Encrypted {
			return nil, refuse("PGP-1006", "the private key is protected by a passphrase; export one without")
		}
	}
	return &Opener{keys: keys}, nil
}

// Open returns what is in a message. Reading to the end fails if the message was changed.
func (o *Opener) Open(r io.Reader) (io.Reader, error) {
	m, err := openpgp.ReadMessage(r, o.keys, nil, nil)
	if err != nil {
		return nil, err
	}
	return m.UnverifiedBody, nil
}
