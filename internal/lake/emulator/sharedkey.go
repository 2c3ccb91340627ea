package emulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// signedHeaders are the headers that stand in the text to sign, in order, before the x-ms- ones.
func signedHeaders() []string {
	return []string{"Content-Encoding", "Content-Language", "Content-Length", "Content-MD5", "Content-Type", "Date", "If-Modified-Since", "If-Match", "If-None-Match", "If-Unmodified-Since", "Range"}
}

// signature is the SharedKey signature of a request under an account's key (ADL-111).
func signature(r *http.Request, account, key string) (string, error) {
	secret, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString(r.Method)
	for _, name := range signedHeaders() {
		v := r.Header.Get(name)
		if name == "Content-Length" && v == "" && r.ContentLength > 0 {
			v = formatInt(r.ContentLength)
		}
		if name == "Content-Length" && v == "0" {
			v = ""
		}
		b.WriteString("\n" + v)
	}
	b.WriteString("\n" + canonicalHeaders(r.Header) + canonicalResource(r.URL, account))
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(b.String()))
	return base64.StdEncoding.EncodeToString(h.Sum(nil)), nil
}

// canonicalHeaders lists the x-ms- headers, sorted by name only: a colon would sort behind a hyphen.
func canonicalHeaders(h http.Header) string {
	values := map[string]string{}
	for name, v := range h {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-ms-") {
			values[lower] = strings.Join(strings.Fields(strings.Join(v, ",")), " ")
		}
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(values)) {
		b.WriteString(name + ":" + values[name] + "\n")
	}
	return b.String()
}

func canonicalResource(u *url.URL, account string) string {
	var b strings.Builder
	b.WriteString("/" + account + u.EscapedPath())
	if u.Path == "" {
		b.WriteString("/")
	}
	query := map[string][]string{}
	for name, v := range u.Query() {
		lower := strings.ToLower(name)
		query[lower] = append(query[lower], v...)
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		b.WriteString("\n" + name + ":" + strings.Join(slices.Sorted(slices.Values(query[name])), ","))
	}
	return b.String()
}

// checkSharedKey verifies "SharedKey account:signature".
func (s *Server) checkSharedKey(q *request, credentials string) *apiError {
	name, given, _ := strings.Cut(credentials, ":")
	a := s.account(q.account)
	if a == nil || name != a.Name {
		return refuse("AuthenticationFailed")
	}
	want, err := signature(q.Request, a.Name, a.Key)
	if err != nil || !hmac.Equal([]byte(want), []byte(given)) {
		return refuse("AuthenticationFailed")
	}
	return nil
}
