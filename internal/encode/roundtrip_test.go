package encode_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/encode"
	"github.com/lakeward/lakeward/internal/vector"
)

// readBack reads CSV that was written with quotes everywhere and a back slash: the rules of a reader, none of the writer's.
// A cell without quotes is null.
func readBack(s, delimiter, end string) (rows [][]*string, err error) {
	row := []*string{}
	for len(s) > 0 {
		var cell *string
		if s[0] == '"' {
			var b strings.Builder
			i := 1
			for ; i < len(s) && s[i] != '"'; i++ {
				if s[i] == '\\' {
					i++
				}
				if i < len(s) {
					b.WriteByte(s[i])
				}
			}
			if i >= len(s) {
				return nil, errors.New("a quote is not closed")
			}
			text := b.String()
			cell, s = &text, s[i+1:]
		} else {
			s = strings.TrimPrefix(s, "null")
		}
		row = append(row, cell)
		switch {
		case strings.HasPrefix(s, delimiter):
			s = s[len(delimiter):]
		case strings.HasPrefix(s, end):
			rows, row, s = append(rows, row), []*string{}, s[len(end):]
		default:
			return nil, errors.New("something stands behind a cell")
		}
	}
	return rows, nil
}

// C05, C17, INV-25: with quotes everywhere and the back slash nothing is lost but blanks at the ends, whatever the texts are.
func FuzzCSVRoundTrip(f *testing.F) {
	for _, v := range awkward()[vector.String] {
		if s, ok := v.(string); ok && len(s) < 1000 {
			f.Add(s, `x"`, uint8(0))
			f.Add(`\`, s, uint8(9))
		}
	}
	f.Fuzz(func(t *testing.T, a, b string, how uint8) {
		opt := lakeward.DefaultCSV()
		opt.QuoteAll, opt.Empty, opt.CRLF = true, `""`, how&8 != 0
		opt.Delimiter = []string{",", "\t", "|", ";", ":"}[how%5]
		end := "\n"
		if opt.CRLF {
			end = "\r\n"
		}
		v, w := text(a, b), text(b, a)
		v.AppendNull()
		w.AppendString([]byte("z"))
		var out bytes.Buffer
		c, err := encode.NewCSV(&out, []string{"h", "i"}, opt)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(c.Write(&vector.Chunk{Len: 3, Columns: []vector.Vector{v, w}}), c.Close()); err != nil {
			t.Fatal(err)
		}
		rows, err := readBack(out.String(), opt.Delimiter, end)
		if err != nil || len(rows) != 4 {
			t.Fatalf("%q: %d rows, %v", out.String(), len(rows), err)
		}
		trim := func(s string) string { return strings.Trim(s, blanks()) }
		for i, want := range [][2]string{{a, b}, {b, a}, {"", "z"}} {
			for k, cell := range rows[i+1] {
				null := i == 2 && k == 0
				if (cell == nil) != null || !null && *cell != trim(want[k]) {
					t.Errorf("%q came back as %v", want[k], cell)
				}
			}
		}
	})
}

// blanks are the characters that are cut from the ends: up to U+0020.
func blanks() string {
	var b []byte
	for c := range byte(0x21) {
		b = append(b, c)
	}
	return string(b)
}

// FMT-13: JSON keeps every text as it is; what is no UTF-8 becomes U+FFFD.
func FuzzJSONRoundTrip(f *testing.F) {
	f.Add("key", "value")
	f.Add("\"\\\n\u2028", "\x00\xff")
	f.Fuzz(func(t *testing.T, key, value string) {
		got := lines(t, true, []string{key}, text(value))
		var object map[string]string
		if err := json.Unmarshal([]byte(got), &object); err != nil {
			t.Fatalf("%q: %v", got, err)
		}
		want := value
		if !utf8.ValidString(value) {
			want = string([]rune(value))
		}
		for k, v := range object {
			if v != want || utf8.ValidString(key) && k != key {
				t.Errorf("%q: %q came back as %q: %q", key, value, k, v)
			}
		}
	})
}
