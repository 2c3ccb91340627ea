package emulator

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake/filesystem"

	"github.com/lakeward/lakeward"
)

func start(t *testing.T, opt Options) *Server {
	t.Helper()
	opt.NoSync = true
	s, err := Start(t.TempDir(), opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close the lake: %v", err)
		}
	})
	return s
}

// TestProxyADL131: a client that knows nothing but the service's own names reaches the lake by the proxy,
// signs in at the usual authority, and no other host is reached.
func TestProxyADL131(t *testing.T) {
	s := start(t, Options{Proxy: "127.0.0.1:0"})
	e := s.Endpoints()
	proxy, err := url.Parse(e.Proxy)
	must(t, err)
	pool := x509.NewCertPool()
	pem, err := os.ReadFile(e.CA)
	must(t, err)
	pool.AppendCertsFromPEM(pem)
	hc := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy), TLSClientConfig: &tls.Config{RootCAs: pool}}}
	defer hc.CloseIdleConnections()
	opt := azcore.ClientOptions{Transport: hc, Cloud: cloud.AzurePublic}
	cred, err := azidentity.NewClientSecretCredential(e.Tenant, e.ClientID, e.ClientSecret, &azidentity.ClientSecretCredentialOptions{ClientOptions: opt, DisableInstanceDiscovery: true})
	must(t, err)
	fs, err := filesystem.NewClient("https://local.dfs.core.windows.net/exports", cred, &filesystem.ClientOptions{ClientOptions: opt})
	must(t, err)
	f := fs.NewFileClient("by-proxy.txt")
	_, err = f.Create(t.Context(), nil)
	must(t, err)
	must(t, f.UploadBuffer(t.Context(), []byte("through"), nil))
	b, err := os.ReadFile(filepath.Join(s.Dir(), "local", "exports", "by-proxy.txt"))
	must(t, err)
	if string(b) != "through" {
		t.Errorf("the file holds %q", b)
	}
	for _, u := range []string{"https://example.com/", "https://local.dfs.core.windows.net.example.com/", "https://127.0.0.1/"} {
		if res, err := hc.Get(u); err == nil || !strings.Contains(err.Error(), "Forbidden") {
			t.Errorf("%s by the proxy: %v, %v", u, res, err)
		}
	}
	if res, err := http.Get(e.Proxy + "/"); err != nil || res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("a plain request to the proxy: %v, %v", res, err)
	}
}

// TestDoors: what is not TLS listens on loopback only; a plain port serves signed requests.
func TestDoors(t *testing.T) {
	for _, opt := range []Options{{HTTP: "0.0.0.0:0"}, {Proxy: ":0"}, {Faults: "192.0.2.1:1"}, {HTTP: "localhost:0"}} {
		if s, err := Start(t.TempDir(), opt); lakeward.CodeOf(err) != "LAKE-1003" {
			t.Errorf("%+v: %v", opt, err)
			if s != nil {
				_ = s.Close()
			}
		}
	}
	if _, err := Start(t.TempDir(), Options{Accounts: []string{"Bad_Name"}}); lakeward.CodeOf(err) != "LAKE-1005" {
		t.Errorf("a bad account name: %v", err)
	}
	s := start(t, Options{HTTP: "127.0.0.1:0", Accounts: []string{"one", "two:flat"}})
	e := s.Endpoints()
	if len(e.Accounts) != 2 || !e.Accounts[0].HNS || e.Accounts[1].HNS || e.HTTP == "" {
		t.Errorf("endpoints %+v", e)
	}
	req, err := http.NewRequest(http.MethodHead, e.HTTP+"/two/exports?resource=filesystem", nil)
	must(t, err)
	sig, err := signature(req, "two", e.Accounts[1].Key)
	must(t, err)
	req.Header.Set("Authorization", "SharedKey two:"+sig)
	if res, err := http.DefaultClient.Do(req); err != nil || res.StatusCode != http.StatusOK || res.Header.Get("x-ms-namespace-enabled") != "false" {
		t.Errorf("HEAD on the plain port: %v, %v", res, err)
	}
}

// TestMemoryADL107: a lake in memory leaves nothing behind.
func TestMemoryADL107(t *testing.T) {
	if _, err := os.Stat(memoryDir); err != nil {
		t.Skip("no memory file system here")
	}
	dir := t.TempDir()
	s, err := Start(dir, Options{Memory: true})
	must(t, err)
	at := s.Dir()
	must(t, s.MakeFolder("local", "exports", "a/b"))
	must(t, s.Close())
	entries, err := os.ReadDir(dir)
	must(t, err)
	if _, err := os.Stat(at); !os.IsNotExist(err) || len(entries) != 0 {
		t.Errorf("%s is still there, or %d entries in the folder that was named", at, len(entries))
	}
}

