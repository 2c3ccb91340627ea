package lakeward

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// DefaultFileName is the template of files whose dataflow names none (D07).
const DefaultFileName = "%DESTINATION%_%SEGMENT_ID%_%DATETIME(YYYYMMdd_HHmmss)%"

const (
	maxFileName     = 255
	longestSuffix   = "_99999"
	dateTimePattern = "YYYYMMdd_HHmmss"
	dateTimeEditor  = "MMDDYYYY_HHMMSS"
)

// NameValues are what the macros of a file or folder name expand to.
type NameValues struct {
	AudienceID   string
	AudienceName string
	DataflowID   string
	DataflowName string
	Organization string
	Sandbox      string
	GeneratedAt  time.Time
	DatasetID    string
	DatasetName  string
	ExportTime   time.Time // of datasets: the time of the slot
}

// nameToken is one piece of a template: literal text or a macro.
type nameToken struct {
	macro string // "" for text
	text  string // the literal, or the pattern of DATETIME
}

// fileMacros may stand in file names (NAM-05).
func fileMacros() []string {
	return []string{"DESTINATION", "DESTINATION_NAME", "SEGMENT_ID", "SEGMENT_NAME", "DATETIME", "TIMESTAMP", "DESTINATION_INSTANCE_ID", "DESTINATION_INSTANCE_NAME", "ORGANIZATION_NAME", "SANDBOX_NAME"}
}

func parseFileName(template string) ([]nameToken, error) {
	return parseTemplate(template, fileMacros())
}

// parseTemplate splits a template into tokens. A template is a list of tokens, not a language (C13).
func parseTemplate(template string, macros []string) ([]nameToken, error) {
	var tokens []nameToken
	rest := template
	for rest != "" {
		i := strings.IndexByte(rest, '%')
		if i < 0 {
			return append(tokens, nameToken{text: rest}), nil
		}
		if i > 0 {
			tokens = append(tokens, nameToken{text: rest[:i]})
		}
		macro, after, found := strings.Cut(rest[i+1:], "%")
		if !found {
			return nil, invalid("NAME-1004", "the name holds a single %%; macros stand between two")
		}
		t := nameToken{macro: macro}
		if name, arg, ok := strings.Cut(macro, "("); ok && strings.HasSuffix(arg, ")") {
			t = nameToken{macro: name, text: strings.TrimSuffix(arg, ")")}
		}
		if err := t.check(macros); err != nil {
			return nil, err
		}
		tokens = append(tokens, t)
		rest = after
	}
	return tokens, nil
}

func (t nameToken) check(macros []string) error {
	switch {
	case !slices.Contains(macros, t.macro) || t.macro != "DATETIME" && t.text != "":
		return invalid("NAME-1004", "there is no macro %s", Quote("%"+t.macro+"%"))
	case t.macro == "DATETIME" && t.text != dateTimePattern && t.text != dateTimeEditor:
		return invalid("NAME-1003", "the date pattern is %s or %s, not %s", dateTimePattern, dateTimeEditor, Quote(t.text))
	}
	return nil
}

// ValidateFileName checks a template of the own surfaces: the destination and the audience
// id can never be removed (NAM-03), a component stands once, and the longest expansion fits (NAM-12).
func ValidateFileName(template, extension string, v NameValues) error {
	tokens, err := parseFileName(template)
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, t := range tokens {
		if t.macro == "" {
			if strings.IndexFunc(t.text, unicode.IsControl) >= 0 || !utf8.ValidString(t.text) {
				return invalid("NAME-1005", "the file name holds a control character or is not UTF-8")
			}
			continue
		}
		if seen[t.macro] {
			return invalid("NAME-1006", "the component %s stands twice in the file name", t.macro)
		}
		seen[t.macro] = true
	}
	if !seen["DESTINATION"] && !seen["DESTINATION_NAME"] || !seen["SEGMENT_ID"] {
		return invalid("NAME-1001", "the file name needs %%DESTINATION%% and %%SEGMENT_ID%%")
	}
	if seen["DATETIME"] && seen["TIMESTAMP"] {
		return invalid("NAME-1006", "%%DATETIME%% and %%TIMESTAMP%% are mutually exclusive")
	}
	v.AudienceName = "" // cut at run time (D08), so it never makes a name too long
	stem := expandTokens(tokens, v)
	if n := len(stem + longestSuffix + extension); n > maxFileName {
		return invalid("NAME-1007", "the file name can become %d bytes long; at most %d", n, maxFileName)
	}
	if strings.HasPrefix(stem, "manifest-") || strings.HasPrefix(stem, ReservedFolder) || strings.HasSuffix(stem, ".tmp") {
		return invalid("NAME-1002", "names that start with manifest- or %s, or end in .tmp, are reserved", ReservedFolder)
	}
	return nil
}

