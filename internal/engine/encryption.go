package engine

import (
	"errors"
	"fmt"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/encrypt"
)

// readKey takes a key as it was entered into a field.
func readKey(pointer, text string) (*lakeward.EncryptionKey, error) {
	k, err := encrypt.Read(text, now())
	if err == nil {
		return &k, nil
	}
	if e, ok := errors.AsType[*lakeward.Error](err); ok {
		return nil, &lakeward.Error{Kind: e.Kind, Code: e.Code, Msg: "the encryption key is not accepted; nothing was stored", Err: e.Err,
			Fields: []lakeward.FieldError{{Pointer: pointer, Code: e.Code, Msg: e.Msg}}}
	}
	return nil, err
}

// readRecipients takes the keys of a destination.
func readRecipients(d *lakeward.Destination) error {
	for i := range d.Recipients {
		k, err := readKey(fmt.Sprintf("/recipients/%d", i), d.Recipients[i].PublicKey)
		if err != nil {
			return err
		}
		d.Recipients[i] = *k
	}
	return nil
}

// checkKeys says whether files can be encrypted for all of the keys at a time.
func checkKeys(keys []lakeward.EncryptionKey, at time.Time) error {
	return cannotEncrypt(encrypt.Check(keys, at))
}

// cannotEncrypt is the failure of a run whose key cannot be used: nothing is ever sent in plain instead.
func cannotEncrypt(err error) error {
	if e, ok := errors.AsType[*lakeward.Error](err); ok {
		return &lakeward.Error{Kind: lakeward.Invalid, Code: lakeward.FailEncrypt, Err: err,
			Msg: fmt.Sprintf("nothing can be encrypted: %s (%s); enter a good key: lakeward account edit --encryption-key-file", e.Msg, e.Code)}
	}
	return err
}

// keyCheck is the doctor's look at the encryption key (DOC-14).
func keyCheck(k *lakeward.EncryptionKey) lakeward.Check {
	c := lakeward.Check{ID: "DOC-14", Name: "encryption key", OK: true, Detail: k.Algorithm + " " + k.Fingerprint}
	if k.ExpiresAt != nil {
		c.Detail += ", expires " + k.ExpiresAt.UTC().Format(time.RFC3339)
	}
	if err := checkKeys([]lakeward.EncryptionKey{*k}, now()); err != nil {
		c.OK, c.Code, c.Detail = false, lakeward.FailEncrypt, lakeward.Message(err)
	}
	return c
}
