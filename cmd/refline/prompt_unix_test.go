//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An interrupt at a question ends the command at once with 130 and stores
// nothing. `var set` took the next line that was typed as the secret.
func TestInterruptAtQuestions(t *testing.T) {
	t.Parallel()
	t.Run("a hidden value", func(t *testing.T) {
		t.Parallel()
		home := []string{"REFLINE_STATE_DIR=" + t.TempDir(), "REFLINE_VARIABLES="}
		shown, _ := onTerminal(t, home, "\x03", "sh", "-c", "trap : INT; refline var set waits; echo code $?; stty -a | grep -o '[-]*echo '; refline var list")
		for _, want := range []string{"code 130", "\necho ", "no variables"} {
			if !strings.Contains(shown, want) {
				t.Errorf("no %q in %q", want, shown)
			}
		}
	})
	manual := "a: {script: [echo go]}\nwaits: {script: [touch ../../played], rules: [{when: manual}], manual_confirmation: sure?}\n"
	for _, c := range []struct {
		name, keys, want string
		code             int
	}{
		{"a manual job", "\x03", "", 130},
		{"y means yes", "1\ny\n", "2 passed", 0},
		{"n means no", "1\nn\n\n", "1 passed, 1 manual", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, ".gitlab-ci.yml"), []byte(manual), 0o600); err != nil {
				t.Fatal(err)
			}
			env := []string{"REFLINE_STATE_DIR=" + t.TempDir(), "REFLINE_CACHE_DIR=" + t.TempDir()}
			shown, code := onTerminal(t, env, c.keys, "refline", "-C", dir, "run")
			if code != c.code || !strings.Contains(shown, c.want) {
				t.Errorf("exit code %d, want %d and %q in %q", code, c.code, c.want, shown)
			}
		})
	}
}
