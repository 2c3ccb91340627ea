package engine

import (
	"context"
	"slices"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/warehouse"
)

// checkPayload refuses enrichment by uploads that were stored without a copy by profile.
func (e *Engine) checkPayload(ctx context.Context, it lakeward.DataflowItem, a lakeward.Audience) error {
	if len(it.Enrichment) == 0 || a.Origin != lakeward.UploadOrigin {
		return nil
	}
	b, err := e.latestUpload(ctx, a)
	if err != nil || b.Rows == 0 || len(b.Payload) > 0 || len(a.Payload()) == 0 {
		return err
	}
	return &lakeward.Error{Kind: lakeward.Conflict, Code: "AUD-1003", Msg: "the audience " + lakeward.Quote(a.Name) + " was uploaded by a version that could not export its columns; import it again"}
}

// enrich adds the payload columns of the run's audience to the mapped ones, as its latest upload up to the run's generation has
// them (ENR-04).
func (e *Engine) enrich(ctx context.Context, r *lakeward.Run, s *selection) error {
	item, _ := r.Plan.Dataflow.Item(lakeward.AudienceID(r.Item))
	extra := item.EnrichmentColumns()
	if len(extra) == 0 {
		return nil
	}
	batches, err := e.store.Batches(ctx, lakeward.Dataset{Sandbox: r.Sandbox, ID: lakeward.DatasetID(r.Item)})
	if err != nil {
		return err
	}
	for _, b := range batches {
		if b.Generation <= r.ToGeneration {
			s.payload = b
		}
	}
	for _, c := range extra {
		s.enriched = append(s.enriched, lakeward.Leaf{Path: c.Source, Type: c.Type})
		if !slices.Contains(r.Plan.Audience.Payload(), c.Source) {
			s.gone++
		}
	}
	s.columns = append(s.columns, extra...)
	return nil
}

// payloadOf opens what enriches the rows of a selection; nil if nothing does.
func (e *Engine) payloadOf(s *selection) (*warehouse.Payload, error) {
	if len(s.enriched) == 0 {
		return nil, nil
	}
	return e.warehouse.OpenPayload(s.snap, s.payload, s.enriched)
}

// fill puts the payload of a chunk of profiles beside their attributes.
func (p *projector) fill(numbers []uint32) error {
	if p.payload == nil {
		return nil
	}
	values, err := p.payload.Values(numbers)
	if err != nil {
		return err
	}
	for i, c := range p.s.columns {
		if c.Kind == lakeward.EnrichmentSource {
			p.sources.values[i], values = values[0], values[1:]
		}
	}
	return nil
}
