package engine

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/lakeward/lakeward"
)

// place is where a dataflow's files go, without their names.
func (e *Engine) place(ctx context.Context, flow lakeward.Dataflow) (lakeward.Plan, error) {
	plan := lakeward.Plan{Dataflow: flow}
	var err error
	if plan.Destination, err = e.store.Destination(ctx, flow.Sandbox, string(flow.DestinationID)); err != nil {
		return plan, err
	}
	account, err := e.store.Account(ctx, flow.Sandbox, string(plan.Destination.AccountID))
	plan.Location = account.URL
	plan.Keys = lakeward.Recipients(account.EncryptionKey, plan.Destination.Recipients)
	return plan, err
}

// plan is what a run of an audience would export at a time: configuration and names. Snapshot and mode are not in it.
func (e *Engine) plan(ctx context.Context, flow lakeward.Dataflow, item string, at time.Time) (lakeward.Plan, error) {
	plan, err := e.place(ctx, flow)
	if err != nil {
		return plan, err
	}
	if plan.Audience, err = e.store.Audience(ctx, flow.Sandbox, item); err != nil {
		return plan, err
	}
	it, ok := flow.Item(plan.Audience.ID)
	if !ok {
		return plan, &lakeward.Error{Kind: lakeward.Conflict, Code: lakeward.FailSource, Msg: "the audience " + lakeward.Quote(plan.Audience.Name) + " is not part of the dataflow any more"}
	}
	plan.Folder, plan.Stem, err = plan.Destination.Place(it.FileName, plan.Extension(), flow.Names(plan.Audience, e.cfg.Organization, at))
	return plan, err
}

// FileNames tells where the files of a dataflow's audiences would lie if they were exported at a time.
func (e *Engine) FileNames(ctx context.Context, sandbox, ref string, at time.Time) ([]lakeward.FileName, error) {
	flow, err := e.store.Dataflow(ctx, sandbox, ref)
	if err != nil {
		return nil, err
	}
	var out []lakeward.FileName
	if flow.Datasets != nil {
		return e.datasetFileNames(ctx, flow, at)
	}
	for _, it := range flow.Items {
		p, err := e.plan(ctx, flow, string(it.AudienceID), at)
		if err != nil {
			return nil, err
		}
		out = append(out, lakeward.FileName{Item: string(it.AudienceID), Name: p.Audience.Name, At: at, Path: p.FilePath(0), Manifest: p.ManifestPath("RUN")})
	}
	return out, nil
}

// datasetFileNames tells where the first file of each dataset would lie.
func (e *Engine) datasetFileNames(ctx context.Context, flow lakeward.Dataflow, at time.Time) ([]lakeward.FileName, error) {
	r := lakeward.NewRun(flow, lakeward.DatasetsItem, lakeward.ManualSlot("preview"), at, at)
	p, err := e.planDatasets(ctx, r, flow, at)
	if err != nil {
		return nil, err
	}
	var out []lakeward.FileName
	for i := range p.Datasets {
		p.Datasets[i].Parts = 1
	}
	for i, d := range p.Datasets {
		out = append(out, lakeward.FileName{Item: string(d.ID), Name: d.Name, At: at, Path: p.FilePath(i), Manifest: p.ManifestPath("RUN")})
	}
	return out, nil
}

// clash is a name that files of two audiences can get.
type clash struct {
	audience, other lakeward.Audience
	flow            lakeward.Dataflow // of the other
	static          bool
	item            int // of the dataflow that was looked at
}

func (c clash) text() string {
	return fmt.Sprintf("the files of audience %s get the names of those of audience %s in dataflow %s", lakeward.Quote(c.audience.Name), lakeward.Quote(c.other.Name), lakeward.Quote(c.flow.Name))
}

// checkClashes refuses names that are provably those of another dataflow's or audience's files (CASE-21). Others meet in one
// second only: the run that comes second then fails (DLV-64).
func (e *Engine) checkClashes(ctx context.Context, d lakeward.Dataflow, dest lakeward.Destination) error {
	list, err := e.clashesIn(ctx, d, dest)
	if err != nil {
		return err
	}
	for _, c := range list {
		if c.static {
			msg := c.text() + "; add date and time or the id of the dataflow to one of them, or choose another folder"
			return &lakeward.Error{Kind: lakeward.Invalid, Code: "NAME-1008", Msg: msg, Fields: []lakeward.FieldError{{Pointer: fmt.Sprintf("/audiences/%d/filenameTemplate", c.item), Code: "NAME-1008", Msg: msg}}}
		}
	}
	return nil
}

