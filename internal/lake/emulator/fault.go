package emulator

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Fault is something that goes wrong on demand: on the n-th request that matches (ADL-118).
type Fault struct {
	Op     string           // operation of the request; "" matches any
	Path   string           // substring of its path; "" matches any
	Match  func(Entry) bool // further condition; nil matches any
	Nth    int              // 1 is the first match; 0 is every match
	Do     Effect
	Code   int             // status of Status and StatusAfter
	Error  string          // error code beside it
	After  string          // Retry-After
	Until  <-chan struct{} // of Hold
	Struck func()          // called when the fault strikes; nil is nothing
	Delay  time.Duration   // of Delay and Hang
	Bytes  int             // of ResetAt: how many are read; of Throttle: per second
}

// Effect is what a fault does.
type Effect string

// The effects.
const (
	Status        Effect = "status"         // answers Code instead of doing anything
	StatusAfter   Effect = "status-after"   // does it, then answers Code
	DropBefore    Effect = "drop-before"    // cuts the connection, nothing happened
	DropAfter     Effect = "drop-after"     // does it, then cuts the connection
	Hang          Effect = "hang"           // does nothing for Delay, then cuts the connection
	Delayed       Effect = "delay"          // waits, then goes on
	Hold          Effect = "hold"           // waits for Until, then goes on, also when the client has gone
	FlipBit       Effect = "flip-bit"       // damages one bit of the request's body
	CutAnswer     Effect = "cut-answer"     // sends half of the answer's headers' body, then cuts
	GarbageAnswer Effect = "garbage-answer" // does it, then answers something else
	Lie           Effect = "lie"            // answers that it was done, and does nothing
	ResetAt       Effect = "reset-at"       // reads Bytes of the request's body, then cuts the connection; nothing happened
	Throttle      Effect = "throttle"       // lets the request's body and the answer pass at Bytes per second
)

// faultTable holds the faults that are armed.
type faultTable struct {
	mu     sync.Mutex
	faults []*armed
	last   int // id
}

type armed struct {
	Fault
	id   int
	seen int
	hits int
}

func (t *faultTable) arm(f Fault) *armed {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last++
	a := &armed{Fault: f, id: t.last}
	t.faults = append(t.faults, a)
	return a
}

// Arm adds a fault. The returned function reports how often it struck, and disarms it.
func (s *Server) Arm(f Fault) (disarm func() int) {
	a := s.faults.arm(f)
	return func() int {
		s.faults.mu.Lock()
		defer s.faults.mu.Unlock()
		for i, have := range s.faults.faults {
			if have == a {
				s.faults.faults = append(s.faults.faults[:i:i], s.faults.faults[i+1:]...)
			}
		}
		return a.hits
	}
}

func (t *faultTable) match(e Entry) *Fault {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, a := range t.faults {
		if a.Op != "" && a.Op != e.Op || !strings.Contains(e.Path, a.Path) || a.Match != nil && !a.Match(e) {
			continue
		}
		a.seen++
		if a.Nth == 0 || a.seen == a.Nth {
			a.hits++
			return &a.Fault
		}
	}
	return nil
}

// around serves a request with the fault that matches it, if any.
func (t *faultTable) around(w http.ResponseWriter, r *http.Request, e *Entry, serve http.HandlerFunc) {
	rec := &recorder{ResponseWriter: w, entry: e}
	f := t.match(*e)
	if f == nil {
		serve(rec, r)
		return
	}
	e.Fault = string(f.Do)
	if f.Struck != nil {
		f.Struck()
	}
	switch f.Do {
	case Hold:
		<-f.Until
		serve(rec, r)
	case Status:
		f.answer(rec, r)
	case StatusAfter:
		serve(newShadow(), r)
		f.answer(rec, r)
	case DropBefore:
		panic(http.ErrAbortHandler)
	case DropAfter:
		serve(newShadow(), r)
		panic(http.ErrAbortHandler)
	case Hang:
		wait(r, f.Delay)
		panic(http.ErrAbortHandler)
	case Delayed:
		wait(r, f.Delay)
		serve(rec, r)
	case Lie:
		_, _ = io.Copy(io.Discard, r.Body)
		rec.Header().Set("ETag", `"0x8FFFFFFFFFFFFFF"`)
		rec.WriteHeader(done(e.Op))
	case ResetAt:
		_, _ = io.CopyN(io.Discard, r.Body, int64(f.Bytes))
		panic(http.ErrAbortHandler)
	case Throttle:
		r.Body = &slow{ReadCloser: r.Body, perSecond: f.Bytes}
		serve(&slowAnswer{rec, f.Bytes}, r)
	case FlipBit:
		r.Body = &flipper{ReadCloser: r.Body}
		serve(rec, r)
	case CutAnswer:
		answer := newShadow()
		serve(answer, r)
		cut(w, answer)
	case GarbageAnswer:
		serve(newShadow(), r)
		rec.WriteHeader(http.StatusNonAuthoritativeInfo)
		_, _ = io.WriteString(rec, "<html>")
	}
}

