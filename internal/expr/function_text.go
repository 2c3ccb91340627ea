package expr

import (
	"bytes"
	"regexp"
	"unicode/utf8"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/vector"
)

// textFunctions work on texts. Positions and lengths count characters (code points) from 0; case is mapped character by character.
func textFunctions() []Function {
	text, list := gives(String), givesList(String)
	return []Function{
		{Name: "concat", Args: "t*", gives: text, eval: concat},
		{Name: "instr", Args: "tt?ii", gives: gives(Integer), eval: occurrence},
		{Name: "replacestr", Args: "ttt", gives: text, eval: replace},
		{Name: "substr", Args: "ti?i", gives: text, eval: substring},
		{Name: "lower", Args: "t", gives: text, eval: mapped(bytes.ToLower)},
		{Name: "upper", Args: "t", gives: text, eval: mapped(bytes.ToUpper)},
		{Name: "split", Args: "tt", gives: list, eval: split},
		{Name: "join", Args: "ta", gives: text, eval: joinItems, prepare: scalarItems},
		{Name: "lpad", Args: "tit", gives: text, eval: func(c *cells) { pad(c, true) }},
		{Name: "rpad", Args: "tit", gives: text, eval: func(c *cells) { pad(c, false) }},
		{Name: "left", Args: "ti", gives: text, eval: func(c *cells) { side(c, true) }},
		{Name: "right", Args: "ti", gives: text, eval: func(c *cells) { side(c, false) }},
		{Name: "ltrim", Args: "t", gives: text, eval: mapped(func(s []byte) []byte { return bytes.TrimLeftFunc(s, blank) })},
		{Name: "rtrim", Args: "t", gives: text, eval: mapped(func(s []byte) []byte { return bytes.TrimRightFunc(s, blank) })},
		{Name: "trim", Args: "t", gives: text, eval: mapped(func(s []byte) []byte { return bytes.TrimFunc(s, blank) })},
		{Name: "equals", Args: "tt", gives: gives(Boolean), eval: func(c *cells) { c.setBool(bytes.Equal(c.text(0), c.text(1))) }},
		{Name: "equalsIgnoreCase", Args: "tt", gives: gives(Boolean), eval: func(c *cells) { c.setBool(fold(string(c.text(0))) == fold(string(c.text(1)))) }},
	}
}

// blank characters are those that files are trimmed of (FMT-10a).
func blank(r rune) bool { return r <= ' ' }

func mapped(fn func([]byte) []byte) func(*cells) {
	return func(c *cells) { c.setText(fn(c.text(0))) }
}

func concat(c *cells) {
	size := 0
	for k := range c.args {
		size += len(c.text(k))
	}
	if size > MaxText {
		c.fail()
		return
	}
	out := make([]byte, 0, size)
	for k := range c.args {
		out = append(out, c.text(k)...)
	}
	c.setText(out)
}

// occurrence is where the n-th occurrence of a text begins, at or behind a start; -1 if there is none.
func occurrence(c *cells) {
	s, sub, start, nth := c.text(0), c.text(1), int64(0), int64(1)
	if len(c.args) > 2 {
		start = c.whole(2)
	}
	if len(c.args) > 3 {
		nth = c.whole(3)
	}
	if start < 0 || nth < 1 || len(sub) == 0 {
		c.fail()
		return
	}
	at := byteOf(s, start)
	for {
		i := bytes.Index(s[at:], sub)
		if i < 0 {
			c.setInt(-1)
			return
		}
		if nth--; nth == 0 {
			c.setInt(int64(utf8.RuneCount(s[:at+i])))
			return
		}
		at += i + len(sub)
	}
}

// byteOf is the byte at which a character begins, the end if there are fewer.
func byteOf(s []byte, character int64) int {
	at := 0
	for ; character > 0 && at < len(s); character-- {
		_, n := utf8.DecodeRune(s[at:])
		at += n
	}
	return at
}

func replace(c *cells) {
	s, old, with := c.text(0), c.text(1), c.text(2)
	if len(old) == 0 {
		c.setText(s)
		return
	}
	if grow := bytes.Count(s, old); len(s)+grow*(len(with)-len(old)) > MaxText {
		c.fail()
		return
	}
	c.setText(bytes.ReplaceAll(s, old, with))
}

func substring(c *cells) {
	s, start := c.text(0), c.whole(1)
	if start < 0 || len(c.args) > 2 && c.whole(2) < 0 {
		c.fail()
		return
	}
	s = s[byteOf(s, start):]
	if len(c.args) > 2 {
		s = s[:byteOf(s, c.whole(2))]
	}
	c.setText(s)
}

