package store

import (
	"context"

	"github.com/lakeward/lakeward"
)

// CreateSchema stores a schema.
func (s *Store) CreateSchema(ctx context.Context, sc lakeward.Schema) error {
	return s.insert(ctx, s.write, document{schemaKind, sc.Sandbox, string(sc.ID), sc.Name, sc, sc.CreatedAt})
}

// UpdateSchema replaces a schema.
func (s *Store) UpdateSchema(ctx context.Context, sc lakeward.Schema) error {
	return s.update(ctx, s.write, document{schemaKind, sc.Sandbox, string(sc.ID), sc.Name, sc, sc.CreatedAt})
}

// Schema returns the schema with an id or a name.
func (s *Store) Schema(ctx context.Context, sandbox, ref string) (lakeward.Schema, error) {
	return find[lakeward.Schema](ctx, s, schemaKind, sandbox, ref)
}

// Schemas lists the schemas, oldest first.
func (s *Store) Schemas(ctx context.Context, sandbox string) ([]lakeward.Schema, error) {
	return all[lakeward.Schema](ctx, s, schemaKind, sandbox)
}

// EventUnion returns the fields of the events of profiles.
func (s *Store) EventUnion(ctx context.Context, sandbox string) ([]lakeward.Leaf, error) {
	schemas, err := s.Schemas(ctx, sandbox)
	return lakeward.EventUnion(schemas), err
}

// Union returns the fields of the profile store.
func (s *Store) Union(ctx context.Context, sandbox string) ([]lakeward.Leaf, error) {
	schemas, err := s.Schemas(ctx, sandbox)
	return lakeward.UnionSchema(schemas), err
}
