package engine

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/decode"
	"github.com/lakeward/lakeward/internal/vector"
	"github.com/lakeward/lakeward/internal/warehouse"
)

// Import is a CSV file that becomes an audience (CSV-UP-01).
type Import struct {
	Audience    lakeward.Audience // name, description, namespace, external id, days, tags, folder
	Identity    string            // the column of the primary identity
	Name        string            // of the file, a label
	MaxRejected int64             // rows that may be left out because they cannot be taken; more fail the file
}

// ImportAudience makes an audience of the profiles whose identities a CSV file lists; an identity that
// no profile has makes one (CSV-UP-07). An imported audience of that name gets the new members instead
// of the old ones; a file of a header and one empty row takes all of them (CSV-UP-08). The other columns of the file
// are payload: they stay in the batch, for exports to enrich (CSV-UP-03).
func (e *Engine) ImportAudience(ctx context.Context, im Import, file io.Reader) (lakeward.Audience, error) {
	a, at := im.Audience, now()
	a.ID, a.CreatedAt, a.Origin, a.State = lakeward.AudienceID(lakeward.NewID()), at, lakeward.UploadOrigin, lakeward.Published
	var err error
	if a.MergePolicy, err = e.policyID(ctx, a); err != nil {
		return a, err
	}
	again, err := e.sameAudience(ctx, &a)
	if err != nil {
		return a, err
	}
	if a.ExpireDays == 0 {
		a.ExpireDays = lakeward.DefaultExpireDays
	}
	a.Restart(at)
	if err := a.Validate(); err != nil {
		return a, err
	}
	if err := e.checkUpload(ctx, a); err != nil {
		return a, err
	}
	text, clear, err := emptyImport(&importLimit{r: file})
	if err != nil {
		return a, err
	}
	rows, err := decode.OpenCSV(text)
	if err != nil {
		return a, err
	}
	if err := lakeward.CheckImportHeader(rows.Header(), im.Identity); err != nil {
		return a, err
	}
	a.Columns, a.Identity = rows.Header(), im.Identity
	schema := importSchema(a)
	if err := rows.Bind(schema.Leaves(), nil); err != nil {
		return a, err
	}
	w, err := e.importBatch(ctx, a, schema, im.Name, at)
	if err != nil {
		return a, err
	}
	if _, err = ingest(ctx, &importRows{rows, clear && again, im.MaxRejected}, w, &a, im.MaxRejected, nil); err != nil {
		w.Discard()
		return a, err
	}
	defer e.nudge()
	defer e.dataGrew()
	return e.Audience(ctx, a.Sandbox, string(a.ID))
}

// checkUpload checks namespace and external id against the sandbox.
func (e *Engine) checkUpload(ctx context.Context, a lakeward.Audience) error {
	namespaces, err := e.store.Namespaces(ctx, a.Sandbox)
	if err != nil {
		return err
	}
	if err := lakeward.CheckNamespace(namespaces, a.Namespace); err != nil || a.ExternalID == "" {
		return err
	}
	list, err := e.store.Audiences(ctx, a.Sandbox)
	for _, o := range list {
		if o.ID != a.ID && o.ExternalID == a.ExternalID {
			return &lakeward.Error{Kind: lakeward.Conflict, Code: "AUD-1004", Msg: "the external id " + lakeward.Quote(a.ExternalID) + " is that of the audience " + lakeward.Quote(o.Name) + "; choose another one"}
		}
	}
	return err
}

// importBatch begins a batch of an uploaded audience. It is found by the audience's id, as those of a dataset are.
func (e *Engine) importBatch(ctx context.Context, a lakeward.Audience, schema lakeward.Schema, source string, at time.Time) (*warehouse.BatchWriter, error) {
	policies, err := e.policies(ctx, a.Sandbox, a.Policy())
	if err != nil {
		return nil, err
	}
	batch := lakeward.Batch{ID: lakeward.BatchID(lakeward.NewID()), DatasetID: lakeward.DatasetID(a.ID), Source: source, CreatedAt: at,
		Import: &lakeward.ImportIdentity{Column: a.Identity, Namespace: a.Namespace}}
	return e.warehouse.NewBatch(ctx, a.Sandbox, batch, schema, policies)
}

// records is decode.Rows under a name that can be embedded beside its method Rows.
type records interface{ decode.Rows }

// importRows are the rows of an import: a file without any is taken for a mistake, unless it says that it is empty.
type importRows struct {
	records
	mayBeEmpty  bool
	maxRejected int64
}

