package lake

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/lakeward/lakeward"
)

// ServiceError is the answer of the storage, as the cause of a lakeward.Error.
type ServiceError struct {
	Op     string
	Status int
	Code   string // x-ms-error-code
}

func (e *ServiceError) Error() string { return fmt.Sprintf("%s: %d %s", e.Op, e.Status, e.Code) }

// CodeIs reports whether err is an answer of the storage with one of the error codes.
func CodeIs(err error, codes ...string) bool {
	e, ok := errors.AsType[*ServiceError](err)
	return ok && slices.Contains(codes, e.Code)
}

// Taken reports whether a conditional create or rename was refused because of what is there: 409 and 412 mean the same (A6).
func Taken(err error) bool {
	e, ok := errors.AsType[*ServiceError](err)
	return ok && (e.Status == http.StatusConflict || e.Status == http.StatusPreconditionFailed)
}

// Missing reports whether the storage answered 404 for a path.
func Missing(err error) bool {
	return CodeIs(err, "PathNotFound", "SourcePathNotFound", "RenameDestinationParentPathNotFound", "BlobNotFound")
}

// unclearError wraps the error of a call that may have had its effect.
type unclearError struct{ err error }

func (e *unclearError) Error() string { return "unclear outcome: " + e.err.Error() }
func (e *unclearError) Unwrap() error { return e.err }

// Unclear reports whether the call may have had its effect although it failed: the caller reads back
// and never guesses (outcome B of delivery).
func Unclear(err error) bool {
	_, ok := errors.AsType[*unclearError](err)
	return ok
}

// classify gives an error the kind, code and text that the engine and the user act on (adls.md 8). It
// looks at status and error codes and never at texts, which Azure may reword.
func classify(k call, res *http.Response, err error) error {
	if err != nil {
		if _, ok := errors.AsType[*tokenError](err); ok {
			return classifyToken(err)
		}
		return classifyTransport(err)
	}
	code := res.Header.Get("x-ms-error-code")
	if code == "" && res.Body != nil {
		body, _ := io.ReadAll(io.LimitReader(res.Body, maxErrorBody))
		code = bodyCode(body)
	}
	e := answer(k, res, code)
	e.RequestID = requestID(res.Header.Get("x-ms-request-id"))
	e.Err = &ServiceError{Op: k.op, Status: res.StatusCode, Code: code}
	return e
}

