package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serve starts the service in this process until the test ends and returns what it announced.
func serve(t *testing.T, args ...string) (ready, context.CancelFunc, <-chan int) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	r, w := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, append(args, "--json"), environment{func(string) string { return "" }, strings.NewReader(""), w, io.Discard})
		_ = w.Close()
	}()
	var line ready
	text, err := bufio.NewReader(r).ReadString('\n')
	if err == nil {
		err = json.Unmarshal([]byte(text), &line)
	}
	if err != nil {
		stop()
		t.Fatalf("the service announced %q: %v", text, err)
	}
	return line, stop, ended
}

// The service answers /healthz, tells where it is in one line, and ends cleanly.
func TestServe(t *testing.T) {
	for _, args := range [][]string{
		{"serve", "--lake", "--listen", "127.0.0.1:0", "--data", filepath.Join(t.TempDir(), "data")},
	} {
		line, stop, ended := serve(t, args...)
		res, err := http.Get(line.URL + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil || res.Body.Close() != nil || string(body) != "ok\n" {
			t.Errorf("healthz: %q, %v", body, err)
		}
		if line.Lake == nil || line.Lake.HTTPS == "" || line.Lake.ClientSecret != "" {
			t.Errorf("announced %+v, want the lake without its secret", line)
		}
		http.DefaultClient.CloseIdleConnections()
		stop()
		select {
		case code := <-ended:
			if code != exitOK {
				t.Errorf("exit %d", code)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("the service does not end")
		}
	}
}
