package lake

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// scope is the same in all clouds (ADL-13).
const scope = "https://storage.azure.com/.default"

// earlyRefresh is how long before its end a token is replaced (ADL-21).
const earlyRefresh = 5 * time.Minute

// tokens keeps the account's token. One request at a time asks for a new one; the others wait for it.
type tokens struct {
	make    func() (azcore.TokenCredential, error)
	turn    chan struct{} // holds one value: the right to touch what follows
	current azcore.AccessToken
	cred    azcore.TokenCredential
}

func newTokens(cfg Config, hc *http.Client) *tokens {
	t := &tokens{turn: make(chan struct{}, 1)}
	t.make = func() (azcore.TokenCredential, error) {
		return azidentity.NewClientSecretCredential(cfg.Tenant, cfg.ClientID, cfg.Key.Reveal(), &azidentity.ClientSecretCredentialOptions{
			DisableInstanceDiscovery: true, // the authority is fixed by the suffix (ADL-20, C8b)
			ClientOptions: azcore.ClientOptions{
				Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: "https://" + cfg.Location.Authority() + "/"},
				Transport: hc,
				Retry:     policy.RetryOptions{MaxRetries: -1}, // ours repeats (ADL-69)
				Telemetry: policy.TelemetryOptions{Disabled: true},
			},
		})
	}
	t.turn <- struct{}{}
	return t
}

// get returns a token that is good for a while.
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
	if t.cred == nil {
		cred, err := t.make()
		if err != nil {
			return "", err
		}
		t.cred = cred
	}
	token, err := t.cred.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{scope}})
	if err != nil {
		return "", err
	}
	t.current = token
	return token.Token, nil
}

// drop forgets the token, and with its credential the library's copy of it.
func (t *tokens) drop() {
	<-t.turn
	t.current, t.cred = azcore.AccessToken{}, nil
	t.turn <- struct{}{}
}

// tokenError happened while a token was asked for; the storage was not reached.
type tokenError struct {
	err  error
	host string // the identity authority's
}

func (e *tokenError) Error() string { return e.err.Error() }
func (e *tokenError) Unwrap() error { return e.err }

// retryableToken reports whether the identity provider may answer otherwise later.
func retryableToken(err error) bool {
	failed, ok := errors.AsType[*azidentity.AuthenticationFailedError](err)
	if !ok || failed.RawResponse == nil {
		return dialFailure(err) != dialFatal && !errors.Is(err, context.Canceled)
	}
	status := failed.RawResponse.StatusCode
	// A success that is reported as a failure is a damaged answer.
	return status < 300 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout || status >= 500
}