// FileStem expands a template for one run; the parts of the run add suffix and extension (NAM-13).
// A name that would be too long loses characters of the audience's name, never of an id (D08).
func FileStem(template, extension string, v NameValues) (string, error) {
	tokens, err := parseFileName(template)
	if err != nil {
		return "", err
	}
	stem := expandTokens(tokens, v)
	over := len(stem+longestSuffix+extension) - maxFileName
	if over > 0 {
		sum := sha256.Sum256([]byte(v.AudienceName))
		mark := "-" + hex.EncodeToString(sum[:4])
		v.AudienceName = cutBytes(sanitizeName(v.AudienceName), len(sanitizeName(v.AudienceName))-over-len(mark)) + mark
		stem = expandTokens(tokens, v)
	}
	if len(stem+longestSuffix+extension) > maxFileName || strings.Trim(stem, ".") == "" {
		return "", invalid("NAME-1002", "the file name is empty, only dots, or longer than %d bytes", maxFileName)
	}
	return stem, nil
}

// cutBytes returns the longest prefix of s with at most n bytes and whole characters.
func cutBytes(s string, n int) string {
	n = max(0, min(n, len(s)))
	for n > 0 && n < len(s) && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// PartName is the name of part k (0-based) of a run: stem, then _2, _3 … from the second on, then the extension (SPL-02, SPL-03).
func PartName(stem string, k int, extension string) string {
	if k == 0 {
		return stem + extension
	}
	return stem + "_" + strconv.Itoa(k+1) + extension
}

func expandTokens(tokens []nameToken, v NameValues) string {
	var b strings.Builder
	for _, t := range tokens {
		b.WriteString(t.expand(v))
	}
	return sanitizeName(b.String())
}

func (t nameToken) expand(v NameValues) string {
	switch t.macro {
	case "DESTINATION", "DESTINATION_NAME":
		return strings.ReplaceAll(DestinationTypeName, " ", "_")
	case "SEGMENT_ID":
		return v.AudienceID
	case "SEGMENT_NAME":
		return sanitizeName(v.AudienceName)
	case "DATETIME":
		layout := "20060102_150405"
		if t.text == dateTimeEditor {
			layout = "01022006_150405"
		}
		return v.GeneratedAt.UTC().Format(layout)
	case "TIMESTAMP":
		return unixText(v.GeneratedAt)
	case "DESTINATION_INSTANCE_ID":
		return v.DataflowID
	case "DESTINATION_INSTANCE_NAME":
		return sanitizeName(v.DataflowName)
	case "ORGANIZATION_NAME":
		return sanitizeName(v.Organization)
	case "SANDBOX_NAME":
		return sanitizeName(v.Sandbox)
	case "DATASET_ID":
		return v.DatasetID
	case "DATASET_NAME":
		return sanitizeName(v.DatasetName)
	case "EXPORT_TIME":
		return datasetDirectoryLabel + v.ExportTime.UTC().Format(exportTimeLayout)
	}
	return t.text
}

// sanitizeName replaces what a file name may not hold and trims trailing dots and blanks (NAM-11).
func sanitizeName(s string) string {
	s = strings.Map(func(c rune) rune {
		if strings.ContainsRune(`"\/:|<>*?`, c) || unicode.IsControl(c) || c == 0x2028 || c == 0x2029 || c == 0x202e || c == 0xfeff {
			return '_'
		}
		return c
	}, strings.ToValidUTF8(s, "_"))
	return strings.TrimLeft(strings.TrimRight(s, ". "), " ")
}

func unixText(t time.Time) string { return fmt.Sprintf("%010d", t.Unix()) }
