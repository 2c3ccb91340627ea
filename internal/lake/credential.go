package lake

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/lakeward/lakeward"
)

// scope is the same in all clouds (ADL-13).
const scope = "https://storage.azure.com/.default"

// earlyRefresh is how long before its end a token is replaced (ADL-21).
const earlyRefresh = 5 * time.Minute

// tokens keeps the account's token. One request at a time asks for a new one; the others wait for it.
type tokens struct {
	file    string                                   // of a workload identity
	make    []func() (azcore.TokenCredential, error) // one for each key; the next is tried when one is refused
	turn    chan struct{}                            // holds one value: the right to touch what follows
	current azcore.AccessToken
	key     int // the maker that is in use
	cred    azcore.TokenCredential
}

func newTokens(cfg Config, hc *http.Client) *tokens {
	t := &tokens{turn: make(chan struct{}, 1), file: cfg.TokenFile, make: makers(cfg, hc)}
	t.turn <- struct{}{}
	return t
}

// makers are the constructors of the account's credentials. All that they need is in cfg: nothing is
// taken from the environment of the process, where it would hold for every account.
func makers(cfg Config, hc *http.Client) []func() (azcore.TokenCredential, error) {
	options := azcore.ClientOptions{
		Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: "https://" + cfg.Location.Authority() + "/"},
		Transport: authority{hc, cfg.Location.Authority()},
		Retry:     policy.RetryOptions{MaxRetries: -1}, // ours repeats (ADL-69)
		Telemetry: policy.TelemetryOptions{Disabled: true},
	}
	var out []func() (azcore.TokenCredential, error)
	switch cfg.SignIn {
	case lakeward.WorkloadIdentity:
		out = append(out, func() (azcore.TokenCredential, error) {
			return azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true,
				ClientID: cfg.ClientID, TenantID: cfg.Tenant, TokenFilePath: cfg.TokenFile})
		})
	case lakeward.ManagedIdentity:
		options.Transport = newMetadataClient(cfg)
		o := &azidentity.ManagedIdentityCredentialOptions{ClientOptions: options}
		if cfg.ClientID != "" {
			o.ID = azidentity.ClientID(cfg.ClientID)
		}
		out = append(out, func() (azcore.TokenCredential, error) { return azidentity.NewManagedIdentityCredential(o) })
	case lakeward.Certificate:
		for _, key := range cfg.Keys {
			out = append(out, func() (azcore.TokenCredential, error) {
				certs, private, err := azidentity.ParseCertificates([]byte(key.Reveal()), nil)
				if err != nil {
					return nil, fmt.Errorf("read the certificate: %w", err)
				}
				return azidentity.NewClientCertificateCredential(cfg.Tenant, cfg.ClientID, certs, private,
					&azidentity.ClientCertificateCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true})
			})
		}
	case lakeward.AccountKey: // requests are signed, see sharedKey
	default:
		for _, key := range cfg.Keys {
			out = append(out, func() (azcore.TokenCredential, error) {
				return azidentity.NewClientSecretCredential(cfg.Tenant, cfg.ClientID, key.Reveal(),
					// The authority is fixed by the suffix (ADL-20, C8b).
					&azidentity.ClientSecretCredentialOptions{ClientOptions: options, DisableInstanceDiscovery: true})
			})
		}
	}
	return out
}

// authority sends requests for tokens, to the authority of the account's cloud and to no other host.
type authority struct {
	http *http.Client
	host string
}

// strayError is about a request that the library wanted to send to another host than the authority's.
type strayError struct{ host string }

func (e *strayError) Error() string {
	return "something in the environment leads the sign-in to " + e.host
}

// Do refuses another host: a setting in the environment must not lead credentials astray.
func (a authority) Do(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" || req.URL.Host != a.host {
		if stray, ok := req.Context().Value(strayKey{}).(*strayError); ok {
			stray.host = req.URL.Host
		}
		return nil, &strayError{req.URL.Host}
	}
	return a.http.Do(req)
}

