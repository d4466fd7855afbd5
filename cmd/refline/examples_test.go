package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestExamples runs each example with the command that its line in
// examples/README.md shows, in a repository of its own on branch main.
func TestExamples(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(filepath.Join("..", "..", "examples", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	dir, home := t.TempDir(), t.TempDir()
	if err := os.CopyFS(filepath.Join(dir, "examples"), os.DirFS(filepath.Join("..", "..", "examples"))); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "HOME="+home, "GIT_CONFIG_NOSYSTEM=1", "REFLINE_STATE_DIR="+home+"/state", "REFLINE_CACHE_DIR="+home+"/cache",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	sh := func(line string) (string, error) {
		cmd := exec.Command("sh", "-ec", line)
		cmd.Dir, cmd.Env = dir, env
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := sh("git init -q -b main . && git add -A && git commit -qm examples"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	rows := regexp.MustCompile("(?m)^\\| (.*?) \\|.*\\| `(.*)` \\|$").FindAllStringSubmatch(string(readme), -1)
	if len(rows) < 5 {
		t.Fatalf("only %d examples in examples/README.md", len(rows))
	}
	for _, row := range rows {
		t.Run(row[1], func(t *testing.T) {
			if strings.Contains(row[2], ".py") {
				if _, err := exec.LookPath("python3"); err != nil {
					t.Skip("no python3: scripts/setup installs it")
				}
			}
			out, err := sh(strings.ReplaceAll(row[2], "bin/refline", "refline"))
			if err != nil || !strings.Contains(out, " passed") && !strings.Contains(out, "no errors") {
				t.Errorf("%s: %v\n%s", row[2], err, out)
			}
		})
	}
}