// bodyCode reads the error code of a DFS error body; "" if there is none.
func bodyCode(body []byte) string {
	var doc struct {
		Error struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	if json.NewDecoder(bytes.NewReader(body)).Decode(&doc) != nil || !regexp.MustCompile(`^[A-Za-z0-9]{1,64}$`).MatchString(doc.Error.Code) {
		return ""
	}
	return doc.Error.Code
}

// requestID returns an id that is safe to show.
func requestID(s string) string {
	if len(s) > 64 || strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0 {
		return ""
	}
	return s
}

func failure(kind lakeward.Kind, code, format string, args ...any) *lakeward.Error {
	return &lakeward.Error{Kind: kind, Code: code, Msg: fmt.Sprintf(format, args...)}
}

// answer maps an answer of the storage.
func answer(k call, res *http.Response, code string) *lakeward.Error {
	switch code {
	case "InvalidAuthenticationInfo":
		if e := clockAnswer(res); e != nil {
			return e
		}
		return failure(lakeward.Denied, "CONN-2108", "the storage account does not accept tokens of tenant %s%s; enter the tenant of the account", lakeward.Quote(k.who.tenant), accountTenant(res))
	case "AuthenticationFailed":
		if e := clockAnswer(res); e != nil {
			return e
		}
		return failure(lakeward.Denied, "CONN-2105", "the storage account does not accept the key; copy key1 or key2 of this account, and see that access by keys is not switched off")
	case "AuthorizationPermissionMismatch":
		return failure(lakeward.Denied, "CONN-2110", "the application has no data role here; assign it with: az role assignment create --role \"Storage Blob Data Contributor\" --assignee-object-id %s --scope <resource id of %s>/blobServices/default/containers/%s; it may take 10 minutes to work, and Owner or Contributor of the subscription gives no data access", k.who.object, k.who.account, k.who.container)
	case "AuthorizationFailure":
		return failure(lakeward.Denied, "CONN-2111", "a network rule of the storage account refuses this machine; it is no question of roles: allow this network or use a private endpoint")
	case "FilesystemNotFound", "ContainerNotFound":
		return failure(lakeward.NotFound, "CONN-2010", "there is no such container; create it, or correct the container in the url")
	case "FilesystemBeingDeleted":
		return failure(lakeward.Unavailable, lakeward.FailNotFound, "the container is being deleted; wait 30 seconds and try again")
	case "EndpointUnsupportedAccountFeatures":
		return failure(lakeward.Invalid, "CONN-2012", "the account has a feature that the dfs endpoint does not serve, such as soft delete for blobs; switch it off or use an account with hierarchical namespace")
	case "PathConflict", "ResourceTypeMismatch", "PathAlreadyExists":
		return failure(lakeward.Conflict, lakeward.FailConflict, "a file or folder is in the way at %s", lakeward.Quote(k.path))
	case "ConditionNotMet", "SourceConditionNotMet", "LeaseIdMissing", "LeaseIdMismatch", "LeaseNotPresent", "InvalidFlushPosition", "LeaseAlreadyPresent":
		return failure(lakeward.Conflict, lakeward.FailConflict, "somebody else writes or leases %s; nothing was replaced", lakeward.Quote(k.path))
	case "PathImmutableDueToPolicy":
		return failure(lakeward.Denied, lakeward.FailForbidden, "an immutability policy protects %s; files with static names cannot be replaced here", lakeward.Quote(k.path))
	case "IngressIsOverTheLimit", "LakeDiskFull":
		return failure(lakeward.Unavailable, lakeward.FailQuota, "the storage is full or over its limit (%s)", code)
	}
	return statusAnswer(k, res, code)
}

// clockAnswer explains a refused token or signature by clocks that differ, if they do (ERR-21).
func clockAnswer(res *http.Response) *lakeward.Error {
	if t, err := http.ParseTime(res.Header.Get("Date")); err == nil && time.Until(t).Abs() > maxSkew {
		return failure(lakeward.Denied, "CONN-2013", "the clock of this machine differs from the storage's by %s; set it", time.Until(t).Abs().Round(time.Minute))
	}
	return nil
}

func statusAnswer(k call, res *http.Response, code string) *lakeward.Error {
	switch s := res.StatusCode; {
	case s == http.StatusTooManyRequests || s == http.StatusServiceUnavailable || code == "OperationTimedOut":
		return failure(lakeward.Unavailable, lakeward.FailThrottled, "the storage is busy; requests are slowed down and sent again by themselves")
	case s >= 500 || s == http.StatusRequestTimeout:
		return failure(lakeward.Unavailable, lakeward.FailNetwork, "the storage failed to answer (%d)", s)
	case s >= 300 && s < 400 && s != http.StatusNotModified:
		return failure(lakeward.Denied, "CONN-2005", "unexpected redirect, not followed; check what answers at this host")
	case s == http.StatusUnauthorized:
		return failure(lakeward.Denied, "CONN-2107", "the storage refused the token")
	case s == http.StatusForbidden:
		return failure(lakeward.Denied, lakeward.FailForbidden, "the storage denies access (%s)", code)
	case s == http.StatusNotFound:
		return failure(lakeward.NotFound, lakeward.FailNotFound, "there is no file or folder %s", lakeward.Quote(k.path))
	case s == http.StatusConflict || s == http.StatusPreconditionFailed:
		return failure(lakeward.Conflict, lakeward.FailConflict, "the storage refused to %s %s (%s)", k.op, lakeward.Quote(k.path), code)
	case s < 300:
		return failure(lakeward.Unavailable, "CONN-2103", "unexpected answer from the storage")
	}
	return failure(lakeward.Internal, lakeward.FailInternal, "the storage refused to %s (%d %s)", k.op, res.StatusCode, code)
}

// accountTenant names the tenant of the account, if the answer tells (ADL-23).
func accountTenant(res *http.Response) string {
	m := regexp.MustCompile(`authorization_uri="?https://[a-z0-9.-]+/([0-9A-Za-z.-]{1,64})/`).FindStringSubmatch(res.Header.Get("WWW-Authenticate"))
	if m == nil {
		return ""
	}
	return " (it belongs to tenant " + m[1] + ")"
}

// classifyTransport maps errors that came instead of an answer.
func classifyTransport(err error) *lakeward.Error {
	e := &lakeward.Error{Kind: lakeward.Unavailable, Code: lakeward.FailNetwork, Msg: "the storage cannot be reached", Err: err}
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		e.Kind, e.Code, e.Msg = lakeward.NotFound, "CONN-2001", "there is no storage account of that name: DNS does not know its host"
	}
	if _, ok := errors.AsType[*forbiddenAddress](err); ok {
		e.Kind, e.Code, e.Msg = lakeward.Denied, "CONN-2002", "the account's host has a private or reserved address; the operator must list the network in network.allowPrivate"
	}
	if cert, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		e.Kind, e.Code, e.Msg = lakeward.Denied, "CONN-2006", "the host's certificate is not trusted"+issuer(cert)+"; is a proxy intercepting? Its CA belongs into the operator's CA file"
	}
	if e.Code == lakeward.FailNetwork {
		e.Msg += unreachable(err)
	}
	if errors.Is(err, context.Canceled) {
		e.Msg = "stopped"
	}
	return e
}

