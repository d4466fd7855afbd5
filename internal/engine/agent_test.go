package engine

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"refline/internal/errs"
	"refline/internal/executor"
	"refline/internal/pipeline"
)

// recorder is an executor that runs nothing and keeps what it is asked.
type recorder struct{ commands []executor.Command }

func (r *recorder) Name() string                { return "recorder" }
func (r *recorder) Isolated() bool              { return false }
func (r *recorder) Sweep(context.Context) error { return nil }
func (r *recorder) Close() error                { return nil }

func (r *recorder) Start(context.Context, executor.Spec) (executor.Sandbox, error) {
	return recorderSandbox{r}, nil
}

// recorderSandbox is its only sandbox.
type recorderSandbox struct{ *recorder }

func (s recorderSandbox) Shell() string               { return "/bin/sh" }
func (s recorderSandbox) Close(context.Context) error { return nil }

func (s recorderSandbox) Exec(_ context.Context, c executor.Command) (int, error) {
	s.commands = append(s.commands, c)
	return 0, nil
}

func TestAgentOfAJob(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "job")
	rec := &recorder{}
	ended := false
	in := JobInput{
		Job: &pipeline.Job{Name: "job", Script: []string{"true"}}, Dir: dir, InPlace: t.TempDir(), Executor: rec,
		Variables: []pipeline.Variable{{Name: "SSH_AUTH_SOCK", Value: "of the configuration"}},
	}
	in.Agent = func(p AgentPlace) ([]string, func() error, error) {
		folder, seen := p.Dir, p.Seen
		if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o700 || folder != seen {
			t.Errorf("folder %s, seen as %s: %v", folder, seen, err)
		}
		return []string{"SSH_AUTH_SOCK=" + seen + "/socket"}, func() error {
			if _, err := os.Stat(folder); err != nil {
				t.Errorf("the agent ends after its folder is gone: %v", err)
			}
			ended = true
			return nil
		}, nil
	}
	if res := RunJob(context.Background(), in); res.Status != pipeline.StatusSuccess || !ended {
		t.Fatalf("got %+v, agent ended: %v", res, ended)
	}
	env := rec.commands[0].Env
	slices.Reverse(env) // the last of a key counts
	i := slices.IndexFunc(env, func(kv string) bool { return len(kv) > 14 && kv[:14] == "SSH_AUTH_SOCK=" })
	if got, want := env[i], "SSH_AUTH_SOCK="+filepath.Join(dir, "tmp", ".agent", "socket"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}

	rec.commands = nil
	in.Agent = func(AgentPlace) ([]string, func() error, error) {
		return nil, nil, errs.E(errs.Invalid, "no such key")
	}
	if res := RunJob(context.Background(), in); res.Status != pipeline.StatusFailed || res.Err == nil || len(rec.commands) > 0 {
		t.Errorf("without its agent: %+v, %d commands", res, len(rec.commands))
	}
}
