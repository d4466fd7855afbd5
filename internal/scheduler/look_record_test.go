package scheduler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"refline/internal/errs"
	"refline/internal/git"
	"refline/internal/store"
	"refline/internal/store/storetest"
	"refline/internal/webhook"
)

// lookBench is a looker at a real repository, with a clock that stands.
type lookBench struct {
	*Looker
	t        *testing.T
	repo     string
	project  store.Project
	now      time.Time
	launched []string // source, ref, subject of the commit, key
	fail     error    // of Launch
	down     error    // of the remote
}

func newLookBench(t *testing.T, address string) *lookBench {
	t.Helper()
	b := &lookBench{t: t, repo: t.TempDir(), now: time.Unix(1_780_000_000, 0).UTC(), project: store.Project{ID: 1, Name: "p", URL: "x"}}
	b.git("init", "-q", "-b", "main")
	b.commit("first")
	cache := t.TempDir()
	s := storetest.Open(t, address)
	b.project.Created = b.now
	b.update(s, func(tx *store.Tx) error { return tx.AddProject(t.Context(), b.project) })
	b.Looker = &Looker{
		Store: s, Now: func() time.Time { return b.now },
		Remote: func(context.Context, store.Project) (*git.Remote, func(), error) {
			if b.down != nil {
				return nil, nil, b.down
			}
			r, err := git.NewRemote(b.repo, cache, git.Access{AllowFile: true, Environ: []string{"PATH=" + os.Getenv("PATH")}})
			return r, func() {}, err
		},
		Launch: func(_ context.Context, _ store.Project, w Wanted, key string) error {
			if b.fail != nil {
				return b.fail
			}
			b.launched = append(b.launched, fmt.Sprintf("%s %s %s", w.Source, w.Ref.Name, b.git("log", "-1", "--format=%s", w.Commit)))
			return nil
		},
	}
	return b
}