// unreachable names the host that did not answer, and where to look.
func unreachable(err error) string {
	host := ""
	if failed, ok := errors.AsType[*tokenError](err); ok {
		host = failed.host
	} else if failed, ok := errors.AsType[*url.Error](err); ok {
		if u, err := url.Parse(failed.URL); err == nil {
			host = u.Hostname()
		}
	}
	switch {
	case host == "":
		return ""
	case strings.HasSuffix(host, "."+lakeward.EmulatorSuffix):
		return ": " + host + " does not answer; start the local lake with: lakeward lake serve"
	case errors.Is(err, context.DeadlineExceeded):
		return ": " + host + " did not answer in time; check the network, the firewall and the account's network rules"
	}
	return ": " + host + " does not answer; check the network, the firewall and DNS"
}

func issuer(e *tls.CertificateVerificationError) string {
	if len(e.UnverifiedCertificates) == 0 {
		return ""
	}
	return " (issued by " + lakeward.Quote(e.UnverifiedCertificates[0].Issuer.CommonName) + ")"
}

// classifyToken maps errors of the identity provider by their AADSTS number (ADL-22).
func classifyToken(err error) error {
	signIn := lakeward.ClientSecret
	if t, ok := errors.AsType[*tokenError](err); ok {
		signIn = t.signIn
	}
	if file, ok := errors.AsType[*fs.PathError](err); ok {
		return failure(lakeward.Denied, "CONN-2107", "the token file %s cannot be read; it must exist on this machine and be readable by the service", lakeward.Quote(file.Path))
	}
	if stray, ok := errors.AsType[*strayError](err); ok && signIn == lakeward.ManagedIdentity {
		return failure(lakeward.Denied, "CONN-2107", "the environment of the process leads the sign-in to %s, where it is not sent; unset IDENTITY_ENDPOINT, MSI_ENDPOINT and IMDS_ENDPOINT", lakeward.Quote(stray.host))
	} else if ok {
		return failure(lakeward.Denied, "CONN-2107", "the environment of the process leads the sign-in to %s, where it is not sent; unset AZURE_REGIONAL_AUTHORITY_NAME", lakeward.Quote(stray.host))
	}
	if setup, ok := errors.AsType[*setupError](err); ok {
		e := failure(lakeward.Denied, "CONN-2105", "the stored credentials cannot be used; enter the key or certificate again (a certificate needs an RSA key in PKCS#8 or PKCS#1)")
		e.Err = setup
		return e
	}
	failed, ok := errors.AsType[*azidentity.AuthenticationFailedError](err)
	if !ok || failed.RawResponse == nil {
		e := classifyTransport(err)
		if e.Code == "CONN-2001" {
			e.Msg = "the identity provider's host cannot be found"
		}
		if e.Code == lakeward.FailNetwork {
			e.Msg = "the identity provider cannot be reached" + unreachable(err)
		}
		if e.Code == lakeward.FailNetwork && signIn == lakeward.ManagedIdentity {
			e.Msg = "the metadata service of the machine does not answer; a managed identity works only on a machine in Azure that has one"
		}
		return e
	}
	if signIn == lakeward.ManagedIdentity && failed.RawResponse.StatusCode == http.StatusBadRequest {
		return failure(lakeward.Denied, "CONN-2104", "this machine has no such managed identity; assign it, and check the client id of a user-assigned one")
	}
	number, trace := entraError(failed.RawResponse)
	e := tokenAnswer(number, failed.RawResponse.StatusCode)
	e.RequestID, e.Err = requestID(trace), fmt.Errorf("token request: %d AADSTS%d", failed.RawResponse.StatusCode, number)
	return e
}

