package expr

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/lakeward/lakeward"
)

// Problem is what is wrong at a byte offset of an expression.
type Problem struct {
	Code string
	Pos  int
	Msg  string
}

// SourceError tells the user all problems of a text: CODE at line:column: what; and a caret below the line.
func SourceError(src string, problems []Problem) error {
	e := &lakeward.Error{Kind: lakeward.Invalid, Code: problems[0].Code}
	var b strings.Builder
	for i, p := range problems {
		line, col := position(src, p.Pos)
		if i > 0 {
			fmt.Fprintf(&b, "\n%s: ", p.Code)
		}
		fmt.Fprintf(&b, "at %d:%d: %s", line, col, p.Msg)
		text := strings.Split(src, "\n")[line-1]
		if len(text) <= 200 && strings.IndexFunc(text, unicode.IsControl) < 0 {
			fmt.Fprintf(&b, "\n  %s\n  %s^", text, strings.Repeat(" ", col-1))
		}
	}
	e.Msg = b.String()
	return e
}

// position turns a byte offset into line and column, both from 1, the column in characters.
func position(src string, pos int) (line, col int) {
	before := src[:min(pos, len(src))]
	line = strings.Count(before, "\n") + 1
	return line, utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
}

// Above makes a value of so many arrays further out one of here.
func Above(n *Node, up int) *Node {
	if n == nil || up == 0 || n.Op == Literal && n.Type != Array || n.Op == Clock || n.Op == Null {
		return n
	}
	return &Node{Op: Outer, Type: n.Type, Shape: n.Shape, Origin: n.Origin, Up: up, Args: []*Node{n}, Pos: n.Pos}
}

// FieldOf is the field that holds values of a shape.
func FieldOf(s *Shape) lakeward.Field {
	f := lakeward.Field{Type: map[Type]lakeward.FieldType{Boolean: lakeward.TypeBoolean, Integer: lakeward.TypeLong, Double: lakeward.TypeDouble, Date: lakeward.TypeDate,
		DateTime: lakeward.TypeDateTime, Array: lakeward.TypeArray, Map: lakeward.TypeMap, Object: lakeward.TypeObject}[s.Type]}
	if f.Type == "" { // text, and what nothing is known of
		f.Type = lakeward.TypeString
	}
	if s.Item != nil {
		item := FieldOf(s.Item)
		f.Item = &item
	}
	for i, name := range s.Names {
		below := FieldOf(s.Fields[i])
		below.Name = name
		f.Fields = append(f.Fields, below)
	}
	return f
}