// Next returns the next rows that can be taken.
func (r *importRows) Next() (*vector.Chunk, error) {
	c, err := r.records.Next()
	if n, _ := r.Rejected(); errors.Is(err, io.EOF) && !r.mayBeEmpty && r.Rows() == n && n <= r.maxRejected {
		return nil, &lakeward.Error{Kind: lakeward.Invalid, Code: "UPL-1001", Msg: "the file lists nobody; to take all members of an audience, upload its header and one empty row under its name"}
	}
	return c, err
}

// maxHeader is how far emptyImport looks.
const maxHeader = 64 << 10

// emptyImport reports whether a file holds a header and one empty row (CSV-UP-08), and returns what is to be read of it.
func emptyImport(r io.Reader) (io.Reader, bool, error) {
	start, err := io.ReadAll(io.LimitReader(r, maxHeader))
	if err != nil {
		return nil, false, err
	}
	header, rest, _ := bytes.Cut(start, []byte("\n"))
	if len(start) < maxHeader && len(rest) > 0 && regexp.MustCompile(`^[,"]*\r?\n?$`).Match(rest) {
		return bytes.NewReader(bytes.TrimSuffix(header, []byte("\r"))), true, nil
	}
	return io.MultiReader(bytes.NewReader(start), r), false, nil
}

// latestUpload is the newest batch of an uploaded audience.
func (e *Engine) latestUpload(ctx context.Context, a lakeward.Audience) (lakeward.Batch, error) {
	batches, err := e.store.Batches(ctx, lakeward.Dataset{Sandbox: a.Sandbox, ID: lakeward.DatasetID(a.ID)})
	if err != nil {
		return lakeward.Batch{}, err
	}
	if len(batches) == 0 {
		return lakeward.Batch{}, &lakeward.Error{Kind: lakeward.Conflict, Code: "AUD-1003", Msg: "the audience " + lakeward.Quote(a.Name) + " has no upload; import it again"}
	}
	return batches[len(batches)-1], nil
}

