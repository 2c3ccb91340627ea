package expr

import (
	"github.com/lakeward/lakeward/internal/vector"
)

// mapFunctions make maps, whose keys are texts, and look into them. Of equal keys the first counts.
func mapFunctions() []Function {
	return []Function{
		{Name: "map_get_values", Args: "mx", build: buildMapValues},
		{Name: "map_has_keys", Args: "mx*", gives: gives(Boolean), prepare: keysAreTexts, eval: hasKeys},
		{Name: "add_to_map", Args: "mm*", gives: func(args []*Node) (*Shape, error) { return unifyAll("add_to_map", args, 0) }, eval: addMaps},
		{Name: "to_map", Args: "sx*", gives: pairsOfMap, nulls: true, eval: pairsToMap},
		{Name: "object_to_map", Args: "x*", build: buildObjectToMap},
		{Name: "array_to_map", Args: "al", gives: keyedArray, prepare: keyField, eval: arrayToMap},
	}
}

// buildMapValues is the value for a key, or the values for the keys of an array.
func buildMapValues(args []*Node) (*Node, error) {
	if args[1].Type == Array {
		fn := &Function{Name: "map_get_values", Args: "ma", prepare: keysAreTexts, gives: func(args []*Node) (*Shape, error) { return listOf(args[0].Shape.Item), nil }, eval: valuesFor}
		return fn.Apply(args, 0)
	}
	fn := &Function{Name: "map_get_values", Args: "mt", gives: func(args []*Node) (*Shape, error) { return args[0].Shape.Item, nil }, eval: func(c *cells) {
		if k := entryOf(c.args[0], c.at[0], c.text(1)); k >= 0 {
			c.out.AppendFrom(c.list(0), k)
		} else {
			c.null()
		}
	}}
	return fn.Apply(args, 0)
}

// entryOf is where a map has the key, -1 if it has not.
func entryOf(m *vector.Vector, i int, key []byte) int {
	from, to := m.Items(i)
	for k := from; k < to; k++ {
		if string(m.Fields[0].Str(k)) == string(key) {
			return k
		}
	}
	return -1
}

func keysAreTexts(n *Node) error {
	for i, a := range n.Args[1:] {
		if a.Type != String && a.Op != Null && (a.Type != Array || a.Shape.Item.Type != String) {
			return badArgument(i+1, "%s takes keys, which are texts, or an array of them", n.Func.Name)
		}
	}
	return nil
}

// valuesFor are the values for the keys of an array, in their order, each key once.
func valuesFor(c *cells) {
	from, to := c.items(1)
	seen := map[int]bool{}
	for k := from; k < to; k++ {
		if c.list(1).IsNull(k) {
			continue
		}
		if e := entryOf(c.args[0], c.at[0], c.list(1).Str(k)); e >= 0 && !seen[e] {
			seen[e] = true
			c.out.Fields[0].AppendFrom(c.list(0), e)
		}
	}
	c.out.AppendItems()
}

// hasKeys reports whether the map has one of the keys.
func hasKeys(c *cells) {
	for k := 1; k < len(c.args); k++ {
		v := c.args[k]
		if v.Kind != vector.List {
			if entryOf(c.args[0], c.at[0], c.text(k)) >= 0 {
				c.setBool(true)
				return
			}
			continue
		}
		from, to := c.items(k)
		for i := from; i < to; i++ {
			if !v.Fields[0].IsNull(i) && entryOf(c.args[0], c.at[0], v.Fields[0].Str(i)) >= 0 {
				c.setBool(true)
				return
			}
		}
	}
	c.setBool(false)
}

func addMaps(c *cells) {
	seen := map[string]bool{}
	for k := range c.args {
		from, to := c.items(k)
		for e := from; e < to; e++ {
			c.entry(seen, c.args[k].Fields[0].Str(e), c.list(k), e)
		}
	}
	c.out.AppendItems()
}

// entry adds an entry to the map that is being made, unless its key is there.
func (c *cells) entry(seen map[string]bool, key []byte, values *vector.Vector, i int) {
	if seen[string(key)] {
		return
	}
	seen[string(key)] = true
	c.out.Fields[0].AppendString(key)
	if values == nil {
		c.out.Fields[1].AppendNull()
	} else {
		c.out.Fields[1].AppendFrom(values, i)
	}
}

