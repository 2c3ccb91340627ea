package emulatortest

import (
	"bytes"
	"crypto/md5" //nolint:gosec // the service checks Content-MD5
	_ "embed"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/minio/crc64nvme"

	"github.com/lakeward/lakeward"
)

// conform holds the cases: a name, then one line for each request with what must come back. Paths lie in a
// folder of the case's own. See Run.
//
//go:embed testdata/conform.txt
var conform string

// Endpoint is a storage account to compare with the cases: a local lake, or a real account.
type Endpoint struct {
	DFS, Blob string // https://<account>.dfs.<suffix>, and its blob host
	Container string // that exists; the cases leave nothing in it
	HTTP      *http.Client
	Authorize func(*http.Request) error
}

// Run plays every case of the conformance suite and returns how many there are. A line is
//
//	[BLOB] METHOD path ?query Name:value … body:text -> status [Code] [Name:value …] [body~text] [save:Header=name]
//
// where words with blanks stand in double quotes, ' stands for a double quote, $name is what an earlier line saved, zeros:n is a body of n
// zero bytes, crc, md5, crc:bad and md5:bad add a checksum, a value of * is any, and a value of - is none.
func Run(t *testing.T, e Endpoint) int {
	t.Helper()
	cases := parseCases(t, conform)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := &player{endpoint: e, folder: "conform-" + lakeward.NewNonce()[:12], saved: map[string]string{}}
			p.play(t, line{method: http.MethodPut, query: "resource=directory", status: http.StatusCreated})
			defer p.play(t, line{method: http.MethodDelete, query: "recursive=true", status: http.StatusOK})
			for _, l := range c.lines {
				p.play(t, l)
			}
		})
	}
	return len(cases)
}

type testCase struct {
	name  string
	lines []line
}

// line is one request and what must come back.
type line struct {
	text         string
	blob         bool
	method, path string
	query        string
	header       [][2]string
	body         []byte
	sums         []string
	status       int
	code         string
	want         [][2]string
	contains     []string
	save         [][2]string
	wait         time.Duration
}

func parseCases(t *testing.T, text string) []testCase {
	t.Helper()
	var out []testCase
	for i, l := range strings.Split(text, "\n") {
		l = strings.TrimSpace(l)
		switch name, isName := strings.CutPrefix(l, "# "); {
		case l == "":
		case isName:
			out = append(out, testCase{name: name})
		default:
			parsed, err := parseLine(l)
			if err != nil || len(out) == 0 {
				t.Fatalf("conform.txt:%d: %v", i+1, err)
			}
			c := &out[len(out)-1]
			c.lines = append(c.lines, parsed)
		}
	}
	return out
}

// words splits a line at blanks outside double quotes.
func words(text string) []string {
	var out []string
	for _, w := range regexp.MustCompile(`(?:[^\s"]|"[^"]*")+`).FindAllString(text, -1) {
		out = append(out, strings.NewReplacer(`"`, "", "'", `"`).Replace(w))
	}
	return out
}

func parseLine(text string) (line, error) {
	l := line{text: text}
	if d, ok := strings.CutPrefix(text, "WAIT "); ok {
		var err error
		l.wait, err = time.ParseDuration(d)
		return l, err
	}
	sent, answer, ok := strings.Cut(text, " -> ")
	if !ok {
		return l, fmt.Errorf("no -> in %q", text)
	}
	w := words(sent)
	if w[0] == "BLOB" {
		l.blob, w = true, w[1:]
	}
	l.method = w[0]
	for _, x := range w[1:] {
		l.request(x)
	}
	w = words(answer)
	var err error
	if l.status, err = strconv.Atoi(w[0]); err != nil {
		return l, err
	}
	for _, x := range w[1:] {
		l.expect(x)
	}
	return l, nil
}

func (l *line) request(x string) {
	name, value, colon := strings.Cut(x, ":")
	switch {
	case strings.HasPrefix(x, "?"):
		l.query = x[1:]
	case x == "crc" || x == "md5" || x == "crc:bad" || x == "md5:bad":
		l.sums = append(l.sums, x)
	case name == "body" && colon:
		l.body = []byte(value)
	case name == "zeros" && colon:
		n, _ := strconv.Atoi(value)
		l.body = make([]byte, n)
	case colon:
		l.header = append(l.header, [2]string{name, value})
	default:
		l.path = x
	}
}

