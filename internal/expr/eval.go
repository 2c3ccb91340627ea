package expr

import (
	"bytes"
	"cmp"
	"math"
	"strings"
	"time"

	"github.com/lakeward/lakeward/internal/vector"
)

// Filter is a condition bound to the columns of a scan. It keeps scratch memory, so one
// goroutine uses it at a time.
type Filter struct {
	root    *Node
	columns map[string]int
	dicts   map[*Node]dictAnswers
	now     int64 // of the evaluation, in milliseconds
	memo    *Memo // nil: nothing is shared
	program       // of calculated fields
	// Members tells the rows of the chunk whose profile is in an audience; needed by rules with inSegment.
	Members func(audience string) vector.Bits
}

// dictAnswers are the answers of a string condition for each entry of one dictionary.
type dictAnswers struct {
	dict  *vector.Dictionary
	holds []uint8 // 1 for each entry that the condition holds for
}

// NewFilter binds a checked condition to columns: columns[i] is the path of column i of each chunk. now is the
// time of the evaluation, the same for every profile and rule of a job.
func NewFilter(root *Node, columns []string, now time.Time) *Filter {
	f := &Filter{root: root, columns: map[string]int{}, dicts: map[*Node]dictAnswers{}, now: now.UnixMilli()}
	for i, c := range columns {
		f.columns[c] = i
	}
	return f
}

// Match returns the rows of the chunk for which the condition holds.
func (f *Filter) Match(c *vector.Chunk) vector.Bits {
	return f.bits(f.root, f.memo.top(c))
}

// bits are the rows for which a condition holds. The caller must not change them.
func (f *Filter) bits(n *Node, c *frame) vector.Bits {
	if f.memo.shares(n) {
		if b, ok := c.bits[n]; ok {
			return b
		}
		b := f.evalBits(n, c)
		c.keepBits(n, b)
		return b
	}
	return f.evalBits(n, c)
}

func (f *Filter) evalBits(n *Node, c *frame) vector.Bits {
	out := vector.NewBits(c.rows)
	switch n.Op {
	case And, Or:
		copy(out, f.bits(n.Args[0], c))
		for i, w := range f.bits(n.Args[1], c) {
			if n.Op == And {
				out[i] &= w
			} else {
				out[i] |= w
			}
		}
	case Not:
		out.Fill(c.rows)
		for i, w := range f.bits(n.Args[0], c) {
			out[i] &^= w
		}
	case IsNull:
		nulls(f.value(n.Args[0], c), out)
	case Compare:
		f.compare(n, c, out)
	case In, NotIn, Text, Matches:
		f.single(n, c, out)
	case Occurs:
		f.occurs(n, c, out)
	case InSegment:
		copy(out, f.Members(n.Value.Str))
	case Exists, All, Includes, Intersects, Subset, Same:
		f.arrayCondition(n, c, out)
	case Outer:
		b := f.bits(n.Args[0], c.above(n.Up))
		for i, row := range c.rowsAbove(n.Up) {
			if b.Get(int(row)) {
				out.Set(i)
			}
		}
	default: // a boolean value: null counts as false
		v := f.value(n, c)
		for i := range c.rows {
			if !v.IsNull(i) && v.Bools.Get(i) {
				out.Set(i)
			}
		}
	}
	return out
}

// single evaluates a condition over one value, once per dictionary entry where there is a dictionary.
func (f *Filter) single(n *Node, c *frame, out vector.Bits) {
	v := f.value(n.Args[0], c)
	if v.Dict != nil {
		a := f.dicts[n]
		if a.dict != v.Dict {
			a = dictAnswers{dict: v.Dict, holds: make([]uint8, v.Dict.Len())}
			for k := range a.holds {
				if n.holdsText(v.Dict.Value(int32(k))) {
					a.holds[k] = 1
				}
			}
			f.dicts[n] = a
		}
		lookUp(v.Codes, a.holds, out)
		dropNulls(v, out)
		return
	}
	for i := range c.rows {
		if !v.IsNull(i) && n.holds(v, i) {
			out.Set(i)
		}
	}
}

// lookUp sets the bits of the codes whose entry has the answer 1.
func lookUp(codes []int32, answers []uint8, out vector.Bits) {
	for base := 0; base < len(codes); base += 64 {
		chunk := codes[base:min(base+64, len(codes))]
		var word uint64
		for i := 0; i+8 <= len(chunk); i += 8 {
			c := (*[8]int32)(chunk[i : i+8])
			word |= uint64(answers[c[0]]|answers[c[1]]<<1|answers[c[2]]<<2|answers[c[3]]<<3|
				answers[c[4]]<<4|answers[c[5]]<<5|answers[c[6]]<<6|answers[c[7]]<<7) << i
		}
		for i := len(chunk) &^ 7; i < len(chunk); i++ {
			word |= uint64(answers[chunk[i]]) << i
		}
		out[base>>6] = word
	}
}

