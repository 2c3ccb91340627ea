package lakeward

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"
)

// RunID identifies a run; it is derived, never drawn (DLV-11).
type RunID string

// NewRunID derives the id of the run of one flow, item and slot (DLV-11).
func NewRunID(flow DataflowID, item, slot string) RunID {
	sum := sha256.Sum256([]byte("lakeward/run/v1\n" + string(flow) + "\n" + item + "\n" + slot))
	return RunID(formatUUID([16]byte(sum[:16]), 8))
}

// ScheduledSlot names the slot of a scheduled time, in UTC and whole seconds (DLV-10).
func ScheduledSlot(t time.Time) string {
	return "at:" + t.UTC().Truncate(time.Second).Format(time.RFC3339)
}

// ManualSlot names the slot of an export by hand (DLV-10).
func ManualSlot(key string) string { return "manual:" + key }

// EvaluationSlot names the slot of an export after an evaluation (DLV-10).
func EvaluationSlot(t TaskID) string { return "eval:" + string(t) }

// Rerun names the slot of the n-th run of a slot, from the second on (DLV-10).
func Rerun(slot string, n int) string { return fmt.Sprintf("%s#%d", slot, n) }

// BySchedule reports whether the schedule made the run due: only such runs move the baseline (DLV-122).
func (r Run) BySchedule() bool {
	return strings.HasPrefix(r.Slot, "at:") || strings.HasPrefix(r.Slot, "eval:")
}

// RunState says who may act on a run (DLV-32).
type RunState string

// The states.
const (
	Queued     RunState = "queued"
	Running    RunState = "running"
	Retrying   RunState = "retrying"
	Cancelling RunState = "cancelling"
	Blocked    RunState = "blocked"
	Succeeded  RunState = "succeeded"
	Failed     RunState = "failed"
	Cancelled  RunState = "cancelled"
	Skipped    RunState = "skipped"
)

// runTransitions is the whole life of a run (DLV-33). A state that is not a key is final.
func runTransitions() map[RunState][]RunState {
	return map[RunState][]RunState{
		Queued:     {Running, Cancelling, Skipped},
		Running:    {Queued, Retrying, Cancelling, Blocked, Succeeded, Failed, Cancelled, Skipped},
		Retrying:   {Queued, Cancelling, Failed},
		Cancelling: {Cancelled, Queued},
		Blocked:    {Queued, Failed},
		Failed:     {Queued}, // only when a commit record is found (DLV-81)
	}
}

// To returns the state that follows s, or an error if the step is not allowed.
func (s RunState) To(next RunState) (RunState, error) {
	if slices.Contains(runTransitions()[s], next) {
		return next, nil
	}
	return s, &Error{Kind: Conflict, Code: "RUN-1001", Msg: fmt.Sprintf("a run that is %s cannot become %s", s, next)}
}

// Closed reports whether nothing more happens to the run by itself.
func (s RunState) Closed() bool {
	return s == Succeeded || s == Failed || s == Cancelled || s == Skipped
}

// RunPhase is the last durable fact of a run (DLV-32).
type RunPhase string

// The phases, in order.
const (
	PhaseNew        RunPhase = "new"
	PhasePinned     RunPhase = "pinned"
	PhasePrepared   RunPhase = "prepared"
	PhaseCommitting RunPhase = "committing"
	PhaseCommitted  RunPhase = "committed"
	PhasePublished  RunPhase = "published"
	PhaseBooked     RunPhase = "booked"
)

// AtLeast reports whether p is other or comes after it.
func (p RunPhase) AtLeast(other RunPhase) bool {
	order := []RunPhase{PhaseNew, PhasePinned, PhasePrepared, PhaseCommitting, PhaseCommitted, PhasePublished, PhaseBooked}
	return slices.Index(order, p) >= slices.Index(order, other)
}

// Cause is why a run failed or waits: a code of MON-16 or DLV-34, a text with the fix, the other side's request id.
type Cause struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	RequestID string `json:"requestId,omitempty"`
}

// CauseEvaluating is why a queued run waits: its audience is evaluated first.
const CauseEvaluating = "evaluating"

// The cause codes of runs (MON-16, DLV-34).
const (
	FailAuth      = "DEST-FAIL-AUTH"
	FailForbidden = "DEST-FAIL-FORBIDDEN"
	FailNotFound  = "DEST-FAIL-NOTFOUND"
	FailNetwork   = "DEST-FAIL-NETWORK"
	FailThrottled = "DEST-FAIL-THROTTLED"
	FailQuota     = "DEST-FAIL-QUOTA"
	FailSource    = "DEST-FAIL-SOURCE"
	FailInternal  = "DEST-FAIL-INTERNAL"
	FailConflict  = "DEST-FAIL-CONFLICT"
	FailIntegrity = "DEST-FAIL-INTEGRITY"
	FailRow       = "DEST-FAIL-ROW"
	FailLost      = "DEST-FAIL-LOST"
	FailTimeline  = "DEST-FAIL-TIMELINE"
	FailEncrypt   = "DEST-FAIL-ENCRYPT"
)

