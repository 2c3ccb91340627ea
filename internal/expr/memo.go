package expr

import (
	"fmt"
	"strings"
	"time"

	"github.com/lakeward/lakeward/internal/vector"
)

// Memo lets several filters share what they have in common: an expression that stands in several rules, or several
// times in one, is worked out once for a chunk.
type Memo struct {
	known map[string]*Node // the one node that stands for all that are written alike
	times map[*Node]int
	last  *vector.Chunk
	frame *frame
}

// NewMemo returns a memo for filters over the same columns.
func NewMemo() *Memo { return &Memo{known: map[string]*Node{}, times: map[*Node]int{}} }

// Filter is NewFilter for a condition that shares its parts with the others of the memo.
func (m *Memo) Filter(root *Node, columns []string, now time.Time) *Filter {
	f := NewFilter(m.intern(root, map[*Node]*Node{}), columns, now)
	f.memo = m
	return f
}

// Begin forgets what was worked out for the chunk before.
func (m *Memo) Begin(c *vector.Chunk) {
	m.last, m.frame = c, newFrame(c)
}

// top is the frame of a chunk.
func (m *Memo) top(c *vector.Chunk) *frame {
	if m == nil || m.last != c {
		return newFrame(c)
	}
	return m.frame
}

func newFrame(c *vector.Chunk) *frame {
	return &frame{rows: c.Len, columns: c.Columns, numbers: c.Numbers}
}

// shares reports whether a node stands several times. Columns and constants are cheap.
func (m *Memo) shares(n *Node) bool {
	return m != nil && m.times[n] > 1 && n.Op != Literal && n.Op != Item
}

// intern replaces a tree by the nodes that stand for it; seen are those of this tree.
func (m *Memo) intern(n *Node, seen map[*Node]*Node) *Node {
	if one, ok := seen[n]; ok {
		m.times[one]++
		return one
	}
	own := *n
	own.Args = make([]*Node, len(n.Args))
	for i, a := range n.Args {
		own.Args[i] = m.intern(a, seen)
	}
	if n.When != nil {
		when := *n.When
		for _, at := range []*Moment{&when.Time, &when.End} {
			if at.Value != nil {
				at.Value = m.intern(at.Value, seen)
			}
		}
		own.When = &when
	}
	key := own.key()
	one, ok := m.known[key]
	if !ok {
		one = &own
		m.known[key] = one
	}
	m.times[one]++
	seen[n] = one
	return one
}

// key is equal for nodes that give equal values in one place; their arguments are interned.
func (n *Node) key() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d %d %q %d %d %q %d %v %v", n.Op, n.Type, n.Path, n.Up, n.Cmp, n.Fn, n.Group, n.Fold, n.Value)
	if n.Pattern != nil {
		fmt.Fprintf(&b, " %q", n.Pattern)
	}
	for _, item := range n.Items {
		fmt.Fprintf(&b, " %d %v %q %v", item.Int, item.Float, item.Str, item.Bool)
	}
	if n.When != nil {
		fmt.Fprintf(&b, " %+v %p %p", [5]any{n.When.Direction, n.When.Distance, n.When.Cmp, n.When.N, n.When.Unit}, n.When.Time.Value, n.When.End.Value)
		fmt.Fprintf(&b, " %v %v %v %v %v %v", n.When.Time.Period, n.When.Time.Which, n.When.Time.Unit, n.When.End.Period, n.When.End.Which, n.When.End.Unit)
	}
	if n.Shape != nil {
		fmt.Fprintf(&b, " %d %q", n.Shape.itemType(), n.Shape.Names)
	}
	if n.Func != nil {
		fmt.Fprintf(&b, " %s %+v", n.Func.Name, n.Shape)
	}
	if n.limit > 0 {
		fmt.Fprintf(&b, " at most %d", n.limit)
	}
	for _, a := range n.Args {
		fmt.Fprintf(&b, " %p", a)
	}
	return b.String()
}

func (s *Shape) itemType() Type {
	if s.Item == nil {
		return s.Type
	}
	return s.Item.Type
}
