package runner

import (
	"context"
	"sync"
	"time"

	"refline/internal/api"
	"refline/internal/git"
)

// prepared is a commit of which a checkout is to be ready before a job wants one.
type prepared struct{ url, commit string }

// knownSources remember how repositories are reached that jobs were of, in memory
// alone: what prepares checkouts is told addresses, not credentials.
type knownSources struct {
	mu   sync.Mutex
	list map[string]api.JobSource // by URL
}

const mostSources = 200

func (k *knownSources) know(s api.JobSource) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.list == nil || len(k.list) >= mostSources {
		k.list = map[string]api.JobSource{}
	}
	k.list[s.URL] = s
}

func (k *knownSources) find(url string) (api.JobSource, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s, ok := k.list[url]
	return s, ok
}

// prepare has a checkout prepared beside the work; if there is much to prepare
// already, it is left out. It reports whether it will be.
func (r *runner) prepare(p prepared) bool {
	select {
	case r.warm <- p:
		return true
	default:
		return false
	}
}

// idle is how long nothing starts before checkouts are prepared: that takes a
// processor, and a job that just got its files is busy.
const idle = 200 * time.Millisecond

// prepareLoop prepares checkouts, one after the other.
func (r *runner) prepareLoop(ctx context.Context) {
	last := map[string]string{} // commit by URL
	for {
		select {
		case <-ctx.Done():
			return
		case p := <-r.warm:
			timer := time.NewTimer(idle)
			select {
			case <-ctx.Done():
				timer.Stop()
				return
			case <-timer.C:
			}
			r.prepareOne(ctx, p, last[p.url] != p.commit)
			last[p.url] = p.commit
		}
	}
}

// prepareOne fetches a commit that is new, and adds a checkout to the pool of its
// repository if that is not full. It is no loss if that does not work.
func (r *runner) prepareOne(ctx context.Context, p prepared, fresh bool) {
	s, known := r.sources.find(p.url)
	if !known {
		return // no job was of it here: the first one makes the mirror
	}
	s.Commit, s.Kind = p.commit, "commit"
	remote, end, err := r.remote(s, func(string) {})
	if err != nil {
		return
	}
	defer end()
	c := git.Resolved{Kind: git.KindCommit, Commit: p.commit}
	if fresh && remote.Fetch(ctx, c, s.Depth) != nil {
		return
	}
	_ = remote.Prepare(ctx, c)
}
