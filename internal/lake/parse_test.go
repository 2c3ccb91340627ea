package lake

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/lakeward/lakeward"
)

// DLV-72, CASE-11: Retry-After in seconds or as a date, at most 300 s; garbage is no header.
func TestRetryAfter(t *testing.T) {
	now := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "5": 5 * time.Second, " 7 ": 7 * time.Second, "86400": 300 * time.Second, "-1": 0, "soon": 0, "1.5": 0, "99999999999999999999": 0,
		now.Add(90 * time.Second).Format(http.TimeFormat): 90 * time.Second, now.Add(-time.Hour).Format(http.TimeFormat): 0, now.AddDate(1, 0, 0).Format(http.TimeFormat): 300 * time.Second,
	} {
		if got := parseRetryAfter(value, now); got != want {
			t.Errorf("parseRetryAfter(%q) = %s, want %s", value, got, want)
		}
	}
}

// ADL-11: everything but letters, digits and - . _ ~ is encoded, segment by segment.
func TestEncodePath(t *testing.T) {
	for path, want := range map[string]string{
		"a/b-c._~9Z": "a/b-c._~9Z", "a b%41#?&=+": "a%20b%2541%23%3F%26%3D%2B", "ü/日": "%C3%BC/%E6%97%A5",
	} {
		if got := EncodePath(path); got != want {
			t.Errorf("EncodePath(%q) = %q, want %q", path, got, want)
		}
	}
}

func FuzzEncodePath(f *testing.F) {
	f.Add("a b/ü%41")
	f.Fuzz(func(t *testing.T, path string) {
		enc := EncodePath(path)
		back, err := url.PathUnescape(enc)
		if err != nil || back != path || strings.ContainsAny(enc, " #?+&\"'<>\\") {
			t.Errorf("EncodePath(%q) = %q, which decodes to %q, %v", path, enc, back, err)
		}
	})
}

func FuzzParsePage(f *testing.F) {
	f.Add([]byte(`{"paths":[{"name":"a","isDirectory":"true","contentLength":"0","etag":"0x1","lastModified":"Wed, 01 Jan 2025 00:00:00 GMT"}]}`))
	f.Add([]byte(`{"paths":[{"contentLength":"-1"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		objects, err := parsePage(body)
		for _, o := range objects {
			if err == nil && o.Size < 0 {
				t.Errorf("a negative size in %+v", o)
			}
		}
	})
}

func FuzzBodyCode(f *testing.F) {
	f.Add([]byte(`{"error":{"code":"PathNotFound","message":"x"}}`))
	f.Add([]byte(`<html>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if code := bodyCode(body); len(code) > 64 || strings.ContainsAny(code, " \n<>\"") {
			t.Errorf("bodyCode(%q) = %q", body, code)
		}
	})
}

func FuzzProperties(f *testing.F) {
	f.Add("a=YQ==,b=")
	f.Fuzz(func(t *testing.T, header string) {
		p, err := decodeProperties(header)
		if err != nil || len(p) == 0 {
			return
		}
		for k := range p {
			if k == "" || strings.ContainsAny(k, ",= \t") {
				return // such keys are never sent
			}
		}
		again, err := decodeProperties(encodeProperties(p))
		if err != nil || len(again) != len(p) {
			t.Errorf("%q becomes %v, then %v, %v", header, p, again, err)
		}
	})
}

func FuzzRetryAfter(f *testing.F) {
	now := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, v := range []string{"", "0", "5", "86400", "soon", "-1", now.Add(time.Minute).Format(http.TimeFormat)} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if d := parseRetryAfter(value, now); d < 0 || d > maxRetryAfter {
			t.Errorf("parseRetryAfter(%q) = %s", value, d)
		}
	})
}

// ERR-11: an address that may not be dialled is told, with what the operator can do.
func TestForbiddenAddressText(t *testing.T) {
	_, err := dialer{}.dial(t.Context(), "tcp", "127.0.0.1:1")
	if dialFailure(err) != dialFatal {
		t.Fatalf("dial: %v", err)
	}
	if e := classifyTransport(err); e.Code != "CONN-2002" || e.Kind != lakeward.Denied || !strings.Contains(e.Msg, "network.allowPrivate") || RunCode(e) != lakeward.FailNetwork {
		t.Errorf("%v", e)
	}
}
