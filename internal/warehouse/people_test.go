package warehouse_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lakeward/lakeward"
)

// row is a record of a history: a value for each field of its schema, "" is null.
type row []string

// person is a profile of the model.
type person struct {
	number    uint32
	fragments []*piece
	member    map[lakeward.AudienceID]bool
	awaited   map[string]bool // identities that find the person while the current batch is read
	stored    map[string]bool // identities of this number before the batch
}

// piece is what a person has of one dataset under one primary identity.
type piece struct {
	dataset lakeward.DatasetID
	at      int // in the history
	ids     []string
	values  map[string]string
}

func (p *person) ids() []string {
	var out []string
	slices.SortFunc(p.fragments, func(a, b *piece) int { return b.at - a.at })
	for _, f := range p.fragments {
		for _, id := range f.ids {
			if !slices.Contains(out, id) {
				out = append(out, id)
			}
		}
	}
	return out
}

func (p *person) primary(id string) bool {
	return slices.ContainsFunc(p.fragments, func(f *piece) bool { return f.ids[0] == id })
}

// people is the model: it looks at everybody for every record.
type people struct {
	policy lakeward.MergePolicy
	all    []*person
	next   uint32
	at     int
	gone   map[uint32]bool // numbers that must never come back
}

// begin starts a batch: what the store knew before it holds while it is read.
func (m *people) begin() {
	for _, p := range m.all {
		p.awaited, p.stored = map[string]bool{}, map[string]bool{}
		p.await(p.ids())
		for _, id := range p.ids() {
			p.stored[id] = true
		}
	}
}

func stitched(id string) bool { return !strings.HasPrefix(id, "Partner=") }

func namespaceOf(id string) string { ns, _, _ := strings.Cut(id, "="); return ns }

// find lists the persons that a record with these identities belongs to, the primary one first.
func (m *people) find(ids []string, class lakeward.SchemaClass) (found []*person) {
	var free, any, keyed *person
	for _, p := range m.all {
		have := p.ids()
		named := func(id string) bool { return slices.Contains(have, id) || p.awaited[id] }
		if m.policy.Stitching == lakeward.PrivateGraph {
			for i, id := range ids {
				if stitched(id) && named(id) || i == 0 && (p.primary(id) || p.awaited["!"+id]) {
					found = append(found, p)
					break
				}
			}
			continue
		}
		same := slices.ContainsFunc(have, func(o string) bool { return p.primary(o) && namespaceOf(o) == namespaceOf(ids[0]) })
		switch {
		case p.primary(ids[0]):
			keyed = p
		case slices.Contains(have, ids[0]):
			if any == nil {
				any = p
			}
			if free == nil && !same {
				free = p
			}
		}
	}
	if m.policy.Stitching == lakeward.PrivateGraph {
		return found
	}
	if any = cmp.Or(keyed, map[lakeward.SchemaClass]*person{lakeward.RecordClass: free, lakeward.EventClass: any}[class]); any != nil {
		found = append(found, any)
	}
	return found
}

func (m *people) record(dataset lakeward.DatasetID, s lakeward.Schema, r row) *person {
	m.at++
	f := &piece{dataset: dataset, at: m.at, values: map[string]string{}}
	for _, primary := range []bool{true, false} {
		for k, field := range s.Fields {
			if field.Identity != nil && field.Identity.Primary == primary && r[k] != "" {
				f.ids = append(f.ids, field.Identity.Namespace+"="+r[k])
			}
			f.values[field.Name] = r[k]
		}
	}
	found := m.find(f.ids, s.Class)
	if len(found) == 0 {
		p := &person{number: m.next, member: map[lakeward.AudienceID]bool{}, awaited: map[string]bool{}, stored: map[string]bool{}}
		m.next++
		m.all = append(m.all, p)
		found = []*person{p}
	} else if s.Class == lakeward.EventClass && (m.policy.Stitching == lakeward.NoStitching || len(found) == 1 && m.knows(found[0], f.ids)) {
		return found[0]
	}
	p := slices.MinFunc(found, func(a, b *person) int { return cmp.Compare(a.number, b.number) })
	for _, o := range found {
		if o != p {
			m.join(p, o)
		}
	}
	p.await(f.ids)
	i := slices.IndexFunc(p.fragments, func(o *piece) bool { return o.dataset == dataset && o.ids[0] == f.ids[0] })
	switch {
	case i < 0:
		p.fragments = append(p.fragments, f)
	case s.Class == lakeward.EventClass:
		for _, id := range f.ids {
			if o := p.fragments[i]; !slices.Contains(o.ids, id) {
				o.ids = append(o.ids, id)
			}
		}
		p.fragments[i].at = f.at
	default:
		p.fragments[i] = f
	}
	return p
}

func (p *person) await(ids []string) {
	for i, id := range ids {
		if stitched(id) {
			p.awaited[id] = true
		}
		if i == 0 || p.primary(id) {
			p.awaited["!"+id] = true
		}
	}
}

// knows reports whether an event says nothing new of a person.
func (m *people) knows(p *person, ids []string) bool {
	have := p.ids()
	return !slices.ContainsFunc(ids, func(id string) bool {
		if !stitched(id) {
			return !p.stored[id]
		}
		return !slices.Contains(have, id) && !p.awaited[id]
	})
}

func (m *people) join(p, o *person) {
	p.fragments = append(p.fragments, o.fragments...)
	for a := range o.member {
		p.member[a] = true
	}
	maps.Copy(p.awaited, o.awaited)
	m.remove(o)
}

func (m *people) remove(p *person) {
	m.gone[p.number] = true
	m.all = slices.DeleteFunc(m.all, func(o *person) bool { return o == p })
}

func (m *people) value(p *person, field string) string {
	p.ids() // sorts, the newest first
	list := slices.Clone(p.fragments)
	if m.policy.Method == lakeward.DatasetPrecedence {
		slices.SortStableFunc(list, func(a, b *piece) int {
			return slices.Index(m.policy.Datasets, a.dataset) - slices.Index(m.policy.Datasets, b.dataset)
		})
	}
	for _, f := range list {
		if historySchemas()[f.dataset].Class != lakeward.RecordClass {
			continue
		}
		if v, ok := f.values[field]; ok && (v != "" || m.policy.Method == lakeward.TimestampOrdered) {
			return v
		}
	}
	return ""
}

// describe lists the persons as text: number, fields, identities as a set.
func (m *people) describe(fields []lakeward.Leaf) []string {
	var out []string
	slices.SortFunc(m.all, func(a, b *person) int { return cmp.Compare(a.number, b.number) })
	for _, p := range m.all {
		text := fmt.Sprint(p.number)
		for _, f := range fields {
			text += " " + f.Path + "=" + m.value(p, f.Path)
		}
		ids := p.ids()
		slices.Sort(ids)
		out = append(out, text+" "+strings.Join(ids, ","))
	}
	return out
}
