package executortest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"refline/internal/executor"
)

func testSweepLiving(t *testing.T, s suite) {
	b := s.start(t)
	var out Buffer
	var helper sync.WaitGroup
	helper.Go(func() {
		if !out.Await(t.Context(), "ready") {
			t.Error("the command did not start")
		}
		if err := s.ex.Sweep(t.Context()); err != nil {
			t.Error("sweep:", err)
		}
		b.touch("go-on")
	})
	code, err := b.Exec(t.Context(), b.sh("echo ready; while [ ! -e go-on ]; do sleep 0.01; done", &out))
	helper.Wait()
	if code != 0 || err != nil {
		t.Errorf("a sweep of others ended this: %d, %v", code, err)
	}
}

const victimEnv = "REFLINE_TEST_VICTIM" // "workspace\nrun id"

// testSweepDead kills a process of this program while its job runs.
func testSweepDead(t *testing.T, s suite) {
	id := runID(t)
	b := &box{s: s, t: t, host: t.TempDir(), runID: id}
	life := b.lifeline("life")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		var out Buffer
		victim := exec.Command(self)
		victim.Env = append(os.Environ(), victimEnv+"="+b.host+"\n"+id)
		victim.Stdout, victim.Stderr = &out, &out
		victim.WaitDelay = time.Second // what is left running holds the output
		if err := victim.Start(); err != nil {
			t.Fatal(err)
		}
		if !out.Await(t.Context(), "ready") {
			t.Errorf("the job did not start: %s", &out)
		}
		_ = victim.Process.Kill()
		_ = victim.Wait()
		life.ends(long) // without a sweep already
		if err := s.ex.Sweep(t.Context()); err != nil {
			t.Errorf("sweep: %v", err)
		}
		s.nothingLeft(t, id)
	}
}

// Victim is called first by TestMain of each executor's test. In the process
// that testSweepDead is about to kill it runs a job, and never returns.
func Victim(newExecutor func() executor.Executor, image executor.Image, services ...executor.Service) {
	host, id, ok := strings.Cut(os.Getenv(victimEnv), "\n")
	if !ok {
		return
	}
	ex := newExecutor()
	sandbox, err := ex.Start(context.Background(), executor.Spec{
		RunID: id, JobID: "victim", Image: image, Services: services, Log: os.Stderr,
		Mounts: []executor.Mount{{Source: host, Target: target}},
	})
	if err != nil {
		fmt.Println("start:", err)
		os.Exit(1)
	}
	dir := host
	if ex.Isolated() {
		dir = target
	}
	code, err := sandbox.Exec(context.Background(), executor.Command{
		Args: []string{"sh", "-c", `exec 9>life
			setsid sleep 1000 &
			env -i sleep 1000 &
			sh -c 'trap "" TERM HUP INT; echo ready; while :; do sleep 1; done'`},
		Dir: dir, Env: []string{"PATH=" + os.Getenv("PATH")}, Stdout: os.Stdout, Stderr: os.Stderr,
	})
	fmt.Println("ended:", code, err)
	os.Exit(1)
}
