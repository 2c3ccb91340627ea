package encode_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/encode"
	"github.com/lakeward/lakeward/internal/vector"
)

// This file is a second writer, one value at a time, made from the text of FMT-10, FMT-10a and FMT-13 alone. It shares
// no code with the encoders.

// day and instant are dates and times as the reference knows them; number is a decimal with its digits behind the point.
type (
	day     struct{ t time.Time }
	instant struct{ t time.Time }
	number  struct {
		units int64
		scale int
	}
)

// referenceText is what FMT-10a says of a value that is no text.
func referenceText(v any) string {
	switch v := v.(type) {
	case int64:
		return big.NewInt(v).String()
	case bool:
		return map[bool]string{true: "true", false: "false"}[v]
	case day:
		return v.t.Format("2006-01-02")
	case instant:
		return v.t.UTC().Format("2006-01-02T15:04:05.000") + "Z"
	case number:
		return new(big.Rat).SetFrac(big.NewInt(v.units), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(v.scale)), nil)).FloatString(v.scale)
	case float64:
		return referenceDouble(v)
	}
	panic(fmt.Sprintf("no value of the reference: %T", v))
}

// referenceDouble lays the shortest digits out as Java does.
func referenceDouble(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 0):
		return map[bool]string{true: "-Infinity", false: "Infinity"}[f < 0]
	case f == 0:
		return map[bool]string{true: "-0.0", false: "0.0"}[math.Signbit(f)]
	}
	sign := ""
	if f < 0 {
		sign, f = "-", -f
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'e', -1, 64), "e")
	if !strings.Contains(mantissa, ".") { // two digits at least, the nearest ones
		mantissa, exponent, _ = strings.Cut(strconv.FormatFloat(f, 'e', 1, 64), "e")
	}
	exp, _ := strconv.Atoi(exponent)
	if f < 1e-3 || f >= 1e7 {
		return sign + mantissa + "E" + strconv.Itoa(exp)
	}
	digits := strings.TrimRight(strings.Replace(mantissa, ".", "", 1), "0")
	for len(digits) <= exp {
		digits += "0"
	}
	if exp < 0 {
		return sign + "0." + strings.Repeat("0", -exp-1) + digits
	}
	whole, rest := digits[:exp+1], digits[exp+1:]
	if rest == "" {
		rest = "0"
	}
	return sign + whole + "." + rest
}

// referenceCell is one cell of CSV; null is nil.
func referenceCell(v any, opt lakeward.CSVOptions) string {
	if v == nil {
		return opt.Null
	}
	s, isText := v.(string)
	if isText {
		s = strings.TrimFunc(s, func(r rune) bool { return r <= 0x20 })
		if s == "" {
			return opt.Empty
		}
	} else {
		s = referenceText(v)
	}
	needs := strings.Contains(s, opt.Delimiter) || strings.ContainsAny(s, "\r\n") || strings.Contains(s, `"`)
	if opt.Quote == "" || !needs && !opt.QuoteAll {
		return s
	}
	if opt.Escape == `\` {
		s = strings.ReplaceAll(s, `\`, `\\`)
		s = strings.ReplaceAll(s, `"`, `\"`)
	} else {
		s = strings.ReplaceAll(s, `'`, `\'`)
		s = strings.ReplaceAll(s, `"`, `'"`)
	}
	return `"` + s + `"`
}

func referenceCSV(headers []string, rows [][]any, opt lakeward.CSVOptions) string {
	var b strings.Builder
	end := "\n"
	if opt.CRLF {
		end = "\r\n"
	}
	if opt.BOM {
		b.WriteString("\xef\xbb\xbf")
	}
	line := func(cells []any) {
		var out []string
		for _, c := range cells {
			out = append(out, referenceCell(c, opt))
		}
		b.WriteString(strings.Join(out, opt.Delimiter) + end)
	}
	if !opt.HeaderOff {
		var names []any
		for _, h := range headers {
			names = append(names, h)
		}
		line(names)
	}
	for _, r := range rows {
		line(r)
	}
	return b.String()
}

