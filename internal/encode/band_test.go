package encode_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/encode"
	"github.com/lakeward/lakeward/internal/vector"
)

// drawColumn makes n values of a kind: the common case, in which texts stand in the file as they are, with as many
// awkward ones and nulls among them as one in so many.
func drawColumn(rnd *rand.Rand, kind vector.Kind, n, awkwardOne, nullOne int) []any {
	out, awkward := make([]any, n), awkward()[kind]
	plain := []any{"a", "user.1@example.org", "Königsallee 12", "東京都", "910a2dec89025cc1a11f75719ed723ee", "a text that is longer than the words which are copied at once", "x y"}
	for i := range out {
		switch {
		case nullOne > 0 && rnd.IntN(nullOne) == 0:
		case kind != vector.String || awkwardOne > 0 && rnd.IntN(awkwardOne) == 0:
			for out[i] = nil; out[i] == nil; {
				out[i] = awkward[rnd.IntN(len(awkward))]
			}
		default:
			out[i] = plain[rnd.IntN(len(plain))]
		}
	}
	if kind == vector.String && awkwardOne > 0 && rnd.IntN(4) == 0 && n > 1 { // a character that is cut in two is none
		at := rnd.IntN(n - 1)
		out[at], out[at+1] = "caf\xc3", "\xa9"
	}
	return out
}

// FMT-10, FMT-10a, FMT-13, FMT-15: whatever way a column takes through the writers, the bytes are those of the second writer.
func TestDrawnRowsEqualReference(t *testing.T) {
	rnd := rand.New(rand.NewPCG(21, 22))
	kinds := []vector.Kind{vector.String, vector.String, vector.String, vector.Float, vector.Int, vector.Bool, vector.Date, vector.Time, vector.Decimal}
	sets := optionSets()
	for range 150 {
		n := 1 + rnd.IntN(1500)
		var headers []string
		var columns []vector.Vector
		rows := make([][]any, n)
		for k := range 1 + rnd.IntN(8) {
			kind := kinds[rnd.IntN(len(kinds))]
			values := drawColumn(rnd, kind, n, []int{0, 0, 700, 20}[rnd.IntN(4)], []int{0, 0, 700, 3}[rnd.IntN(4)])
			headers = append(headers, string(rune('a'+k))+`"`)
			columns = append(columns, columnOf(kind, values, kind == vector.String && rnd.IntN(4) == 0))
			for i, v := range values {
				rows[i] = append(rows[i], v)
			}
		}
		for _, nulls := range []bool{true, false} {
			if got, want := lines(t, nulls, headers, columns...), referenceJSON(headers, rows, nulls); got != want {
				at := differ(got, want)
				t.Fatalf("JSON: at byte %d %q, want %q", at, around(got, at), around(want, at))
			}
		}
		opt := sets[rnd.IntN(len(sets))]
		var b bytes.Buffer
		w, err := encode.NewCSV(&b, headers, opt)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.Write(&vector.Chunk{Len: n, Columns: columns}), w.Close()); err != nil {
			t.Fatal(err)
		}
		if got, want := b.String(), referenceCSV(headers, rows, opt); got != want {
			at := differ(got, want)
			t.Fatalf("%+v: at byte %d %q, want %q", opt, at, around(got, at), around(want, at))
		}
	}
}

// A text with a blank in front of it is trimmed, though all others of the column stand in the file as they are.
func TestBlankAmongPlainTexts(t *testing.T) {
	opt := lakeward.DefaultCSV()
	opt.HeaderOff = true
	if got := one(t, opt, text("a", " b", "c")); got != "a\nb\nc\n" {
		t.Errorf("%q", got)
	}
}

// Rows that end anywhere near the end of the room for them are whole.
func TestRowsAtTheEndOfTheRoom(t *testing.T) {
	opt := lakeward.DefaultCSV()
	opt.HeaderOff = true
	const room = 256<<10 + 64<<10
	for n := room - 80; n < room+10; n++ {
		long := strings.Repeat("x", n)
		if got, want := one(t, opt, text(long, "short")), long+"\nshort\n"; got != want {
			t.Fatalf("%d bytes: at byte %d the text differs", n, differ(got, want))
		}
		var b bytes.Buffer
		w, err := encode.NewCSV(&b, []string{"a", "b", "c"}, opt)
		if err != nil {
			t.Fatal(err)
		}
		columns := []vector.Vector{text(long), text("short"), dict("gold")}
		if err := errors.Join(w.Write(&vector.Chunk{Len: 1, Columns: columns}), w.Close()); err != nil {
			t.Fatal(err)
		}
		if got, want := b.String(), long+",short,gold\n"; got != want {
			t.Fatalf("%d bytes: at byte %d the row differs", n, differ(got, want))
		}
	}
}
