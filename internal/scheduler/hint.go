package scheduler

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Hints tell other servers on the database that runs changed: their standing
// polls look at the queue, their readers at the runs. They may get lost, so all
// servers also look each second.

// hintEvery is the shortest time between two hints: each takes a lock that all
// commits of the database share.
const hintEvery = 5 * time.Millisecond

// exchangeHints sends hints of this server's changes and hears those of others.
func (s *Scheduler) exchangeHints(ctx context.Context) {
	if !s.store.Shared() || s.noHints {
		return
	}
	own := strconv.FormatInt(time.Now().UnixNano(), 36)
	var hearing sync.WaitGroup
	defer hearing.Wait()
	hearing.Go(func() { s.hearHints(ctx, own) })

	var mu sync.Mutex
	changes := map[int64]int64{}
	ready := make(chan struct{}, 1)
	s.hub.mu.Lock()
	s.hub.remote = func(c Change) {
		mu.Lock()
		defer mu.Unlock()
		changes[c.Run] = c.Version
		wake(ready)
	}
	s.hub.mu.Unlock()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ready:
		}
		mu.Lock()
		text := encodeHint(own, changes)
		clear(changes)
		mu.Unlock()
		_ = s.store.Hint(ctx, text) // lost: others look by themselves
		if !sleep(ctx, hintEvery) {
			return
		}
	}
}

// maxHint bounds a hint; PostgreSQL takes 8,000 bytes.
const maxHint = 7000

func encodeHint(own string, changes map[int64]int64) string {
	var b strings.Builder
	b.WriteString(own)
	for run, version := range changes {
		fmt.Fprintf(&b, " %d:%d", run, version)
		if b.Len() > maxHint {
			return own + " more"
		}
	}
	return b.String()
}

func (s *Scheduler) hearHints(ctx context.Context, own string) {
	for ctx.Err() == nil {
		err := s.store.Hints(ctx, func() {
			s.hub.miss() // what was sent before is lost
			wake(s.nudge)
		}, func(text string) { s.hearHint(own, text) })
		if err != nil && ctx.Err() == nil {
			s.Log.Warn("hints of other servers cannot be heard; looking each second", "error", err)
		}
		sleep(ctx, secondLook)
	}
}

func (s *Scheduler) hearHint(own, text string) {
	from, rest, _ := strings.Cut(text, " ")
	if from == own {
		return
	}
	for item := range strings.FieldsSeq(rest) {
		run, version, _ := strings.Cut(item, ":")
		id, err := strconv.ParseInt(run, 10, 64)
		v, err2 := strconv.ParseInt(version, 10, 64)
		if err != nil || err2 != nil {
			s.hub.miss()
			continue
		}
		s.hub.hear(Change{Run: id, Version: v})
	}
	wake(s.nudge)
}
