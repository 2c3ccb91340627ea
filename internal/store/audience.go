package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/lakeward/lakeward"
)

func audienceDocument(a lakeward.Audience) document {
	return document{audienceKind, a.Sandbox, string(a.ID), a.Name, a, a.CreatedAt}
}

// CreateAudience stores an audience.
func (s *Store) CreateAudience(ctx context.Context, a lakeward.Audience) error {
	return s.insert(ctx, s.write, audienceDocument(a))
}

// UpdateAudience replaces an audience.
func (s *Store) UpdateAudience(ctx context.Context, a lakeward.Audience) error {
	return s.update(ctx, s.write, audienceDocument(a))
}

// DeleteAudience removes an audience; the generations that hold its members stay.
func (s *Store) DeleteAudience(ctx context.Context, a lakeward.Audience) error {
	return s.remove(ctx, s.write, audienceKind, a.Sandbox, string(a.ID))
}

// Audience returns the audience with an id or a name and the figures of its latest evaluation.
func (s *Store) Audience(ctx context.Context, sandbox, ref string) (lakeward.Audience, error) {
	a, err := find[lakeward.Audience](ctx, s, audienceKind, sandbox, ref)
	if err != nil {
		return a, err
	}
	return a, s.evaluated(ctx, &a)
}

// Audiences lists the audiences with the figures of their latest evaluation.
func (s *Store) Audiences(ctx context.Context, sandbox string) ([]lakeward.Audience, error) {
	list, err := all[lakeward.Audience](ctx, s, audienceKind, sandbox)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if err := s.evaluated(ctx, &list[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (s *Store) evaluated(ctx context.Context, a *lakeward.Audience) error {
	var at int64
	err := s.read.QueryRowContext(ctx, `SELECT generation, member_count, evaluated_at FROM membership WHERE sandbox = $1 AND audience_id = $2 ORDER BY generation DESC LIMIT 1`,
		a.Sandbox, a.ID).Scan(&a.Generation, &a.Members, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read membership of %s: %w", a.ID, err)
	}
	t := fromMillis(at)
	a.EvaluatedAt = &t
	return nil
}
