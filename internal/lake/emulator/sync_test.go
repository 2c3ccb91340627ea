package emulator

import (
	"bytes"
	"net/http"
	"testing"
)

// ADL-103: a flush is answered when the file and its folder are on the disk, and so are a blob and a rename.
func TestFlushIsOnTheDisk(t *testing.T) {
	s, err := Start(t.TempDir(), Options{})
	must(t, err)
	hc := &http.Client{Transport: reach(s)}
	t.Cleanup(func() { hc.CloseIdleConnections(); must(t, s.Close()) })
	c := s.container(DefaultAccount, DefaultContainer)
	send := func(method, host, path string, header map[string]string, body []byte, want int) int64 {
		t.Helper()
		req, err := http.NewRequest(method, "https://local."+host+".lake.internal/exports/"+path, bytes.NewReader(body))
		must(t, err)
		for k, v := range header {
			req.Header.Set(k, v)
		}
		sig, err := signature(req, DefaultAccount, s.account(DefaultAccount).Key)
		must(t, err)
		req.Header.Set("Authorization", "SharedKey local:"+sig)
		before := c.synced.Load()
		res, err := hc.Do(req)
		must(t, err)
		_ = res.Body.Close()
		if res.StatusCode != want {
			t.Fatalf("%s %s: %d", method, path, res.StatusCode)
		}
		return c.synced.Load() - before
	}
	send("PUT", "dfs", "a?resource=file", nil, nil, 201)
	for i, block := range []string{"one", "two"} {
		send("PATCH", "dfs", "a?action=append&position="+formatInt(int64(3*i)), nil, []byte(block), 202)
		if n := send("PATCH", "dfs", "a?action=flush&position="+formatInt(int64(3*i+3)), nil, nil, 200); n < 2 {
			t.Errorf("flush %d synced %d files and folders, want the file and its folder", i, n)
		}
	}
	if n := send("PUT", "dfs", "b?mode=legacy", map[string]string{"x-ms-rename-source": "/exports/a"}, nil, 201); n < 1 {
		t.Errorf("a rename synced %d folders", n)
	}
	if n := send("PUT", "blob", "c", map[string]string{"x-ms-blob-type": "BlockBlob"}, []byte("blob"), 201); n < 2 {
		t.Errorf("a blob synced %d files and folders", n)
	}
}
