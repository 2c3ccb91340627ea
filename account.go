package lakeward

import (
	"crypto/rsa"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// AccountID identifies an account.
type AccountID string

// AccountState says whether the credentials worked when they were last used.
type AccountState string

// The states of an account (ACC-05).
const (
	AccountUntested  AccountState = "untested"
	AccountConnected AccountState = "connected"
	AccountFailing   AccountState = "failing"
)

// SignIn is the way an account proves who it is.
type SignIn string

// The ways to sign in. The empty one is ClientSecret.
const (
	ClientSecret     SignIn = "client-secret"     // the key is a secret of an app registration
	Certificate      SignIn = "certificate"       // the key is the PEM of its certificate and private key
	WorkloadIdentity SignIn = "workload-identity" // a file that the platform renews holds a federated token
	ManagedIdentity  SignIn = "managed-identity"  // the machine's own; the client id names one of several
	AccountKey       SignIn = "account-key"       // the key opens the whole storage account
)

// SignIns lists the ways to sign in.
func SignIns() []SignIn {
	return []SignIn{ClientSecret, Certificate, WorkloadIdentity, ManagedIdentity, AccountKey}
}

// AccountKeyWarning is told whenever an account with an account key is made or tried.
const AccountKeyWarning = "warning: an account key opens every container of the storage account and cannot be restricted; prefer an app registration with a role on one container"

// Keyed reports whether signing in needs a stored key.
func (s SignIn) Keyed() bool { return s != WorkloadIdentity && s != ManagedIdentity }

// Principal reports whether an app registration signs in, which has a tenant and a client id.
func (s SignIn) Principal() bool { return s != ManagedIdentity && s != AccountKey }

// Account holds the stored credentials of one storage account (OBJ-02). While a key is being replaced
// two may be stored: the second is tried when the first is refused.
type Account struct {
	ID            AccountID  `json:"id"`
	Sandbox       string     `json:"sandbox"`
	Name          string     `json:"name"`
	Description   string     `json:"description,omitempty"`
	URL           string     `json:"url"`
	SignIn        SignIn     `json:"signIn,omitempty"`
	Tenant        string     `json:"tenant"`
	ClientID      string     `json:"servicePrincipalId"`
	TokenFile     string     `json:"tokenFile,omitempty"` // of WorkloadIdentity
	Key           Secret     `json:"-"`
	KeyInfo       SecretInfo `json:"servicePrincipalKey"`
	SecondKey     Secret     `json:"-"`
	SecondKeyInfo SecretInfo `json:"secondKey,omitzero"`
	// EncryptionKey, if there is one, is what every file of the account's destinations is encrypted to (ENC-01).
	EncryptionKey *EncryptionKey `json:"encryptionKey,omitempty"`
	State         AccountState   `json:"state"`
	StateCause    string         `json:"stateCause,omitempty"`
	CreatedAt     time.Time      `json:"createdAt"`
	TestedAt      *time.Time     `json:"testedAt,omitempty"`
}

// Keys lists the keys that are open, the first one first.
func (a Account) Keys() []Secret {
	var out []Secret
	for _, k := range []Secret{a.Key, a.SecondKey} {
		if k.IsSet() {
			out = append(out, k)
		}
	}
	return out
}

// SecretInfo is all that anybody learns about a stored secret (C2).
type SecretInfo struct {
	Set       bool      `json:"set"`
	Version   int       `json:"version,omitempty"`
	UpdatedAt time.Time `json:"updatedAt,omitzero"`
}

// Location is a parsed connection URL: container, account and cloud suffix.
type Location struct {
	Container string // "exports"
	Account   string // "acct123"
	Suffix    string // "core.windows.net"
}

// Host is the name of the account's dfs host.
func (l Location) Host() string { return l.Account + ".dfs." + l.Suffix }

// URL is the canonical connection URL.
func (l Location) URL() string {
	return "abfss://" + l.Container + "@" + l.Host()
}

// A Cloud is one Azure cloud: the suffix of its storage hosts and its identity authority (ADL-12).
type Cloud struct{ Suffix, Authority string }

// EmulatorSuffix is the suffix of the built-in lake; DNS never resolves it (ADL-12).
const EmulatorSuffix = "lake.internal"

// Clouds lists the clouds that a connection URL may name.
func Clouds() []Cloud {
	return []Cloud{
		{"core.windows.net", "login.microsoftonline.com"},
		{"core.usgovcloudapi.net", "login.microsoftonline.us"},
		{"core.chinacloudapi.cn", "login.chinacloudapi.cn"},
		{EmulatorSuffix, "login." + EmulatorSuffix},
	}
}

// Authority is the host name of the identity authority of the location's cloud.
func (l Location) Authority() string {
	for _, c := range Clouds() {
		if c.Suffix == l.Suffix {
			return c.Authority
		}
	}
	return ""
}

const (
	maxURL      = 256
	maxName     = 255
	maxText     = 4096
	minAccount  = 3
	maxAccount  = 24
	minContain  = 3
	maxContain  = 63
	maxSecret   = 1024
	maxPEM      = 64 << 10
	urlExample  = "abfss://<container>@<account>.dfs.core.windows.net"
	schemeABFSS = "abfss://"
)

// ParseLocation parses a connection URL by a grammar of its own, on raw bytes (CON-05, C8a).
// The error has code CONN-1001, CONN-1002, CONN-1008 or CONN-1009 and never echoes the URL.
func ParseLocation(url string) (Location, error) {
	bad := func(format string, args ...any) (Location, error) {
		return Location{}, invalid("CONN-1002", format+"; the form is "+urlExample, args...)
	}
	lower := strings.ToLower(url)
	switch {
	case url == "":
		return Location{}, invalid("CONN-1001", "url is required; the form is %s", urlExample)
	case len(url) > maxURL:
		return bad("the url is longer than %d characters", maxURL)
	case strings.Contains(lower, "accountkey=") || strings.HasPrefix(lower, "defaultendpointsprotocol="):
		return Location{}, invalid("CONN-1008", "this is a connection string, not a url; rotate the key if it was shared; the form is %s", urlExample)
	}
	for i := range len(url) {
		c := url[i]
		switch {
		case c == '%':
			return bad("percent-encoding is not allowed in the url")
		case c <= ' ' || c >= 0x7f:
			r, _ := utf8.DecodeRuneInString(url[i:])
			return bad("the character U+%04X at position %d is not allowed in the url", r, i+1)
		case strings.IndexByte("?#\\", c) >= 0:
			return bad("%q is not allowed in the url", string(c))
		}
	}
	if !strings.HasPrefix(url, schemeABFSS) {
		return bad("the scheme must be abfss")
	}
	rest := strings.TrimSuffix(url[len(schemeABFSS):], "/")
	container, host, found := strings.Cut(rest, "@")
	switch {
	case !found:
		return bad("the container is missing before @")
	case strings.Contains(host, "@"):
		return bad("the url must hold exactly one @")
	case strings.Contains(container, ":"):
		return bad("no password may stand in the url")
	case strings.Contains(container, "/"):
		return bad("the container must stand between abfss:// and @")
	}
	host, path, hasPath := strings.Cut(host, "/")
	if hasPath || path != "" {
		return bad("put the folder into Folder path, not into the url")
	}
	return parseHost(container, host)
}

// parseHost checks container and host of a connection URL.
func parseHost(container, host string) (Location, error) {
	bad := func(format string, args ...any) (Location, error) {
		return Location{}, invalid("CONN-1002", format+"; the form is "+urlExample, args...)
	}
	if name, _, _ := strings.Cut(host, ":"); name == "localhost" {
		return Location{}, invalid("CONN-1009", "a local lake is reached by its endpoints file, not by localhost in the url")
	}
	if strings.Contains(host, ".blob.") {
		return bad("this is the blob endpoint; the dfs endpoint is needed")
	}
	account, suffix, found := strings.Cut(host, ".dfs.")
	known := false
	for _, c := range Clouds() {
		known = known || c.Suffix == suffix
	}
	if !found || !known {
		return bad("the host must end in .dfs.core.windows.net, .dfs.core.usgovcloudapi.net or .dfs.core.chinacloudapi.cn")
	}
	if !between(account, minAccount, maxAccount) || !onlyOf(account, false) {
		return bad("the account name has %d to %d lower-case letters and digits", minAccount, maxAccount)
	}
	if container != strings.ToLower(container) {
		return bad("containers are lower-case")
	}
	if !between(container, minContain, maxContain) || !onlyOf(container, true) || strings.Contains(container, "--") ||
		container[0] == '-' || container[len(container)-1] == '-' {
		return bad("the container name has %d to %d lower-case letters, digits and single inner hyphens", minContain, maxContain)
	}
	return Location{Container: container, Account: account, Suffix: suffix}, nil
}

func between(s string, lo, hi int) bool { return len(s) >= lo && len(s) <= hi }

func onlyOf(s string, hyphen bool) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || hyphen && c == '-') {
			return false
		}
	}
	return true
}

