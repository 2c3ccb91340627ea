package engine

import (
	"context"
	"slices"

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
	if err := e.checkUnion(ctx, s); err != nil {
		return s, err
	}
	return s, e.store.CreateSchema(ctx, s)
}

// checkUnion holds a schema against the other profile schemas of its class.
func (e *Engine) checkUnion(ctx context.Context, s lakeward.Schema) error {
	schemas, err := e.store.Schemas(ctx, s.Sandbox)
	if err != nil {
		return err
	}
	others := slices.DeleteFunc(schemas, func(o lakeward.Schema) bool { return o.ID == s.ID })
	if s.Class == lakeward.EventClass {
		return s.CheckUnion(lakeward.EventUnion(others))
	}
	return s.CheckUnion(lakeward.UnionSchema(others))
}

// EditSchema gives a schema a new form that everything stored under it fits: fields are only added.
func (e *Engine) EditSchema(ctx context.Context, sandbox, ref string, fields []lakeward.Field) (lakeward.Schema, error) {
	old, err := e.store.Schema(ctx, sandbox, ref)
	if err != nil {
		return old, err
	}
	next := old
	next.Fields = fields
	namespaces, err := e.store.Namespaces(ctx, sandbox)
	if err != nil {
		return old, err
	}
	if err := next.Validate(namespaces); err != nil {
		return old, err
	}
	if err := old.CheckEvolution(next); err != nil {
		return old, err
	}
	if err := e.checkUnion(ctx, next); err != nil {
		return old, err
	}
	return next, e.store.UpdateSchema(ctx, next)
}

// UnionField is a field of all profile schemas of a class together (PRF-01).
type UnionField struct {
	Path   string             `json:"path"`
	Type   lakeward.FieldType `json:"type"`
	Title  string             `json:"title,omitempty"`
	Labels []string           `json:"labels,omitempty"`
	Values int64              `json:"values"` // records that have one; counted only when asked for
}

// Union lists the fields of profiles, or of events. With data, only those that at least one stored profile or event has.
func (e *Engine) Union(ctx context.Context, sandbox string, class lakeward.SchemaClass, data bool) ([]UnionField, error) {
	schemas, err := e.store.Schemas(ctx, sandbox)
	if err != nil {
		return nil, err
	}
	union := lakeward.UnionSchema(schemas)
	if class == lakeward.EventClass {
		union = lakeward.EventUnion(schemas)
	}
	counts := make([]int64, len(union))
	if data {
		if err := e.countValues(ctx, sandbox, class, schemas, union, counts); err != nil {
			return nil, err
		}
	}
	out := []UnionField{}
	for i, l := range union {
		if !data || counts[i] > 0 {
			out = append(out, UnionField{l.Path, l.Type, l.Title, l.Labels, counts[i]})
		}
	}
	return out, nil
}

// countValues counts the values of each field over the records of the datasets of a class.
func (e *Engine) countValues(ctx context.Context, sandbox string, class lakeward.SchemaClass, schemas []lakeward.Schema, union []lakeward.Leaf, counts []int64) error {
	datasets, err := e.store.Datasets(ctx, sandbox)
	if err != nil {
		return err
	}
	for _, d := range datasets {
		i := slices.IndexFunc(schemas, func(s lakeward.Schema) bool { return s.ID == d.SchemaID })
		if i < 0 || schemas[i].Class != class || !schemas[i].Profile {
			continue
		}
		files, err := e.batchFiles(ctx, d)
		if err != nil {
			return err
		}
		for c, err := range e.warehouse.ReadFiles(ctx, files, union) {
			if err != nil {
				return err
			}
			for k := range c.Columns {
				for row := range c.Len {
					if !c.Columns[k].IsNull(row) {
						counts[k]++
					}
				}
			}
		}
	}
	return nil
}