// pairsOfMap turns the keys into texts and gives the values one shape.
func pairsOfMap(args []*Node) (*Shape, error) {
	if len(args)%2 != 0 {
		return nil, badArgument(-1, "a map is made of pairs of a key and a value")
	}
	var values []*Node
	for i := 0; i < len(args); i += 2 {
		if !args[i].Type.scalar() {
			return nil, badArgument(i, "the key of a map is a text, not %s", args[i].Type)
		}
		if args[i].Type != String {
			args[i] = asText(args[i])
		}
		values = append(values, args[i+1])
	}
	item, err := unifyAll("a map", values, 0)
	if err != nil {
		return nil, badArgument(-1, "the values of a map need one type; make texts of them with concat")
	}
	for i, v := range values {
		args[2*i+1] = v
	}
	return &Shape{Type: Map, Item: item}, nil
}

// pairsToMap leaves pairs with a null key out.
func pairsToMap(c *cells) {
	seen := map[string]bool{}
	for k := 0; k < len(c.args); k += 2 {
		if !c.has(k) {
			continue
		}
		if c.has(k + 1) {
			c.entry(seen, c.text(k), c.args[k+1], c.at[k+1])
		} else {
			c.entry(seen, c.text(k), nil, 0)
		}
	}
	c.out.AppendItems()
}

// buildObjectToMap takes an object, whose fields become the entries, an array of objects and the name of the field that is
// their key, or pairs of a key and a value.
func buildObjectToMap(args []*Node) (*Node, error) {
	name := "object_to_map"
	switch {
	case len(args) == 1 && args[0].Type == Map:
		return args[0], nil
	case len(args) == 1 && args[0].Type == Object:
		var pairs []*Node
		for i, field := range args[0].Shape.Names {
			member := &Node{Op: Member, Path: field, Args: args}
			member.setShape(args[0].Shape.Fields[i])
			pairs = append(pairs, &Node{Op: Literal, Type: String, Value: Value{Str: field}}, member)
		}
		fn := &Function{Name: name, Args: "sx*", gives: pairsOfMap, eval: pairsToPresent, nulls: true}
		return fn.Apply(pairs, 0)
	case len(args) == 2 && args[0].Type == Array:
		fn := &Function{Name: name, Args: "al", gives: keyedArray, prepare: keyField, eval: arrayToMap}
		return fn.Apply(args, 0)
	}
	fn := &Function{Name: name, Args: "sx*", gives: pairsOfMap, eval: pairsToMap, nulls: true}
	return fn.Apply(args, 0)
}

// pairsToPresent is pairsToMap without the values that are null.
func pairsToPresent(c *cells) {
	seen := map[string]bool{}
	for k := 0; k < len(c.args); k += 2 {
		if c.has(k + 1) {
			c.entry(seen, c.text(k), c.args[k+1], c.at[k+1])
		}
	}
	c.out.AppendItems()
}

func keyedArray(args []*Node) (*Shape, error) {
	if args[0].Type != Array || args[0].Shape.Item.Type != Object {
		return nil, badArgument(0, "an array of objects is needed here")
	}
	return &Shape{Type: Map, Item: args[0].Shape.Item}, nil
}

func keyField(n *Node) error {
	name := literalAt(n, 1, "")
	if f := n.Args[0].Shape.Item.Field(name); f == nil || f.Type != String {
		return badArgument(1, "the objects have no text field of that name, which is the key of the map")
	}
	return nil
}

// arrayToMap leaves objects without a key out.
func arrayToMap(c *cells) {
	objects := c.list(0)
	keys := objects.Field(c.literal(1, ""))
	seen := map[string]bool{}
	from, to := c.items(0)
	for k := from; k < to; k++ {
		if !objects.IsNull(k) && keys != nil && !keys.IsNull(k) {
			c.entry(seen, keys.Str(k), objects, k)
		}
	}
	c.out.AppendItems()
}
