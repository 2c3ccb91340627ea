// Package together does pieces of work at the same time: several at once, one beside its caller, or one after the other
// behind him.
//
// It knows nothing of the work. The one thing to know: a panic in any of it is an error of that work (DLV-46), and
// nothing goes on once its user has waited for it.
package together

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/lakeward/lakeward"
)

// most bounds what is done at once.
const most = 8

// Each calls do for 0 to n-1, several at the same time. Behind an error nothing new is begun; of several the first
// in order is returned.
func Each(n int, do func(i int) error) error {
	errs := make([]error, n)
	var next atomic.Int64
	var failed atomic.Bool
	var wg sync.WaitGroup
	for range min(n, runtime.GOMAXPROCS(0), most) {
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

// Task is a piece of work that goes on beside its caller, who waits for it before the next one begins.
type Task struct{ done chan error }

// Start begins the work.
func (t *Task) Start(work func() error) {
	done := make(chan error, 1)
	t.done = done
	go func() { done <- rescued(work) }()
}

// Wait returns the error of the work, once; nil if there is none on its way.
func (t *Task) Wait() error {
	if t.done == nil {
		return nil
	}
	err := <-t.done
	t.done = nil
	return err
}

// Belt carries pieces to a goroutine of its own, which works on them one after the other, and back to be used again. Its
// user takes a free piece, fills it and gives it away.
type Belt[T any] struct {
	full, free chan T
	ended      chan struct{} // closed when the goroutine has ended
	broken     chan struct{} // closed at the first error, which is err
	err        error
	stopped    bool
}

// NewBelt starts a belt with free pieces; its user may bring one of his own. After an error of the work, pieces come back
// without it. Stop must be called.
func NewBelt[T any](work func(T) error, pieces ...T) *Belt[T] {
	b := &Belt[T]{full: make(chan T, len(pieces)+1), free: make(chan T, len(pieces)+1), ended: make(chan struct{}), broken: make(chan struct{})}
	for _, p := range pieces {
		b.free <- p
	}
	go b.run(work)
	return b
}

func (b *Belt[T]) run(work func(T) error) {
	defer close(b.ended)
	for p := range b.full {
		if b.err == nil {
			if err := rescued(func() error { return work(p) }); err != nil {
				b.err = err
				close(b.broken)
			}
		}
		b.free <- p // never waits: there are as many places as pieces
	}
}

// Take returns a free piece, once there is one.
func (b *Belt[T]) Take() T { return <-b.free }

// Give gives a piece away. It never waits.
func (b *Belt[T]) Give(p T) { b.full <- p }

// Err is the error of the work, if it has failed so far.
func (b *Belt[T]) Err() error {
	select {
	case <-b.broken:
		return b.err
	default:
		return nil
	}
}

// Stopped reports whether the belt was stopped.
func (b *Belt[T]) Stopped() bool { return b.stopped }

// Stop ends the goroutine and returns the error of the work; what was given away is done then, or will never be.
func (b *Belt[T]) Stop() error {
	if !b.stopped {
		b.stopped = true
		close(b.full)
		<-b.ended
	}
	return b.err
}
