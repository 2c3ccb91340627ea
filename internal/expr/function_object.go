package expr

import (
	"bytes"
	"encoding/json"
	"strings"
	"unicode/utf8"

	"github.com/lakeward/lakeward/internal/vector"
)

// objectFunctions make objects and look into them.
func objectFunctions() []Function {
	return []Function{
		{Name: "size_of", Args: "x", gives: gives(Integer), eval: sizeOf},
		{Name: "is_empty", Args: "x", nulls: true, gives: gives(Boolean), eval: func(c *cells) { c.setBool(!c.has(0) || emptyAt(c.args[0], c.at[0])) }},
		{Name: "contains_key", Args: "x", build: func(args []*Node) (*Node, error) {
			null := &Node{Op: IsNull, Type: Boolean, Args: args}
			return &Node{Op: Not, Type: Boolean, Args: []*Node{null}}, nil
		}},
		{Name: "to_object", Args: "lx*", build: buildObject},
		{Name: "arrays_to_objects", Args: "lx*", gives: pairsOfArrays, nulls: true, eval: zip},
		{Name: "str_to_object", Args: "t?tt", gives: givesTexts, eval: textToObject},
		{Name: "json_to_object", Args: "t", gives: givesTexts, eval: jsonToObject},
		{Name: "get_keys", Args: "x", gives: givesList(String), prepare: objectOrMap, eval: keysOf},
		{Name: "get_values", Args: "x?ttt", build: buildValues},
	}
}

// sizeOf counts the items of arrays and maps, the fields of objects that have a value, the characters of texts.
func sizeOf(c *cells) {
	v, i := c.args[0], c.at[0]
	switch v.Kind {
	case vector.List, vector.Map:
		from, to := v.Items(i)
		c.setInt(int64(to - from))
	case vector.Struct:
		n := int64(0)
		for f := range v.Fields {
			if !v.Fields[f].IsNull(i) {
				n++
			}
		}
		c.setInt(n)
	case vector.String:
		c.setInt(int64(utf8.RuneCount(v.Str(i))))
	default:
		c.setInt(1)
	}
}

// emptyAt reports whether a value that is not null has nothing in it (D10).
func emptyAt(v *vector.Vector, i int) bool {
	switch v.Kind {
	case vector.List, vector.Map:
		from, to := v.Items(i)
		return from == to
	case vector.Struct:
		for f := range v.Fields {
			if !v.Fields[f].IsNull(i) {
				return false
			}
		}
		return true
	case vector.String:
		return len(v.Str(i)) == 0
	}
	return false
}

// buildObject takes names, which are literals, and values.
func buildObject(args []*Node) (*Node, error) {
	s := &Shape{Type: Object}
	n := &Node{Op: Build}
	if err := eachPair("to_object", args, func(name string, value *Node) {
		s.Names, s.Fields = append(s.Names, name), append(s.Fields, value.ShapeOf())
		n.Args = append(n.Args, value)
	}); err != nil {
		return nil, err
	}
	n.setShape(s)
	return n, nil
}

// eachPair calls fn with each literal name and the value behind it.
func eachPair(fn string, args []*Node, each func(name string, value *Node)) error {
	if len(args)%2 != 0 {
		return badArgument(-1, "%s takes pairs of a name and a value", fn)
	}
	seen := map[string]bool{}
	for i := 0; i < len(args); i += 2 {
		name := args[i]
		if name.Op != Literal || name.Type != String || name.Value.Str == "" {
			return badArgument(i, "%s takes names in quotes here", fn)
		}
		if seen[name.Value.Str] {
			return badArgument(i, "the name stands twice")
		}
		seen[name.Value.Str] = true
		each(name.Value.Str, args[i+1])
	}
	return nil
}

func pairsOfArrays(args []*Node) (*Shape, error) {
	object := &Shape{Type: Object}
	var bad error
	err := eachPair("arrays_to_objects", args, func(name string, value *Node) {
		if value.Type != Array {
			bad = badArgument(2*len(object.Names)+1, "arrays_to_objects needs an array here, not %s", value.Type)
			return
		}
		object.Names, object.Fields = append(object.Names, name), append(object.Fields, value.Shape.Item)
	})
	if err == nil {
		err = bad
	}
	return listOf(object), err
}

// zip makes an object of the items at each position; shorter arrays give nulls.
func zip(c *cells) {
	longest := 0
	for k := 1; k < len(c.args); k += 2 {
		if c.has(k) {
			from, to := c.items(k)
			longest = max(longest, to-from)
		}
	}
	objects := &c.out.Fields[0]
	for i := range longest {
		for f := range objects.Fields {
			k := 2*f + 1
			from, to := 0, 0
			if c.has(k) {
				from, to = c.items(k)
			}
			if from+i < to {
				objects.Fields[f].AppendFrom(c.list(k), from+i)
			} else {
				objects.Fields[f].AppendNull()
			}
		}
		objects.AppendItems()
	}
	c.out.AppendItems()
}

