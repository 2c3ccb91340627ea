package warehouse

import "syscall"

// unload takes the pages of a mapped file out of the memory of the process; what is read again is mapped again.
func unload(mapped []byte) { _ = syscall.Madvise(mapped, syscall.MADV_DONTNEED) }
