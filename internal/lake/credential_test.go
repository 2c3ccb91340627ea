package lake_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/lake"
	"github.com/lakeward/lakeward/internal/lake/emulator"
	"github.com/lakeward/lakeward/internal/lake/emulator/emulatortest"
)

// pemPair is a new certificate and its key, as one file.
func pemPair(t *testing.T) (string, *rsa.PrivateKey) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})) + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), key
}

// federated is a token that a platform signed.
func federated(t *testing.T, key *rsa.PrivateKey) string {
	t.Helper()
	enc := base64.RawURLEncoding
	body, err := json.Marshal(map[string]any{"sub": "system:serviceaccount:default:lakeward", "aud": "api://AzureADTokenExchange", "exp": time.Now().Add(time.Hour).Unix()})
	if err != nil {
		t.Fatal(err)
	}
	text := enc.EncodeToString([]byte(`{"alg":"RS256"}`)) + "." + enc.EncodeToString(body)
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + enc.EncodeToString(sig)
}

// metadataService is a machine's metadata service: it signs in at the lake for the machine.
func metadataService(t *testing.T, s *emulator.Server, identity string) string {
	t.Helper()
	e := s.Endpoints()
	hc := httpsClient(t, s)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metadata/identity/oauth2/token" || r.Header.Get("Metadata") != "true" || r.URL.Query().Get("client_id") != identity {
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":"invalid_request","error_description":"Identity not found"}`)
			return
		}
		res, err := hc.PostForm(strings.Replace(e.TokenURL, "/oauth2/v2.0/", "/oauth2/", 1), url.Values{"client_id": {e.ClientID}, "client_secret": {e.ClientSecret}, "resource": {r.URL.Query().Get("resource")}})
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		defer res.Body.Close()
		w.WriteHeader(res.StatusCode)
		_, _ = io.Copy(w, res.Body)
	}))
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

func httpsClient(t *testing.T, s *emulator.Server) *http.Client {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.CA())
	return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
}

func TestEveryWayToSignIn(t *testing.T) {
	s := emulatortest.Start(t, emulator.Options{})
	e := s.Endpoints()
	pair, certKey := pemPair(t)
	otherPair, _ := pemPair(t)
	platform, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []*rsa.PrivateKey{certKey, platform} {
		if err := s.TrustKey(&k.PublicKey); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	tokenFile, badFile := filepath.Join(dir, "token"), filepath.Join(dir, "bad")
	for name, text := range map[string]string{tokenFile: federated(t, platform), badFile: "not.a.token"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	wrongKey := base64.StdEncoding.EncodeToString(make([]byte, 64))
	imds := metadataService(t, s, "")
	imdsNamed := metadataService(t, s, e.ClientID)
	for _, test := range []struct {
		name   string
		signIn lakeward.SignIn
		keys   []string
		file   string
		imds   string
		client string
		code   string // of the error; "" for none
	}{
		{name: "client secret", signIn: lakeward.ClientSecret, keys: []string{e.ClientSecret}},
		{name: "wrong client secret", signIn: lakeward.ClientSecret, keys: []string{"a-wr0ng-secret"}, code: "CONN-2105"},
		{name: "second client secret", signIn: lakeward.ClientSecret, keys: []string{"a-wr0ng-secret", e.ClientSecret}},
		{name: "two wrong client secrets", signIn: lakeward.ClientSecret, keys: []string{"a-wr0ng-secret", "an0ther-wr0ng-secret"}, code: "CONN-2105"},
		{name: "no key", signIn: lakeward.ClientSecret, code: "CONN-2105"},
		{name: "certificate", signIn: lakeward.Certificate, keys: []string{pair}},
		{name: "unknown certificate", signIn: lakeward.Certificate, keys: []string{otherPair}, code: "CONN-2105"},
		{name: "second certificate", signIn: lakeward.Certificate, keys: []string{otherPair, pair}},
		{name: "workload identity", signIn: lakeward.WorkloadIdentity, file: tokenFile},
		{name: "token that is not trusted", signIn: lakeward.WorkloadIdentity, file: badFile, code: "CONN-2105"},
		{name: "token file that is missing", signIn: lakeward.WorkloadIdentity, file: tokenFile + "x", code: "CONN-2107"},
		{name: "managed identity of the machine", signIn: lakeward.ManagedIdentity, imds: imds, client: "-"},
		{name: "managed identity by client id", signIn: lakeward.ManagedIdentity, imds: imdsNamed},
		{name: "unknown managed identity", signIn: lakeward.ManagedIdentity, imds: imds, client: lakeward.NewID(), code: "CONN-2104"},
		{name: "no metadata service", signIn: lakeward.ManagedIdentity, imds: "127.0.0.1:1", client: lakeward.NewID(), code: "DEST-FAIL-NETWORK"},
		{name: "account key", signIn: lakeward.AccountKey, keys: []string{e.Accounts[0].Key}},
		{name: "wrong account key", signIn: lakeward.AccountKey, keys: []string{wrongKey}, code: "CONN-2105"},
		{name: "second account key", signIn: lakeward.AccountKey, keys: []string{wrongKey, e.Accounts[0].Key}},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := config(s)
			cfg.SignIn, cfg.Keys, cfg.TokenFile = test.signIn, nil, test.file
			for _, k := range test.keys {
				cfg.Keys = append(cfg.Keys, lakeward.NewSecret(k))
			}
			if test.imds != "" {
				cfg.Endpoints["169.254.169.254"] = lake.Endpoint{Address: test.imds}
			}
			switch test.client { // the library keeps the tokens of managed identities by id, in the whole process
			case "":
			case "-":
				cfg.ClientID = ""
			default:
				cfg.ClientID = test.client
			}
			// What the process's environment says is another's business.
			for _, name := range []string{"AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE", "AZURE_AUTHORITY_HOST", "HTTPS_PROXY"} {
				t.Setenv(name, "https://127.0.0.1:9")
			}
			c := client(t, cfg)
			// Everything that is signed: conditions, properties, body and checksum, query, odd names.
			p := fmt.Sprintf("odd ü%%41#?&= %s", test.name)
			err := c.Create(t.Context(), p, map[string]string{"who": "ü"})
			if test.code != "" {
				if lakeward.CodeOf(err) != test.code {
					t.Fatalf("%v has code %s, want %s", err, lakeward.CodeOf(err), test.code)
				}
				for _, k := range test.keys {
					if strings.Contains(err.Error(), k) {
						t.Fatal("the error shows the key")
					}
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Upload(t.Context(), p, func(w io.Writer) error { _, err := io.WriteString(w, "text"); return err }); err != nil {
				t.Fatal(err)
			}
			if err := c.Rename(t.Context(), p, p+"2", lake.RenameCondition{}); err != nil {
				t.Fatal(err)
			}
			for o, err := range c.List(t.Context(), "", true) {
				if err != nil {
					t.Fatal(o, err)
				}
			}
			if err := c.Delete(t.Context(), p+"2", false); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// The region of the environment would send a credential to another authority.
func TestTokensAreAskedForAtOneHost(t *testing.T) {
	s := emulatortest.Start(t, emulator.Options{})
	t.Setenv("AZURE_REGIONAL_AUTHORITY_NAME", "westeurope")
	c := client(t, config(s))
	err := c.Create(t.Context(), "x", nil)
	if code := lakeward.CodeOf(err); code != "CONN-2107" || !strings.Contains(err.Error(), "AZURE_REGIONAL_AUTHORITY_NAME") {
		t.Errorf("%v has code %s", err, code)
	}
}
