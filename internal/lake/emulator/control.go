package emulator

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// rule is a fault as the control port takes it (ADL-118).
type rule struct {
	ID         int    `json:"id"`
	Operation  string `json:"operation,omitempty"` // as the request log names it; "" matches any
	Path       string `json:"path,omitempty"`      // part of the path; "" matches any
	Nth        int    `json:"nth,omitempty"`       // 0 is every match
	Effect     Effect `json:"effect"`
	Status     int    `json:"status,omitempty"`
	Error      string `json:"error,omitempty"`
	RetryAfter string `json:"retryAfter,omitempty"`
	DelayMs    int    `json:"delayMs,omitempty"`
	Bytes      int    `json:"bytes,omitempty"`
	Hits       int    `json:"hits"`
}

// controlHandler serves the control port: faults, roles and the request log of a test lake.
func (s *Server) controlHandler() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("GET /faults", func(w http.ResponseWriter, _ *http.Request) { s.json(w, http.StatusOK, s.rules()) })
	m.HandleFunc("POST /faults", s.addRule)
	m.HandleFunc("DELETE /faults", func(w http.ResponseWriter, _ *http.Request) { s.disarm(0); w.WriteHeader(http.StatusNoContent) })
	m.HandleFunc("DELETE /faults/{id}", func(w http.ResponseWriter, r *http.Request) {
		id, err := strconv.Atoi(r.PathValue("id"))
		if err != nil || id == 0 || !s.disarm(id) {
			http.Error(w, "there is no such fault", http.StatusNotFound)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	m.HandleFunc("PUT /roles", s.putRole)
	m.HandleFunc("POST /requests", func(w http.ResponseWriter, _ *http.Request) { s.Record(); w.WriteHeader(http.StatusNoContent) })
	m.HandleFunc("GET /requests", func(w http.ResponseWriter, _ *http.Request) { s.json(w, http.StatusOK, s.Requests()) })
	return http.MaxBytesHandler(m, 64<<10)
}

func (s *Server) addRule(w http.ResponseWriter, r *http.Request) {
	var x rule
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(&x); err != nil {
		http.Error(w, "the body must be one JSON object: operation, path, nth, effect, status, error, retryAfter, delayMs, bytes", http.StatusBadRequest)
		return
	}
	if why := x.problem(); why != "" {
		http.Error(w, why, http.StatusBadRequest)
		return
	}
	a := s.faults.arm(Fault{Op: x.Operation, Path: x.Path, Nth: x.Nth, Do: x.Effect, Code: x.Status, Error: x.Error, After: x.RetryAfter,
		Delay: time.Duration(x.DelayMs) * time.Millisecond, Bytes: x.Bytes})
	x.ID = a.id
	s.json(w, http.StatusCreated, x)
}

// problem says why a rule cannot work; "" if it can.
func (x rule) problem() string {
	switch x.Effect {
	case Status, StatusAfter:
		if x.Status < 400 || x.Status > 599 {
			return "status must lie between 400 and 599"
		}
	case Hang, Delayed:
		if x.DelayMs <= 0 {
			return "delayMs must be positive"
		}
	case Throttle:
		if x.Bytes <= 0 {
			return "bytes, the speed in bytes per second, must be positive"
		}
	case DropBefore, DropAfter, FlipBit, CutAnswer, GarbageAnswer, ResetAt, Lie:
	default:
		return "effect must be one of status, status-after, drop-before, drop-after, hang, delay, reset-at, throttle, flip-bit, cut-answer, garbage-answer, lie"
	}
	return ""
}

func (s *Server) rules() []rule {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	out := []rule{}
	for _, a := range s.faults.faults {
		out = append(out, rule{ID: a.id, Operation: a.Op, Path: a.Path, Nth: a.Nth, Effect: a.Do, Status: a.Code, Error: a.Error, RetryAfter: a.After,
			DelayMs: int(a.Delay / time.Millisecond), Bytes: a.Bytes, Hits: a.hits})
	}
	return out
}

// disarm removes a fault, or all for 0; false if there is none.
func (s *Server) disarm(id int) bool {
	s.faults.mu.Lock()
	defer s.faults.mu.Unlock()
	kept := s.faults.faults[:0:0]
	for _, a := range s.faults.faults {
		if id != 0 && a.id != id {
			kept = append(kept, a)
		}
	}
	found := len(kept) < len(s.faults.faults)
	s.faults.faults = kept
	return found
}

// putRole gives the first client a role (ADL-117).
func (s *Server) putRole(w http.ResponseWriter, r *http.Request) {
	var x struct{ Account, Container, Role string }
	if json.NewDecoder(r.Body).Decode(&x) != nil || x.Account == "" || x.Container == "" || !knownRole(x.Role) {
		http.Error(w, "account, container (or container/folder) and role are needed; the roles are none, reader, contributor, owner and firewall", http.StatusBadRequest)
		return
	}
	s.SetRole(x.Account, x.Container, x.Role)
	w.WriteHeader(http.StatusNoContent)
}