// Counts are the books of a run, in profiles except Rows (MON-08); of datasets in records.
type Counts struct {
	Received          int64 `json:"received"`  // members at the pinned generation
	Activated         int64 `json:"activated"` // profiles written
	Rows              int64 `json:"rows"`
	ExcludedMandatory int64 `json:"excludedMandatory"`
	ExcludedIdentity  int64 `json:"excludedIdentity"`
	ExcludedConsent   int64 `json:"excludedConsent"`       // so far who opted out of everything (DEST-EXCL-OPTOUT)
	ExcludedOld       int64 `json:"excludedOld,omitempty"` // of datasets: events that are too old (DSX-22)
	Failed            int64 `json:"failed"`
	Deduplicated      int64 `json:"deduplicated"`
}

// Excluded is the number of profiles left out for missing values or consent.
func (c Counts) Excluded() int64 {
	return c.ExcludedMandatory + c.ExcludedIdentity + c.ExcludedConsent + c.ExcludedOld
}

// Balance fails if the books do not balance (INV-15). expectedRows is the number of values of the
// mapped namespace over the written profiles, one a profile if none is mapped.
func (c Counts) Balance(expectedRows int64) error {
	if c.Received != c.Activated+c.Excluded()+c.Failed+c.Deduplicated {
		return &Error{Kind: Internal, Code: FailInternal, Msg: fmt.Sprintf("the books do not balance: %d profiles received, but %d written + %d excluded + %d failed + %d deduplicated",
			c.Received, c.Activated, c.Excluded(), c.Failed, c.Deduplicated)}
	}
	if c.Rows != expectedRows {
		return &Error{Kind: Internal, Code: FailInternal, Msg: fmt.Sprintf("the books do not balance: %d rows written, %d expected", c.Rows, expectedRows)}
	}
	return nil
}

// Warnings counts, by code, what was written although it will surprise somebody (MON-16).
type Warnings map[string]int64

// Add counts further values.
func (w Warnings) Add(code string, n int64) {
	if n > 0 {
		w[code] += n
	}
}

// WarnExpression counts values of calculated fields that are null because working them out failed (CAL-09).
const WarnExpression = "DEST-WARN-EXPR"

// WarnField counts rows in which a mapped field is null because it is not there any more (MAP-14).
const WarnField = "DEST-WARN-FIELD"

// WarnDelimiter counts values that hold the delimiter or a line break with no quote character to protect them (FMT-12).
const WarnDelimiter = "DEST-WARN-DELIM"

// File is one exported file (DLV-20). Paths are relative to the container.
type File struct {
	Index  int    `json:"file"`
	Staged string `json:"staged"`
	Path   string `json:"final"`
	Rows   int64  `json:"rows"`
	Bytes  int64  `json:"size"`
	CRC64  string `json:"crc64"`  // of the stored bytes, 16 hex digits
	SHA256 string `json:"sha256"` // of the stored bytes, hex; empty in a folder whose export was not asked for it
	ETag   string `json:"etag"`
	// Recipients are the fingerprints of the keys that the file is encrypted to.
	Recipients []string `json:"recipients"`
	// Success says that the file is the empty success file; no manifest lists it.
	Success bool `json:"success,omitempty"`
	// State is how far the file is: staged, published, superseded or consumed (DLV-62, DLV-65).
	State FileState `json:"-"`
}

// FileState is how far one file of a run is.
type FileState string

// The states of a file.
const (
	FileStaged     FileState = "staged"
	FilePublished  FileState = "published"
	FileSuperseded FileState = "superseded"
	FileConsumed   FileState = "consumed"
)

