package emulator_test

import (
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/lake/emulator"
	"github.com/lakeward/lakeward/internal/lake/emulator/emulatortest"
)

// The local lake answers every case of the conformance suite as the service is documented or recorded to.
func TestConformance(t *testing.T) {
	s := emulatortest.Start(t, emulator.Options{NoSync: true})
	e := s.Endpoints()
	n := emulatortest.Run(t, emulatortest.Endpoint{DFS: "https://local.dfs." + lakeward.EmulatorSuffix, Blob: "https://local.blob." + lakeward.EmulatorSuffix,
		Container: emulator.DefaultContainer, HTTP: emulatortest.Client(t, s), Authorize: bearerOf(t, emulatortest.Client(t, s), "https://login."+lakeward.EmulatorSuffix+"/", e.Tenant, e.ClientID, e.ClientSecret)})
	t.Logf("%d cases", n)
	if n < 150 {
		t.Error("the suite shrank")
	}
}

// The same cases on a real account: what differs refutes an assumption, or is a fault of the local lake.
func TestConformanceOfARealAccount(t *testing.T) {
	at, err := lakeward.ParseLocation(os.Getenv("LAKEWARD_TEST_ADLS_URL"))
	if os.Getenv("LAKEWARD_TEST_ADLS_URL") == "" {
		t.Skip("LAKEWARD_TEST_ADLS_URL, LAKEWARD_TEST_ADLS_TENANT, LAKEWARD_TEST_ADLS_CLIENT_ID and LAKEWARD_TEST_ADLS_SECRET_FILE name an account to compare with")
	}
	if err != nil {
		t.Fatal(err)
	}
	secret, err := os.ReadFile(os.Getenv("LAKEWARD_TEST_ADLS_SECRET_FILE"))
	if err != nil {
		t.Fatal(err)
	}
	hc := &http.Client{Timeout: time.Minute}
	n := emulatortest.Run(t, emulatortest.Endpoint{DFS: "https://" + at.Host(), Blob: "https://" + strings.Replace(at.Host(), ".dfs.", ".blob.", 1), Container: at.Container, HTTP: hc,
		Authorize: bearerOf(t, hc, "https://"+at.Authority()+"/", os.Getenv("LAKEWARD_TEST_ADLS_TENANT"), os.Getenv("LAKEWARD_TEST_ADLS_CLIENT_ID"), strings.TrimSpace(string(secret)))})
	t.Logf("%d cases", n)
}

// bearerOf adds the token of an application to requests that have no authorization of their own.
func bearerOf(t *testing.T, hc *http.Client, authority, tenant, clientID, secret string) func(*http.Request) error {
	t.Helper()
	opt := azcore.ClientOptions{Transport: hc}
	opt.Cloud.ActiveDirectoryAuthorityHost = authority
	cred, err := azidentity.NewClientSecretCredential(tenant, clientID, secret, &azidentity.ClientSecretCredentialOptions{ClientOptions: opt, DisableInstanceDiscovery: true})
	if err != nil {
		t.Fatal(err)
	}
	return func(r *http.Request) error {
		if r.Header.Get("Authorization") != "" {
			return nil
		}
		token, err := cred.GetToken(r.Context(), policy.TokenRequestOptions{Scopes: []string{"https://storage.azure.com/.default"}})
		r.Header.Set("Authorization", "Bearer "+token.Token)
		return err
	}
}
