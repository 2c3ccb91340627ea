package parquet

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/lakeward/lakeward"
)

// besideCells is the number of values from which on columns are worked on side by side.
const besideCells = 8192

// beside calls do with 0 to n-1, several at a time if there are cells enough to make that worth it, and returns the
// error of the lowest number that has one.
func beside(n, cells int, do func(i int) error) error {
	workers := min(n, runtime.GOMAXPROCS(0))
	if workers < 2 || cells < besideCells {
		for i := range n {
			if err := do(i); err != nil {
				return err
			}
		}
		return nil
	}
	errs, next := make([]error, n), atomic.Int64{}
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				errs[i] = rescued(do, int(i))
			}
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func rescued(do func(i int) error, i int) (err error) {
	defer lakeward.Rescue(&err)
	return do(i)
}
