package engine

import (
	"context"

	"github.com/lakeward/lakeward"
)

// CreateDestination checks and stores a destination. account is a name or an id.
func (e *Engine) CreateDestination(ctx context.Context, d lakeward.Destination, account string) (lakeward.Destination, error) {
	d.ID, d.CreatedAt, d.ETag = lakeward.DestinationID(lakeward.NewID()), now(), 1
	if err := d.Validate(); err != nil {
		return d, err
	}
	a, err := e.store.Account(ctx, d.Sandbox, account)
	if err != nil {
		return d, err
	}
	d.AccountID = a.ID
	return d, e.store.CreateDestination(ctx, d)
}
