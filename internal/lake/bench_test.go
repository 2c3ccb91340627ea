package lake_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azdatalake/file"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/lake"
	"github.com/lakeward/lakeward/internal/lake/emulator"
	"github.com/lakeward/lakeward/internal/lake/emulator/emulatortest"
)

const (
	sinkVariable = "LAKEWARD_TEST_SINK" // delay per append of the sink that this process is to be
	sinkAccount  = "local"
	benchFile    = 512 << 20
	benchBlock   = 8 << 20
)

// TestSinkProcess is no test: the benchmarks start it as a process of its own, so that its work is not
// counted as the client's. It takes appended data over TLS and forgets it.
func TestSinkProcess(t *testing.T) {
	delay, err := time.ParseDuration(os.Getenv(sinkVariable))
	if err != nil {
		t.Skip("only the benchmarks start this process")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sink"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		DNSNames: []string{"*.dfs." + lakeward.EmulatorSuffix, "*.blob." + lakeward.EmulatorSuffix, "login." + lakeward.EmulatorSuffix}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	pemBytes := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	fmt.Printf("sink %s %x\n", ln.Addr(), pemBytes)
	srv := &http.Server{Handler: sink(delay), TLSConfig: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, ReadHeaderTimeout: 10 * time.Second,
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){}}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // ends with the benchmark
		_ = srv.Close()
	}()
	_ = srv.ServeTLS(ln, "", "")
}

// sink answers as the storage and its identity authority do when all goes well.
func sink(delay time.Duration) http.Handler {
	buffers := sync.Pool{New: func() any { return new([256 << 10]byte) }}
	var mu sync.Mutex
	sizes := map[string]string{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		switch {
		case strings.HasSuffix(r.URL.Path, "openid-configuration"):
			base := "https://" + r.Host + "/" + strings.Split(r.URL.Path, "/")[1]
			_, _ = fmt.Fprintf(w, `{"issuer":"%s/v2.0","authorization_endpoint":"%s/oauth2/v2.0/authorize","token_endpoint":"%s/oauth2/v2.0/token"}`, base, base, base)
		case strings.HasSuffix(r.URL.Path, "/token"):
			_, _ = io.WriteString(w, `{"token_type":"Bearer","expires_in":3600,"access_token":"sink"}`)
		case q.Get("action") == "append":
			b := buffers.Get().(*[256 << 10]byte)
			_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{r.Body}, b[:])
			buffers.Put(b)
			time.Sleep(delay)
			w.WriteHeader(http.StatusAccepted)
		case q.Get("action") == "flush":
			mu.Lock()
			sizes[r.URL.Path] = q.Get("position")
			mu.Unlock()
			w.Header().Set("ETag", `"0x1"`)
		case r.Method == http.MethodHead:
			mu.Lock()
			w.Header().Set("Content-Length", sizes[r.URL.Path])
			mu.Unlock()
			w.Header().Set("x-ms-resource-type", "file")
			w.Header().Set("ETag", `"0x1"`)
		default:
			w.WriteHeader(http.StatusCreated)
		}
	})
}

// startSink starts a sink process and returns how to reach it.
func startSink(b testing.TB, delay time.Duration) lake.Endpoint {
	b.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestSinkProcess$")
	cmd.Env = append(os.Environ(), sinkVariable+"="+delay.String())
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Wait()
	})
	var e lake.Endpoint
	if _, err := fmt.Fscanf(bufio.NewReader(out), "sink %s %x\n", &e.Address, &e.CA); err != nil {
		b.Fatal(err)
	}
	return e
}

// sinkTransport reaches the sink under the names of the storage.
func sinkTransport(e lake.Endpoint) *http.Transport {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(e.CA)
	return &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, MaxIdleConnsPerHost: 16, WriteBufferSize: 64 << 10,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, e.Address)
		}}
}

// processorTime is what this process has used so far.
func processorTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// measure runs upload for each round and reports the client's processor time for a GiB.
func measure(b *testing.B, upload func() error) {
	b.SetBytes(benchFile)
	before := processorTime()
	for b.Loop() {
		if err := upload(); err != nil {
			b.Fatal(err)
		}
	}
	used := processorTime() - before
	b.ReportMetric(used.Seconds()/float64(b.N)*(1<<30)/benchFile, "cpu-s/GiB")
}

