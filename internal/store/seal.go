package store

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/lakeward/lakeward"
)

// keyBytes is the length of the key-encryption key and of every data key (C1).
const keyBytes = 32

// KEK is the key-encryption key: it wraps the key of each stored secret (C1a, C1b).
type KEK struct {
	id  string
	key [keyBytes]byte
}

// NewKEK makes the key of 32 random bytes.
func NewKEK() *KEK {
	k := &KEK{}
	_, _ = rand.Read(k.key[:])
	k.identify()
	return k
}

func (k *KEK) identify() {
	sum := sha256.Sum256(append([]byte("lakeward/kek/v1\n"), k.key[:]...))
	k.id = hex.EncodeToString(sum[:8])
}

// LoadKEK reads the key file, or makes it with mode 0600 if it is not there. It refuses a file that
// group or others can read, one of another length, and one of zeros (C1a).
func LoadKEK(path string) (*KEK, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		k := NewKEK()
		_, err = f.Write(k.key[:])
		return k, errors.Join(err, f.Sync(), f.Close())
	}
	if !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("make the key file: %w", err)
	}
	refuse := func(why string) error {
		return &lakeward.Error{Kind: lakeward.Invalid, Code: "KEY-1001", Msg: "the key file " + path + " is refused: " + why}
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the key file: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, refuse("group or others may read it; run: chmod 600 " + path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the key file: %w", err)
	}
	k := &KEK{}
	if len(b) != keyBytes || [keyBytes]byte(b) == k.key {
		return nil, refuse("it does not hold a key; restore it from where you keep it, or enter the secrets again with a new one")
	}
	k.key = [keyBytes]byte(b)
	k.identify()
	return k, nil
}

// secretRef names one secret of one thing.
type secretRef struct {
	sandbox, objectType, objectID, field string
}

// aad binds a sealed text to its place, so that rows cannot be swapped (C1b).
func (r secretRef) aad(version int) []byte {
	return []byte(strings.Join([]string{"v1", "org", r.sandbox, r.objectType, r.objectID, r.field, strconv.Itoa(version)}, "|"))
}

func gcm(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// seal stores a new version of a secret in the transaction.
func (s *Store) seal(ctx context.Context, q querier, r secretRef, plain []byte, at time.Time) (version int, err error) {
	err = q.QueryRowContext(ctx, `SELECT coalesce(max(version), 0) + 1 FROM secret WHERE sandbox = $1 AND object_type = $2 AND object_id = $3 AND field = $4`,
		r.sandbox, r.objectType, r.objectID, r.field).Scan(&version)
	if err != nil {
		return 0, fmt.Errorf("seal: %w", err)
	}
	id := lakeward.NewID()
	var key [keyBytes]byte
	_, _ = rand.Read(key[:])
	data, err := gcm(key[:])
	if err != nil {
		return 0, err
	}
	wrap, err := gcm(s.kek.key[:])
	if err != nil {
		return 0, err
	}
	wrapped := wrap.Seal(nil, nil, key[:], s.kek.aad(id, version))
	_, err = q.ExecContext(ctx, `INSERT INTO secret (id, sandbox, object_type, object_id, field, version, kek_id, wrapped_key, sealed, created_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`, id, r.sandbox, r.objectType, r.objectID, r.field, version, s.kek.id,
		wrapped, data.Seal(nil, nil, plain, r.aad(version)), millis(at))
	return version, err
}

func (k *KEK) aad(id string, version int) []byte {
	return []byte(k.id + "|" + id + "|" + strconv.Itoa(version))
}

// open returns the newest version of a secret.
func (s *Store) open(ctx context.Context, r secretRef) ([]byte, error) {
	var id, kekID string
	var version int
	var wrapped, sealed []byte
	err := s.read.QueryRowContext(ctx, `SELECT id, version, kek_id, wrapped_key, sealed FROM secret
		WHERE sandbox = $1 AND object_type = $2 AND object_id = $3 AND field = $4 ORDER BY version DESC LIMIT 1`,
		r.sandbox, r.objectType, r.objectID, r.field).Scan(&id, &version, &kekID, &wrapped, &sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, &lakeward.Error{Kind: lakeward.NotFound, Code: "KEY-1002", Msg: fmt.Sprintf("the %s of %s %s is not stored; enter it again", r.field, r.objectType, r.objectID)}
	}
	if err != nil {
		return nil, fmt.Errorf("read secret: %w", err)
	}
	lost := &lakeward.Error{Kind: lakeward.Invalid, Code: "KEY-1003",
		Msg: fmt.Sprintf("the %s of %s %s cannot be opened with this key file; restore the key file or enter the secret again", r.field, r.objectType, r.objectID)}
	if kekID != s.kek.id {
		return nil, lost
	}
	wrap, err := gcm(s.kek.key[:])
	if err != nil {
		return nil, err
	}
	key, err := wrap.Open(nil, nil, wrapped, s.kek.aad(id, version))
	if err != nil {
		return nil, lost
	}
	data, err := gcm(key)
	if err != nil {
		return nil, err
	}
	plain, err := data.Open(nil, nil, sealed, r.aad(version))
	if err != nil {
		return nil, lost
	}
	return plain, nil
}

// dropSecret removes all versions of a secret.
func (s *Store) dropSecret(ctx context.Context, q querier, r secretRef) error {
	_, err := q.ExecContext(ctx, `DELETE FROM secret WHERE sandbox = $1 AND object_type = $2 AND object_id = $3 AND field = $4`, r.sandbox, r.objectType, r.objectID, r.field)
	if err != nil {
		return fmt.Errorf("remove secret: %w", err)
	}
	return nil
}
