package lakeward

import (
	"strconv"
	"strings"
	"time"
)

// NamePattern is where the files of an item will lie, as far as it is known before a run: times stand in it as marks, which
// no name holds.
type NamePattern struct {
	path      string // folder and stem
	extension string
}

// The marks of times: private characters around the form of the time.
const (
	timeMark      = "\ue000"
	markDateTime  = timeMark + "MMDDYYYY_HHMMSS" + timeMark
	markTimestamp = timeMark + "unix" + timeMark
)

// NewNamePattern returns the pattern of a folder and a file name template for one item.
func NewNamePattern(folder, template, extension string, v NameValues) (NamePattern, error) {
	tokens, err := parseFileName(template)
	if err != nil {
		return NamePattern{}, err
	}
	var b strings.Builder
	for _, t := range tokens {
		switch t.macro {
		case "DATETIME":
			b.WriteString(timeMark + t.text + timeMark)
		case "TIMESTAMP":
			b.WriteString(markTimestamp)
		default:
			b.WriteString(t.expand(v))
		}
	}
	segments := strings.Split(folder, "/")
	for i, s := range segments {
		segments[i] = expandSegment(s, v, markDateTime, markTimestamp)
	}
	return NamePattern{path: join(strings.Join(segments, "/"), sanitizeName(b.String())), extension: extension}, nil
}

// Static reports whether all runs of the item use the same names (NAM-08).
func (p NamePattern) Static() bool { return !strings.Contains(p.path, timeMark) }

// Keys identify the pattern: files of two items can get one name if their own keys are equal, or if the own key of one is
// the first key of the other. The latter is "" unless the name looks as that of a later part of a run does. Static names
// that can meet always do, others if both runs are of one second.
func (p NamePattern) Keys() (own, first string) {
	i := strings.LastIndexByte(p.path, '_')
	if i > 0 {
		if n, err := strconv.Atoi(p.path[i+1:]); err == nil && n > 1 && strconv.Itoa(n) == p.path[i+1:] {
			first = p.path[:i] + "\x00" + p.extension
		}
	}
	return p.path + "\x00" + p.extension, first
}

// checkPath checks that all names of a run fit into a path (DLV-17).
func checkPath(folder, stem, extension string) error {
	if n := len(join(folder, stem+longestSuffix+extension)); n > maxPath {
		return invalid("PATH-1006", "folder and file name together can become %d bytes long; at most %d", n, maxPath)
	}
	return nil
}

// Place expands the folder and the file name of an item for a run at a time.
func (d Destination) Place(template, extension string, v NameValues) (folder, stem string, err error) {
	if folder, err = ExpandFolder(d.Folder, v); err != nil {
		return "", "", err
	}
	if stem, err = FileStem(template, extension, v); err != nil {
		return "", "", err
	}
	return folder, stem, checkPath(folder, stem, extension)
}

// FileName is where the next file of an audience or a dataset would lie.
type FileName struct {
	Item     string    `json:"id"` // of the audience or the dataset
	Name     string    `json:"name"`
	At       time.Time `json:"at"`
	Path     string    `json:"path"`     // in the container
	Manifest string    `json:"manifest"` // the same; "" for none, with RUN for the run's id
}
