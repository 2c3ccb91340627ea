package emulator

import (
	"bufio"
	"bytes"
	"context"
	"crypto/md5"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/minio/crc64nvme"

	"github.com/lakeward/lakeward"
)

// exchange is one recorded request with the answer of the real service; testdata/adls-wire/README.md
// explains the columns.
type exchange struct {
	Seq, Step    int
	Op, Recorded string
	Auth         string
	Method, Host string
	Path, Query  string
	Headers      map[string]string
	Body         *struct {
		Text *string
		Len  int
	}
	Status   int
	Error    string
	Response map[string]string
	Shape    json.RawMessage
	Order    []string
	Needs    []string
	Wait     int
}

func recordings(t *testing.T) map[int][]exchange {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "adls-wire", "table.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := map[int][]exchange{}
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	for sc.Scan() {
		var x exchange
		if err := json.Unmarshal(sc.Bytes(), &x); err != nil {
			t.Fatal(err)
		}
		out[x.Seq] = append(out[x.Seq], x)
	}
	return out
}

// wire plays a sequence: it knows what the placeholders stand for.
type wire struct {
	server *Server
	http   *http.Client
	known  map[string]string
	body   []byte
}

// reach is a transport that finds every host at the lake and trusts its authority.
func reach(s *Server) *http.Transport {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.CA())
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, s.Address())
	}}
}

