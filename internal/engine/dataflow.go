package engine

import (
	"context"

	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lakeward/lakeward"
)

// CheckDataflow checks a dataflow against all that it names: destination, audiences, fields, namespaces
// and file names. Every surface calls only this before it stores one.
func (e *Engine) CheckDataflow(ctx context.Context, d *lakeward.Dataflow) error {
	return e.checkDataflow(ctx, d, lakeward.Dataflow{})
}

// checkDataflow checks a dataflow that replaces an old one. What was right when it was put in is not asked again: an
// audience may have expired since.
func (e *Engine) checkDataflow(ctx context.Context, d *lakeward.Dataflow, old lakeward.Dataflow) error {
	wrong := []error{d.ValidateEdit(old, now())}
	if !e.cfg.ExtendedFrequencies {
		wrong = append(wrong, d.CheckFrequencies())
	}
	dest, err := e.store.Destination(ctx, d.Sandbox, string(d.DestinationID))
	if err != nil {
		return err
	}
	if d.Datasets != nil {
		if err := lakeward.Together("the dataflow", wrong...); err != nil {
			return err
		}
		return e.checkDatasets(ctx, *d, dest)
	}
	uploaded := 0
	var audiences []lakeward.Audience
	for _, it := range d.Items {
		a, err := e.store.Audience(ctx, d.Sandbox, string(it.AudienceID))
		if err != nil {
			return err
		}
		if _, had := old.Item(a.ID); !had {
			if err := a.Activatable(now()); err != nil {
				return err
			}
		}
		if a.Origin == lakeward.UploadOrigin {
			uploaded++
		}
		if err := e.checkPayload(ctx, it, a); err != nil {
			return err
		}
		audiences = append(audiences, a)
	}
	if uploaded > lakeward.MaxUploaded {
		return &lakeward.Error{Kind: lakeward.Invalid, Code: "FLOW-1003", Msg: fmt.Sprintf("a dataflow has at most %d uploaded audiences, not %d; make another dataflow for the rest", lakeward.MaxUploaded, uploaded)}
	}
	_, _, err = e.columns(ctx, d.Sandbox, d.Mapping, dest)
	if err := lakeward.Together("the dataflow", append(wrong, err, d.CheckEnrichment(audiences), d.CheckNames(dest, e.cfg.Organization))...); err != nil {
		return err
	}
	return e.checkClashes(ctx, *d, dest)
}

// columns resolves a mapping to a destination against the union schema and the namespaces as they are now.
func (e *Engine) columns(ctx context.Context, sandbox string, mapping []lakeward.Mapping, dest lakeward.Destination) ([]lakeward.Column, *formulas, error) {
	union, err := e.store.Union(ctx, sandbox)
	if err != nil {
		return nil, nil, err
	}
	events, err := e.store.EventUnion(ctx, sandbox)
	if err != nil {
		return nil, nil, err
	}
	namespaces, err := e.store.Namespaces(ctx, sandbox)
	if err != nil {
		return nil, nil, err
	}
	f := &formulas{union: union, events: events, found: map[int]formula{}}
	columns, err := lakeward.ResolveMapping(mapping, union, namespaces, dest, f.parse)
	return columns, f, err
}

// CreateDataflow checks and stores a dataflow. destination is a name or an id; the audience ids of the
// items may be names.
func (e *Engine) CreateDataflow(ctx context.Context, d lakeward.Dataflow, destination string) (lakeward.Dataflow, error) {
	at := now()
	d.ID, d.CreatedAt, d.Enabled, d.Rev = lakeward.DataflowID(lakeward.NewID()), at, true, 1
	dest, err := e.store.Destination(ctx, d.Sandbox, destination)
	if err != nil {
		return d, err
	}
	d.DestinationID, d.Base = dest.ID, lakeward.FolderBase(dest.Folder)
	if err := e.resolveItems(ctx, &d); err != nil {
		return d, err
	}
	if err := e.CheckDataflow(ctx, &d); err != nil {
		return d, err
	}
	defer e.nudge()
	return d, e.store.CreateDataflow(ctx, d, at)
}

// resolveItems puts the ids of audiences and datasets in the place of their names.
func (e *Engine) resolveItems(ctx context.Context, d *lakeward.Dataflow) error {
	for i, it := range d.Items {
		a, err := e.store.Audience(ctx, d.Sandbox, string(it.AudienceID))
		if err != nil {
			return err
		}
		d.Items[i].AudienceID = a.ID
	}
	if d.Datasets == nil {
		return nil
	}
	for i, id := range d.Datasets.IDs {
		x, err := e.store.Dataset(ctx, d.Sandbox, string(id))
		if err != nil {
			return err
		}
		d.Datasets.IDs[i] = x.ID
	}
	return nil
}

