package blob

import (
	"context"
	"errors"
)

// DeleteAll deletes the blobs whose keys begin with prefix. An error does not
// keep it from deleting the others.
func DeleteAll(ctx context.Context, s Store, prefix string) error {
	var all []error
	for info, err := range s.List(ctx, prefix, "") {
		if err == nil {
			err = s.Delete(ctx, info.Key)
		}
		all = append(all, err)
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(all...)
}
