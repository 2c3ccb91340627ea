package engine

import (
	"context"
	"slices"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/warehouse"
)

// policy is the merge policy of a sandbox with what the warehouse must know to follow it.
func (e *Engine) policy(ctx context.Context, sandbox string) (warehouse.Policy, error) {
	p, err := e.store.MergePolicy(ctx, sandbox)
	if err != nil {
		return warehouse.Policy{}, err
	}
	return e.policyOf(ctx, p)
}

func (e *Engine) policyOf(ctx context.Context, p lakeward.MergePolicy) (warehouse.Policy, error) {
	out := warehouse.Policy{MergePolicy: p, Stitched: map[string]bool{}, Fields: map[lakeward.DatasetID][]lakeward.Leaf{},
		Batches: func(ctx context.Context) ([]lakeward.Batch, error) { return e.store.AllBatches(ctx, p.Sandbox) }}
	var err error
	if out.Union, err = e.store.Union(ctx, p.Sandbox); err != nil {
		return out, err
	}
	namespaces, err := e.store.Namespaces(ctx, p.Sandbox)
	if err != nil {
		return out, err
	}
	for _, n := range namespaces {
		out.Stitched[n.Code] = n.Stitched()
	}
	datasets, err := e.recordDatasets(ctx, p.Sandbox)
	for _, d := range datasets {
		out.Fields[d.ID] = d.schema.Leaves()
	}
	return out, err
}

// recordDataset is a dataset whose records set fields of profiles.
type recordDataset struct {
	lakeward.Dataset
	schema lakeward.Schema
}

func (e *Engine) recordDatasets(ctx context.Context, sandbox string) ([]recordDataset, error) {
	datasets, err := e.store.Datasets(ctx, sandbox)
	if err != nil {
		return nil, err
	}
	var out []recordDataset
	for _, d := range datasets {
		s, err := e.store.Schema(ctx, sandbox, string(d.SchemaID))
		if err != nil {
			return nil, err
		}
		if s.Profile && s.Class == lakeward.RecordClass {
			out = append(out, recordDataset{d, s})
		}
	}
	return out, nil
}

// MergePolicyEdit is what changes of a merge policy: the fields that are not nil.
type MergePolicyEdit struct {
	Name      *string
	Method    *lakeward.MergeMethod
	Datasets  []string // names or ids by precedence
	Stitching *lakeward.Stitching
}

// EditMergePolicy changes the merge policy of a sandbox. Unless only its name changes, all profiles are made anew from
// the records of the datasets, and become current in one generation together with the policy.
func (e *Engine) EditMergePolicy(ctx context.Context, sandbox string, x MergePolicyEdit) (lakeward.MergePolicy, error) {
	old, err := e.store.MergePolicy(ctx, sandbox)
	if err != nil {
		return old, err
	}
	p, err := e.edited(ctx, old, x)
	if err != nil {
		return old, err
	}
	if p.Method == old.Method && p.Stitching == old.Stitching && slices.Equal(p.Datasets, old.Datasets) {
		return p, e.store.SaveMergePolicy(ctx, p)
	}
	policy, err := e.policyOf(ctx, p)
	if err != nil {
		return old, err
	}
	past, err := e.past(ctx, sandbox)
	if err != nil {
		return old, err
	}
	generation, err := e.warehouse.Rebuild(ctx, sandbox, policy, past, now())
	if err != nil {
		return old, err
	}
	e.log.InfoContext(ctx, "profiles rebuilt", "merge_policy", p.ID, "stitching", p.Stitching, "method", p.Method, "generation", generation)
	return p, nil
}

func (e *Engine) edited(ctx context.Context, p lakeward.MergePolicy, x MergePolicyEdit) (lakeward.MergePolicy, error) {
	if p.CreatedAt.IsZero() {
		p.CreatedAt = now()
	}
	if x.Name != nil {
		p.Name = *x.Name
	}
	if x.Stitching != nil {
		p.Stitching = *x.Stitching
	}
	if x.Method != nil {
		if p.Method = *x.Method; p.Method == lakeward.TimestampOrdered {
			p.Datasets = nil
		}
	}
	list, err := e.recordDatasets(ctx, p.Sandbox)
	if err != nil {
		return p, err
	}
	var datasets []lakeward.Dataset
	for _, d := range list {
		datasets = append(datasets, d.Dataset)
	}
	if x.Datasets != nil {
		p.Datasets = nil
		for _, ref := range x.Datasets {
			d, err := e.store.Dataset(ctx, p.Sandbox, ref)
			if err != nil {
				return p, err
			}
			p.Datasets = append(p.Datasets, d.ID)
		}
	}
	return p, p.Validate(datasets)
}

// past lists what made the profiles of a sandbox, in its order: batches and deletions.
func (e *Engine) past(ctx context.Context, sandbox string) ([]warehouse.Step, error) {
	batches, err := e.store.AllBatches(ctx, sandbox)
	if err != nil {
		return nil, err
	}
	deletions, err := e.store.Deletions(ctx, sandbox)
	if err != nil {
		return nil, err
	}
	schemas := map[lakeward.DatasetID]lakeward.Schema{}
	datasets, err := e.store.Datasets(ctx, sandbox)
	if err != nil {
		return nil, err
	}
	for _, d := range datasets {
		if schemas[d.ID], err = e.store.Schema(ctx, sandbox, string(d.SchemaID)); err != nil {
			return nil, err
		}
	}
	var out []warehouse.Step
	for _, b := range batches {
		for len(deletions) > 0 && deletions[0].Generation < b.Generation {
			out, deletions = append(out, warehouse.Step{Deletion: &deletions[0]}), deletions[1:]
		}
		schema, known := schemas[b.DatasetID]
		if b.Import != nil {
			schema, known = importSchema(lakeward.Audience{ID: lakeward.AudienceID(b.DatasetID), Sandbox: sandbox, Namespace: b.Import.Namespace}, []string{b.Import.Column}, b.Import.Column), true
		}
		if !known {
			return nil, &lakeward.Error{Kind: lakeward.Conflict, Code: "POLICY-1004", Msg: "the audience import " + lakeward.Quote(b.Source) + " was made by an older version, which did not note the column that identifies; profiles cannot be made anew from it"}
		}
		if schema.Profile {
			out = append(out, warehouse.Step{Batch: b, Schema: schema})
		}
	}
	for i := range deletions {
		out = append(out, warehouse.Step{Deletion: &deletions[i]})
	}
	return out, nil
}
