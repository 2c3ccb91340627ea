package expr

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lakeward/lakeward/internal/vector"
)

// Limits of calculated fields (C14).
const (
	MaxText     = 1 << 20   // bytes of a text, or of a list with all that is inside, that a function makes
	maxSteps    = 1_000_000 // that a row can take
	maxPattern  = 512       // bytes of a pattern
	maxTogether = 8 << 20   // bytes of a column that is worked out at a time
)

// Function is one function of calculated fields: what it takes, what it gives, and how a value is worked out.
type Function struct {
	Name string
	// Args is a letter for each argument: t text, l a literal text, i a whole number, n a number, b a condition, d a date or
	// date-time, a an array, m a map, s a scalar, x anything. What follows ? may be left out, * repeats the letter before it.
	Args string

	gives   func(args []*Node) (*Shape, error)
	eval    func(*cells)                      // appends one value to out
	nulls   bool                              // it is asked for nulls too; the others give null then
	prepare func(n *Node) error               // checks and keeps what literals say
	build   func(args []*Node) (*Node, error) // instead of eval: it is written with other operations
}

// ArgumentError says which argument of a function is wrong; Arg is -1 for the call as a whole.
type ArgumentError struct {
	Arg  int
	Code string
	Msg  string
}

func (e *ArgumentError) Error() string { return e.Msg }

func badArgument(arg int, format string, args ...any) error {
	return &ArgumentError{arg, "EXPR-1002", fmt.Sprintf(format, args...)}
}

// Functions are the functions of calculated fields by name; those that have two names stand there twice.
func Functions() map[string]*Function {
	out := map[string]*Function{}
	for _, group := range [][]Function{textFunctions(), patternFunctions(), hashFunctions(), urlFunctions(), dateFunctions(), zoneFunctions(), objectFunctions(), mapFunctions(), arrayFunctions(),
		choiceFunctions(), numberFunctions(), agentFunctions(), operatorFunctions()} {
		for _, fn := range group {
			out[fn.Name] = &fn
		}
	}
	for other, name := range map[string]string{"lcase": "lower", "ucase": "upper", "make_timestamp": "make_date_time", "is_set": "contains_key", "guid": "uuid"} {
		alias := *out[name]
		alias.Name = other
		out[other] = &alias
	}
	return out
}

// Apply is the node of a call with arguments; the error is an *ArgumentError.
func (fn *Function) Apply(args []*Node, pos int) (*Node, error) {
	args = slices.Clone(args)
	if err := fn.check(args); err != nil {
		return nil, err
	}
	if fn.build != nil {
		n, err := fn.build(args)
		if n != nil {
			n.Pos = pos
		}
		return n, err
	}
	shape, err := fn.gives(args)
	if err != nil {
		return nil, err
	}
	n := &Node{Op: Call, Func: fn, Args: args, Pos: pos}
	n.setShape(shape)
	if fn.prepare != nil {
		err = fn.prepare(n)
	}
	return n, err
}

// check holds the arguments against the letters and turns scalars into text where text is asked for.
func (fn *Function) check(args []*Node) error {
	letters, least, most := fn.letters()
	if len(args) < least || len(args) > most {
		return &ArgumentError{-1, "EXPR-1002", fmt.Sprintf("%s takes %s, not %d", fn.Name, quantity(least, most), len(args))}
	}
	for i, a := range args {
		letter := letters[min(i, len(letters)-1)]
		if a.Op == Null && letter != 'l' {
			continue
		}
		switch got := a.Type; {
		case letter == 't' && got != String && got.scalar():
			args[i] = asText(a)
		case !fits(letter, a):
			return badArgument(i, "%s needs %s here, not %s", fn.Name, letterWord(letter), got)
		}
	}
	return nil
}

// letters are the kinds of the arguments, the last of which repeats if there may be more.
func (fn *Function) letters() (letters string, least, most int) {
	required, optional, _ := strings.Cut(fn.Args, "?")
	most = 1000
	if !strings.HasSuffix(fn.Args, "*") {
		most = len(required) + len(optional)
	}
	required = strings.TrimSuffix(required, "*")
	return strings.TrimSuffix(required+optional, "*"), len(required), most
}

func quantity(least, most int) string {
	switch {
	case most == 1000 && least == 1:
		return "one value or more"
	case most == 1000:
		return fmt.Sprintf("%d values or more", least)
	case most == 0:
		return "no values"
	case least == most && least == 1:
		return "1 value"
	case least == most:
		return fmt.Sprintf("%d values", least)
	}
	return fmt.Sprintf("%d to %d values", least, most)
}

func fits(letter byte, a *Node) bool {
	switch letter {
	case 't':
		return a.Type == String
	case 'l':
		return a.Type == String && a.Op == Literal
	case 'i':
		return a.Type == Integer
	case 'n':
		return a.Type.Numeric()
	case 'b':
		return a.Type == Boolean
	case 'd':
		return a.Type.Temporal()
	case 'a':
		return a.Type == Array
	case 'm':
		return a.Type == Map
	case 's':
		return a.Type.scalar()
	}
	return true
}

func letterWord(letter byte) string {
	return map[byte]string{'t': "text", 'l': "a text in quotes", 'i': "a whole number", 'n': "a number", 'b': "a condition", 'd': "a date or a date-time",
		'a': "an array", 'm': "a map", 's': "a single value"}[letter]
}

// scalar reports whether values of the type have nothing inside.
func (t Type) scalar() bool { return t > 0 && t < Array }

func (n *Node) setShape(s *Shape) {
	n.Type = s.Type
	if s.Type >= Array {
		n.Shape = s
	}
}

// ShapeOf is the shape of the node's values.
func (n *Node) ShapeOf() *Shape {
	if n.Shape != nil {
		return n.Shape
	}
	return &Shape{Type: n.Type}
}

