package lakeward

import (
	"regexp"
	"strings"
	"time"
)

// Namespace is a kind of identity (IDN-01).
type Namespace struct {
	Sandbox     string        `json:"-"`
	Code        string        `json:"code"` // the symbol: unique, immutable
	Name        string        `json:"name"`
	Type        NamespaceType `json:"type"`
	Description string        `json:"description,omitempty"`
	Custom      bool          `json:"custom"`
	CreatedAt   time.Time     `json:"createdAt,omitzero"`
}

// NamespaceType is the type of a namespace (IDN-01).
type NamespaceType string

// The types of namespaces.
const (
	CookieID    NamespaceType = "Cookie ID"
	CrossDevice NamespaceType = "Cross-Device ID"
	DeviceID    NamespaceType = "Device ID"
	EmailType   NamespaceType = "Email address"
	NonPeople   NamespaceType = "Non-people identifier"
	PartnerID   NamespaceType = "Partner ID"
	PhoneNumber NamespaceType = "Phone number"
)

func namespaceTypes() []string {
	return []string{string(CookieID), string(CrossDevice), string(DeviceID), string(EmailType), string(NonPeople), string(PartnerID), string(PhoneNumber)}
}

// StandardNamespaces are there in every sandbox (IDN-01).
func StandardNamespaces() []Namespace {
	return []Namespace{
		{Code: "ECID", Name: "ECID", Type: CookieID},
		{Code: "Email", Name: "Email", Type: EmailType},
		{Code: "Email_LC_SHA256", Name: "Emails (SHA256, lowercased)", Type: EmailType},
		{Code: "GAID", Name: "Google Ad ID", Type: DeviceID},
		{Code: "IDFA", Name: "Apple IDFA", Type: DeviceID},
		{Code: "Phone", Name: "Phone", Type: PhoneNumber},
		{Code: "Phone_E.164", Name: "Phone (E.164)", Type: PhoneNumber},
		{Code: "Phone_SHA256", Name: "Phone (SHA256)", Type: PhoneNumber},
		{Code: "Phone_SHA256_E.164", Name: "Phone (SHA256_E.164)", Type: PhoneNumber},
	}
}

// Validate checks a custom namespace.
func (n *Namespace) Validate() error {
	var errs fieldErrors
	checkName(&errs, n.Name)
	checkText(&errs, "/description", n.Description)
	if !regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,63}$`).MatchString(n.Code) {
		errs.add("/code", "IDN-1001", "the code starts with a letter and has at most 64 letters, digits, _ . -")
	}
	for _, s := range StandardNamespaces() {
		if s.Code == n.Code {
			errs.add("/code", "IDN-1002", "%s is a standard namespace; it is there already", n.Code)
		}
	}
	known := false
	for _, t := range namespaceTypes() {
		known = known || t == string(n.Type)
	}
	if !known {
		errs.add("/type", "IDN-1003", "the type is one of %s, not %s", strings.Join(namespaceTypes(), ", "), Quote(string(n.Type)))
		errs.hint(Suggestion(string(n.Type), namespaceTypes()))
	}
	return errs.err("the namespace")
}

// MaxIdentityBytes bounds one identity value.
const MaxIdentityBytes = 1024

// CheckNamespace fails if there is no namespace with a code.
func CheckNamespace(namespaces []Namespace, code string) error {
	if hasNamespace(namespaces, code) {
		return nil
	}
	return invalid("IDN-1004", "%s", noNamespace(namespaces, code))
}

// noNamespace says that there is no namespace with a code, and which may be meant.
func noNamespace(namespaces []Namespace, code string) string {
	codes := make([]string, len(namespaces))
	for i, n := range namespaces {
		codes[i] = n.Code
	}
	msg := "there is no identity namespace " + Quote(code)
	if near := Suggestion(code, codes); near != "" {
		msg += "; " + near
	}
	return msg
}