// Validate checks the fields of a new account; all that is wrong is reported at once.
// It normalises the tenant and the client id (T02).
func (a *Account) Validate() error {
	var errs fieldErrors
	checkName(&errs, a.Name)
	checkText(&errs, "/description", a.Description)
	if _, err := ParseLocation(a.URL); err != nil {
		errs.adopt("/url", err)
	}
	a.Tenant = normalGUID(a.Tenant)
	a.ClientID = normalGUID(a.ClientID)
	a.checkSignIn(&errs)
	return errs.err("the account")
}

// checkSignIn checks what the account's way to sign in needs, and that nothing else is given.
func (a *Account) checkSignIn(errs *fieldErrors) {
	if a.SignIn == "" {
		a.SignIn = ClientSecret
	}
	if !slices.Contains(SignIns(), a.SignIn) {
		errs.add("/signIn", "CONN-1003", "%s is no way to sign in; there are %s", Quote(string(a.SignIn)), joinWords(SignIns()))
		return
	}
	if a.SignIn.Principal() {
		checkTenant(errs, a.Tenant)
	} else if a.Tenant != "" {
		errs.add("/tenant", "CONN-1102", "%s takes no tenant", a.SignIn)
	}
	if !IsID(a.ClientID) && (a.SignIn.Principal() || a.ClientID != "") {
		errs.add("/servicePrincipalId", "CONN-1201", "the Application (client) ID of the app registration is needed, a GUID")
	}
	switch {
	case a.SignIn == WorkloadIdentity && !filepath.IsAbs(a.TokenFile):
		errs.add("/tokenFile", "CONN-1003", "the absolute path of the file with the federated token is needed")
	case a.SignIn != WorkloadIdentity && a.TokenFile != "":
		errs.add("/tokenFile", "CONN-1003", "only workload-identity takes a token file")
	}
	checkKeyOf(errs, a.SignIn, "/servicePrincipalKey", a.Key.Reveal())
	if a.SecondKey.IsSet() {
		checkKeyOf(errs, a.SignIn, "/secondKey", a.SecondKey.Reveal())
	}
}