// vector is what vectors of the shape look like. A type that nothing tells, such as that of the items of [], is text.
func (s *Shape) vector() vector.Shape {
	switch s.Type {
	case Array:
		return vector.Shape{Kind: vector.List, Fields: []vector.Shape{s.Item.vector()}}
	case Map:
		return vector.Shape{Kind: vector.Map, Fields: []vector.Shape{{Kind: vector.String}, s.Item.vector()}}
	case Object:
		out := vector.Shape{Kind: vector.Struct, Names: s.Names}
		for _, f := range s.Fields {
			out.Fields = append(out.Fields, f.vector())
		}
		return out
	case 0:
		return vector.Shape{Kind: vector.String}
	}
	return vector.Shape{Kind: s.Type.kind()}
}

// gives returns a type for every arguments.
func gives(t Type) func([]*Node) (*Shape, error) {
	return func([]*Node) (*Shape, error) { return &Shape{Type: t}, nil }
}

func givesList(item Type) func([]*Node) (*Shape, error) {
	return func([]*Node) (*Shape, error) { return listOf(&Shape{Type: item}), nil }
}

func givesTexts([]*Node) (*Shape, error) {
	return &Shape{Type: Map, Item: &Shape{Type: String}}, nil
}

func listOf(item *Shape) *Shape { return &Shape{Type: Array, Item: item} }

// Unify is the shape that values of both shapes can have: a whole number becomes a double, a date its midnight, and
// what nothing is known of takes the other's shape. ok is false if there is none.
func Unify(a, b *Shape) (s *Shape, ok bool) {
	switch {
	case a.Type == 0:
		return b, true
	case b.Type == 0:
		return a, true
	case a.Type.Numeric() && b.Type.Numeric(), a.Type.Temporal() && b.Type.Temporal():
		return &Shape{Type: max(a.Type, b.Type)}, true
	case a.Type != b.Type:
		return nil, false
	case a.Type == Array || a.Type == Map:
		item, ok := Unify(a.Item, b.Item)
		return &Shape{Type: a.Type, Item: item}, ok
	case a.Type == Object:
		out := &Shape{Type: Object, Names: a.Names}
		if !slices.Equal(a.Names, b.Names) {
			return nil, false
		}
		for i := range a.Fields {
			f, ok := Unify(a.Fields[i], b.Fields[i])
			if !ok {
				return nil, false
			}
			out.Fields = append(out.Fields, f)
		}
		return out, true
	}
	return a, true
}

// unifyAll is the one shape of the arguments from an index on, which are converted to it.
func unifyAll(fn string, args []*Node, from int) (*Shape, error) {
	s := &Shape{}
	for i, a := range args[from:] {
		next, ok := Unify(s, a.ShapeOf())
		if !ok {
			return nil, badArgument(from+i, "the values of %s need one type; this one is %s, those before it are %s", fn, a.Type, s.Type)
		}
		s = next
	}
	for i := range args[from:] {
		args[from+i] = convert(args[from+i], s)
	}
	return s, nil
}

// convert is a node whose values have the shape, which Unify gave.
func convert(n *Node, s *Shape) *Node {
	switch have := n.ShapeOf(); {
	case n.Op == Null:
		out := &Node{Op: Null, Pos: n.Pos}
		out.setShape(s)
		return out
	case same(have, s):
		return n
	case n.Op == Literal && s.Type == Double && n.Type == Integer:
		return &Node{Op: Literal, Type: Double, Value: Value{Int: n.Value.Int, Float: float64(n.Value.Int)}, Pos: n.Pos}
	}
	out := &Node{Op: Call, Func: widenFunction(), Args: []*Node{n}, Pos: n.Pos}
	out.setShape(s)
	return out
}

func same(a, b *Shape) bool {
	if a.Type != b.Type || !slices.Equal(a.Names, b.Names) {
		return false
	}
	if a.Item != nil && !same(a.Item, b.Item) {
		return false
	}
	for i := range a.Fields {
		if !same(a.Fields[i], b.Fields[i]) {
			return false
		}
	}
	return true
}

// widenFunction turns whole numbers into doubles and dates into their midnight, also inside of lists.
func widenFunction() *Function {
	return &Function{Name: "widen", Args: "x", eval: func(c *cells) { appendWide(c.out, c.args[0], c.at[0]) }}
}

// appendWide adds value i of a vector whose shape can be converted to that of out.
func appendWide(out, v *vector.Vector, i int) {
	switch {
	case v.IsNull(i):
		out.AppendNull()
	case out.Kind == vector.Float && v.Kind == vector.Int:
		out.AppendFloat(float64(v.Ints[i]))
	case out.Kind == vector.Time:
		out.AppendInt(instant(v, i))
	case out.Kind == vector.List || out.Kind == vector.Map:
		from, to := v.Items(i)
		for f := range out.Fields {
			for k := from; k < to; k++ {
				appendWide(&out.Fields[f], &v.Fields[f], k)
			}
		}
		out.AppendItems()
	case out.Kind == vector.Struct:
		for f := range out.Fields {
			appendWide(&out.Fields[f], &v.Fields[f], i)
		}
		out.AppendItems()
	default:
		out.AppendFrom(v, i)
	}
}

// Takes says in words what the function takes.
func (fn *Function) Takes() string {
	letters, least, most := fn.letters()
	if most == 0 {
		return "nothing"
	}
	var words []string
	for i := range letters {
		word := letterWord(letters[i])
		if word == "" {
			word = "any value"
		}
		if i >= least {
			word += " (optional)"
		}
		words = append(words, word)
	}
	if most == 1000 {
		words = append(words, "and more of the last")
	}
	return strings.Join(words, ", ")
}
