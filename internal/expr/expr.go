// Package expr is one typed expression tree for the languages of the product: it holds
// what a rule means after parsing and checking, and evaluates it over chunks.
//
// The one thing to know: conditions are two-valued. A condition over a null is false,
// so its negation is true (S1); values over a null are null (S4).
package expr

import (
	"iter"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/lakeward/lakeward"
)

// Type is the type of an expression's value.
type Type uint8

// The types.
const (
	Boolean Type = iota + 1
	Integer
	Double
	String
	Date
	DateTime
	Array
	Map // by text
	Object
)

// String is the word for the type in messages.
func (t Type) String() string {
	return [...]string{"unknown", "a boolean", "an integer", "a double", "text", "a date", "a date-time", "an array", "a map", "an object"}[t]
}

// TypeOf is the type of a field's values.
func TypeOf(t lakeward.FieldType) Type {
	switch t {
	case lakeward.TypeBoolean:
		return Boolean
	case lakeward.TypeInteger, lakeward.TypeLong:
		return Integer
	case lakeward.TypeDouble, lakeward.TypeDecimal:
		return Double
	case lakeward.TypeArray:
		return Array
	case lakeward.TypeMap:
		return Map
	case lakeward.TypeObject:
		return Object
	case lakeward.TypeString:
		return String
	case lakeward.TypeDate:
		return Date
	case lakeward.TypeDateTime:
		return DateTime
	}
	return 0
}

// Numeric reports whether the type is a number.
func (t Type) Numeric() bool { return t == Integer || t == Double }

// Temporal reports whether the type is a point in time; a date is its midnight in UTC (S6).
func (t Type) Temporal() bool { return t == Date || t == DateTime }

// Op is what a node does with its arguments.
type Op uint8

// The operators. Compare, In, Text and IsNull are conditions.
const (
	Literal Op = iota + 1
	Field
	And
	Or
	Not
	Compare    // Args[0] Cmp Args[1]
	In         // Args[0] in Items; false for null
	NotIn      // Args[0] not in Items; false for null
	Text       // a string condition Fn over Args[0] and the literals in Items
	IsNull     // Args[0] is absent
	Arithmetic // Args[0] Fn Args[1], or - Args[0]
	If         // Args[1] where Args[0] holds, else Args[2]
	Matches    // Pattern is found in Args[0]
	Group      // group number Group of the first match of Pattern in Args[0]
	Part       // year, month or day of Args[0], by Fn
	Clock      // the time of the evaluation, by Fn: now, today, currentYear and the like
	Occurs     // Args[0] lies where When says
	InSegment  // the profile is a member of the audience with the id in Value.Str

	// What follows looks into arrays, maps and objects. A second argument is evaluated for each item of the first,
	// where Item is the item and Outer what stands around it.
	Item         // the item of the innermost array
	Outer        // Args[0] as of Up arrays further out
	Member       // field Path of the object Args[0]; of an array of objects, all their values
	Where        // the items of Args[0] for which Args[1] holds
	Exists       // Args[0] has an item
	All          // Args[1] holds for all items of Args[0]
	Count        // number of items of Args[0]
	Aggregate    // Fn (sum, average, min, max) of the items of Args[0], or of Args[1] for each
	Each         // Args[1] for each item of Args[0]
	Top          // the Value.Int items of Args[0] with the greatest (topN) or least (bottomN) Args[1], by Fn
	Head         // the first item of Args[0]
	Distinct     // the items of Args[0], the first of equal ones
	Intersection // the items of Args[0] that are items of Args[1], each once
	Intersects   // Args[0] and Args[1] share an item
	Subset       // all items of Args[0] are items of Args[1]
	Includes     // Args[1] is an item of Args[0]
	Same         // Args[0] and Args[1] hold the same items in any order, or the same values; Cmp is EQ or NE
	Get          // the value of the map Args[0] for the key Args[1]
	Keys         // the keys of the map Args[0], sorted
	Values       // its values, sorted by key
	Single       // an array of the object Args[0]

	// What follows is for calculated fields. There a value can also fail, which makes the field null and is counted.
	Call      // Func of the arguments
	Null      // no value, of whatever type
	Choose    // Args[1] where Args[0] holds, else Args[2]
	Coalesce  // the first argument that is not null
	Decode    // Args[2] where Args[0] equals Args[1], Args[4] where it equals Args[3], ...; the last argument otherwise
	Build     // an object of the arguments, named by the shape
	Transform // Args[1] for each item of Args[0], nulls kept
	Keep      // the items of Args[0] for which Args[1] holds
)

// Shape is the type of what is inside an array, a map or an object.
type Shape struct {
	Type   Type
	Item   *Shape // of an Array or a Map
	Names  []string
	Fields []*Shape // of an Object
}

// ShapeOf is the shape of a field's values.
func ShapeOf(f lakeward.Field) *Shape {
	s := &Shape{Type: TypeOf(f.Type)}
	if f.Item != nil {
		s.Item = ShapeOf(*f.Item)
	}
	for _, below := range f.Fields {
		s.Names, s.Fields = append(s.Names, below.Name), append(s.Fields, ShapeOf(below))
	}
	return s
}

