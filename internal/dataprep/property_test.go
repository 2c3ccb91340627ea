package dataprep_test

import (
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/dataprep"
	"github.com/lakeward/lakeward/internal/encode"
	"github.com/lakeward/lakeward/internal/expr"
)

// writer draws calculated fields over the fields of the tests. In a lambda over orders the item is o, over texts it is t.
type writer struct {
	t    *rapid.T
	left int
}

// fill replaces each letter of a form: T text, N number, B condition, D time, A texts, L numbers, O orders, M a map of texts.
func (w *writer) fill(in string, forms ...string) string {
	var b strings.Builder
	form := []rune(rapid.SampledFrom(forms).Draw(w.t, "form"))
	letter := func(i int) bool { return i >= 0 && i < len(form) && (unicode.IsLetter(form[i]) || form[i] == '\'') }
	for i, c := range form {
		if letter(i-1) || letter(i+1) { // a letter on its own
			b.WriteRune(c)
			continue
		}
		switch c {
		case 'T':
			b.WriteString(w.text(in))
		case 'N':
			b.WriteString(w.number(in))
		case 'B':
			b.WriteString(w.condition(in))
		case 'D':
			b.WriteString(w.time(in))
		case 'A':
			b.WriteString(w.texts(in))
		case 'L':
			b.WriteString(w.numbers(in))
		case 'O':
			b.WriteString(w.orders(in))
		case 'M':
			b.WriteString(w.texters(in))
		case 'α': // in a lambda over orders
			b.WriteString(w.number(in + "o"))
		case 'β':
			b.WriteString(w.text(in + "o"))
		case 'γ':
			b.WriteString(w.condition(in + "o"))
		case 'δ': // in a lambda over texts
			b.WriteString(w.text(in + "t"))
		case 'ε':
			b.WriteString(w.condition(in + "t"))
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

func (w *writer) small() bool {
	w.left--
	return w.left < 0
}

func (w *writer) text(in string) string {
	forms := []string{"'red'", "''", "'é東'", "nick", "raw", "none", "person.name.lastName"}
	if strings.Contains(in, "t") {
		forms = append(forms, "t", "t")
	}
	if strings.Contains(in, "o") {
		forms = append(forms, "o.sku")
	}
	if w.small() {
		return w.fill(in, forms...)
	}
	return w.fill(in, append(forms, "concat(T, T)", "concat(N, T)", "substr(T, size_of(T), 2)", "substr(T, 1, 2)", "lower(T)", "ucase(T)", "lpad(T, 6, T)", "rpad(T, 5, '東x')", "left(T, 2)", "right(T, 1)", "trim(concat(' ', T, ' '))",
		"replacestr(T, 'e', T)", "join(T, A)", "array_to_string(T, A)", "array_to_string('_', O)", "array_to_string(';', L)", "coalesce(T, T)", "coalesce(T, T, T)", "iif(B, T, T)", "decode(T, T, T, T)", "decode(N, 1, T, N, T, T)",
		"first(A)", "last(A)", "A[0]", "A[1]", "map_get_values(M, 'lang')", "M['news']", "M.lang", "min(T, T)", "max(A)", "sha256(T)", "md5(T, 'UTF-16')", "crc32(T)", "format(D, 'yyyy-MM-dd HH:mm')", "dformat(big, 'yyyy')",
		"get_url_host(concat('http://', T, '/'))", "get_url_path(T)", "first(O).sku", "get_values(T, 'a')", "get_values('red:1,x:2', T)", "ua_os_name(T)", "uuid()", "nullify()", "json_to_object(T)['a']", "to_object('a', T).a", "array_to_string('', get_keys(M))")...)
}

func (w *writer) number(in string) string {
	forms := []string{"0", "1", "2.5", "age", "score", "big", "price"}
	if strings.Contains(in, "o") {
		forms = append(forms, "o.price", "o.price")
	}
	if w.small() {
		return w.fill(in, forms...)
	}
	return w.fill(in, append(forms, "(N + N)", "(N - N)", "(N * N)", "(N / N)", "(N % N)", "(-N)", "instr(T, T)", "instr(T, 'e', 1)", "size_of(T)", "size_of(A)", "size_of(O)", "size_of(M)", "to_integer(T)", "to_decimal(T)", "to_float(N)", "to_bigint(raw)", "min(N, N)", "max(L)",
		"coalesce(N, N)", "iif(B, N, N)", "decode(T, T, N, N)", "L[1]", "first(L)", "date_part('mm', D)", "date_part('dw', D)", "get_url_port(concat('http://a:', T))", "size_of(filterArray(O, o -> γ))", "max(transformArray(O, o -> α))", "last(O).price", "timestamp()")...)
}

func (w *writer) condition(in string) string {
	if w.small() {
		return w.fill(in, "true", "vip", "(age == 34)")
	}
	return w.fill(in, "vip", "(B && B)", "(B || B)", "!(B)", "(N == N)", "(N < N)", "(N >= N)", "(T == T)", "(T != null)", "(T < T)", "(D > D)", "(A == A)", "is_empty(T)", "is_empty(A)", "contains_key(orders[0].price)", "T.equals(T)", "equalsIgnoreCase(T, T)",
		"matches_regex(T, '[a-é]+')", "map_has_keys(M, 'lang', T)", "coalesce(B, vip)", "iif(B, vip, B)", "(O == O)")
}

func (w *writer) time(in string) string {
	if w.small() {
		return w.fill(in, "joined", "now()", "person.birthDate")
	}
	return w.fill(in, "joined", "now()", "date(T)", "date(T, 'yyyy', D)", "set_date_part('m', 2, D)", "set_date_part('yyyy', 2000, D)", "make_date_time(2024, 2, 3, 4, 5, 6, 0, 'Europe/Paris')", "zone_date_to_zone(D, 'Asia/Tokyo')", "coalesce(D, D)", "iif(B, D, D)", "zone_date_to_utc(T)", "max(D, D)")
}

func (w *writer) texts(in string) string {
	if w.small() {
		return "tags"
	}
	return w.fill(in, "tags", "split(T, 'e')", "explode(T)", "extract_regex(T, '(.)(e)?')", "to_array(true, T, T)", "to_array(false, T, none)", "add_to_array(A, T)", "join_arrays(A, A)", "filterArray(A, t -> ε)", "transformArray(A, t -> δ)", "transformArray(O, o -> β)", "flattenArray(grid)",
		"O.sku", "get_keys(M)", "map_get_values(M, A)", "get_values(M)", "coalesce(A, A)", "iif(B, A, A)", "flattenArray(transformArray(A, t -> to_array(true, δ, T)))")
}

func (w *writer) numbers(in string) string {
	if w.small() {
		return "numbers"
	}
	return w.fill(in, "numbers", "to_array(false, N, N)", "transformArray(O, o -> α)", "O.price", "filterArray(numbers, n -> n > N)", "add_to_array(L, N)", "coalesce(L, numbers)")
}

func (w *writer) orders(in string) string {
	if w.small() {
		return "orders"
	}
	return w.fill(in, "orders", "orders", "filterArray(O, o -> γ)", "join_arrays(O, O)", "coalesce(O, orders)", "iif(B, O, O)", "add_to_array(O, O[0])")
}

func (w *writer) texters(in string) string {
	if w.small() {
		return "prefs"
	}
	return w.fill(in, "prefs", "prefs", "to_map('lang', T, 'a', T)", "add_to_map(M, M)", "str_to_object(T)", "object_to_map(person.name)", "get_url_query_str(concat('http://a/?lang=', T), 'append')", "coalesce(M, prefs)")
}

// drawJSON draws a value of a field as JSON has it, from few values.
func drawJSON(t *rapid.T, f lakeward.Field) any {
	if rapid.IntRange(0, 5).Draw(t, "null") == 0 {
		return nil
	}
	switch f.Type {
	case lakeward.TypeString:
		return rapid.SampledFrom([]string{"", "a", "b", "red", "12", "-3.5", "é東", "2024-02-29", "a:1,b:2", "{\"a\": \"x\"}", "http://red.org/x?lang=de"}).Draw(t, "text")
	case lakeward.TypeBoolean:
		return rapid.Bool().Draw(t, "bool")
	case lakeward.TypeDate:
		return rapid.SampledFrom([]string{"2025-11-26", "2024-02-29", "1960-12-31"}).Draw(t, "date")
	case lakeward.TypeDateTime:
		return rapid.SampledFrom([]string{"2025-11-26T00:00:00Z", "2024-01-31T12:00:00Z", "1969-01-01T00:00:00.001Z"}).Draw(t, "time")
	case lakeward.TypeArray:
		out := []any{}
		for range rapid.IntRange(0, 3).Draw(t, "items") {
			out = append(out, drawJSON(t, *f.Item))
		}
		return out
	case lakeward.TypeMap:
		out := map[string]any{}
		for _, key := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"lang", "news", "a"}), 0, 3, rapid.ID[string]).Draw(t, "keys") {
			out[key] = drawJSON(t, *f.Item)
		}
		return out
	case lakeward.TypeObject:
		out := map[string]any{}
		for _, below := range f.Fields {
			out[below.Name] = drawJSON(t, below)
		}
		return out
	}
	return number(rapid.SampledFrom([]string{"0", "1", "-2", "34", "9007199254740993"}).Draw(t, "int"))
}