func (f *Fault) answer(w http.ResponseWriter, r *http.Request) {
	if f.After != "" {
		w.Header().Set("Retry-After", f.After)
	}
	code := f.Error
	if code == "" {
		code = map[int]string{429: "ServerBusy", 503: "ServerBusy", 500: "InternalError"}[f.Code]
	}
	a := errorAnswer(refuse(code), &request{Request: r, id: "fault"}, r.Method == http.MethodHead)
	for k, v := range a.header {
		w.Header()[k] = v
	}
	w.Header().Set("x-ms-request-id", "fault")
	w.WriteHeader(f.Code)
	_, _ = w.Write(a.body)
}

// done is the status that says that an operation was done.
func done(op string) int {
	switch op {
	case "append":
		return http.StatusAccepted
	case "create", "create-dir", "rename":
		return http.StatusCreated
	}
	return http.StatusOK
}

// cut sends the headers of an answer that promises more than it holds.
func cut(w http.ResponseWriter, answer *shadow) {
	for k, v := range answer.header {
		w.Header()[k] = v
	}
	body := answer.body
	w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(answer.status)
	_, _ = w.Write(body[:len(body)/2])
	panic(http.ErrAbortHandler)
}

func wait(r *http.Request, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.Context().Done():
	}
}

// shadow takes an answer that the client does not get, or not whole.
type shadow struct {
	header http.Header
	status int
	body   []byte
}

func newShadow() *shadow { return &shadow{header: http.Header{}, status: http.StatusOK} }

func (s *shadow) Header() http.Header    { return s.header }
func (s *shadow) WriteHeader(status int) { s.status = status }
func (s *shadow) Write(b []byte) (int, error) {
	s.body = append(s.body, b...)
	return len(b), nil
}

// slow lets a body pass at a speed.
type slow struct {
	io.ReadCloser
	perSecond int
}

func (s *slow) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p[:min(len(p), s.perSecond)])
	time.Sleep(time.Duration(n) * time.Second / time.Duration(s.perSecond))
	return n, err
}

// slowAnswer lets an answer pass at a speed.
type slowAnswer struct {
	http.ResponseWriter
	perSecond int
}

func (s *slowAnswer) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		n, err := s.ResponseWriter.Write(p[done:min(len(p), done+s.perSecond)])
		done += n
		if err != nil {
			return done, err
		}
		_ = http.NewResponseController(s.ResponseWriter).Flush()
		time.Sleep(time.Duration(n) * time.Second / time.Duration(s.perSecond))
	}
	return done, nil
}

// flipper damages the first bit that it reads.
type flipper struct {
	io.ReadCloser
	done bool
}

func (f *flipper) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	if n > 0 && !f.done {
		p[0] ^= 1
		f.done = true
	}
	return n, err
}

// recorder notes the status of an answer.
type recorder struct {
	http.ResponseWriter
	entry *Entry
}

// Unwrap lets a response controller find the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) WriteHeader(status int) {
	r.entry.Status = status
	r.ResponseWriter.WriteHeader(status)
}

// Entry is one request in the log (ADL-119).
type Entry struct {
	Op, Method, Path, Query string
	IfMatch, IfNoneMatch    string
	SourceIfMatch, Source   string
	Position                string
	Status                  int
	Bytes                   int64 // of the request's body
	Fault                   string
	Started                 time.Time
}

// requestLog keeps every request, in the order of arrival, while recording is on.
type requestLog struct {
	mu      sync.Mutex
	on      bool
	entries []*Entry
}

func (l *requestLog) begin(r *http.Request, op, path string) *Entry {
	return &Entry{Op: op, Method: r.Method, Path: path, Query: r.URL.RawQuery, IfMatch: r.Header.Get("If-Match"), IfNoneMatch: r.Header.Get("If-None-Match"),
		SourceIfMatch: r.Header.Get("x-ms-source-if-match"), Source: r.Header.Get("x-ms-rename-source"), Position: r.URL.Query().Get("position"),
		Bytes: max(r.ContentLength, 0), Started: time.Now()}
}

func (l *requestLog) end(e *Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.on {
		l.entries = append(l.entries, e)
	}
}

// Record starts a new request log.
func (s *Server) Record() {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	s.log.on, s.log.entries = true, nil
}

// Requests returns a copy of the request log.
func (s *Server) Requests() []Entry {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	var out []Entry
	for _, e := range s.log.entries {
		out = append(out, *e)
	}
	return out
}
