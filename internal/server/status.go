package server

import (
	"context"
	"io/fs"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"refline/internal/api"
	"refline/internal/pipeline"
	"refline/internal/store"
)

// status reports how the server does.
func (s *Server) status(ctx context.Context) (api.Status, error) {
	out := api.Status{
		Version: s.options.Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Started: s.started,
		Database: api.Database{Kind: "sqlite"}, Queue: []api.QueueCount{},
	}
	if s.options.PublicURL != nil {
		out.URL = s.options.PublicURL.String()
	}
	if s.store.Shared() {
		out.Database.Kind = "postgres"
	}
	var err error
	if out.Database.Bytes, err = s.store.DatabaseBytes(ctx); err != nil {
		return out, err
	}
	if out.Runs, err = s.runCounts(ctx); err != nil {
		return out, err
	}
	if out.Runners, err = s.listRunners(ctx); err != nil {
		return out, err
	}
	if out.Queue, err = s.queueCounts(ctx, out.Runners); err != nil {
		return out, err
	}
	out.Room = s.wireRoom()
	out.Disk, err = s.diskUse(ctx)
	return out, err
}

func (s *Server) runCounts(ctx context.Context) (c api.RunCounts, err error) {
	for _, x := range []struct {
		to       *int64
		statuses []pipeline.Status
	}{
		{&c.Running, []pipeline.Status{pipeline.StatusRunning, pipeline.StatusCanceling}},
		{&c.Waiting, []pipeline.Status{pipeline.StatusCreated, pipeline.StatusPreparing, pipeline.StatusPending, pipeline.StatusWaitingForResource, pipeline.StatusScheduled}},
		{&c.Manual, []pipeline.Status{pipeline.StatusManual}},
	} {
		for _, status := range x.statuses {
			n, err := s.store.CountRuns(ctx, string(status))
			if err != nil {
				return c, err
			}
			*x.to += n
		}
	}
	return c, nil
}

// queueCounts counts what waits by reason.
func (s *Server) queueCounts(ctx context.Context, runners []api.Runner) ([]api.QueueCount, error) {
	lanes, err := s.store.QueueCounts(ctx)
	if err != nil {
		return nil, err
	}
	counts := map[string]int64{}
	for _, l := range lanes {
		counts[laneReason(l.Lane, runners)] += l.Count
	}
	w, err := s.store.WaitCounts(ctx)
	if err != nil {
		return nil, err
	}
	counts["runs that wait for slots"] = w.Slots
	counts["jobs that wait for a resource group"] = w.Groups
	counts["jobs that are delayed"] = w.Timers
	out := []api.QueueCount{}
	for reason, n := range counts {
		if n > 0 {
			out = append(out, api.QueueCount{Reason: reason, Count: n})
		}
	}
	slices.SortFunc(out, func(a, b api.QueueCount) int { return strings.Compare(a.Reason, b.Reason) })
	return out, nil
}

// laneReason says what the jobs of a lane wait for.
func laneReason(l store.Lane, runners []api.Runner) string {
	tags := "no tags"
	if len(l.Tags) > 0 {
		tags = "the tags " + strings.Join(l.Tags, ", ")
	}
	draining := false
	for _, r := range runners {
		if !r.Online || r.Protected && !l.Protected || !containsAll(r.Tags, l.Tags) {
			continue
		}
		if !r.Draining {
			return "jobs that wait for a free runner with " + tags
		}
		draining = true
	}
	if draining {
		return "jobs without a runner: those with " + tags + " are draining"
	}
	return "jobs without a runner: none with " + tags + " is online"
}

func containsAll(have, want []string) bool {
	return !slices.ContainsFunc(want, func(t string) bool { return !slices.Contains(have, t) })
}

// countTime bounds how long folders are counted.
const countTime = 5 * time.Second

// diskUse counts what the server keeps by kind.
func (s *Server) diskUse(ctx context.Context) ([]api.DiskUse, error) {
	kept, waiting, err := s.store.BlobUsage(ctx)
	if err != nil {
		return nil, err
	}
	var out []api.DiskUse
	for _, u := range kept {
		out = append(out, api.DiskUse{Kind: string(u.Kind) + "s", Bytes: u.Bytes})
	}
	out = append(out, api.DiskUse{Kind: "to be removed", Bytes: waiting.Bytes})
	within, cancel := context.WithTimeout(ctx, countTime)
	defer cancel()
	for _, f := range []struct{ kind, dir string }{{"logs on this computer", "logs"}, {"mirrors", "mirrors"}, {"includes", "includes"}, {"runner", "runner"}} {
		bytes, partial := folderBytes(within, filepath.Join(s.options.Data, f.dir))
		out = append(out, api.DiskUse{Kind: f.kind, Bytes: bytes, Partial: partial})
	}
	return slices.DeleteFunc(out, func(u api.DiskUse) bool { return u.Bytes == 0 && !u.Partial }), nil
}

// folderBytes adds up the files of a folder; partial says that ctx ended before.
func folderBytes(ctx context.Context, dir string) (bytes int64, partial bool) {
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if ctx.Err() != nil {
			partial = true
			return fs.SkipAll
		}
		if err != nil || entry.IsDir() {
			return nil // it may be removed meanwhile
		}
		if info, err := entry.Info(); err == nil {
			bytes += info.Size()
		}
		return nil
	})
	return bytes, partial
}
