package server

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"refline/internal/api"
	"refline/internal/errs"
)

func TestLint(t *testing.T) {
	t.Parallel()
	s := inputsServer(t)
	client := s.client()
	for _, c := range []struct{ ref, file, want string }{
		{"", "load.yml", `branch main load.yml [] [load.yml:10:24 "scirpt" is not a keyword of a job]`},
		{"main", "./load.yml", `branch main load.yml [] [load.yml:10:24 "scirpt" is not a keyword of a job]`},
		{"v1", "load.yml", `tag v1 load.yml [] []`},
		{"v1", "nothing.yml", `tag v1 nothing.yml [] [ the file "nothing.yml" was not found: nothing.yml is not in commit COMMIT]`},
	} {
		l, err := client.Lint(t.Context(), "data", c.ref, c.file)
		found := []string{}
		c.want = strings.ReplaceAll(c.want, "COMMIT", l.Commit[:min(len(l.Commit), 8)])
		for _, f := range l.Findings {
			found = append(found, f.Place.String()+" "+f.Message)
		}
		if got := fmt.Sprint(l.RefKind, " ", l.Ref, " ", l.File, " ", l.Jobs, " ", found); err != nil || got != c.want || len(l.Commit) != 40 {
			t.Errorf("%q %q: %s at %q, %v; want %s", c.ref, c.file, got, l.Commit, err, c.want)
		}
	}
	for _, c := range []struct{ ref, file, says string }{{"nothing", "load.yml", "no branch, tag or commit \"nothing\""}, {"a b", "", "a b"}} {
		if _, err := client.Lint(t.Context(), "data", c.ref, c.file); err == nil || errs.Is(err, errs.Internal) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q %q: %v", c.ref, c.file, err)
		}
	}
	cookie := s.signInWith(s.token(TokenInput{Scopes: []string{"read"}}))
	got := s.do(browser("/p/data/-/lint?ref=main&file=load.yml", cookie))
	if got.StatusCode != http.StatusOK || !strings.Contains(got.body, "load.yml:10:24") || !strings.Contains(got.body, "--ref main --file load.yml") {
		t.Errorf("the page: %d %s", got.StatusCode, got.body)
	}
	if got := s.do(browser("/p/data/-/lint?ref=nothing", cookie)); got.StatusCode != http.StatusOK || !strings.Contains(got.body, `role="alert"`) || !strings.Contains(got.body, `value="nothing"`) {
		t.Errorf("a ref that is not there: %d %s", got.StatusCode, got.body)
	}
	for range lintsAtOnce {
		s.lints <- struct{}{}
	}
	if _, err := client.Lint(t.Context(), "data", "main", "load.yml"); !errs.Is(err, errs.Unavailable) {
		t.Errorf("while others are checked: %v", err)
	}
}

func TestBranches(t *testing.T) {
	t.Parallel()
	s := inputsServer(t)
	client := s.client()
	deadline := time.Now().Add(time.Minute)
	for {
		b, err := client.Branches(t.Context(), "data")
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Branches) == 1 && b.Total == 1 && b.Branches[0].Name == "main" && len(b.Branches[0].Commit) == 40 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the look at the repository leads to %+v", b)
		}
		time.Sleep(20 * time.Millisecond)
	}
	p, err := client.Project(t.Context(), "data")
	if err != nil {
		t.Fatal(err)
	}
	first, last := s.addTestRun(p.ID, "main"), s.addTestRun(p.ID, "main")
	s.addTestRun(p.ID, "gone")
	b, err := client.Branches(t.Context(), "data")
	if err != nil || len(b.Branches) != 1 || b.Branches[0].Last == nil || b.Branches[0].Last.ID != max(first.ID, last.ID) {
		t.Errorf("%+v, %v; want run %d", b, err, last.ID)
	}
}

// Schedules are added, paused and removed on the page of their flow.
func TestScheduleForms(t *testing.T) {
	t.Parallel()
	s := inputsServer(t)
	cookie, client := s.signInWith(s.link()), s.client()
	path := "/p/data/-/flows/load"
	list := func() []api.Schedule {
		t.Helper()
		f, err := client.Flow(t.Context(), "data", "load")
		if err != nil {
			t.Fatal(err)
		}
		return f.Schedules
	}
	got := s.send(path+"/schedules", cookie, "form", "schedule", "cron", "61 * * * *", "timezone", "Europe/Berlin", "inputs", "day=8")
	if got.StatusCode != http.StatusBadRequest || strings.Count(got.body, `role="alert"`) != 1 || !strings.Contains(got.body, `value="61 * * * *"`) || len(list()) != 0 {
		t.Errorf("a cron that is not one: %d %s", got.StatusCode, got.body)
	}
	if got = s.send(path+"/schedules", cookie, "cron", "0 6 * * *", "timezone", "Europe/Berlin", "catch_up", "last", "inputs", "day=8\r\n"); got.StatusCode != http.StatusSeeOther {
		t.Fatalf("%d %s", got.StatusCode, got.body)
	}
	if n := list(); len(n) != 1 || n[0].Cron != "0 6 * * *" || n[0].CatchUp != "last" || fmt.Sprint(n[0].Inputs["day"]) != "8" {
		t.Fatalf("%+v", n)
	}
	id := fmt.Sprint(list()[0].ID)
	if page := s.do(browser(path, cookie)); !strings.Contains(page.body, "Europe/Berlin") || !strings.Contains(page.body, ", 06:00") || !strings.Contains(page.body, "the last one runs") {
		t.Errorf("the page: %s", page.body)
	}
	if s.send(path+"/schedules/pause", cookie, "id", id, "on", "true"); !list()[0].Paused {
		t.Error("it is not paused")
	}
	if s.send(path+"/schedules/pause", cookie, "id", id, "on", "false"); list()[0].Paused {
		t.Error("it is still paused")
	}
	reader := s.signInWith(s.token(TokenInput{Scopes: []string{"read"}}))
	if got := s.send(path+"/schedules/remove", reader, "id", id); got.StatusCode != http.StatusForbidden || len(list()) != 1 {
		t.Errorf("removed by who may only read: %d", got.StatusCode)
	}
	if got := s.send(path+"/schedules/remove", cookie, "id", id); got.StatusCode != http.StatusSeeOther || len(list()) != 0 {
		t.Errorf("removed: %d %+v", got.StatusCode, list())
	}
}