// referenceJSON leaves members that are null out, unless nulls says otherwise.
func referenceJSON(headers []string, rows [][]any, nulls bool) string {
	var b strings.Builder
	text := func(s string) string {
		var q strings.Builder
		for _, r := range s {
			switch {
			case r == '"' || r == '\\':
				q.WriteString(`\` + string(r))
			case r == '\n':
				q.WriteString(`\n`)
			case r == '\r':
				q.WriteString(`\r`)
			case r == '\t':
				q.WriteString(`\t`)
			case r < 0x20:
				fmt.Fprintf(&q, `\u%04x`, r)
			default:
				q.WriteRune(r)
			}
		}
		return `"` + q.String() + `"`
	}
	for _, row := range rows {
		var members []string
		for i, v := range row {
			s := "null"
			if v == nil && !nulls {
				continue
			}
			switch v := v.(type) {
			case nil:
			case string:
				s = text(v)
			case day, instant:
				s = text(referenceText(v))
			case float64:
				if !math.IsNaN(v) && !math.IsInf(v, 0) {
					s = referenceText(v)
				}
			default:
				s = referenceText(v)
			}
			members = append(members, text(headers[i])+":"+s)
		}
		b.WriteString("{" + strings.Join(members, ",") + "}\n")
	}
	return b.String()
}

// awkward are the values that break writers, by kind of column: more than 200 in all.
func awkward() map[vector.Kind][]any {
	texts := []any{nil, "", " ", "\t", " \r\n ", "a", "null", "NULL", `""`, `"`, `""""`, `'`, `''`, `\`, `\\`, `\"`, `"\`, `end\`, `end\\`, `\n`, `\t`, `a"b`, `a'b`, `a\b`, `a\"b`, `a'"b`, `a"'b`, `'"`, `"'`, `\'`, `'\`,
		"a,b", "a;b", "a|b", "a:b", "a\tb", ",", ";", "|", ":", "a\nb", "a\rb", "a\r\nb", "\nb", "a\n", "\"\n", "a,\"b\",c", `Anna,"Doe,John"`, `Test,"John",LastName`, `it's,so\`, `x,\`, `x,\\`, `x,"`, `x,'`, `x,"\`, `x,\"`, `x,'"`, `x,'\`,
		" lead", "trail ", "  both  ", "in ner", "\u00a0nbsp\u00a0", "\u2028line\u2028", "\ufeffbom", "bom\ufeff", "\u0085nel", "\v\f", "a\x00b", "a\x01b", "a\x1fb", "\x7f", "é", "e\u0301", "日本語", "日本,語", "😀", "👩‍👩‍👧", "עברית", "\u202eoverride", "ﷺ", "\U0010ffff",
		"=1+1", "+1", "-1", "@x", "＝1+1", "#comment", "--", "//", "1", "1.0", "01", "1e5", "true", "false", "NaN", "Infinity", "2024-01-01", "N/A", "nil", "None", "<null>", "%s", "%", "$1", "${x}", "{{7*7}}", "<b>&amp;</b>", "a&b", "[1]", "{\"a\":1}", "0x1F", "1,000", "1.000,5",
		strings.Repeat("x", 5000), strings.Repeat("\"", 300), strings.Repeat("\\", 300), strings.Repeat("é,", 500), "a,b;c|d:e\tf", "last"}
	doubles := []any{nil, 0.0, math.Copysign(0, -1), 1.0, -1.0, 0.1, 0.001, 0.00099, 1e7, 9999999.0, 12345678.0, 1e-7, 1e21, 1.5, 100.0, 123456.789, 1e22, 1e23, 2e23, 5e-324, 1.7976931348623157e308, 2.2250738585072014e-308, math.Pi, 1.0 / 3, 1e15, 1e16, 0.30000000000000004, 4.35, 1e-5, math.NaN(), math.Inf(1), math.Inf(-1), -1.25e-9, 9007199254740993.0}
	wholes := []any{nil, int64(0), int64(-1), int64(7), int64(math.MaxInt64), int64(math.MinInt64), int64(1 << 53), int64(-1000)}
	var days, times []any
	for _, s := range []string{"1970-01-01", "1969-12-31", "0001-01-01", "1582-10-04", "1582-10-15", "2000-02-29", "2024-12-31", "9999-12-31"} {
		t, _ := time.Parse("2006-01-02", s)
		days = append(days, day{t})
		times = append(times, instant{t}, instant{t.Add(time.Millisecond)}, instant{t.Add(86_399_999 * time.Millisecond)})
	}
	decimals := []any{nil, number{0, 3}, number{1, 3}, number{-1, 3}, number{999, 3}, number{1000, 3}, number{-123456, 3}, number{999999999999999999, 3}, number{-999999999999999999, 3}}
	return map[vector.Kind][]any{vector.String: texts, vector.Float: doubles, vector.Int: wholes, vector.Bool: {nil, true, false}, vector.Date: append(days, nil), vector.Time: append(times, nil), vector.Decimal: decimals}
}

// columnOf puts values of a kind into a vector, texts by code if asked.
func columnOf(kind vector.Kind, values []any, coded bool) vector.Vector {
	var v vector.Vector
	v.Reset(kind)
	v.Scale = 3
	if coded {
		v.Dict = &vector.Dictionary{Offsets: []uint32{0}}
	}
	for _, x := range values {
		switch x := x.(type) {
		case nil:
			v.AppendNull()
		case string:
			if !coded {
				v.AppendString([]byte(x))
				continue
			}
			v.Dict.Bytes = append(v.Dict.Bytes, x...)
			v.Dict.Offsets = append(v.Dict.Offsets, uint32(len(v.Dict.Bytes)))
			v.AppendCode(int32(v.Dict.Len() - 1))
		case float64:
			v.AppendFloat(x)
		case int64:
			v.AppendInt(x)
		case bool:
			v.AppendBool(x)
		case day:
			v.AppendInt(x.t.Unix() / 86_400)
		case instant:
			v.AppendInt(x.t.UnixMilli())
		case number:
			v.AppendInt(x.units)
		}
	}
	return v
}

// table lays the awkward values out as rows, each kind a column, texts also by code; short columns begin again.
func table() (headers []string, rows [][]any, columns []vector.Vector, count int) {
	values := awkward()
	n := len(values[vector.String])
	add := func(name string, kind vector.Kind, coded bool) {
		list := make([]any, n)
		for i := range list {
			list[i] = values[kind][i%len(values[kind])]
		}
		headers, columns = append(headers, name), append(columns, columnOf(kind, list, coded))
		for i, v := range list {
			if len(rows) <= i {
				rows = append(rows, nil)
			}
			rows[i] = append(rows[i], v)
		}
	}
	add("text", vector.String, false)
	add("na,me \"q\"", vector.String, true)
	for _, k := range []vector.Kind{vector.Float, vector.Int, vector.Bool, vector.Date, vector.Time, vector.Decimal} {
		add(fmt.Sprintf("k%d", k), k, false)
	}
	for _, list := range values {
		count += len(list)
	}
	return headers, rows, columns, count
}

// optionSets are all options of CSV, with and without the extensions.
func optionSets() (out []lakeward.CSVOptions) {
	flags := []bool{false, true}
	for _, delimiter := range []string{",", "\t", "|", ";", ":"} {
		for _, quote := range []string{`"`, ""} {
			for _, escape := range []string{`\`, "'"} {
				for _, empty := range []string{"", "null", `""`} {
					for _, null := range []string{"", "null", `""`} {
						for n := range 16 {
							all := flags[n>>3]
							if all && quote == "" {
								continue
							}
							out = append(out, lakeward.CSVOptions{Delimiter: delimiter, Quote: quote, Escape: escape, Empty: empty, Null: null, HeaderOff: flags[n&1], BOM: flags[n>>1&1], CRLF: flags[n>>2&1], QuoteAll: all})
						}
					}
				}
			}
		}
	}
	return out
}

// FMT-10, FMT-10a, C05, C17, INV-25: every awkward value under every option is written byte for byte as the second writer does.
func TestCSVEqualsReference(t *testing.T) {
	headers, rows, columns, values := table()
	sets := optionSets()
	if values < 200 {
		t.Fatalf("%d values, want 200", values)
	}
	for _, opt := range sets {
		var b bytes.Buffer
		w, err := encode.NewCSV(&b, headers, opt)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(w.Write(&vector.Chunk{Len: len(rows), Columns: columns}), w.Close()); err != nil {
			t.Fatal(err)
		}
		if got, want := b.String(), referenceCSV(headers, rows, opt); got != want {
			at := differ(got, want)
			t.Fatalf("%+v: at byte %d %q, want %q", opt, at, around(got, at), around(want, at))
		}
	}
	t.Logf("%d values under %d sets of options are equal", values, len(sets))
}

// FMT-13, FMT-15: the same for JSON, which must also parse to the values.
func TestJSONEqualsReference(t *testing.T) {
	headers, rows, columns, _ := table()
	got, want := lines(t, true, headers, columns...), referenceJSON(headers, rows, true)
	if got != want {
		at := differ(got, want)
		t.Fatalf("at byte %d %q, want %q", at, around(got, at), around(want, at))
	}
	for i, line := range strings.Split(strings.TrimSuffix(got, "\n"), "\n") {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil {
			t.Fatalf("row %d: %v", i, err)
		}
		if s, isText := rows[i][0].(string); isText && object["text"] != s || !isText && object["text"] != nil {
			t.Errorf("row %d parses to %q, want %q", i, object["text"], rows[i][0])
		}
	}
}

func differ(a, b string) int {
	i := 0
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	return i
}

func around(s string, at int) string { return s[max(0, at-20):min(len(s), at+20)] }
