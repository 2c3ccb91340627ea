// Package checker holds what a run left in a lake against the invariants of the delivery protocol. Only tests
// import it.
//
// It reads the lake's plain folder, the lake's own log and its request log, with the standard library alone:
// it shares no code with what encodes, delivers or verifies. The one thing to know: it is told what must be
// there (an oracle), never what the product believes.
package checker

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Delivery is a run that is said to have succeeded, and what it must have delivered.
type Delivery struct {
	Lake, Account, Container string // the lake's folder; the account and container that were delivered to
	Folder                   string // resolved folder of the files
	Flow, Item, Run          string
	Scheduled                time.Time
	Key                      []byte     // slot key; nil leaves the seal unchecked
	Rows                     [][]string // of all files together, in any order, without headers; nil is any
	Header                   []string
	Parts                    int // number of files; 0 is any
	Received                 int64
}

// record is what a slot record says (delivery.md 4.3).
type record struct {
	Kind, Run, Flow, Item string
	Files                 []recordFile
	Counts                map[string]int64
	Manifest              *string
}

type recordFile struct {
	Final, CRC64, SHA256 string
	Size, Rows           int64
}

func (d Delivery) base() string { return filepath.Join(d.Lake, d.Account, d.Container) }

func (d Delivery) system() string {
	return filepath.Join(d.base(), filepath.FromSlash(d.Folder), "_lakeward", d.Flow)
}

// Check returns the invariants that do not hold.
func (d Delivery) Check() error {
	rec, err := d.record()
	if err != nil {
		return err
	}
	if rec.Kind != "commit" || rec.Run != d.Run || rec.Flow != d.Flow || rec.Item != d.Item {
		return fmt.Errorf("INV-02: the slot record is a %s of run %s", rec.Kind, rec.Run)
	}
	return errors.Join(d.visible(rec), d.content(rec), d.manifest(rec), d.counts(rec), d.marked(rec), d.staging())
}

// record reads the one slot record of the run.
func (d Delivery) record() (record, error) {
	var rec record
	slots, err := filepath.Glob(filepath.Join(d.system(), "slots", "*", d.Run+".slot"))
	if err != nil || len(slots) != 1 {
		return rec, fmt.Errorf("INV-01: %d slot records", len(slots))
	}
	text, err := os.ReadFile(slots[0])
	if err != nil {
		return rec, err
	}
	domain := ""
	if len(text) == 0 { // mode copy-once: its properties name a list
		domain = "lakeward/list/v1\n"
		props := d.properties(slots[0])
		if text, err = os.ReadFile(strings.TrimSuffix(slots[0], ".slot") + "-" + props["lwnonce"][:min(8, len(props["lwnonce"]))] + ".list"); err != nil {
			return rec, fmt.Errorf("INV-02: %w", err)
		}
		if sum := sha256.Sum256(text); hex.EncodeToString(sum[:]) != props["lwlist"] {
			return rec, fmt.Errorf("INV-02: the list is not the one that the slot names")
		}
	}
	line, rest, _ := bytes.Cut(text, []byte("\n"))
	var seal struct{ MAC string }
	if err := errors.Join(json.Unmarshal(line, &rec), json.Unmarshal(rest, &seal)); err != nil {
		return rec, fmt.Errorf("INV-02: %w", err)
	}
	h := hmac.New(sha256.New, d.Key)
	h.Write([]byte(domain))
	h.Write(line)
	if d.Key != nil && seal.MAC != hex.EncodeToString(h.Sum(nil)) {
		return rec, fmt.Errorf("INV-02: the slot record is not sealed by the dataflow's key")
	}
	return rec, nil
}

// visible holds what is in the folder against the record: nothing more, nothing less.
func (d Delivery) visible(rec record) error {
	want := map[string]bool{}
	for _, f := range rec.Files {
		want[f.Final] = true
	}
	if rec.Manifest != nil {
		want[*rec.Manifest] = true
	}
	folder := filepath.Join(d.base(), filepath.FromSlash(d.Folder))
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		p := path.Join(d.Folder, e.Name())
		if !e.IsDir() && !want[p] {
			err = errors.Join(err, fmt.Errorf("INV-03: %s is there and no record lists it", p))
		}
		delete(want, p)
	}
	for p := range want {
		err = errors.Join(err, fmt.Errorf("INV-02: %s is listed and missing", p))
	}
	return err
}

// content re-reads every byte.
func (d Delivery) content(rec record) error {
	var err error
	var rows []string
	if d.Parts > 0 && len(rec.Files) != d.Parts {
		err = fmt.Errorf("INV-04: %d files, want %d", len(rec.Files), d.Parts)
	}
	for _, f := range rec.Files {
		b, rerr := os.ReadFile(filepath.Join(d.base(), filepath.FromSlash(f.Final)))
		if rerr != nil {
			continue // told by visible
		}
		sum := sha256.Sum256(b)
		crc := crc64.Checksum(b, crc64.MakeTable(0x9A6C9329AC4BC9B5))
		if int64(len(b)) != f.Size || hex.EncodeToString(sum[:]) != f.SHA256 || fmt.Sprintf("%016x", crc) != f.CRC64 {
			err = errors.Join(err, fmt.Errorf("INV-06: %s is not what the slot record says", f.Final))
			continue
		}
		got, rerr := d.rows(f.Final, b)
		if int64(len(got)) != f.Rows {
			err = errors.Join(err, rerr, fmt.Errorf("INV-06: %s has %d rows, the slot record says %d", f.Final, len(got), f.Rows))
		}
		rows = append(rows, got...)
	}
	if d.Rows == nil {
		return err
	}
	var want []string
	for _, r := range d.Rows {
		want = append(want, strings.Join(r, "\x1f"))
	}
	slices.Sort(rows)
	slices.Sort(want)
	if !slices.Equal(rows, want) {
		err = errors.Join(err, fmt.Errorf("INV-04: %d rows are delivered, %d were to be, and they are not the same", len(rows), len(want)))
	}
	return err
}

