package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/goccy/go-yaml"

	"github.com/lakeward/lakeward/internal/engine"
)

// table is rows of cells; the first row is the header.
type table [][]string

// print writes a value in the form that --output asks for; rows makes its table.
func (a *app) print(value any, rows func() table) error {
	switch a.settings.output {
	case "json":
		enc := json.NewEncoder(a.env.out)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		return enc.Encode(value)
	case "yaml":
		b, err := json.Marshal(value)
		if err != nil {
			return err
		}
		if b, err = yaml.JSONToYAML(b); err != nil {
			return err
		}
		_, err = a.env.out.Write(b)
		return err
	case "csv":
		w := csv.NewWriter(a.env.out)
		for _, r := range rows() {
			guarded := make([]string, len(r))
			for i, cell := range r {
				guarded[i] = guardFormula(cell)
			}
			if err := w.Write(guarded); err != nil {
				return err
			}
		}
		w.Flush()
		return w.Error()
	}
	return writeTable(a.env.out, rows())
}

// guardFormula keeps spreadsheets from running a cell (C16).
func guardFormula(s string) string {
	if s != "" && strings.ContainsAny(s[:1], "=+-@\t\r") || strings.HasPrefix(s, "＝") || strings.HasPrefix(s, "＋") || strings.HasPrefix(s, "－") || strings.HasPrefix(s, "＠") {
		return "'" + s
	}
	return s
}

func writeTable(w io.Writer, rows table) error {
	var widths []int
	for _, r := range rows {
		for i, cell := range r {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	for _, r := range rows {
		var b strings.Builder
		for i, cell := range r {
			b.WriteString(strings.Map(printable, cell))
			if i < len(r)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-len([]rune(cell))+2))
			}
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(b.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

// printable keeps control characters of names off the terminal.
func printable(r rune) rune {
	if r < 0x20 && r != '\n' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0x202e {
		return '·'
	}
	return r
}

// pairs is the table of one thing: a row for each field.
func pairs(cells ...string) table {
	var t table
	for i := 0; i+1 < len(cells); i += 2 {
		t = append(t, []string{cells[i] + ":", cells[i+1]})
	}
	return t
}

func timeText(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}

// terminal reports whether a writer is one.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// progress shows how far a step is, on a terminal only, and the rate at its end.
func (a *app) progress(what string) (engine.Progress, func()) {
	if !terminal(a.env.err) {
		return nil, func() {}
	}
	started, last := time.Now(), time.Time{}
	show := func(done, total int64) {
		if time.Since(last) < 100*time.Millisecond {
			return
		}
		last = time.Now()
		rate := float64(done) / max(time.Since(started).Seconds(), 0.001)
		if total > 0 {
			fmt.Fprintf(a.env.err, "\r\x1b[K%s: %d of %d (%.0f/s)", what, done, total, rate)
			return
		}
		fmt.Fprintf(a.env.err, "\r\x1b[K%s: %d (%.0f/s)", what, done, rate)
	}
	return show, func() { fmt.Fprint(a.env.err, "\r\x1b[K") }
}
