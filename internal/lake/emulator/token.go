package emulator

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/lakeward/lakeward"
)

// resource is the audience of storage tokens.
const resource = "https://storage.azure.com"

// tokenService is the Entra-like authority of the lake (ADL-112).
type tokenService struct {
	key *rsa.PrivateKey
	ttl time.Duration
}

func newTokenService(ttl int) (*tokenService, error) {
	if ttl == 0 {
		ttl = 3599
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	return &tokenService{key, time.Duration(ttl) * time.Second}, err
}

// claims are what a token says.
type claims struct {
	Aud string `json:"aud"`
	Iss string `json:"iss"`
	Iat int64  `json:"iat"`
	Nbf int64  `json:"nbf"`
	Exp int64  `json:"exp"`
	App string `json:"appid"`
	Oid string `json:"oid"`
	Tid string `json:"tid"`
}

func (t *tokenService) sign(c claims) (string, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	enc := base64.RawURLEncoding
	text := enc.EncodeToString([]byte(`{"typ":"JWT","alg":"RS256","kid":"lake"}`)) + "." + enc.EncodeToString(body)
	sum := sha256.Sum256([]byte(text))
	sig, err := rsa.SignPKCS1v15(nil, t.key, crypto.SHA256, sum[:])
	return text + "." + enc.EncodeToString(sig), err
}

// verify checks signature, times, audience and tenant of a bearer token.
func (t *tokenService) verify(token, tenant string, now time.Time) (claims, error) {
	var c claims
	parts := strings.Split(token, ".")
	if len(token) > 8<<10 || len(parts) != 3 {
		return c, fmt.Errorf("not a token")
	}
	sig, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return c, err
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err := rsa.VerifyPKCS1v15(&t.key.PublicKey, crypto.SHA256, sum[:], sig); err != nil {
		return c, err
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(body, &c); err != nil {
		return c, err
	}
	if now.Unix() < c.Nbf || now.Unix() >= c.Exp || strings.TrimSuffix(c.Aud, "/") != resource || c.Tid != tenant {
		return c, fmt.Errorf("expired, not for storage, or of another tenant")
	}
	return c, nil
}

// entraError is an error of the token service.
type entraFailure struct {
	status int
	name   string
	number int
	text   string
}

func (s *Server) serveToken(w http.ResponseWriter, r *http.Request) {
	path := strings.Trim(r.URL.Path, "/")
	tenant, rest, _ := strings.Cut(path, "/")
	base := "https://" + r.Host + "/" + tenant
	switch {
	case path == "common/discovery/instance":
		s.json(w, http.StatusOK, map[string]any{"tenant_discovery_endpoint": base + "/v2.0/.well-known/openid-configuration", "api-version": "1.1", "metadata": []any{}})
	case rest == "v2.0/.well-known/openid-configuration" || rest == ".well-known/openid-configuration":
		if f := s.tenantFailure(tenant); f != nil {
			s.entra(w, *f)
			return
		}
		s.json(w, http.StatusOK, map[string]any{"issuer": base + "/v2.0", "authorization_endpoint": base + "/oauth2/v2.0/authorize",
			"token_endpoint": base + "/oauth2/v2.0/token", "jwks_uri": base + "/discovery/v2.0/keys"})
	case strings.HasSuffix(rest, "discovery/v2.0/keys"):
		e := base64.RawURLEncoding.EncodeToString(big.NewInt(int64(s.tokens.key.E)).Bytes())
		n := base64.RawURLEncoding.EncodeToString(s.tokens.key.N.Bytes())
		s.json(w, http.StatusOK, map[string]any{"keys": []map[string]string{{"kty": "RSA", "use": "sig", "kid": "lake", "alg": "RS256", "e": e, "n": n}}})
	case r.Method == http.MethodPost && (rest == "oauth2/v2.0/token" || rest == "oauth2/token"):
		s.issue(w, r, tenant, rest == "oauth2/token")
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

// issue answers a client-credentials request of either version.
func (s *Server) issue(w http.ResponseWriter, r *http.Request, tenant string, v1 bool) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		s.entra(w, entraFailure{400, "invalid_request", 900144, "The request body is not a form."})
		return
	}
	if f := s.tenantFailure(tenant); f != nil {
		s.entra(w, *f)
		return
	}
	c, f := s.signIn(r.PostForm)
	if f != nil {
		s.entra(w, *f)
		return
	}
	aud := ""
	for _, scope := range strings.Fields(r.PostForm.Get("scope")) { // libraries add openid and the like
		if a, ok := strings.CutSuffix(scope, "/.default"); ok {
			aud = a
		}
	}
	if v1 {
		aud = r.PostForm.Get("resource")
	}
	if strings.TrimSuffix(aud, "/") != resource {
		s.entra(w, entraFailure{400, "invalid_resource", 500011, "The resource principal was not found in the tenant."})
		return
	}
	now := time.Now()
	token, err := s.tokens.sign(claims{Aud: aud, Iss: "https://sts.windows.net/" + s.tenant() + "/", Iat: now.Unix(), Nbf: now.Unix(), Exp: now.Add(s.tokens.ttl).Unix(),
		App: c.ID, Oid: c.ObjectID, Tid: s.tenant()})
	if err != nil {
		s.entra(w, entraFailure{500, "server_error", 90033, "A transient error has occurred."})
		return
	}
	seconds := int(s.tokens.ttl.Seconds())
	out := map[string]any{"token_type": "Bearer", "expires_in": seconds, "ext_expires_in": seconds, "access_token": token}
	if v1 {
		out["expires_in"], out["ext_expires_in"], out["expires_on"] = fmt.Sprint(seconds), fmt.Sprint(seconds), fmt.Sprint(now.Add(s.tokens.ttl).Unix())
		out["resource"] = aud
	}
	s.json(w, http.StatusOK, out)
}

func (s *Server) tenantFailure(tenant string) *entraFailure {
	if tenant == s.tenant() {
		return nil
	}
	return &entraFailure{400, "invalid_tenant", 90002, "Tenant not found. Check to make sure you have the correct tenant ID."}
}

// signIn checks a client's id, and its secret or the assertion that it signed.
func (s *Server) signIn(form url.Values) (client, *entraFailure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.conf.Clients, func(c client) bool { return c.ID == form.Get("client_id") })
	if i < 0 {
		return client{}, &entraFailure{400, "unauthorized_client", 700016, "The application was not found in the directory."}
	}
	c := s.conf.Clients[i]
	if s.refused != 0 {
		return client{}, &entraFailure{400, "invalid_grant", s.refused, "The sign-in is refused by a rule of the tenant."}
	}
	if form.Has("client_assertion") {
		if !trusted(c.Keys, form.Get("client_assertion"), time.Now()) {
			return client{}, &entraFailure{401, "invalid_client", 700027, "The certificate with identifier used to sign the client assertion is not registered on application."}
		}
		return c, nil
	}
	switch {
	case subtle.ConstantTimeCompare([]byte(c.Secret), []byte(form.Get("client_secret"))) != 1:
		return client{}, &entraFailure{401, "invalid_client", 7000215, "Invalid client secret provided."}
	case c.Expired:
		return client{}, &entraFailure{401, "invalid_client", 7000222, "The provided client secret keys are expired."}
	}
	return c, nil
}

func (s *Server) tenant() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conf.Tenant
}

// entra writes an error of the token service.
func (s *Server) entra(w http.ResponseWriter, f entraFailure) {
	trace, now := lakeward.NewID(), time.Now().UTC().Format("2006-01-02 15:04:05Z")
	s.json(w, f.status, map[string]any{"error": f.name, "error_codes": []int{f.number}, "timestamp": now, "trace_id": trace, "correlation_id": lakeward.NewID(),
		"error_description": fmt.Sprintf("AADSTS%d: %s Trace ID: %s Timestamp: %s", f.number, f.text, trace, now)})
}

func (s *Server) json(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("x-ms-request-id", lakeward.NewID())
	w.WriteHeader(status)
	_, _ = w.Write(b)
}