// nulls sets the bits of values that are absent.
func nulls(v *vector.Vector, out vector.Bits) {
	for i := range min(len(v.Valid), len(out)) {
		out[i] = ^v.Valid[i]
	}
	if n := v.Len & 63; n > 0 && len(out) > 0 {
		out[len(out)-1] &= 1<<n - 1
	}
}

// dropNulls clears the bits of values that are absent.
func dropNulls(v *vector.Vector, out vector.Bits) {
	for i := range min(len(v.Valid), len(out)) {
		out[i] &= v.Valid[i]
	}
}

// holds evaluates In, NotIn and Text for value i, which is present.
func (n *Node) holds(v *vector.Vector, i int) bool {
	if v.Kind == vector.String {
		return n.holdsText(v.Str(i))
	}
	found := false
	for _, item := range n.Items {
		switch v.Kind {
		case vector.Float:
			found = found || v.Floats[i] == item.Float
		case vector.Bool:
			found = found || v.Bools.Get(i) == item.Bool
		default:
			found = found || v.Ints[i] == item.Int
		}
	}
	return found == (n.Op == In)
}

func (n *Node) holdsText(s []byte) bool {
	switch n.Op {
	case In, NotIn:
		found := false
		for _, item := range n.Items {
			found = found || string(s) == item.Str
		}
		return found == (n.Op == In)
	case Compare:
		return ordered(n.Cmp, cmp.Compare(string(s), n.Args[1].Value.Str))
	case Matches:
		return n.Pattern.Match(s)
	}
	text := string(s)
	if n.Fold {
		text = fold(text)
	}
	any := false
	for _, item := range n.Items {
		want := item.Str
		if n.Fold {
			want = fold(want)
		}
		any = any || textHolds(n.Fn, text, want)
	}
	negative := n.Fn == "notEqualTo" || strings.HasPrefix(n.Fn, "doesNot")
	return any != negative
}

// textHolds evaluates the positive form of a string condition.
func textHolds(fn, text, want string) bool {
	switch fn {
	case "startsWith", "doesNotStartWith":
		return strings.HasPrefix(text, want)
	case "endsWith", "doesNotEndWith":
		return strings.HasSuffix(text, want)
	case "contains", "doesNotContain":
		return strings.Contains(text, want)
	case "like":
		return Like(text, want)
	}
	return text == want // equals, notEqualTo
}

// fold maps every character to one form, so that texts that differ only in case are equal (S7).
func fold(s string) string { return strings.ToLower(strings.ToUpper(s)) }

// Like reports whether the whole text matches a pattern with % for any text and _ for one character; linear.
func Like(text, pattern string) bool {
	t, p := []rune(text), []rune(pattern)
	i, j, star, mark := 0, 0, -1, 0
	for i < len(t) {
		switch {
		case j < len(p) && p[j] == '%':
			star, mark = j, i
			j++
		case j < len(p) && (p[j] == '_' || p[j] == t[i]):
			i++
			j++
		case star >= 0:
			mark++
			i, j = mark, star+1
		default:
			return false
		}
	}
	for j < len(p) && p[j] == '%' {
		j++
	}
	return j == len(p)
}

// compare evaluates Args[0] Cmp Args[1]; a null on either side makes it false (S3).
func (f *Filter) compare(n *Node, c *frame, out vector.Bits) {
	if n.Args[0].Type == String && n.Args[1].Op == Literal {
		f.single(n, c, out)
		return
	}
	if n.Args[1].Op == Literal && compareLiteral(n.Cmp, f.value(n.Args[0], c), n.Args[1], out) {
		return
	}
	a, b := f.value(n.Args[0], c), f.value(n.Args[1], c)
	for i := range c.rows {
		if a.IsNull(i) || b.IsNull(i) {
			continue
		}
		if compareAt(n.Cmp, a, b, i) {
			out.Set(i)
		}
	}
}

func compareAt(op Cmp, a, b *vector.Vector, i int) bool {
	switch {
	case a.Kind == vector.String:
		return ordered(op, bytes.Compare(a.Str(i), b.Str(i)))
	case a.Kind == vector.Bool:
		return (a.Bools.Get(i) == b.Bools.Get(i)) == (op == EQ)
	case a.Kind == vector.Float || b.Kind == vector.Float:
		if a.Kind == vector.Float && b.Kind == vector.Float {
			return ordered(op, cmp.Compare(a.Floats[i], b.Floats[i]))
		}
		if a.Kind == vector.Float {
			return ordered(op, -compareMixed(b.Ints[i], a.Floats[i]))
		}
		return ordered(op, compareMixed(a.Ints[i], b.Floats[i]))
	case a.Kind == b.Kind:
		return ordered(op, cmp.Compare(a.Ints[i], b.Ints[i]))
	}
	return ordered(op, cmp.Compare(instant(a, i), instant(b, i)))
}