// rows decodes a file whose values need no escapes.
func (d Delivery) rows(name string, b []byte) ([]string, error) {
	var in io.Reader = bytes.NewReader(b)
	if strings.HasSuffix(name, ".gz") {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, err
		}
		in = z
	}
	all, err := csv.NewReader(in).ReadAll()
	if err != nil || len(all) == 0 {
		return nil, fmt.Errorf("no header: %w", err)
	}
	if d.Header != nil && !slices.Equal(all[0], d.Header) {
		return nil, fmt.Errorf("header %v", all[0])
	}
	var out []string
	for _, r := range all[1:] {
		out = append(out, strings.Join(r, "\x1f"))
	}
	return out, nil
}

// manifest compares the manifest with the record, byte for byte where order matters (MFT-03).
func (d Delivery) manifest(rec record) error {
	if rec.Manifest == nil {
		return nil
	}
	b, err := os.ReadFile(filepath.Join(d.base(), filepath.FromSlash(*rec.Manifest)))
	if err != nil {
		return nil //nolint:nilerr // told by visible
	}
	var files []string
	for _, f := range rec.Files {
		files = append(files, fmt.Sprintf(`{"sinkPath":"/%s","name":"%s","size":%d}`, strings.TrimPrefix(path.Dir(f.Final), "."), path.Base(f.Final), f.Size))
	}
	want := fmt.Sprintf(`{"flowRunId":"%s","scheduledTime":"%s","exportResults":[%s]}`, d.Run, d.Scheduled.UTC().Format("2006-01-02T15:04:05Z"), strings.Join(files, ","))
	if string(b) != want {
		return fmt.Errorf("INV-14: the manifest is %.200q, want %.200q", b, want)
	}
	return nil
}

// counts balances the books.
func (d Delivery) counts(rec record) error {
	var rows int64
	for _, f := range rec.Files {
		rows += f.Rows
	}
	c := rec.Counts
	if c["received"] != c["activated"]+c["excludedMandatory"]+c["excludedIdentity"]+c["excludedConsent"]+c["failed"]+c["deduplicated"] || c["rows"] != rows || c["received"] != d.Received {
		return fmt.Errorf("INV-15: counts %v, %d rows in the files, %d members", c, rows, d.Received)
	}
	return nil
}

// marked looks at the marker of every listed file.
func (d Delivery) marked(rec record) error {
	var err error
	for _, f := range rec.Files {
		p := d.properties(filepath.Join(d.base(), filepath.FromSlash(f.Final)))
		if p["lwrun"] != d.Run || p["lwflow"] != d.Flow || p["lwitem"] != d.Item || p["lwnonce"] == "" {
			err = errors.Join(err, fmt.Errorf("INV-13: %s is marked %v", f.Final, p))
		}
	}
	return err
}

// errStaging is the invariant that a fault of the clean-up, or a process that stood still, may leave to the next run.
var errStaging = errors.New("INV-17: staging is left")

// IsGarbage reports whether err is about staging that was left and nothing else.
func IsGarbage(err error) bool {
	many, ok := err.(interface{ Unwrap() []error }) //nolint:errorlint // the joined errors themselves
	if !ok {
		return errors.Is(err, errStaging)
	}
	return !slices.ContainsFunc(many.Unwrap(), func(e error) bool { return !IsGarbage(e) })
}

func (d Delivery) staging() error {
	left, err := filepath.Glob(filepath.Join(d.system(), "staging", d.Run, "*"))
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("%w: %v", errStaging, left)
	}
	return err
}

// properties are those of a path, out of the lake's own log.
func (d Delivery) properties(name string) map[string]string {
	out := map[string]string{}
	rel, err := filepath.Rel(d.base(), name)
	if err != nil {
		return out
	}
	f, err := os.Open(filepath.Join(d.Lake, ".meta", d.Account, d.Container+".log"))
	if err != nil {
		return out
	}
	defer f.Close()
	nodes := map[string]string{}
	for r := bufio.NewReader(f); ; {
		text, err := r.ReadBytes('\n')
		if err != nil {
			break
		}
		var l struct {
			Kind, Path, To string
			Node           struct{ Properties string }
		}
		if !bytes.Contains(text, []byte(d.Folder)) || json.Unmarshal(text, &l) != nil {
			continue
		}
		switch l.Kind {
		case "put", "write":
			nodes[l.Path] = l.Node.Properties
		case "move":
			nodes[l.To] = nodes[l.Path]
			delete(nodes, l.Path)
		}
	}
	for pair := range strings.SplitSeq(nodes[filepath.ToSlash(rel)], ",") {
		k, v, _ := strings.Cut(pair, "=")
		if b, err := base64.StdEncoding.DecodeString(v); err == nil {
			out[k] = string(b)
		}
	}
	return out
}
