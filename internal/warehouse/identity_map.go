package warehouse

import (
	"bytes"
	"slices"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
)

// idValue is an identity of a record. Its bytes are those of the chunk.
type idValue struct {
	namespace string
	value     []byte
	hash      uint64 // once it was asked for
}

// sum is the hash of the identity.
func (id *idValue) sum() uint64 {
	if id.hash == 0 {
		id.hash = identityHash(id.namespace, id.value)
	}
	return id.hash
}

// entry is what the index holds if a profile has the identity.
func (id idValue) entry(kind entryKind, number uint32) indexEntry {
	return indexEntry{hash: id.sum(), namespace: []byte(id.namespace), value: id.value, kind: kind, number: number}
}

// mapColumn is a column of identityMap: by namespace a list of objects with an id (IDN-02).
type mapColumn struct {
	column int
	id     int // field of the objects
}

// findMap finds the identityMap among the fields of records, nil if they have none.
func findMap(leaves []lakeward.Leaf) *mapColumn {
	k := slices.IndexFunc(leaves, func(l lakeward.Leaf) bool { return l.Path == lakeward.IdentityMapPath && l.Type == lakeward.TypeMap })
	if k < 0 || leaves[k].Item.Type != lakeward.TypeArray || leaves[k].Item.Item.Type != lakeward.TypeObject {
		return nil
	}
	id := slices.IndexFunc(leaves[k].Item.Item.Fields, func(f lakeward.Field) bool { return f.Name == "id" && f.Type == lakeward.TypeString })
	if id < 0 {
		return nil
	}
	return &mapColumn{k, id}
}

// identify collects the identities of record i of a chunk: its identity fields, then what its identityMap names
// besides. A namespace that is not there and a value that is too long are mistakes of the upload.
func (p *profileWriter) identify(c *vector.Chunk, i int) error {
	p.ids = p.ids[:0]
	for _, id := range p.identities {
		p.ids = append(p.ids, idValue{namespace: id.namespace, value: c.Columns[id.column].Str(i)})
	}
	if p.byMap == nil {
		return nil
	}
	m := &c.Columns[p.byMap.column]
	from, to := m.Items(i)
	for k := from; k < to; k++ {
		namespace := p.namespace(m.Fields[0].Str(k))
		lists := &m.Fields[1]
		if namespace == "" {
			return &lakeward.Error{Kind: lakeward.Invalid, Code: "IDN-1004", Msg: "an identityMap names the namespace " + lakeward.Quote(string(m.Fields[0].Str(k))) + ", which is not there; create it first with: lakeward namespace create"}
		}
		start, end := lists.Items(k)
		for x := start; x < end; x++ {
			value := lists.Fields[0].Fields[p.byMap.id].Str(x)
			if len(value) > lakeward.MaxIdentityBytes {
				return &lakeward.Error{Kind: lakeward.Invalid, Code: "IDN-1005", Msg: "an identityMap holds an identity of more than 1,024 bytes in the namespace " + namespace}
			}
			known := func(id idValue) bool { return id.namespace == namespace && bytes.Equal(id.value, value) }
			if len(value) > 0 && !slices.ContainsFunc(p.ids, known) {
				p.ids = append(p.ids, idValue{namespace: namespace, value: value})
			}
		}
	}
	return nil
}

// namespace is the code of a namespace of the sandbox, "" if there is none like that.
func (p *profileWriter) namespace(code []byte) string {
	if _, ok := p.policy.Stitched[string(code)]; !ok {
		return ""
	}
	name, ok := p.names[string(code)]
	if !ok {
		if p.names == nil {
			p.names = map[string]string{}
		}
		name = string(code)
		p.names[name] = name
	}
	return name
}
