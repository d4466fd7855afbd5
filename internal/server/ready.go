package server

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"refline/internal/api"
	"refline/internal/diskspace"
	"refline/internal/errs"
	"refline/internal/telemetry"
)

// room watches the free space of the data folder. Below the mark the server is not ready
// and offers no jobs; what runs goes on, and everything is taken as far as the disk lets.
type room struct {
	dir  string
	mark int64 // bytes; 0: any is enough
	free func(dir string) (uint64, error)
	low  atomic.Bool
	left atomic.Int64
}

// lookAtDisk is how often the free space is read.
const lookAtDisk = 5 * time.Second

// look reads the free space. A tenth above the mark ends the shortage, so that it does
// not come and go with each job.
func (r *room) look() {
	free, err := r.free(r.dir)
	if err != nil {
		return // the database says when the disk is gone
	}
	left := int64(min(free, 1<<62)) //nolint:gosec // below 2^63
	r.left.Store(left)
	if left < r.mark {
		r.low.Store(true)
	} else if left >= r.mark+r.mark/10 {
		r.low.Store(false)
	}
}

func (r *room) watch(ctx context.Context) {
	tick := time.NewTicker(lookAtDisk)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			r.look()
		}
	}
}

// short is why the server does not start anything; nil if there is room.
func (r *room) short() error {
	if r == nil || !r.low.Load() {
		return nil
	}
	return errs.E(errs.Unavailable, "the disk of %s has %d MiB left, less than the %d MiB of --min-free: no job starts until there is room; see refline server status, lower the retention of projects, or remove caches",
		r.dir, r.left.Load()>>20, r.mark>>20)
}

func (s *Server) openRoom() {
	s.room = &room{dir: s.options.Data, mark: s.options.MinFree, free: diskspace.Free}
	s.room.look()
}

// readyRoutes serves what programs ask that watch the server.
func (s *Server) readyRoutes() {
	s.router.plain("GET /readyz", actPublic, s.serveReady)
	s.metrics = telemetry.New(s.options.Version, s.samples)
	s.scheduler.Turned, s.scheduler.Claimed = s.metrics.Turn, s.metrics.Claim
	s.router.answered = s.metrics.Request
	s.router.handle("GET /metrics", actRead, s.metrics.Handler().ServeHTTP)
}

// serveReady says whether the server can do its work: its database answers with the
// schema of this program, and there is room on the disk.
func (s *Server) serveReady(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	var faults []string
	if _, err := s.store.Schema(ctx); err != nil {
		faults = append(faults, "the database does not answer")
		infoOf(r.Context()).fail(err)
	}
	if s.room.short() != nil {
		faults = append(faults, "the disk is nearly full")
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if len(faults) > 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = fmt.Fprintln(w, strings.Join(faults, "\n"))
		return nil
	}
	_, _ = fmt.Fprintln(w, "ok")
	return nil
}

// samples are the gauges of /metrics.
func (s *Server) samples(ctx context.Context) ([]telemetry.Sample, error) {
	var out []telemetry.Sample
	add := func(name, help, label, of string, value float64) {
		out = append(out, telemetry.Sample{Name: name, Help: help, Label: label, Of: of, Value: value})
	}
	runs, err := s.runCounts(ctx)
	if err != nil {
		return nil, err
	}
	const runsHelp = "Runs that are not over, by state."
	add("refline_runs", runsHelp, "state", "running", float64(runs.Running))
	add("refline_runs", runsHelp, "state", "waiting", float64(runs.Waiting))
	add("refline_runs", runsHelp, "state", "manual", float64(runs.Manual))
	runners, err := s.listRunners(ctx)
	if err != nil {
		return nil, err
	}
	queue, err := s.queueCounts(ctx, runners)
	if err != nil {
		return nil, err
	}
	for _, q := range queue {
		add("refline_queue", "What waits, by reason.", "reason", q.Reason, float64(q.Count))
	}
	online, jobs := 0, 0
	for _, r := range runners {
		if r.Online {
			online++
		}
		jobs += len(r.Jobs)
	}
	add("refline_runners_online", "Runners whose session is open.", "", "", float64(online))
	add("refline_jobs_running", "Jobs that runners have.", "", "", float64(jobs))
	kept, waiting, err := s.store.BlobUsage(ctx)
	if err != nil {
		return nil, err
	}
	const blobHelp = "Bytes of artifacts, caches and logs in the blob store."
	for _, u := range kept {
		add("refline_blob_bytes", blobHelp, "kind", string(u.Kind), float64(u.Bytes))
	}
	add("refline_blob_bytes", blobHelp, "kind", "to be removed", float64(waiting.Bytes))
	bytes, err := s.store.DatabaseBytes(ctx)
	if err != nil {
		return nil, err
	}
	add("refline_database_bytes", "Size of the database.", "", "", float64(bytes))
	add("refline_disk_free_bytes", "Free space of the data folder's disk.", "", "", float64(s.room.left.Load()))
	ready := 1.0
	if s.room.short() != nil {
		ready = 0
	}
	add("refline_disk_enough", "1 while the free space is above --min-free.", "", "", ready)
	return out, nil
}

// wireRoom is the free space for the status.
func (s *Server) wireRoom() *api.DiskRoom {
	return &api.DiskRoom{Free: s.room.left.Load(), Mark: s.room.mark, Low: s.room.low.Load()}
}