// TestFaultPortADL118: every effect can be ordered, is seen by a client, and can be taken back.
func TestFaultPortADL118(t *testing.T) {
	s := start(t, Options{Faults: "127.0.0.1:0"})
	port := s.Endpoints().Faults
	order := func(t *testing.T, method, path, body string, want int) []byte {
		t.Helper()
		req, err := http.NewRequest(method, port+path, strings.NewReader(body))
		must(t, err)
		res, err := http.DefaultClient.Do(req)
		must(t, err)
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		must(t, err)
		if res.StatusCode != want {
			t.Fatalf("%s %s: %d %s", method, path, res.StatusCode, text)
		}
		return text
	}
	hc := &http.Client{Transport: reach(s)}
	defer hc.CloseIdleConnections()
	account := s.Endpoints().Accounts[0]
	ask := func(method, path string, body []byte) (int, string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, method, "https://local.dfs.lake.internal"+path, bytes.NewReader(body))
		must(t, err)
		req.Header.Set("Content-Length", formatInt(int64(len(body))))
		sig, err := signature(req, account.Name, account.Key)
		must(t, err)
		req.Header.Set("Authorization", "SharedKey local:"+sig)
		res, err := hc.Do(req)
		if err != nil {
			return 0, "", err
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		return res.StatusCode, string(text), err
	}
	exists := func(name string) bool {
		_, err := os.Stat(filepath.Join(s.Dir(), "local", "exports", name))
		return err == nil
	}
	for _, test := range []struct {
		effect  string
		rule    string
		status  int // 0: the connection breaks
		happens bool
		longer  time.Duration
	}{
		{"status", `{"effect":"status","status":503,"retryAfter":"7"}`, 503, false, 0},
		{"status-after", `{"effect":"status-after","status":500}`, 500, true, 0},
		{"drop-before", `{"effect":"drop-before"}`, 0, false, 0},
		{"drop-after", `{"effect":"drop-after"}`, 0, true, 0},
		{"hang", `{"effect":"hang","delayMs":30}`, 0, false, 30 * time.Millisecond},
		{"delay", `{"effect":"delay","delayMs":30}`, 201, true, 30 * time.Millisecond},
		{"reset-at", `{"effect":"reset-at","bytes":0}`, 0, false, 0},
		{"throttle", `{"effect":"throttle","bytes":100}`, 201, true, 0},
		{"flip-bit", `{"effect":"flip-bit"}`, 201, true, 0},
		{"cut-answer", `{"effect":"cut-answer"}`, 0, true, 0},
		{"garbage-answer", `{"effect":"garbage-answer"}`, 203, true, 0},
	} {
		t.Run(test.effect, func(t *testing.T) {
			var made rule
			must(t, json.Unmarshal(order(t, "POST", "/faults", strings.Replace(test.rule, "{", `{"operation":"create","nth":1,"path":"`+test.effect+`",`, 1), 201), &made))
			began := time.Now()
			status, _, err := ask("PUT", "/exports/"+test.effect+"?resource=file", nil)
			if status != test.status && !(test.status == 0 && err != nil) || time.Since(began) < test.longer {
				t.Errorf("answer %d, %v", status, err)
			}
			if exists(test.effect) != test.happens {
				t.Errorf("the file exists: %t", !test.happens)
			}
			var rules []rule
			must(t, json.Unmarshal(order(t, "GET", "/faults", "", 200), &rules))
			if len(rules) != 1 || rules[0].Hits != 1 || rules[0].ID != made.ID {
				t.Errorf("rules %+v", rules)
			}
			order(t, "DELETE", "/faults", "", 204)
			if status, _, err := ask("PUT", "/exports/"+test.effect+"?resource=file", nil); err != nil || status != 201 {
				t.Errorf("after the fault: %d, %v", status, err)
			}
		})
	}
	for name, body := range map[string]string{"no effect": `{}`, "unknown effect": `{"effect":"burn"}`, "no JSON": `{`, "unknown field": `{"effect":"drop-after","when":"now"}`, "status out of range": `{"effect":"status","status":200}`} {
		t.Run(name, func(t *testing.T) { order(t, "POST", "/faults", body, 400) })
	}
	order(t, "DELETE", "/faults/99", "", 404)
	order(t, "PUT", "/roles", `{"account":"local","container":"exports","role":"emperor"}`, 400)
	order(t, "PUT", "/roles", `{"account":"local","container":"exports","role":"reader"}`, 204)
	order(t, "POST", "/requests", "", 204)
	if status, _, err := ask("PUT", "/exports/logged?resource=file", nil); err != nil || status != 201 { // a key is above roles
		t.Errorf("%d, %v", status, err)
	}
	var log []Entry
	must(t, json.Unmarshal(order(t, "GET", "/requests", "", 200), &log))
	if len(log) != 1 || log[0].Op != "create" || log[0].Path != "logged" || log[0].Status != 201 {
		t.Errorf("request log %+v", log)
	}
}

// A throttled upload is slow, and a reset one is cut inside its body.
func TestSlowAndCutBodies(t *testing.T) {
	s := start(t, Options{})
	defer s.Arm(Fault{Op: "append", Path: "slow", Do: Throttle, Bytes: 10_000})()
	defer s.Arm(Fault{Op: "append", Path: "cut", Do: ResetAt, Bytes: 100})()
	token := s.Endpoints().Accounts[0].Key
	hc := &http.Client{Transport: reach(s)}
	defer hc.CloseIdleConnections()
	send := func(method, query, name string, body []byte) error {
		req, err := http.NewRequest(method, "https://local.dfs.lake.internal/exports/"+name+"?"+query, bytes.NewReader(body))
		must(t, err)
		sig, err := signature(req, "local", token)
		must(t, err)
		req.Header.Set("Authorization", "SharedKey local:"+sig)
		res, err := hc.Do(req)
		if err == nil {
			_ = res.Body.Close()
		}
		return err
	}
	body := make([]byte, 3000)
	for _, name := range []string{"slow", "cut"} {
		must(t, send("PUT", "resource=file", name, nil))
	}
	began := time.Now()
	must(t, send("PATCH", "action=append&position=0", "slow", body))
	if d := time.Since(began); d < 250*time.Millisecond {
		t.Errorf("3,000 bytes at 10,000 a second took %s", d)
	}
	if err := send("PATCH", "action=append&position=0", "cut", body); err == nil {
		t.Error("the connection was not cut")
	}
}
