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
		b = appendDigits(append(b, 'T'), rest/3_600_000, 2)
		b = appendDigits(append(b, ':'), rest/60_000%60, 2)
		b = appendDigits(append(b, ':'), rest/1000%60, 2)
		return append(appendDigits(append(b, '.'), rest%1000, 3), 'Z')
	}
	return time.UnixMilli(ms).UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
}

// The days of the years 0 to 9999, which have four digits.
const (
	firstDay = -719_528
	lastDay  = 2_932_896
)

// appendCivil writes a day of the years with four digits. Years are counted from March, so that the leap day is the last
// of its year, in eras of 400 years; this costs a tenth of the standard library's layouts.
func appendCivil(b []byte, days int64) []byte {
	const era = 146_097                    // days in 400 years
	n := days - firstDay + 306 + era - 366 // from the first of March in the year -400
	cycle, day := n/era, n%era
	year := (day - day/1460 + day/36_524 - day/146_096) / 365
	ofYear := day - (365*year + year/4 - year/100)
	month := (5*ofYear + 2) / 153
	date := ofYear - (153*month+2)/5 + 1
	year += cycle*400 - 400
	if month += 3; month > 12 {
		month, year = month-12, year+1
	}
	b = appendDigits(b, year, 4)
	b = appendDigits(append(b, '-'), month, 2)
	return appendDigits(append(b, '-'), date, 2)
}

// appendDigits writes the lowest digits of a number that is not negative.
func appendDigits(b []byte, n int64, digits int) []byte {
	at := len(b)
	b = append(b, "0000"[:digits]...)
	for i := digits - 1; i >= 0; i-- {
		b[at+i] = byte('0' + n%10)
		n /= 10
	}
	return b
}

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
