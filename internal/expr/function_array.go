package expr

import (
	"github.com/lakeward/lakeward/internal/vector"
)

// arrayFunctions make arrays and take them apart. filterArray and transformArray are written with a lambda, which
// the language knows.
func arrayFunctions() []Function {
	item := func(args []*Node) (*Shape, error) { return args[0].ShapeOf().Item, nil }
	return []Function{
		{Name: "first", Args: "a", gives: item, eval: func(c *cells) { endOf(c, true) }},
		{Name: "last", Args: "a", gives: item, eval: func(c *cells) { endOf(c, false) }},
		{Name: "add_to_array", Args: "ax*", gives: addedTo, nulls: true, eval: addItems},
		{Name: "join_arrays", Args: "aa*", gives: func(args []*Node) (*Shape, error) { return unifyAll("join_arrays", args, 0) }, eval: joinArrays},
		{Name: "to_array", Args: "bx*", gives: arrayOfAll, nulls: true, eval: toArray},
		{Name: "array_to_string", Args: "ta", gives: gives(String), eval: arrayToString},
		{Name: "flattenArray", Args: "a", gives: flatShape, eval: flatten},
	}
}

// endOf is the first or last item, null or not; null if there is none.
func endOf(c *cells, first bool) {
	from, to := c.items(0)
	switch {
	case from == to:
		c.null()
	case first:
		c.out.AppendFrom(c.list(0), from)
	default:
		c.out.AppendFrom(c.list(0), to-1)
	}
}

// arrayOfAll is the shape of an array of the arguments behind the first.
func arrayOfAll(args []*Node) (*Shape, error) {
	item, err := unifyAll("an array", args, 1)
	if err != nil {
		return nil, err
	}
	return listOf(item), nil
}

// addedTo is the shape of an array with more items.
func addedTo(args []*Node) (*Shape, error) {
	item, err := unifyAll("the array", args, 1)
	if err != nil {
		return nil, err
	}
	s, ok := Unify(args[0].ShapeOf(), listOf(item))
	if !ok {
		return nil, badArgument(1, "the items of the array are %s; this value is %s", args[0].Shape.Item.Type, args[1].Type)
	}
	args[0] = convert(args[0], s)
	for i := range args[1:] {
		args[i+1] = convert(args[i+1], s.Item)
	}
	return s, nil
}

// addItems adds values behind the items; to no array it adds nothing.
func addItems(c *cells) {
	if !c.has(0) {
		c.null()
		return
	}
	c.appendItems(0)
	for k := 1; k < len(c.args); k++ {
		c.out.Fields[0].AppendFrom(c.args[k], c.at[k])
	}
	c.out.AppendItems()
}

func (c *cells) appendItems(k int) {
	from, to := c.items(k)
	for i := from; i < to; i++ {
		c.out.Fields[0].AppendFrom(c.list(k), i)
	}
}

func joinArrays(c *cells) {
	for k := range c.args {
		c.appendItems(k)
	}
	c.out.AppendItems()
}

// toArray makes an array of values, with the nulls among them or without.
func toArray(c *cells) {
	all := c.has(0) && c.truth(0)
	for k := 1; k < len(c.args); k++ {
		if all || c.has(k) {
			c.out.Fields[0].AppendFrom(c.args[k], c.at[k])
		}
	}
	c.out.AppendItems()
}

// arrayToString joins the items, nulls left out: single values as files have them, others like JSON with single quotes (CAL-07).
func arrayToString(c *cells) {
	join(c, func(b []byte, v *vector.Vector, k int) []byte {
		if len(v.Fields) > 0 {
			return appendElement(b, v, k)
		}
		return v.AppendText(b, k)
	})
}

// flatShape is an array of what is inside of all arrays.
func flatShape(args []*Node) (*Shape, error) {
	s := args[0].ShapeOf()
	for s.Item != nil && s.Item.Type == Array {
		s = s.Item
	}
	return s, nil
}

func flatten(c *cells) {
	c.flat(c.args[0], c.at[0])
	c.out.AppendItems()
}

func (c *cells) flat(v *vector.Vector, i int) {
	from, to := v.Items(i)
	for k := from; k < to; k++ {
		if v.Fields[0].Kind == vector.List {
			c.flat(&v.Fields[0], k)
		} else {
			c.out.Fields[0].AppendFrom(&v.Fields[0], k)
		}
	}
}

// NewLambda is Transform or Keep over an array; body is worked out for each item.
func NewLambda(op Op, array, body *Node, pos int) *Node {
	n := &Node{Op: op, Type: Array, Shape: array.Shape, Args: []*Node{array, body}, Pos: pos}
	if op == Transform {
		n.Shape = listOf(body.ShapeOf())
	}
	return n
}

// NewArray is an array of values, or of constants as a literal where all are; the error is an *ArgumentError.
func NewArray(items []*Node, pos int) (*Node, error) {
	keep := &Node{Op: Literal, Type: Boolean, Value: Value{Bool: true}}
	fn := &Function{Name: "an array", Args: "bx*", gives: arrayOfAll, nulls: true, eval: toArray}
	if len(items) == 0 {
		fn.Args = "b"
	}
	return fn.Apply(append([]*Node{keep}, items...), pos)
}
