package engine

import (
	"context"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/lake"
)

// CreateDestination checks the fields, probes the folder unless untested, and stores the destination
// (CON-06, DOC-07). account is a name or an id.
func (e *Engine) CreateDestination(ctx context.Context, d lakeward.Destination, account string, untested bool) (lakeward.Destination, error) {
	d.ID, d.CreatedAt, d.ETag = lakeward.DestinationID(lakeward.NewID()), now(), 1
	if err := d.Validate(); err != nil {
		return d, err
	}
	if err := readRecipients(&d); err != nil {
		return d, err
	}
	a, err := e.store.Account(ctx, d.Sandbox, account)
	if err != nil {
		return d, err
	}
	d.AccountID = a.ID
	if !untested {
		if a, err = e.store.OpenKeys(ctx, a); err != nil {
			return d, err
		}
		if _, d.Mode, err = e.examine(ctx, a, lake.Probe{Folder: lakeward.FolderBase(d.Folder)}, nil); err != nil {
			return d, err
		}
	}
	return d, e.store.CreateDestination(ctx, d)
}
