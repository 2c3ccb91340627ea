package lakeward

import (
	"fmt"
	"log/slog"
)

const redacted = "[redacted]"

// Secret is a value that never appears in a log, an error or a response (C3a).
// It holds a pointer because fmt does not call methods on unexported fields:
// a Secret in one would print its text, but a pointer prints as an address.
type Secret struct{ plain *string }

// NewSecret wraps s.
func NewSecret(s string) Secret { return Secret{&s} }

// String returns a fixed text.
func (Secret) String() string { return redacted }

// GoString returns a fixed text.
func (Secret) GoString() string { return redacted }

// Format writes a fixed text, whatever the verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue returns a fixed text.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText returns a fixed text.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// MarshalJSON returns a fixed text.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + redacted + `"`), nil }

// Reveal returns the text, or "" if there is none.
func (s Secret) Reveal() string {
	if s.plain == nil {
		return ""
	}
	return *s.plain
}

// IsSet reports whether there is a text.
func (s Secret) IsSet() bool { return s.plain != nil && *s.plain != "" }
