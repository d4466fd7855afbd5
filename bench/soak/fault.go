//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"refline/internal/api"
	"refline/internal/pipeline"
)

// openRuns bounds the runs that are under way.
const openRuns = 15

// person starts, cancels, retries and plays, and writes down what was acknowledged.
func (s *soak) person(ctx context.Context, random *rand.Rand) {
	for sleep(ctx, time.Duration(100+random.IntN(600))*time.Millisecond) {
		on := s.servers[random.IntN(len(s.servers))].client
		page, err := on.Runs(ctx, api.RunQuery{Limit: 50})
		if err != nil {
			continue
		}
		var open []api.Run
		for _, r := range page.Runs {
			if r.Finished.IsZero() && (r.Result == "" || r.Result == pipeline.ResultWaiting) {
				open = append(open, r)
			}
		}
		if len(open) < openRuns {
			f := s.flows[random.IntN(len(s.flows))]
			if r, err := on.StartRun(ctx, api.RunInput{Project: f.Project, Flow: f.Name}); err == nil {
				s.mu.Lock()
				s.acknowledged = append(s.acknowledged, r.ID)
				s.mu.Unlock()
			}
		}
		if len(page.Runs) == 0 {
			continue
		}
		r := page.Runs[random.IntN(len(page.Runs))]
		switch random.IntN(12) { // what cannot be done now is refused
		case 0:
			err = on.CancelRun(ctx, r.ID, "")
		case 1:
			err = on.RetryRun(ctx, r.ID, "", true)
		case 2, 3, 4:
			err = s.play(ctx, on, r.ID)
		default:
			continue
		}
		if err == nil {
			s.note("cancels, retries and plays")
		}
	}
}

// play starts what waits for a person.
func (s *soak) play(ctx context.Context, on *api.Client, id int64) error {
	r, err := on.Run(ctx, id)
	if err != nil {
		return err
	}
	for _, j := range r.Jobs {
		if j.Status == pipeline.StatusManual {
			err = errors.Join(err, on.PlayJob(ctx, id, j.Name))
		}
	}
	return err
}

// makeFaults makes one fault after the other, and heals what it made.
func (s *soak) makeFaults(ctx context.Context, random *rand.Rand) error {
	stopped := make(chan struct{}, 1)
	var asleep *process
	defer func() {
		if asleep != nil {
			<-stopped
		}
	}()
	for sleep(ctx, time.Duration(500+random.IntN(3500))*time.Millisecond) {
		v, r := s.servers[random.IntN(len(s.servers))], s.runners[random.IntN(len(s.runners))]
		if r == asleep {
			continue
		}
		down := time.Duration(random.IntN(2000)) * time.Millisecond
		switch random.IntN(9) {
		case 0, 1, 2:
			s.note("servers killed")
			v.kill()
			time.Sleep(down)
			if err := v.start(); err != nil {
				return err
			}
			if err := v.connect(); err != nil {
				return err
			}
		case 3, 4, 5:
			s.note("runners killed")
			r.kill()
			time.Sleep(down)
			if err := r.start(); err != nil {
				return err
			}
		case 6:
			s.note("servers stopped for a while")
			v.signal(syscall.SIGSTOP)
			time.Sleep(2 * down)
			v.signal(syscall.SIGCONT)
		case 7: // past its lease of a minute, beside everything else
			select {
			case <-stopped:
				asleep = nil
			default:
			}
			if asleep != nil {
				continue
			}
			s.note("runners stopped past their lease")
			asleep = r
			r.signal(syscall.SIGSTOP)
			time.AfterFunc(70*time.Second, func() { r.signal(syscall.SIGCONT); stopped <- struct{}{} })
		default:
			if err := s.fillDisk(2*down + time.Second); err != nil {
				return err
			}
		}
	}
	return nil
}

// fillDisk takes all room of the disk for a while.
func (s *soak) fillDisk(d time.Duration) error {
	if !s.small {
		return nil
	}
	s.note("disk full")
	path := filepath.Join(s.disk, "filler")
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	block := make([]byte, 1<<20)
	end := time.Now().Add(d)
	for time.Now().Before(end) {
		if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
			if len(block) > 1 {
				block = block[:len(block)/2]
				continue
			}
			time.Sleep(20 * time.Millisecond) // somebody may give room back
			block = block[:1]
		} else if err != nil {
			return fmt.Errorf("fill the disk: %w", err)
		}
	}
	return os.Remove(path)
}

// sleep waits, and reports false if ctx is done.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
