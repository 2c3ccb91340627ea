package encode

import (
	"math"
	"strconv"
	"time"
)

const (
	dayMillis = 86_400_000
	dayLayout = "2006-01-02"
)

// appendDate writes days since 1970 as yyyy-MM-dd (FMT-10).
func appendDate(b []byte, days int64) []byte {
	return time.Unix(days*(dayMillis/1000), 0).UTC().AppendFormat(b, dayLayout)
}

// appendTime writes milliseconds since 1970 in UTC, always with three digits and Z (FMT-10a).
func appendTime(b []byte, ms int64) []byte {
	return time.UnixMilli(ms).UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
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