// checkDatasets checks a dataflow of datasets against its destination, with the names that it would make now.
func (e *Engine) checkDatasets(ctx context.Context, d lakeward.Dataflow, dest lakeward.Destination) error {
	if err := lakeward.CheckDatasetDestination(dest); err != nil {
		return err
	}
	at := now()
	_, err := e.planDatasets(ctx, lakeward.NewRun(d, lakeward.DatasetsItem, lakeward.ManualSlot("check"), at, at), d, at)
	return err
}

// EditDataflow changes a dataflow; destination and base folder stay. The audience ids of new items may be names. It takes
// effect from the next slot of each audience (SCH-21); a run that is going finishes with what it pinned. When the dataflow
// is switched on again, the latest slot that was missed meanwhile is caught up if it is younger than one interval (SCH-20).
func (e *Engine) EditDataflow(ctx context.Context, sandbox, ref string, change func(*lakeward.Dataflow) error) (lakeward.Dataflow, error) {
	old, err := e.store.Dataflow(ctx, sandbox, ref)
	if err != nil {
		return old, err
	}
	if err := e.tickItems(ctx, old.ID, now()); err != nil { // slots of before the edit are those of the old schedule
		return old, err
	}
	d := old
	d.Items, d.Mapping = slices.Clone(old.Items), slices.Clone(old.Mapping)
	if old.Datasets != nil {
		x := *old.Datasets
		x.IDs = slices.Clone(x.IDs)
		d.Datasets = &x
	}
	if err := change(&d); err != nil {
		return old, err
	}
	if (d.Datasets == nil) != (old.Datasets == nil) {
		return old, &lakeward.Error{Kind: lakeward.Invalid, Code: "FLOW-1007", Msg: "a dataflow of audiences never becomes one of datasets, nor the other way round; make another one"}
	}
	d.ID, d.Sandbox, d.DestinationID, d.Base, d.CreatedAt, d.Rev = old.ID, old.Sandbox, old.DestinationID, old.Base, old.CreatedAt, old.Rev+1
	if err := e.resolveItems(ctx, &d); err != nil {
		return old, err
	}
	if err := e.checkDataflow(ctx, &d, old); err != nil {
		return old, err
	}
	at := now()
	defer e.nudge()
	if err := e.store.UpdateDataflow(ctx, old, d, at); err != nil {
		return old, err
	}
	if d.Enabled && !old.Enabled {
		err = e.catchUp(ctx, d, at)
	}
	return d, err
}

// catchUp queues a run for the latest slot of each audience that was not run because the dataflow was switched off.
func (e *Engine) catchUp(ctx context.Context, d lakeward.Dataflow, at time.Time) error {
	for _, it := range d.Entries() {
		last, ok, err := e.store.LatestSlot(ctx, d.ID, it.Item)
		if err != nil {
			return err
		}
		if !ok || last.State != lakeward.Skipped || last.Cause == nil || last.Cause.Code != lakeward.SkipPaused || it.Schedule.TooOld(last.ScheduledAt, at) {
			continue
		}
		evaluate, err := e.evaluatedFirst(ctx, d, it.Item)
		if err != nil {
			return err
		}
		r := lakeward.NewRun(d, last.Item, lakeward.Rerun(lakeward.ScheduledSlot(last.ScheduledAt), 2), last.ScheduledAt, at)
		if err := e.store.QueueSlot(ctx, r, evaluate, at); err != nil {
			return err
		}
	}
	return nil
}

// evaluatedFirst is the audience if it is evaluated before its scheduled exports, "" if not.
func (e *Engine) evaluatedFirst(ctx context.Context, d lakeward.Dataflow, item string) (lakeward.AudienceID, error) {
	if !d.EvaluateFirst {
		return "", nil
	}
	a, err := e.store.Audience(ctx, d.Sandbox, item)
	if lakeward.KindOf(err) == lakeward.NotFound { // the run of one that is gone says so
		return "", nil
	}
	if err != nil || !evaluable(a) {
		return "", err
	}
	return a.ID, nil
}

