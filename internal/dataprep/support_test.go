package dataprep_test

import (
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/dataprep"
	"github.com/lakeward/lakeward/internal/encode"
	"github.com/lakeward/lakeward/internal/expr"
	"github.com/lakeward/lakeward/internal/vector"
)

func named(name string, t lakeward.FieldType) lakeward.Field {
	return lakeward.Field{Name: name, Type: t}
}

func list(name string, item lakeward.Field) lakeward.Field {
	return lakeward.Field{Name: name, Type: lakeward.TypeArray, Item: &item}
}

func object(fields ...lakeward.Field) lakeward.Field {
	return lakeward.Field{Type: lakeward.TypeObject, Fields: fields}
}

// fields are those of the profiles of the tests.
func fields() []lakeward.Field {
	text := named("", lakeward.TypeString)
	return []lakeward.Field{
		{Name: "person", Type: lakeward.TypeObject, Fields: []lakeward.Field{
			{Name: "name", Type: lakeward.TypeObject, Fields: []lakeward.Field{named("firstName", lakeward.TypeString), named("lastName", lakeward.TypeString)}},
			named("birthDate", lakeward.TypeDate)}},
		named("nick", lakeward.TypeString), named("raw", lakeward.TypeString), named("age", lakeward.TypeInteger), named("big", lakeward.TypeLong), named("score", lakeward.TypeDouble), named("vip", lakeward.TypeBoolean),
		named("joined", lakeward.TypeDateTime), {Name: "price", Type: lakeward.TypeDecimal, Scale: 2}, named("none", lakeward.TypeString),
		list("tags", text), list("numbers", named("", lakeward.TypeLong)), list("grid", list("", list("", text))), {Name: "prefs", Type: lakeward.TypeMap, Item: &text},
		list("organizations", object(named("id", lakeward.TypeInteger), named("orgName", lakeward.TypeString), named("founded", lakeward.TypeInteger), named("latestInteraction", lakeward.TypeDateTime))),
		list("orders", object(named("sku", lakeward.TypeString), lakeward.Field{Name: "price", Type: lakeward.TypeDecimal, Scale: 2}, list("lines", object(named("n", lakeward.TypeInteger))))),
	}
}

func leaves() []lakeward.Leaf { return lakeward.Schema{Fields: fields()}.Leaves() }

const profilesJSON = `[
{"person":{"name":{"firstName":"Ann","lastName":"Äpfel"},"birthDate":"1991-11-26"},"nick":"Äöß","raw":"12","age":34,"big":9007199254740993,"score":7.5,"vip":true,"joined":"2025-11-24T00:30:00.250Z","price":1250,
 "tags":["red","blau"],"numbers":[3,1,2],"grid":[[["a","b"],["c"]],[["d"]]],"prefs":{"lang":"de","news":"yes"},
 "organizations":[{"id":123,"orgName":"Acme Inc","founded":1990,"latestInteraction":"2024-02-16T00:00:00Z"},{"id":456,"orgName":"Superstar Inc","founded":2004,"latestInteraction":"2023-08-25T00:00:00Z"},{"id":789,"orgName":"Energy Corp","founded":2021,"latestInteraction":"2024-09-08T00:00:00Z"}],
 "orders":[{"sku":"a","price":1999,"lines":[{"n":2},{"n":5}]},{"sku":"b","lines":[]}]},
{"person":{"name":{"firstName":"","lastName":"東京 太郎"}},"nick":"x","raw":"abc","age":0,"score":0,"vip":false,"tags":[],"numbers":[],"prefs":{},"organizations":[{"id":1,"orgName":"Café 'Zoë'"}],"orders":[]},
{}]`

func appendJSON(v *vector.Vector, f lakeward.Field, x any) {
	if x == nil {
		v.AppendNull()
		return
	}
	switch f.Type {
	case lakeward.TypeString:
		v.AppendString([]byte(x.(string)))
	case lakeward.TypeBoolean:
		v.AppendBool(x.(bool))
	case lakeward.TypeDouble:
		n, _ := x.(json.Number).Float64()
		v.AppendFloat(n)
	case lakeward.TypeDate:
		t, _ := time.Parse(time.DateOnly, x.(string))
		v.AppendInt(int64(math.Floor(float64(t.Unix()) / 86400)))
	case lakeward.TypeDateTime:
		t, _ := time.Parse(time.RFC3339, x.(string))
		v.AppendInt(t.UnixMilli())
	case lakeward.TypeArray:
		for _, item := range x.([]any) {
			appendJSON(&v.Fields[0], *f.Item, item)
		}
		v.AppendItems()
	case lakeward.TypeMap:
		m := x.(map[string]any)
		for _, key := range []string{"lang", "news", "a", "b"} {
			if item, ok := m[key]; ok {
				v.Fields[0].AppendString([]byte(key))
				appendJSON(&v.Fields[1], *f.Item, item)
			}
		}
		v.AppendItems()
	case lakeward.TypeObject:
		for i, below := range f.Fields {
			appendJSON(&v.Fields[i], below, x.(map[string]any)[below.Name])
		}
		v.AppendItems()
	default:
		n, _ := x.(json.Number).Int64()
		v.AppendInt(n)
	}
}

// at is the value of a dotted path in a profile.
func at(profile map[string]any, path ...string) any {
	x, ok := profile[path[0]]
	if below, nested := x.(map[string]any); ok && nested && len(path) > 1 {
		return at(below, path[1:]...)
	}
	if len(path) > 1 {
		return nil
	}
	return x
}

func runOf() expr.Run {
	return expr.Run{ID: "run-1", At: time.Date(2025, 11, 26, 12, 0, 0, 0, time.UTC)}
}

func paths() (out []string) {
	for _, l := range leaves() {
		out = append(out, l.Path)
	}
	return out
}

func scope() dataprep.Scope {
	return dataprep.Scope{Union: leaves(), Events: []lakeward.Leaf{{Path: "commerce.order", Type: lakeward.TypeString}}, Column: "column"}
}

// value works an expression out for row i, both ways, which must agree.
func value(t testing.TB, c *vector.Chunk, src string, i int) (text string, failed bool) {
	t.Helper()
	n, err := dataprep.Parse(src, scope())
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	memo := expr.NewMemo()
	memo.Begin(c)
	p := memo.Program(n, paths(), runOf())
	v, bad := p.Values(c)
	row, rowFailed := p.ValueRow(c, i)
	text = string(encode.AppendJSON(nil, v, i))
	failed = bad != nil && bad.Get(i)
	if other := string(encode.AppendJSON(nil, row, 0)); other != text || rowFailed != failed {
		t.Errorf("%s of row %d is %s (failed %v) in the chunk, %s (%v) alone", src, i, text, failed, other, rowFailed)
	}
	return text, failed
}

func fieldOf(l lakeward.Leaf) lakeward.Field {
	return lakeward.Field{Type: l.Type, Item: l.Item, Scale: l.Scale}
}
