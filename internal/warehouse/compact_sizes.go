package warehouse

import (
	"cmp"
	"slices"
)

// mergeSizes says which profile files are worth merging, and how large they become.
type mergeSizes struct {
	base   int64 // rows of a file, at most; one with less than half of them live is small
	small  int   // as many small files are merged
	inputs int   // files that are read at the same time, at most: they bound the memory
	stale  int64 // superseded rows that do not matter, whatever their share is
}

func defaultSizes() mergeSizes {
	return mergeSizes{base: 1_000_000, small: 20, inputs: 32, stale: 8192}
}

// fileSize is the number of rows of a file, and of those that no newer file supersedes.
type fileSize struct{ rows, live int64 }

func (f fileSize) dead() int64 { return f.rows - f.live }

// choose returns the indexes of the files to merge now, none if nothing is due: when there are too many small
// files, small ones; when a quarter of all rows is superseded, the files that hold most of these. With all it is
// every file that is small or holds a superseded row. What is left is due at the next call.
func (z mergeSizes) choose(files []fileSize, all bool) []int {
	var rows, dead int64
	var small []int
	for i, f := range files {
		rows, dead = rows+f.rows, dead+f.dead()
		if f.live < z.base/2 {
			small = append(small, i)
		}
	}
	crowded, stale := len(small) >= z.small, dead >= z.stale && 4*dead >= rows
	if !crowded && !stale && !all {
		return nil
	}
	var chosen []int
	if stale || all {
		chosen = z.superseded(files, all)
	}
	chosen = z.addSmall(files, small, chosen, all)
	if len(chosen) == 1 && files[chosen[0]].dead() == 0 {
		return nil
	}
	return chosen
}

// superseded picks the files with the greatest shares of superseded rows. At least an eighth makes it worth
// while: to be rid of one row it costs at most seven.
func (z mergeSizes) superseded(files []fileSize, all bool) []int {
	var out []int
	for i, f := range files {
		if f.dead() > 0 && (all || 8*f.dead() >= f.rows) {
			out = append(out, i)
		}
	}
	slices.SortFunc(out, func(a, b int) int {
		return cmp.Or(cmp.Compare(files[b].dead()*files[a].rows, files[a].dead()*files[b].rows), cmp.Compare(a, b))
	})
	return out[:min(len(out), z.inputs)]
}

// addSmall adds small files, the smallest first, while the next one is not much larger than all before it
// together: so each time a row is written again its file grows by half, and a row is written again a bounded number
// of times however many batches come. If that gives too few, the next larger ones are added too.
func (z mergeSizes) addSmall(files []fileSize, small, chosen []int, all bool) []int {
	var sum int64
	for _, i := range chosen {
		sum += files[i].live
	}
	slices.SortStableFunc(small, func(a, b int) int { return cmp.Compare(files[a].live, files[b].live) })
	for _, i := range small {
		if slices.Contains(chosen, i) {
			continue
		}
		enough := !all && len(chosen) >= z.small/2 && files[i].live > 2*sum
		if enough || len(chosen) == z.inputs {
			break
		}
		chosen, sum = append(chosen, i), sum+files[i].live
	}
	return chosen
}
