package lakeward_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/lakeward/lakeward"
)

const host = "acct123.dfs.core.windows.net"

// CON-05, C8a, BI-U: the grammar of the connection URL.
func TestParseLocation(t *testing.T) {
	for _, test := range []struct{ name, url, code, text string }{
		{"BI-U01 empty", "", "CONN-1001", "url is required"},
		{"BI-U02 abfs", "abfs://c1x@" + host, "CONN-1002", "the scheme must be abfss"},
		{"BI-U04 no container", "abfss://" + host, "CONN-1002", "container is missing before @"},
		{"BI-U05 blob endpoint", "abfss://c1x@acct123.blob.core.windows.net", "CONN-1002", "blob endpoint"},
		{"BI-U07 longer host", "abfss://c1x@" + host + ".evil.com", "CONN-1002", "host must end in"},
		{"BI-U08 two @", "abfss://c1x@" + host + "@evil.com", "CONN-1002", "exactly one @"},
		{"BI-U10 host in the path", "abfss://c1x@evil.com/.dfs.core.windows.net", "CONN-1002", "Folder path"},
		{"BI-U11 host in the query", "abfss://c1x@evil.com?.dfs.core.windows.net", "CONN-1002", `"?" is not allowed`},
		{"BI-U13 link-local address", "abfss://c1x@169.254.169.254", "CONN-1002", "host"},
		{"BI-U14 wire server", "abfss://c1x@168.63.129.16", "CONN-1002", "host"},
		{"BI-U16 address in hexadecimal", "abfss://c1x@0x7f.1", "CONN-1002", "host"},
		{"BI-U16 address as a number", "abfss://c1x@2130706433", "CONN-1002", "host"},
		{"BI-U17 localhost", "abfss://c1x@localhost:10000", "CONN-1009", "endpoints"},
		{"BI-U19 password", "abfss://c1x:pw@" + host, "CONN-1002", "no password"},
		{"BI-U20 path", "abfss://c1x@" + host + "/a/../../x", "CONN-1002", "Folder path"},
		{"BI-U22 connection string", "DefaultEndpointsProtocol=https;AccountName=x;AccountKey=abc", "CONN-1008", "rotate the key"},
		{"BI-U23 upper case", "abfss://C1X@" + host, "CONN-1002", "containers are lower-case"},
		{"BI-U25 short account", "abfss://c1x@ac.dfs.core.windows.net", "CONN-1002", "account name"},
		{"BI-U25 long account", "abfss://c1x@" + strings.Repeat("a", 25) + ".dfs.core.windows.net", "CONN-1002", "account name"},
		{"BI-U25 underscore", "abfss://c1x@acct_123.dfs.core.windows.net", "CONN-1002", "account name"},
		{"BI-U26 percent", "abfss://c%31x@" + host, "CONN-1002", "percent-encoding"},
		{"BI-U28 other dot", "abfss://c1x@acct123。dfs.core.windows.net", "CONN-1002", "U+3002"},
		{"BI-U29 trailing dot", "abfss://c1x@" + host + ".", "CONN-1002", "host"},
		{"BI-U31 long", "abfss://c1x@" + strings.Repeat("a", 16<<10), "CONN-1002", "longer than 256"},
		{"BI-U32 file", "file:///etc/passwd", "CONN-1002", "scheme"},
		{"double hyphen", "abfss://a--b@" + host, "CONN-1002", "container name"},
		{"outer hyphen", "abfss://-ab@" + host, "CONN-1002", "container name"},
		{"port", "abfss://c1x@" + host + ":443", "CONN-1002", "host"},
		{"two slashes at the end", "abfss://c1x@" + host + "//", "CONN-1002", "Folder path"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := lakeward.ParseLocation(test.url)
			if lakeward.CodeOf(err) != test.code || !strings.Contains(err.Error(), test.text) {
				t.Errorf("ParseLocation: %v, want %s and %q", err, test.code, test.text)
			}
			if strings.Contains(err.Error(), "evil") || strings.Contains(err.Error(), "pw") || strings.Contains(err.Error(), "abc") {
				t.Errorf("the error echoes the url: %v", err)
			}
		})
	}
	for url, want := range map[string]lakeward.Location{
		"abfss://c1x@" + host:                          {Container: "c1x", Account: "acct123", Suffix: "core.windows.net"},
		"abfss://c1x@" + host + "/":                    {Container: "c1x", Account: "acct123", Suffix: "core.windows.net"},
		"abfss://a-b@acc.dfs.core.usgovcloudapi.net":   {Container: "a-b", Account: "acc", Suffix: "core.usgovcloudapi.net"},
		"abfss://exports@local.dfs." + "lake.internal": {Container: "exports", Account: "local", Suffix: "lake.internal"},
	} {
		if got, err := lakeward.ParseLocation(url); err != nil || got != want {
			t.Errorf("ParseLocation(%s) = %+v, %v, want %+v", url, got, err, want)
		}
	}
}

