package engine

import (
	"context"
	"fmt"
	"refline/internal/cache"
)

// jobCache is one cache of a job between its restore and its save.
type jobCache struct {
	request cache.Request
	before  cache.Report
}

// restoreCaches fills the workspace. A cache is a help, not a promise: what
// goes wrong with one is logged and the job goes on.
func (a *attempt) restoreCaches(ctx context.Context) error {
	if a.Caches == nil || len(a.Job.Caches) == 0 {
		return nil
	}
	return a.section("restore_cache", "Restoring cache", func() error {
		for _, c := range a.Job.Caches {
			keys, err := cache.ResolveKeys(c, cache.KeyInput{
				Base: a.Tree, Expand: a.expand, LastCommit: a.LastCommit,
				Protected: a.lookup["CI_COMMIT_REF_PROTECTED"] == "true", Fallback: a.lookup["CACHE_FALLBACK_KEY"],
			})
			if err != nil {
				fmt.Fprintf(a.log, "cache: %v\n", err)
				continue
			}
			c.Policy = a.expand(c.Policy)
			jc := jobCache{request: cache.Request{
				Project: a.Project, Cache: c, Keys: keys, Workspace: a.workspace,
				ProjectDir: a.paths.project, Expand: a.expand, Base: a.Tree,
			}}
			jc.before, err = cache.Restore(ctx, a.Caches, jc.request)
			a.logCache(append(keys.Warnings, jc.before.Notes...), jc.before.Warnings, err)
			a.caches = append(a.caches, jc)
		}
		return ctx.Err()
	})
}

func (a *attempt) saveCaches(ctx context.Context, failed bool) {
	if !a.savesCache(failed) {
		return
	}
	_ = a.section("archive_cache", "Saving cache", func() error {
		for _, jc := range a.caches {
			jc.request.Failed = failed
			report, err := cache.Save(ctx, a.Caches, jc.request, jc.before)
			a.logCache(report.Notes, report.Warnings, err)
		}
		return nil
	})
}

func (a *attempt) savesCache(failed bool) bool {
	for _, jc := range a.caches {
		jc.request.Failed = failed
		if jc.request.Saves() {
			return true
		}
	}
	return false
}

func (a *attempt) logCache(notes, warnings []string, err error) {
	for _, line := range append(notes, warnings...) {
		fmt.Fprintln(a.log, line)
	}
	if err != nil {
		fmt.Fprintf(a.log, "cache: %v\n", err)
	}
}