// TestRecordedAnswers replays every recorded sequence: status, error code, listed headers and the shape
// of the body must be those of the real service. What differs is listed with its reason.
func TestRecordedAnswers(t *testing.T) {
	s, err := Start(t.TempDir(), Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	transport := reach(s)
	defer transport.CloseIdleConnections()
	sequences := recordings(t)
	var numbers []int
	for n := range sequences {
		numbers = append(numbers, n)
	}
	sort.Ints(numbers)
	played, skipped, unlike := 0, 0, map[string]int{}
	reasons := differences()
	for _, n := range numbers {
		w := &wire{server: s, http: &http.Client{Transport: transport}, known: map[string]string{}}
		w.name(sequences[n])
		for _, x := range sequences[n] {
			if why := unserved(x); why != "" {
				skipped++
				unlike[why]++
				if x.Method != http.MethodGet && x.Method != http.MethodHead {
					break
				}
				continue
			}
			problems := w.play(t, x)
			played++
			key := fmt.Sprintf("%d.%d", x.Seq, x.Step)
			if reason, listed := reasons[key]; listed {
				if len(problems) == 0 {
					t.Errorf("%s (%s) is listed as different (%s) and is not", key, x.Op, reason)
				}
				unlike[reason]++
				continue
			}
			for _, p := range problems {
				t.Errorf("%s %s (%s, recorded %s): %s", key, x.Op, x.Method+" "+x.Path+"?"+x.Query, x.Recorded, p)
			}
		}
	}
	t.Logf("%d recorded requests played, %d not served", played, skipped)
	for why, n := range unlike {
		t.Logf("%4d  %s", n, why)
	}
}

// unserved says why a recorded request is left out, "" if it is played.
func unserved(x exchange) string {
	if len(x.Needs) > 0 {
		return "needs " + strings.Join(x.Needs, ", ")
	}
	if x.Wait > 0 {
		return "waits for a lease to run out"
	}
	return ""
}

// name chooses fresh names that sort as the recorded ones did.
func (w *wire) name(seq []exchange) {
	placeholder := regexp.MustCompile(`\{(FS|P)\d+\}`)
	for i, p := range seq[0].Order {
		w.known["{"+strings.Trim(p, "{}")+"}"] = fmt.Sprintf("p%03d-%s", i, lakeward.NewNonce()[:8])
	}
	for _, x := range seq {
		text := x.Path + x.Query
		for _, v := range x.Headers {
			text += v
		}
		for _, p := range placeholder.FindAllString(text, -1) {
			if w.known[p] == "" {
				w.known[p] = "n" + lakeward.NewNonce()[:10]
			}
		}
	}
	fs := w.known["{FS1}"]
	first := seq[0]
	makes := first.Op == "blob PUT fs container" || first.Op == "dfs fs create"
	missing := first.Error == "FilesystemNotFound" || first.Error == "ContainerNotFound" || first.Error == "ResourceNotFound"
	if fs != "" && !makes && !missing {
		_ = w.server.CreateContainer(DefaultAccount, fs)
	}
}

func (w *wire) fill(s string) string {
	for p, v := range w.known {
		s = strings.ReplaceAll(s, p, v)
	}
	s = strings.ReplaceAll(s, "{PAST}", time.Now().UTC().AddDate(0, 0, -1).Format(http.TimeFormat))
	s = strings.ReplaceAll(s, "{FUTURE}", time.Now().UTC().AddDate(0, 0, 1).Format(http.TimeFormat))
	crc := func(b []byte) string {
		sum := crc64nvme.Checksum(b)
		var out [8]byte
		for i := range out {
			out[i] = byte(sum >> (8 * i))
		}
		return base64.StdEncoding.EncodeToString(out[:])
	}
	sum, wrong := md5.Sum(w.body), md5.Sum([]byte("wrong"))
	return strings.NewReplacer("{MD5}", base64.StdEncoding.EncodeToString(sum[:]), "{WRONGMD5}", base64.StdEncoding.EncodeToString(wrong[:]),
		"{CRC64}", crc(w.body), "{WRONGCRC64}", crc([]byte("wrong"))).Replace(s)
}

// play sends one request and lists how the answer differs from the recorded one.
func (w *wire) play(t *testing.T, x exchange) []string {
	t.Helper()
	w.body = nil
	if x.Body != nil {
		w.body = bytes.Repeat([]byte("x"), x.Body.Len)
		if x.Body.Text != nil {
			w.body = []byte(*x.Body.Text)
		}
	}
	target := "https://" + DefaultAccount + "." + x.Host + "." + lakeward.EmulatorSuffix + w.fill(x.Path)
	if x.Query != "" {
		target += "?" + w.fill(x.Query)
	}
	req, err := http.NewRequest(x.Method, target, bytes.NewReader(w.body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range x.Headers {
		req.Header.Set(k, w.fill(v))
	}
	req.Header.Set("x-ms-version", "2023-11-03")
	req.Header.Set("x-ms-date", time.Now().UTC().Format(http.TimeFormat))
	if x.Auth != "none" {
		a := w.server.account(DefaultAccount)
		sig, err := signature(req, a.Name, a.Key)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "SharedKey "+a.Name+":"+sig)
	}
	res, err := w.http.Do(req)
	if err != nil {
		return []string{err.Error()}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return []string{err.Error()}
	}
	if x.Method == http.MethodGet {
		w.body = body // checksums are those of what was read
	}
	return w.compare(x, res, body)
}

func (w *wire) compare(x exchange, res *http.Response, body []byte) []string {
	var out []string
	code := res.Header.Get("x-ms-error-code")
	if res.StatusCode != x.Status || code != x.Error {
		out = append(out, fmt.Sprintf("answer %d %s, recorded %d %s", res.StatusCode, code, x.Status, x.Error))
	}
	for name, want := range x.Response {
		got := res.Header.Get(name)
		if p := w.value(name, got, want); p != "" {
			out = append(out, p)
		}
	}
	var shape any
	if len(x.Shape) > 0 && json.Unmarshal(x.Shape, &shape) == nil && shape != nil {
		out = append(out, w.shape(shape, body)...)
	}
	return out
}

// value compares a header; a placeholder that the service gives out is taken as it comes.
func (w *wire) value(name, got, want string) string {
	norm := func(s string) string { return strings.ReplaceAll(strings.ToLower(s), " ", "") }
	switch {
	case want == "{ANY}" || want == "{TIME}" || strings.HasPrefix(want, "{T"):
		if got == "" {
			return "header " + name + " is missing"
		}
		return ""
	case name == "content-type" && norm(got) == norm(want):
		return ""
	case name == "x-ms-properties":
		a, b := strings.Split(got, ","), strings.Split(want, ",")
		slices.Sort(a)
		slices.Sort(b)
		if slices.Equal(a, b) {
			return ""
		}
	case regexp.MustCompile(`^"?\{[ECDL]\d+\}"?$`).MatchString(want):
		p := strings.Trim(want, `"`)
		if w.known[p] == "" && got != "" {
			w.known[p] = strings.Trim(got, `"`)
			if strings.HasPrefix(want, "{E") {
				w.known[p] = got
			}
			return ""
		}
		if w.known[p] == got || `"`+w.known[p]+`"` == got {
			return ""
		}
		return fmt.Sprintf("header %s is %q, %s stands for %q", name, got, p, w.known[p])
	}
	if filled := w.fill(want); got != filled {
		return fmt.Sprintf("header %s is %q, recorded %q", name, got, filled)
	}
	return ""
}

// shape compares a JSON body with its recorded shape; further keys are allowed.
func (w *wire) shape(want any, body []byte) []string {
	m, ok := want.(map[string]any)
	if ok && (m["xml"] != nil || m["bytes"] != nil) {
		if n, isBytes := m["bytes"].(float64); isBytes && len(body) != int(n) {
			return []string{fmt.Sprintf("body has %d bytes, recorded %d", len(body), int(n))}
		}
		return nil
	}
	var got any
	if err := json.Unmarshal(body, &got); err != nil {
		return []string{fmt.Sprintf("body %.60q is not JSON", body)}
	}
	return w.like("", got, want)
}

func (w *wire) like(at string, got, want any) []string {
	switch want := want.(type) {
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return []string{at + " is no object"}
		}
		var out []string
		for k, v := range want {
			if g[k] == nil {
				out = append(out, at+"/"+k+" is missing")
				continue
			}
			out = append(out, w.like(at+"/"+k, g[k], v)...)
		}
		return out
	case []any:
		g, ok := got.([]any)
		if !ok {
			return []string{at + " is no list"}
		}
		if len(want) == 2 && want[0] == "*" {
			var out []string
			for i := range g {
				out = append(out, w.like(fmt.Sprintf("%s/%d", at, i), g[i], want[1])...)
			}
			return out
		}
		if len(g) != len(want) {
			return []string{fmt.Sprintf("%s has %d items, recorded %d", at, len(g), len(want))}
		}
		var out []string
		for i := range g {
			out = append(out, w.like(fmt.Sprintf("%s/%d", at, i), g[i], want[i])...)
		}
		return out
	case string:
		g := fmt.Sprint(got)
		if _, isText := got.(string); want == "string" && isText || want == "digits" && regexp.MustCompile(`^\d+$`).MatchString(g) || want == "number" || want == "{ANY}" {
			return nil
		}
		if name, isName := strings.CutPrefix(want, "name:"); isName { // names are kept as they were sent
			want = name
			if plain, err := url.PathUnescape(name); err == nil && g != w.fill(name) {
				want = plain
			}
		}
		filled := w.fill(want)
		if strings.HasPrefix(want, "{E") { // listings show etags without quotes
			filled = strings.Trim(filled, `"`)
			if filled == want {
				w.known[want] = `"` + g + `"`
				return nil
			}
		}
		if g != filled {
			return []string{fmt.Sprintf("%s is %q, recorded %q", at, g, filled)}
		}
	default:
		if fmt.Sprint(got) != fmt.Sprint(want) {
			return []string{fmt.Sprintf("%s is %v, recorded %v", at, got, want)}
		}
	}
	return nil
}

// differences lists the recorded requests that are answered otherwise, by sequence and step, with the reason.
func differences() map[string]string {
	const older = "recorded before May 2020, when a flush answered x-ms-request-server-encrypted: true"
	return map[string]string{
		"16.4": older, "17.5": older, "19.4": older, "130.4": older, "134.4": older,
		"28.3":  "net/http sends no Content-Length with 304",
		"95.10": "append below the committed length: what the service does with the bytes is not recorded, so it is refused here",
	}
}
