package lakeward

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// DefaultSandbox is the sandbox of commands that name none.
const DefaultSandbox = "prod"

// NewID draws a random UUID (version 4) in its one canonical form.
func NewID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, see its documentation
	return formatUUID(b, 4)
}

// formatUUID sets version and variant bits and prints b as a UUID.
func formatUUID(b [16]byte, version byte) string {
	b[6] = b[6]&0x0f | version<<4
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// DerivedID is a UUID that is the same whenever it is made of the same parts.
func DerivedID(what string, parts ...string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "lakeward/%s/v1\n%q", what, parts))
	return formatUUID([16]byte(sum[:16]), 8)
}

// IsID reports whether s is a UUID in canonical, lower-case form.
func IsID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		hexDigit := s[i] >= '0' && s[i] <= '9' || s[i] >= 'a' && s[i] <= 'f'
		if dash != (s[i] == '-') || !dash && !hexDigit {
			return false
		}
	}
	return true
}

// NewNonce draws 128 random bits as 32 hex digits (DLV-12).
func NewNonce() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}
