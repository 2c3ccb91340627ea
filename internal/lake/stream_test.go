package lake_test

import (
	"io"
	"os"
	"runtime"
	"testing"
	"time"
)

// zeros is a stream that costs nothing to make.
type zeros struct{ left int64 }

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), z.left)
	z.left -= n
	return int(n), nil
}

// ADL-62, ADL-66: a stream of any length needs the same memory: the blocks double, and there are fewer of them.
// With LAKEWARD_TEST_FULL it is 200 GiB with the usual blocks, else 1 GiB with small ones.
func TestLongStream(t *testing.T) {
	size, block, most := int64(1<<30), 64<<10, uint64(24<<20)
	if os.Getenv("LAKEWARD_TEST_FULL") != "" {
		size, block, most = 200<<30, 8<<20, 320<<20
	}
	e := startSink(t, 0)
	cfg := sinkConfig(e)
	cfg.Block = block
	c := client(t, cfg)
	if err := c.Create(t.Context(), "long", nil); err != nil {
		t.Fatal(err)
	}
	runtime.GC() // what earlier tests left does not count
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	stop, peak := make(chan struct{}), make(chan uint64)
	go func() { peak <- watchHeap(stop) }()
	began := time.Now()
	up, err := c.Upload(t.Context(), "long", func(w io.Writer) error {
		_, err := io.CopyBuffer(struct{ io.Writer }{w}, &zeros{size}, make([]byte, 1<<20))
		return err
	})
	took := time.Since(began)
	close(stop)
	heap := max(<-peak, before.HeapInuse) - before.HeapInuse
	if err != nil || up.Size != size {
		t.Fatalf("Upload: %+v, %v", up, err)
	}
	if o, err := c.Status(t.Context(), "long"); err != nil || o.Size != size {
		t.Errorf("Status: %+v, %v", o, err)
	}
	t.Logf("%d GiB in %s, %.0f MB/s, heap at most %d MiB", size>>30, took.Round(time.Second), float64(size)/took.Seconds()/1e6, heap>>20)
	if heap > most {
		t.Errorf("the heap grew to %d MiB, want at most %d", heap>>20, most>>20)
	}
}

// watchHeap returns the most that the heap held.
func watchHeap(stop <-chan struct{}) uint64 {
	var most uint64
	for {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapInuse)
		select {
		case <-stop:
			return most
		case <-time.After(20 * time.Millisecond):
		}
	}
}
