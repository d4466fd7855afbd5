package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"refline/internal/lock"
)

// lock takes the lock of the mirror, with a notice when it has to wait. The
// lock ends when the returned file is closed here and in every child that it
// was shared with, or when they die.
func (r *Remote) lock(ctx context.Context) (*os.File, error) {
	path := filepath.Join(r.dir, "lock")
	f, err := lock.Wait(ctx, path, func(holder string) {
		r.access.notice(fmt.Sprintf("waiting for %s, which holds %s", or(holder, "another process"), path))
	})
	if err != nil && ctx.Err() == nil {
		return nil, onDisk(err, "lock the mirror of %s", r.URL())
	}
	return f, err
}

// tryLock takes the lock file called name in the mirror's folder. It returns
// nil and no error when another process holds it.
func (r *Remote) tryLock(name string) (*os.File, error) {
	f, err := lock.Try(filepath.Join(r.dir, name))
	if errors.Is(err, lock.ErrHeld) {
		return nil, nil
	}
	if err != nil {
		return nil, onDisk(err, "lock the mirror of %s", r.URL())
	}
	return f, nil
}
