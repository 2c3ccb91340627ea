package engine

import (
	"context"
	"io"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/decode"
)

// Evaluate computes the members of rule audiences in one pass over the columns that their rules use,
// and commits them as one generation for each merge policy. refs are names or ids; none means all rule audiences. An audience that
// another one asks for by inSegment is evaluated with it, at the same time (S11).
func (e *Engine) Evaluate(ctx context.Context, sandbox string, refs []string, p Progress) ([]lakeward.Audience, error) {
	audiences, err := e.ruleAudiences(ctx, sandbox, refs)
	if err != nil || len(audiences) == 0 {
		return audiences, err
	}
	at := now()
	before := map[lakeward.AudienceID]*roaring.Bitmap{}
	members := map[lakeward.AudienceID]*roaring.Bitmap{}
	for _, list := range byPolicy(audiences) {
		j, err := e.runJob(ctx, sandbox, list, at, p)
		if err != nil {
			return nil, err
		}
		decided := map[lakeward.AudienceID]*roaring.Bitmap{}
		for _, r := range j.rules {
			id := r.audience.ID
			decided[id], members[id], before[id] = r.members, r.members, j.snap.Memberships[id].Members
		}
		if _, err := e.warehouse.SaveMemberships(ctx, j.snap, decided, at); err != nil {
			return nil, err
		}
	}
	for i := range audiences {
		if audiences[i], err = e.store.Audience(ctx, sandbox, string(audiences[i].ID)); err != nil {
			return nil, err
		}
		id := audiences[i].ID
		audiences[i].Breakdown = breakdown(before[id], members[id])
	}
	return audiences, nil
}

// byPolicy groups audiences whose members are profiles of one merge policy, in the order of the audiences.
func byPolicy(audiences []lakeward.Audience) [][]lakeward.Audience {
	var out [][]lakeward.Audience
	for _, a := range audiences {
		i := slices.IndexFunc(out, func(list []lakeward.Audience) bool { return list[0].Policy() == a.Policy() })
		if i < 0 {
			out = append(out, nil)
			i = len(out) - 1
		}
		out[i] = append(out[i], a)
	}
	return out
}

func (e *Engine) ruleAudiences(ctx context.Context, sandbox string, refs []string) ([]lakeward.Audience, error) {
	var out []lakeward.Audience
	if len(refs) == 0 {
		list, err := e.store.Audiences(ctx, sandbox)
		for _, a := range list {
			if a.Origin == lakeward.RuleOrigin {
				out = append(out, a)
			}
		}
		return out, err
	}
	for _, ref := range refs {
		a, err := e.store.Audience(ctx, sandbox, ref)
		if err != nil {
			return nil, err
		}
		if a.Origin != lakeward.RuleOrigin {
			return nil, uploadedHasNoRule(a)
		}
		out = append(out, a)
	}
	return out, nil
}

// Import is a CSV file that becomes an audience (CSV-UP-01).
type Import struct {
	Audience lakeward.Audience // name, description, namespace
	Identity string            // the column of the primary identity
	Name     string            // of the file, a label
}

// ImportAudience makes an audience of the profiles whose identities a CSV file lists; an identity that
// no profile has makes one (CSV-UP-07). An imported audience of that name gets the new members instead
// of the old ones. The other columns of the file are checked and not kept.
func (e *Engine) ImportAudience(ctx context.Context, im Import, file io.Reader) (lakeward.Audience, error) {
	a := im.Audience
	a.ID, a.CreatedAt, a.Origin = lakeward.AudienceID(lakeward.NewID()), now(), lakeward.UploadOrigin
	if err := a.Validate(); err != nil {
		return a, err
	}
	var err error
	if a.MergePolicy, err = e.policyID(ctx, a); err != nil {
		return a, err
	}
	if err := e.sameAudience(ctx, &a); err != nil {
		return a, err
	}
	namespaces, err := e.store.Namespaces(ctx, a.Sandbox)
	if err != nil {
		return a, err
	}
	if err := lakeward.CheckNamespace(namespaces, a.Namespace); err != nil {
		return a, err
	}
	rows, err := decode.OpenCSV(&importLimit{r: file})
	if err != nil {
		return a, err
	}
	if err := lakeward.CheckImportHeader(rows.Header(), im.Identity); err != nil {
		return a, err
	}
	schema := importSchema(a, rows.Header(), im.Identity)
	if err := rows.Bind(schema.Leaves(), nil); err != nil {
		return a, err
	}
	policies, err := e.policies(ctx, a.Sandbox, a.Policy())
	if err != nil {
		return a, err
	}
	batch := lakeward.Batch{ID: lakeward.BatchID(lakeward.NewID()), DatasetID: lakeward.DatasetID(a.ID), Source: im.Name, CreatedAt: now(),
		Import: &lakeward.ImportIdentity{Column: im.Identity, Namespace: a.Namespace}}
	w, err := e.warehouse.NewBatch(ctx, a.Sandbox, batch, schema, policies)
	if err != nil {
		return a, err
	}
	if _, err = ingest(ctx, rows, w, &a, 0, nil); err != nil {
		w.Discard()
		return a, err
	}
	return e.store.Audience(ctx, a.Sandbox, string(a.ID))
}

// sameAudience takes over the id of an imported audience of the same name; a rule audience of that name is refused.
func (e *Engine) sameAudience(ctx context.Context, a *lakeward.Audience) error {
	old, err := e.store.Audience(ctx, a.Sandbox, a.Name)
	if lakeward.KindOf(err) == lakeward.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	if old.Origin != lakeward.UploadOrigin {
		return &lakeward.Error{Kind: lakeward.Conflict, Code: "NAME-1020", Msg: "an audience by rule is named " + lakeward.Quote(a.Name) + " already; choose another name"}
	}
	a.ID, a.CreatedAt, a.MergePolicy = old.ID, old.CreatedAt, old.MergePolicy
	return nil
}

// importSchema is the ad-hoc schema of an import: an event-like record that only identifies (CSV-UP-06).
// Its columns are payload, bound to the audience, and never reach the profile (CSV-UP-03).
func importSchema(a lakeward.Audience, header []string, identity string) lakeward.Schema {
	s := lakeward.Schema{ID: lakeward.SchemaID(a.ID), Sandbox: a.Sandbox, Name: a.Name, Class: lakeward.EventClass, Profile: true, CreatedAt: a.CreatedAt}
	for _, h := range header {
		f := lakeward.Field{Name: h, Type: lakeward.TypeString}
		if h == identity {
			f.Identity = &lakeward.FieldIdentity{Namespace: a.Namespace, Primary: true}
		}
		s.Fields = append(s.Fields, f)
	}
	return s
}

// importLimit fails past the size that an import may have (CSV-UP-02).
type importLimit struct {
	r    io.Reader
	done int64
}

func (l *importLimit) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	if l.done += int64(n); l.done >= lakeward.MaxImportBytes {
		return n, &lakeward.Error{Kind: lakeward.Invalid, Code: "UPL-1010", Msg: "the file has 1 GB or more; split it, or upload it as a dataset"}
	}
	return n, err
}
