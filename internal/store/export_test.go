package store

import (
	"context"
	"database/sql"
	"errors"
)

// Newer marks a database as made by a newer program.
func Newer(ctx context.Context, path string) error {
	db, err := sql.Open("sqlite", dsn(path, "immediate"))
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)`)
	return errors.Join(err, db.Close())
}

// Exec changes the database behind the back of the store.
func (s *Store) Exec(ctx context.Context, query string, args ...any) error {
	_, err := s.write.ExecContext(ctx, query, args...)
	return err
}

// Pinned returns the generation that a run keeps from being removed, 0 if none.
func Pinned(ctx context.Context, s *Store, run string) (generation int64, err error) {
	err = s.read.QueryRowContext(ctx, `SELECT coalesce(max(generation), 0) FROM pin WHERE run = $1`, run).Scan(&generation)
	return generation, err
}
