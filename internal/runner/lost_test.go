//go:build unix

package runner_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"refline/internal/pipeline"
	"refline/internal/refltest"
	"refline/internal/store"
	"refline/internal/store/storetest"
)

// unreliable loses requests and answers, sends requests twice, delays them, and sends
// them once more much later.
type unreliable struct {
	next  http.Handler
	share float64 // of the calls that something happens to
	late  sync.WaitGroup
	mu    sync.Mutex
	dice  *rand.Rand
	done  chan struct{}
	count map[string]int
}

func (u *unreliable) roll() (float64, int) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.dice.Float64(), u.dice.IntN(5)
}

func (u *unreliable) note(what string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.count[what]++
}

func (u *unreliable) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	chance, kind := u.roll()
	if chance > u.share {
		u.next.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	again := func() *http.Request {
		copied := r.Clone(r.Context())
		copied.Body = io.NopCloser(bytes.NewReader(body))
		return copied
	}
	switch kind {
	case 0:
		u.note("request lost")
		panic(http.ErrAbortHandler)
	case 1:
		u.note("answer lost")
		u.next.ServeHTTP(httptest.NewRecorder(), again())
		panic(http.ErrAbortHandler)
	case 2:
		u.note("doubled")
		if !strings.HasSuffix(r.URL.Path, "/poll") { // a poll would be held
			u.next.ServeHTTP(httptest.NewRecorder(), again())
		}
		u.next.ServeHTTP(w, again())
	case 3:
		u.note("delayed")
		time.Sleep(time.Duration(10+chance*200) * time.Millisecond)
		u.next.ServeHTTP(w, again())
	default:
		u.note("sent again later")
		if !strings.HasSuffix(r.URL.Path, "/poll") {
			copied := again().WithContext(httptest.NewRequest("GET", "/", nil).Context())
			u.late.Go(func() {
				select {
				case <-time.After(300 * time.Millisecond):
					defer func() { _ = recover() }() // the server may have ended
					u.next.ServeHTTP(httptest.NewRecorder(), copied)
				case <-u.done:
				}
			})
		}
		u.next.ServeHTTP(w, again())
	}
}

// TestLostAnswers: whatever is lost, doubled or late, each job starts once, ends once,
// and its log is whole (invariants 2, 4 and 8).
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	storetest.Each(t, testLostAnswers)
}

func testLostAnswers(t *testing.T, database string) {
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	u := &unreliable{share: 0.3, dice: rand.New(rand.NewPCG(seed, 1)), done: make(chan struct{}), count: map[string]int{}}
	s := refltest.Start(t, refltest.Options{Database: database, Wrap: func(h http.Handler) http.Handler {
		u.next = h
		return u
	}})
	t.Cleanup(func() { close(u.done); u.late.Wait() })
	for range 2 {
		o := s.RunnerOptions()
		o.Slots, o.CallTimeout = 3, 5*time.Second
		s.Runner(o)
	}
	starts := filepath.Join(t.TempDir(), "starts")
	const lines, jobs = 300, 4
	var list []pipeline.Job
	for i := range jobs {
		j := pipeline.Job{Name: fmt.Sprint("j", i), Script: []string{
			"echo $CI_JOB_ID >>" + starts,
			fmt.Sprintf(`i=0; while [ $i -lt %d ]; do i=$((i+1)); echo "line $i"; [ $((i %% 100)) -ne 0 ] || sleep 0.05; done`, lines),
			`echo '{"type":"step_started","step":"a"}' >>$REFLINE_EVENTS`,
			`echo '{"type":"step_finished","step":"a","status":"success"}' >>$REFLINE_EVENTS`,
		}}
		if i > 0 && i%2 == 0 {
			j.DAG, j.Needs = true, []pipeline.Need{{Job: fmt.Sprint("j", i-1)}}
		}
		list = append(list, j)
	}
	var runs []store.Run
	for range soak(4, 100) {
		runs = append(runs, s.Create(refltest.Jobs(list...)))
	}
	attempts := 0
	for _, r := range runs {
		if got := s.Wait(r.ID).Status; got != pipeline.StatusSuccess {
			t.Errorf("run %d: status %s, want success", r.ID, got)
		}
		for _, a := range s.Attempts(r.ID) {
			attempts++
			wantLines(t, s.Log(r.ID, a.ID), lines)
			events, err := s.Store.Events(t.Context(), a.ID, 0, 100)
			if err != nil || len(events) != 2 {
				t.Errorf("attempt %d: %d events, %v; want 2", a.ID, len(events), err)
			}
		}
	}
	if attempts != len(runs)*jobs {
		t.Errorf("%d attempts of %d jobs", attempts, len(runs)*jobs)
	}
	text, err := os.ReadFile(starts)
	if err != nil {
		t.Fatal(err)
	}
	started := strings.Fields(string(text))
	slices.Sort(started)
	if once := slices.Compact(slices.Clone(started)); len(once) != len(started) || len(once) != attempts {
		t.Errorf("%d starts of %d attempts, %d different", len(started), attempts, len(once))
	}
	u.mu.Lock()
	t.Log(u.count)
	u.mu.Unlock()
	s.Check()
}

// wantLines checks that a log has the lines 1 to n, each once and in order.
func wantLines(t *testing.T, log string, n int) {
	t.Helper()
	next := 1
	for line := range strings.Lines(log) {
		if text, ok := strings.CutPrefix(line, "line "); ok {
			if text != fmt.Sprintf("%d\n", next) {
				t.Errorf("after line %d comes %q", next-1, line)
				return
			}
			next++
		}
	}
	if next != n+1 {
		t.Errorf("the log has %d lines, want %d", next-1, n)
	}
}
