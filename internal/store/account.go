package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/lakeward/lakeward"
)

// The fields under which an account's keys are sealed.
const (
	keyField       = "servicePrincipalKey"
	secondKeyField = "secondKey"
)

func accountDocument(a lakeward.Account) document {
	return document{accountKind, a.Sandbox, string(a.ID), a.Name, a, a.CreatedAt}
}

func accountSecret(a lakeward.Account, field string) secretRef {
	return secretRef{a.Sandbox, string(accountKind), string(a.ID), field}
}

// CreateAccount stores an account; its keys are sealed.
func (s *Store) CreateAccount(ctx context.Context, a lakeward.Account) (lakeward.Account, error) {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		if err := s.sealKeys(ctx, tx, &a, a.CreatedAt); err != nil {
			return err
		}
		return s.insert(ctx, tx, accountDocument(a))
	})
	return a, err
}

// sealKeys stores the keys that are given and notes when.
func (s *Store) sealKeys(ctx context.Context, tx *sql.Tx, a *lakeward.Account, at time.Time) error {
	for _, k := range []struct {
		field string
		key   lakeward.Secret
		info  *lakeward.SecretInfo
	}{{keyField, a.Key, &a.KeyInfo}, {secondKeyField, a.SecondKey, &a.SecondKeyInfo}} {
		if !k.key.IsSet() {
			continue
		}
		version, err := s.seal(ctx, tx, accountSecret(*a, k.field), []byte(k.key.Reveal()), at)
		if err != nil {
			return err
		}
		*k.info = lakeward.SecretInfo{Set: true, Version: version, UpdatedAt: at}
	}
	return nil
}

// EditAccount replaces the fields of an account that is still as it was before, and its keys where new ones
// are given; keys that the account no longer says it has are removed.
func (s *Store) EditAccount(ctx context.Context, before, a lakeward.Account, at time.Time) (lakeward.Account, error) {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		have, err := findIn[lakeward.Account](ctx, tx, accountKind, a.Sandbox, string(a.ID))
		if err != nil {
			return err
		}
		if settings(have) != settings(before) {
			return &lakeward.Error{Kind: lakeward.Conflict, Code: "COMMON-1009", Msg: "the account was changed meanwhile; look at it again, then repeat the change"}
		}
		if err := s.sealKeys(ctx, tx, &a, at); err != nil {
			return err
		}
		for field, set := range map[string]bool{keyField: a.KeyInfo.Set, secondKeyField: a.SecondKeyInfo.Set} {
			if set {
				continue
			}
			if err := s.dropSecret(ctx, tx, accountSecret(a, field)); err != nil {
				return err
			}
		}
		return s.update(ctx, tx, accountDocument(a))
	})
	return a, err
}

// settings is a text of all that an edit changes: what a test of the connection notes is not part of it.
func settings(a lakeward.Account) string {
	fingerprint := ""
	if a.EncryptionKey != nil {
		fingerprint = a.EncryptionKey.Fingerprint + a.EncryptionKey.PublicKey
	}
	return fmt.Sprint(fingerprint, "\x00", a.Name, "\x00", a.Description, "\x00", a.URL, "\x00", a.SignIn, a.Tenant, a.ClientID, a.TokenFile, a.KeyInfo.Version, a.KeyInfo.UpdatedAt.UnixMilli(), a.SecondKeyInfo.Version, a.SecondKeyInfo.UpdatedAt.UnixMilli())
}

// NoteTest notes how a test of the connection ended, and nothing else.
func (s *Store) NoteTest(ctx context.Context, a lakeward.Account) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		have, err := findIn[lakeward.Account](ctx, tx, accountKind, a.Sandbox, string(a.ID))
		if err != nil {
			return err
		}
		if settings(have) != settings(a) {
			return nil // what was tested is no more
		}
		have.State, have.StateCause, have.TestedAt = a.State, a.StateCause, a.TestedAt
		return s.update(ctx, tx, accountDocument(have))
	})
}

// Account returns the account with an id or a name, without its keys.
func (s *Store) Account(ctx context.Context, sandbox, ref string) (lakeward.Account, error) {
	return find[lakeward.Account](ctx, s, accountKind, sandbox, ref)
}

// Accounts lists the accounts, without their keys.
func (s *Store) Accounts(ctx context.Context, sandbox string) ([]lakeward.Account, error) {
	return all[lakeward.Account](ctx, s, accountKind, sandbox)
}

// OpenKeys returns the account with the keys that are stored for it.
func (s *Store) OpenKeys(ctx context.Context, a lakeward.Account) (lakeward.Account, error) {
	if a.KeyInfo.Set {
		plain, err := s.open(ctx, accountSecret(a, keyField))
		if err != nil {
			return a, err
		}
		a.Key = lakeward.NewSecret(string(plain))
	}
	if a.SecondKeyInfo.Set {
		plain, err := s.open(ctx, accountSecret(a, secondKeyField))
		if err != nil {
			return a, err
		}
		a.SecondKey = lakeward.NewSecret(string(plain))
	}
	return a, nil
}
