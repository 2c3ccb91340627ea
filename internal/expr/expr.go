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
)

// String is the word for the type in messages.
func (t Type) String() string {
	return [...]string{"unknown", "a boolean", "an integer", "a double", "text", "a date", "a date-time"}[t]
}

// TypeOf is the type of a field's values; 0 for objects.
func TypeOf(t lakeward.FieldType) Type {
	switch t {
	case lakeward.TypeBoolean:
		return Boolean
	case lakeward.TypeInteger, lakeward.TypeLong:
		return Integer
	case lakeward.TypeDouble:
		return Double
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
)

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
	Path  string  // of a Field
	Cmp   Cmp
	Fn    string // of Text, Arithmetic, Part and Clock
	When  *When  // of Occurs

	Pattern *regexp.Regexp // of Matches and Group
	Group   int
	Fold    bool // Text: compare without case
	Pos     int  // byte offset in the source, for messages
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

// walk calls visit for the node and all below it.
func (n *Node) walk(visit func(*Node)) {
	visit(n)
	for below := range n.children() {
		below.walk(visit)
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
