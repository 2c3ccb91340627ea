package expr

import (
	"bytes"
	"math"
	"strconv"
	"strings"
)

// numberFunctions make numbers of texts and of other numbers; nothing is rounded: what is not whole is no integer.
func numberFunctions() []Function {
	return []Function{
		{Name: "to_integer", Args: "s", gives: gives(Integer), prepare: convertible, eval: func(c *cells) { toWhole(c, math.MinInt32, math.MaxInt32) }},
		{Name: "to_bigint", Args: "s", gives: gives(Integer), prepare: convertible, eval: func(c *cells) { toWhole(c, math.MinInt64, math.MaxInt64) }},
		{Name: "to_decimal", Args: "s", gives: gives(Double), prepare: convertible, eval: toReal},
		{Name: "to_float", Args: "s", gives: gives(Double), prepare: convertible, eval: toReal},
	}
}

func convertible(n *Node) error {
	if t := n.Args[0].Type; t == String || t.Numeric() || n.Args[0].Op == Null {
		return nil
	}
	return badArgument(0, "%s takes a text or a number, not %s", n.Func.Name, n.Args[0].Type)
}

func toWhole(c *cells, least, most int64) {
	var n int64
	ok := true
	switch c.n.Args[0].Type {
	case Integer:
		n = c.whole(0)
	case Double:
		n, ok = wholeOf(c.real(0))
	default:
		s := strings.TrimSpace(string(c.text(0)))
		var err error
		if n, err = strconv.ParseInt(s, 10, 64); err != nil {
			head, zeros, _ := strings.Cut(s, ".")
			n, err = strconv.ParseInt(head, 10, 64)
			ok = err == nil && strings.Trim(zeros, "0") == "" && zeros != ""
		}
	}
	if !ok || n < least || n > most {
		c.fail()
		return
	}
	c.setInt(n)
}

func wholeOf(x float64) (int64, bool) {
	if x != math.Trunc(x) || x < math.MinInt64 || x >= math.MaxInt64 {
		return 0, false
	}
	return int64(x), true
}

// toReal refuses what a double cannot hold: more than it reaches, and what would become 0.
func toReal(c *cells) {
	if c.n.Args[0].Type != String {
		c.setReal(c.real(0))
		return
	}
	s := strings.TrimSpace(string(c.text(0)))
	x, err := strconv.ParseFloat(s, 64)
	mantissa, _, _ := strings.Cut(strings.ToLower(s), "e")
	if err != nil || strings.ContainsAny(s, "xX_pP") || x == 0 && strings.ContainsAny(mantissa, "123456789") {
		c.fail()
		return
	}
	c.setReal(x)
}

// operatorFunctions are the signs of arithmetic. + - * of whole numbers are whole and fail where 64 bits do not hold them, as does
// a division by 0; / gives a double, % has the sign of the left side.
func operatorFunctions() []Function {
	var out []Function
	for _, sign := range []string{"+", "-", "*", "/", "%"} {
		out = append(out, Function{Name: sign, Args: "n?n", gives: func(args []*Node) (*Shape, error) {
			for _, a := range args {
				if a.Type == Double || sign == "/" {
					return &Shape{Type: Double}, nil
				}
			}
			return &Shape{Type: Integer}, nil
		}, eval: arithmeticOf(sign)})
	}
	return append(out, Function{Name: "at", Args: "ai", gives: func(args []*Node) (*Shape, error) { return args[0].Shape.Item, nil }, eval: element},
		Function{Name: "same", Args: "xx", gives: gives(Boolean), eval: func(c *cells) {
			c.setBool(bytes.Equal(appendKey(nil, c.args[0], c.at[0]), appendKey(nil, c.args[1], c.at[1])))
		}})
}

func arithmeticOf(sign string) func(*cells) {
	return func(c *cells) {
		n := &Node{Fn: sign, Args: c.n.Args}
		b := len(c.args) - 1
		if c.n.Type == Double {
			c.setReal(doubles(n, c.real(0), c.real(b)))
			return
		}
		r, ok := integers(n, c.whole(0), c.whole(b))
		if !ok {
			c.fail()
			return
		}
		c.setInt(r)
	}
}

// element is an item by its position from 0, null if there are fewer.
func element(c *cells) {
	from, to := c.items(0)
	k := c.whole(1)
	if k < 0 {
		c.fail()
		return
	}
	if k >= int64(to-from) {
		c.null()
		return
	}
	c.out.AppendFrom(c.list(0), from+int(k))
}