func joinWords[T ~string](words []T) string {
	var out []string
	for _, w := range words {
		out = append(out, string(w))
	}
	return strings.Join(out, ", ")
}

// accountKeyBytes is the length of a storage account's key.
const accountKeyBytes = 64

// checkKeyOf checks the key that a way to sign in needs; its text and length are never shown.
func checkKeyOf(errs *fieldErrors, how SignIn, pointer, key string) {
	switch how {
	case ClientSecret:
		checkKey(errs, pointer, key)
	case Certificate:
		pair, err := tls.X509KeyPair([]byte(key), []byte(key))
		if _, isRSA := pair.PrivateKey.(*rsa.PrivateKey); err != nil || !isRSA || len(key) > maxPEM {
			errs.add(pointer, "CONN-1304", "the file must hold the certificate and its private RSA key, both in PEM, the key without a password")
		}
	case AccountKey:
		if b, err := base64.StdEncoding.DecodeString(key); err != nil || len(b) != accountKeyBytes {
			errs.add(pointer, "CONN-1304", "this is no key of a storage account; copy key1 or key2 under Access keys, not the connection string")
		}
	case WorkloadIdentity, ManagedIdentity:
		if key != "" {
			errs.add(pointer, "CONN-1304", "%s takes no key", how)
		}
	}
}