func tokenAnswer(number, status int) *lakeward.Error {
	switch {
	case number == 90002:
		return failure(lakeward.Denied, "CONN-2101", "the tenant does not exist in this cloud (AADSTS90002); check the tenant id or domain, and that the url's suffix belongs to its cloud")
	case number == 700016:
		return failure(lakeward.Denied, "CONN-2104", "the tenant does not know the application (AADSTS700016); enter the Application (client) ID, not the object id, and check the tenant")
	case number == 7000215:
		return failure(lakeward.Denied, "CONN-2105", "the service principal key is wrong (AADSTS7000215); paste the secret value, not the secret id")
	case number == 700027:
		return failure(lakeward.Denied, "CONN-2105", "the certificate is not one of the application's (AADSTS700027); upload it under Certificates & secrets")
	case number == 7000222:
		return failure(lakeward.Denied, "CONN-2106", "the service principal key has expired (AADSTS7000222); make a new secret under Certificates & secrets and enter it here")
	case number != 0:
		return failure(lakeward.Denied, "CONN-2107", "the identity provider refused the sign-in (AADSTS%d); ask your Entra administrator", number)
	case status == http.StatusTooManyRequests:
		return failure(lakeward.Unavailable, lakeward.FailThrottled, "the identity provider is busy")
	case status >= 500:
		return failure(lakeward.Unavailable, lakeward.FailNetwork, "the identity provider failed to answer (%d)", status)
	}
	return failure(lakeward.Unavailable, "CONN-2103", "unexpected answer from the identity provider")
}

// entraError reads the number and the trace id of an error of the token service.
func entraError(res *http.Response) (number int, trace string) {
	if res.Body == nil {
		return 0, ""
	}
	body, _ := io.ReadAll(io.LimitReader(res.Body, maxErrorBody))
	var doc struct {
		Codes []int  `json:"error_codes"`
		Trace string `json:"trace_id"`
	}
	if json.Unmarshal(body, &doc) != nil || len(doc.Codes) == 0 {
		return 0, ""
	}
	return doc.Codes[0], doc.Trace
}

// RunCode is the cause code of a run that failed with err (MON-16, adls.md 8).
func RunCode(err error) string {
	code := lakeward.CodeOf(err)
	switch {
	case strings.HasPrefix(code, "DEST-"):
		return code
	case code == "CONN-2110" || code == "CONN-2111":
		return lakeward.FailForbidden
	case code == "CONN-2010" || code == "CONN-2001":
		return lakeward.FailNotFound
	case strings.HasPrefix(code, "CONN-21") && code != "CONN-2103" || code == "CONN-2013":
		return lakeward.FailAuth
	case strings.HasPrefix(code, "CONN-20"), code == "CONN-2103":
		return lakeward.FailNetwork
	}
	return lakeward.FailInternal
}
