package pipeline

import (
	"cmp"
	"slices"

	"refline/internal/errs"
)

// release removes a group from those that are busy.
func (t *transition) release(group string) error {
	if group == "" {
		return errs.E(errs.Invalid, "event %q without a resource group", EventRelease)
	}
	t.busyGroups = slices.DeleteFunc(slices.Clone(t.busyGroups), func(h string) bool { return h == group })
	return nil
}

// ResourceMode decides which of several pipelines gets a resource group next.
type ResourceMode string

// The modes, by GitLab's names.
const (
	ResourceModeUnordered        ResourceMode = "unordered"          // any job that waits; the default
	ResourceModeOldestFirst      ResourceMode = "oldest_first"       // pipelines in the order of their creation
	ResourceModeNewestFirst      ResourceMode = "newest_first"       // the newest pipeline, even if its job is not ready
	ResourceModeNewestReadyFirst ResourceMode = "newest_ready_first" // the newest pipeline whose job waits
)

// Claim is a job of one of several pipelines that uses a resource group.
type Claim struct {
	Pipeline int64 // higher for a newer pipeline
	Job      string
	Status   Status
}

// NextClaim chooses the job that gets a free group. It chooses none if no job
// waits, or if the mode keeps the group for a job that is not ready: oldest_first
// and newest_first also count created and scheduled jobs. Within a pipeline, the
// first job that waits is chosen.
func NextClaim(mode ResourceMode, claims []Claim) (Claim, bool) {
	waits := func(c Claim) bool { return c.Status == StatusWaitingForResource }
	waitsOrWill := func(c Claim) bool { return waits(c) || c.Status == StatusCreated || c.Status == StatusScheduled }
	newer := func(a, b Claim) int { return cmp.Compare(b.Pipeline, a.Pipeline) }
	older := func(a, b Claim) int { return cmp.Compare(a.Pipeline, b.Pipeline) }
	counts, order := waits, func(Claim, Claim) int { return 0 }
	switch mode {
	case ResourceModeOldestFirst:
		counts, order = waitsOrWill, older
	case ResourceModeNewestFirst:
		counts, order = waitsOrWill, newer
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
		return cmp.Or(order(a, b), trueFirst(waits(a), waits(b)))
	})
	if len(list) == 0 || !waits(list[0]) {
		return Claim{}, false
	}
	return list[0], true
}

func trueFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	default:
		return 1
	}
}
