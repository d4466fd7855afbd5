package engine

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"refline/internal/pipeline"
)

// A job that is not green keeps the results of its tasks; its next attempt has them,
// and keeps them too.
func TestResultsGoFromAttemptToAttempt(t *testing.T) {
	t.Parallel()
	h := newJob(t, pipeline.Job{})
	h.in.KeepResults = "results/1"
	h.fake.OnExec = func(_ context.Context, c fakeCommand) (int, error) {
		dir := envOf(c, "REFLINE_RESULTS")
		must(t, os.WriteFile(filepath.Join(dir, "results"), []byte("one"), 0o600))
		return 1, os.WriteFile(filepath.Join(dir, "0abc"), []byte("object"), 0o600)
	}
	if res := h.run(); !res.Results || res.Artifacts {
		t.Errorf("kept %v, artifacts %v", res.Results, res.Artifacts)
	}
	h.in.KeepResults, h.in.TakeResults = "results/2", "results/1"
	h.fake.OnExec = func(_ context.Context, c fakeCommand) (int, error) {
		dir := envOf(c, "REFLINE_RESULTS")
		text, err := os.ReadFile(filepath.Join(dir, "earlier", "results"))
		must(t, err)
		same(t, string(text), "one")
		return 1, os.WriteFile(filepath.Join(dir, "results"), []byte("two"), 0o600)
	}
	h.run()
	files, err := h.in.Artifacts.List(t.Context(), "results/2")
	must(t, err)
	same(t, []string{files[0].Path, files[1].Path}, []string{"0abc", "results"})
	f, err := h.in.Artifacts.Open(t.Context(), "results/2", "results")
	must(t, err)
	defer f.Close()
	text := make([]byte, 10)
	n, _ := f.Read(text)
	same(t, string(text[:n]), "twoone")

	// What is gone is a note; a green job keeps nothing.
	h.in.KeepResults, h.in.TakeResults = "results/3", "results/9"
	h.fake.OnExec = func(_ context.Context, c fakeCommand) (int, error) {
		return 0, os.WriteFile(filepath.Join(envOf(c, "REFLINE_RESULTS"), "results"), []byte("x"), 0o600)
	}
	if res := h.run(); res.Status != pipeline.StatusSuccess || res.Results {
		t.Errorf("%+v", res)
	}
	if len(h.notes()) == 0 {
		t.Error("no note about results that are gone")
	}
}

// Nothing outside of the folder is read or written, whatever the job puts there.
func TestResultsAreNotFollowedOutside(t *testing.T) {
	t.Parallel()
	outside := t.TempDir()
	secret := filepath.Join(outside, "secret")
	must(t, os.WriteFile(secret, []byte("secret"), 0o600))
	for name, put := range map[string]func(dir string) error{
		"earlier results are a link": func(dir string) error { return os.Symlink(secret, filepath.Join(dir, "earlier", "results")) },
		"earlier is a link": func(dir string) error {
			must(t, os.Remove(filepath.Join(dir, "earlier")))
			return os.Symlink(outside, filepath.Join(dir, "earlier"))
		},
		"results are a link": func(dir string) error {
			must(t, os.WriteFile(filepath.Join(dir, "earlier", "results"), []byte("x"), 0o600))
			return os.Symlink(secret, filepath.Join(dir, "results"))
		},
		"earlier is a pipe": func(dir string) error {
			makePipe(t, filepath.Join(dir, "earlier", "results"))
			return nil
		},
	} {
		dir := t.TempDir()
		must(t, os.Mkdir(filepath.Join(dir, "earlier"), 0o700))
		must(t, put(dir))
		_ = mergeResults(dir) // an error is fine
		must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				if text, _ := os.ReadFile(path); string(text) == "secret" {
					t.Errorf("%s: %s has what is outside", name, path)
				}
			}
			return err
		}))
		if text, err := os.ReadFile(secret); err != nil || string(text) != "secret" {
			t.Errorf("%s: the file outside is %q now, %v", name, text, err)
		}
	}
}

func envOf(c fakeCommand, name string) string {
	for _, kv := range slices.Backward(c.Env) {
		if len(kv) > len(name) && kv[:len(name)+1] == name+"=" {
			return kv[len(name)+1:]
		}
	}
	return ""
}
