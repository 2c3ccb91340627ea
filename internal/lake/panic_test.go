package lake

import (
	"io"
	"testing"

	"github.com/lakeward/lakeward"
)

// DLV-46: a panic while a file is uploaded, of its writer or of a worker, is an error of the upload; the process lives.
func TestPanicOfAnUploadIsAnError(t *testing.T) {
	location, err := lakeward.ParseLocation("abfss://container@account.dfs.core.windows.net")
	if err != nil {
		t.Fatal(err)
	}
	for name, write := range map[string]func(io.Writer) error{
		"of the writer": func(io.Writer) error { panic("a bug") },
		"of a worker":   func(w io.Writer) error { _, err := w.Write([]byte("text")); return err },
	} {
		c, err := New(Config{Location: location, SignIn: lakeward.ManagedIdentity})
		if err != nil {
			t.Fatal(err)
		}
		c.tokens, c.http, c.limit = nil, nil, nil // every request panics
		if _, err := c.Upload(t.Context(), "f", write); lakeward.CodeOf(err) != lakeward.FailInternal {
			t.Errorf("a panic %s is told as %v", name, err)
		}
	}
}
