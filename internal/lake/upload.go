package lake

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"sync"

	"github.com/minio/crc64nvme"

	"github.com/lakeward/lakeward"
	"github.com/lakeward/lakeward/internal/proof"
)

const (
	firstBlock    = 8 << 20
	lastBlock     = 100 << 20
	smallBlock    = 256 << 10
	doubleEvery   = 2000
	maxBlocks     = 50_000
	uploadWorkers = 8 // half of what an account may have under way; enough for full speed at 20 ms (BenchmarkUpload)
)

// Uploaded is what a finished upload is known to hold.
type Uploaded struct {
	Size  int64  // counted by the producer
	CRC64 uint64 // CRC-64/NVME of all bytes
}

// checksum is the value of x-ms-content-crc64: 8 bytes little endian, base64 (ADL-75).
func checksum(b []byte) string {
	var sum [8]byte
	binary.LittleEndian.PutUint64(sum[:], crc64nvme.Checksum(b))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Upload fills the empty file at path with what write writes, and flushes it at the counted length
// (ADL-62, ADL-63). It does not read back. Memory: eight blocks of 8 MiB; as blocks grow with the file there
// are fewer, so that all together stay at 64 MiB, or two blocks.
// write's error is returned as it is; nothing is flushed then.
func (c *Client) Upload(ctx context.Context, path string, write func(io.Writer) error) (Uploaded, error) {
	return c.UploadTo(ctx, path, "", write)
}

// UploadTo is Upload into exactly the file with an etag: if somebody replaced it, nothing is flushed.
func (c *Client) UploadTo(ctx context.Context, path, etag string, write func(io.Writer) error) (Uploaded, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	u := &upload{client: c, path: path, ctx: ctx, cancel: cancel, blocks: make(chan block), free: make(chan []byte, uploadWorkers), live: uploadWorkers}
	for range uploadWorkers {
		u.free <- nil // blocks are made when they are first used
		u.workers.Go(u.work)
	}
	err := u.filledBy(write)
	if err == nil {
		err = u.send()
	}
	close(u.blocks)
	u.workers.Wait()
	if failed := u.failure(); failed != nil {
		return Uploaded{}, failed // the writer only saw that it was stopped
	}
	if err != nil {
		return Uploaded{}, err
	}
	for range len(u.free) { // not after a failure: a cancelled request may still read its block
		if b := <-u.free; cap(b) > smallBlock {
			c.buffers.Put(&b)
		}
	}
	up := Uploaded{Size: u.size, CRC64: u.crc}
	if u.size == 0 {
		return up, nil // created empty; there is nothing to flush (ADL-65)
	}
	if proof.Planted(proof.ShortFlush) {
		return up, c.settle(ctx, path, u.last, etag)
	}
	return up, c.settle(ctx, path, u.size, etag)
}

// filledBy calls write. A panic of it ends the workers as an error does (DLV-46).
func (u *upload) filledBy(write func(io.Writer) error) (err error) {
	defer lakeward.Rescue(&err)
	return write(u)
}

// settle flushes; an unclear flush is resolved by the length, once more if needed (DLV-70f).
func (c *Client) settle(ctx context.Context, path string, size int64, etag string) error {
	for try := 0; ; try++ {
		err := c.Flush(ctx, path, size, etag)
		if err == nil || !Unclear(err) || try == 1 {
			return err
		}
		o, serr := c.Status(ctx, path)
		if serr != nil {
			return serr
		}
		if o.Size == size {
			return nil
		}
	}
}

type block struct {
	position int64
	data     []byte
}

// upload is the writer that cuts a stream into blocks.
type upload struct {
	client  *Client
	path    string
	ctx     context.Context
	cancel  context.CancelFunc
	blocks  chan block
	free    chan []byte
	workers sync.WaitGroup
	open    []byte
	live    int // buffers that may be filled or under way
	count   int
	size    int64 // of what was handed to the workers
	last    int64 // position of the last block
	crc     uint64

	mu  sync.Mutex
	err error
}

// blockSize is the size of block i: that of the first ones, doubled every 2,000 blocks, at most 100 MiB (ADL-66).
func blockSize(first, i int) int { return min(first<<min(i/doubleEvery, 8), lastBlock) }

// Write fills blocks. It fails once a worker has failed.
func (u *upload) Write(p []byte) (int, error) {
	done := 0
	for done < len(p) {
		size := blockSize(u.client.block, u.count)
		if err := u.begin(size); err != nil {
			return done, err
		}
		n := min(len(p)-done, size-len(u.open))
		u.grow(len(u.open)+n, size)
		u.open = append(u.open, p[done:done+n]...)
		done += n
		if len(u.open) == size {
			if err := u.send(); err != nil {
				return done, err
			}
		}
	}
	return done, nil
}

// begin waits for a buffer for the next block. Buffers beyond what the size of a block allows are given up.
func (u *upload) begin(size int) error {
	for u.open == nil {
		select {
		case u.open = <-u.free:
		case <-u.ctx.Done():
			return context.Cause(u.ctx)
		}
		if u.live > max(2, uploadWorkers*u.client.block/size) {
			u.live--
			u.open = nil
			continue
		}
		if u.open == nil {
			u.open = []byte{} // made when it is filled
		}
		if cap(u.open) < size && cap(u.open) > smallBlock {
			u.open = []byte{} // the smaller one is given up before the larger one is made
		}
	}
	return nil
}

// grow makes room for n bytes of a block: a little one for a small file, else the whole block at once.
func (u *upload) grow(n, size int) {
	switch {
	case n <= cap(u.open):
		return
	case n <= smallBlock && size > smallBlock:
		size = smallBlock
	}
	u.open = append(u.client.buffer(size), u.open...)
}

// buffer is an empty buffer of at least n bytes, from an earlier upload if there is one.
func (c *Client) buffer(n int) []byte {
	if b, ok := c.buffers.Get().(*[]byte); ok && cap(*b) >= n {
		return (*b)[:0]
	}
	return make([]byte, 0, n)
}

// send hands the open block to a worker.
func (u *upload) send() error {
	if len(u.open) == 0 {
		return nil // also a buffer that was taken and not filled
	}
	if u.count++; u.count > maxBlocks {
		return &lakeward.Error{Kind: lakeward.Invalid, Code: lakeward.FailQuota, Msg: "the file is larger than about 4 TiB; export fewer rows per file"}
	}
	u.crc = crc64nvme.Update(u.crc, u.open)
	b := block{u.size, u.open}
	u.last = u.size
	u.size += int64(len(u.open))
	u.open = nil
	select {
	case u.blocks <- b:
		return nil
	case <-u.ctx.Done():
		return context.Cause(u.ctx)
	}
}

func (u *upload) work() {
	for b := range u.blocks {
		if err := u.append(b); err != nil {
			u.fail(err)
		}
		u.free <- b.data[:0]
	}
}

// append sends a block. A panic is an error of the upload (DLV-46).
func (u *upload) append(b block) (err error) {
	defer lakeward.Rescue(&err)
	return u.client.Append(u.ctx, u.path, b.position, b.data)
}

func (u *upload) fail(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.err == nil || errors.Is(u.err, context.Canceled) {
		u.err = err
	}
	u.cancel()
}

func (u *upload) failure() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}
