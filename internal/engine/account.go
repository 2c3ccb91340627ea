package engine

import (
	"context"
	"errors"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/lake"
)

// cachedClient is the client of an account at one version of its key.
type cachedClient struct {
	version int
	url     string
	client  *lake.Client
}

// CreateAccount checks the fields, then, unless untested, the connection, and stores the account (CON-06).
func (e *Engine) CreateAccount(ctx context.Context, a lakeward.Account, untested bool) (lakeward.Account, []lakeward.Check, error) {
	a.ID, a.CreatedAt, a.State = lakeward.AccountID(lakeward.NewID()), now(), lakeward.AccountUntested
	if err := a.Validate(); err != nil {
		return a, nil, err
	}
	location, err := lakeward.ParseLocation(a.URL)
	if err != nil {
		return a, nil, err
	}
	a.URL = location.URL()
	var checks []lakeward.Check
	if !untested {
		if checks, err = e.connect(ctx, a); err != nil {
			return a, checks, err
		}
		at := now()
		a.State, a.TestedAt = lakeward.AccountConnected, &at
	}
	a, err = e.store.CreateAccount(ctx, a)
	return a, checks, err
}

// TestAccount tries the connection of a stored account and notes the outcome (ACC-05).
func (e *Engine) TestAccount(ctx context.Context, sandbox, ref string) (lakeward.Account, []lakeward.Check, error) {
	a, err := e.store.Account(ctx, sandbox, ref)
	if err != nil {
		return a, nil, err
	}
	if a.Key, err = e.store.AccountKey(ctx, a); err != nil {
		return a, nil, err
	}
	checks, err := e.connect(ctx, a)
	at := now()
	a.TestedAt, a.State, a.StateCause = &at, lakeward.AccountConnected, ""
	if err != nil {
		a.State, a.StateCause = lakeward.AccountFailing, lakeward.Message(err)
	}
	return a, checks, errors.Join(err, e.store.UpdateAccount(ctx, a))
}

// connect obtains a token and looks at the container. 403 there is no failure: rights may cover a folder only (ADL-80).
func (e *Engine) connect(ctx context.Context, a lakeward.Account) ([]lakeward.Check, error) {
	client, err := e.newClient(a, lake.Interactive())
	if err != nil {
		return nil, err
	}
	defer client.Close()
	started := time.Now()
	fs, err := client.Filesystem(ctx)
	ms := time.Since(started).Milliseconds()
	signedIn := lakeward.Check{ID: "DOC-05", Name: "token", OK: true, Millis: ms, Detail: "the identity provider accepts tenant, application and key"}
	looked := lakeward.Check{ID: "DOC-06", Name: "container", OK: true, Millis: ms, Detail: "the container exists"}
	failed, _ := errors.AsType[*lakeward.Error](err)
	switch {
	case err == nil && !fs.Hierarchical:
		return []lakeward.Check{signedIn}, &lakeward.Error{Kind: lakeward.Invalid, Code: "CONN-2011",
			Msg: "the account has no hierarchical namespace; this version needs one, since files are published by rename"}
	case err == nil:
		return []lakeward.Check{signedIn, looked}, nil
	case failed != nil && lake.RunCode(err) == lakeward.FailForbidden && failed.Code != "CONN-2111":
		looked.Code, looked.Detail = failed.Code, "connected, folder not yet tested: the container's root may not be read"
		return []lakeward.Check{signedIn, looked}, nil
	case failed != nil && (lake.RunCode(err) == lakeward.FailAuth || failed.Code == "CONN-2103"):
		signedIn.OK, signedIn.Code, signedIn.Detail = false, failed.Code, failed.Msg
		return []lakeward.Check{signedIn}, err
	}
	looked.OK, looked.Code, looked.Detail = false, lakeward.CodeOf(err), lakeward.Message(err)
	return []lakeward.Check{looked}, err
}

func (e *Engine) newClient(a lakeward.Account, retry lake.Retry) (*lake.Client, error) {
	location, err := lakeward.ParseLocation(a.URL)
	if err != nil {
		return nil, err
	}
	return lake.New(lake.Config{Location: location, Tenant: a.Tenant, ClientID: a.ClientID, Key: a.Key, Endpoints: e.cfg.Endpoints,
		Network: e.cfg.Network, Version: e.cfg.Version, Retry: retry, Block: e.cfg.Block})
}

// client returns the client of a stored account; runs of one account share it, and with it the limit of requests in flight.
func (e *Engine) client(ctx context.Context, sandbox string, id lakeward.AccountID) (*lake.Client, lakeward.Account, error) {
	a, err := e.store.Account(ctx, sandbox, string(id))
	if err != nil {
		return nil, a, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if c, ok := e.clients[id]; ok && c.version == a.KeyInfo.Version && c.url == a.URL+a.Tenant+a.ClientID {
		return c.client, a, nil
	}
	if a.Key, err = e.store.AccountKey(ctx, a); err != nil {
		return nil, a, err
	}
	c, err := e.newClient(a, e.cfg.Retry)
	if err == nil {
		e.clients[id] = cachedClient{a.KeyInfo.Version, a.URL + a.Tenant + a.ClientID, c}
	}
	return c, a, err
}
