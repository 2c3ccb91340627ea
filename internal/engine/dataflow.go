package engine

import (
	"context"

	"fmt"
	"slices"
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
	return lakeward.Together("the dataflow", append(wrong, err, d.CheckEnrichment(audiences), d.CheckNames(dest))...)
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

// resolveItems puts the ids of audiences in the place of their names.
func (e *Engine) resolveItems(ctx context.Context, d *lakeward.Dataflow) error {
	for i, it := range d.Items {
		a, err := e.store.Audience(ctx, d.Sandbox, string(it.AudienceID))
		if err != nil {
			return err
		}
		d.Items[i].AudienceID = a.ID
	}
	return nil
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
	if err := change(&d); err != nil {
		return old, err
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
	for _, it := range d.Items {
		last, ok, err := e.store.LatestSlot(ctx, d.ID, string(it.AudienceID))
		if err != nil {
			return err
		}
		if !ok || last.State != lakeward.Skipped || last.Cause == nil || last.Cause.Code != lakeward.SkipPaused || it.Schedule.TooOld(last.ScheduledAt, at) {
			continue
		}
		evaluate, err := e.evaluatedFirst(ctx, d, it.AudienceID)
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
func (e *Engine) evaluatedFirst(ctx context.Context, d lakeward.Dataflow, id lakeward.AudienceID) (lakeward.AudienceID, error) {
	if !d.EvaluateFirst {
		return "", nil
	}
	a, err := e.store.Audience(ctx, d.Sandbox, string(id))
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
	for _, it := range d.Items {
		a, err := e.store.Audience(ctx, d.Sandbox, string(it.AudienceID))
		if err != nil {
			return nil, err
		}
		out = append(out, s.Warnings(d, it, a)...)
	}
	return out, nil
}

// RunDataflow queues a full export of audiences of a dataflow by hand, now; none means all of them. It
// refuses while a run of the same audience is open (NOW-06).
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
	var runs []lakeward.Run
	for _, it := range items { // all or none
		if err := e.refuseOpen(ctx, d, it); err != nil {
			return nil, err
		}
	}
	defer e.nudge()
	for _, it := range items {
		slot := lakeward.ManualSlot(lakeward.NewNonce())
		r, err := e.store.QueueRun(ctx, lakeward.NewRun(d, string(it.AudienceID), slot, at, at))
		if err != nil {
			return runs, err
		}
		runs = append(runs, r)
	}
	return runs, nil
}

func (e *Engine) pick(ctx context.Context, d lakeward.Dataflow, audiences []string) ([]lakeward.DataflowItem, error) {
	if len(audiences) == 0 {
		return d.Items, nil
	}
	var out []lakeward.DataflowItem
	for _, ref := range audiences {
		a, err := e.store.Audience(ctx, d.Sandbox, ref)
		if err != nil {
			return nil, err
		}
		it, ok := d.Item(a.ID)
		if !ok {
			return nil, &lakeward.Error{Kind: lakeward.Invalid, Code: "NOW-1001", Msg: fmt.Sprintf("the audience %s is not part of this dataflow", lakeward.Quote(a.Name))}
		}
		out = append(out, it)
	}
	return out, nil
}

func (e *Engine) refuseOpen(ctx context.Context, d lakeward.Dataflow, it lakeward.DataflowItem) error {
	id, err := e.store.OpenRun(ctx, d.ID, string(it.AudienceID))
	if err != nil || id == "" {
		return err
	}
	open, err := e.store.Run(ctx, d.Sandbox, string(id))
	if err != nil {
		return err
	}
	msg := fmt.Sprintf("a run of audience %s in dataflow %s is already going: run %s is %s", it.AudienceID, d.ID, id, open.State)
	if open.Cause != nil {
		msg += " (" + open.Cause.Code + ": " + open.Cause.Message + ")"
	}
	return &lakeward.Error{Kind: lakeward.Conflict, Code: "NOW-1002", Msg: msg + "; wait for it"}
}
