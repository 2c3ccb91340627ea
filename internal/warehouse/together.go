package warehouse

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/lakeward/lakeward"
)

// together calls do for 0 to n-1, several at the same time. Behind an error nothing new is begun; of several the first
// in order is returned.
func together(n int, do func(i int) error) error {
	errs := make([]error, n)
	var next atomic.Int64
	var failed atomic.Bool
	var wg sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0), 8) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && !failed.Load(); i = int(next.Add(1)) - 1 {
				if errs[i] = rescued(func() error { return do(i) }); errs[i] != nil {
					failed.Store(true)
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// rescued is for work in a goroutine of its own.
func rescued(work func() error) (err error) {
	defer lakeward.Rescue(&err)
	return work()
}
