package lake

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
)

// signer signs requests with a key of the storage account. Once one is refused the next is used, for all requests.
type signer struct {
	account string
	keys    [][]byte
	current atomic.Int32 // number of the key that is in use
}

// refused makes the key after i the one in use, if i still is.
func (s *signer) refused(i int) { s.current.CompareAndSwap(int32(i), int32((i+1)%len(s.keys))) }

// sign adds the SharedKey signature under key number i (ADL-111).
func (s *signer) sign(req *http.Request, i int) {
	h := hmac.New(sha256.New, s.keys[i%len(s.keys)])
	h.Write([]byte(s.text(req)))
	req.Header.Set("Authorization", "SharedKey "+s.account+":"+base64.StdEncoding.EncodeToString(h.Sum(nil)))
}

// text is what is signed: the method, eleven headers, the x-ms- headers by name, the resource with its query.
func (s *signer) text(req *http.Request) string {
	h := req.Header
	length := ""
	if req.ContentLength > 0 {
		length = strconv.FormatInt(req.ContentLength, 10)
	}
	lines := []string{req.Method, h.Get("Content-Encoding"), h.Get("Content-Language"), length, h.Get("Content-MD5"), h.Get("Content-Type"), "",
		h.Get("If-Modified-Since"), h.Get("If-Match"), h.Get("If-None-Match"), h.Get("If-Unmodified-Since"), h.Get("Range")}
	own := map[string]string{}
	for name := range h {
		if lower := strings.ToLower(name); strings.HasPrefix(lower, "x-ms-") {
			own[lower] = strings.TrimSpace(h.Get(name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(own)) { // by name: in "name:value" the colon would sort behind a hyphen
		lines = append(lines, name+":"+own[name])
	}
	lines = append(lines, "/"+s.account+req.URL.EscapedPath())
	query := req.URL.Query()
	for _, name := range slices.Sorted(maps.Keys(query)) {
		lines = append(lines, strings.ToLower(name)+":"+strings.Join(query[name], ","))
	}
	return strings.Join(lines, "\n")
}
