package vector

import (
	"math"
	"strconv"
	"time"
)

const (
	dayMillis = 86_400_000
	dayLayout = "2006-01-02"
)

// AppendText writes scalar i as text, as it stands in files: numbers, dates and times as FMT-10a says; nothing for null.
func (v *Vector) AppendText(b []byte, i int) []byte {
	if v.IsNull(i) {
		return b
	}
	switch v.Kind {
	case String:
		return append(b, v.Str(i)...)
	case Float:
		return appendDouble(b, v.Floats[i])
	case Bool:
		return strconv.AppendBool(b, v.Bools.Get(i))
	case Date:
		return appendDate(b, v.Ints[i])
	case Time:
		return appendTime(b, v.Ints[i])
	case Decimal:
		return appendDecimal(b, v.Ints[i], int(v.Scale))
	}
	return strconv.AppendInt(b, v.Ints[i], 10)
}

// appendDecimal writes units of 10 to the power of -scale, with all digits behind the point.
func appendDecimal(b []byte, n int64, scale int) []byte {
	if n < 0 {
		b, n = append(b, '-'), -n
	}
	digits := strconv.FormatInt(n, 10)
	for len(digits) <= scale {
		digits = "0" + digits
	}
	b = append(b, digits[:len(digits)-scale]...)
	if scale > 0 {
		b = append(append(b, '.'), digits[len(digits)-scale:]...)
	}
	return b
}

// appendDate writes days since 1970 as yyyy-MM-dd (FMT-10).
func appendDate(b []byte, days int64) []byte {
	if days >= firstDay && days <= lastDay {
		return appendCivil(b, days)
	}
	return time.Unix(days*(dayMillis/1000), 0).UTC().AppendFormat(b, dayLayout)
}

// appendTime writes milliseconds since 1970 in UTC, always with three digits and Z (FMT-10a).
func appendTime(b []byte, ms int64) []byte {
	days := ms / dayMillis
	if ms%dayMillis < 0 {
		days--
	}
	if days >= firstDay && days <= lastDay {
		b = appendCivil(b, days)
		rest := ms - days*dayMillis
		b = appendPair(append(b, 'T'), rest/3_600_000)
		b = appendPair(append(b, ':'), rest/60_000%60)
		b = appendPair(append(b, ':'), rest/1000%60)
		ms := rest % 1000
		return append(appendPair(append(b, '.', byte('0'+ms/100)), ms%100), 'Z')
	}
	return time.UnixMilli(ms).UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
}

// The days of the years 0 to 9999, which have four digits.
const (
	firstDay = -719_528
	lastDay  = 2_932_896
)

// appendCivil writes a day of the years with four digits. Years are counted from March, so that the leap day is the last
// of its year, and multiplications stand for divisions (Neri and Schneider, "Euclidean affine functions and their
// application to calendar algorithms", 2022); this costs a small part of the standard library's layouts.
func appendCivil(b []byte, days int64) []byte {
	const era = 146_097 // days in 400 years
	n := 4*uint32(days+719_468+era) + 3
	century, inCentury := n/era, n%era/4
	product := 2_939_745 * uint64(4*inCentury+3)
	year, ofYear := 100*century+uint32(product>>32), uint32(product)/2_939_745/4
	m := 2141*ofYear + 197_913
	month, date := int64(m>>16), int64(m&0xffff)/2141+1
	if year -= 400; month > 12 {
		month, year = month-12, year+1
	}
	b = appendPair(appendPair(b, int64(year/100)), int64(year%100))
	b = appendPair(append(b, '-'), month)
	return appendPair(append(b, '-'), date)
}

// pairs are the numbers 00 to 99.
const pairs = "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899"

// appendPair writes a number below 100 with two digits.
func appendPair(b []byte, n int64) []byte { return append(b, pairs[2*n], pairs[2*n+1]) }

// appendDouble writes the shortest digits that read back, in Java's layout: 1.0, 0.001, 1.0E7, -0.0, NaN, Infinity (FMT-10a).
func appendDouble(b []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(b, "NaN"...)
	case math.IsInf(f, 1):
		return append(b, "Infinity"...)
	case math.IsInf(f, -1):
		return append(b, "-Infinity"...)
	}
	if a := math.Abs(f); a == 0 || a >= 1e-3 && a < 1e7 {
		if millionths := math.Round(a * 1e6); millionths/1e6 == a && a != 0 {
			return appendMillionths(b, uint64(millionths), f < 0)
		}
		n := len(b)
		b = strconv.AppendFloat(b, f, 'f', -1, 64)
		for _, c := range b[n:] {
			if c == '.' {
				return b
			}
		}
		return append(b, ".0"...)
	}
	var scratch [32]byte
	e := strconv.AppendFloat(scratch[:0], f, 'E', -1, 64) // d.dddE+07, or dE+07
	if e[1] == 'E' || e[2] == 'E' {
		e = strconv.AppendFloat(scratch[:0], f, 'E', 1, 64) // Java writes two digits at least, the closest ones
	}
	point := false
	for i := 0; i < len(e); i++ {
		switch c := e[i]; {
		case c == '.':
			point = true
			b = append(b, c)
		case c == 'E':
			if !point {
				b = append(b, ".0"...)
			}
			b = append(b, 'E')
			i++ // the sign, + is not written
			if e[i] == '-' {
				b = append(b, '-')
			}
			for i+1 < len(e)-1 && e[i+1] == '0' {
				i++
			}
		default:
			b = append(b, c)
		}
	}
	return b
}

// appendMillionths writes a double that is the closest one to a number with six digits behind the point. With at most 15
// digits no shorter number reads back as the same double, so these are the shortest ones.
func appendMillionths(b []byte, n uint64, negative bool) []byte {
	if negative {
		b = append(b, '-')
	}
	b = append(strconv.AppendUint(b, n/1e6, 10), '.')
	rest := int64(n % 1e6)
	b = appendPair(appendPair(appendPair(b, rest/10_000), rest/100%100), rest%100)
	for b[len(b)-1] == '0' && b[len(b)-2] != '.' {
		b = b[:len(b)-1]
	}
	return b
}
