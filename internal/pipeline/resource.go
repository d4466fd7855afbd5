package pipeline

import (
	"cmp"
	"slices"

	"refline/internal/errs"
)

// release takes a group out of those that other pipelines hold.
func (t *transition) release(group string) error {
	if group == "" {
		return errs.E(errs.Invalid, "%q without the name of a resource group", EventRelease)
	}
	t.busyGroups = slices.DeleteFunc(slices.Clone(t.busyGroups), func(h string) bool { return h == group })
	return nil
}

// ResourceMode says which of several pipelines gets a resource group next.
type ResourceMode string

// The modes, by GitLab's names.
const (
	ResourceModeUnordered        ResourceMode = "unordered"          // whoever waits; the default
	ResourceModeOldestFirst      ResourceMode = "oldest_first"       // pipelines one after the other
	ResourceModeNewestFirst      ResourceMode = "newest_first"       // the last pipeline, though it may not be ready yet
	ResourceModeNewestReadyFirst ResourceMode = "newest_ready_first" // the last pipeline that waits
)

// Claim is a job of some pipeline that uses a resource group.
type Claim struct {
	Pipeline int64 // grows with each new pipeline
	Job      string
	Status   Status
}

// NextClaim chooses who gets a group that is free, of all that use it. It
// chooses nobody when no job waits, or when the mode keeps the group for a job
// that is not ready: oldest_first and newest_first count those that are created
// or scheduled, too. Within a pipeline the first that waits is chosen.
func NextClaim(mode ResourceMode, claims []Claim) (Claim, bool) {
	waits := func(c Claim) bool { return c.Status == StatusWaitingForResource }
	comes := func(c Claim) bool { return waits(c) || c.Status == StatusCreated || c.Status == StatusScheduled }
	newer := func(a, b Claim) int { return cmp.Compare(b.Pipeline, a.Pipeline) }
	older := func(a, b Claim) int { return cmp.Compare(a.Pipeline, b.Pipeline) }
	counts, order := waits, func(Claim, Claim) int { return 0 }
	switch mode {
	case ResourceModeOldestFirst:
		counts, order = comes, older
	case ResourceModeNewestFirst:
		counts, order = comes, newer
	case ResourceModeNewestReadyFirst:
		order = newer
	}
	var list []Claim
	for _, c := range claims {
		if counts(c) {
			list = append(list, c)
		}
	}
	slices.SortStableFunc(list, func(a, b Claim) int {
		return cmp.Or(order(a, b), -boolCompare(waits(a), waits(b)))
	})
	if len(list) == 0 || !waits(list[0]) {
		return Claim{}, false
	}
	return list[0], true
}

func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	default:
		return -1
	}
}
