package emulator

import (
	"bytes"
	"encoding/xml"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// Whatever a client sends, the lake answers it: no panic, no 500, no file outside of its container.
func FuzzRequest(f *testing.F) {
	f.Add("PUT", "/exports/a?resource=file", "", "If-None-Match", "*")
	f.Add("PATCH", "/exports/a?action=append&position=0", "bytes", "x-ms-content-crc64", "AAAAAAAAAAA=")
	f.Add("PUT", "/exports/../../b?resource=file", "", "x-ms-rename-source", "/exports/%2e%2e/x")
	f.Add("PUT", "/exports/b?comp=blocklist", "<BlockList><Latest>MDAx</Latest></BlockList>", "x-ms-version", "2023-11-03")
	f.Add("GET", "/exports?resource=filesystem&recursive=true&continuation=%00&maxResults=1", "", "x-ms-range", "bytes=-1")
	f.Add("POST", "/exports/a", "", "x-ms-lease-action", "acquire")
	s, err := Start(f.TempDir(), Options{NoSync: true})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = s.Close() })
	f.Fuzz(func(t *testing.T, method, target, body, header, value string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || strings.ContainsAny(method, " \r\n\t") || method == "" || header == "" || strings.ContainsAny(header+value, "\r\n:\x00") {
			t.Skip()
		}
		for _, host := range []string{"local.dfs.lake.internal", "local.blob.lake.internal", "127.0.0.1:1"} {
			r := &http.Request{Method: method, URL: u, Host: host, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)), RequestURI: target}
			r = r.WithContext(t.Context())
			r.Header.Set(header, value)
			sig, err := signature(r, DefaultAccount, s.account(DefaultAccount).Key)
			if err != nil {
				t.Skip()
			}
			r.Header.Set("Authorization", "SharedKey local:"+sig)
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code == http.StatusInternalServerError || w.Code < 200 {
				t.Errorf("%s %s at %s: %d %s", method, target, host, w.Code, w.Body)
			}
			if strings.HasPrefix(w.Header().Get("Content-Type"), "application/xml") && w.Body.Len() > 0 {
				if err := xml.NewDecoder(bytes.NewReader(w.Body.Bytes())).Decode(new(struct{})); err != nil {
					t.Errorf("%s %s at %s: the answer is no XML: %v\n%s", method, target, host, err, w.Body)
				}
			}
		}
	})
}

func FuzzBlockList(f *testing.F) {
	f.Add([]byte("<BlockList><Latest>MDAx</Latest><Committed>MDAy</Committed></BlockList>"))
	f.Add([]byte("<BlockList>"))
	f.Fuzz(func(t *testing.T, body []byte) {
		list, err := readBlockList(bytes.NewReader(body))
		if err == nil && len(list) > maxBlobBlocks {
			t.Errorf("%d blocks", len(list))
		}
		for _, l := range list {
			if name := blockFile(l.ID); strings.ContainsAny(name, "/\\\x00") {
				t.Errorf("block %q is the file %q", l.ID, name)
			}
		}
	})
}

func FuzzToken(f *testing.F) {
	service, err := newTokenService(0)
	if err != nil {
		f.Fatal(err)
	}
	good, err := service.sign(claims{Aud: resource, Exp: time.Now().Add(time.Hour).Unix(), Tid: "t"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add("a.b.c")
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := service.verify(token, "t", time.Now()); err == nil && token != good {
			t.Errorf("%q is accepted", token)
		}
		if trusted(nil, token, time.Now()) {
			t.Errorf("%q is trusted by nobody's key", token)
		}
	})
}

func FuzzACL(f *testing.F) {
	f.Add("user::rwx,group::r-x,other::---,default:user:x:rw-")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := parseACL(text, false)
		if err != nil {
			return
		}
		var parts []string
		for _, e := range list {
			parts = append(parts, e.String())
		}
		if again, err := parseACL(strings.Join(parts, ","), false); err != nil || len(again) != len(list) {
			t.Errorf("%q becomes %v, then %v, %v", text, list, again, err)
		}
		n := &node{}
		n.setList(list)
		if len(n.Perms) != 9 {
			t.Errorf("%q gives permissions %q", text, n.Perms)
		}
	})
}
