package docker_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"

	"refline/internal/executor/executortest"
)

// An engine that does not see our folders is made by hiding them: TestApart
// runs tests again in a process whose temporary folder is a file system that
// only it has.
const (
	hideEnv   = "REFLINE_TEST_HIDE"   // the folder to hide
	remoteEnv = "REFLINE_TEST_REMOTE" // set once it is
)

func hideFolders() {
	dir := os.Getenv(hideEnv)
	if dir == "" {
		return
	}
	if err := unix.Mount("refline-test", dir, "tmpfs", 0, ""); err != nil {
		fmt.Println("mount:", err)
		os.Exit(1)
	}
	os.Unsetenv(hideEnv) // processes of the tests find it hidden
	os.Setenv("TMPDIR", dir)
	os.Setenv(remoteEnv, "1")
}

func TestRemote(t *testing.T) {
	t.Parallel()
	engine(t)
	if os.Getuid() != 0 {
		t.Skip("NOT TESTED: only root can hide folders from an engine")
	}
	if os.Getenv(remoteEnv) != "" {
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^(TestExecutor|TestUser.*|TestOnlyRemote)$", "-test.v")
	cmd.Env = append(os.Environ(), hideEnv+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "PASS: TestOnlyRemote") {
		t.Errorf("%v\n%s", err, out)
	}
}

// remote is how tests reach into containers of a remote engine, nil when
// it is not.
func remote(api *client.Client) *executortest.Remote {
	if os.Getenv(remoteEnv) == "" {
		return nil
	}
	running := func(t *testing.T, runID string) []string {
		t.Helper()
		list, err := api.ContainerList(t.Context(), client.ContainerListOptions{Filters: client.Filters{}.Add("label", "refline.run="+runID)})
		if err != nil {
			t.Error(err)
		}
		var ids []string
		for _, one := range list.Items {
			if !strings.Contains(one.Names[0], "-service-") {
				ids = append(ids, one.ID)
			}
		}
		return ids
	}
	return &executortest.Remote{
		Running: func(t *testing.T, runID string) bool { return len(running(t, runID)) > 0 },
		Touch: func(t *testing.T, runID, path string) {
			for _, id := range running(t, runID) {
				made, err := api.ExecCreate(t.Context(), id, client.ExecCreateOptions{Cmd: []string{"touch", path}})
				if err == nil {
					_, err = api.ExecStart(t.Context(), made.ID, client.ExecStartOptions{Detach: true})
				}
				if err != nil {
					t.Error(err)
				}
			}
		},
	}
}
