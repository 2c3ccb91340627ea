//go:build unix

package emulator

import "syscall"

const (
	errDiskFull    = syscall.ENOSPC
	errNameTooLong = syscall.ENAMETOOLONG
)
