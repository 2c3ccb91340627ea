package checker

import (
	"errors"
	"fmt"
	"strings"

	"github.com/lakeward/lakeward/internal/lake/emulator"
)

// kind is what a path is in the layout of a delivery.
func kind(p string) string {
	switch {
	case strings.Contains(p, "/staging/"):
		return "staged"
	case strings.HasSuffix(p, ".slot"):
		return "slot"
	case strings.HasSuffix(p, ".list"):
		return "list"
	case strings.Contains(p, "/manifest-") || strings.HasPrefix(p, "manifest-"):
		return "manifest"
	}
	return "final"
}

// Requests holds the requests of one run, in the order in which the lake served them, against what must
// precede what: nothing under a final name before the slot record, the manifest after all files, nothing
// removed before the manifest; and every write pinned (INV-07, DLV-04). CopyOnce lifts the first.
func Requests(log []emulator.Entry, copyOnce bool) error {
	var err error
	committed, manifest := false, false
	for _, e := range log {
		k := kind(e.Path)
		done := e.Status >= 200 && e.Status < 300 && e.Fault != string(emulator.Lie) || e.Fault == string(emulator.DropAfter) || e.Fault == string(emulator.StatusAfter) || e.Fault == string(emulator.GarbageAnswer)
		write := e.Op == "create" || e.Op == "create-dir" || e.Op == "rename"
		if write && e.IfNoneMatch != "*" && e.IfMatch == "" {
			err = errors.Join(err, fmt.Errorf("INV-07: %s of %s is not pinned", e.Op, e.Path))
		}
		if e.Op == "rename" && e.SourceIfMatch == "" {
			err = errors.Join(err, fmt.Errorf("DLV-79: the source of the rename to %s is not pinned", e.Path))
		}
		switch {
		case !done:
		case write && k == "slot":
			committed = true
		case write && k == "final" && e.Op != "create-dir" && !committed && !copyOnce:
			err = errors.Join(err, fmt.Errorf("INV-03: %s has its final name before the slot record", e.Path))
		case write && k == "final" && e.Op == "rename" && manifest:
			err = errors.Join(err, fmt.Errorf("INV-14: %s has its final name after the manifest", e.Path))
		case write && k == "manifest" && !committed:
			err = errors.Join(err, fmt.Errorf("INV-14: the manifest is there before the slot record"))
		case write && k == "manifest":
			manifest = true
		case e.Op == "delete" && k == "final" && committed:
			err = errors.Join(err, fmt.Errorf("DLV-112: %s was deleted after the commit", e.Path))
		case e.Op == "delete" && k != "staged" && e.IfMatch == "":
			err = errors.Join(err, fmt.Errorf("INV-07: %s was deleted", e.Path))
		case e.Op == "delete" && k == "staged" && !committed:
			err = errors.Join(err, fmt.Errorf("DLV-110: staging was removed without a slot record: %s", e.Path))
		}
	}
	return err
}
