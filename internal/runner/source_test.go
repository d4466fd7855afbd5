//go:build unix

package runner_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"refline/internal/api"
	"refline/internal/pipeline"
	"refline/internal/refltest"
)

// repository is a git repository of a test.
type repository struct {
	t   *testing.T
	dir string
}

func newRepository(t *testing.T) repository {
	t.Helper()
	r := repository{t, t.TempDir()}
	r.git("init", "--quiet", "--initial-branch=main")
	return r
}

func (r repository) git(args ...string) string {
	r.t.Helper()
	cmd := exec.CommandContext(context.Background(), "git", append([]string{"-c", "user.name=t", "-c", "user.email=t@example.com"}, args...)...)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null")
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit writes files (name, content …) and commits them.
func (r repository) commit(files ...string) string {
	r.t.Helper()
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(r.dir, files[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			r.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(files[i+1]), 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
	r.git("add", "--all")
	r.git("commit", "--quiet", "-m", "change")
	return r.git("rev-parse", "HEAD")
}

// TestSources: a job gets the files of its commit with a .git that works, from a
// checkout that was prepared; what a job writes reaches no other.
func TestSources(t *testing.T) {
	t.Parallel()
	repo := newRepository(t)
	first := repo.commit("a.txt", "one", "dir/b.txt", "b")
	second := repo.commit("a.txt", "two")
	source := api.JobSource{URL: repo.dir, Kind: "branch", Ref: "main", Commit: second, Before: first}
	var change func(*api.JobSpec)
	s := refltest.Start(t, refltest.Options{Spec: func(spec *api.JobSpec) {
		own := source
		spec.Source, spec.Variables.Below = &own, nil
		if change != nil {
			change(spec)
		}
	}})
	o := s.RunnerOptions()
	o.AllowFile = true
	s.Runner(o)
	run := func(script string, job pipeline.Job) string {
		t.Helper()
		job.Name, job.Script = "job", []string{script}
		r := s.Create(refltest.Jobs(job))
		status := s.Wait(r.ID).Status
		log := s.Log(r.ID, s.Attempts(r.ID)[0].ID)
		if status != pipeline.StatusSuccess {
			t.Errorf("%s: status %s\n%s", script, status, log)
		}
		return log
	}
	log := run("cat a.txt; git status --short; git diff --stat "+first+"; git log --oneline | wc -l; echo spoiled >a.txt; rm dir/b.txt", pipeline.Job{})
	if !strings.Contains(log, "two") || !strings.Contains(log, "1 file changed") {
		t.Errorf("log %q", log)
	}
	pool := filepath.Join(o.Dir, "git", "*", "pool", "*")
	s.Until("a checkout is prepared", func() bool {
		found, err := filepath.Glob(pool)
		return err == nil && len(found) > 0
	})
	run(`[ "$(cat a.txt)" = two ] && [ -e dir/b.txt ] && [ -z "$(git status --short)" ]`, pipeline.Job{})
	third := repo.commit("a.txt", "three")
	source.Commit = third
	run(`[ "$(cat a.txt)" = three ] && [ "$(git rev-parse HEAD)" = `+third+` ]`, pipeline.Job{})

	change = func(spec *api.JobSpec) { spec.Source.NoFiles = true }
	run(`[ ! -e a.txt ] && git show HEAD:a.txt | grep three`, pipeline.Job{})
	change = func(spec *api.JobSpec) { spec.Source.Sparse = []string{"dir"} }
	run(`[ -e dir/b.txt ]`, pipeline.Job{})
	change = nil
	run("echo new >dir/new.txt; echo changed >a.txt", pipeline.Job{Artifacts: &pipeline.Artifacts{Untracked: true}})
	list := s.Attempts(6)
	row, err := s.Store.Artifacts(t.Context(), list[0].ID)
	if err != nil || row.Files != 1 {
		t.Errorf("untracked files: %+v, %v; want the one that is new", row, err)
	}
	source.Commit = strings.Repeat("1", 40)
	r := s.Create(refltest.Script("true"))
	if got := s.Wait(r.ID).Status; got != pipeline.StatusFailed {
		t.Errorf("no such commit: status %s, want failed", got)
	}
	if log := s.Log(r.ID, s.Attempts(r.ID)[0].ID); !strings.Contains(log, "the job could not be run as it should: ") {
		t.Errorf("log %q, want why the job could not be run", log)
	}
	for _, dir := range []string{"builds", "checkouts", "attempts"} {
		s.Until(dir+" is empty", func() bool {
			left, err := os.ReadDir(filepath.Join(o.Dir, dir))
			return err == nil && len(left) == 0
		})
	}
}

// TestSecrets: what is masked is in no log and in no file of the runner.
func TestSecrets(t *testing.T) {
	t.Parallel()
	const canary, token = "canary-4711-never-shown", "token-0815-never-shown"
	s := refltest.Start(t, refltest.Options{Spec: func(spec *api.JobSpec) {
		spec.Secrets = []api.JobSecret{{Name: "CANARY", Value: canary}}
		spec.Variables.Above = []pipeline.Variable{{Name: "CANARY", Value: canary}, {Name: "MASKED", Value: token, Masked: true}}
		spec.Timeout = pipeline.Duration(time.Minute)
	}})
	o := s.RunnerOptions()
	s.Runner(o)
	dir := t.TempDir()
	ready, end := filepath.Join(dir, "ready"), filepath.Join(dir, "end")
	r := s.Create(refltest.Script("echo $CANARY; printf %s $MASKED | base64; printf '%s\\n' \"$MASKED\"",
		`printf '{"type":"markdown","text":"%s"}\n' $CANARY >>$REFLINE_EVENTS`, "sleep 0.3; echo $$ >"+ready, "while [ ! -e "+end+" ]; do sleep 0.02; done"))
	waitFile(t, ready)
	s.Until("the log arrives", func() bool { return strings.Contains(s.Log(r.ID, s.Attempts(r.ID)[0].ID), "[masked]") })
	attempts := filepath.Join(o.Dir, "attempts")
	err := filepath.WalkDir(attempts, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if strings.Contains(string(text), canary) || strings.Contains(string(text), token) {
			t.Errorf("%s holds a secret", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(end, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.Wait(r.ID)
	a := s.Attempts(r.ID)[0]
	if log := s.Log(r.ID, a.ID); strings.Contains(log, canary) || strings.Contains(log, token) || strings.Count(log, "[masked]") < 3 {
		t.Errorf("log %q", log)
	}
	events, err := s.Store.Events(t.Context(), a.ID, 0, 10)
	if err != nil || len(events) != 1 || strings.Contains(events[0].Body, canary) {
		t.Errorf("events %v, %v; want one without the secret", events, err)
	}
}