// texts are the entries of a map of texts; of equal keys the first counts.
type texts struct {
	keys, values []string
	seen         map[string]bool
	size         int
}

func newTexts() *texts { return &texts{seen: map[string]bool{}} }

func (m *texts) add(key, value string) {
	if !m.seen[key] && m.size <= MaxText { // more cannot be kept
		m.seen[key] = true
		m.keys, m.values = append(m.keys, key), append(m.values, value)
		m.size += len(key) + len(value) + 16
	}
}

func (m *texts) set(c *cells) {
	if m.size > MaxText {
		c.fail()
		return
	}
	for i, k := range m.keys {
		c.out.Fields[0].AppendString([]byte(k))
		c.out.Fields[1].AppendString([]byte(m.values[i]))
	}
	c.out.AppendItems()
}

// separators are those between name and value and between the pairs, from an argument on.
func separators(c *cells, k int) (value, field string, ok bool) {
	value, field = ":", ","
	if len(c.args) > k {
		value = string(c.text(k))
	}
	if len(c.args) > k+1 {
		field = string(c.text(k + 1))
	}
	return value, field, value != "" && field != ""
}

func textToObject(c *cells) {
	value, field, ok := separators(c, 1)
	if !ok {
		c.fail()
		return
	}
	m := newTexts()
	for pair := range strings.SplitSeq(string(c.text(0)), field) {
		name, v, found := strings.Cut(pair, value)
		if found {
			m.add(strings.TrimSpace(name), strings.TrimSpace(v))
		} else if strings.TrimSpace(pair) != "" {
			c.fail()
			return
		}
	}
	m.set(c)
}

// jsonToObject makes a map of an object in JSON: texts as they are, everything else as JSON; null members are left out.
func jsonToObject(c *cells) {
	d := json.NewDecoder(bytes.NewReader(c.text(0)))
	m := newTexts()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		c.fail()
		return
	}
	for d.More() {
		var raw json.RawMessage
		key, err := d.Token()
		if err == nil {
			err = d.Decode(&raw)
		}
		if name, ok := key.(string); err == nil && ok && string(raw) != "null" {
			m.add(name, jsonText(raw))
		}
		if err != nil {
			c.fail()
			return
		}
	}
	if _, err := d.Token(); err != nil || len(bytes.TrimSpace(c.text(0)[d.InputOffset():])) > 0 {
		c.fail()
		return
	}
	for i := range m.keys {
		if !validText(m.keys[i]) || !validText(m.values[i]) {
			c.fail()
			return
		}
	}
	m.set(c)
}

func jsonText(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return string(raw)
	}
	return b.String()
}

// validText reports whether a text may stand in a column.
func validText(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

func objectOrMap(n *Node) error {
	if t := n.Args[0].Type; t == Object || t == Map || n.Args[0].Op == Null {
		return nil
	}
	return badArgument(0, "%s needs an object or a map, not %s", n.Func.Name, n.Args[0].Type)
}

// keysOf are the keys of a map as it has them, or the names of the fields that have a value.
func keysOf(c *cells) {
	v, i := c.args[0], c.at[0]
	if v.Kind == vector.Map {
		from, to := v.Items(i)
		for k := from; k < to; k++ {
			c.out.Fields[0].AppendFrom(&v.Fields[0], k)
		}
	}
	for f := range v.Names {
		if !v.Fields[f].IsNull(i) {
			c.out.Fields[0].AppendString([]byte(v.Names[f]))
		}
	}
	c.out.AppendItems()
}

// buildValues is the values of a map, or the value behind a name in a text of pairs.
func buildValues(args []*Node) (*Node, error) {
	fn := &Function{Name: "get_values", Args: "m", gives: func(args []*Node) (*Shape, error) { return listOf(args[0].Shape.Item), nil }, eval: func(c *cells) {
		from, to := c.items(0)
		for k := from; k < to; k++ {
			c.out.Fields[0].AppendFrom(c.list(0), k)
		}
		c.out.AppendItems()
	}}
	if args[0].Type != Map {
		fn = &Function{Name: "get_values", Args: "tt?tt", gives: gives(String), eval: valueOf}
	}
	return fn.Apply(args, 0)
}

func valueOf(c *cells) {
	value, field, ok := separators(c, 2)
	if !ok {
		c.fail()
		return
	}
	for pair := range strings.SplitSeq(string(c.text(0)), field) {
		name, v, found := strings.Cut(pair, value)
		if found && strings.TrimSpace(name) == string(c.text(1)) {
			c.setText([]byte(strings.TrimSpace(v)))
			return
		}
	}
	c.null()
}
