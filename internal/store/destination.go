package store

import (
	"context"

	"github.com/lakeward/lakeward"
)

// CreateDestination stores a destination.
func (s *Store) CreateDestination(ctx context.Context, d lakeward.Destination) error {
	return s.insert(ctx, s.write, document{destinationKind, d.Sandbox, string(d.ID), d.Name, d, d.CreatedAt})
}

// Destination returns the destination with an id or a name.
func (s *Store) Destination(ctx context.Context, sandbox, ref string) (lakeward.Destination, error) {
	return find[lakeward.Destination](ctx, s, destinationKind, sandbox, ref)
}

// Destinations lists the destinations.
func (s *Store) Destinations(ctx context.Context, sandbox string) ([]lakeward.Destination, error) {
	return all[lakeward.Destination](ctx, s, destinationKind, sandbox)
}