// clashes are the names of a dataflow's files that those of others can get.
func (e *Engine) clashes(ctx context.Context, d lakeward.Dataflow) ([]clash, error) {
	dest, err := e.store.Destination(ctx, d.Sandbox, string(d.DestinationID))
	if err != nil {
		return nil, err
	}
	return e.clashesIn(ctx, d, dest)
}

func (e *Engine) clashesIn(ctx context.Context, d lakeward.Dataflow, dest lakeward.Destination) ([]clash, error) {
	n, err := e.newNamer(ctx, d.Sandbox)
	if err != nil {
		return nil, err
	}
	known := patternIndex{}
	out := []clash{}
	note := func(i int, other lakeward.Dataflow, k int, p *lakeward.NamePattern) {
		out = append(out, clash{n.audiences[d.Items[i].AudienceID], n.audiences[other.Items[k].AudienceID], other, p.Static(), i})
	}
	for k, p := range n.patterns(d, dest) {
		for _, i := range known.meet(p) {
			note(i, d, k, p)
		}
		known.add(p, k)
	}
	for _, other := range n.flows {
		if other.ID == d.ID || !n.sameContainer(dest.ID, other.DestinationID) {
			continue
		}
		for k, p := range n.patterns(other, n.destinations[other.DestinationID]) {
			for _, i := range known.meet(p) {
				note(i, other, k, p)
			}
		}
	}
	return out, nil
}

// patternIndex finds items by the keys of their names.
type patternIndex map[string][]int

func (x patternIndex) add(p *lakeward.NamePattern, i int) {
	if p == nil {
		return
	}
	own, first := p.Keys()
	x["own "+own] = append(x["own "+own], i)
	if first != "" {
		x["first "+first] = append(x["first "+first], i)
	}
}

// meet are the items that files of a pattern can meet.
func (x patternIndex) meet(p *lakeward.NamePattern) []int {
	if p == nil {
		return nil
	}
	own, first := p.Keys()
	return slices.Concat(x["own "+own], x["first "+own], x["own "+first])
}

// namer knows all that names are made of.
type namer struct {
	organization string
	flows        []lakeward.Dataflow
	destinations map[lakeward.DestinationID]lakeward.Destination
	audiences    map[lakeward.AudienceID]lakeward.Audience
	urls         map[lakeward.AccountID]string
}

func (e *Engine) newNamer(ctx context.Context, sandbox string) (*namer, error) {
	n := &namer{organization: e.cfg.Organization, destinations: map[lakeward.DestinationID]lakeward.Destination{}, audiences: map[lakeward.AudienceID]lakeward.Audience{}, urls: map[lakeward.AccountID]string{}}
	var err error
	if n.flows, err = e.store.Dataflows(ctx, sandbox); err != nil {
		return nil, err
	}
	destinations, err := e.store.Destinations(ctx, sandbox)
	if err != nil {
		return nil, err
	}
	for _, d := range destinations {
		n.destinations[d.ID] = d
	}
	audiences, err := e.store.Audiences(ctx, sandbox)
	if err != nil {
		return nil, err
	}
	for _, a := range audiences {
		n.audiences[a.ID] = a
	}
	accounts, err := e.store.Accounts(ctx, sandbox)
	for _, a := range accounts {
		n.urls[a.ID] = a.URL
	}
	return n, err
}

// sameContainer reports whether two destinations lie in one container, whatever their accounts.
func (n *namer) sameContainer(a, b lakeward.DestinationID) bool {
	return n.urls[n.destinations[a].AccountID] == n.urls[n.destinations[b].AccountID]
}

// patterns are those of a dataflow's items; nil where the template is not right.
func (n *namer) patterns(d lakeward.Dataflow, dest lakeward.Destination) []*lakeward.NamePattern {
	out := make([]*lakeward.NamePattern, len(d.Items))
	for i, it := range d.Items {
		p, err := lakeward.NewNamePattern(dest.Folder, it.FileName, dest.Extension(), d.Names(n.audiences[it.AudienceID], n.organization, time.Time{}))
		if err == nil {
			out[i] = &p
		}
	}
	return out
}
