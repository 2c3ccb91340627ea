package emulator

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/lakeward/lakeward"
)

// Defaults of the lake that commands make.
const (
	DefaultAccount   = "local"
	DefaultContainer = "exports"
)

// meta is the folder of everything that is not content.
const meta = ".meta"

// reservedNames are those of the folders in .meta that are no account's.
func reservedNames() []string { return []string{"pending", "blocks", "tls", "lock", "tmp", "trash"} }

// config is what a lake keeps of itself in .meta/config.json.
type config struct {
	Tenant   string        `json:"tenant"`
	Clients  []client      `json:"clients"`
	Accounts []accountConf `json:"accounts"`
}

// client is an application that may ask for tokens.
type client struct {
	ID       string            `json:"id"`
	ObjectID string            `json:"objectId"`
	Secret   string            `json:"secret"`
	Expired  bool              `json:"expired,omitempty"`
	Keys     []string          `json:"keys,omitempty"`  // PEM of public keys whose signed assertions are accepted
	Roles    map[string]string `json:"roles,omitempty"` // by account/container; "*" for all others
}

type accountConf struct {
	Name string `json:"name"`
	Key  string `json:"key"`
	Flat bool   `json:"flat,omitempty"`
	// Tenant is the account's, if it is not that of the lake.
	Tenant string `json:"tenant,omitempty"`
	// Service are the settings of the blob service, in XML; "" for the usual ones.
	Service string `json:"service,omitempty"`
}

// Options are the wishes for a new or an opened lake. The zero value is a lake with one
// account and one container on free ports of the loopback interface.
type Options struct {
	Listen string // address of the TLS port
	// HTTP, Proxy and Faults are the addresses of a plain port, of a proxy for clients that insist on the
	// service's host names, and of a port that controls faults; "" for none. All on loopback.
	HTTP, Proxy, Faults string
	// Accounts are the accounts that the lake must have, as NAME or NAME:flat for one without hierarchical
	// namespace; a new lake has these, or the usual one.
	Accounts   []string
	AccountKey string // of the first account; "" keeps or draws one
	// Client makes the client that may sign in; the zero value keeps or draws one.
	TenantID, ClientID, ClientSecret string
	TokenTTL                         int  // seconds; 0 means 3,599
	Memory                           bool // keep everything in memory; the folder is ignored
	// NoSync leaves the writing of files to the operating system; for tests of speed only.
	NoSync bool
}

const configName = meta + "/config.json"

// loadConfig reads the lake's configuration, or makes it on the first start.
func loadConfig(root *os.Root, opt Options) (*config, error) {
	c := &config{}
	b, err := root.ReadFile(configName)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.Tenant = lakeward.NewID()
		c.Clients = []client{{ID: lakeward.NewID(), ObjectID: lakeward.NewID(), Secret: randomText(30), Roles: map[string]string{"*": contributor}}}
		if len(opt.Accounts) == 0 {
			opt.Accounts = []string{DefaultAccount}
		}
	case err != nil:
		return nil, fmt.Errorf("read the lake's configuration: %w", err)
	default:
		if err := json.Unmarshal(b, c); err != nil || len(c.Clients) == 0 || len(c.Accounts) == 0 {
			return nil, fmt.Errorf("the lake's configuration %s is damaged: %w", configName, err)
		}
	}
	if opt.TenantID != "" {
		c.Tenant = opt.TenantID
	}
	if opt.ClientID != "" {
		c.Clients[0].ID = opt.ClientID
	}
	if opt.ClientSecret != "" {
		c.Clients[0].Secret = opt.ClientSecret
	}
	for _, a := range opt.Accounts {
		name, kind, given := strings.Cut(a, ":")
		if _, err := lakeward.ParseLocation("abfss://" + DefaultContainer + "@" + name + ".dfs." + lakeward.EmulatorSuffix); err != nil || given && kind != "flat" || slices.Contains(reservedNames(), name) {
			return nil, &lakeward.Error{Kind: lakeward.Invalid, Code: "LAKE-1005", Msg: "an account is NAME or NAME:flat, with 3 to 24 lower-case letters and digits, not " + lakeward.Quote(a)}
		}
		if c.account(name) == nil {
			c.Accounts = append(c.Accounts, accountConf{Name: name, Key: randomKey(), Flat: given})
		}
	}
	if opt.AccountKey != "" {
		if _, err := base64.StdEncoding.DecodeString(opt.AccountKey); err != nil {
			return nil, &lakeward.Error{Kind: lakeward.Invalid, Code: "LAKE-1006", Msg: "the account key is no base64"}
		}
		c.Accounts[0].Key = opt.AccountKey
	}
	return c, saveJSON(root, configName, c)
}

func (c *config) account(name string) *accountConf {
	for i := range c.Accounts {
		if c.Accounts[i].Name == name {
			return &c.Accounts[i]
		}
	}
	return nil
}

// saveJSON replaces a small file in one step, mode 0600.
func saveJSON(root *os.Root, name string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	tmp := name + ".tmp"
	if err := root.WriteFile(tmp, append(b, '\n'), 0o600); err != nil {
		return err
	}
	return root.Rename(tmp, name)
}

func randomKey() string {
	var b [64]byte
	_, _ = rand.Read(b[:])
	return base64.StdEncoding.EncodeToString(b[:])
}

// randomText draws n bytes as text without characters that need care.
func randomText(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return base64.RawURLEncoding.EncodeToString(b)
}
