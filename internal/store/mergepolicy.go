package store

import (
	"context"
	"database/sql"

	"github.com/lakeward/lakeward"
)

func policyDocument(p lakeward.MergePolicy) document {
	return document{policyKind, p.Sandbox, string(p.ID), p.Name, p, p.CreatedAt}
}

// MergePolicy returns the merge policy of a sandbox: the stored one, else the one that every sandbox begins with.
func (s *Store) MergePolicy(ctx context.Context, sandbox string) (lakeward.MergePolicy, error) {
	list, err := all[lakeward.MergePolicy](ctx, s, policyKind, sandbox)
	if err != nil || len(list) == 0 {
		return lakeward.DefaultMergePolicy(sandbox), err
	}
	return list[0], nil
}

// SaveMergePolicy stores or replaces a merge policy; the profiles that follow it are not touched.
func (s *Store) SaveMergePolicy(ctx context.Context, p lakeward.MergePolicy) error {
	return s.inTx(ctx, func(tx *sql.Tx) error { return s.replace(ctx, tx, policyDocument(p)) })
}
