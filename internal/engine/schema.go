package engine

import (
	"context"

	"github.com/lakeward/lakeward"
)

// CreateNamespace checks and stores a custom namespace.
func (e *Engine) CreateNamespace(ctx context.Context, n lakeward.Namespace) (lakeward.Namespace, error) {
	n.Custom, n.CreatedAt = true, now()
	if err := n.Validate(); err != nil {
		return n, err
	}
	return n, e.store.CreateNamespace(ctx, n)
}

// CreateSchema checks a schema against the namespaces and the union schema and stores it.
func (e *Engine) CreateSchema(ctx context.Context, s lakeward.Schema) (lakeward.Schema, error) {
	s.ID, s.CreatedAt = lakeward.SchemaID(lakeward.NewID()), now()
	namespaces, err := e.store.Namespaces(ctx, s.Sandbox)
	if err != nil {
		return s, err
	}
	if err := s.Validate(namespaces); err != nil {
		return s, err
	}
	union, err := e.store.Union(ctx, s.Sandbox)
	if err != nil {
		return s, err
	}
	if err := s.CheckUnion(union); err != nil {
		return s, err
	}
	return s, e.store.CreateSchema(ctx, s)
}
