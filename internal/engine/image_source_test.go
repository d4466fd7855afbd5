package engine

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"refline/internal/errs"
	"refline/internal/pipeline"
)

// A job of a flow in an image starts from the files of the image: they are copied in
// its sandbox before the script, and what was taken of other jobs is above them.
func TestFilesOfTheImage(t *testing.T) {
	t.Parallel()
	for _, strategy := range []string{"", "none"} {
		h := newJob(t, pipeline.Job{})
		h.in.Tree, h.in.ImageSource = nil, "/refline/src"
		h.in.Variables = append(h.in.Variables, pipeline.Variable{Name: "GIT_STRATEGY", Value: strategy})
		var order []string
		h.fake.OnExec = func(_ context.Context, c fakeCommand) (int, error) {
			if slices.Contains(c.Args, "/refline/src") {
				order = append(order, "copy")
				return 0, nil
			}
			order = append(order, "script")
			return 0, nil
		}
		want := "copy script"
		if strategy == "none" {
			want = "script"
		}
		if res := h.run(); res.Err != nil || strings.Join(order, " ") != want {
			t.Errorf("strategy %q: %v, order %v, want %s", strategy, res.Err, order, want)
		}
	}
	h := newJob(t, pipeline.Job{})
	h.in.Tree, h.in.ImageSource = nil, "/refline/src"
	h.fake.OnExec = func(context.Context, fakeCommand) (int, error) { return 1, nil }
	if res := h.run(); !errs.Is(res.Err, errs.Invalid) || !strings.Contains(res.Err.Error(), "copying /refline/src of its image ended with exit code 1") {
		t.Errorf("without the folder: %+v", res)
	}
}

func TestCopyFromImage(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("a script for sh")
	}
	write := func(dir string, files map[string]string) {
		for name, text := range files {
			full := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(full, []byte(text), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	source := t.TempDir()
	write(source, map[string]string{"flows/a.sh": "of the image", ".hidden": "h", "lib/b": "of the image"})
	if err := os.Symlink("/etc/passwd", filepath.Join(source, "link")); err != nil {
		t.Fatal(err)
	}
	run := func(from, to string) (string, error) {
		out, err := exec.CommandContext(t.Context(), "sh", "-c", copyFromImage, "sh", from, to).CombinedOutput()
		return string(out), err
	}
	for name, taken := range map[string]map[string]string{"alone": {}, "below artifacts": {"lib/b": "of a job", "out/c": "of a job"}} {
		to := t.TempDir()
		write(to, taken)
		if out, err := run(source, to); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		want := map[string]string{"flows/a.sh": "of the image", ".hidden": "h", "lib/b": "of the image"}
		for file, text := range taken {
			want[file] = text
		}
		for file, text := range want {
			if got, err := os.ReadFile(filepath.Join(to, file)); err != nil || string(got) != text {
				t.Errorf("%s: %s is %q, %v; want %q", name, file, got, err, text)
			}
		}
		if target, err := os.Readlink(filepath.Join(to, "link")); err != nil || target != "/etc/passwd" {
			t.Errorf("%s: the link leads to %q, %v", name, target, err)
		}
		if info, err := os.Stat(filepath.Join(to, "flows/a.sh")); err != nil || info.Mode()&0o100 == 0 {
			t.Errorf("%s: %v, %v; want a file that can be started", name, info, err)
		}
	}
	if out, err := run(filepath.Join(source, "none"), t.TempDir()); err == nil || !strings.Contains(out, "it was not made by refline image build") {
		t.Errorf("no folder: %v, %s", err, out)
	}
}
