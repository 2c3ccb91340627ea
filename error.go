package lakeward

import (
	"errors"
	"fmt"
	"strings"
)

// Kind tells a caller what can be done about an error.
type Kind string

// The kinds. Only Unavailable is ever retried.
const (
	Internal        Kind = "internal"        // a bug or a broken machine
	Invalid         Kind = "invalid"         // the request is wrong; correct it
	Unauthenticated Kind = "unauthenticated" // nobody is signed in
	Denied          Kind = "denied"          // the caller lacks a permission
	NotFound        Kind = "not_found"       // no such thing, or not visible to the caller
	Conflict        Kind = "conflict"        // the thing changed meanwhile, or is taken
	Unavailable     Kind = "unavailable"     // try again later
)

// Error is an error with a message that a user may read.
type Error struct {
	Kind      Kind
	Code      string       // stable, from the specification: "CONN-1002", "DEST-FAIL-AUTH"
	Msg       string       // what is wrong and what to do, in the user's words
	Fields    []FieldError // which inputs are wrong, at most 50
	RequestID string       // of the other side, such as Azure's, if there is one
	Err       error        // the cause, for the log only
}

// FieldError says what is wrong with one input.
type FieldError struct {
	Pointer string `json:"pointer"` // JSON pointer of the input: "/mapping/2/target"
	Code    string `json:"code"`
	Msg     string `json:"detail"`
	Hint    string `json:"hint,omitempty"` // a value that would do, or the next step
}

// Error returns the message, the wrong fields and, for the log, the cause.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Text())
	if e.Err != nil {
		fmt.Fprintf(&b, " (cause: %v)", e.Err)
	}
	return b.String()
}

// Text is the message with code, fields and request id, without the cause: what a user may see.
func (e *Error) Text() string {
	var b strings.Builder
	if e.Code != "" {
		b.WriteString(e.Code + ": ")
	}
	b.WriteString(e.Msg)
	for _, f := range e.Fields {
		fmt.Fprintf(&b, "\n  %s: %s: %s", strings.TrimPrefix(f.Pointer, "/"), f.Code, f.Msg)
		if f.Hint != "" {
			fmt.Fprintf(&b, " (%s)", f.Hint)
		}
	}
	if e.RequestID != "" {
		fmt.Fprintf(&b, " [request id %s]", e.RequestID)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Rescue makes a panic an error, so that it fails the work and not the process (DLV-46). It is deferred, in each goroutine
// anew: a panic is met in its own goroutine or nowhere.
func Rescue(err *error) {
	if p := recover(); p != nil {
		*err = &Error{Kind: Internal, Code: FailInternal, Msg: "internal error", Err: fmt.Errorf("panic: %v", p)}
	}
}

// KindOf reports the kind of err. An error that nobody classified is Internal.
func KindOf(err error) Kind {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	return Internal
}

// CodeOf returns the stable code of err, "" if it has none.
func CodeOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}

// Message is what a user may be told about err.
func Message(err error) string {
	if e, ok := errors.AsType[*Error](err); ok && e.Kind != Internal {
		return e.Text()
	}
	return "internal error; the log has the details"
}

// invalid makes an error of one wrong input.
func invalid(code, format string, args ...any) *Error {
	return &Error{Kind: Invalid, Code: code, Msg: fmt.Sprintf(format, args...)}
}

// fieldErrors collects the wrong inputs of one thing, so that all are reported at once (E1).
type fieldErrors []FieldError

func (f *fieldErrors) add(pointer, code, format string, args ...any) {
	*f = append(*f, FieldError{Pointer: pointer, Code: code, Msg: fmt.Sprintf(format, args...)})
}

// adopt adds what a check of one input said.
func (f *fieldErrors) adopt(pointer string, err error) {
	if e, ok := errors.AsType[*Error](err); ok {
		f.add(pointer, e.Code, "%s", e.Msg)
	}
}

// textOf is the message of an error of one input.
func textOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Msg
	}
	return err.Error()
}

func (f *fieldErrors) hint(hint string) { (*f)[len(*f)-1].Hint = hint }

// err returns nil if nothing is wrong. The code of the whole is that of the first field.
func (f fieldErrors) err(what string) error {
	if len(f) == 0 {
		return nil
	}
	if len(f) > maxFieldErrors {
		f = f[:maxFieldErrors]
	}
	return &Error{Kind: Invalid, Code: f[0].Code, Msg: what + " is not accepted; nothing was stored", Fields: f}
}

const maxFieldErrors = 50

// Quote shortens untrusted text to 64 characters and escapes control characters,
// so that it can stand in a message (E1).
func Quote(s string) string {
	r := []rune(s)
	if len(r) > 64 {
		r = append(r[:63], '…')
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range r {
		if c < 0x20 || c == 0x7f || c == 0x2028 || c == 0x2029 || c == 0x202e || c == 0xfeff {
			fmt.Fprintf(&b, `\u%04X`, c)
			continue
		}
		b.WriteRune(c)
	}
	b.WriteByte('"')
	return b.String()
}
