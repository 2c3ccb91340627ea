package lakeward

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// ReservedFolder holds staging and slot records; nobody else may use the name (DLV-17).
	ReservedFolder    = "_lakeward"
	maxFolderSegments = 50
	maxSegmentBytes   = 255
	maxPath           = 1024
)

// folderMacros may stand as whole segments of a folder (CON-14).
func folderMacros() []string {
	return []string{"%SEGMENT_NAME%", "%SEGMENT_ID%", "%DATETIME%", "%TIMESTAMP%", "%DESTINATION_NAME%"}
}

// ParseFolder checks a folder path and returns it without outer slashes (CON-15, F01 to F20).
func ParseFolder(path string) (string, error) {
	if !utf8.ValidString(path) {
		return "", invalid("PATH-1002", "the folder path is not UTF-8")
	}
	folder := strings.Trim(path, "/")
	if folder == "" {
		return "", nil
	}
	segments := strings.Split(folder, "/")
	if len(segments) > maxFolderSegments {
		return "", invalid("PATH-1006", "the folder path has %d levels; at most %d", len(segments), maxFolderSegments)
	}
	if len(folder) > maxPath {
		return "", invalid("PATH-1006", "the folder path is longer than %d bytes", maxPath)
	}
	for _, s := range segments {
		if err := checkSegment(s); err != nil {
			return "", err
		}
	}
	return folder, nil
}

func checkSegment(s string) error {
	plain := s
	for _, m := range folderMacros() {
		plain = strings.ReplaceAll(plain, m, "x")
	}
	switch {
	case s == "":
		return invalid("PATH-1001", "the folder path holds an empty level (//)")
	case strings.Trim(s, ".") == "":
		return invalid("PATH-1001", "a folder level of only dots is not allowed")
	case len(s) > maxSegmentBytes:
		return invalid("PATH-1006", "a folder level is longer than %d bytes", maxSegmentBytes)
	case s == ReservedFolder || strings.HasPrefix(s, ReservedFolder+"-"):
		return invalid("PATH-1005", "folder names that start with %s are reserved", ReservedFolder)
	case strings.Contains(plain, "%"):
		return invalid("PATH-1010", "a percent sign may stand only in one of the macros %s", strings.Join(folderMacros(), " "))
	}
	for _, c := range s {
		if c == '\\' || unicode.IsControl(c) || c == 0x2028 || c == 0x2029 || c == 0x202e || c == 0xfeff {
			return invalid("PATH-1002", "the character U+%04X is not allowed in a folder path", c)
		}
	}
	return nil
}

// FolderBase is the folder up to its first segment with a macro, without slashes at its ends (DLV-16).
func FolderBase(folder string) string {
	segments := strings.Split(folder, "/")
	for i, s := range segments {
		if strings.Contains(s, "%") {
			return strings.Join(segments[:i], "/")
		}
	}
	return folder
}

// ExpandFolder fills the macros of a folder for one run and checks the result once more (F14, F16).
func ExpandFolder(folder string, v NameValues) (string, error) {
	if folder == "" {
		return "", nil
	}
	segments := strings.Split(folder, "/")
	for i, s := range segments {
		s = expandSegment(s, v, v.GeneratedAt.UTC().Format("01022006_150405"), unixText(v.GeneratedAt))
		if strings.Trim(s, ".") == "" {
			return "", invalid("PATH-1001", "a folder level is empty or only dots once its macros are filled")
		}
		segments[i] = s
	}
	out := strings.Join(segments, "/")
	if len(out) > maxPath {
		return "", invalid("PATH-1006", "the folder path is longer than %d bytes once its macros are filled", maxPath)
	}
	return out, nil
}

// expandSegment fills the macros of one level; the two times are given as texts.
func expandSegment(s string, v NameValues, datetime, timestamp string) string {
	return strings.NewReplacer(
		"%SEGMENT_NAME%", sanitizeName(v.AudienceName),
		"%SEGMENT_ID%", v.AudienceID,
		"%DATETIME%", datetime,
		"%TIMESTAMP%", timestamp,
		"%DESTINATION_NAME%", sanitizeName(v.DataflowName),
	).Replace(s)
}