// ObjectOf is the shape of an object with fields at dotted paths.
func ObjectOf(leaves []lakeward.Leaf) *Shape {
	top := &Shape{Type: Object}
	for _, l := range leaves {
		at := top
		names := strings.Split(l.Path, ".")
		for _, name := range names[:len(names)-1] {
			below := at.Field(name)
			if below == nil {
				below = &Shape{Type: Object}
				at.Names, at.Fields = append(at.Names, name), append(at.Fields, below)
			}
			at = below
		}
		at.Names = append(at.Names, names[len(names)-1])
		at.Fields = append(at.Fields, ShapeOf(lakeward.Field{Type: l.Type, Item: l.Item}))
	}
	return top
}

// Field is the shape of a field of an object, nil if there is none.
func (s *Shape) Field(name string) *Shape {
	for i, n := range s.Names {
		if n == name {
			return s.Fields[i]
		}
	}
	return nil
}

// Cmp is a comparison.
type Cmp uint8

// The comparisons.
const (
	EQ Cmp = iota
	NE
	LT
	LE
	GT
	GE
)

// Value is a literal: a date in days, a date-time in milliseconds, both in Int.
type Value struct {
	Int   int64
	Float float64
	Str   string
	Bool  bool
}

// Node is one operation of an expression.
type Node struct {
	Op    Op
	Type  Type
	Args  []*Node
	Items []Value // literals of In, NotIn and Text
	Value Value   // of a Literal
	Path  string  // of a Field or a Member
	Up    int     // of Outer
	Shape *Shape  // of an Array, a Map or an Object
	// Origin is the path of the stored field that the value is part of, with the fields inside; "" if it is none.
	Origin string
	Cmp    Cmp
	Fn     string // of Text, Arithmetic, Part and Clock
	When   *When  // of Occurs

	Pattern *regexp.Regexp // of Matches and Group
	Group   int
	Fold    bool // Text: compare without case

	Func   *Function // of Call
	limit  int       // of Transform and Keep: items for each row
	layout layout    // of functions over dates
	zone   *time.Location
	hash   hasher
	Pos    int // byte offset in the source, for messages
}

// Fields lists the paths that the expression reads, each once, in order of appearance.
func (n *Node) Fields() []string {
	var out []string
	seen := map[string]bool{}
	walk := func(n *Node) {
		if n.Op == Field && !seen[n.Path] {
			seen[n.Path] = true
			out = append(out, n.Path)
		}
	}
	n.walk(walk)
	return out
}

// Segments lists the audiences that the expression asks for, each once, in order of appearance.
func (n *Node) Segments() []string {
	var out []string
	n.walk(func(n *Node) {
		if n.Op == InSegment && !slices.Contains(out, n.Value.Str) {
			out = append(out, n.Value.Str)
		}
	})
	return out
}

// Cost is the number of operations that a row can take, at most math.MaxInt32; what a name of let stands for
// counts as often as the name stands there.
func (n *Node) Cost() int { return n.cost(map[*Node]int{}) }

// cost remembers what it knows of shared nodes: the tree that they unfold to may be of exponential size.
func (n *Node) cost(known map[*Node]int) int {
	if c, ok := known[n]; ok {
		return c
	}
	c := 1
	for below := range n.children() {
		c = min(c+below.cost(known), math.MaxInt32)
	}
	known[n] = c
	return c
}

// Uses lists what the expression looks at: the paths of stored fields, also inside arrays of objects, and with .* behind
// it a path below which everything is looked at.
func (n *Node) Uses() []string {
	var out []string
	add := func(path string) {
		if path != "" && !slices.Contains(out, path) {
			out = append(out, path)
		}
	}
	n.walk(func(n *Node) {
		add(n.Origin)
		if n.Op == Field {
			add(n.Path)
		}
		switch n.Op {
		case IsNull, Same, Includes, Intersects, Intersection, Subset, Distinct:
			for _, a := range n.Args {
				if a.Origin != "" && a.Shape != nil && (n.Op != IsNull || a.Type == Object) {
					add(a.Origin + ".*")
				}
			}
		}
	})
	return out
}

// walk calls visit for the node and all below it, each once: the tree that shared nodes unfold to may be of exponential size.
func (n *Node) walk(visit func(*Node)) { n.walkNew(visit, map[*Node]bool{}) }

func (n *Node) walkNew(visit func(*Node), seen map[*Node]bool) {
	if seen[n] {
		return
	}
	seen[n] = true
	visit(n)
	for below := range n.children() {
		below.walkNew(visit, seen)
	}
}

// children yields the nodes right below.
func (n *Node) children() iter.Seq[*Node] {
	return func(yield func(*Node) bool) {
		for _, a := range n.Args {
			if !yield(a) {
				return
			}
		}
		if n.When == nil {
			return
		}
		for _, m := range []Moment{n.When.Time, n.When.End} {
			if m.Value != nil && !yield(m.Value) {
				return
			}
		}
	}
}
