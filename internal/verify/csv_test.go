package verify

import (
	"strings"
	"testing"

	"github.com/lakeward/lakeward"
)

// DLV-130: records are counted in the bytes, under the options of the destination.
func TestCountCSV(t *testing.T) {
	back, single, none := lakeward.DefaultCSV(), lakeward.DefaultCSV(), lakeward.DefaultCSV()
	single.Escape = "'"
	none.Quote = ""
	extended := back
	extended.BOM, extended.CRLF, extended.QuoteAll = true, true, true
	bare := back
	bare.HeaderOff = true
	for _, test := range []struct {
		name string
		opt  lakeward.CSVOptions
		text string
		want int64
		bad  bool
	}{
		{"header alone", back, "a,b\n", 0, false},
		{"two rows", back, "a\n1\n2\n", 2, false},
		{"line break in quotes", back, "a,b\n\"x\ny\",1\n", 1, false},
		{"line break in the last field", back, "a,b\n1,\"x\ny\"\n", 1, false},
		{"escaped quote before a line break", back, "a\n\"x\\\"\ny\"\n", 1, false},
		{"doubled back slash before the end", back, "a\n\"x,\\\\\"\n2\n", 2, false},
		{"quote in the middle of a bare value", back, "a\nx\"y\n", 1, false},
		{"single quote escapes", single, "a\n\"x'\"\ny\"\n", 1, false},
		{"escaped single quote at the end", single, "a\n\"it,\\'\"\n2\n", 2, false},
		{"no quote character", none, "a\n\"x\ny\n", 2, false},
		{"quoted header", back, "\"a\nb\",c\n1,2\n", 1, false},
		{"cut in a row", back, "a\n1\n2", 1, true},
		{"cut in quotes", back, "a\n\"x", 0, true},
		{"empty file", back, "", 0, true},
		{"mark, CR LF, quotes", extended, "\ufeff\"a\",\"b\"\r\n\"1\",\"x\r\ny\"\r\nnull,\"2\"\r\n", 2, false},
		{"mark is missing", extended, "\"a\"\r\n", 0, true},
		{"no header", bare, "1\n2\n", 2, false},
		{"no header, no rows", bare, "", 0, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := countCSV(strings.NewReader(test.text), test.opt)
			if (err != nil) != test.bad || !test.bad && got != test.want {
				t.Errorf("countCSV(%q) = %d, %v, want %d, bad = %t", test.text, got, err, test.want, test.bad)
			}
		})
	}
}