func (b *lookBench) git(args ...string) string {
	b.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = b.repo
	cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.t.Fatalf("git %v: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (b *lookBench) commit(subject string) string {
	b.t.Helper()
	b.git("commit", "-q", "--allow-empty", "-m", subject)
	return b.git("rev-parse", "HEAD")
}

func (b *lookBench) update(s *store.Store, f func(*store.Tx) error) {
	b.t.Helper()
	if err := s.Update(b.t.Context(), f); err != nil {
		b.t.Fatal(err)
	}
}

func (b *lookBench) look() LookResult {
	b.t.Helper()
	r, err := b.Look(b.t.Context(), b.project, "g/p", true)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// runs makes the runs that are due and returns them.
func (b *lookBench) runs() []string {
	b.t.Helper()
	b.launched = nil
	if _, err := b.LaunchDue(b.t.Context()); err != nil {
		b.t.Fatal(err)
	}
	return b.launched
}

func (b *lookBench) deliver(id string, e webhook.Event) {
	b.t.Helper()
	body, err := json.Marshal(e)
	if err != nil {
		b.t.Fatal(err)
	}
	ids, err := b.Store.NewIDs(b.t.Context(), "delivery", 1)
	if err != nil {
		b.t.Fatal(err)
	}
	b.update(b.Store, func(tx *store.Tx) error {
		_, err := tx.AddDelivery(b.t.Context(), store.Delivery{ID: ids[0], Trigger: 1, Project: 1, Delivery: id, Kind: string(e.Kind), Event: body, Received: b.now})
		return err
	})
}

func pushed(ref, after string) webhook.Event {
	return webhook.Event{Kind: webhook.KindPush, Actor: webhook.Actor{Login: "ann"}, Changes: []webhook.RefChange{{Ref: ref, After: after}}}
}

func TestLooksAreRecorded(t *testing.T) {
	storetest.Each(t, func(t *testing.T, address string) {
		b := newLookBench(t, address)
		if r := b.look(); len(r.Wanted) > 0 || len(b.runs()) > 0 {
			t.Errorf("the first look: %+v", r)
		}
		second := b.commit("second")
		b.git("tag", "-a", "-m", "x", "v1")
		b.deliver("1", pushed("refs/heads/main", second))
		b.deliver("1", pushed("refs/heads/main", second)) // told twice
		b.look()
		if diff := gocmp.Diff([]string{"push main second", "push v1 second"}, b.runs()); diff != "" {
			t.Errorf("a push and a tag (-want +got):\n%s", diff)
		}
		b.look()
		if got := b.runs(); len(got) > 0 {
			t.Errorf("nothing new: %q", got)
		}
		b.git("branch", "dev")
		b.deliver("2", webhook.Event{Kind: webhook.KindMergeRequest, MergeRequest: &webhook.MergeRequest{Number: 3, Action: webhook.ActionOpened, Source: "dev", Target: "main", Head: second, Origin: webhook.OriginSame, Ref: "refs/merge-requests/3/head"}})
		b.look()
		if diff := gocmp.Diff([]string{"push dev second", "merge_request_event 3 second"}, b.runs()); diff != "" {
			t.Errorf("a merge request (-want +got):\n%s", diff)
		}
		b.git("checkout", "-q", "dev")
		third := b.commit("third")
		b.git("checkout", "-q", "main")
		b.deliver("3", pushed("refs/heads/dev", third))
		b.look()
		if diff := gocmp.Diff([]string{"push dev third", "merge_request_event 3 third"}, b.runs()); diff != "" {
			t.Errorf("a push to it (-want +got):\n%s", diff)
		}
		b.git("branch", "-q", "-D", "dev")
		var applied []RefMove
		b.Apply = func(_ context.Context, _ *store.Tx, _ store.Project, r LookResult) error {
			applied = append(applied, r.Deleted...)
			return nil
		}
		b.look()
		if len(applied) != 1 || applied[0].Ref != "refs/heads/dev" || applied[0].From != third {
			t.Errorf("deleted: %+v", applied)
		}
		look, err := b.Store.LookOf(t.Context(), 1)
		if err != nil || look.Failures > 0 || look.Next.Before(b.now.Add(time.Hour)) {
			t.Errorf("next look %+v, %v", look, err)
		}
	})
}

// If the transaction fails nothing happened, and the next look finds all of it.
func TestLooksAreWhole(t *testing.T) {
	b := newLookBench(t, filepath.Join(t.TempDir(), "refline.db"))
	b.look()
	b.deliver("1", pushed("refs/heads/main", b.commit("second")))
	b.Apply = func(context.Context, *store.Tx, store.Project, LookResult) error { return errors.New("it broke") }
	if _, err := b.Look(t.Context(), b.project, "g/p", true); err == nil || !strings.Contains(err.Error(), "look at project p: it broke") {
		t.Errorf("got %v", err)
	}
	if got := b.runs(); len(got) > 0 {
		t.Errorf("runs %q", got)
	}
	look, err := b.Store.LookOf(t.Context(), 1)
	if err != nil || look.Failures != 1 || look.Error == "" || look.Next.Sub(b.now) > 70*time.Second {
		t.Errorf("look %+v, %v", look, err)
	}
	b.Apply = nil
	b.look()
	if diff := gocmp.Diff([]string{"push main second"}, b.runs()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.down = errs.E(errs.Unavailable, "the host does not answer")
	for n := 1; n < 4; n++ {
		if _, err := b.Look(t.Context(), b.project, "g/p", false); !errs.Is(err, errs.Unavailable) {
			t.Errorf("got %v", err)
		}
		if look, err := b.Store.LookOf(t.Context(), 1); err != nil || look.Failures != n {
			t.Errorf("look %+v, %v", look, err)
		}
	}
}

// An event that the repository does not show yet is looked at again, for a while.
func TestLooksWaitForReplicas(t *testing.T) {
	b := newLookBench(t, filepath.Join(t.TempDir(), "refline.db"))
	b.look()
	b.deliver("1", pushed("refs/heads/main", sha("f")))
	b.look()
	look, err := b.Store.LookOf(t.Context(), 1)
	if err != nil || look.Next.Sub(b.now) > time.Minute {
		t.Errorf("look %+v, %v", look, err)
	}
	b.now = b.now.Add(3 * time.Minute)
	b.look()
	if waiting, err := b.Store.WaitingDeliveries(t.Context(), 1, 10); err != nil || len(waiting) > 0 {
		t.Errorf("waiting %+v, %v", waiting, err)
	}
}

// A look that began before another one ended must not bring old refs back.
func TestLooksOfTwoServers(t *testing.T) {
	b := newLookBench(t, filepath.Join(t.TempDir(), "refline.db"))
	b.look()
	b.commit("second")
	open := b.Remote
	times := 0
	b.Remote = func(ctx context.Context, p store.Project) (*git.Remote, func(), error) {
		if times++; times == 1 { // between reading and writing another server looks
			other := *b.Looker
			other.Remote = open
			if _, err := other.Look(ctx, p, "g/p", true); err != nil {
				t.Error(err)
			}
		}
		return open(ctx, p)
	}
	b.look()
	if diff := gocmp.Diff([]string{"push main second"}, b.runs()); diff != "" || times != 2 {
		t.Errorf("%d tries (-want +got):\n%s", times, diff)
	}
}

func TestWantedRuns(t *testing.T) {
	b := newLookBench(t, filepath.Join(t.TempDir(), "refline.db"))
	b.look()
	b.commit("second")
	b.look()
	state := func() store.WantedRun {
		t.Helper()
		list, err := b.Store.WantedRuns(t.Context(), 1)
		if err != nil || len(list) == 0 {
			t.Fatalf("%+v, %v", list, err)
		}
		return list[0]
	}
	b.fail = errs.E(errs.Unavailable, "the host does not answer")
	b.runs()
	if w := state(); w.State != store.WantedWaiting || w.Attempts != 1 || w.Error == "" || !w.Next.After(b.now) {
		t.Errorf("for a while: %+v", w)
	}
	b.fail = errs.E(errs.Invalid, ".gitlab-ci.yml:3: unknown keyword")
	b.now = b.now.Add(time.Minute)
	b.runs()
	if w := state(); w.State != store.WantedFailed || !strings.Contains(w.Error, "unknown keyword") {
		t.Errorf("for ever: %+v", w)
	}
	b.fail = nil

	fork := func(id string, head string) {
		b.deliver(id, webhook.Event{Kind: webhook.KindMergeRequest, MergeRequest: &webhook.MergeRequest{Number: 7, Action: webhook.ActionPushed, Source: "x", Target: "main", Head: head, Origin: webhook.OriginFork, Ref: "refs/merge-requests/7/head"}})
		b.look()
	}
	head := b.git("rev-parse", "HEAD")
	fork("a", head)
	if got := b.runs(); len(got) > 0 {
		t.Errorf("a fork's run without approval: %q", got)
	}
	first := state()
	fork("b", b.commit("third"))
	approve := func(id int64) error {
		return b.Store.Update(t.Context(), func(tx *store.Tx) error { return tx.ApproveWantedRun(t.Context(), id, "owner", b.now) })
	}
	if err := approve(first.ID); !errs.Is(err, errs.NotFound) {
		t.Errorf("approval of what a push replaced: %v", err)
	}
	if err := approve(state().ID); err != nil {
		t.Error(err)
	}
	if diff := gocmp.Diff([]string{"push main third", "merge_request_event 7 third"}, b.runs()); diff != "" {
		t.Errorf("approved (-want +got):\n%s", diff)
	}
	// The ref of a new merge request may not exist yet.
	b.fail = errs.E(errs.NotFound, "no merge request 7")
	fork("c", b.commit("fourth"))
	if err := approve(state().ID); err != nil {
		t.Error(err)
	}
	b.runs()
	if w := state(); w.State != store.WantedWaiting {
		t.Errorf("a ref that is not there yet: %+v", w)
	}
	b.now = b.now.Add(time.Hour)
	b.runs()
	if w := state(); w.State != store.WantedFailed {
		t.Errorf("a ref that never comes: %+v", w)
	}
}

func TestLookQueue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		looks, running := map[int64]int{}, map[int64]bool{}
		var atOnce, most atomic.Int32
		q := NewLookQueue(func(_ context.Context, project int64) {
			mu.Lock()
			if running[project] {
				t.Errorf("two looks at project %d at once", project)
			}
			running[project] = true
			looks[project]++
			mu.Unlock()
			most.Store(max(most.Load(), atOnce.Add(1)))
			time.Sleep(time.Second)
			atOnce.Add(-1)
			mu.Lock()
			running[project] = false
			mu.Unlock()
		})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { q.Run(ctx); close(ended) }()
		q.Ask(1)
		time.Sleep(time.Millisecond)
		for range 50 { // while a look runs: one more
			q.Ask(1)
		}
		time.Sleep(10 * time.Second)
		q.AskIn(1, LookDelay(eventOptions{}.gitlabPush()))
		time.Sleep(500 * time.Millisecond)
		mu.Lock()
		if looks[1] != 2 {
			t.Errorf("%d looks before the delay ended", looks[1])
		}
		mu.Unlock()
		for project := range int64(30) {
			q.Ask(100 + project)
		}
		time.Sleep(time.Minute)
		cancel()
		<-ended
		if looks[1] != 3 || looks[100] != 1 || looks[129] != 1 || most.Load() != looksAtOnce {
			t.Errorf("looks %v, at most %d at once", looks, most.Load())
		}
	})
}
