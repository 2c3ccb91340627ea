package compress_test

import (
	"bytes"
	stdgzip "compress/gzip"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/compress"
)

func pack(t *testing.T, c lakeward.Compression, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := compress.New(&b, c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// CMP-01: gzip is one member that the standard library reads; DLV-15: it holds no name and no time.
func TestGzip(t *testing.T) {
	for _, text := range []string{"", "a", strings.Repeat("name,city\n", 100_000)} {
		data := pack(t, lakeward.Gzip, text)
		r, err := stdgzip.NewReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		r.Multistream(false)
		got, err := io.ReadAll(r)
		if err != nil || string(got) != text {
			t.Errorf("read back %d bytes, %v, want %d", len(got), err, len(text))
		}
		if r.Name != "" || !r.ModTime.IsZero() {
			t.Errorf("the member has name %q and time %v", r.Name, r.ModTime)
		}
		if !bytes.Equal(data, pack(t, lakeward.Gzip, text)) {
			t.Error("the same text gave other bytes")
		}
	}
}

// CMP-01, decision 13: the extensions are one archive each that ends what it begins and that equal text gives again.
func TestExtensions(t *testing.T) {
	for c, unpack := range map[lakeward.Compression]func(io.Reader) io.Reader{
		lakeward.Zstd: func(r io.Reader) io.Reader {
			z, err := zstd.NewReader(r)
			if err != nil {
				t.Fatal(err)
			}
			return z
		},
		lakeward.Snappy: func(r io.Reader) io.Reader { return snappy.NewReader(r) },
		lakeward.LZ4:    func(r io.Reader) io.Reader { return lz4.NewReader(r) },
	} {
		for _, text := range []string{"", "a", strings.Repeat("name,city\n", 100_000), strings.Repeat("\x00\xff random", 3)} {
			data := pack(t, c, text)
			got, err := io.ReadAll(unpack(bytes.NewReader(data)))
			if err != nil || string(got) != text {
				t.Errorf("%s: read back %d bytes, %v, want %d", c, len(got), err, len(text))
			}
			if !bytes.Equal(data, pack(t, c, text)) {
				t.Errorf("%s: the same text gave other bytes", c)
			}
			if len(data) == 0 {
				t.Errorf("%s: an empty file is no archive", c)
			}
			if len(text) > 100_000 && len(data) > len(text)/4 {
				t.Errorf("%s: %d bytes became %d", c, len(text), len(data))
			}
		}
	}
}

func TestNoCompression(t *testing.T) {
	if got := pack(t, lakeward.NoCompression, "abc"); string(got) != "abc" {
		t.Errorf("got %q", got)
	}
	if _, err := compress.New(io.Discard, "ZIP"); lakeward.CodeOf(err) != "CSV-1011" {
		t.Errorf("New(ZIP): %v", err)
	}
}
