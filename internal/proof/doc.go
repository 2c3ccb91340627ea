// Package proof lets tests break the product on purpose: kill the process at a chosen point, and bring back
// a mistake that the tests must find. Both need the build tag "proof"; without it every call is empty and
// the compiler drops it.
package proof

// Bug is a mistake that was ruled out, and that a test plants to see that it would be found.
type Bug string

// The mistakes.
const (
	NoSync        Bug = "no-sync"         // a flush is answered before the bytes are on the disk
	PublishFirst  Bug = "publish-first"   // files get their final names before the slot record
	NoFence       Bug = "no-fence"        // writes to the run table do not ask whose attempt it is
	ManifestFirst Bug = "manifest-first"  // the manifest appears before the files
	ShortFlush    Bug = "short-flush"     // the flush leaves the last block out
	NoReadBack    Bug = "no-read-back"    // what was uploaded is believed
	UnclearIsDone Bug = "unclear-is-done" // an unclear rename of the slot record counts as the commit
	CleanByAge    Bug = "clean-by-age"    // staging is removed because it is old, without a proof
)

// Bugs lists the mistakes.
func Bugs() []Bug {
	return []Bug{NoSync, PublishFirst, NoFence, ManifestFirst, ShortFlush, NoReadBack, UnclearIsDone, CleanByAge}
}
