package store

import (
	"context"
	"database/sql"
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

// EditAccount replaces the fields of an account, and its keys where new ones are given; a second key that
// the account no longer says it has is removed.
func (s *Store) EditAccount(ctx context.Context, a lakeward.Account, at time.Time) (lakeward.Account, error) {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		if err := s.sealKeys(ctx, tx, &a, at); err != nil {
			return err
		}
		if !a.SecondKeyInfo.Set {
			if err := s.dropSecret(ctx, tx, accountSecret(a, secondKeyField)); err != nil {
				return err
			}
		}
		return s.update(ctx, tx, accountDocument(a))
	})
	return a, err
}

// UpdateAccount replaces the fields of an account; its keys stay.
func (s *Store) UpdateAccount(ctx context.Context, a lakeward.Account) error {
	return s.update(ctx, s.write, accountDocument(a))
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
