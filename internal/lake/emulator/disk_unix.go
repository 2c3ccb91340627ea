//go:build unix

package emulator

import (
	"errors"
	"os"
	"syscall"

	"github.com/lakeward/lakeward"
)

const (
	errDiskFull    = syscall.ENOSPC
	errNameTooLong = syscall.ENAMETOOLONG
)

// takeLock holds a file of the lake; a second server on the same folder would write another index.
func takeLock(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(&lakeward.Error{Kind: lakeward.Unavailable, Code: "LAKE-1003", Msg: "another process serves the lake in this folder; stop it first", Err: err}, f.Close())
	}
	return f, nil
}