// strayKey finds the strayError of a sign-in: the library hands no error of its transport on.
type strayKey struct{}

// get returns a token that is good for a while. A key that the authority refuses gives its turn to the next one.
func (t *tokens) get(ctx context.Context) (string, error) {
	select {
	case <-t.turn:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	defer func() { t.turn <- struct{}{} }()
	if t.current.Token != "" && time.Until(t.current.ExpiresOn) > earlyRefresh {
		return t.current.Token, nil
	}
	var refused []error
	for range t.make {
		token, err := t.ask(ctx)
		if err == nil {
			t.current = token
			return token.Token, nil
		}
		refused = append(refused, err)
		if !keyRefused(err) {
			return "", err
		}
		t.key, t.cred = (t.key+1)%len(t.make), nil
	}
	if len(refused) == 0 {
		return "", &setupError{fmt.Errorf("the account has no key")}
	}
	return "", refused[0]
}

// ask asks for a token with the key in use.
func (t *tokens) ask(ctx context.Context) (azcore.AccessToken, error) {
	if t.file != "" { // the library's error says nothing that a program could act on
		if _, err := os.ReadFile(t.file); err != nil {
			return azcore.AccessToken{}, err
		}
	}
	if t.cred == nil {
		cred, err := t.make[t.key]()
		if err != nil {
			return azcore.AccessToken{}, &setupError{err}
		}
		t.cred = cred
	}
	stray := &strayError{}
	token, err := t.cred.GetToken(context.WithValue(ctx, strayKey{}, stray), policy.TokenRequestOptions{Scopes: []string{scope}})
	if err != nil && stray.host != "" {
		return token, stray
	}
	return token, err
}

// claims are what the token in use says of itself; only shown, never believed.
type claims struct {
	Tid, Oid, Appid string
	Exp             int64
}

func (t *tokens) claims() claims {
	var out claims
	select {
	case <-t.turn:
	default:
		return out // somebody is asking for a token
	}
	defer func() { t.turn <- struct{}{} }()
	if parts := strings.Split(t.current.Token, "."); len(parts) == 3 {
		if b, err := base64.RawURLEncoding.DecodeString(parts[1]); err == nil {
			_ = json.Unmarshal(b, &out)
		}
	}
	return out
}

// drop forgets the token, and with its credential the library's copy of it.
func (t *tokens) drop() {
	<-t.turn
	t.current, t.cred = azcore.AccessToken{}, nil
	t.turn <- struct{}{}
}

// keyRefused reports whether another key may be accepted: this one is wrong, unknown or expired.
func keyRefused(err error) bool {
	failed, ok := errors.AsType[*azidentity.AuthenticationFailedError](err)
	return ok && failed.RawResponse != nil && failed.RawResponse.StatusCode == http.StatusUnauthorized
}

// setupError is about what is stored for the account: asking again does not help.
type setupError struct{ err error }

func (e *setupError) Error() string { return e.err.Error() }
func (e *setupError) Unwrap() error { return e.err }

// tokenError happened while a token was asked for; the storage was not reached.
type tokenError struct {
	err    error
	host   string // the identity authority's
	signIn lakeward.SignIn
}

func (e *tokenError) Error() string { return e.err.Error() }
func (e *tokenError) Unwrap() error { return e.err }

// retryableToken reports whether the identity provider may answer otherwise later.
func retryableToken(err error) bool {
	failed, ok := errors.AsType[*azidentity.AuthenticationFailedError](err)
	if !ok || failed.RawResponse == nil {
		_, unreadable := errors.AsType[*fs.PathError](err)
		_, stray := errors.AsType[*strayError](err)
		_, setup := errors.AsType[*setupError](err)
		return dialFailure(err) != dialFatal && !unreadable && !stray && !setup && !errors.Is(err, context.Canceled)
	}
	status := failed.RawResponse.StatusCode
	// A success that is reported as a failure is a damaged answer.
	return status < 300 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || status >= 500
}
