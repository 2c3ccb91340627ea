package vector

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// random makes values of a shape, some of them null.
func random(rnd *rand.Rand, s Shape, n int) Vector {
	var v Vector
	v.ResetTo(s)
	for range n {
		appendRandom(rnd, &v)
	}
	return v
}

func appendRandom(rnd *rand.Rand, v *Vector) {
	if rnd.IntN(4) == 0 {
		v.AppendNull()
		return
	}
	switch v.Kind {
	case String:
		v.AppendString([]byte("some text")[:rnd.IntN(9)])
	case Float:
		v.AppendFloat(rnd.Float64())
	case Bool:
		v.AppendBool(rnd.IntN(2) == 0)
	case List:
		for range rnd.IntN(3) {
			appendRandom(rnd, &v.Fields[0])
		}
		v.AppendItems()
	case Struct:
		for f := range v.Fields {
			appendRandom(rnd, &v.Fields[f])
		}
		v.AppendItems()
	default:
		v.AppendInt(rnd.Int64())
	}
}

// A copy has the same values, shares nothing that changes, and leaves nothing of what stood in its place before.
func TestCopies(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	shapes := []Shape{{Kind: String}, {Kind: Int}, {Kind: Float}, {Kind: Bool}, {Kind: Decimal, Scale: 2},
		{Kind: List, Fields: []Shape{{Kind: String}}}, {Kind: Struct, Names: []string{"a", "b"}, Fields: []Shape{{Kind: Int}, {Kind: List, Fields: []Shape{{Kind: Float}}}}}}
	text := func(c *Chunk) (out []string) {
		for i := range c.Columns {
			for row := range c.Len {
				out = append(out, describe(&c.Columns[i], row))
			}
		}
		return out
	}
	var copied Chunk
	for range 200 {
		n := rnd.IntN(200)
		src := Chunk{Len: n, Numbers: make([]uint32, n)}
		for range 1 + rnd.IntN(5) {
			src.Columns = append(src.Columns, random(rnd, shapes[rnd.IntN(len(shapes))], n))
		}
		want := text(&src)
		copied.CopyFrom(&src)
		for i := range src.Columns {
			src.Columns[i].ResetTo(src.Columns[i].Shape())
			for range n {
				appendRandom(rnd, &src.Columns[i])
			}
		}
		if diff := cmp.Diff(want, text(&copied)); diff != "" || len(copied.Numbers) != n {
			t.Fatal("the copy differs:", diff)
		}
	}
}

// describe writes value i with everything inside.
func describe(v *Vector, i int) string {
	if v.IsNull(i) {
		return "null"
	}
	switch v.Kind {
	case List:
		s, from, to := "[", 0, 0
		for from, to = v.Items(i); from < to; from++ {
			s += describe(&v.Fields[0], from) + ","
		}
		return s + "]"
	case Struct:
		s := "{"
		for f := range v.Fields {
			s += v.Names[f] + ":" + describe(&v.Fields[f], i) + ","
		}
		return s + "}"
	}
	return string(v.AppendText(nil, i))
}
