package engine

import (
	"errors"
	"io"
	"strings"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/compress"
	"github.com/lakeward/lakeward/internal/encrypt"
)

// envelope is what stands around the bytes of a delivered file: packed, then encrypted, as its plan says.
type envelope struct {
	packed *compress.Writer
	sealed io.WriteCloser
}

// newEnvelope puts what is written to it, packed and encrypted, into out. Close must be called, also after an error.
func newEnvelope(out io.Writer, plan *lakeward.Plan, name string) (*envelope, error) {
	sealed, err := encrypt.New(out, plan.Keys, strings.TrimSuffix(name, lakeward.EncryptedSuffix), now())
	if err != nil {
		return nil, cannotEncrypt(err)
	}
	packed, err := compress.New(sealed, plan.Destination.Around())
	if err != nil {
		return nil, err
	}
	return &envelope{compress.Behind(packed), sealed}, nil
}

func (v *envelope) Write(p []byte) (int, error) { return v.packed.Write(p) }

// Take takes a block over and returns an empty one.
func (v *envelope) Take(block []byte) ([]byte, error) { return v.packed.Take(block) }

// Close writes what is left, the inner before the outer. It does nothing twice.
func (v *envelope) Close() error {
	if v.sealed == nil {
		return nil
	}
	sealed := v.sealed
	v.sealed = nil
	return errors.Join(v.packed.Close(), sealed.Close())
}
