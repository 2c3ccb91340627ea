package engine

import (
	"context"
	"errors"
	"fmt"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/lake"
)

// cachedClient is the client of an account as it was when it was made.
type cachedClient struct {
	credentials string
	client      *lake.Client
}

// credentials is a text that changes when an account's client has to be made anew.
func credentials(a lakeward.Account) string {
	return fmt.Sprint(a.URL, " ", a.SignIn, " ", a.Tenant, " ", a.ClientID, " ", a.TokenFile, a.KeyInfo, a.SecondKeyInfo)
}

// CreateAccount checks the fields, then, unless untested, the connection, and stores the account (CON-06).
func (e *Engine) CreateAccount(ctx context.Context, a lakeward.Account, untested bool) (lakeward.Account, []lakeward.Check, error) {
	a.ID, a.CreatedAt = lakeward.AccountID(lakeward.NewID()), now()
	if a.EncryptionKey != nil {
		var err error
		if a.EncryptionKey, err = readKey("/encryptionKey", a.EncryptionKey.PublicKey); err != nil {
			return a, nil, err
		}
	}
	checks, err := e.admit(ctx, &a, untested, a.Keys()...)
	if err != nil {
		return a, checks, err
	}
	a, err = e.store.CreateAccount(ctx, a)
	return a, checks, err
}

// AccountEdit is what changes of an account: the fields that are not nil, the keys that are set.
type AccountEdit struct {
	Name, Description, URL, Tenant, ClientID, TokenFile *string
	SignIn                                              *lakeward.SignIn
	Key, SecondKey                                      lakeward.Secret
	DropSecondKey                                       bool
	// EncryptionKey is the text of a new public key; "" drops the one that is there (ACC-03).
	EncryptionKey *string
}

// apply changes the account. Stored keys are for the place and the application that they were entered for: a
// change of these clears the keys that are not entered again (C2c).
func (x AccountEdit) apply(a *lakeward.Account) {
	before := *a
	for _, f := range []struct{ to, from *string }{{&a.Name, x.Name}, {&a.Description, x.Description}, {&a.URL, x.URL}, {&a.Tenant, x.Tenant}, {&a.ClientID, x.ClientID}, {&a.TokenFile, x.TokenFile}} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	if x.SignIn != nil {
		a.SignIn = *x.SignIn
	}
	if a.URL != before.URL || a.Tenant != before.Tenant || a.ClientID != before.ClientID || a.SignIn != before.SignIn || a.TokenFile != before.TokenFile {
		a.Key, a.SecondKey, a.KeyInfo, a.SecondKeyInfo = lakeward.Secret{}, lakeward.Secret{}, lakeward.SecretInfo{}, lakeward.SecretInfo{}
	}
	if x.Key.IsSet() {
		a.Key = x.Key
	}
	if x.DropSecondKey {
		a.SecondKey, a.SecondKeyInfo = lakeward.Secret{}, lakeward.SecretInfo{}
	}
	if x.SecondKey.IsSet() {
		a.SecondKey = x.SecondKey
	}
}

// EditAccount changes an account; unless untested, the connection must work with what is new (ACC-03).
// Nothing is stored if it does not.
func (e *Engine) EditAccount(ctx context.Context, sandbox, ref string, x AccountEdit, untested bool) (lakeward.Account, []lakeward.Check, error) {
	a, err := e.store.Account(ctx, sandbox, ref)
	if err != nil {
		return a, nil, err
	}
	if a, err = e.store.OpenKeys(ctx, a); err != nil && !x.Key.IsSet() {
		return a, nil, err
	}
	before := a
	x.apply(&a)
	if x.EncryptionKey != nil {
		a.EncryptionKey = nil
		if *x.EncryptionKey != "" {
			if a.EncryptionKey, err = readKey("/encryptionKey", *x.EncryptionKey); err != nil {
				return a, nil, err
			}
		}
	}
	checks, err := e.admit(ctx, &a, untested, x.Key, x.SecondKey)
	if err != nil {
		return a, checks, err
	}
	a.Key, a.SecondKey = x.Key, x.SecondKey // those that are stored stay as they are
	a, err = e.store.EditAccount(ctx, before, a, now())
	return a, checks, err
}

// admit checks the fields of an account that is to be stored, then, unless untested, the connection with its new keys.
func (e *Engine) admit(ctx context.Context, a *lakeward.Account, untested bool, keys ...lakeward.Secret) ([]lakeward.Check, error) {
	if err := a.Validate(); err != nil {
		return nil, err
	}
	location, err := lakeward.ParseLocation(a.URL)
	if err != nil {
		return nil, err
	}
	a.URL, a.State, a.StateCause = location.URL(), lakeward.AccountUntested, ""
	if untested {
		return nil, nil
	}
	checks, err := e.connectKeys(ctx, *a, keys...)
	if err != nil {
		return checks, err
	}
	at := now()
	a.State, a.TestedAt = lakeward.AccountConnected, &at
	return checks, nil
}

// connectKeys tries each new key alone, so that a good one does not hide a bad one; without a new one the
// account as it is.
func (e *Engine) connectKeys(ctx context.Context, a lakeward.Account, keys ...lakeward.Secret) (checks []lakeward.Check, err error) {
	tried := false
	for _, k := range keys {
		if !k.IsSet() {
			continue
		}
		alone := a
		alone.Key, alone.SecondKey = k, lakeward.Secret{}
		tried = true
		if checks, err = e.connect(ctx, alone); err != nil {
			return checks, err
		}
	}
	if tried {
		return checks, nil
	}
	return e.connect(ctx, a)
}

