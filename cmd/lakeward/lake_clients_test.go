package main

import (
	"bufio"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/lake"
	"github.com/lakeward/lakeward/internal/lake/emulator"
)

// ADL-130, ADL-131, ADL-132: the Python clients of the service, unmodified, work with the local lake: by
// its proxy under the service's own names, and in path style.
func TestAzurePythonClients(t *testing.T) {
	needs(t, "azure-python", "python3", "-c", "import azure.storage.filedatalake, azure.identity, adlfs")
	s, err := emulator.Start(t.TempDir(), emulator.Options{Proxy: "127.0.0.1:0", HTTP: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	e := s.Endpoints()
	cmd := exec.Command("python3", "testdata/azure_clients.py")
	cmd.Env = append(os.Environ(), "LAKE_HTTP="+e.HTTP, "LAKE_KEY="+e.Accounts[0].Key, "no_proxy=127.0.0.1")
	for _, line := range lakeLines(e) {
		if !strings.HasPrefix(line[0], "#") {
			cmd.Env = append(cmd.Env, line[0])
		}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("azure_clients.py: %v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// lakeProcess is a `lakeward lake serve` of its own.
type lakeProcess struct {
	cmd *exec.Cmd
	e   emulator.Endpoints
}

func startLake(t *testing.T, bin, dir string) *lakeProcess {
	t.Helper()
	cmd := exec.Command(bin, "lake", "serve", "--dir", dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if !bufio.NewScanner(out).Scan() {
		t.Fatal("the lake did not start")
	}
	go func() { _, _ = io.Copy(io.Discard, out) }()
	b, err := os.ReadFile(filepath.Join(dir, ".meta", "endpoints.json"))
	if err != nil {
		t.Fatal(err)
	}
	p := &lakeProcess{cmd: cmd}
	if err := json.Unmarshal(b, &p.e); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *lakeProcess) client(t *testing.T) *lake.Client {
	t.Helper()
	ca, err := os.ReadFile(p.e.CA)
	if err != nil {
		t.Fatal(err)
	}
	at := lake.Endpoint{Address: strings.TrimPrefix(p.e.HTTPS, "https://"), CA: ca}
	l := lakeward.Location{Container: emulator.DefaultContainer, Account: emulator.DefaultAccount, Suffix: lakeward.EmulatorSuffix}
	c, err := lake.New(lake.Config{Location: l, SignIn: lakeward.AccountKey, Keys: []lakeward.Secret{lakeward.NewSecret(p.e.Accounts[0].Key)}, Version: "test", Block: 10_000,
		Endpoints: map[string]lake.Endpoint{l.Host(): at}, Retry: lake.Retry{Try: 5 * time.Second, Tries: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// known is what a client was told of a file, and what may have happened without an answer.
type known struct {
	hash, etag string // of what is acknowledged; "" for an empty file
	maybe      string // hash of content whose flush was not answered
	gone       bool   // a rename or delete was sent that was not answered
	twin       string // other end of a rename that was not answered: one of the two must be there
}

// ADL-103, ADL-104: the lake is killed at random instants while clients write, rename and delete. What was
// acknowledged is there after the next start, byte for byte and with its ETag; what was not flushed shows nowhere.
func TestKillTheLake(t *testing.T) {
	t.Parallel()
	kills := 6
	if os.Getenv("LAKEWARD_TEST_FULL") != "" {
		kills = 60
	}
	bin, dir := program(t), filepath.Join(t.TempDir(), "lake")
	rnd := rand.New(rand.NewPCG(uint64(kills), 2))
	files := map[string]*known{}
	writes, unclear := 0, 0
	for round := range kills {
		p := startLake(t, bin, dir)
		c := p.client(t)
		var mu sync.Mutex
		var workers sync.WaitGroup
		for w := range 3 {
			seed := rnd.Uint64()
			workers.Go(func() {
				r := rand.New(rand.NewPCG(seed, 3))
				for i := 0; ; i++ {
					name := fmt.Sprintf("d%d/r%d-w%d-%d", r.IntN(3), round, w, i)
					k, err := writeOne(t, c, name, r)
					mu.Lock()
					for n, state := range k {
						files[n] = state
					}
					writes++
					if err != nil {
						unclear++
					}
					mu.Unlock()
					if err != nil {
						return
					}
				}
			})
		}
		time.Sleep(time.Duration(50+rnd.IntN(250)) * time.Millisecond)
		if err := p.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = p.cmd.Wait()
		workers.Wait()
		c.Close()
	}
	p := startLake(t, bin, dir)
	defer func() {
		_ = p.cmd.Process.Signal(os.Interrupt)
		if err := p.cmd.Wait(); err != nil {
			t.Errorf("the lake ended with %v", err)
		}
	}()
	c := p.client(t)
	defer c.Close()
	for name, k := range files {
		checkKnown(t, c, dir, name, k)
	}
	for o, err := range c.List(t.Context(), "", true) {
		if err != nil {
			t.Fatal(err)
		}
		if !o.IsDir && files[o.Path] == nil {
			t.Errorf("%s is there and nobody made it", o.Path)
		}
	}
	t.Logf("%d kills, %d files written, %d outcomes unclear, %d names checked", kills, writes, unclear, len(files))
	if unclear == 0 {
		t.Error("no kill struck a request")
	}
}

// writeOne makes a file, sometimes renames or deletes it, and tells what is known of its names.
func writeOne(t *testing.T, c *lake.Client, name string, r *rand.Rand) (map[string]*known, error) {
	ctx := t.Context()
	k := &known{}
	out := map[string]*known{name: k}
	if err := c.Create(ctx, name, map[string]string{"n": name}); err != nil {
		k.gone = true // it may not exist
		return out, err
	}
	data := make([]byte, r.IntN(40_000)+1)
	for i := range data {
		data[i] = byte(r.Uint32())
	}
	sum := sha256.Sum256(data)
	hash := hex.EncodeToString(sum[:])
	if _, err := c.Upload(ctx, name, func(w io.Writer) error { _, err := w.Write(data); return err }); err != nil {
		k.maybe = hash
		return out, err
	}
	k.hash = hash
	o, err := c.Status(ctx, name)
	if err != nil {
		return out, err
	}
	k.etag = o.ETag
	switch r.IntN(4) {
	case 0:
		to := name + "-moved"
		err := c.Rename(ctx, name, to, lake.RenameCondition{})
		moved := *k
		if err != nil {
			k.gone, moved.gone, k.twin = true, true, to
		} else {
			k.hash, k.etag, k.gone = "", "", true
		}
		out[to] = &moved
		return out, err
	case 1:
		err := c.Delete(ctx, name, false)
		k.gone = true
		if err == nil {
			k.hash, k.etag = "", ""
		}
		return out, err
	}
	return out, nil
}

// checkKnown compares a file with what its writer knows of it.
func checkKnown(t *testing.T, c *lake.Client, dir, name string, k *known) {
	t.Helper()
	o, err := c.Status(t.Context(), name)
	if lake.Missing(err) {
		if !k.gone {
			t.Errorf("%s is lost", name)
		}
		if _, err := c.Status(t.Context(), k.twin); k.twin != "" && err != nil {
			t.Errorf("%s is lost in its rename: %v", name, err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	body, err := os.ReadFile(filepath.Join(dir, "local", "exports", filepath.FromSlash(name)))
	if err != nil || int64(len(body)) != o.Size {
		t.Fatalf("%s: %d bytes on disk, %d told, %v", name, len(body), o.Size, err)
	}
	hash := ""
	if len(body) > 0 {
		sum := sha256.Sum256(body)
		hash = hex.EncodeToString(sum[:])
	}
	switch {
	case k.gone && k.hash == "" && k.etag == "" && len(body) > 0:
		t.Errorf("%s was moved or deleted and is there", name)
	case hash != k.hash && hash != k.maybe:
		t.Errorf("%s shows %d bytes that were never flushed", name, len(body))
	case k.etag != "" && o.ETag != k.etag:
		t.Errorf("%s has ETag %s, its writer was told %s", name, o.ETag, k.etag)
	case o.Properties["n"] == "":
		t.Errorf("%s lost its properties", name)
	}
}

// A lake that was killed may still be asked with the certificate that it had.
func TestCertificateOutlivesAKill(t *testing.T) {
	t.Parallel()
	bin, dir := program(t), filepath.Join(t.TempDir(), "lake")
	first := startLake(t, bin, dir)
	ca, err := os.ReadFile(first.e.CA)
	if err != nil {
		t.Fatal(err)
	}
	_ = first.cmd.Process.Kill()
	_ = first.cmd.Wait()
	second := startLake(t, bin, dir)
	defer func() { _ = second.cmd.Process.Kill(); _ = second.cmd.Wait() }()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", strings.TrimPrefix(second.e.HTTPS, "https://"), &tls.Config{RootCAs: pool, ServerName: "local.dfs." + lakeward.EmulatorSuffix})
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if second.e.Tenant != first.e.Tenant || second.e.ClientSecret != first.e.ClientSecret || second.e.Accounts[0].Key != first.e.Accounts[0].Key {
		t.Error("the credentials changed")
	}
}
