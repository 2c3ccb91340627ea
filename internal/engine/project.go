package engine

import (
	"slices"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
	"github.com/lakeward/lakeward/internal/warehouse"
)

// projector turns chunks of profiles into chunks of rows: columns in, columns out, one row for each
// value of the mapped namespace (MAP-19).
type projector struct {
	s         *selection
	qualified *warehouse.Qualified // nil if lastQualificationTime is not mapped
	out       vector.Chunk
	states    *vector.Dictionary // realized, exited
	times     vector.Vector
	sources   *sources
	payload   *warehouse.Payload // nil if nothing enriches the rows
}

func (e *Engine) newProjector(s *selection) (*projector, error) {
	status := []byte(lakeward.Realized + lakeward.Exited)
	p := &projector{s: s, states: &vector.Dictionary{Bytes: status, Offsets: []uint32{0, uint32(len(lakeward.Realized)), uint32(len(status))}}}
	p.out.Columns, p.sources = make([]vector.Vector, len(s.columns)), s.sources(func(lakeward.Column) bool { return true })
	var err error
	if p.payload, err = e.payloadOf(s); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(s.columns, func(c lakeward.Column) bool { return c.Kind == lakeward.QualifiedSource }) {
		if p.qualified, err = e.warehouse.OpenMembership(s.membership); err != nil {
			p.close()
			return nil, err
		}
	}
	return p, nil
}

func (p *projector) close() {
	if p.qualified != nil {
		p.qualified.Close()
	}
	if p.payload != nil {
		p.payload.Close()
	}
}

// each calls emit with the rows of a chunk of profiles.
func (p *projector) each(in *warehouse.Profiles, emit func(*vector.Chunk) error) error {
	if p.qualified != nil {
		times, err := p.s.times(p.qualified, in.Numbers)
		if err != nil {
			return err
		}
		p.times = vector.Vector{Kind: vector.Time, Len: in.Len, Ints: times}
	}
	p.sources.begin(in)
	if err := p.fill(in.Numbers); err != nil {
		return err
	}
	if p.s.namespace == "" || in.Values.Len == in.Len && oneEach(in) {
		return emit(p.straight(in))
	}
	return p.expand(in, emit)
}

func oneEach(in *warehouse.Profiles) bool {
	for i := range in.Len {
		if in.First[i+1]-in.First[i] != 1 {
			return false
		}
	}
	return true
}

// straight passes columns on: one row for each profile.
func (p *projector) straight(in *warehouse.Profiles) *vector.Chunk {
	p.out.Len = in.Len
	for i, c := range p.s.columns {
		switch c.Kind {
		case lakeward.AttributeSource, lakeward.CalculatedSource, lakeward.EnrichmentSource:
			p.out.Columns[i] = p.sources.values[i]
		case lakeward.IdentitySource:
			p.out.Columns[i] = in.Values
		case lakeward.StatusSource:
			p.out.Columns[i] = p.status(in.Numbers)
		case lakeward.QualifiedSource:
			p.out.Columns[i] = p.times
		}
	}
	return &p.out
}

func (p *projector) status(numbers []uint32) vector.Vector {
	v := vector.Vector{Kind: vector.String, Len: len(numbers), Dict: p.states, Codes: make([]int32, len(numbers))}
	for i, n := range numbers {
		v.Codes[i] = p.state(n)
	}
	return v
}

// state is the code of a profile's status.
func (p *projector) state(number uint32) int32 {
	if p.s.left(number) {
		return 1
	}
	return 0
}

// expand repeats the attributes of a profile for each of its identity values.
func (p *projector) expand(in *warehouse.Profiles, emit func(*vector.Chunk) error) error {
	p.reset()
	for i := range in.Len {
		for k := in.First[i]; k < in.First[i+1]; k++ {
			p.appendRow(in, i, int(k))
			if p.out.Len < vector.MaxRows {
				continue
			}
			if err := emit(&p.out); err != nil {
				return err
			}
			p.reset()
		}
	}
	if p.out.Len == 0 {
		return nil
	}
	return emit(&p.out)
}

func (p *projector) reset() {
	p.out.Len = 0
	for i, c := range p.s.columns {
		p.out.Columns[i] = vector.Vector{} // straight may have put a column of the scan here
		p.out.Columns[i].ResetTo(vector.ShapeOfField(c.Field()))
		if c.Kind == lakeward.StatusSource {
			p.out.Columns[i].Dict = p.states
		}
	}
}

func (p *projector) appendRow(in *warehouse.Profiles, i, value int) {
	for k, c := range p.s.columns {
		out := &p.out.Columns[k]
		switch c.Kind {
		case lakeward.AttributeSource, lakeward.CalculatedSource, lakeward.EnrichmentSource:
			out.AppendFrom(&p.sources.values[k], i)
		case lakeward.IdentitySource:
			out.AppendFrom(&in.Values, value)
		case lakeward.StatusSource:
			out.AppendCode(p.state(in.Numbers[i]))
		case lakeward.QualifiedSource:
			out.AppendInt(p.times.Ints[i])
		}
	}
	p.out.Len++
}