// checkTenant accepts a GUID or a domain name (T01 to T05).
func checkTenant(errs *fieldErrors, tenant string) {
	const pointer = "/tenant"
	switch {
	case tenant == "":
		errs.add(pointer, "CONN-1101", "tenant is required: the tenant id or a domain name of it")
	case tenant == "common" || tenant == "organizations" || tenant == "consumers":
		errs.add(pointer, "CONN-1102", "a specific tenant is required, not %s", tenant)
	case !IsID(tenant) && !isDomain(tenant):
		errs.add(pointer, "CONN-1102", "the tenant is a GUID or a domain name such as contoso.onmicrosoft.com")
	}
}

func isDomain(s string) bool {
	labels := strings.Split(s, ".")
	if len(s) > 253 || len(labels) < 2 {
		return false
	}
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' || !onlyOf(strings.ToLower(l), true) {
			return false
		}
	}
	return true
}

// checkKey checks the service principal key; its text and length are never shown (S01 to S05).
func checkKey(errs *fieldErrors, pointer, key string) {
	switch {
	case strings.TrimSpace(key) == "":
		errs.add(pointer, "CONN-1301", "the service principal key is required: the secret value of the app registration")
	case len(key) > maxSecret:
		errs.add(pointer, "CONN-1304", "the key is longer than 1,024 bytes")
	case strings.TrimSpace(key) != key:
		errs.add(pointer, "CONN-1302", "the key starts or ends with white space; remove it")
	case strings.Trim(key, "*") == "":
		errs.add(pointer, "CONN-1303", "this is a mask, not a key; enter the secret value again")
	case IsID(normalGUID(key)):
		errs.add(pointer, "CONN-1202", "this looks like the secret id; the secret value is needed")
	default:
		for i := range len(key) {
			if key[i] < 0x20 || key[i] >= 0x7f {
				errs.add(pointer, "CONN-1304", "the character at position %d is not printable ASCII", i+1)
				return
			}
		}
	}
}

func normalGUID(s string) string {
	g := strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(s, "{"), "}"))
	if IsID(g) {
		return g
	}
	return s
}

// checkName accepts 1 to 255 characters without control characters.
func checkName(errs *fieldErrors, name string) {
	switch {
	case strings.TrimSpace(name) == "":
		errs.add("/name", "NAME-1001", "a name is required")
	case utf8.RuneCountInString(name) > maxName:
		errs.add("/name", "NAME-1001", "the name is longer than %d characters", maxName)
	case !utf8.ValidString(name) || strings.IndexFunc(name, unicode.IsControl) >= 0:
		errs.add("/name", "NAME-1001", "the name holds a control character or is not UTF-8")
	}
}

// plainName reports whether a word is UTF-8 of at most so many characters, without control characters.
func plainName(s string, most int) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= most && strings.IndexFunc(s, unicode.IsControl) < 0
}

// checkText accepts a free text without the shapes of known secrets (S13).
func checkText(errs *fieldErrors, pointer, text string) {
	if len(text) > maxText {
		errs.add(pointer, "COMMON-1021", "the text is longer than %d bytes", maxText)
	}
	for _, shape := range []string{"AccountKey=", "sig=", "PRIVATE KEY"} {
		if strings.Contains(text, shape) {
			errs.add(pointer, "COMMON-1020", "the text seems to hold a secret (%s); remove it and rotate the secret", shape)
		}
	}
}

// String names the account without its secret.
func (a Account) String() string { return fmt.Sprintf("account %s (%s)", a.Name, a.ID) }
