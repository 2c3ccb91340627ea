package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/warehouse"
)

// Evaluate computes the members of rule audiences in one pass over the columns that their rules use,
// and commits them as one generation. refs are names or ids; none means all published ones. An audience that
// another one asks for by inSegment is evaluated with it, at the same time (S11). It waits for another evaluation
// of the sandbox; what was done stands in the history of tasks.
func (e *Engine) Evaluate(ctx context.Context, sandbox string, refs []string, p Progress) ([]lakeward.Audience, error) {
	audiences, err := e.ruleAudiences(ctx, sandbox, refs)
	if err != nil || len(audiences) == 0 {
		return audiences, err
	}
	work := lakeward.Evaluation{Trigger: lakeward.ByHand, All: len(refs) == 0}
	for _, a := range audiences {
		if !work.All {
			work.Audiences = append(work.Audiences, a.ID)
		}
	}
	t := lakeward.NewEvaluation(sandbox, lakeward.ManualSlot(lakeward.NewNonce()), work, now())
	if err := e.store.QueueTask(ctx, t); err != nil {
		return nil, err
	}
	if t, err = e.await(ctx, t, p); err != nil {
		return nil, err
	}
	for i := range audiences {
		if audiences[i], err = e.store.Audience(ctx, sandbox, string(audiences[i].ID)); err != nil {
			return nil, err
		}
		for _, c := range t.Evaluation.Counts {
			if c.AudienceID == audiences[i].ID {
				audiences[i].Breakdown = &lakeward.Breakdown{Realized: c.Realized, Existing: c.Qualified - c.Realized, Exiting: c.Exited}
			}
		}
	}
	return audiences, nil
}

