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
