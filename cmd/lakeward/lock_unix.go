//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/lakeward/lakeward"
)

// lockInfo is what the lock file says of its holder.
type lockInfo struct {
	PID     int    `json:"pid"`
	Address string `json:"address,omitempty"` // of a service
	Command string `json:"command"`
}

// lockFile is the right to a data directory: an advisory lock that ends with its process (DLV-80).
type lockFile struct{ f *os.File }

const (
	lockPatience = 5 * time.Second
	lockPoll     = 50 * time.Millisecond
)

// takeLock takes the lock. It waits a moment for another command, not for a service.
func takeLock(ctx context.Context, name string, info lockInfo) (*lockFile, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock file: %w", err)
	}
	deadline := time.Now().Add(lockPatience)
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.Join(fmt.Errorf("lock the data directory: %w", err), f.Close())
		}
		holder := readLock(f)
		if holder.Address != "" || time.Now().After(deadline) || ctx.Err() != nil {
			return nil, errors.Join(held(holder), f.Close())
		}
		time.Sleep(lockPoll)
	}
	l := &lockFile{f}
	return l, l.write(info)
}

// write says who holds the lock.
func (l *lockFile) write(info lockInfo) error {
	b, err := json.Marshal(info)
	if err != nil {
		return err
	}
	if err := l.f.Truncate(0); err != nil {
		return err
	}
	_, err = l.f.WriteAt(append(b, '\n'), 0)
	return err
}

func readLock(f *os.File) lockInfo {
	var info lockInfo
	b, err := io.ReadAll(io.NewSectionReader(f, 0, 64<<10))
	if err == nil {
		_ = json.Unmarshal(b, &info)
	}
	return info
}

func held(by lockInfo) error {
	e := &lakeward.Error{Kind: lakeward.Unavailable, Code: "DATA-1004"}
	if by.Address != "" {
		e.Msg = fmt.Sprintf("a service holds the data directory (pid %d, %s); stop it first; nothing was changed", by.PID, by.Address)
	} else {
		e.Msg = fmt.Sprintf("another %s holds the data directory (pid %d); wait for it; nothing was changed", by.Command, by.PID)
	}
	return e
}

func (l *lockFile) release() error {
	_ = l.f.Truncate(0)
	return l.f.Close()
}