// compareMixed compares an integer with a double by value, without rounding (S6).
func compareMixed(n int64, f float64) int {
	if f >= math.MaxInt64 {
		return -1
	}
	if f < math.MinInt64 {
		return 1
	}
	whole := math.Floor(f)
	if c := cmp.Compare(n, int64(whole)); c != 0 {
		return c
	}
	return cmp.Compare(0, f-whole)
}

const dayMillis = 86_400_000

// instant is a date or time in milliseconds.
func instant(v *vector.Vector, i int) int64 {
	if v.Kind == vector.Date {
		return v.Ints[i] * dayMillis
	}
	return v.Ints[i]
}

func ordered(op Cmp, c int) bool {
	switch op {
	case EQ:
		return c == 0
	case NE:
		return c != 0
	case LT:
		return c < 0
	case LE:
		return c <= 0
	case GT:
		return c > 0
	}
	return c >= 0
}

// value is the column of an expression. The caller must not change it.
func (f *Filter) value(n *Node, c *frame) *vector.Vector {
	if f.memo.shares(n) {
		if v, ok := c.values[n]; ok {
			return v
		}
		v := f.evalValue(n, c)
		c.keepValue(n, v)
		return v
	}
	return f.evalValue(n, c)
}

// evalValue evaluates an expression that is not a compound condition.
func (f *Filter) evalValue(n *Node, c *frame) *vector.Vector {
	switch n.Op {
	case Field:
		return f.field(n, c)
	case Literal:
		return constant(n, c.rows)
	case Arithmetic:
		return f.arithmetic(n, c)
	case If:
		return f.choose(n, c)
	case Group:
		return f.group(n, c)
	case Part:
		return f.part(n, c)
	case Clock:
		return f.clock(n, c.rows)
	case Item:
		return c.item
	case Outer:
		return gather(f.value(n.Args[0], c.above(n.Up)), c.rowsAbove(n.Up))
	}
	if v := f.calculated(n, c); v != nil {
		return v
	}
	if v := f.nested(n, c); v != nil {
		if f.exact {
			return v
		}
		return plainNumbers(v)
	}
	out := &vector.Vector{Kind: vector.Bool, Len: c.rows, Bools: f.bits(n, c)}
	return out
}

// field returns the column.
func (f *Filter) field(n *Node, c *frame) *vector.Vector {
	v := &c.columns[f.columns[n.Path]]
	switch {
	case f.exact:
		return v
	case f.calculates && len(v.Fields) > 0:
		return plainInside(v)
	}
	return plainNumbers(v)
}

// plainNumbers makes NaN null (S2) and decimals doubles.
func plainNumbers(v *vector.Vector) *vector.Vector {
	if v.Kind == vector.Decimal {
		out := &vector.Vector{Kind: vector.Float, Len: v.Len, Valid: v.Valid, Floats: make([]float64, v.Len)}
		for i, n := range v.Ints {
			out.Floats[i] = decimal(n, v.Scale)
		}
		return out
	}
	if v.Kind != vector.Float {
		return v
	}
	for i := range v.Len {
		if math.IsNaN(v.Floats[i]) && !v.IsNull(i) {
			out := *v
			out.Valid = vector.NewBits(v.Len)
			out.Valid.Fill(v.Len)
			for k := range v.Len {
				if v.IsNull(k) || math.IsNaN(v.Floats[k]) {
					out.Valid.Clear(k)
				}
			}
			return &out
		}
	}
	return v
}

// decimal is the double nearest to n units of 10 to the power of -scale.
func decimal(n int64, scale uint8) float64 { return float64(n) / math.Pow10(int(scale)) }

func constant(n *Node, rows int) *vector.Vector {
	if n.Type == Array {
		return constantArray(n, rows)
	}
	v := &vector.Vector{}
	v.Reset(n.Type.kind())
	if n.Type == String { // once, not once a row
		v.Dict = &vector.Dictionary{Offsets: []uint32{0, uint32(len(n.Value.Str))}, Bytes: []byte(n.Value.Str)}
	}
	for range rows {
		switch n.Type {
		case String:
			v.AppendCode(0)
		case Double:
			v.AppendFloat(n.Value.Float)
		case Boolean:
			v.AppendBool(n.Value.Bool)
		default:
			v.AppendInt(n.Value.Int)
		}
	}
	return v
}

// kind is the kind of vector that holds values of the type.
func (t Type) kind() vector.Kind {
	return [...]vector.Kind{0, vector.Bool, vector.Int, vector.Float, vector.String, vector.Date, vector.Time, vector.List, vector.Map, vector.Struct}[t]
}
