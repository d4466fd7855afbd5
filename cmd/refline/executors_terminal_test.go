//go:build unix

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"refline/internal/cli"
)

// Whether jobs with an image may run on this computer is asked once a project.
func TestAsksBeforeAnImageRunsHere(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(home, "docker", "config.json"), `{"currentContext": "asleep"}`)
	meta, err := json.Marshal(map[string]any{"Endpoints": map[string]any{"docker": map[string]string{"Host": "unix:///nowhere/waits.sock"}}})
	if err != nil {
		t.Fatal(err)
	}
	write(filepath.Join(home, "docker", "contexts", "meta", "ea51ae6e548ffbb851d2d383e71a30395ceb4e4b73382278b4bf059e6ceb2ede", "meta.json"), string(meta))
	project := filepath.Join(home, "waits") // for onTerminal, in the question
	write(filepath.Join(project, ".gitlab-ci.yml"), "box: {image: alpine, script: [touch $HOME/ran]}\n")
	env := []string{
		"HOME=" + home, "REFLINE_STATE_DIR=" + filepath.Join(home, "state"), "REFLINE_CACHE_DIR=" + filepath.Join(home, "cache"),
		"DOCKER_HOST=", "DOCKER_CONTEXT=", "REFLINE_EXECUTOR=", "DOCKER_CONFIG=" + filepath.Join(home, "docker"), "TERM=dumb",
	}
	ran := func() bool {
		_, err := os.Stat(filepath.Join(home, "ran"))
		_ = os.Remove(filepath.Join(home, "ran"))
		return err == nil
	}
	kept := func() int {
		files, _ := filepath.Glob(filepath.Join(home, "state", "executors", "*"))
		return len(files)
	}
	const question = "without a container?"
	for _, c := range []struct {
		name, keys   string
		code         int
		ran, inquire bool
		kept         int
	}{
		{"no", "n\n", cli.ExitError, false, true, 0},
		{"nothing", "\n", cli.ExitError, false, true, 0},
		{"Ctrl-C", "\x03", cli.ExitCanceled, false, true, 0},
		{"end of input", "\x04", cli.ExitError, false, true, 0},
		{"yes", "y\n", cli.ExitGood, true, true, 1},
		{"not asked again", "", cli.ExitGood, true, false, 1},
	} {
		shown, code := onTerminal(t, env, c.keys, "refline", "-C", project, "run")
		if code != c.code || ran() != c.ran || strings.Contains(shown, question) != c.inquire || kept() != c.kept {
			t.Errorf("%s: exit code %d, want %d; %d answers kept, want %d; shown:\n%s", c.name, code, c.code, kept(), c.kept, shown)
		}
	}
	// Neither is anybody asked in another project, nor without a terminal.
	other := filepath.Join(home, "other-waits")
	write(filepath.Join(other, ".gitlab-ci.yml"), "box: {image: alpine, script: [touch $HOME/ran]}\n")
	if shown, code := onTerminal(t, env, "n\n", "refline", "-C", other, "run"); code != cli.ExitError || ran() || !strings.Contains(shown, question) {
		t.Errorf("another project: exit code %d, shown:\n%s", code, shown)
	}
	if shown, code := onTerminal(t, env, "", "sh", "-c", "refline -C '"+project+"' run </dev/null | cat"); code != cli.ExitGood || !ran() {
		t.Errorf("without a terminal, after yes: exit code %d, shown:\n%s", code, shown)
	}
	// A child pipeline may be the first with an image.
	parent := filepath.Join(home, "parent-waits")
	write(filepath.Join(parent, ".gitlab-ci.yml"), "down: {trigger: {include: child.yml, strategy: depend}}\n")
	write(filepath.Join(parent, "child.yml"), "box: {image: alpine, script: [touch $HOME/ran]}\n")
	if shown, code := onTerminal(t, env, "n\n", "refline", "-C", parent, "run"); code != cli.ExitRed || ran() || !strings.Contains(shown, question) {
		t.Errorf("no in a child pipeline: exit code %d, shown:\n%s", code, shown)
	}
	if shown, code := onTerminal(t, env, "y\n", "refline", "-C", parent, "run"); code != cli.ExitGood || !ran() || !strings.Contains(shown, question) {
		t.Errorf("yes in a child pipeline: exit code %d, shown:\n%s", code, shown)
	}
}
