package compress

import (
	"io"

	"github.com/klauspost/compress/zstd"
)

// newZstd writes one frame. One goroutine, so that runs beside each other share the cores and equal input gives equal bytes.
func newZstd(w io.Writer) (io.WriteCloser, error) {
	return zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1), zstd.WithZeroFrames(true))
}
