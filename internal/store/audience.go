package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

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

// evaluated adds what the document does not hold.
func (s *Store) evaluated(ctx context.Context, a *lakeward.Audience) error {
	if a.State == "" {
		a.State = lakeward.Published // stored before there were states
	}
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

// ExpiredAudiences lists the uploaded audiences of all sandboxes whose time is over and that still have members.
func (s *Store) ExpiredAudiences(ctx context.Context, now time.Time) ([]lakeward.Audience, error) {
	list, err := decodeAll[lakeward.Audience](ctx, s, audienceKind, `SELECT doc FROM document WHERE kind = $1 AND doc LIKE '%"expiresAt":"%' ORDER BY sandbox, created_at, id`, audienceKind)
	if err != nil {
		return nil, err
	}
	var out []lakeward.Audience
	for _, a := range list {
		if !a.Expired(now) {
			continue
		}
		if err := s.evaluated(ctx, &a); err != nil {
			return nil, err
		}
		if a.Members > 0 {
			out = append(out, a)
		}
	}
	return out, nil
}

// MembersAt is the number of members of an audience that a generation gave it; ok is false if it is not known any more.
func (s *Store) MembersAt(ctx context.Context, a lakeward.Audience, generation int64) (n int64, ok bool, err error) {
	err = s.read.QueryRowContext(ctx, `SELECT member_count FROM membership WHERE sandbox = $1 AND audience_id = $2 AND generation = $3`, a.Sandbox, a.ID, generation).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return n, err == nil, err
}