// TestAccount tries the connection of a stored account and notes the outcome (ACC-05).
func (e *Engine) TestAccount(ctx context.Context, sandbox, ref string) (lakeward.Account, []lakeward.Check, error) {
	a, err := e.store.Account(ctx, sandbox, ref)
	if err != nil {
		return a, nil, err
	}
	if a, err = e.store.OpenKeys(ctx, a); err != nil {
		return a, nil, err
	}
	checks, err := e.connect(ctx, a)
	at := now()
	a.TestedAt, a.State, a.StateCause = &at, lakeward.AccountConnected, ""
	if err != nil {
		a.State, a.StateCause = lakeward.AccountFailing, lakeward.Message(err)
	}
	return a, checks, errors.Join(err, e.store.NoteTest(ctx, a))
}

// connect runs the doctor's checks at the root of the container. Rights on one folder only are no
// failure there: the destination's folder is tested when it is made (ADL-80).
func (e *Engine) connect(ctx context.Context, a lakeward.Account) ([]lakeward.Check, error) {
	checks, _, err := e.examine(ctx, a, lake.Probe{Root: true}, nil)
	return checks, err
}

// examine collects the doctor's checks; tell, if not nil, hears each as it is done. It returns the mode of deliveries too.
func (e *Engine) examine(ctx context.Context, a lakeward.Account, p lake.Probe, tell func(lakeward.Check)) ([]lakeward.Check, lakeward.Mode, error) {
	location, err := lakeward.ParseLocation(a.URL)
	if err != nil {
		return nil, "", err
	}
	checks := []lakeward.Check{{ID: "DOC-01", Name: "fields", OK: true, Detail: fmt.Sprintf("container %s, account %s, cloud %s", location.Container, location.Account, location.Suffix)}}
	if tell != nil {
		tell(checks[0])
	}
	mode, err := lake.Doctor(ctx, e.lakeConfig(a, location, lake.Interactive()), p, func(c lakeward.Check) {
		checks = append(checks, c)
		if tell != nil {
			tell(c)
		}
	})
	if err == nil && a.EncryptionKey != nil {
		c := keyCheck(a.EncryptionKey)
		checks = append(checks, c)
		if tell != nil {
			tell(c)
		}
		err = checkKeys([]lakeward.EncryptionKey{*a.EncryptionKey}, now())
	}
	return checks, mode, err
}

// Examination says what the doctor looks at: a stored account, the folder of a destination, or credentials
// that are not stored.
type Examination struct {
	Sandbox         string
	Account         string           // name or id
	Destination     string           // name or id; its folder is probed
	Fields          lakeward.Account // if neither is named
	Folder          string           // probed with Fields
	CreateContainer bool
}

// Doctor tries everything that a delivery needs and tells each check as it is done (DOC-01 to DOC-13).
func (e *Engine) Doctor(ctx context.Context, x Examination, tell func(lakeward.Check)) ([]lakeward.Check, error) {
	a, p := x.Fields, lake.Probe{Folder: x.Folder, Root: x.Destination == "" && x.Folder == "", CreateContainer: x.CreateContainer}
	if x.Destination != "" {
		d, err := e.store.Destination(ctx, x.Sandbox, x.Destination)
		if err != nil {
			return nil, err
		}
		x.Account, p.Folder = string(d.AccountID), lakeward.FolderBase(d.Folder)
	}
	var err error
	if x.Account == "" {
		if a.Name == "" {
			a.Name = "unnamed"
		}
		err = a.Validate()
	} else if a, err = e.store.Account(ctx, x.Sandbox, x.Account); err == nil {
		a, err = e.store.OpenKeys(ctx, a)
	}
	if err != nil {
		return nil, err
	}
	checks, _, err := e.examine(ctx, a, p, tell)
	return checks, err
}

func (e *Engine) lakeConfig(a lakeward.Account, at lakeward.Location, retry lake.Retry) lake.Config {
	return lake.Config{Location: at, SignIn: a.SignIn, Tenant: a.Tenant, ClientID: a.ClientID, TokenFile: a.TokenFile, Keys: a.Keys(), Endpoints: e.cfg.Endpoints, Network: e.cfg.Network,
		Version: e.cfg.Version, Retry: retry, Block: e.cfg.Block}
}

func (e *Engine) newClient(a lakeward.Account, retry lake.Retry) (*lake.Client, error) {
	location, err := lakeward.ParseLocation(a.URL)
	if err != nil {
		return nil, err
	}
	return lake.New(e.lakeConfig(a, location, retry))
}

// client returns the client of a stored account, with its credentials of today, for a url; "" is the account's
// own. Runs of one account share it, and with it the limit of requests in flight.
func (e *Engine) client(ctx context.Context, sandbox string, id lakeward.AccountID, url string) (*lake.Client, error) {
	a, err := e.store.Account(ctx, sandbox, string(id))
	if err != nil {
		return nil, err
	}
	if url != "" {
		a.URL = url
	}
	key := string(id) + " " + a.URL
	e.mu.Lock()
	defer e.mu.Unlock()
	old, ok := e.clients[key]
	if ok && old.credentials == credentials(a) {
		return old.client, nil
	}
	if a, err = e.store.OpenKeys(ctx, a); err != nil {
		return nil, err
	}
	c, err := e.newClient(a, e.cfg.Retry)
	if err == nil {
		e.clients[key] = cachedClient{credentials(a), c}
	}
	return c, err
}
