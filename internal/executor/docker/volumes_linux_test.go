package docker_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/moby/client"

	"refline/internal/executor"
	"refline/internal/executor/docker"
	"refline/internal/lock"
)

// TestOnlyRemote is run by TestRemote.
func TestOnlyRemote(t *testing.T) {
	api := engine(t)
	if os.Getenv(remoteEnv) == "" {
		t.Skip("run by TestRemote")
	}
	t.Run("only what is asked for comes back", func(t *testing.T) { testBack(t) })
	t.Run("shared folders are copied once", func(t *testing.T) { testShared(t, api) })
	t.Run("a socket is named", func(t *testing.T) { testSocket(t) })
	t.Run("services see the copies", func(t *testing.T) { testServiceMounts(t) })
	t.Run("a folder is seen or not, whatever has its name there", func(t *testing.T) { testUnseen(t) })
	if _, noted := notices.Load("the engine at " + os.Getenv(hostEnv) + " cannot mount folders of this computer: they are copied to it, and artifacts, caches and reports back"); !noted {
		t.Error("the user got no notice")
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func testBack(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"kept", "asked", "gone"} {
		write(t, filepath.Join(dir, name), "before\n")
	}
	j := mustStart(t, executor.Spec{Image: box(), Mounts: []executor.Mount{
		{Source: dir, Target: "/back", Back: []string{"asked", "deep/out", "gone", "never/there", "via/file"}},
	}})
	j.sh("cd /back; cat kept; for f in kept asked; do echo after >$f; done; rm gone; mkdir -p deep/out real; echo x >deep/out/x; echo y >deep/y")
	j.close()
	for name, want := range map[string]string{"kept": "before\n", "asked": "after\n", "gone": "", "deep/out/x": "x\n", "deep/y": ""} {
		if got, _ := os.ReadFile(filepath.Join(dir, name)); string(got) != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
	// What is behind a link comes with all the rest.
	j = mustStart(t, executor.Spec{Image: box(), Mounts: []executor.Mount{{Source: dir, Target: "/back", Back: []string{"via/file"}}}})
	j.sh("cd /back; mkdir -p real; ln -s real via; echo z >via/file")
	j.close()
	if got, err := os.ReadFile(filepath.Join(dir, "via/file")); string(got) != "z\n" {
		t.Errorf("behind a link: %q, %v", got, err)
	}
}

func testShared(t *testing.T, api *client.Client) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "object"), "content\n")
	e := newExecutor(t)
	owner, err := lock.Self()
	if err != nil {
		t.Fatal(err)
	}
	mine := client.Filters{}.Add("label", "refline.owner="+owner.String())
	volumes := func() (n int) {
		list, err := api.VolumeList(t.Context(), client.VolumeListOptions{Filters: mine})
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range list.Items {
			if strings.HasPrefix(v.Name, "refline-shared-") {
				n++
			}
		}
		return n
	}
	before := volumes()
	for i := range 2 {
		j := mustStartBy(t, e, executor.Spec{Image: box(), Mounts: []executor.Mount{{Source: dir, Target: dir, ReadOnly: true, Shared: true}}})
		if got := j.sh("cat " + dir + "/object; touch " + dir + "/x 2>/dev/null || echo no"); got != "content\nno\n" {
			t.Errorf("job %d: %q", i, got)
		}
		j.close()
		if got := volumes() - before; got != 1 {
			t.Errorf("after job %d: %d copies", i, got)
		}
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if got := volumes() - before; got != 0 {
		t.Errorf("after the run: %d copies", got)
	}
}

func testSocket(t *testing.T) {
	dir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, "agent"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	j := mustStart(t, executor.Spec{Image: box(), Mounts: []executor.Mount{{Source: dir, Target: "/with-socket"}}})
	if log := j.log.String(); !strings.Contains(log, "cannot reach the socket /with-socket/agent") {
		t.Errorf("log: %s", log)
	}
	j.close()
	if _, err := os.Lstat(filepath.Join(dir, "agent")); err != nil {
		t.Error("what was not copied is gone:", err)
	}
}

func testServiceMounts(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "index.html"), "page of the job\n")
	j := mustStart(t, executor.Spec{
		Image: box(), Mounts: []executor.Mount{{Source: dir, Target: "/pages"}},
		Services: []executor.Service{{Image: box(), Aliases: []string{"web"}, Command: []string{"httpd", "-f", "-p", "80", "-h", "/pages"}}},
	})
	if got := j.sh("until wget -qO- http://web/ 2>/dev/null; do sleep 0.05; done"); got != "page of the job\n" {
		t.Errorf("got %q", got)
	}
}

// The folder for temporary files is there for the engine too, with other files.
func testUnseen(t *testing.T) {
	e := newExecutor(t).(*docker.Executor)
	for name, dir := range map[string]string{"of the same name": os.Getenv("TMPDIR"), "that is not there": t.TempDir()} {
		if seen, err := e.SharesFilesystem(t.Context(), dir); seen || err != nil {
			t.Errorf("a folder %s: seen %v, %v", name, seen, err)
		}
	}
}
