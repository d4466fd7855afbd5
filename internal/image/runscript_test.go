package image

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// The script of an image runs a flow on a copy of the files; names and values from the
// repository are words of it and never commands.
func TestRunScript(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("a script for sh")
	}
	const hostile = "it's \"$(touch pwned)\"\n`touch pwned`; touch pwned"
	source := writeTree(t, map[string]string{
		"flows/a.sh": `echo "a: $REFLINE_FLOW $* [${REFLINE_INPUT_day-}] [${REFLINE_INPUT_DAY-}] $PLACE $CI_COMMIT_REF_NAME"; echo new >flows/new; test "$PWD" = "$CI_PROJECT_DIR" && echo inside` + "\n",
		"b.sh":       "echo b\n",
	})
	m := &Manifest{Source: Source{Commit: "c", Ref: hostile}, Flows: []Flow{
		{Name: "a", Path: "flows/a.sh", Command: "sh flows/a.sh", Env: map[string]string{"PLACE": "$CI_PROJECT_DIR/x"}, Inputs: map[string]string{"day": hostile}},
		{Name: hostile, Path: hostile + ".sh", Command: "sh b.sh"},
		{Name: "etl", Path: "etl.yml"},
	}}
	script := filepath.Join(t.TempDir(), "run")
	if err := os.WriteFile(script, bytes.ReplaceAll(runScript(m), []byte(SourceFolder), []byte(source)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want []string
		code int
	}{
		{nil, []string{"a: a --day=it's", "inside", "[it's", "/x"}, 0},
		{[]string{"a", "--day=today"}, []string{"--day=today [today] [today]"}, 0},
		{[]string{"flows/a.sh", "--day", "2"}, []string{"a: a --day=it's"}, 0},
		{[]string{hostile}, []string{"b\n"}, 0},
		{[]string{"none"}, []string{"no flow none in this image; it has: a, it's"}, 2},
		{[]string{"etl"}, []string{"etl.yml is a pipeline, which needs Refline"}, 2},
	} {
		dir := t.TempDir()
		cmd := exec.CommandContext(t.Context(), "sh", append([]string{script}, c.args...)...)
		cmd.Dir, cmd.Env = dir, append(os.Environ(), "TMPDIR="+dir)
		out, _ := cmd.CombinedOutput()
		if code := cmd.ProcessState.ExitCode(); code != c.code {
			t.Errorf("%q: exit code %d, want %d\n%s", c.args, code, c.code, out)
		}
		for _, want := range c.want {
			if !strings.Contains(string(out), want) {
				t.Errorf("%q: no %q in\n%s", c.args, want, out)
			}
		}
		for _, bad := range []string{"pwned", "*/pwned", "*/*/pwned"} {
			if found, err := filepath.Glob(filepath.Join(dir, bad)); err != nil || len(found) > 0 {
				t.Errorf("%q: a name was run as a command: %v", c.args, found)
			}
		}
	}
	if _, err := os.Stat(filepath.Join(source, "flows/new")); err == nil {
		t.Error("the flow wrote into the image's files")
	}
}