// ruleAudiences are the audiences that refs name, which must have rules and be published; without refs all that are so.
func (e *Engine) ruleAudiences(ctx context.Context, sandbox string, refs []string) ([]lakeward.Audience, error) {
	var out []lakeward.Audience
	if len(refs) == 0 {
		list, err := e.store.Audiences(ctx, sandbox)
		for _, a := range list {
			if evaluable(a) {
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
		if err := a.Activatable(now()); err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// evaluable reports whether evaluations decide the members of an audience.
func evaluable(a lakeward.Audience) bool {
	return a.Origin == lakeward.RuleOrigin && a.State == lakeward.Published
}

// evaluate does the work of an evaluation task; the commit of its generation ends it.
func (e *Engine) evaluate(ctx context.Context, t *lakeward.Task, p Progress) error {
	at := now()
	if err := e.expire(ctx, t.Sandbox, at); err != nil { // rules may ask for uploaded audiences
		return err
	}
	audiences, err := e.ruleAudiences(ctx, t.Sandbox, nil)
	if err != nil {
		return err
	}
	audiences = slices.DeleteFunc(audiences, func(a lakeward.Audience) bool { return !t.Evaluation.Covers(a.ID) })
	if len(audiences) == 0 { // all gone since it was queued
		return e.store.AdvanceTask(ctx, t, func(t *lakeward.Task) { t.State, t.EndedAt = lakeward.TaskSucceeded, &at })
	}
	done, ended := *t.Evaluation, *t
	lists := byPolicy(audiences)
	for i, list := range lists {
		j, err := e.runJob(ctx, t.Sandbox, list, at, p)
		if err != nil {
			return e.nameRule(ctx, t.Sandbox, list, err)
		}
		namespaces, err := e.warehouse.Namespaces(ctx, j.snap)
		if err != nil {
			return err
		}
		members := map[lakeward.AudienceID]*roaring.Bitmap{}
		done.Profiles += int64(j.snap.All().GetCardinality())
		for _, r := range j.rules {
			id := r.audience.ID
			if !evaluable(r.audience) {
				continue // only asked for, or that of opt-outs
			}
			members[id] = r.members
			b := breakdown(j.snap.Memberships[id].Members, r.members)
			done.Counts = append(done.Counts, lakeward.EvaluationCount{AudienceID: id, Name: r.audience.Name, Qualified: b.Realized + b.Existing, Realized: b.Realized, Exited: b.Exiting,
				Namespaces: byNamespace(r.members, namespaces)})
		}
		end := now()
		ended.Evaluation, ended.EndedAt = &done, &end
		ends := &ended
		if i < len(lists)-1 {
			ends = nil // the last commit ends the task; the others only look whether it still goes on
			if err := e.store.AdvanceTask(ctx, t, func(*lakeward.Task) {}); err != nil {
				return err
			}
		}
		if _, err := e.warehouse.SaveEvaluation(ctx, j.snap, members, at, ends); err != nil {
			return err
		}
	}
	e.dataGrew()
	return nil
}

// byNamespace counts the members that have an identity of each namespace (SEG-05).
func byNamespace(members *roaring.Bitmap, namespaces map[string]*roaring.Bitmap) map[string]int64 {
	out := map[string]int64{}
	for namespace, numbers := range namespaces {
		if n := members.AndCardinality(numbers); n > 0 {
			out[namespace] = int64(n)
		}
	}
	return out
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

// nameRule adds to the error of a job whose rule cannot be evaluated any more, such as after a change of a schema.
func (e *Engine) nameRule(ctx context.Context, sandbox string, audiences []lakeward.Audience, err error) error {
	wrong, ok := errors.AsType[*lakeward.Error](err)
	if !ok || wrong.Kind != lakeward.Invalid || len(audiences) == 1 {
		return err
	}
	scope, serr := e.scope(ctx, sandbox)
	if serr != nil {
		return err
	}
	for _, a := range audiences {
		if _, jerr := newJob([]lakeward.Audience{a}, scope, &warehouse.Snapshot{}, time.Time{}); jerr != nil {
			named := *wrong
			named.Msg = fmt.Sprintf("the rule of the audience %s: %s", lakeward.Quote(a.Name), wrong.Msg)
			return &named
		}
	}
	return err
}

// EvaluationSchedule returns when a sandbox evaluates its audiences by itself.
func (e *Engine) EvaluationSchedule(ctx context.Context, sandbox string) (lakeward.EvaluationSchedule, error) {
	return e.store.EvaluationSchedule(ctx, sandbox)
}

// ScheduleEvaluation sets when a sandbox evaluates its audiences by itself (SEG-04).
func (e *Engine) ScheduleEvaluation(ctx context.Context, s lakeward.EvaluationSchedule) (lakeward.EvaluationSchedule, error) {
	if err := s.Validate(); err != nil {
		return s, err
	}
	s.NextAt = nil
	if next, ok := s.Next(now()); ok {
		s.NextAt = &next
	}
	defer e.nudge()
	return s, e.store.SetEvaluationSchedule(ctx, s)
}

// tickEvaluations queues the evaluations that are due by the schedules of the sandboxes. Of slots that were missed
// only the latest is caught up.
func (e *Engine) tickEvaluations(ctx context.Context, at time.Time) error {
	list, err := e.store.EvaluationSchedules(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, s := range list {
		if s.Mode == lakeward.EvaluateAfterIngest {
			if s, err = e.tickIngested(ctx, s, at); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		if s.NextAt == nil || s.NextAt.After(at) {
			continue
		}
		next, subject, work := s, fmt.Sprintf("ingest:%d", s.Seen), lakeward.Evaluation{Trigger: lakeward.ByIngest, All: true}
		next.NextAt, next.Since = nil, nil
		if slot, ok := s.Latest(at); ok {
			following := slot.Add(s.Every())
			next.NextAt, subject, work.Trigger = &following, lakeward.ScheduledSlot(slot), lakeward.BySchedule
		}
		t := lakeward.NewEvaluation(s.Sandbox, subject, work, at)
		errs = append(errs, e.store.TickEvaluation(ctx, s, next, &t))
	}
	return errors.Join(errs...)
}

// tickIngested moves the evaluation after an upload when there was another one.
func (e *Engine) tickIngested(ctx context.Context, s lakeward.EvaluationSchedule, at time.Time) (lakeward.EvaluationSchedule, error) {
	generation, err := e.store.NewestUpload(ctx, s.Sandbox, s.Seen)
	if err != nil || generation == 0 {
		return s, err
	}
	next := s.Ingested(generation, at)
	return next, e.store.TickEvaluation(ctx, s, next, nil)
}