// side is the first or last characters of a text.
func side(c *cells, left bool) {
	s, n := c.text(0), c.whole(1)
	switch {
	case n < 0:
		c.fail()
	case left:
		c.setText(s[:byteOf(s, n)])
	default:
		c.setText(s[byteOf(s, int64(utf8.RuneCount(s))-n):])
	}
}

// pad fills a text up to a length; a longer one is cut to it.
func pad(c *cells, left bool) {
	s, n, fill := c.text(0), c.whole(1), c.text(2)
	have := int64(utf8.RuneCount(s))
	switch {
	case n < 0 || n > MaxText:
		c.fail()
		return
	case have >= n || len(fill) == 0:
		c.setText(s[:byteOf(s, n)])
		return
	}
	characters := int64(utf8.RuneCount(fill))
	missing := n - have
	whole := bytes.Repeat(fill, int(missing/characters))
	filler := append(whole, fill[:byteOf(fill, missing%characters)]...)
	if left {
		c.setText(append(filler, s...))
	} else {
		c.setText(append(bytes.Clone(s), filler...))
	}
}

// split cuts at every occurrence of a text, which is no pattern.
func split(c *cells) {
	if len(c.text(1)) == 0 || bytes.Count(c.text(0), c.text(1)) > MaxText/8 {
		c.fail()
		return
	}
	c.setTexts(bytes.Split(c.text(0), c.text(1)))
}

// scalarItems refuses items that have something inside.
func scalarItems(n *Node) error {
	for i, a := range n.Args {
		if a.Type == Array && a.Shape.Item.Type >= Array {
			return badArgument(i, "%s joins single values; for objects and arrays use array_to_string", n.Func.Name)
		}
	}
	return nil
}

// joinItems joins the items of a list as text, nulls left out.
func joinItems(c *cells) {
	join(c, func(b []byte, v *vector.Vector, k int) []byte { return v.AppendText(b, k) })
}

func join(c *cells, write func(b []byte, v *vector.Vector, k int) []byte) {
	var out []byte
	from, to := c.items(1)
	first := true
	for k := from; k < to; k++ {
		if c.list(1).IsNull(k) {
			continue
		}
		if !first {
			out = append(out, c.text(0)...)
		}
		first = false
		if out = write(out, c.list(1), k); len(out) > MaxText {
			c.fail()
			return
		}
	}
	c.setText(out)
}

// patternFunctions take patterns in RE2, which are literals.
func patternFunctions() []Function {
	list := givesList(String)
	return []Function{
		{Name: "explode", Args: "t?l", gives: list, prepare: pattern(",", ""), eval: explode},
		{Name: "extract_regex", Args: "tl", gives: list, prepare: pattern("", ""), eval: extract},
		{Name: "matches_regex", Args: "tl", gives: gives(Boolean), prepare: pattern("", `\A(?:%)\z`), eval: func(c *cells) { c.setBool(c.n.Pattern.Match(c.text(0))) }},
	}
}

// pattern compiles the second argument, another one if it was left out; % in a form stands for it.
func pattern(other, form string) func(*Node) error {
	return func(n *Node) error {
		src := literalAt(n, 1, other)
		if len(src) > maxPattern {
			return &ArgumentError{1, "EXPR-1010", "the pattern is longer than 512 bytes"}
		}
		re, err := regexp.Compile(src)
		if err != nil {
			return &ArgumentError{1, "EXPR-1020", "the pattern is not supported: " + lakeward.Quote(err.Error()) + "; patterns are RE2, without look-around and back references"}
		}
		if form != "" {
			re, err = regexp.Compile(string(bytes.Replace([]byte(form), []byte("%"), []byte(src), 1)))
		}
		n.Pattern = re
		return err
	}
}

func explode(c *cells) {
	s := c.text(0)
	var out [][]byte
	at := 0
	cuts := c.n.Pattern.FindAllIndex(s, MaxText/8)
	if len(cuts) == MaxText/8 {
		c.fail()
		return
	}
	for _, m := range cuts {
		if m[1] == 0 || m[0] == m[1] && m[0] == len(s) {
			continue
		}
		out = append(out, s[at:m[0]])
		at = m[1]
	}
	c.setTexts(append(out, s[at:]))
}

// extract is the first match and its groups, an empty list if there is none; a group that took no part is null.
func extract(c *cells) {
	s := c.text(0)
	m := c.n.Pattern.FindSubmatchIndex(s)
	size := 0
	for g := 0; g < len(m); g += 2 {
		size += max(0, m[g+1]-m[g])
	}
	if size > MaxText {
		c.fail()
		return
	}
	for g := 0; g < len(m); g += 2 {
		if m[g] < 0 {
			c.out.Fields[0].AppendNull()
		} else {
			c.out.Fields[0].AppendString(s[m[g]:m[g+1]])
		}
	}
	c.out.AppendItems()
}
