package deliver

import (
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/lakeward/lakeward"
)

// system is the folder <sys> of a dataflow (delivery.md 4.2).
func system(base string, flow lakeward.DataflowID) string {
	return path.Join(base, lakeward.ReservedFolder, string(flow))
}

// SlotPath is where the slot record of a run lies.
func SlotPath(base string, flow lakeward.DataflowID, run lakeward.RunID) string {
	return path.Join(system(base, flow), "slots", string(run)[:2], string(run)+".slot")
}

// stagingRun is the folder of all attempts of a run, stagingAttempt that of one.
func stagingRun(base string, r *lakeward.Run) string {
	return path.Join(system(base, r.DataflowID), "staging", string(r.ID))
}

func stagingAttempt(base string, r *lakeward.Run) string {
	return path.Join(stagingRun(base, r), strconv.Itoa(r.Attempt)+"-"+r.Nonce[:8])
}

// draft is the name of one try of something staged: a file's number, slot or manifest.
func draft(base string, r *lakeward.Run, what string, try int) string {
	return path.Join(stagingAttempt(base, r), fmt.Sprintf("%s-%d.tmp", what, try))
}

// The names of drafts that are no data files.
const (
	slotDraft     = "slot"
	manifestDraft = "manifest"
)

func fileDraft(index int) string { return fmt.Sprintf("%05d", index) }

// marker are the properties of every object that a run makes (DLV-13).
func marker(r *lakeward.Run, what string) map[string]string {
	return map[string]string{"lwv": "1", "lwrun": string(r.ID), "lwflow": string(r.DataflowID), "lwitem": r.Item, "lwattempt": strconv.Itoa(r.Attempt),
		"lwnonce": r.Nonce, "lwfile": what, "lworder": order(r)}
}

// order is text that sorts the runs of one flow and item (DLV-13).
func order(r *lakeward.Run) string {
	generated := int64(0)
	if r.GeneratedAt != nil {
		generated = r.GeneratedAt.Unix()
	}
	return fmt.Sprintf("%06d-%012d-%010d", 0, r.ToGeneration, generated)
}

// author reports whether properties prove that an object is the one staged at a path for a run: run
// and file are equal and the nonce is that of the staging folder, which may be an older attempt's (DLV-56, DLV-61).
func author(props map[string]string, run lakeward.RunID, what, staged string) bool {
	attempt, _, _ := strings.Cut(path.Base(path.Dir(staged)), "/")
	_, nonce8, _ := strings.Cut(attempt, "-")
	return props["lwrun"] == string(run) && props["lwfile"] == what && nonce8 != "" && strings.HasPrefix(props["lwnonce"], nonce8)
}
