//go:build proof

package proof

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Point kills the process, without any farewell, when it is the n-th one of its life: LAKEWARD_PROOF_KILL
// is FILE:n. Each point adds a byte to the file, so that its size counts them, in whatever order they come.
func Point() {
	name, limit, ok := strings.Cut(os.Getenv("LAKEWARD_PROOF_KILL"), ":")
	if !ok {
		return
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	if _, err := f.Write([]byte{'.'}); err != nil {
		return
	}
	at, err := f.Seek(0, 1)
	if n, nerr := strconv.ParseInt(limit, 10, 64); err == nil && nerr == nil && at == n {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way
	}
}

// Planted reports whether a test planted the mistake: LAKEWARD_PROOF_BUG names it.
func Planted(b Bug) bool { return os.Getenv("LAKEWARD_PROOF_BUG") == string(b) }
