package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lakeward/lakeward"
)

// kind is the noun of a document.
type kind string

const (
	accountKind     kind = "account"
	destinationKind kind = "destination"
	dataflowKind    kind = "dataflow"
	audienceKind    kind = "audience"
	datasetKind     kind = "dataset"
	schemaKind      kind = "schema"
	namespaceKind   kind = "namespace"
	policyKind      kind = "merge-policy"
)

// document is the row of one thing of the configuration.
type document struct {
	kind      kind
	sandbox   string
	id        string
	name      string
	value     any
	createdAt time.Time
}

func (s *Store) insert(ctx context.Context, q querier, d document) error {
	doc, err := json.Marshal(d.value)
	if err != nil {
		return fmt.Errorf("store %s %s: %w", d.kind, d.id, err)
	}
	_, err = q.ExecContext(ctx, `INSERT INTO document (kind, sandbox, id, name, doc, created_at) VALUES ($1, $2, $3, $4, $5, $6)`,
		d.kind, d.sandbox, d.id, d.name, string(doc), millis(d.createdAt))
	if err != nil {
		return fmt.Errorf("store %s %s: %w", d.kind, d.id, err)
	}
	return nil
}

// update replaces a document.
func (s *Store) update(ctx context.Context, q querier, d document) error {
	doc, err := json.Marshal(d.value)
	if err != nil {
		return fmt.Errorf("store %s %s: %w", d.kind, d.id, err)
	}
	ok, err := changed(ctx, q, `UPDATE document SET name = $1, doc = $2 WHERE kind = $3 AND sandbox = $4 AND id = $5`,
		d.name, string(doc), d.kind, d.sandbox, d.id)
	if err != nil {
		return fmt.Errorf("store %s %s: %w", d.kind, d.id, err)
	}
	if !ok {
		return notFound(d.kind, d.id)
	}
	return nil
}

// replace updates a document, or stores it if it is new.
func (s *Store) replace(ctx context.Context, q querier, d document) error {
	err := s.update(ctx, q, d)
	if lakeward.KindOf(err) == lakeward.NotFound {
		return s.insert(ctx, q, d)
	}
	return err
}

func (s *Store) remove(ctx context.Context, q querier, k kind, sandbox, id string) error {
	ok, err := changed(ctx, q, `DELETE FROM document WHERE kind = $1 AND sandbox = $2 AND id = $3`, k, sandbox, id)
	if err != nil {
		return fmt.Errorf("remove %s %s: %w", k, id, err)
	}
	if !ok {
		return notFound(k, id)
	}
	return nil
}

func notFound(k kind, ref string) error {
	return &lakeward.Error{Kind: lakeward.NotFound, Code: "NOTFOUND-1001", Msg: fmt.Sprintf("there is no %s %s; list them with: lakeward %s list", k, lakeward.Quote(ref), k)}
}

// find reads the document with an id or a name. Names are not unique (D20): an ambiguous one is a conflict that lists the ids.
func find[T any](ctx context.Context, s *Store, k kind, sandbox, ref string) (T, error) {
	return findIn[T](ctx, s.read, k, sandbox, ref)
}

// findIn is find in a transaction.
func findIn[T any](ctx context.Context, q querier, k kind, sandbox, ref string) (T, error) {
	var out T
	rows, err := q.QueryContext(ctx, `SELECT id, doc FROM document WHERE kind = $1 AND sandbox = $2 AND (id = $3 OR name = $3) ORDER BY created_at, id`, k, sandbox, ref)
	if err != nil {
		return out, fmt.Errorf("read %s: %w", k, err)
	}
	defer rows.Close()
	var ids []string
	var doc string
	for rows.Next() {
		var id, d string
		if err := rows.Scan(&id, &d); err != nil {
			return out, err
		}
		if id == ref {
			ids, doc = []string{id}, d
			break
		}
		ids, doc = append(ids, id), d
	}
	if err := rows.Err(); err != nil {
		return out, err
	}
	switch len(ids) {
	case 0:
		return out, notFound(k, ref)
	case 1:
		return out, json.Unmarshal([]byte(doc), &out)
	}
	return out, &lakeward.Error{Kind: lakeward.Conflict, Code: "NAME-1020",
		Msg: fmt.Sprintf("%d things of kind %s are named %s; use an id: %s", len(ids), k, lakeward.Quote(ref), strings.Join(ids, ", "))}
}

// all reads every document of a kind, oldest first.
func all[T any](ctx context.Context, s *Store, k kind, sandbox string) ([]T, error) {
	return decodeAll[T](ctx, s, k, `SELECT doc FROM document WHERE kind = $1 AND sandbox = $2 ORDER BY created_at, id`, k, sandbox)
}

// decodeAll reads the documents of a kind that a query gives.
func decodeAll[T any](ctx context.Context, s *Store, k kind, query string, args ...any) ([]T, error) {
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", k, err)
	}
	defer rows.Close()
	out := []T{}
	for rows.Next() {
		var doc string
		if err := rows.Scan(&doc); err != nil {
			return nil, err
		}
		var v T
		if err := json.Unmarshal([]byte(doc), &v); err != nil {
			return nil, fmt.Errorf("read %s: %w", k, err)
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// setting reads an installation-wide value, "" if there is none.
func (s *Store) setting(ctx context.Context, name string) (string, error) {
	var v string
	err := s.read.QueryRowContext(ctx, `SELECT value FROM setting WHERE name = $1`, name).Scan(&v)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return v, err
}

// StoreID is the identity of this store, drawn when it was made (DLV-126).
func (s *Store) StoreID(ctx context.Context) (string, error) {
	const name = "store_id"
	id, err := s.setting(ctx, name)
	if err != nil || id != "" {
		return id, err
	}
	if _, err := s.write.ExecContext(ctx, `INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING`, name, lakeward.NewID()); err != nil {
		return "", err
	}
	return s.setting(ctx, name)
}
