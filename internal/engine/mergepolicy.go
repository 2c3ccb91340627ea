package engine

import (
	"context"
	"fmt"
	"slices"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/warehouse"
)

// policies are the merge policies of a sandbox with what the warehouse must know to follow them; that with the given id
// stands first, the default one for "".
func (e *Engine) policies(ctx context.Context, sandbox string, first lakeward.MergePolicyID) ([]warehouse.Policy, error) {
	list, err := e.store.MergePolicies(ctx, sandbox)
	if err != nil {
		return nil, err
	}
	var out []warehouse.Policy
	for _, p := range list {
		policy, err := e.policyOf(ctx, p)
		if err != nil {
			return nil, err
		}
		if p.ID == first {
			out = append([]warehouse.Policy{policy}, out...)
			continue
		}
		out = append(out, policy)
	}
	return out, nil
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
	Default   bool // true makes it the default one
}

// CreateMergePolicy makes a policy and its profiles, out of the records of all datasets, in one generation.
func (e *Engine) CreateMergePolicy(ctx context.Context, p lakeward.MergePolicy, x MergePolicyEdit) (lakeward.MergePolicy, error) {
	list, err := e.store.MergePolicies(ctx, p.Sandbox)
	if err != nil {
		return p, err
	}
	if len(list) >= lakeward.MaxMergePolicies {
		return p, &lakeward.Error{Kind: lakeward.Invalid, Code: "POLICY-1005", Msg: fmt.Sprintf("a sandbox has at most %d merge policies; edit or delete one", lakeward.MaxMergePolicies)}
	}
	p.ID, p.CreatedAt, p.Method, p.Stitching = lakeward.MergePolicyID(lakeward.NewID()), now(), lakeward.TimestampOrdered, lakeward.NoStitching
	if p, err = e.edited(ctx, p, x); err != nil {
		return p, err
	}
	return p, e.rebuild(ctx, p)
}

// EditMergePolicy changes a merge policy. If it changes what profiles are, they are made anew from the records of the
// datasets, and become current in one generation together with the policy. A policy that becomes the
// default one takes the place of the one before.
func (e *Engine) EditMergePolicy(ctx context.Context, sandbox, ref string, x MergePolicyEdit) (lakeward.MergePolicy, error) {
	old, err := e.store.MergePolicy(ctx, sandbox, ref)
	if err != nil {
		return old, err
	}
	p, err := e.edited(ctx, old, x)
	if err != nil {
		return old, err
	}
	if p.Method != old.Method || p.Stitching != old.Stitching || !slices.Equal(p.Datasets, old.Datasets) {
		return p, e.rebuild(ctx, p)
	}
	list, err := e.withDefault(ctx, p)
	if err != nil {
		return old, err
	}
	return p, e.store.SaveMergePolicies(ctx, list)
}

// withDefault lists the policy and, if it is the default one now, the one that is it no more.
func (e *Engine) withDefault(ctx context.Context, p lakeward.MergePolicy) ([]lakeward.MergePolicy, error) {
	out := []lakeward.MergePolicy{p}
	list, err := e.store.MergePolicies(ctx, p.Sandbox)
	for _, o := range list {
		if p.Default && o.Default && o.ID != p.ID {
			o.Default = false
			out = append(out, o)
		}
	}
	return out, err
}

func (e *Engine) rebuild(ctx context.Context, p lakeward.MergePolicy) error {
	policy, err := e.policyOf(ctx, p)
	if err != nil {
		return err
	}
	past, err := e.past(ctx, p.Sandbox)
	if err != nil {
		return err
	}
	with, err := e.withDefault(ctx, p)
	if err != nil {
		return err
	}
	generation, err := e.warehouse.Rebuild(ctx, p.Sandbox, policy, past, with, now())
	if err != nil {
		return err
	}
	e.log.InfoContext(ctx, "profiles rebuilt", "merge_policy", p.ID, "stitching", p.Stitching, "method", p.Method, "generation", generation)
	return nil
}

// DeleteMergePolicy removes a policy that nothing uses, and its profiles.
func (e *Engine) DeleteMergePolicy(ctx context.Context, sandbox, ref string) error {
	p, err := e.store.MergePolicy(ctx, sandbox, ref)
	if err != nil {
		return err
	}
	if p.Default || p.ID == lakeward.FirstPolicy {
		return &lakeward.Error{Kind: lakeward.Conflict, Code: "USE-1001", Msg: "the merge policy " + lakeward.Quote(p.Name) + " is the default one, or the one that every sandbox begins with; make another one the default with: lakeward merge-policy edit NAME --default"}
	}
	audiences, err := e.store.Audiences(ctx, sandbox)
	if err != nil {
		return err
	}
	for _, a := range audiences {
		if a.Policy() == p.ID {
			return &lakeward.Error{Kind: lakeward.Conflict, Code: "USE-1001", Msg: "the merge policy " + lakeward.Quote(p.Name) + " is in use by audience " + lakeward.Quote(a.Name) + "; delete that one first"}
		}
	}
	return e.warehouse.DropPolicy(ctx, sandbox, p.ID, now())
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
	p.Default = p.Default || x.Default
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
			schema, known = importSchema(lakeward.Audience{ID: lakeward.AudienceID(b.DatasetID), Sandbox: sandbox, Namespace: b.Import.Namespace, Columns: []string{b.Import.Column}, Identity: b.Import.Column}), true
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

// policyOfItem is the merge policy whose profiles an item of a dataflow exports; datasets are the same under all.
func (e *Engine) policyOfItem(ctx context.Context, sandbox, item string) (lakeward.MergePolicyID, error) {
	if item == lakeward.DatasetsItem {
		return lakeward.FirstPolicy, nil
	}
	a, err := e.store.Audience(ctx, sandbox, item)
	return a.Policy(), err
}
