// Package store keeps the service's own records: configuration, sealed secrets, the catalog of
// generations and the run table, which is the queue. It is the only package with a database driver.
//
// It decides nothing: rules live in the root package and in the engine. The one thing to know: every
// change of a run carries the attempt number as fencing token, and zero changed rows mean that somebody
// else owns the run (DLV-31).
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/proof"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is an open metadata database.
type Store struct {
	write *sql.DB // one connection
	read  *sql.DB
	kek   *KEK
}

// Memory is the path of a database that lives as long as its Store.
const Memory = ":memory:"

const readers = 4

// Open opens the SQLite database at path, makes it if it is not there, and brings its schema up to
// date. Secrets are sealed under kek. The caller closes the store.
func Open(ctx context.Context, path string, kek *KEK) (*Store, error) {
	s := &Store{kek: kek}
	if path != Memory { // the driver would make it readable for everybody
		f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, fmt.Errorf("open database: %w", err)
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
	var err error
	if s.write, err = sql.Open("sqlite", dsn(path, "immediate")); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	s.write.SetMaxOpenConns(1)
	s.read = s.write
	if path != Memory {
		if s.read, err = sql.Open("sqlite", dsn(path, "deferred")); err != nil {
			return nil, errors.Join(err, s.write.Close())
		}
		s.read.SetMaxOpenConns(readers)
	}
	err = s.migrate(ctx)
	if err == nil {
		_, err = s.StoreID(ctx) // drawn with the store: a backup of before the first delivery has it too
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func dsn(path, lock string) string {
	q := url.Values{"_txlock": {lock}, "_pragma": {"journal_mode(WAL)", "synchronous(FULL)", "busy_timeout(10000)", "foreign_keys(1)"}}
	if path == Memory {
		return "file::memory:?" + q.Encode()
	}
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

func (s *Store) migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, s.write, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	have, err := p.GetDBVersion(ctx)
	if err != nil {
		return fmt.Errorf("read the version of the database: %w", err)
	}
	sources := p.ListSources()
	if newest := sources[len(sources)-1].Version; have > newest {
		return &lakeward.Error{Kind: lakeward.Invalid, Code: "DATA-1001",
			Msg: fmt.Sprintf("the database has schema version %d, this program knows %d; use the newer program", have, newest)}
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("migrate the database: %w", err)
	}
	return nil
}

// Close closes the database.
func (s *Store) Close() error {
	if s.read == s.write {
		return s.write.Close()
	}
	return errors.Join(s.read.Close(), s.write.Close())
}

// inTx runs fn in one write transaction.
func (s *Store) inTx(ctx context.Context, fn func(tx *sql.Tx) error) error {
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if err := fn(tx); err != nil {
		return errors.Join(err, ignoreDone(tx.Rollback()))
	}
	proof.Point()
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	proof.Point()
	return nil
}

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

// querier is what a database and a transaction have in common.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// changed runs a statement and reports whether it changed a row.
func changed(ctx context.Context, q querier, query string, args ...any) (bool, error) {
	res, err := q.ExecContext(ctx, query, args...)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

func millis(t time.Time) int64 { return t.UnixMilli() }

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

func millisOrNull(t *time.Time) sql.NullInt64 {
	if t == nil {
		return sql.NullInt64{}
	}
	return sql.NullInt64{Int64: millis(*t), Valid: true}
}

func timeOrNil(n sql.NullInt64) *time.Time {
	if !n.Valid {
		return nil
	}
	t := fromMillis(n.Int64)
	return &t
}