// Warnings lists what is allowed in a dataflow but will surprise somebody, as things are now.
func (e *Engine) Warnings(ctx context.Context, d lakeward.Dataflow) ([]string, error) {
	s, err := e.store.EvaluationSchedule(ctx, d.Sandbox)
	if err != nil {
		return nil, err
	}
	out := append([]string{}, d.Warnings()...)
	if d.Datasets != nil {
		var rows []int64
		for _, id := range d.Datasets.IDs {
			x, err := e.store.Dataset(ctx, d.Sandbox, string(id))
			if err != nil {
				return nil, err
			}
			rows = append(rows, x.Rows)
		}
		return append(out, d.Datasets.Notices(now(), rows)...), nil
	}
	for _, it := range d.Items {
		a, err := e.store.Audience(ctx, d.Sandbox, string(it.AudienceID))
		if err != nil {
			return nil, err
		}
		out = append(out, s.Warnings(d, it, a)...)
	}
	clashes, err := e.clashes(ctx, d)
	for _, c := range clashes {
		out = append(out, c.text()+" if both are exported in one second; the later run then fails")
	}
	return out, err
}

// maxByHand is how many audiences one export by hand may have (NOW-05).
const maxByHand = 80

// RunDataflow queues a full export of audiences of a dataflow by hand, now; none means all of them. It
// refuses while a run of the same audience is open (NOW-06), and audiences whose schedule has ended (NOW-03).
func (e *Engine) RunDataflow(ctx context.Context, sandbox, ref string, audiences []string) ([]lakeward.Run, error) {
	d, err := e.store.Dataflow(ctx, sandbox, ref)
	if err != nil {
		return nil, err
	}
	items, err := e.pick(ctx, d, audiences)
	if err != nil {
		return nil, err
	}
	at := now()
	if err := e.refuseNow(d, items, at); err != nil {
		return nil, err
	}
	var runs []lakeward.Run
	for _, it := range items { // all or none
		if err := e.refuseOpen(ctx, d, it); err != nil {
			return nil, err
		}
	}
	defer e.nudge()
	for _, it := range items {
		slot := lakeward.ManualSlot(lakeward.NewNonce())
		r, err := e.store.QueueRun(ctx, lakeward.NewRun(d, it.Item, slot, at, at))
		if err != nil {
			return runs, err
		}
		runs = append(runs, r)
	}
	return runs, nil
}

func (e *Engine) pick(ctx context.Context, d lakeward.Dataflow, audiences []string) ([]lakeward.Entry, error) {
	if len(audiences) == 0 {
		return d.Entries(), nil
	}
	var out []lakeward.Entry
	for _, ref := range audiences {
		a, err := e.store.Audience(ctx, d.Sandbox, ref)
		if err != nil {
			return nil, err
		}
		it, ok := d.Entry(string(a.ID))
		if !ok {
			return nil, &lakeward.Error{Kind: lakeward.Invalid, Code: "NOW-1001", Msg: fmt.Sprintf("the audience %s is not part of this dataflow", lakeward.Quote(a.Name))}
		}
		out = append(out, it)
	}
	return out, nil
}

// refuseNow refuses what cannot be exported by hand at a time.
func (e *Engine) refuseNow(d lakeward.Dataflow, items []lakeward.Entry, at time.Time) error {
	if !d.Enabled {
		return &lakeward.Error{Kind: lakeward.Conflict, Code: "FLOW-1005", Msg: "the dataflow " + lakeward.Quote(d.Name) + " is switched off; switch it on with: lakeward dataflow edit --enable"}
	}
	if len(items) > maxByHand {
		return &lakeward.Error{Kind: lakeward.Invalid, Code: "NOW-1003", Msg: fmt.Sprintf("at most %d audiences are exported by hand at once, not %d; name some of them", maxByHand, len(items))}
	}
	var ended []string
	for _, it := range items {
		if it.Schedule.Ended(at) {
			ended = append(ended, it.Item)
		}
	}
	if len(ended) > 0 {
		return &lakeward.Error{Kind: lakeward.Invalid, Code: "NOW-1001", Msg: "outside the range of their schedule: the exports of the audiences " + strings.Join(ended, ", ") + " have ended; give them a later end first"}
	}
	return nil
}

func (e *Engine) refuseOpen(ctx context.Context, d lakeward.Dataflow, it lakeward.Entry) error {
	id, err := e.store.OpenRun(ctx, d.ID, it.Item)
	if err != nil || id == "" {
		return err
	}
	open, err := e.store.Run(ctx, d.Sandbox, string(id))
	if err != nil {
		return err
	}
	msg := fmt.Sprintf("a run of audience %s in dataflow %s is already going: run %s is %s", it.Item, d.ID, id, open.State)
	if open.Cause != nil {
		msg += " (" + open.Cause.Code + ": " + open.Cause.Message + ")"
	}
	return &lakeward.Error{Kind: lakeward.Conflict, Code: "NOW-1002", Msg: msg + "; wait for it"}
}
