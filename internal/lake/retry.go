package lake

import (
	"context"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Retry says how long and how often a call is sent again (DLV-72). The zero value is that of a run.
type Retry struct {
	Try    time.Duration // time limit of one try
	Tries  int           // at most; 0 for no limit
	Base   time.Duration // first wait; it doubles, with full jitter
	Cap    time.Duration // longest wait that is not asked for
	Window time.Duration // give up when nothing succeeded for that long
}

// Interactive is for checks that a person waits for (DLV-73).
func Interactive() Retry {
	return Retry{Try: 10 * time.Second, Tries: 3, Base: 200 * time.Millisecond, Cap: 2 * time.Second, Window: 30 * time.Second}
}

func (r Retry) withDefaults() Retry {
	if r.Try == 0 {
		r.Try = 60 * time.Second
	}
	if r.Base == 0 {
		r.Base = 800 * time.Millisecond
	}
	if r.Cap == 0 {
		r.Cap = 30 * time.Second
	}
	if r.Window == 0 {
		r.Window = 2 * time.Hour
	}
	return r
}

// maxRetryAfter is the longest wait that a server may ask for.
const maxRetryAfter = 300 * time.Second

// backoff is the state of one call.
type backoff struct {
	Retry
	tries   int
	started time.Time
}

func (r Retry) begin() *backoff { return &backoff{Retry: r, tries: 1, started: time.Now()} }

// wait sleeps before the next try; false when there is none.
func (b *backoff) wait(ctx context.Context, asked time.Duration) bool {
	if b.Tries > 0 && b.tries >= b.Tries {
		return false
	}
	d := rand.N(min(b.Cap, b.Base<<min(b.tries-1, 16)) + 1)
	d = max(d, asked)
	if time.Since(b.started)+d > b.Window {
		return false
	}
	b.tries++
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// retryAfter reads the Retry-After header: seconds or an HTTP date, at most 300 s; garbage is no header.
func retryAfter(res *http.Response) time.Duration {
	if res == nil {
		return 0
	}
	return parseRetryAfter(res.Header.Get("Retry-After"), time.Now())
}

func parseRetryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if n, err := strconv.ParseUint(value, 10, 31); err == nil {
		return min(time.Duration(n)*time.Second, maxRetryAfter)
	}
	if t, err := http.ParseTime(value); err == nil && t.After(now) {
		return min(t.Sub(now), maxRetryAfter)
	}
	return 0
}

// maxInFlight bounds the requests under way to one account (ADL-67).
const maxInFlight = 16

// limiter bounds the requests in flight: a refusal of load halves the bound, ten seconds without one
// raise it by one (DLV-74).
type limiter struct {
	mu      sync.Mutex
	limit   int
	most    int
	running int
	changed time.Time
	waiting []chan struct{}
}

func newLimiter(most int) *limiter { return &limiter{limit: most, most: most} }

// acquire waits for a place.
func (l *limiter) acquire(ctx context.Context) error {
	l.mu.Lock()
	l.grow(time.Now())
	if l.running < l.limit && len(l.waiting) == 0 {
		l.running++
		l.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	l.waiting = append(l.waiting, turn)
	l.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		l.mu.Lock()
		defer l.mu.Unlock()
		for i, w := range l.waiting {
			if w == turn {
				l.waiting = append(l.waiting[:i], l.waiting[i+1:]...)
				return ctx.Err()
			}
		}
		l.running-- // the turn came meanwhile; pass it on
		l.admit()
		return ctx.Err()
	}
}

// release gives the place back.
func (l *limiter) release(throttled bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if throttled && now.Sub(l.changed) > time.Second { // one storm, one halving
		l.limit, l.changed = max(1, l.limit/2), now
	}
	l.grow(now)
	l.running--
	l.admit()
}

func (l *limiter) grow(now time.Time) {
	if l.limit < l.most && now.Sub(l.changed) > 10*time.Second {
		l.limit, l.changed = l.limit+1, now
	}
}

func (l *limiter) admit() {
	for l.running < l.limit && len(l.waiting) > 0 {
		close(l.waiting[0])
		l.waiting = l.waiting[1:]
		l.running++
	}
}