// BenchmarkUpload sends 512 MiB to a sink process over TLS: with this client (checksums included), with
// net/http alone, and with the vendor's client. "far" adds 20 ms to each append.
func BenchmarkUpload(b *testing.B) {
	data := make([]byte, benchFile)
	_, _ = rand.Read(data)
	for _, net := range []struct {
		name  string
		delay time.Duration
	}{{"near", 0}, {"far", 20 * time.Millisecond}} {
		e := startSink(b, net.delay)
		b.Run(net.name+"/lakeward", func(b *testing.B) { benchLakeward(b, e, data) })
		b.Run(net.name+"/net-http", func(b *testing.B) { benchPlain(b, e, data) })
		b.Run(net.name+"/azdatalake", func(b *testing.B) { benchVendor(b, e, data) })
	}
}

// BenchmarkLocalLake delivers 512 MiB into the local lake and flushes: client and server in one process.
func BenchmarkLocalLake(b *testing.B) {
	s := emulatortest.Start(b, emulator.Options{})
	c, err := lake.New(config(s))
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	data := make([]byte, 64<<10)
	_, _ = rand.Read(data)
	b.SetBytes(benchFile)
	for round := 0; b.Loop(); round++ {
		path := "file-" + strconv.Itoa(round)
		if err := c.Create(b.Context(), path, nil); err != nil {
			b.Fatal(err)
		}
		_, err := c.Upload(b.Context(), path, func(w io.Writer) error {
			for range benchFile / len(data) {
				if _, err := w.Write(data); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		if err := c.Delete(b.Context(), path, false); err != nil {
			b.Fatal(err)
		}
	}
}

func sinkConfig(e lake.Endpoint) lake.Config {
	loc := lakeward.Location{Container: "exports", Account: sinkAccount, Suffix: lakeward.EmulatorSuffix}
	return lake.Config{Location: loc, Tenant: "11111111-2222-3333-4444-555555555555", ClientID: "11111111-2222-3333-4444-555555555556",
		Keys: []lakeward.Secret{lakeward.NewSecret("bench")}, Endpoints: map[string]lake.Endpoint{loc.Host(): e, loc.Authority(): e}}
}

func benchLakeward(b *testing.B, e lake.Endpoint, data []byte) {
	c, err := lake.New(sinkConfig(e))
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	measure(b, func() error {
		up, err := c.Upload(b.Context(), "f", func(w io.Writer) error {
			for p := 0; p < len(data); p += 64 << 10 { // as an encoder hands it over
				if _, err := w.Write(data[p : p+64<<10]); err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil && up.Size != benchFile {
			return fmt.Errorf("%d bytes", up.Size)
		}
		return err
	})
}

func benchPlain(b *testing.B, e lake.Endpoint, data []byte) {
	t := sinkTransport(e)
	defer t.CloseIdleConnections()
	hc := &http.Client{Transport: t}
	send := func(position int) error {
		url := "https://" + sinkAccount + ".dfs." + lakeward.EmulatorSuffix + "/exports/f?action=append&position=" + strconv.Itoa(position)
		req, err := http.NewRequestWithContext(b.Context(), http.MethodPatch, url, bytes.NewReader(data[position:position+benchBlock]))
		if err != nil {
			return err
		}
		res, err := hc.Do(req)
		if err != nil {
			return err
		}
		return res.Body.Close()
	}
	measure(b, func() error {
		positions, errs := make(chan int), make(chan error, 4)
		for range cap(errs) {
			go func() {
				var failed error
				for p := range positions {
					if err := send(p); err != nil {
						failed = err
					}
				}
				errs <- failed
			}()
		}
		for p := 0; p < len(data); p += benchBlock {
			positions <- p
		}
		close(positions)
		var failed error
		for range cap(errs) {
			if err := <-errs; err != nil {
				failed = err
			}
		}
		return failed
	})
}

func benchVendor(b *testing.B, e lake.Endpoint, data []byte) {
	key, err := azdatalake.NewSharedKeyCredential(sinkAccount, "c2luaw==")
	if err != nil {
		b.Fatal(err)
	}
	t := sinkTransport(e)
	defer t.CloseIdleConnections()
	f, err := file.NewClientWithSharedKeyCredential("https://"+sinkAccount+".dfs."+lakeward.EmulatorSuffix+"/exports/f", key,
		&file.ClientOptions{ClientOptions: azcore.ClientOptions{Transport: &http.Client{Transport: t}}})
	if err != nil {
		b.Fatal(err)
	}
	measure(b, func() error {
		return f.UploadBuffer(b.Context(), data, &file.UploadBufferOptions{ChunkSize: benchBlock, Concurrency: 4})
	})
}
