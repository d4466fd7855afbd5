package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"time"
)

// WaitLock takes the lock called name among all processes that use dir, and
// returns its release. It waits until ctx is done. The lock goes with the
// process, however it ends. A resource group is such a lock.
func WaitLock(ctx context.Context, dir, name string) (release func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(name)) // a name may be longer than a file's, and hold anything
	path := filepath.Join(dir, hex.EncodeToString(sum[:16])+".lock")
	wait := 10 * time.Millisecond
	for {
		f, err := lockFile(path, lockTry)
		if err == nil {
			return func() { unlockFile(f) }, nil
		}
		if !errors.Is(err, errLocked) {
			return nil, err
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil, context.Cause(ctx)
		case <-t.C:
		}
		wait = min(2*wait, 500*time.Millisecond)
	}
}

// RemoveFolder removes a folder of [LockFolder] with all that is mounted or
// left in it.
func RemoveFolder(dir string) error {
	return errors.Join(unmountBelow(dir), removeAll(dir))
}
