package variable

import (
	"context"
	"errors"
	"time"

	"refline/internal/lock"
)

// Lock waits until no other refline changes the file at path; dir holds the
// locks. It calls waiting when that takes long: an editor may be open.
func Lock(ctx context.Context, dir, path string, waiting func()) (unlock func(), err error) {
	name := "variables\x00" + path
	soon, giveUp := context.WithTimeout(ctx, time.Second)
	defer giveUp()
	unlock, err = lock.WaitName(soon, dir, name)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		waiting()
		return lock.WaitName(ctx, dir, name)
	}
	return unlock, err
}
