package store

import (
	"context"
	"database/sql"

	"github.com/lakeward/lakeward"
)

const keyField = "servicePrincipalKey"

func accountDocument(a lakeward.Account) document {
	return document{accountKind, a.Sandbox, string(a.ID), a.Name, a, a.CreatedAt}
}

func accountSecret(a lakeward.Account) secretRef {
	return secretRef{a.Sandbox, string(accountKind), string(a.ID), keyField}
}

// CreateAccount stores an account; its key is sealed.
func (s *Store) CreateAccount(ctx context.Context, a lakeward.Account) (lakeward.Account, error) {
	err := s.inTx(ctx, func(tx *sql.Tx) error {
		version, err := s.seal(ctx, tx, accountSecret(a), []byte(a.Key.Reveal()), a.CreatedAt)
		if err != nil {
			return err
		}
		a.KeyInfo = lakeward.SecretInfo{Set: true, Version: version, UpdatedAt: a.CreatedAt}
		return s.insert(ctx, tx, accountDocument(a))
	})
	return a, err
}

// UpdateAccount replaces the fields of an account; its key stays.
func (s *Store) UpdateAccount(ctx context.Context, a lakeward.Account) error {
	return s.update(ctx, s.write, accountDocument(a))
}

// Account returns the account with an id or a name, without its key.
func (s *Store) Account(ctx context.Context, sandbox, ref string) (lakeward.Account, error) {
	return find[lakeward.Account](ctx, s, accountKind, sandbox, ref)
}

// Accounts lists the accounts, without their keys.
func (s *Store) Accounts(ctx context.Context, sandbox string) ([]lakeward.Account, error) {
	return all[lakeward.Account](ctx, s, accountKind, sandbox)
}

// AccountKey opens the key of an account.
func (s *Store) AccountKey(ctx context.Context, a lakeward.Account) (lakeward.Secret, error) {
	plain, err := s.open(ctx, accountSecret(a))
	if err != nil {
		return lakeward.Secret{}, err
	}
	return lakeward.NewSecret(string(plain)), nil
}