func (l *line) expect(x string) {
	name, value, colon := strings.Cut(x, ":")
	switch {
	case strings.HasPrefix(x, "body~"):
		l.contains = append(l.contains, x[len("body~"):])
	case name == "save" && colon:
		header, variable, _ := strings.Cut(value, "=")
		l.save = append(l.save, [2]string{header, variable})
	case colon:
		l.want = append(l.want, [2]string{name, value})
	default:
		l.code = x
	}
}

// player plays the lines of one case.
type player struct {
	endpoint Endpoint
	folder   string
	saved    map[string]string
}

// fill puts in what earlier lines saved, and the names of the place.
func (p *player) fill(s string) string {
	s = strings.NewReplacer("$fs", p.endpoint.Container, "$blob", p.endpoint.Blob, "$d", p.folder).Replace(s)
	for name, value := range p.saved {
		s = strings.ReplaceAll(s, "$"+name, value)
	}
	return s
}

func (p *player) play(t *testing.T, l line) {
	t.Helper()
	if l.wait > 0 {
		time.Sleep(l.wait)
		return
	}
	req, err := p.request(l)
	if err != nil {
		t.Fatalf("%s: %v", l.text, err)
	}
	res, err := p.endpoint.HTTP.Do(req)
	if err != nil {
		t.Fatalf("%s: %v", l.text, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s: %v", l.text, err)
	}
	if res.StatusCode != l.status || l.code != res.Header.Get("x-ms-error-code") {
		t.Errorf("%s\n\tanswer %d %s %.300s", l.text, res.StatusCode, res.Header.Get("x-ms-error-code"), body)
	}
	for _, w := range l.want {
		got, want := res.Header.Get(w[0]), p.fill(w[1])
		if want == "*" && got != "" || want == "-" && got == "" {
			continue
		}
		if got != want {
			t.Errorf("%s\n\t%s is %q", l.text, w[0], got)
		}
	}
	for _, c := range l.contains {
		if !bytes.Contains(body, []byte(p.fill(c))) {
			t.Errorf("%s\n\tthe body is %.300s", l.text, body)
		}
	}
	for _, s := range l.save {
		p.saved[s[1]] = res.Header.Get(s[0])
	}
}

func (p *player) request(l line) (*http.Request, error) {
	base := p.endpoint.DFS
	if l.blob {
		base = p.endpoint.Blob
	}
	path := "/" + p.endpoint.Container + "/" + p.folder
	switch {
	case strings.HasPrefix(l.path, "/"):
		path = p.fill(l.path)
	case l.path != "":
		path += "/" + p.fill(l.path)
	}
	u := base + path
	if l.query != "" {
		u += "?" + p.fill(l.query)
	}
	parsed, err := url.Parse(u)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequest(l.method, parsed.String(), bytes.NewReader(l.body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("x-ms-version", "2023-11-03")
	req.Header.Set("x-ms-date", time.Now().UTC().Format(http.TimeFormat))
	for _, h := range l.header {
		req.Header.Set(h[0], p.fill(h[1]))
	}
	for _, s := range l.sums {
		addSum(req, s, l.body)
	}
	if req.Header.Get("Authorization") == "none" {
		req.Header.Del("Authorization")
		return req, nil
	}
	return req, p.endpoint.Authorize(req)
}

// addSum adds a checksum of the body, or of another one.
func addSum(req *http.Request, kind string, body []byte) {
	if strings.HasSuffix(kind, ":bad") {
		body = append([]byte("other"), body...)
	}
	if strings.HasPrefix(kind, "md5") {
		sum := md5.Sum(body) //nolint:gosec // the service checks Content-MD5
		req.Header.Set("Content-MD5", base64.StdEncoding.EncodeToString(sum[:]))
		return
	}
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], crc64nvme.Checksum(body))
	req.Header.Set("x-ms-content-crc64", base64.StdEncoding.EncodeToString(b[:]))
}
