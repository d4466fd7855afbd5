package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"refline/internal/errs"
	"refline/internal/pipeline"
	"refline/internal/scheduler"
	"refline/internal/store"
	"refline/internal/store/storetest"
)

// transitions measures how many changes of a job's status the scheduler commits in a
// second, with jobs that need no time: runs of 20 jobs, 24 of them in flight. A good job
// changes three times.
func transitions(dir, postgres string) (err error) {
	address, kind := filepath.Join(dir, "transitions.db"), "SQLite"
	if postgres != "" {
		var drop func() error
		if address, drop, err = storetest.NewPostgres(postgres); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, drop()) }()
		kind = "PostgreSQL"
	}
	db, err := store.Open(context.Background(), address)
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithCancel(context.Background())
	s := scheduler.New(db, time.Now)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	group.Go(func() { _ = s.Run(ctx) })
	if err := db.Update(ctx, func(tx *store.Tx) error {
		return tx.AddProject(ctx, store.Project{ID: 1, Name: "p", Created: time.Now()})
	}); err != nil {
		return err
	}
	p := &pipeline.Pipeline{Stages: []string{"a", "b", "c", "d"}}
	for i := range 20 {
		p.Jobs = append(p.Jobs, pipeline.Job{Name: fmt.Sprint("j", i), Stage: p.Stages[i/5], When: pipeline.WhenOnSuccess})
	}
	var ended atomic.Int64
	for range 4 {
		session, err := s.OpenSession(ctx, 1, nil, false)
		if err != nil {
			return err
		}
		group.Go(func() { work(ctx, s, session, &ended) })
	}
	const flight, measured = 24, 5 * time.Second
	var watched sync.WaitGroup
	for range flight {
		watched.Go(func() {
			for ctx.Err() == nil {
				r, err := s.Create(ctx, scheduler.NewRun{Project: 1, Pipeline: p, Source: pipeline.TriggerAPI})
				if err != nil {
					return
				}
				w := s.Watch(r.ID)
				for r.Finished.IsZero() && ctx.Err() == nil {
					select {
					case <-w.Ready:
						w.Take()
					case <-time.After(time.Second):
					}
					if r, err = db.Run(ctx, r.ID); err != nil {
						break
					}
				}
				w.Close()
			}
		})
	}
	time.Sleep(time.Second) // until all are under way
	before, began := ended.Load(), time.Now()
	time.Sleep(measured)
	rate := float64(3*(ended.Load()-before)) / time.Since(began).Seconds()
	cancel()
	watched.Wait()
	aim := ""
	if postgres != "" {
		aim = "≥ 2,500 /s"
	}
	fmt.Printf("%-58s %6.0f /s %28s   %s\n", kind+": durable transitions, 20-job runs, 24 in flight", rate, "", aim)
	return nil
}

// work ends each job as soon as it is offered.
func work(ctx context.Context, s *scheduler.Scheduler, session int64, ended *atomic.Int64) {
	for ctx.Err() == nil {
		a, err := s.Poll(ctx, session, 32, nil, 5*time.Second)
		if err != nil && !errs.Is(err, errs.Unavailable) {
			return
		}
		var jobs sync.WaitGroup
		for _, job := range a.Jobs {
			jobs.Go(func() {
				if s.Finish(ctx, session, job.Fence, scheduler.Result{Status: pipeline.StatusSuccess}) == nil {
					ended.Add(1)
				}
			})
		}
		jobs.Wait()
	}
}