// A field over a chunk has for every row the value that it has for the row alone, and fails where it fails, whatever it is made
// of and whatever other fields share with it.
func TestChunksAgreeWithRows(t *testing.T) {
	count, failures, nulls, values := 0, 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		var profiles []map[string]any
		for range 5 {
			p := map[string]any{}
			for _, f := range fields() {
				p[f.Name] = drawJSON(t, f)
			}
			profiles = append(profiles, p)
		}
		c := chunkFrom(profiles)
		if rapid.Bool().Draw(t, "dictionary") {
			dictionaries(c)
		}
		memo := expr.NewMemo()
		memo.Begin(c)
		for range 4 {
			w := &writer{t: t, left: rapid.IntRange(2, 20).Draw(t, "size")}
			src := w.fill("", "T", "T", "N", "B", "D", "A", "L", "O", "M")
			n, err := dataprep.Parse(src, scope())
			if err != nil {
				if code := lakeward.CodeOf(err); code != "EXPR-1002" && code != "EXPR-1010" {
					t.Fatalf("%s: %v", src, err)
				}
				continue // a constant without a value, a uuid in a lambda, nested too deep
			}
			count++
			p := memo.Program(n, paths(), runOf())
			v, failed := p.Values(c)
			alone, failedAlone := expr.NewMemo().Program(n, paths(), runOf()).Values(c)
			for i := range c.Len {
				row, rowFailed := p.ValueRow(c, i)
				want := string(encode.AppendJSON(nil, row, 0))
				got, again := string(encode.AppendJSON(nil, v, i)), string(encode.AppendJSON(nil, alone, i))
				bad, badAgain := failed != nil && failed.Get(i), failedAlone != nil && failedAlone.Get(i)
				if got != want || again != want || bad != rowFailed || badAgain != rowFailed {
					t.Fatalf("%s: row %d is %s (%v) beside others, %s (%v) in a chunk, %s (%v) alone", src, i, got, bad, again, badAgain, want, rowFailed)
				}
				switch {
				case bad:
					failures++
				case want == "null":
					nulls++
				default:
					values++
				}
			}
		}
	})
	if failures < count/10 || nulls < count/10 || values < count {
		t.Errorf("%d fields: %d failures, %d nulls, %d values tell too little", count, failures, nulls, values)
	}
	t.Logf("%d fields: %d values, %d nulls, %d failures", count, values, nulls, failures)
}
