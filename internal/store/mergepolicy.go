package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/lakeward/lakeward"
)

func policyDocument(p lakeward.MergePolicy) document {
	return document{policyKind, p.Sandbox, string(p.ID), p.Name, p, p.CreatedAt}
}

// MergePolicies lists the merge policies of a sandbox, the default one first: the stored ones, and the one that every
// sandbox begins with.
func (s *Store) MergePolicies(ctx context.Context, sandbox string) ([]lakeward.MergePolicy, error) {
	stored, err := all[lakeward.MergePolicy](ctx, s, policyKind, sandbox)
	if err != nil {
		return nil, err
	}
	first, has := lakeward.DefaultMergePolicy(sandbox), false
	var list []lakeward.MergePolicy
	for _, p := range stored {
		has = has || p.ID == first.ID
		first.Default = first.Default && !p.Default
	}
	if !has {
		stored = append([]lakeward.MergePolicy{first}, stored...)
	}
	for _, isDefault := range []bool{true, false} {
		for _, p := range stored {
			if p.Default == isDefault {
				list = append(list, p)
			}
		}
	}
	return list, nil
}

// MergePolicy returns the merge policy with an id or a name; "" is the default one.
func (s *Store) MergePolicy(ctx context.Context, sandbox, ref string) (lakeward.MergePolicy, error) {
	list, err := s.MergePolicies(ctx, sandbox)
	if err != nil {
		return lakeward.MergePolicy{}, err
	}
	if ref == "" {
		return list[0], nil
	}
	var found []lakeward.MergePolicy
	for _, p := range list {
		if string(p.ID) == ref {
			return p, nil
		}
		if p.Name == ref {
			found = append(found, p)
		}
	}
	switch len(found) {
	case 0:
		return lakeward.MergePolicy{}, notFound(policyKind, ref)
	case 1:
		return found[0], nil
	}
	return lakeward.MergePolicy{}, &lakeward.Error{Kind: lakeward.Conflict, Code: "NAME-1020", Msg: fmt.Sprintf("%d merge policies are named %s; use an id", len(found), lakeward.Quote(ref))}
}

// SaveMergePolicies stores or replaces merge policies; the profiles that follow them are not touched.
func (s *Store) SaveMergePolicies(ctx context.Context, list []lakeward.MergePolicy) error {
	return s.inTx(ctx, func(tx *sql.Tx) error {
		for _, p := range list {
			if err := s.replace(ctx, tx, policyDocument(p)); err != nil {
				return err
			}
		}
		return nil
	})
}
