package executortest

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"refline/internal/executor"
)

// long is a grace that is used up only in a failure.
const long = patience

func testCancelHandled(t *testing.T, s suite) {
	b := s.start(t)
	life := b.lifeline("life")
	out, code, err := b.cancelAt(`exec 9>life
		trap 'echo bye; exit 3' TERM
		echo ready
		while :; do sleep 0.01; done`, "ready", long)
	if !errors.Is(err, errStop) || code != 3 || !strings.Contains(out.String(), "bye") {
		t.Errorf("got %d, %v, %q, want 3, the cause, and a goodbye", code, err, out)
	}
	life.gone()
}

func testCancelIgnored(t *testing.T, s suite) {
	b := s.start(t)
	life := b.lifeline("life")
	_, _, err := b.cancelAt(`exec 9>life; trap '' TERM; echo ready; while :; do sleep 0.1; done`, "ready", 50*time.Millisecond)
	if !errors.Is(err, errStop) {
		t.Errorf("got %v, want the cause", err)
	}
	life.gone()
}

func testCancelGrandchildren(t *testing.T, s suite) {
	b := s.start(t)
	life := b.lifeline("life")
	// The innermost says goodbye: TERM is sent to all, not to the first only.
	_, _, err := b.cancelAt(`exec 9>life
		sh -c "sh -c 'trap \"echo bye >bye; exit\" TERM; echo ready; while :; do sleep 0.01; done'; :"
		:`, "ready", long)
	if !errors.Is(err, errStop) {
		t.Errorf("got %v, want the cause", err)
	}
	life.gone()
	if _, err := b.file("bye"); err != nil {
		t.Error("the grandchild did not get TERM:", err)
	}
}

func testDeadline(t *testing.T, s suite) {
	b := s.start(t)
	life := b.lifeline("life")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 300*time.Millisecond, errStop)
	defer cancel()
	if _, err := b.Exec(ctx, b.sh("exec 9>life; sleep 1000", &Buffer{})); !errors.Is(err, errStop) {
		t.Errorf("got %v, want the cause", err)
	}
	life.gone()
}

func testBackground(t *testing.T, s suite) {
	b := s.start(t)
	life := b.lifeline("life")
	// They hold the output open, and one ignores TERM.
	got := b.ok(`exec 9>life
		sleep 1000 &
		sh -c 'trap "" TERM HUP; while :; do sleep 1; done' &
		(sleep 1000 &)
		echo done`)
	if got != "done\n" {
		t.Errorf("got %q", got)
	}
	life.gone()
}

func testDaemon(t *testing.T, s suite) {
	if !s.opts.Escapes {
		t.Skip("this executor does not follow a process that leaves its session")
	}
	b := s.start(t)
	life := b.lifeline("life")
	b.ok(`exec 9>life
		setsid sh -c 'sleep 1000 & sleep 1000' >/dev/null 2>&1 &
		setsid sh -c '(setsid sleep 1000 &) ; exit' &
		sleep 0.2; echo done`)
	life.gone()
	_, _, err := b.cancelAt(`exec 9>life; setsid sh -c 'echo ready; sleep 1000' & sleep 1000`, "ready", long)
	if !errors.Is(err, errStop) {
		t.Errorf("got %v, want the cause", err)
	}
	life.gone()
}

func testSequence(t *testing.T, s suite) {
	b := s.start(t)
	b.ok("echo one >file")
	b.ok("echo two >>file")
	if s.ex.Isolated() { // what a script installs is there for the next
		b.ok("echo kept >/tmp/kept")
		if got := b.ok("cat /tmp/kept"); got != "kept\n" {
			t.Errorf("outside of the mount: %q", got)
		}
	}
	// A canceled command does not spoil the sandbox: an after_script follows.
	if _, _, err := b.cancelAt("echo ready; sleep 1000", "ready", long); !errors.Is(err, errStop) {
		t.Errorf("got %v, want the cause", err)
	}
	if got := b.ok("echo after"); got != "after\n" {
		t.Errorf("after a cancel: %q", got)
	}
	if got, err := b.file("file"); got != "one\ntwo\n" {
		t.Errorf("on the host: %q, %v", got, err)
	}
}

func testConcurrency(t *testing.T, s suite) {
	var group sync.WaitGroup
	for i := range 8 {
		b := s.start(t, func(spec *executor.Spec) { spec.JobID = "job-" + strconv.Itoa(i) })
		group.Go(func() {
			var out Buffer
			code, err := b.Exec(t.Context(), b.sh("echo "+strconv.Itoa(i)+" >mine; sleep 0.1; cat mine; exit "+strconv.Itoa(i), &out))
			if code != i || err != nil || strings.TrimSpace(out.String()) != strconv.Itoa(i) {
				t.Errorf("job %d: %d, %v, %q", i, code, err, out.String())
			}
		})
	}
	group.Wait()
}

func testClose(t *testing.T, s suite) {
	b := s.start(t)
	b.ok("echo hello")
	done, cancel := context.WithCancel(t.Context())
	cancel()
	for range 2 {
		if err := b.Close(done); err != nil {
			t.Errorf("close: %v", err)
		}
	}
	s.nothingLeft(t, b.runID)
}