// ingested tells how the latest upload of an audience went (AUD-09).
func (e *Engine) ingested(ctx context.Context, a lakeward.Audience) (*lakeward.Ingested, error) {
	b, err := e.latestUpload(ctx, a)
	if lakeward.KindOf(err) == lakeward.Conflict {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	members, known, err := e.store.MembersAt(ctx, a, b.Generation)
	if err != nil {
		return nil, err
	}
	in := &lakeward.Ingested{Batch: b.ID, At: b.CreatedAt, Records: b.Rows, Failed: b.Rejected, New: b.NewProfiles}
	if known {
		in.Existing = members - b.NewProfiles
	}
	return in, nil
}

// RefreshAudience takes the latest upload of an audience once more and extends its life (CSV-UP-05).
func (e *Engine) RefreshAudience(ctx context.Context, sandbox, ref string) (lakeward.Audience, error) {
	a, err := e.store.Audience(ctx, sandbox, ref)
	if err != nil {
		return a, err
	}
	if err := a.Refresh(now()); err != nil {
		return a, err
	}
	return e.uploadAgain(ctx, a, a)
}

// uploadAgain makes the latest upload of one audience that of another, or of the same, which it stores too.
func (e *Engine) uploadAgain(ctx context.Context, from, to lakeward.Audience) (lakeward.Audience, error) {
	old, err := e.latestUpload(ctx, from)
	if err != nil {
		return to, err
	}
	schema := importSchema(to)
	w, err := e.importBatch(ctx, to, schema, old.Source, now())
	if err != nil {
		return to, err
	}
	w.LeaveOut(old.Rejected, old.Examples)
	if err := e.copyRows(ctx, old, schema, w, &to); err != nil {
		w.Discard()
		return to, err
	}
	defer e.nudge()
	defer e.dataGrew()
	return e.Audience(ctx, to.Sandbox, string(to.ID))
}

func (e *Engine) copyRows(ctx context.Context, from lakeward.Batch, schema lakeward.Schema, w *warehouse.BatchWriter, to *lakeward.Audience) error {
	for c, err := range e.warehouse.ReadFiles(ctx, from.Files, schema.Leaves()) {
		if err != nil {
			return err
		}
		if err := w.Write(ctx, c); err != nil {
			return err
		}
	}
	_, err := w.Commit(ctx, to)
	return err
}

// expireTries is how often an expiry begins anew because another commit was first.
const expireTries = 5

// expire takes all profiles out of the uploaded audiences of a sandbox, "" for all, whose time is over (CSV-UP-05). Whoever
// needs members calls it before, so that nobody sees those of an expired audience.
func (e *Engine) expire(ctx context.Context, sandbox string, at time.Time) error {
	due, err := e.store.ExpiredAudiences(ctx, at)
	if err != nil {
		return err
	}
	var errs []error
	done := map[string]bool{}
	for _, a := range due {
		if done[a.Sandbox] || sandbox != "" && a.Sandbox != sandbox {
			continue
		}
		done[a.Sandbox] = true
		err := e.expireIn(ctx, a.Sandbox, at)
		for n := 1; n < expireTries && lakeward.CodeOf(err) == "DATA-1002"; n++ {
			err = e.expireIn(ctx, a.Sandbox, at)
		}
		if lakeward.CodeOf(err) == "DATA-1002" { // whoever needs it to be empty waits
			err = &lakeward.Error{Kind: lakeward.Unavailable, Code: "DATA-1002", Msg: "an audience has expired and the profile store keeps changing; it is tried again"}
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// expireIn reads the generation before it asks who has expired: an upload in between is another generation, and wins.
func (e *Engine) expireIn(ctx context.Context, sandbox string, at time.Time) error {
	policies, err := e.store.MergePolicies(ctx, sandbox)
	if err != nil {
		return err
	}
	for _, p := range policies {
		if err := e.expireOf(ctx, sandbox, p.ID, at); err != nil {
			return err
		}
	}
	return nil
}

// expireOf does the same for the audiences of one merge policy.
func (e *Engine) expireOf(ctx context.Context, sandbox string, policy lakeward.MergePolicyID, at time.Time) error {
	head, err := e.warehouse.SnapshotOf(ctx, sandbox, policy, 0)
	if err != nil {
		return err
	}
	defer runtime.KeepAlive(head) // so that its generation can be read once more
	due, err := e.store.ExpiredAudiences(ctx, at)
	if err != nil {
		return err
	}
	nobody := map[lakeward.AudienceID]*roaring.Bitmap{}
	for _, a := range due {
		if a.Sandbox == sandbox && a.Policy() == policy {
			nobody[a.ID] = roaring.New()
		}
	}
	if len(nobody) == 0 {
		return nil
	}
	snap, err := e.warehouse.SnapshotOf(ctx, sandbox, policy, head.Generation, slices.Collect(maps.Keys(nobody))...)
	if err != nil {
		return err
	}
	if _, err := e.warehouse.SaveMemberships(ctx, snap, nobody, at); err != nil {
		return err
	}
	e.log.InfoContext(ctx, "audiences expired", "sandbox", sandbox, "audiences", len(nobody))
	return nil
}

// sameAudience takes over an imported audience of the same name, and of it what the new upload does not say; a rule
// audience of that name is refused. again is whether there was one.
func (e *Engine) sameAudience(ctx context.Context, a *lakeward.Audience) (again bool, err error) {
	old, err := e.store.Audience(ctx, a.Sandbox, a.Name)
	if lakeward.KindOf(err) == lakeward.NotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if old.Origin != lakeward.UploadOrigin {
		return false, &lakeward.Error{Kind: lakeward.Conflict, Code: "NAME-1020", Msg: "an audience by rule is named " + lakeward.Quote(a.Name) + " already; choose another name"}
	}
	a.ID, a.CreatedAt, a.State = old.ID, old.CreatedAt, old.State
	a.Description, a.Folder, a.ExternalID = cmp.Or(a.Description, old.Description), cmp.Or(a.Folder, old.Folder), cmp.Or(a.ExternalID, old.ExternalID)
	a.ExpireDays = cmp.Or(a.ExpireDays, old.ExpireDays)
	if a.Tags == nil {
		a.Tags = old.Tags
	}
	return true, nil
}

// importSchema is the ad-hoc schema of an import: an event-like record that only identifies (CSV-UP-06).
// Its columns are payload, bound to the audience, and never reach the profile (CSV-UP-03).
func importSchema(a lakeward.Audience) lakeward.Schema {
	s := lakeward.Schema{ID: lakeward.SchemaID(a.ID), Sandbox: a.Sandbox, Name: a.Name, Class: lakeward.EventClass, Profile: true, CreatedAt: a.CreatedAt}
	for _, h := range a.Columns {
		f := lakeward.Field{Name: h, Type: lakeward.TypeString}
		if h == a.Identity {
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
