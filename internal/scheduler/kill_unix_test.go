//go:build unix

package scheduler_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"refline/internal/pipeline"
	"refline/internal/scheduler"
	"refline/internal/store"
	"refline/internal/store/storetest"
)

const killedServer = "REFLINE_TEST_KILLED_SERVER"

func TestMain(m *testing.M) {
	if address := os.Getenv(killedServer); address != "" {
		serveUntilKilled(address)
	}
	os.Exit(m.Run())
}

// serveUntilKilled makes runs and finishes their jobs as fast as it can, and
// prints a line for each change that was acknowledged.
func serveUntilKilled(address string) {
	fail := func(err error) {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
	ctx := context.Background()
	db, err := store.Open(ctx, address)
	if err != nil {
		fail(err)
	}
	s := scheduler.New(db, time.Now)
	go func() { fail(s.Run(ctx)) }()
	// What the killed one's runners had is lost.
	open, err := db.OpenSessions(ctx)
	if err != nil {
		fail(err)
	}
	for _, x := range open {
		if err := s.EndSession(ctx, x.ID); err != nil {
			fail(err)
		}
	}
	var mu sync.Mutex
	acknowledge := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Printf(format+"\n", args...)
	}
	for range 3 {
		go func() {
			session, err := s.OpenSession(ctx, 1, nil, false)
			if err != nil {
				fail(err)
			}
			for {
				a, err := s.Poll(ctx, session, 3, nil, 5*time.Second)
				if err != nil {
					fail(err)
				}
				for _, job := range a.Jobs {
					if err := s.Finish(ctx, session, job.Fence, scheduler.Result{Status: pipeline.StatusSuccess, Digest: "ok"}); err != nil {
						fail(err)
					}
					acknowledge("finished %d", job.Fence)
				}
			}
		}()
	}
	for i := 0; ; i++ {
		n := scheduler.NewRun{Project: 1, Pipeline: chain(3), Source: pipeline.TriggerAPI}
		switch i % 6 {
		case 0:
			n.Flow, n.Concurrency = 1, 2
		case 1:
			n.Slots = []string{"one", "two"}
		case 2:
			n.Pipeline.Jobs[1].ResourceGroup = "group"
		}
		r, err := s.Create(ctx, n)
		if err != nil {
			fail(err)
		}
		acknowledge("created %d", r.ID)
	}
}

// TestKilledServer kills a server again and again in the middle of its work:
// what it acknowledged is there, and the database is consistent each time.
func TestKilledServer(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, address string) {
		f := newFixture(t, address)
		f.stop()
		rounds := 8
		if testing.Short() {
			rounds = 2
		}
		acknowledged := map[string]bool{}
		for range rounds {
			for _, line := range killAfter(t, address, time.Duration(150+rand.IntN(300))*time.Millisecond) {
				acknowledged[line] = true
			}
			f.check()
		}
		created, finished := 0, 0
		err := f.store.Update(t.Context(), func(tx *store.Tx) error {
			for line := range acknowledged {
				what, id := "", int64(0)
				if _, err := fmt.Sscan(line, &what, &id); err != nil {
					return err
				}
				switch what {
				case "created":
					created++
					if rows, err := tx.LockRuns(t.Context(), []int64{id}); err != nil || len(rows) != 1 {
						t.Errorf("run %d was acknowledged and is lost (%v)", id, err)
					}
				case "finished":
					finished++
					rows, err := tx.Attempts(t.Context(), []int64{id})
					if err != nil || len(rows) != 1 || rows[0].State != store.AttemptEnded || rows[0].Digest != "ok" {
						t.Errorf("the result of attempt %d was acknowledged and is lost: %+v (%v)", id, rows, err)
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if created < rounds || finished < rounds {
			t.Errorf("%d runs and %d results acknowledged: the test did next to nothing", created, finished)
		}
		t.Logf("%d kills, %d runs and %d results acknowledged", rounds, created, finished)
	})
}

// killAfter starts a server, kills it some time after its first
// acknowledgement, and returns whole lines that it printed.
func killAfter(t *testing.T, address string, after time.Duration) []string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), killedServer+"="+address)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	watchdog := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
	defer watchdog.Stop()
	var lines []string
	in := bufio.NewReader(out)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			break // a line without its end is not acknowledged
		}
		if len(lines) == 0 {
			time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	if len(lines) == 0 {
		t.Fatalf("the server acknowledged nothing: %s", stderr.String())
	}
	return lines
}
