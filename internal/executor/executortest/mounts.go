package executortest

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"refline/internal/executor"
)

func testMounts(t *testing.T, s suite) {
	if !s.ex.Isolated() {
		t.Skip("not isolated: mounts have no meaning")
	}
	ro := t.TempDir()
	if err := os.WriteFile(filepath.Join(ro, "given"), []byte("given\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	b := s.start(t, func(spec *executor.Spec) {
		spec.Mounts = append(spec.Mounts, executor.Mount{Source: ro, Target: "/given", ReadOnly: true})
	})
	if got := b.ok("cat /given/given; echo back >back"); got != "given\n" {
		t.Errorf("read-only mount: %q", got)
	}
	if code, err := b.Exec(t.Context(), b.sh("echo x >/given/x", &Buffer{})); code == 0 || err != nil {
		t.Errorf("write to a read-only mount: %d, %v", code, err)
	}
	if got, err := b.file("back"); got != "back\n" {
		t.Errorf("from a writable mount: %q, %v", got, err)
	}
}

// tree is what is below a folder: path → content of a file, target of a link.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		switch entry.Type() {
		case fs.ModeDir:
			found[name] = "folder"
		case fs.ModeSymlink:
			target, err := os.Readlink(path)
			found[name] = "link to " + target
			return err
		case 0:
			content, err := os.ReadFile(path)
			found[name] = string(content)
			return err
		}
		return nil // pipes and the like need not be copied
	})
	if err != nil {
		t.Error(err)
	}
	return found
}

func testMountsAfter(t *testing.T, s suite) {
	b := s.start(t)
	b.ok(`mkdir -p a/b/c deep was && echo 1 >a/b/one && echo 2 >a/two && echo old >was/old && echo turns >turns`)
	b.ok(`rm -r was a/two && echo 11 >a/b/one && rm turns && mkdir turns && echo in >turns/in
		ln -s a/b/one link && ln -s /etc/passwd out && ln -s a dir-link && ln a/b/one hard && mkfifo pipe
		: >empty && mkdir none && printf '#!/bin/sh\n' >run.sh && chmod 700 run.sh
		d=deep; for i in 1 2 3 4 5 6 7 8 9 10 11 12; do d=$d/folder-number-$i-of-a-path-that-gets-long; done; mkdir -p $d && echo end >$d/end`)
	if runtime.GOOS == "linux" { // elsewhere file names are text
		b.ok(`echo bytes >"$(printf 'n\374me')"`)
	}
	if err := b.Close(t.Context()); err != nil {
		t.Error("close:", err)
	}
	want := map[string]string{
		"a": "folder", "a/b": "folder", "a/b/c": "folder", "a/b/one": "11\n", "turns": "folder", "turns/in": "in\n",
		"link": "link to a/b/one", "out": "link to /etc/passwd", "dir-link": "link to a", "hard": "11\n",
		"empty": "", "none": "folder", "run.sh": "#!/bin/sh\n", "deep": "folder",
	}
	if runtime.GOOS == "linux" {
		want["n\374me"] = "bytes\n"
	}
	d := "deep"
	for _, i := range []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"} {
		d += "/folder-number-" + i + "-of-a-path-that-gets-long"
		want[d] = "folder"
	}
	want[d+"/end"] = "end\n"
	if diff := cmp.Diff(want, tree(t, b.host)); diff != "" {
		t.Error(diff)
	}
	if info, err := os.Stat(filepath.Join(b.host, "run.sh")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("run.sh: %v, %v", info, err)
	}
}

func testMountsLive(t *testing.T, s suite) {
	live := t.TempDir()
	b := s.start(t, func(spec *executor.Spec) {
		if s.ex.Isolated() {
			spec.Mounts = append(spec.Mounts, executor.Mount{Source: live, Target: "/live", Back: []string{"events"}, Live: true})
		}
	})
	seen := live
	if s.ex.Isolated() {
		seen = "/live"
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var helper sync.WaitGroup
	helper.Go(func() {
		for ctx.Err() == nil {
			if got, _ := os.ReadFile(filepath.Join(live, "events")); string(got) == "first\n" {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		b.touch("go-on")
	})
	code, err := b.Exec(ctx, b.sh("echo first >"+seen+"/events; until [ -e go-on ]; do sleep 0.01; done; echo last >>"+seen+"/events", &Buffer{}))
	cancel()
	helper.Wait()
	if code != 0 || err != nil {
		t.Errorf("%d, %v", code, err)
	}
	if got, err := os.ReadFile(filepath.Join(live, "events")); string(got) != "first\nlast\n" { // before the sandbox is closed
		t.Errorf("got %q, %v", got, err)
	}
}