func FuzzParseLocation(f *testing.F) {
	f.Add("abfss://c1x@" + host)
	f.Fuzz(func(t *testing.T, url string) {
		l, err := lakeward.ParseLocation(url)
		if err != nil {
			return
		}
		again, err := lakeward.ParseLocation(l.URL())
		if err != nil || again != l {
			t.Errorf("%q parses to %+v, whose url parses to %+v, %v", url, l, again, err)
		}
	})
}

func valid() lakeward.Account {
	return lakeward.Account{Name: "lake", URL: "abfss://c1x@" + host, Tenant: "contoso.onmicrosoft.com", ClientID: "11111111-2222-3333-4444-555555555555", Key: lakeward.NewSecret("s3cr3t~value")}
}

// S20 to S24, CON-02, BI-T, BI-I, BI-S: the fields of an account, each with its own code.
func TestAccountFields(t *testing.T) {
	guid := "11111111-2222-3333-4444-555555555555"
	for _, test := range []struct {
		name   string
		change func(*lakeward.Account)
		code   string
	}{
		{"all fields right", func(*lakeward.Account) {}, ""},
		{"BI-T01 no tenant", func(a *lakeward.Account) { a.Tenant = "" }, "CONN-1101"},
		{"BI-T02 no guid", func(a *lakeward.Account) { a.Tenant = "not-a-guid" }, "CONN-1102"},
		{"BI-T02 upper case and braces", func(a *lakeward.Account) { a.Tenant = "{" + strings.ToUpper(guid) + "}" }, ""},
		{"BI-T02 line break", func(a *lakeward.Account) { a.Tenant = guid + "\n" }, "CONN-1102"},
		{"BI-T04 common", func(a *lakeward.Account) { a.Tenant = "common" }, "CONN-1102"},
		{"BI-T05 path", func(a *lakeward.Account) { a.Tenant = "../common/oauth2/token?x=" }, "CONN-1102"},
		{"BI-I01 no client id", func(a *lakeward.Account) { a.ClientID = "" }, "CONN-1201"},
		{"BI-I02 secret id for secret", func(a *lakeward.Account) { a.Key = lakeward.NewSecret(guid) }, "CONN-1202"},
		{"BI-S01 blanks", func(a *lakeward.Account) { a.Key = lakeward.NewSecret("  ") }, "CONN-1301"},
		{"BI-S02 outer white space", func(a *lakeward.Account) { a.Key = lakeward.NewSecret("abc\n") }, "CONN-1302"},
		{"mask", func(a *lakeward.Account) { a.Key = lakeward.NewSecret("********") }, "CONN-1303"},
		{"BI-S04 long", func(a *lakeward.Account) { a.Key = lakeward.NewSecret(strings.Repeat("x", 1025)) }, "CONN-1304"},
		{"BI-S05 not ASCII", func(a *lakeward.Account) { a.Key = lakeward.NewSecret("abcü") }, "CONN-1304"},
		{"BI-S13 secret in the description", func(a *lakeward.Account) { a.Description = "AccountKey=abc" }, "COMMON-1020"},
		{"no name", func(a *lakeward.Account) { a.Name = " " }, "NAME-1001"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := valid()
			test.change(&a)
			err := a.Validate()
			if lakeward.CodeOf(err) != test.code {
				t.Errorf("Validate: %v, want code %q", err, test.code)
			}
			if err != nil && len(a.Key.Reveal()) > 2 && strings.Contains(err.Error(), a.Key.Reveal()) {
				t.Errorf("the error shows the key: %v", err)
			}
		})
	}
}

// E1: all wrong fields are reported at once.
func TestAllWrongFieldsAtOnce(t *testing.T) {
	err := (&lakeward.Account{}).Validate()
	e, ok := errors.AsType[*lakeward.Error](err)
	if !ok || len(e.Fields) != 5 {
		t.Fatalf("Validate: %v, want five wrong fields", err)
	}
}
