package deliver

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"time"

	"github.com/lakeward/lakeward"
)

// The kinds of slot records (DLV-20).
const (
	CommitKind    = "commit"
	TombstoneKind = "tombstone"
)

// maxRecord bounds a slot record (DLV-20).
const maxRecord = 64 << 20

// Record is the slot record of a run: the one fact in the lake that says whether it was delivered.
type Record struct {
	V              int                 `json:"v"`
	Kind           string              `json:"kind"`
	Run            lakeward.RunID      `json:"run"`
	Flow           lakeward.DataflowID `json:"flow"`
	Item           string              `json:"item"`
	Slot           string              `json:"slot"`
	Attempt        int                 `json:"attempt"`
	Nonce          string              `json:"nonce"`
	ScheduledTime  string              `json:"scheduledTime"`
	GeneratedAt    string              `json:"generatedAt"`
	Rev            int                 `json:"rev"`
	Store          string              `json:"store"`
	Epoch          string              `json:"epoch"`
	EpochNo        int                 `json:"epochNo"`
	FromGeneration *int64              `json:"fromGeneration"`
	ToGeneration   int64               `json:"toGeneration"`
	GenerationHash string              `json:"generationHash"`
	// Windows are those of datasets; fromGeneration is null then.
	Windows  []lakeward.DatasetWindow `json:"windows,omitempty"`
	Files    []lakeward.File          `json:"files"`
	Counts   lakeward.Counts          `json:"counts"`
	Manifest *string                  `json:"manifest"`
	Reason   string                   `json:"reason,omitempty"` // of a tombstone

	mode lakeward.Mode // in which it was written: it decides how it is published
}

// seal is the second line of a record.
type seal struct {
	KeyID string `json:"keyId"`
	MAC   string `json:"mac"`
}

// errNotAuthentic says that a slot record is damaged, forged or another run's; it is never adopted (C12).
var errNotAuthentic = errors.New("the slot record does not verify")

// keyID names a slot key without telling it.
func keyID(key []byte) string {
	sum := sha256.Sum256(append([]byte("lakeward/slot-key/v1\n"), key...))
	return hex.EncodeToString(sum[:8])
}

func mac(key, line []byte) string {
	h := hmac.New(sha256.New, key)
	h.Write(line)
	return hex.EncodeToString(h.Sum(nil))
}

// The domains of authentication: a list of the mode copy-once is not a slot record, though it has the same form.
const (
	slotDomain = ""
	listDomain = "lakeward/list/v1\n"
)

// encode returns the two lines of the record, authenticated under key (DLV-20).
func (r Record) encode(key []byte, domain string) ([]byte, error) {
	if r.Files == nil {
		r.Files = []lakeward.File{}
	}
	for i := range r.Files {
		if r.Files[i].Recipients == nil {
			r.Files[i].Recipients = []string{}
		}
	}
	line, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	second, err := json.Marshal(seal{keyID(key), mac(key, append([]byte(domain), line...))})
	if err != nil {
		return nil, err
	}
	return append(append(append(line, '\n'), second...), '\n'), nil
}

// DecodeRecord reads the slot record of a run; a record that does not verify, or is another run's, is refused.
func DecodeRecord(data, key []byte, run lakeward.RunID) (*Record, error) {
	return decodeRecord(data, key, slotDomain, run)
}

func decodeRecord(data, key []byte, domain string, run lakeward.RunID) (*Record, error) {
	line, rest, ok := bytes.Cut(data, []byte("\n"))
	second, rest, ok2 := bytes.Cut(rest, []byte("\n"))
	if !ok || !ok2 || len(rest) > 0 || len(data) > maxRecord {
		return nil, errNotAuthentic
	}
	var s seal
	if json.Unmarshal(second, &s) != nil || !hmac.Equal([]byte(s.MAC), []byte(mac(key, append([]byte(domain), line...)))) {
		return nil, errNotAuthentic
	}
	var r Record
	if json.Unmarshal(line, &r) != nil || r.V != 1 || r.Run != run || r.Kind != CommitKind && r.Kind != TombstoneKind {
		return nil, errNotAuthentic
	}
	return &r, nil
}

// newRecord starts the record of a run's attempt.
func (l *Lake) newRecord(r *lakeward.Run, kind string) Record {
	rec := Record{V: 1, Kind: kind, Run: r.ID, Flow: r.DataflowID, Item: r.Item, Slot: r.Slot, Attempt: r.Attempt, Nonce: r.Nonce,
		ScheduledTime: r.ScheduledAt.UTC().Format(time.RFC3339), Rev: r.Rev, Store: l.Store, Epoch: l.Store, EpochNo: 0,
		FromGeneration: r.FromGeneration, ToGeneration: r.ToGeneration, Windows: r.Windows, mode: l.Mode}
	if r.GeneratedAt != nil {
		rec.GeneratedAt = r.GeneratedAt.UTC().Format(time.RFC3339)
	}
	if r.Plan != nil {
		rec.GenerationHash = r.Plan.Hash
	}
	return rec
}
