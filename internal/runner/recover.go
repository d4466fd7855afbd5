package runner

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"refline/internal/errs"
)

// recover ends what a killed runner left running, clears its workspaces, and returns
// the attempts that it had.
func (r *runner) recover(ctx context.Context) ([]journal, error) {
	left, err := readJournals(r.folder("attempts"))
	if err != nil {
		return nil, errs.E(errs.Unavailable, "the runner's folder: %w", err)
	}
	var names []string
	for _, j := range left {
		if j.Executor != "" && !slices.Contains(names, j.Executor) {
			names = append(names, j.Executor)
		}
	}
	for _, name := range names {
		ex, err := r.kinds.Open(ctx, name)
		if err == nil {
			err = ex.Sweep(ctx)
		}
		if err != nil {
			r.o.Notice(fmt.Sprintf("what the last runner left in %s could not be ended: %v", name, err))
		}
	}
	if err := errors.Join(clearFolder(r.folder("builds")), clearFolder(r.folder("checkouts")), clearFolder(r.folder("transfers"))); err != nil {
		r.o.Notice(fmt.Sprintf("workspaces of the last runner could not be removed: %v", err))
	}
	return left, nil
}