// Run is one execution of one item for one slot (OBJ-06).
type Run struct {
	ID             RunID      `json:"id"`
	Sandbox        string     `json:"sandbox"`
	DataflowID     DataflowID `json:"dataflowId"`
	Item           string     `json:"item"` // the audience id, or DatasetsItem
	Slot           string     `json:"slot"`
	State          RunState   `json:"state"`
	Phase          RunPhase   `json:"phase"`
	Attempt        int        `json:"attempt"`
	Nonce          string     `json:"-"`
	Rev            int        `json:"rev"`
	FromGeneration *int64     `json:"fromGeneration"` // nil for a full run
	ToGeneration   int64      `json:"toGeneration"`
	// Windows are those of the datasets of a run that exports such.
	Windows     []DatasetWindow `json:"windows,omitempty"`
	ScheduledAt time.Time       `json:"scheduledAt"`
	GeneratedAt *time.Time      `json:"generatedAt,omitempty"`
	NotBefore   *time.Time      `json:"notBefore,omitempty"`
	Task        TaskID          `json:"evaluation,omitempty"` // that the run waits for, "" for none
	CreatedAt   time.Time       `json:"createdAt"`
	StartedAt   *time.Time      `json:"startedAt,omitempty"`
	EndedAt     *time.Time      `json:"endedAt,omitempty"`
	Cause       *Cause          `json:"cause,omitempty"`
	Counts      Counts          `json:"counts"`
	Warnings    Warnings        `json:"warnings,omitempty"`
	Manifest    string          `json:"manifest,omitempty"` // path in the container
	Files       []File          `json:"files"`
	Owed        bool            `json:"tombstoneOwed,omitempty"` // failed, not yet closed at the destination (DLV-83)
	Plan        *Plan           `json:"-"`
}

// NewRun is a queued run of one item of a dataflow for one slot.
func NewRun(d Dataflow, item, slot string, scheduled, created time.Time) Run {
	return Run{ID: NewRunID(d.ID, item, slot), Sandbox: d.Sandbox, DataflowID: d.ID, Item: item, Slot: slot, State: Queued, Phase: PhaseNew, Attempt: 1, Rev: d.Rev,
		ScheduledAt: scheduled, CreatedAt: created}
}

// Skip closes a run that will not be worked on, with the reason.
func (r *Run) Skip(at time.Time, code, message string) {
	r.State, r.EndedAt, r.Cause = Skipped, &at, &Cause{Code: code, Message: message}
}

// Why runs are skipped (DLV-32).
const (
	SkipMissed    = "missed"
	SkipPaused    = "paused"
	SkipCollapsed = "collapsed"
	SkipRemoved   = "removed" // the audience was taken out of the dataflow
)

// Plan is the configuration that a run pinned: later edits apply to later runs (S0, P).
type Plan struct {
	Dataflow    Dataflow    `json:"dataflow"`
	Destination Destination `json:"destination"`
	Location    string      `json:"url"`
	Audience    Audience    `json:"audience"`
	Folder      string      `json:"folder"` // resolved
	Stem        string      `json:"stem"`   // of the file names
	Hash        string      `json:"generationHash"`
	Mode        Mode        `json:"mode,omitempty"`
	// Keys are what the files are encrypted to; none leaves them plain.
	Keys []EncryptionKey `json:"encryptionKeys,omitempty"`
	// Datasets are what a run of datasets exports, instead of the audience.
	Datasets []PlannedDataset `json:"datasets,omitempty"`
	Run      RunID            `json:"run,omitempty"` // of such a run: its file names are made of it
}

// Incremental reports whether runs of an item by its schedule export what changed.
func (p Plan) Incremental(item string) bool {
	it, ok := p.Dataflow.Item(AudienceID(item))
	return ok && it.Schedule.Mode == IncrementalExport
}

// Fingerprints names the keys of the run's files.
func (p Plan) Fingerprints() []string {
	var out []string
	for _, k := range p.Keys {
		out = append(out, k.Fingerprint)
	}
	return out
}

// Extension is what a data file's name ends in.
func (p Plan) Extension() string {
	if len(p.Keys) > 0 {
		return p.Destination.Extension() + EncryptedSuffix
	}
	return p.Destination.Extension()
}

// FilePath is the final path of part k of the run.
func (p Plan) FilePath(k int) string {
	if p.Datasets != nil {
		return p.datasetPath(k)
	}
	return join(p.Folder, PartName(p.Stem, k, p.Extension()))
}

// successName is the file that readers of the Hadoop family wait for.
const successName = "_SUCCESS"

// SuccessPath is the final path of the run's success file, "" if there is none. It is the last of the run's files.
func (p Plan) SuccessPath() string {
	if !p.Destination.SuccessFile {
		return ""
	}
	return join(p.Folder, successName)
}

// ManifestPath is the final path of the run's manifest, "" if there is none (DLV-18).
func (p Plan) ManifestPath(run RunID) string {
	if !p.Destination.Manifest {
		return ""
	}
	folder := p.Folder
	if p.Datasets != nil {
		folder = p.datasetFolder()
	}
	return join(folder, ManifestName(p.Dataflow.ID, run))
}

func join(folder, name string) string {
	if folder == "" {
		return name
	}
	return folder + "/" + name
}
